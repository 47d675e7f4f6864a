//! Starts servers, Pixel or bare, each over a fresh database in a folder of its own.

use crate::{Result, args::Args, load::Plan, machine::Cores};
use pixel_store::Options;
use pixel_testkit::{
    Stub,
    postgres::Cluster,
    rig::Rows,
    server::{Db, Launch, Server},
};
use std::{cell::Cell, fs, path::PathBuf, time::Duration};
use tempfile::TempDir;

pub struct Arena<'a> {
    pub args: &'a Args,
    pub rows: Rows,
    cores: &'a Cores,
    pixel: PathBuf,
    cluster: Option<Cluster>,
    /// Goes last, when nothing runs in it any more.
    home: TempDir,
    servers: Cell<u32>,
}

impl<'a> Arena<'a> {
    pub fn new(args: &'a Args, cores: &'a Cores, rows: Rows) -> Result<Self> {
        // The testkit's cluster lies in the folder for temporary files.
        if tempfile::env::temp_dir() != args.folder {
            tempfile::env::override_temp_dir(&args.folder)
                .map_err(|other| format!("the temporary folder is {} already", other.display()))?;
        }
        let home = tempfile::Builder::new().prefix("pixel-bench-").tempdir()?;
        // The database shares the server's core: its work is part of what a task costs.
        cores.take_server()?;
        let cluster = (rows == Rows::Postgres).then(Cluster::start);
        cores.take_load()?;
        Ok(Self { args, rows, cores, pixel: args.pixel()?, cluster, home, servers: Cell::new(0) })
    }

    /// A Pixel that sends to this stub, without limits of its own.
    pub fn pixel(&self, stub: &Stub) -> Result<Launch> {
        let (home, db) = self.fresh()?;
        let launch = Launch::new(&self.pixel, &home).db(db).vendors(stub);
        Ok(launch.under(["taskset", "-c", &self.cores.server]))
    }

    /// The store of a server that does not run now.
    pub fn options(&self, launch: &Launch) -> Options {
        let database_url = match launch.rows() {
            Db::Sqlite => None,
            Db::Postgres(url) => Some(url.clone()),
        };
        Options { data: launch.folder().to_owned(), database_url, pool_size: 1, lease: Duration::from_secs(30) }
    }

    /// A bare server over the same database.
    pub fn probe(&self) -> Result<Launch> {
        let (home, db) = self.fresh()?;
        let mut launch = Launch::new(std::env::current_exe()?, &home);
        if let Db::Postgres(url) = db {
            launch = launch.arg("--database").arg(url);
        }
        Ok(launch.under(["taskset", "-c", &self.cores.server]))
    }

    fn fresh(&self) -> Result<(PathBuf, Db)> {
        let home = self.home.path().join(self.servers.replace(self.servers.get() + 1).to_string());
        fs::create_dir_all(home.join("data"))?;
        Ok((home, self.cluster.as_ref().map_or(Db::Sqlite, |cluster| Db::Postgres(cluster.database()))))
    }

    /// So many connections to this server, for as long and as often as asked for.
    pub fn plan<'b>(&self, server: &'b Server, connections: usize) -> Plan<'b> {
        let address = server.url().trim_start_matches("http://");
        Plan { address, connections, length: self.args.length(), runs: self.args.runs() }
    }
}
