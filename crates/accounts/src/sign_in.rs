//! What a sign-in is made of, and what may come of it.

use futures_util::future::BoxFuture;
use pixel_core::vendor::Secret;

/// What the holder of an account has told us. Prints as stars.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    pub username: Option<Secret>,
    pub password: Option<Secret>,
    /// A token that the holder has taken from the browser.
    pub token: Option<Secret>,
}

impl Login {
    pub fn can_sign_in(&self) -> bool {
        self.username.is_some() && self.password.is_some()
    }
}

/// Where to sign in, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub login_url: String,
    pub headless: bool,
    /// The browser's program; `None` looks for one.
    pub chromium: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    SignedIn(Secret),
    /// The page wants a person: why in a word, and in a sentence.
    NeedsAttention {
        word: String,
        message: String,
    },
    /// The browser crashed, or took too long.
    Failed(String),
    /// The page was not even asked for.
    NeverBegan(String),
}

/// Signs in, once each time it is asked.
pub trait SignIn: Send + Sync {
    fn sign_in<'a>(&'a self, page: &'a Page, login: &'a Login) -> BoxFuture<'a, Outcome>;
}
