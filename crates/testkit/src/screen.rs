//! A screen that nobody sees, and a hand that presses what stands on it.

use crate::{
    process::{command, end_group, leash, tail},
    wait,
};
use std::{
    fs::File,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(30);
/// Whoever opens a window may have to wait for its turn.
const WINDOW_LIMIT: Duration = Duration::from_secs(150);
const SIZE: (u32, u32) = (1280, 1000);

/// An X server of the test's own. Dropping it ends it.
pub struct Screen {
    child: Child,
    display: String,
}

impl Screen {
    pub async fn start(home: &Path) -> Self {
        let (width, height) = SIZE;
        let mut words = leash("KILL");
        words.extend(["Xvfb", "-displayfd", "1", "-nolisten", "tcp", "-screen", "0"].map(Into::into));
        words.push(format!("{width}x{height}x24").into());
        let out = home.join("screen");
        let file = File::create(&out).expect("the home folder can be written");
        let mut command = command(&words);
        command.process_group(0).stdin(Stdio::null()).stdout(file).stderr(Stdio::null());
        let child = command.spawn().expect("install Xvfb (Debian: xvfb)");
        let number = wait::until("screen", LIMIT, || {
            let text = tail(&out, 1);
            async move { text.trim().parse::<u32>().ok() }
        });
        let display = format!(":{}", number.await);
        Self { child, display }
    }

    /// The value of `DISPLAY`.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// Waits for a window whose title holds this and presses at a place in it, in hundredths of its sides.
    pub async fn press(&self, title: &str, across: u32, down: u32) {
        let window = wait::until("window", WINDOW_LIMIT, || {
            let found = self.hand(&["search", "--onlyvisible", "--name", title]);
            async move { found.lines().last().map(ToOwned::to_owned) }
        });
        let window = window.await;
        let text = self.hand(&["getwindowgeometry", "--shell", &window]);
        let side = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')?.parse::<u32>().ok());
            value.unwrap_or_else(|| panic!("no {name} in {text}"))
        };
        let (x, y) = (side("X") + side("WIDTH") * across / 100, side("Y") + side("HEIGHT") * down / 100);
        self.hand(&["mousemove", &x.to_string(), &y.to_string(), "click", "1"]);
    }

    fn hand(&self, words: &[&str]) -> String {
        let out = Command::new("xdotool").args(words).env("DISPLAY", &self.display).output();
        String::from_utf8_lossy(&out.expect("install xdotool (Debian: xdotool)").stdout).into_owned()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Err(why) = end_group(&mut self.child) {
            assert!(std::thread::panicking(), "{why}");
        }
    }
}
