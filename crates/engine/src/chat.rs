//! Chats with vendors: beside tasks, never stored, and never sent again once they may have left.

use crate::{
    Engine,
    door::chat::{Broken, Heard, Stream},
    internal,
    keys::KeyAt,
};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    chat::Talk,
    vendor::{Answer, Credential, Vendor},
};
use pixel_store::now;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

pub use crate::door::chat::ChatLimits;

/// By this, clients of the form know that a stream is whole.
const DONE: &[u8] = b"[DONE]";
/// A call that certainly did not leave is tried once more.
const TRIES: usize = 2;
/// Of an event that is no JSON.
const TEXT_BYTES: usize = 2048;

/// A chat that its vendor has begun to answer.
pub enum Chat {
    Whole(Value),
    Stream(Box<ChatStream>),
}

impl Engine {
    /// Passes a chat on to the model's vendor; `body` is the caller's own, and `id` ours. Returns when
    /// the first words are there, so that what goes wrong before them is an error. Dropping the
    /// future, or the stream, hangs up on the vendor.
    pub async fn chat(&self, card: &Model, body: &Value, is_streamed: bool, id: String) -> Result<Chat, Error> {
        let permit = self.0.chats.clone().try_acquire_owned().map_err(|_| {
            let why = "This server has as many chats under way as it may have. Try again shortly.";
            Error::new(ErrorKind::RateLimited, why).with_retry_after(Some(Duration::from_secs(1)))
        })?;
        let line = Line::of(self, card, is_streamed, id)?;
        match line.ask(body).await.map_err(|broken| line.broken(broken))? {
            Heard::Stream(head, stream) => ChatStream::begin(line, head, stream, permit).await,
            Heard::Whole(answer) => match line.read(&answer)? {
                _ if is_streamed => Err(line.broken(Broken::Cut("it is whole, though a stream was asked for".into()))),
                document => {
                    line.admitted();
                    Ok(Chat::Whole(document))
                }
            },
        }
    }
}

/// With whom one chat is, and how.
struct Line {
    engine: Engine,
    vendor: Arc<dyn Vendor>,
    /// As people know the vendor.
    name: String,
    card: Model,
    at: KeyAt,
    credential: Credential,
    base_url: String,
    path: String,
    id: String,
    is_streamed: bool,
}

impl Line {
    fn of(engine: &Engine, card: &Model, is_streamed: bool, id: String) -> Result<Self, Error> {
        let lane = engine.lane(&card.provider).ok_or_else(|| internal("a chat with a vendor without a lane"))?;
        let vendor = engine.0.catalog.vendor(&card.provider).ok_or_else(|| internal("a vendor without a card"))?;
        let path = vendor.chat_path(card).ok_or_else(|| internal("a chat with a vendor without a path for it"))?;
        let account = lane.account(card.service.as_deref());
        let account = account.ok_or_else(|| internal("a chat with a vendor whose service is gone"))?;
        let no_key = |wait| {
            let message = format!("No key of {} can be used now.", vendor.name);
            Error::new(ErrorKind::VendorUnavailable, message).with_retry_after(Some(wait))
        };
        let at = lane.pick(account, "").map_err(no_key)?;
        let (account, key) = lane.key(at).ok_or_else(|| internal("a key that is gone"))?;
        Ok(Self {
            engine: engine.clone(),
            vendor: lane.options.vendor.clone(),
            name: vendor.name.clone(),
            card: card.clone(),
            at,
            credential: key.credential.clone(),
            base_url: account.base_url.clone(),
            path: path.to_owned(),
            id,
            is_streamed,
        })
    }

    fn talk(&self) -> Talk<'_> {
        Talk {
            card: &self.card,
            credential: &self.credential,
            base_url: &self.base_url,
            path: &self.path,
            id: &self.id,
            is_streamed: self.is_streamed,
            timeout: self.engine.0.options.chat.total,
            now: now(),
        }
    }

    async fn ask(&self, body: &Value) -> Result<Heard, Broken> {
        let relay = self.vendor.chat(&self.card).ok_or_else(|| Broken::Unsent("it has no chat".to_owned()))?;
        let call = relay.call(&self.talk(), body);
        let (door, limits) = (&self.engine.0.door, &self.engine.0.options.chat);
        let mut tries = 1;
        loop {
            match door.chat(&call, self.is_streamed, limits).await {
                Err(Broken::Unsent(why)) if tries < TRIES => tracing::info!(why, "the chat did not leave; once more"),
                heard => return heard,
            }
            tries += 1;
        }
    }

    /// A document of the answer in our words. An error may say something about the credential.
    fn read(&self, answer: &Answer) -> Result<Value, Error> {
        let relay = self.vendor.chat(&self.card).ok_or_else(|| internal("a chat with a vendor that has none"))?;
        relay.read(&self.talk(), answer).inspect_err(|error| {
            tracing::warn!(code = error.kind.code(), detail = error.detail, "a chat was refused, or has failed");
            self.engine.lane(&self.card.provider).iter().for_each(|lane| lane.note(self.at, error));
        })
    }

    /// The vendor knew our credential.
    fn admitted(&self) {
        self.engine.lane(&self.card.provider).iter().for_each(|lane| lane.admitted(self.at));
    }

    fn broken(&self, broken: Broken) -> Error {
        let name = &self.name;
        let (kind, message, why) = match broken {
            Broken::Unsent(why) => (ErrorKind::VendorUnavailable, format!("{name} cannot be reached."), why),
            Broken::Late(why) => (ErrorKind::DeadlineExceeded, format!("{name} did not answer in time."), why),
            Broken::Cut(why) => (ErrorKind::Unclear, format!("The answer of {name} broke off or makes no sense."), why),
        };
        tracing::warn!(code = kind.code(), why, "a chat has failed");
        Error::new(kind, message).with_detail(why)
    }
}

/// The chunks of an answer, in our words. Dropping it hangs up on the vendor.
pub struct ChatStream {
    line: Line,
    /// Absent once it has ended.
    stream: Option<Box<Stream>>,
    /// The head of the answer, into which each event is put to be read.
    answer: Answer,
    first: Option<Value>,
    /// Whether the last words were said to be the last.
    is_finished: bool,
    _permit: OwnedSemaphorePermit,
}

impl ChatStream {
    async fn begin(
        line: Line,
        answer: Answer,
        stream: Box<Stream>,
        permit: OwnedSemaphorePermit,
    ) -> Result<Chat, Error> {
        let (stream, first, is_finished) = (Some(stream), None, false);
        let mut all = Self { line, stream, answer, first, is_finished, _permit: permit };
        match all.hear().await? {
            None => Err(all.line.broken(Broken::Cut("it ended without a word".to_owned()))),
            first => {
                all.line.admitted();
                all.first = first;
                Ok(Chat::Stream(Box::new(all)))
            }
        }
    }

    /// The next chunk. After an error there is nothing more; without one, the answer is whole.
    pub async fn next(&mut self) -> Option<Result<Value, Error>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        let heard = self.hear().await;
        if !matches!(heard, Ok(Some(_))) {
            self.stream = None;
        }
        heard.transpose()
    }

    async fn hear(&mut self) -> Result<Option<Value>, Error> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        loop {
            let data = stream.next().await.map_err(|broken| self.line.broken(broken))?;
            match data.as_deref().map(<[u8]>::trim_ascii) {
                Some(DONE) => return Ok(None),
                // Some say only that they live.
                Some(b"") => {}
                Some(data) => {
                    (self.answer.body, self.answer.text) = document(data);
                    let chunk = self.line.read(&self.answer)?;
                    self.is_finished = is_finished(&chunk).unwrap_or(self.is_finished);
                    return Ok(Some(chunk));
                }
                // Not every vendor sends the word of the end.
                None if self.is_finished => return Ok(None),
                None => return Err(self.line.broken(Broken::Cut("the stream ended too early".to_owned()))),
            }
        }
    }
}

/// The JSON of an event, or the start of what is none.
fn document(data: &[u8]) -> (Value, Option<String>) {
    match serde_json::from_slice(data) {
        Ok(json) => (json, None),
        Err(_) => (Value::Null, Some(String::from_utf8_lossy(&data[..data.len().min(TEXT_BYTES)]).into_owned())),
    }
}

/// Whether a chunk ends every choice that it holds; nothing is said by one without choices.
fn is_finished(chunk: &Value) -> Option<bool> {
    let choices = chunk["choices"].as_array().filter(|choices| !choices.is_empty())?;
    Some(choices.iter().all(|choice| choice["finish_reason"].is_string()))
}
