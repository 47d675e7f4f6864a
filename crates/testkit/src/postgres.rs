//! A PostgreSQL cluster that lives as long as the value: made in a temporary folder by the local
//! server programs, flushed like a real one, reached over TCP on loopback.

use crate::{
    isolation::owner_of_self,
    process::{command, leash, program, tail},
    wait,
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsString,
    fs,
    net::TcpListener,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// The superuser of the cluster; connections need no password.
const USER: &str = "pixel";
const START_LIMIT: Duration = Duration::from_secs(30);

/// A running cluster. Dropping it stops the server and removes the folder.
pub struct Cluster {
    programs: PathBuf,
    /// Removed last, when nothing of the server lives any more.
    folder: TempDir,
    port: u16,
    server: Child,
    databases: AtomicUsize,
}

impl Cluster {
    /// Makes a cluster and starts it.
    pub fn start() -> Self {
        let programs = find_programs().unwrap_or_else(|why| panic!("{why}"));
        let folder = tempfile::Builder::new().prefix("pixel-pg-").tempdir().expect("a temporary folder can be made");
        if let Some((uid, gid)) = unprivileged() {
            chown(folder.path(), Some(uid), Some(gid)).expect("root can give a folder away");
        }
        init(&programs, folder.path());
        let (server, port) = launch_on_free_port(&programs, folder.path());
        Self { programs, folder, port, server, databases: AtomicUsize::new(0) }
    }

    /// A fresh, empty database; its address in the form of `DATABASE_URL`.
    pub fn database(&self) -> String {
        let name = format!("pixel_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let made = self.client("createdb").arg(&name).output().expect("createdb starts");
        assert!(made.status.success(), "createdb: {}", String::from_utf8_lossy(&made.stderr));
        format!("postgres://{USER}@127.0.0.1:{}/{name}", self.port)
    }

    /// Runs one statement and returns what `psql` prints: values without head or frame.
    pub fn query(&self, database_url: &str, sql: &str) -> String {
        let name = database_url.rsplit('/').next().unwrap_or_default();
        let answer = self.client("psql").args(["-d", name, "-Atqc", sql]).output().expect("psql starts");
        assert!(answer.status.success(), "psql: {}", String::from_utf8_lossy(&answer.stderr));
        String::from_utf8_lossy(&answer.stdout).trim().to_owned()
    }

    /// All rows of a database, as `pg_dump` writes them.
    pub fn dump(&self, database_url: &str) -> Vec<u8> {
        let name = database_url.rsplit('/').next().unwrap_or_default();
        let answer = self.client("pg_dump").args(["-d", name, "--inserts"]).output().expect("pg_dump starts");
        assert!(answer.status.success(), "pg_dump: {}", String::from_utf8_lossy(&answer.stderr));
        answer.stdout
    }

    /// Kills the server without a chance to tidy up, and waits until its last process is gone.
    pub fn kill9(&mut self) {
        signal(&self.server, Signal::KILL);
        self.server.wait().expect("a killed child ends");
        self.assert_all_gone();
    }

    /// Starts the server again on the same port, after [`Cluster::kill9`].
    pub fn restart(&mut self) {
        self.server = launch(&self.programs, self.folder.path(), self.port);
        let ready = wait_ready(&self.programs, &mut self.server, self.port);
        assert!(ready, "PostgreSQL did not come back:\n{}", tail(&log_of(self.folder.path()), 20));
    }

    fn client(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.args(["-h", "127.0.0.1", "-U", USER, "-p", &self.port.to_string()]);
        command
    }

    fn assert_all_gone(&self) {
        let data = data_of(self.folder.path());
        let gone = wait::blocking(Duration::from_secs(10), || living_in(&data).is_empty().then_some(()));
        let left = living_in(&data);
        assert!(gone.is_some() || thread::panicking(), "PostgreSQL left these processes behind: {left:?}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if matches!(self.server.try_wait(), Ok(None)) {
            signal(&self.server, Signal::INT);
            let stopped = wait::blocking(Duration::from_secs(10), || self.server.try_wait().ok().flatten());
            if stopped.is_none() {
                signal(&self.server, Signal::QUIT);
                let _ = self.server.wait();
            }
        }
        self.assert_all_gone();
    }
}

fn data_of(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn log_of(folder: &Path) -> PathBuf {
    folder.join("log")
}

fn signal(child: &Child, signal: Signal) {
    match kill_process(Pid::from_child(child), signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("PostgreSQL could not be signalled: {error}"),
    }
}

/// The folder that holds the server programs.
fn find_programs() -> Result<PathBuf, String> {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    let number =
        |folder: &PathBuf| folder.parent().and_then(|f| f.file_name()?.to_str()?.parse::<u32>().ok()).unwrap_or(0);
    versions.sort_by_key(|folder| std::cmp::Reverse(number(folder)));
    let on_path = program("initdb").and_then(|file| Some(file.parent()?.to_path_buf()));
    let complete = |folder: &PathBuf| {
        ["initdb", "postgres", "createdb", "psql", "pg_isready"].iter().all(|name| folder.join(name).is_file())
    };
    versions.into_iter().chain(on_path).find(complete).ok_or_else(|| {
        "PostgreSQL's server programs are missing: install them (Debian: apt-get install postgresql)".to_owned()
    })
}

/// PostgreSQL refuses to run as root: the user who stands in, if we are root.
fn unprivileged() -> Option<(u32, u32)> {
    if owner_of_self() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("there is a list of users");
    let find = |wanted: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(wanted))?;
        let mut ids = line.split(':').skip(2).map(|id| id.parse::<u32>().ok());
        Some((ids.next()??, ids.next()??))
    };
    let found = find("postgres").or_else(|| find("nobody"));
    Some(found.expect("PostgreSQL refuses root: make a user 'postgres' or 'nobody' for it to run as"))
}

/// The words before a server program: another user when we are root.
fn as_unprivileged() -> Vec<OsString> {
    let Some((uid, gid)) = unprivileged() else { return Vec::new() };
    let setpriv = program("setpriv").expect("install setpriv (Debian: util-linux): PostgreSQL refuses root");
    let ids = [format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()];
    std::iter::once(setpriv.into()).chain(ids.map(Into::into)).collect()
}

fn init(programs: &Path, folder: &Path) {
    let mut words = as_unprivileged();
    words.push(programs.join("initdb").into());
    let made = command(&words)
        .current_dir(folder)
        .arg("-D")
        .arg(data_of(folder))
        .args(["-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions"])
        .output()
        .expect("initdb starts");
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
}

/// The port that is free now may be taken a moment later, hence the tries.
fn launch_on_free_port(programs: &Path, folder: &Path) -> (Child, u16) {
    for _ in 0..5 {
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback has free ports").port();
        let mut server = launch(programs, folder, port);
        if wait_ready(programs, &mut server, port) {
            return (server, port);
        }
    }
    panic!("PostgreSQL does not start:\n{}", tail(&log_of(folder), 20))
}

fn launch(programs: &Path, folder: &Path, port: u16) -> Child {
    // The leash comes last: a change of user would clear it.
    let mut words = as_unprivileged();
    words.extend(leash("INT"));
    words.push(programs.join("postgres").into());
    let log = fs::File::create(log_of(folder)).expect("the log can be written");
    command(&words)
        .current_dir(folder)
        .arg("-D")
        .arg(data_of(folder))
        .arg("-k")
        .arg(folder)
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
        .args([
            "-c",
            "fsync=on",
            "-c",
            "synchronous_commit=on",
            "-c",
            "shared_buffers=32MB",
            "-c",
            "max_connections=100",
        ])
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be opened twice"))
        .stderr(log)
        .spawn()
        .expect("postgres starts")
}

/// Whether the server answers; `false` when it ended instead.
fn wait_ready(programs: &Path, server: &mut Child, port: u16) -> bool {
    let ask = || {
        if !matches!(server.try_wait(), Ok(None)) {
            return Some(false);
        }
        let port = port.to_string();
        let answer = Command::new(programs.join("pg_isready")).args(["-q", "-h", "127.0.0.1", "-p", &port]).status();
        answer.is_ok_and(|status| status.success()).then_some(true)
    };
    wait::blocking(START_LIMIT, ask).unwrap_or(false)
}

/// Processes that work in this folder: PostgreSQL's children lead groups of their own, but all of
/// them live in the data folder.
fn living_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let here = |process: &PathBuf| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == folder);
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(here).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_survives_a_kill_and_leaves_nothing() {
        let mut cluster = Cluster::start();
        let folder = cluster.folder.path().to_path_buf();
        let (one, two) = (cluster.database(), cluster.database());
        assert_ne!(one, two);
        cluster.query(&one, "create table kept (n int); insert into kept values (41), (1)");
        cluster.kill9();
        cluster.restart();
        assert_eq!(cluster.query(&one, "select sum(n) from kept"), "42");
        assert_eq!(cluster.query(&one, "show fsync"), "on");
        drop(cluster);
        assert!(!folder.exists(), "the folder is still there");
        assert!(living_in(&data_of(&folder)).is_empty());
    }

    #[test]
    fn a_cluster_ends_with_the_thread_that_started_it() {
        let mut cluster = thread::spawn(Cluster::start).join().expect("it starts");
        let ended =
            wait::blocking(Duration::from_secs(10), || cluster.server.try_wait().expect("a child can be asked"));
        assert!(ended.is_some(), "the server outlived its test");
    }
}
