//! A chat request and what a vendor says to it. Chat is beside tasks: nothing of it is stored.

use crate::{Error, catalog::Model};
use serde_json::Value;

/// One chat completion as asked, in the chat-completions shape that most servers share.
#[derive(Clone, Debug)]
pub struct Chat {
    pub messages: Vec<Message>,
    /// At most so many tokens of answer; a token is the vendor's own unit.
    pub max_tokens: Option<u32>,
    pub seed: Option<u64>,
    /// The whole body, for vendors that speak the same wire form.
    pub body: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub role: String,
    /// The text parts of the content, joined.
    pub text: String,
}

/// Why the answer ended, by the words of the wire form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    Stop,
    Length,
}

impl Finish {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// An answer made in-process: the pieces in the order in which a stream sends them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub pieces: Vec<String>,
    pub finish: Finish,
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
}

/// A vendor that writes its chat answers itself, without a network.
pub trait Writer: Send + Sync {
    fn write(&self, chat: &Chat, card: &Model) -> Result<Written, Error>;
}
