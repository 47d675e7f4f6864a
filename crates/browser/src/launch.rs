//! Starts Chromium with a fresh profile, in its own process group, tied to us by two pipes.

use crate::{
    cdp::{Fault, Link},
    find::Surroundings,
    watch,
};
use rustix::process::{Pid, geteuid, getpid, set_child_subreaper};
use serde_json::json;
use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt,
    process::{ChildStderr, ChildStdin, ChildStdout},
};

const START_LIMIT: Duration = Duration::from_secs(30);
/// The end of what Chromium says about itself, for when it does not start.
const WORDS_BYTES_MAX: usize = 1024;

/// The language in which the page is to come. Chromium takes it for its own words from `--lang` or
/// the variable, for its requests from `--accept-lang` or the profile.
const LANGUAGE: &str = "en-US";

/// Chromium's end of the pipes must be files 3 and 4. The shell stays behind it and removes the
/// profile when Chromium ends, as it does when the pipes do, even if we were killed.
const SCRIPT: &str = r#"profile=$1; shift; "$@" 3<&0 4>&1 0</dev/null 1>/dev/null; rm -rf -- "$profile""#;

/// No traffic of its own, no extensions, nothing that asks the holder.
const ARGUMENTS: &[&str] = &[
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-startup-window",
    "--no-default-browser-check",
    "--no-pings",
    "--password-store=basic",
    "--mute-audio",
    "--disable-breakpad",
    "--disable-extensions",
    "--disable-component-extensions-with-background-pages",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-client-side-phishing-detection",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-features=Translate,MediaRouter,OptimizationHints,AutofillServerCommunication",
    "--window-size=1280,900",
];

pub struct Chromium {
    pub link: Link,
    group: Pid,
    /// Its crash handlers, which leave the group at the start; without them no page lives.
    strays: Vec<Pid>,
    profile: Option<TempDir>,
    words: Arc<Mutex<Vec<u8>>>,
}

impl Chromium {
    pub fn launch(program: &Path, headless: bool, surroundings: &Surroundings) -> Result<Self, String> {
        if !headless && !surroundings.has_display() {
            return Err("headless: false needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set: start \
                        Pixel in a desktop session or under xvfb-run, or let the window be"
                .to_owned());
        }
        let profile = profile().map_err(|error| format!("no folder for Chromium's profile: {error}"))?;
        // Processes that Chromium leaves come to us to be reaped.
        if let Err(error) = set_child_subreaper(Some(getpid())) {
            tracing::warn!(%error, "processes that Chromium leaves behind may stay as zombies");
        }
        let mut command = command(program, profile.path(), headless, surroundings);
        let mut child = command.spawn().map_err(|error| format!("{} does not start: {error}", program.display()))?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("Chromium got no process id")?;
        let pipes = (|| {
            let commands = ChildStdin::from_std(child.stdin.take()?).ok()?;
            let answers = ChildStdout::from_std(child.stdout.take()?).ok()?;
            Some((Link::new(commands, answers), ChildStderr::from_std(child.stderr.take()?).ok()?))
        })();
        let Some((link, stderr)) = pipes else {
            watch::kill(group, &[]);
            return Err("the pipes to Chromium cannot be used".to_owned());
        };
        let words = Arc::default();
        tokio::spawn(listen(stderr, Arc::clone(&words)));
        Ok(Self { link, group, strays: Vec::new(), profile: Some(profile), words })
    }

    pub fn group(&self) -> Pid {
        self.group
    }

    /// Waits until Chromium answers and opens a page, or says why it cannot; returns the page's id.
    pub async fn open_page(&mut self) -> Result<String, String> {
        let answer = self.link.call(None, "Target.createTarget", json!({"url": "about:blank"}), START_LIMIT).await;
        self.note_strays();
        match answer.map(|answer| answer["targetId"].as_str().map(str::to_owned)) {
            Ok(Some(id)) => Ok(id),
            Ok(None) => Err("Chromium opened a page without an id".to_owned()),
            Err(Fault::Closed) => Err(format!("Chromium does not start: {}", self.last_words())),
            Err(fault) => Err(fault.to_string()),
        }
    }

    fn note_strays(&mut self) {
        let Some(profile) = &self.profile else { return };
        let strays = watch::strays(self.group, profile.path());
        let new: Vec<Pid> = strays.into_iter().filter(|stray| !self.strays.contains(stray)).collect();
        self.strays.extend(new);
    }

    fn last_words(&self) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&words);
        let line = text.lines().rev().find(|line| !line.trim().is_empty());
        line.unwrap_or("it said nothing").trim().to_owned()
    }

    /// Kills what is left of Chromium, waits until it is gone, and removes its profile.
    pub async fn end(mut self) {
        self.note_strays();
        watch::kill(self.group, &self.strays);
        watch::reap(self.group, &self.strays).await;
        if let Some(profile) = self.profile.take() {
            let path = profile.keep();
            match tokio::fs::remove_dir_all(&path).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, path = %path.display(), "the profile could not be removed");
                }
                _ => {}
            }
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Not so after `end`, which has reaped the group: its id may be another's.
        if self.profile.is_some() {
            watch::kill(self.group, &self.strays);
        }
    }
}

/// A folder that only we can read, with the little that Chromium must know from the start.
fn profile() -> io::Result<TempDir> {
    let prefix = format!("pixel-browser-{}-", std::process::id());
    let profile = tempfile::Builder::new().prefix(&prefix).permissions(fs::Permissions::from_mode(0o700)).tempdir()?;
    fs::create_dir_all(profile.path().join("Default"))?;
    fs::create_dir(profile.path().join("tmp"))?;
    let preferences = json!({
        "intl": {"accept_languages": format!("{LANGUAGE},en"), "selected_languages": format!("{LANGUAGE},en")},
        "credentials_enable_service": false,
        "profile": {"password_manager_enabled": false},
        "autofill": {"profile_enabled": false, "credit_card_enabled": false},
        "translate": {"enabled": false},
        "download": {"prompt_for_download": true},
    });
    fs::write(profile.path().join("Default/Preferences"), preferences.to_string())?;
    Ok(profile)
}

fn command(program: &Path, profile: &Path, headless: bool, surroundings: &Surroundings) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "sh"]).arg(profile).arg(program).args(ARGUMENTS);
    command.arg(format!("--lang={LANGUAGE}")).arg(format!("--accept-lang={LANGUAGE}"));
    let mut folder = OsStr::new("--user-data-dir=").to_owned();
    folder.push(profile);
    command.arg(folder);
    if headless {
        command.arg("--headless=new");
    }
    if geteuid().is_root() {
        tracing::warn!(
            "Chromium runs WITHOUT ITS SANDBOX, because this process runs as root and Chromium's sandbox refuses root. \
             A page that breaks out of Chromium would be root here: run Pixel as a user of its own."
        );
        command.arg("--no-sandbox");
    }
    command.env_clear().env("PATH", &surroundings.path);
    command.env("LANGUAGE", "en_US").env("LANG", "C.UTF-8").env("TMPDIR", profile.join("tmp"));
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"] {
        command.env(name, profile);
    }
    if !headless {
        command.envs(surroundings.display.iter().map(|(name, value)| (name, value)));
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0);
    command
}

/// Keeps the end of what is said, so that the pipe never fills.
async fn listen(mut stderr: ChildStderr, words: Arc<Mutex<Vec<u8>>>) {
    let mut chunk = [0; 4096];
    while let Ok(length @ 1..) = stderr.read(&mut chunk).await {
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend_from_slice(&chunk[..length]);
        let excess = words.len().saturating_sub(WORDS_BYTES_MAX);
        words.drain(..excess);
    }
}
