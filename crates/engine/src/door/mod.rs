//! The door: the only place from which a vendor is called.
//!
//! A vendor describes a call as data; the door carries it out and says one of three things: here
//! is the answer, the request certainly did not leave, or nobody can tell. The whole money rule
//! hangs on the second being true, so it is said only of errors from before the first byte: our
//! own blobs, the address, the connection and TLS. Secrets and queries stay out of logs and texts.

mod answer;
mod body;
pub(crate) mod chat;
mod client;
mod decode;
mod events;
mod extract;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod leave;
mod multipart;
mod row;
mod sign;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_chat;
#[cfg(test)]
mod tests_extract;

use crate::turns::Turns;
use answer::Pieces;
pub(crate) use answer::head;
use body::Prepared;
use client::{Clients, why};
use pixel_core::vendor::{Answer, Field, HttpCall, Method};
use pixel_store::{blobs::Blobs, crash};
use reqwest::{
    Request, Response,
    header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::time::timeout;
use tracing::{Instrument, Span, field};
use url::Url;

/// Bounds of what an exchange may cost us.
#[derive(Clone, Debug)]
pub struct DoorLimits {
    /// Resolve, connect and TLS together.
    pub connect: Duration,
    /// Until a free call's answer begins, counted from the last byte of an upload that was taken.
    pub first_byte: Duration,
    /// Between two pieces of a free call's answer.
    pub idle: Duration,
    /// The JSON that remains of an answer when its media is taken out, after inflation.
    pub json_bytes: usize,
    /// One piece of media inside a JSON answer, decoded.
    pub embedded_bytes: u64,
    /// An answer that is media as a whole.
    pub media_bytes: u64,
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(15),
            json_bytes: 4 << 20,
            embedded_bytes: 64 << 20,
            media_bytes: 2 << 30,
        }
    }
}

/// What came of a call. The reasons are for the operator; they hold no secret and no query.
#[derive(Clone, Debug)]
pub enum Sent {
    Answer(Answer),
    /// Proven that no byte of the request was written: resolve, connect, TLS.
    Unsent {
        why: String,
    },
    /// Anything else: the vendor may have got the request.
    Unclear {
        why: String,
    },
}

/// A call's body, open, and the headers that are made last.
pub struct Ready {
    prepared: Prepared,
    signed: Vec<(String, Field)>,
}

impl Ready {
    /// Asks once more whether it may leave, when the connection stands and nothing is written yet.
    pub fn leaving_if(self, may: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        let (body, stopped) = leave::guarded(self.prepared.body, Box::new(may));
        Self { prepared: Prepared { body, stopped: Some(stopped), ..self.prepared }, ..self }
    }
}

/// Carries calls out; clones share the connections.
#[derive(Clone)]
pub struct Door {
    inner: Arc<Inner>,
}

struct Inner {
    blobs: Blobs,
    limits: DoorLimits,
    clients: Clients,
    turns: Turns,
}

impl Door {
    pub fn new(blobs: Blobs, limits: DoorLimits) -> Result<Self, String> {
        let clients = Clients::new(&limits)?;
        Ok(Self { inner: Arc::new(Inner { blobs, limits, clients, turns: Turns::default() }) })
    }

    /// Opens what a call's body needs of our own blobs, and signs the call; nothing leaves.
    pub async fn ready(&self, call: &HttpCall) -> Result<Ready, String> {
        let prepared = body::prepare(&call.body, &self.inner.blobs).await?;
        let signed = sign::headers(call, &prepared, &self.inner.blobs).await?;
        Ok(Ready { prepared, signed })
    }

    /// Sends a call once, whatever happens, and reads its answer.
    pub async fn send(&self, call: &HttpCall) -> Sent {
        match self.ready(call).await {
            Ok(ready) => self.send_ready(call, ready).await,
            Err(why) => {
                tracing::warn!(why, "not sent");
                Sent::Unsent { why }
            }
        }
    }

    /// The same for a call that is [ready](Self::ready).
    pub async fn send_ready(&self, call: &HttpCall, ready: Ready) -> Sent {
        let Some(url) = Url::parse(&call.url).ok().filter(|url| matches!(url.scheme(), "http" | "https")) else {
            return Sent::Unsent { why: "the call's address is not an http or https URL".to_owned() };
        };
        let method = method_of(call);
        let (host, path) = (url.host_str().unwrap_or_default(), url.path());
        let span = tracing::info_span!(
            "vendor_call", %method, host, path, status = field::Empty, ms = field::Empty, bytes = field::Empty
        );
        let started = Instant::now();
        let sent = self.exchange(call, url, ready).instrument(span.clone()).await;
        span.record("ms", u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        let _entered = span.enter();
        match &sent {
            Sent::Answer(_) => tracing::debug!("answered"),
            Sent::Unsent { why } => tracing::warn!(why, "not sent"),
            Sent::Unclear { why } => tracing::warn!(why, "no clear answer"),
        }
        sent
    }

    async fn exchange(&self, call: &HttpCall, url: Url, ready: Ready) -> Sent {
        let (taken, stopped) = (ready.prepared.taken.clone(), ready.prepared.stopped.clone());
        let request = match request(call, url, ready) {
            Ok(request) => request,
            Err(why) => return Sent::Unsent { why },
        };
        let exchange = async {
            let response = self.head(call, request, || taken.load(Ordering::Relaxed)).await?;
            crash::point!("door.answering");
            self.answer(call, response).await.map_err(|why| Sent::Unclear { why })
        };
        let done = timeout(call.timeout, exchange).await;
        if stopped.is_some_and(|stopped| stopped.load(Ordering::Acquire)) {
            return Sent::Unsent { why: "it was not allowed to leave any more".to_owned() };
        }
        match done {
            Ok(Ok(answer)) => Sent::Answer(answer),
            Ok(Err(sent)) => sent,
            Err(_) => Sent::Unclear { why: format!("no complete answer within {} ms", call.timeout.as_millis()) },
        }
    }

    /// Sends the request and waits for the answer's head. To give up early on a paid call would
    /// only turn a slow answer into an unclear one, so its own time-out is the one that counts.
    async fn head(&self, call: &HttpCall, request: Request, taken: impl Fn() -> u64) -> Result<Response, Sent> {
        let is_paid = call.repeat.is_paid();
        let first_byte = if is_paid { call.timeout } else { self.inner.limits.first_byte };
        let mut sending = pin!(self.inner.clients.of(is_paid).execute(request));
        loop {
            let before = taken();
            match timeout(first_byte, &mut sending).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) if error.is_connect() => return Err(Sent::Unsent { why: why(error) }),
                Ok(Err(error)) => return Err(Sent::Unclear { why: why(error) }),
                Err(_) if taken() == before => {
                    return Err(Sent::Unclear { why: format!("no answer within {} ms", first_byte.as_millis()) });
                }
                // The upload moves on.
                Err(_) => {}
            }
        }
    }

    async fn answer(&self, call: &HttpCall, response: Response) -> Result<Answer, String> {
        Span::current().record("status", response.status().as_u16());
        let idle = (!call.repeat.is_paid()).then_some(self.inner.limits.idle);
        let mut pieces = Pieces::new(response, idle, self.inner.turns.transfer());
        let answer = answer::read(&mut pieces, call, &self.inner.blobs, &self.inner.limits).await;
        Span::current().record("bytes", pieces.bytes);
        answer
    }
}

fn method_of(call: &HttpCall) -> reqwest::Method {
    match call.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
    }
}

fn request(call: &HttpCall, url: Url, Ready { prepared, signed }: Ready) -> Result<Request, String> {
    let mut headers = HeaderMap::new();
    if call.repeat.is_paid() {
        // Its connection serves no other call, so the vendor need not keep it either.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if call.method == Method::Post || prepared.length > 0 {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(prepared.length));
    }
    if let Some(content_type) = prepared.content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::try_from(content_type).map_err(|_| "bad content type")?);
    }
    for (name, field) in call.headers.iter().chain(&signed) {
        let bad = |_| format!("the value of the header '{name}' cannot be sent");
        let value = match field {
            Field::Plain(text) => HeaderValue::from_str(text).map_err(bad)?,
            Field::Secret(secret) => {
                let mut value = HeaderValue::from_str(secret.reveal()).map_err(bad)?;
                value.set_sensitive(true);
                value
            }
        };
        let name = HeaderName::try_from(name.as_str()).map_err(|_| format!("'{name}' is not a header's name"))?;
        headers.insert(name, value);
    }
    let mut request = Request::new(method_of(call), url);
    *request.headers_mut() = headers;
    *request.body_mut() = Some(prepared.body);
    Ok(request)
}
