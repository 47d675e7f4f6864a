//! Services that are used as a person uses them.

use serde::Deserialize;

/// A service whose credential is a session: its holder signs in with a name and a password, or pastes
/// a token. Of [`super::Service::key_env`] a set of two variables is name and password, a set of one the token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// What the holder has to know before it is switched on.
    pub notice: String,
    pub web: Address,
    /// The page on which its holder signs in, behind the address of [`Self::web`].
    pub login_path: String,
    /// Where inputs are laid.
    pub upload: Address,
    /// Submissions that may run at the same time with one account, and the variable that says so.
    pub parallel: u32,
    pub parallel_env: String,
    /// The variable that shows the browser's window.
    pub headless_env: String,
}

/// An address, and the variable that replaces it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    pub url: String,
    pub env: String,
}

impl Session {
    /// The addresses that adapters get with a job: of the pages, and of the store of inputs.
    pub fn urls(&self) -> [&Address; 2] {
        [&self.web, &self.upload]
    }
}
