//! What has no printable form.

use std::fmt;

/// A header's value; the secret kind prints as stars.
#[derive(Clone, Debug)]
pub enum Field {
    Plain(String),
    Secret(Secret),
}

/// Text that has no printable form.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the wire only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The values of a vendor's key variables, in the order of its card.
#[derive(Clone, Debug, Default)]
pub struct Credential(pub Vec<Secret>);

impl Credential {
    /// `Bearer …` with the first value.
    pub fn bearer(&self) -> Field {
        Field::Secret(Secret::new(format!("Bearer {}", self.0.first().map_or("", Secret::reveal))))
    }
}
