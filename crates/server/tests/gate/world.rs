//! One world: a folder, a database and vendors, over which servers live and die.

use crate::vendors::{ALIASES, Vendors};
use pixel_testkit::{
    Rig,
    server::{Db, Launch},
};
use std::path::PathBuf;

/// A word that must never come out of the server again.
pub const PASSWORD: &str = "hidden-word-7f31";
/// How long a server lets staged files lie that nobody touches.
const STAGING_S: u32 = 5;

pub struct World {
    pub vendors: Vendors,
    pub folder: PathBuf,
    /// Where the media lie; the data folder, unless a test puts them on a disk of their own.
    pub blobs: PathBuf,
    binary: PathBuf,
    db: Db,
}

impl World {
    /// A world of its own inside the test's folder; on PostgreSQL with a fresh database.
    pub fn new(rig: &Rig, name: &str) -> Self {
        let folder = rig.folder().join(name);
        std::fs::create_dir_all(&folder).expect("the test's folder can be written");
        let db = match &rig.cluster {
            None => Db::Sqlite,
            // The cluster trusts everybody: the password is there to be kept secret.
            Some(cluster) => Db::Postgres(cluster.database().replacen('@', &format!(":{PASSWORD}@"), 1)),
        };
        let blobs = folder.join("data");
        std::fs::create_dir_all(folder.join("catalog")).expect("the test's folder can be written");
        std::fs::write(folder.join("catalog/alias.toml"), ALIASES).expect("the test's folder can be written");
        Self { vendors: Vendors::start(), folder, blobs, binary: rig.binary().to_owned(), db }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The database's address, on PostgreSQL.
    pub fn database(&self) -> Option<&str> {
        match &self.db {
            Db::Sqlite => None,
            Db::Postgres(url) => Some(url),
        }
    }

    /// A server of this world, with short leases and the vendors' keys.
    pub fn launch(&self, name: &str) -> Launch {
        let home = self.folder.join(name);
        std::fs::create_dir_all(&home).expect("the test's folder can be written");
        let launch = Launch::new(&self.binary, &home).data(&self.data()).db(self.db.clone());
        let launch = launch.env("PIXEL_CATALOG", self.folder.join("catalog").display());
        let launch = launch.env("PIXEL_BLOBS", self.blobs.display());
        let launch = launch.env("PIXEL_LEASE_S", 1).env("PIXEL_STAGING_S", STAGING_S).env("PIXEL_LOG", "info");
        self.vendors.attach(launch)
    }
}
