//! Carries a chat out: the call, and its answer as a whole or event by event while it comes.
//!
//! Nothing of it is recorded and nothing is sent twice. Whoever drops what is returned here hangs up
//! on the vendor, whose work ends with it: every chat has a connection of its own.

use super::{
    Door,
    answer::{self, Pieces, head},
    client::why,
    events::{Event, Events},
    request,
};
use bytes::Bytes;
use pixel_core::vendor::{Answer, HttpCall};
use reqwest::Response;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;
use url::Url;

/// What a chat may take of time and bytes, apart from the call's own time-out.
#[derive(Clone, Debug)]
pub struct ChatLimits {
    /// Until the answer begins, where it is a stream.
    pub first_byte: Duration,
    /// Between two events or comments of a stream.
    pub idle: Duration,
    /// The whole exchange.
    pub total: Duration,
    /// One event of a stream.
    pub event_bytes: usize,
    /// All of a stream.
    pub stream_bytes: u64,
}

impl Default for ChatLimits {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(900),
            event_bytes: 1 << 20,
            stream_bytes: 64 << 20,
        }
    }
}

/// Why there is no more. The reasons are for the operator; they hold no secret and no query.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Proven that no byte of the request was written.
    Unsent(String),
    Late(String),
    Cut(String),
}

/// An answer that begins.
#[derive(Debug)]
pub(crate) enum Heard {
    Whole(Answer),
    /// Its status and headers, and its events.
    Stream(Answer, Box<Stream>),
}

impl Door {
    /// Sends a chat once and waits for its answer to begin; all of it, unless it is a stream.
    pub(crate) async fn chat(&self, call: &HttpCall, is_streamed: bool, limits: &ChatLimits) -> Result<Heard, Broken> {
        let url = Url::parse(&call.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| Broken::Unsent("the call's address is not an http or https URL".to_owned()))?;
        let (host, path) = (url.host_str().unwrap_or_default().to_owned(), url.path().to_owned());
        let span = tracing::info_span!("vendor_chat", host, path);
        self.begin(call, url, is_streamed, limits).instrument(span).await
    }

    async fn begin(&self, call: &HttpCall, url: Url, is_streamed: bool, limits: &ChatLimits) -> Result<Heard, Broken> {
        let ready = self.ready(call).await.map_err(Broken::Unsent)?;
        let request = request(call, url, ready).map_err(Broken::Unsent)?;
        let deadline = Instant::now() + call.timeout;
        // A text that comes as a whole begins when it is written.
        let first = if is_streamed { deadline.min(Instant::now() + limits.first_byte) } else { deadline };
        let response = match timeout_at(first, self.inner.clients.of(true).execute(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() => return Err(Broken::Unsent(why(error))),
            Ok(Err(error)) => return Err(Broken::Cut(why(error))),
            Err(_) => return Err(Broken::Late("the answer did not begin in time".to_owned())),
        };
        tracing::debug!(status = response.status().as_u16(), "the answer begins");
        if is_streamed && response.status().is_success() && is_event_stream(&response) {
            let head = head(&response);
            return Ok(Heard::Stream(head, Box::new(Stream::new(response, first, deadline, limits))));
        }
        let whole = self.whole(call, response);
        let whole =
            timeout_at(deadline, whole).await.map_err(|_| Broken::Late("it was not over in time".to_owned()))?;
        whole.map(Heard::Whole).map_err(Broken::Cut)
    }

    async fn whole(&self, call: &HttpCall, response: Response) -> Result<Answer, String> {
        let mut pieces = Pieces::new(response, None, self.inner.turns.transfer());
        answer::read(&mut pieces, call, &self.inner.blobs, &self.inner.limits).await
    }
}

fn is_event_stream(response: &Response) -> bool {
    let content_type = response.headers().get(reqwest::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|text| text.split(';').next()).unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("text/event-stream")
}

/// The events of an answer. Dropping it closes the connection.
pub(crate) struct Stream {
    response: Response,
    /// Absent once the stream has ended.
    events: Option<Events>,
    /// What has come and is not yet read.
    piece: Bytes,
    bytes: u64,
    bytes_max: u64,
    idle: Duration,
    /// When there must be another event.
    next: Instant,
    deadline: Instant,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream({} bytes)", self.bytes)
    }
}

impl Stream {
    fn new(response: Response, first: Instant, deadline: Instant, limits: &ChatLimits) -> Self {
        Self {
            response,
            events: Some(Events::new(limits.event_bytes)),
            piece: Bytes::new(),
            bytes: 0,
            bytes_max: limits.stream_bytes,
            idle: limits.idle,
            next: first,
            deadline,
        }
    }

    /// The data of the next event; nothing when the stream has come to a clean end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        loop {
            let Some(events) = &mut self.events else { return Ok(None) };
            let mut rest = &*self.piece;
            let event = events.next(&mut rest).map_err(Broken::Cut)?;
            let read = self.piece.len() - rest.len();
            self.piece = self.piece.slice(read..);
            if event.is_some() {
                self.next = self.deadline.min(Instant::now() + self.idle);
            }
            match event {
                Some(Event::Data(data)) => return Ok(Some(data)),
                Some(Event::Comment) => {}
                None => match self.receive().await? {
                    Some(piece) => self.piece = piece,
                    None => return Ok(self.events.take().and_then(Events::finish)),
                },
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Broken> {
        let piece = match timeout_at(self.next, self.response.chunk()).await {
            Ok(piece) => piece.map_err(|error| Broken::Cut(format!("the stream broke off: {}", why(error))))?,
            Err(_) if self.next == self.deadline => return Err(Broken::Late("it was not over in time".to_owned())),
            Err(_) => return Err(Broken::Late("no event came in time".to_owned())),
        };
        self.bytes += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        match self.bytes > self.bytes_max {
            true => Err(Broken::Cut(format!("the stream is larger than {} bytes", self.bytes_max))),
            false => Ok(piece),
        }
    }
}
