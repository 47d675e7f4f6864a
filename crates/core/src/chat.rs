//! A chat request and what a vendor says to it. Chat is beside tasks: nothing of it is stored.
//!
//! Either a [`Writer`] answers in-process, or a [`Relay`] passes the request on to a vendor. A relay
//! is as pure as the rest of a vendor: it describes the call and reads the documents of the answer,
//! and the engine's door sends and streams.

use crate::{
    Error, Stamp,
    catalog::Model,
    vendor::{Answer, Credential, HttpCall},
};
use serde_json::Value;
use std::time::Duration;

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

/// A vendor that answers chats over its network.
pub trait Relay: Send + Sync {
    /// The call that asks for the answer: whole, or as a stream where the body says so.
    fn call(&self, talk: &Talk<'_>, body: &Value) -> HttpCall;

    /// Reads the whole answer, or one event of a stream, which comes with the status and the headers
    /// of its stream: what our caller gets, in our words, or the error that it is.
    fn read(&self, talk: &Talk<'_>, answer: &Answer) -> Result<Value, Error>;
}

/// One chat as a vendor sees it.
#[derive(Clone, Copy, Debug)]
pub struct Talk<'a> {
    pub card: &'a Model,
    pub credential: &'a Credential,
    /// Without a slash at its end.
    pub base_url: &'a str,
    /// What follows it.
    pub path: &'a str,
    /// Ours, for an answer to which the vendor gives no id.
    pub id: &'a str,
    pub is_streamed: bool,
    /// The whole exchange.
    pub timeout: Duration,
    pub now: Stamp,
}
