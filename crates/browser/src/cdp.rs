//! The DevTools protocol over the two pipes that Chromium was given: JSON, each message ended by a
//! zero byte. No port is opened, and Chromium ends when the pipe does.

use serde_json::{Value, json};
use std::{collections::VecDeque, fmt, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{ChildStdin, ChildStdout},
    time::{Instant, timeout_at},
};

const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// More than any page causes between two looks at them.
const EVENTS_MAX: usize = 20_000;

#[derive(Debug)]
pub struct Event {
    pub session: Option<String>,
    pub method: String,
    pub params: Value,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// The pipe ended: Chromium is gone.
    Closed,
    /// No answer in time.
    Late,
    /// Chromium's own words about a command.
    Refused(String),
    /// The other end does not keep to the protocol or to our limits.
    Broken(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("Chromium ended before the sign-in did"),
            Self::Late => f.write_str("Chromium did not answer in time"),
            Self::Refused(why) => write!(f, "Chromium refused a command: {why}"),
            Self::Broken(what) => write!(f, "Chromium sent {what}"),
        }
    }
}

pub struct Link {
    commands: ChildStdin,
    answers: ChildStdout,
    buffer: Vec<u8>,
    /// How much of the buffer was searched for the end of a message.
    searched: usize,
    last_id: u64,
    events: VecDeque<Event>,
}

impl Link {
    pub fn new(commands: ChildStdin, answers: ChildStdout) -> Self {
        Self { commands, answers, buffer: Vec::new(), searched: 0, last_id: 0, events: VecDeque::new() }
    }

    /// Sends a command and waits for its answer; events that come meanwhile are kept.
    pub async fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
        limit: Duration,
    ) -> Result<Value, Fault> {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let until = Instant::now() + limit;
        match timeout_at(until, self.commands.write_all(&bytes)).await {
            Err(_) => return Err(Fault::Late),
            Ok(Err(_)) => return Err(Fault::Closed),
            Ok(Ok(())) => {}
        }
        loop {
            let Some(mut message) = self.message(until).await? else { return Err(Fault::Late) };
            if message["id"] == id {
                return match message["error"]["message"].as_str() {
                    Some(why) => Err(Fault::Refused(why.to_owned())),
                    None => Ok(message["result"].take()),
                };
            }
            self.keep(message)?;
        }
    }

    /// Waits for at most that long for an event, and takes the oldest.
    pub async fn event(&mut self, limit: Duration) -> Result<Option<Event>, Fault> {
        let until = Instant::now() + limit;
        while self.events.is_empty() {
            let Some(message) = self.message(until).await? else { return Ok(None) };
            self.keep(message)?;
        }
        Ok(self.events.pop_front())
    }

    /// Answers of commands that were given up are passed over.
    fn keep(&mut self, mut message: Value) -> Result<(), Fault> {
        let Some(method) = message["method"].as_str().map(str::to_owned) else { return Ok(()) };
        if self.events.len() >= EVENTS_MAX {
            return Err(Fault::Broken("more events than can be looked at"));
        }
        let session = message["sessionId"].as_str().map(str::to_owned);
        self.events.push_back(Event { session, method, params: message["params"].take() });
        Ok(())
    }

    async fn message(&mut self, until: Instant) -> Result<Option<Value>, Fault> {
        loop {
            if let Some(length) = self.buffer[self.searched..].iter().position(|byte| *byte == 0) {
                let end = self.searched + length;
                let message = serde_json::from_slice(&self.buffer[..end]);
                self.buffer.drain(..=end);
                self.searched = 0;
                return message.map(Some).map_err(|_| Fault::Broken("what is no JSON"));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > MESSAGE_BYTES_MAX {
                return Err(Fault::Broken("a message without an end"));
            }
            match timeout_at(until, self.answers.read_buf(&mut self.buffer)).await {
                Err(_) => return Ok(None),
                Ok(Ok(0) | Err(_)) => return Err(Fault::Closed),
                Ok(Ok(_)) => {}
            }
        }
    }
}
