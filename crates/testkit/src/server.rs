//! The real binary: its own data folder, a clean environment, and every way to end it.

use crate::{
    Client,
    process::{command, end_group, group_of, leash, living, signal_group, tail},
    wait,
};
use rustix::process::Signal;
use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How the binary says where it listens.
const READY_LINE: &str = "Pixel is ready on ";
const START_LIMIT: Duration = Duration::from_secs(60);

/// Where the server keeps its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Db {
    /// In the data folder.
    #[default]
    Sqlite,
    /// At this address.
    Postgres(String),
}

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Launch {
    binary: PathBuf,
    home: PathBuf,
    data: PathBuf,
    listen: String,
    db: Db,
    args: Vec<OsString>,
    env: Vec<(String, String)>,
    wrapper: Vec<OsString>,
}

impl Launch {
    /// `home` is an existing folder for the logs and, unless told otherwise, the data.
    pub fn new(binary: impl Into<PathBuf>, home: &Path) -> Self {
        let (binary, home) = (binary.into(), home.to_path_buf());
        let data = home.join("data");
        let listen = "127.0.0.1:0".to_owned();
        Self { binary, home, data, listen, db: Db::Sqlite, args: Vec::new(), env: Vec::new(), wrapper: Vec::new() }
    }

    pub fn db(mut self, db: Db) -> Self {
        self.db = db;
        self
    }

    /// Where the server keeps its rows.
    pub fn rows(&self) -> &Db {
        &self.db
    }

    /// Its data folder.
    pub fn folder(&self) -> &Path {
        &self.data
    }

    /// Shares a data folder with another server.
    pub fn data(mut self, folder: &Path) -> Self {
        self.data = folder.to_path_buf();
        self
    }

    /// Another address than a free port of loopback.
    pub fn listen(mut self, address: &str) -> Self {
        self.listen = address.to_owned();
        self
    }

    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Runs the binary under another program, such as a tracer.
    pub fn under(mut self, words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.wrapper = words.into_iter().map(Into::into).collect();
        self
    }

    /// Starts the server and waits until it is ready; panics with its log when it ends instead.
    pub async fn start(self) -> Server {
        let mut server = Server::spawn(self);
        server.wait_ready().await.unwrap_or_else(|why| panic!("{why}"));
        server
    }

    /// Starts the server and does not wait: it may end before it is ready.
    pub fn launch(self) -> Server {
        Server::spawn(self)
    }

    /// Starts a server that is expected to refuse: its exit status and what it wrote.
    pub async fn start_refused(self) -> (ExitStatus, String) {
        let mut server = Server::spawn(self);
        let child = &mut server.child;
        let status = wait::until("refusal to start", START_LIMIT, || {
            let ended = child.try_wait().expect("a child can be asked");
            async move { ended }
        });
        let status = status.await;
        (status, format!("{}\n{}", server.stdout(), server.stderr()))
    }

    fn spawn(&self, listen: &str) -> Child {
        fs::create_dir_all(self.home.join("tmp")).expect("the home folder can be written");
        let mut words = leash("KILL");
        if !self.wrapper.is_empty() {
            words.extend(self.wrapper.iter().cloned());
            words.extend(leash("KILL"));
        }
        words.extend([self.binary.clone().into(), "serve".into(), "--listen".into(), listen.into()]);
        words.extend(["--data".into(), self.data.clone().into()]);
        words.extend(self.args.iter().cloned());
        let file = |name: &str| File::create(self.home.join(name)).expect("the home folder can be written");
        let mut command = command(&words);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &self.home);
        // A folder without a .env file, and temporary files that vanish with the home.
        command.current_dir(&self.home).env("TMPDIR", self.home.join("tmp"));
        if let Db::Postgres(url) = &self.db {
            command.env("DATABASE_URL", url);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", self.binary.display()))
    }
}

/// A running server. Dropping it kills whatever it started.
pub struct Server {
    launch: Launch,
    child: Child,
    url: String,
    /// Logs of the lives before this one.
    past: String,
}

impl Server {
    fn spawn(launch: Launch) -> Self {
        let child = launch.spawn(&launch.listen);
        Self { launch, child, url: String::new(), past: String::new() }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    pub fn data(&self) -> &Path {
        &self.launch.data
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory at its most so far, as the kernel accounts for it; in MiB.
    pub fn memory_peak_mib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(&path).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells the most");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kibibytes");
        kib >> 10
    }

    pub fn stdout(&self) -> String {
        tail(&self.launch.home.join("stdout"), usize::MAX)
    }

    pub fn stderr(&self) -> String {
        tail(&self.launch.home.join("stderr"), usize::MAX)
    }

    /// Everything that this server and its earlier lives wrote.
    pub fn logs(&self) -> String {
        format!("{}{}\n{}", self.past, self.stdout(), self.stderr())
    }

    /// Ends the server without a chance to tidy up.
    pub fn kill9(&mut self) {
        end_group(&mut self.child).unwrap_or_else(|why| panic!("{why}"));
    }

    /// How the server ended, once it has by itself; `None` when it still runs after `limit`.
    pub async fn ended(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                return Some(status);
            }
            if Instant::now() >= end {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops the server's time, as a paused machine does.
    pub fn freeze(&self) {
        signal_group(group_of(&self.child), Signal::STOP);
    }

    /// Lets its time go on.
    pub fn thaw(&self) {
        signal_group(group_of(&self.child), Signal::CONT);
    }

    /// Sends any signal.
    pub fn signal(&self, signal: Signal) {
        signal_group(group_of(&self.child), signal);
    }

    /// Asks the server to end and returns how, and how long it took. Nothing may stay behind.
    pub async fn sigterm(&mut self) -> (ExitStatus, Duration) {
        self.signal(Signal::TERM);
        self.ending().await
    }

    /// Waits for the end of a server that was asked to end.
    pub async fn ending(&mut self) -> (ExitStatus, Duration) {
        let (begin, group) = (Instant::now(), group_of(&self.child));
        let child = &mut self.child;
        let status = wait::until("end after SIGTERM", Duration::from_secs(30), || {
            let ended = child.try_wait().expect("a child can be asked");
            async move { ended }
        });
        let (status, took) = (status.await, begin.elapsed());
        assert_eq!(living(group), Vec::<String>::new(), "the server left processes behind");
        (status, took)
    }

    /// Kills the server if it still runs, and starts it again over the same data; on the same port
    /// unless somebody took it meanwhile.
    pub async fn restart(&mut self) {
        self.relaunch(|launch| launch).await;
    }

    /// The same with another configuration.
    pub async fn relaunch(&mut self, change: impl FnOnce(Launch) -> Launch) {
        self.kill9();
        self.past = self.logs();
        self.launch = change(self.launch.clone());
        let same = self.url.trim_start_matches("http://").to_owned();
        self.child = self.launch.spawn(&same);
        if self.wait_ready().await.is_err() {
            self.kill9();
            self.child = self.launch.spawn(&self.launch.listen);
            self.wait_ready().await.unwrap_or_else(|why| panic!("{why}"));
        }
    }

    /// Waits until the server is ready; says how it ended when it did instead.
    pub async fn wait_ready(&mut self) -> Result<(), String> {
        let end = Instant::now() + START_LIMIT;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server ended at its start with {status}:\n{}", self.tails()));
            }
            if let Some(url) = self.announced() {
                self.url = url;
                if self.client().is_ready().await {
                    return Ok(());
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(format!("the server was not ready after {START_LIMIT:?}:\n{}", self.tails()))
    }

    /// The address on the server's standard output, once its line is complete.
    fn announced(&self) -> Option<String> {
        let text = fs::read_to_string(self.launch.home.join("stdout")).ok()?;
        let (_, rest) = text.split_once(READY_LINE)?;
        let (url, _) = rest.split_once('\n')?;
        Some(url.trim().trim_end_matches('/').to_owned())
    }

    fn tails(&self) -> String {
        let part = |name: &str| format!("--- {name}\n{}\n", tail(&self.launch.home.join(name), 60));
        format!("{}{}", part("stdout"), part("stderr"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            let test = thread::current().name().unwrap_or("main").to_owned();
            eprintln!(
                "\nthe server's last words (repeat with: cargo nextest run -p pixel-server {test})\n{}",
                self.tails()
            );
        }
        if let Err(why) = end_group(&mut self.child) {
            assert!(thread::panicking(), "{why}");
        }
    }
}
