//! Prefixed ids as distinct types, so that a media id can never be passed for a task id.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            /// Makes the id from 128 bits; a version 7 UUID makes ids that sort by time.
            pub fn from_bits(bits: u128) -> Self {
                Self(format!("{}{bits:032x}", $prefix))
            }

            /// Reads an id that came from outside; `None` when it is not of this kind.
            pub fn parse(text: &str) -> Option<Self> {
                let rest = text.strip_prefix($prefix)?;
                let fits = rest.len() == 32 && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                fits.then(|| Self(text.to_owned()))
            }

            /// Takes an id that our own store wrote.
            pub fn trusted(text: String) -> Self {
                Self(text)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

prefixed_id!(
    /// A generation that somebody asked for.
    TaskId, "task_"
);
prefixed_id!(
    /// A stored picture, clip, sound or input.
    MediaId, "med_"
);
prefixed_id!(
    /// One send of one paid call to a vendor.
    AttemptId, "att_"
);

/// `provider/model_key`: exactly one slash, neither side empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelId(String);

impl ModelId {
    /// Reads a composite id; `None` when it is not of the form.
    pub fn parse(text: &str) -> Option<Self> {
        let (provider, key) = text.split_once('/')?;
        let fits = !provider.is_empty() && !key.is_empty() && !key.contains('/');
        fits.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn provider(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    pub fn key(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or_default()
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_kind() {
        let id = TaskId::from_bits(7);
        assert_eq!(TaskId::parse(id.as_str()), Some(id.clone()));
        assert_eq!(MediaId::parse(id.as_str()), None);
        assert_eq!(TaskId::parse("task_ABC"), None);
    }

    #[test]
    fn model_ids_have_one_slash() {
        assert!(ModelId::parse("a/b").is_some());
        for bad in ["", "a", "/b", "a/", "/", "a/b/c", "a//b"] {
            assert_eq!(ModelId::parse(bad), None, "{bad}");
        }
    }
}
