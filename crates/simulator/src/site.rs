//! How a vendor's site behaves where somebody signs in with a password.

use serde::{Deserialize, Serialize};

/// The languages that pages are written in.
pub const LANGUAGES: [&str; 3] = ["en", "ru", "zh"];

/// Pages, sign-ins and rights; the default is a site that works and asks for nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Site {
    /// The language of the pages, whatever the browser asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Signing in brings up a box that wants to see a person.
    pub verification: bool,
    /// The edge turns everybody away: 403 with a page.
    pub edge: bool,
    /// Milliseconds before a page is answered.
    pub slow_ms: u64,
    /// How often the sign-in button must be pressed before it does something.
    pub presses: u32,
    /// Seconds for which a token works.
    pub token_s: u64,
    /// Seconds for which the rights to upload work.
    pub upload_s: u64,
    /// What an account has before it pays for anything.
    pub credits: u64,
    /// Jobs that an account may have at once.
    pub at_once: usize,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            language: None,
            verification: false,
            edge: false,
            slow_ms: 0,
            presses: 1,
            token_s: 30 * 24 * 3600,
            upload_s: 3_600,
            credits: 100_000,
            at_once: 100,
        }
    }
}

impl Site {
    pub(crate) fn check(&self) -> Result<(), String> {
        match &self.language {
            Some(language) if !LANGUAGES.contains(&language.as_str()) => {
                Err(format!("site.language: '{language}' is not one of {}", LANGUAGES.join(", ")))
            }
            _ => Ok(()),
        }
    }
}
