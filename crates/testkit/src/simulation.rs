//! `pixel simulate` as a process: what its users run, and what a kill may not take from it.

use crate::{
    Client,
    process::{command, end_group, leash, tail},
    wait,
};
use pixel_simulator::HOLDER;
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

const READY_LINE: &str = "Pixel's simulator is ready on ";
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running simulator. Dropping it kills it.
pub struct Simulation {
    binary: PathBuf,
    home: PathBuf,
    args: Vec<OsString>,
    child: Child,
    url: String,
}

impl Simulation {
    /// Starts it on a free port and waits until it is ready; `home` gets its logs.
    pub async fn start(binary: &Path, home: &Path, args: &[&str]) -> Self {
        fs::create_dir_all(home).expect("the home folder can be made");
        let args: Vec<OsString> = args.iter().map(Into::into).collect();
        let child = spawn(binary, home, "127.0.0.1:0", &args);
        let (binary, home, url) = (binary.to_path_buf(), home.to_path_buf(), String::new());
        let mut simulation = Self { binary, home, args, child, url };
        simulation.wait_ready().await;
        simulation
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// The value of a vendor's variable, as the simulator printed it.
    pub fn variable(&self, name: &str) -> String {
        let text = self.stdout();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
    }

    /// The variables of the account way, but for the account itself.
    pub fn account_urls(&self) -> Vec<(&'static str, String)> {
        let web = self.variable("PIXVERSE_WEB_URL");
        vec![("PIXVERSE_UPLOAD_URL", self.variable("PIXVERSE_UPLOAD_URL")), ("PIXVERSE_WEB_URL", web)]
    }

    /// Sets the behaviour, as a script in JSON.
    pub async fn script(&self, script: &Value) {
        let answer = self.client().post("/_script", script).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// What the account did so far: `sign_ins`, `elsewhere`, `calls`, `uploads`.
    pub async fn account(&self) -> Value {
        self.client().get("/_accounts").await.json()["accounts"][HOLDER].clone()
    }

    /// Calls of the account that are counted by their path, such as `video/list/personal`.
    pub async fn calls(&self, path: &str) -> u64 {
        self.account().await["calls"][path].as_u64().unwrap_or_default()
    }

    /// Has something befall the account: `expire-token` or `sign-in-elsewhere`.
    pub async fn befall(&self, action: &str) {
        let answer = self.client().post("/_accounts", &json!({ "action": action })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    pub fn stdout(&self) -> String {
        tail(&self.home.join("stdout"), usize::MAX)
    }

    pub fn kill9(&mut self) {
        end_group(&mut self.child).unwrap_or_else(|why| panic!("{why}"));
    }

    /// Starts it again with the same arguments on the same port.
    pub async fn restart(&mut self) {
        self.kill9();
        let same = self.url.trim_start_matches("http://").to_owned();
        self.child = spawn(&self.binary, &self.home, &same, &self.args);
        self.wait_ready().await;
    }

    async fn wait_ready(&mut self) {
        let (child, home) = (&mut self.child, &self.home);
        let ready = wait::until("simulator", START_LIMIT, || {
            let text = tail(&home.join("stdout"), usize::MAX);
            if let Ok(Some(status)) = child.try_wait() {
                panic!("the simulator ended at its start with {status}:\n{}", tail(&home.join("stderr"), 60));
            }
            let url = text.split_once(READY_LINE).and_then(|(_, rest)| rest.split_once("LAB_BASE_URL"));
            let url = url.and_then(|(rest, _)| Some(rest.lines().next()?.to_owned()));
            async move { url }
        });
        self.url = ready.await;
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        if let Err(why) = end_group(&mut self.child) {
            assert!(std::thread::panicking(), "{why}");
        }
    }
}

fn spawn(binary: &Path, home: &Path, listen: &str, args: &[OsString]) -> Child {
    let mut words = leash("KILL");
    words.extend([binary.into(), "simulate".into(), "--listen".into(), listen.into()]);
    words.extend(args.iter().cloned());
    let file = |name: &str| File::create(home.join(name)).expect("the home folder can be written");
    let mut command = command(&words);
    command.env_clear().current_dir(home).process_group(0);
    command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
    command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()))
}
