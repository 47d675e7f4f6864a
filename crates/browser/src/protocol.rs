//! What is said to this process and by it: a line of JSON each.

use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf};
use url::{Host, Url};

const TIMEOUT_S_MAX: u64 = 900;
const MEMORY_MIB: u64 = 1024;

/// A password or a token: prints as stars, goes out only in the outcome's line.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What to sign in to, and as whom.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub login_url: String,
    pub username: String,
    pub password: Secret,
    /// Without a window. With one, the holder of the account presses the button.
    pub headless: bool,
    /// The program to use; looked for when left out.
    #[serde(default)]
    pub chromium: Option<PathBuf>,
    pub timeout_s: u64,
    /// What Chromium with all its processes may hold before it is killed; 1024 when left out.
    #[serde(default)]
    pub memory_mib: Option<u64>,
}

impl Request {
    /// The message of a failure names the place, never what stands there: a password could.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        if line.is_empty() {
            return Err("no request: write one line of JSON to standard input".to_owned());
        }
        serde_json::from_slice(line).map_err(|error| {
            let (kind, column) = (error.classify(), error.column());
            format!(
                "the request cannot be read ({kind:?} error at column {column}): one line of JSON with login_url, \
                 username, password, headless, chromium, timeout_s"
            )
        })
    }

    /// The address of the page, when all of the request can be used.
    pub fn check(&self) -> Result<Url, String> {
        let url = Url::parse(&self.login_url).map_err(|error| format!("login_url: must be an address: {error}"))?;
        let is_loopback = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        match url.scheme() {
            "https" => {}
            "http" if is_loopback => {}
            _ => return Err("login_url: must begin with https://, since a password goes there".to_owned()),
        }
        if self.username.is_empty() || self.password.reveal().is_empty() {
            return Err("username, password: both are needed".to_owned());
        }
        if !(1..=TIMEOUT_S_MAX).contains(&self.timeout_s) {
            return Err(format!("timeout_s: must be 1 to {TIMEOUT_S_MAX}"));
        }
        if self.memory_mib == Some(0) {
            return Err("memory_mib: must be at least 1".to_owned());
        }
        Ok(url)
    }

    pub fn memory_bytes_max(&self) -> u64 {
        self.memory_mib.unwrap_or(MEMORY_MIB).saturating_mul(1024 * 1024)
    }
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    SignedIn {
        token: Secret,
    },
    /// Only the holder of the account can go on.
    NeedsAttention {
        reason: Reason,
        message: String,
    },
    /// It may go better another time.
    Failed {
        message: String,
        /// The page was not even asked for.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        never_began: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A captcha, a code or another proof of being a person is asked for.
    Verification,
    /// The page is kept from us before it is shown.
    Edge,
    WrongPassword,
    /// The fields are there and nothing that could be pressed for sure.
    NoLoginButton,
}

impl Outcome {
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), never_began: false }
    }

    pub fn never_began(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), never_began: true }
    }

    pub fn attention(reason: Reason, message: impl Into<String>) -> Self {
        Self::NeedsAttention { reason, message: message.into() }
    }

    pub fn line(&self) -> String {
        // A map of texts always has a JSON form.
        serde_json::to_string(self).unwrap_or_else(|error| format!(r#"{{"outcome":"failed","message":"{error}"}}"#))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(change: impl FnOnce(&mut serde_json::Value)) -> Result<Request, String> {
        let mut value = json!({"login_url": "https://app.example.org/login", "username": "holder", "password": "hunter2",
            "headless": true, "chromium": null, "timeout_s": 90});
        change(&mut value);
        let request = Request::parse(value.to_string().as_bytes())?;
        request.check().map(|_| request)
    }

    #[test]
    fn a_request_is_read_and_prints_no_secret() {
        let request = parse(|_| {}).unwrap();
        assert_eq!((request.password.reveal(), request.memory_bytes_max()), ("hunter2", 1 << 30));
        assert!(!format!("{request:?}").contains("hunter2"));
        assert!(parse(|r| r["login_url"] = "http://127.0.0.1:9900/login".into()).is_ok());
    }

    #[test]
    fn what_is_wrong_is_named_and_not_repeated() {
        for (field, value) in [
            ("login_url", json!("http://app.example.org/login")),
            ("login_url", json!("file:///etc/passwd")),
            ("login_url", json!("app.example.org/login")),
            ("timeout_s", json!(0)),
            ("timeout_s", json!(901)),
            ("memory_mib", json!(0)),
            ("password", json!("")),
        ] {
            let error = parse(|r| r[field] = value).unwrap_err();
            assert!(error.contains(field) && error.contains("must") || error.contains("needed"), "{error}");
        }
        for value in [json!({"deep": "hunter2"}), json!(["hunter2"])] {
            let error = parse(|r| r["timeout_s"] = value).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = Request::parse(br#"{"password":"hunter2","hunter2":1"#).unwrap_err();
        assert!(!error.contains("hunter2") && error.contains("login_url"), "{error}");
    }

    #[test]
    fn outcomes_have_the_agreed_form() {
        let line = Outcome::SignedIn { token: Secret::new("t") }.line();
        assert_eq!(line, r#"{"outcome":"signed_in","token":"t"}"#);
        let line = Outcome::attention(Reason::WrongPassword, "m").line();
        assert_eq!(line, r#"{"outcome":"needs_attention","reason":"wrong_password","message":"m"}"#);
        assert_eq!(Outcome::failed("a\nb").line(), r#"{"outcome":"failed","message":"a\nb"}"#);
        let line = Outcome::never_began("m").line();
        assert_eq!(line, r#"{"outcome":"failed","message":"m","never_began":true}"#);
        assert!(!format!("{:?}", Outcome::SignedIn { token: Secret::new("jwt") }).contains("jwt"));
    }
}
