//! Signs in with a browser, in a process of its own: this server's program under another name. What
//! it must know goes through its standard input, so that no list of processes shows it.

use crate::sign_in::{Login, Outcome, Page, SignIn};
use futures_util::future::BoxFuture;
use pixel_core::vendor::Secret;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use serde_json::json;
use std::{ffi::OsString, path::PathBuf, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// What the browser is given, and then what its process is.
const PATIENCE: Duration = Duration::from_secs(90);
const GRACE: Duration = Duration::from_secs(15);
/// After its answer.
const CLOSING: Duration = Duration::from_secs(5);
/// Of its answer.
const LINE_BYTES: u64 = 64 << 10;

/// The program, its arguments, and the few variables that it may see.
#[derive(Clone, Debug)]
pub struct Browser {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    pub environment: Vec<(String, String)>,
}

/// Its answer, on one line.
#[derive(Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Said {
    SignedIn {
        token: String,
    },
    NeedsAttention {
        reason: String,
        message: String,
    },
    Failed {
        message: String,
        #[serde(default)]
        never_began: bool,
    },
}

/// A child, and all that it started: none of it outlives this.
struct Family(Child, Option<Pid>);

impl Drop for Family {
    fn drop(&mut self) {
        if let Some(group) = self.1 {
            // There may be nobody left in it.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl SignIn for Browser {
    fn sign_in<'a>(&'a self, page: &'a Page, login: &'a Login) -> BoxFuture<'a, Outcome> {
        Box::pin(async {
            let line = match timeout(PATIENCE + GRACE, self.ask(page, login)).await {
                Ok(Ok(line)) => line,
                Ok(Err(outcome)) => return outcome,
                Err(_) => return Outcome::Failed("the browser did not end in time".to_owned()),
            };
            read(&line)
        })
    }
}

impl Browser {
    async fn ask(&self, page: &Page, login: &Login) -> Result<String, Outcome> {
        let say = |why: std::io::Error| format!("the browser's process cannot be used: {why}");
        let broken = |why| Outcome::Failed(say(why));
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(self.environment.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.process_group(0).kill_on_drop(true).spawn();
        let child = child.map_err(|why| Outcome::NeverBegan(say(why)))?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let mut family = Family(child, group);
        if let Some(mut stdin) = family.0.stdin.take() {
            // One that has ended may have answered all the same.
            let _told = stdin.write_all(order(page, login).as_bytes()).await;
        }
        let mut line = String::new();
        if let Some(stdout) = family.0.stdout.take() {
            // Not to its end: a browser that lingers holds it open.
            BufReader::new(stdout.take(LINE_BYTES)).read_line(&mut line).await.map_err(broken)?;
        }
        if line.trim().is_empty() {
            let status = family.0.wait().await.map_err(broken)?;
            return Err(Outcome::Failed(format!("the browser's process ended with {status} and said nothing")));
        }
        // Its browser is closed in order, if it is quick about it.
        let _ended = timeout(CLOSING, family.0.wait()).await;
        Ok(line)
    }
}

fn order(page: &Page, login: &Login) -> String {
    let text = |secret: &Option<Secret>| secret.as_ref().map_or("", Secret::reveal).to_owned();
    let order = json!({
        "login_url": page.login_url,
        "username": text(&login.username),
        "password": text(&login.password),
        "headless": page.headless,
        "chromium": page.chromium,
        "timeout_s": PATIENCE.as_secs(),
    });
    format!("{order}\n")
}

fn read(line: &str) -> Outcome {
    // Its text is not repeated: it may hold the token.
    match serde_json::from_str(line.trim()) {
        Ok(Said::SignedIn { token }) if is_token(&token) => Outcome::SignedIn(Secret::new(token)),
        Ok(Said::SignedIn { .. }) => Outcome::Failed("the browser found something that is no token".to_owned()),
        Ok(Said::NeedsAttention { reason, message }) => Outcome::NeedsAttention { word: reason, message },
        Ok(Said::Failed { message, never_began: true }) => Outcome::NeverBegan(message),
        Ok(Said::Failed { message, never_began: false }) => Outcome::Failed(message),
        Err(_) => Outcome::Failed("the browser's process gave an answer that cannot be read".to_owned()),
    }
}

/// It becomes a header.
fn is_token(text: &str) -> bool {
    (1..=8192).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        Page { login_url: "http://127.0.0.1:9/login".to_owned(), headless: true, chromium: None }
    }

    fn login() -> Login {
        let secret = |text: &str| Some(Secret::new(text));
        Login { username: secret("holder@example.org"), password: secret("planted-password"), token: None }
    }

    fn script(text: &str) -> Browser {
        let environment = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
        Browser { program: "/bin/sh".into(), arguments: vec!["-c".into(), text.into()], environment }
    }

    async fn run(text: &str) -> Outcome {
        script(text).sign_in(&page(), &login()).await
    }

    #[tokio::test]
    async fn the_order_goes_in_and_the_outcome_comes_out() {
        let echo = r#"read line; case "$line" in *'"password":"planted-password"'*'"timeout_s":90'*)
            echo '{"outcome":"signed_in","token":"eyJ.a.b"}';; esac"#;
        assert_eq!(run(echo).await, Outcome::SignedIn(Secret::new("eyJ.a.b")));
        let attention =
            r#"echo '{"outcome":"needs_attention","reason":"verification","message":"It asks for a code."}'"#;
        let (word, message) = ("verification".to_owned(), "It asks for a code.".to_owned());
        assert_eq!(run(attention).await, Outcome::NeedsAttention { word, message });
        for text in ["exit 3", "echo nonsense", r#"echo '{"outcome":"signed_in","token":"a b"}'"#] {
            assert!(matches!(run(text).await, Outcome::Failed(_)), "{text}");
        }
        let gone = Browser { program: "/nowhere/pixel".into(), ..script("") };
        assert!(matches!(gone.sign_in(&page(), &login()).await, Outcome::NeverBegan(_)));
        let idle = r#"echo '{"outcome":"failed","message":"no display","never_began":true}'"#;
        assert_eq!(run(idle).await, Outcome::NeverBegan("no display".to_owned()));
    }

    #[tokio::test]
    async fn the_child_sees_no_variable_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let text = format!(
            r#"env | grep -v -e '^PATH=' -e '^PWD=' -e '^_=' -e '^SHLVL=' >{0}/env; sleep 600 & echo $! >{0}/pid;
               echo '{{"outcome":"failed","message":"x"}}'; exec >&-"#,
            folder.path().display()
        );
        assert_eq!(run(&text).await, Outcome::Failed("x".to_owned()));
        assert_eq!(std::fs::read_to_string(folder.path().join("env")).unwrap(), "");
        let pid: i32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
        let gone = || async {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        };
        pixel_testkit::wait::until("the grandchild is gone", Duration::from_secs(5), gone).await;
    }

    #[test]
    fn nothing_of_a_login_prints() {
        let printed = format!("{:?} {:?}", login(), Outcome::SignedIn(Secret::new("planted-token")));
        assert!(!printed.contains("planted"), "{printed}");
    }
}
