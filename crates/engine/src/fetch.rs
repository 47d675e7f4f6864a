//! The guarded fetch: the only way in which untrusted links are read.
//!
//! Redirects are followed by hand, and each hop is judged from the start. A name is resolved once
//! for each hop, all its answers are judged, and the connection goes to exactly those addresses.
//! The body streams into a staged blob; it is bounded in size, in silence and in time.

mod client;

pub use client::{install_tls, tls_config};

use crate::{
    guard::{Guard, Refused},
    turns::Turns,
};
use client::Clients;
use pixel_core::vendor::Answer;
use pixel_store::{
    blobs::{Blobs, StagedBlob},
    crash,
};
use reqwest::{Response, StatusCode, header};
use std::{error::Error, fmt, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::timeout;
use url::{Host, Url};

/// Bounds of one fetch.
#[derive(Clone, Debug)]
pub struct FetchLimits {
    /// Connect and TLS of one hop.
    pub connect: Duration,
    /// Until a hop's answer begins: resolve, connect and TLS included.
    pub first_byte: Duration,
    /// Between two pieces of a body.
    pub idle: Duration,
    /// All hops and the body.
    pub total: Duration,
    pub redirects: u32,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(15),
            total: Duration::from_secs(600),
            redirects: 3,
        }
    }
}

/// Why nothing was fetched. The texts are full sentences without the link's path and query, which
/// may hold a signature.
#[derive(Debug)]
pub enum FetchError {
    /// The guard's reason. Nothing was sent to the refused address.
    Refused(String),
    /// The usual answers of a link that has expired: 403, 404, 410.
    Gone {
        status: u16,
    },
    /// Resolve, connect, time, or an unexpected status.
    Unreachable(String),
    /// An answer that ended before it was complete, or that is none.
    Broken(String),
    TooLarge {
        cap_bytes: u64,
    },
    /// Our own disk failed, not the link.
    Store(io::Error),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text) | Self::Unreachable(text) | Self::Broken(text) => f.write_str(text),
            Self::Gone { status } => write!(f, "The link answered with status {status}; it may have expired."),
            Self::TooLarge { cap_bytes } => write!(f, "The file is larger than {cap_bytes} bytes."),
            Self::Store(why) => write!(f, "The file could not be stored: {why}."),
        }
    }
}

impl Error for FetchError {}

impl From<Refused> for FetchError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused.reason)
    }
}

/// Fetches untrusted links; clones share everything.
#[derive(Clone)]
pub struct Fetcher(Arc<Inner>);

struct Inner {
    guard: Guard,
    blobs: Blobs,
    limits: FetchLimits,
    clients: Clients,
    turns: Turns,
}

impl Fetcher {
    pub fn new(guard: Guard, blobs: Blobs) -> Result<Self, String> {
        Self::with_limits(guard, blobs, FetchLimits::default())
    }

    pub fn with_limits(guard: Guard, blobs: Blobs, limits: FetchLimits) -> Result<Self, String> {
        let clients = Clients::new(limits.connect)?;
        Ok(Self(Arc::new(Inner { guard, blobs, limits, clients, turns: Turns::default() })))
    }

    /// Asks for the first byte of `url`: its status and its headers. No error speaks of a status.
    pub async fn probe(&self, url: &str) -> Result<Answer, FetchError> {
        let inner = &*self.0;
        let first = Some("bytes=0-0");
        // The whole body comes from servers that know no ranges; it is not read.
        let answer = within(inner.limits.total, "The link did not end", inner.hop(url, first)).await??;
        Ok(crate::door::head(&answer))
    }

    /// Streams the body of `url` into a staged blob of at most `cap_bytes`.
    pub async fn fetch(&self, url: &str, cap_bytes: u64) -> Result<StagedBlob, FetchError> {
        let inner = &*self.0;
        let work = async { inner.store(inner.open(url).await?, cap_bytes).await };
        within(inner.limits.total, "The link did not end", work).await?
    }
}

impl Inner {
    /// Follows redirects to an answer with status 200.
    async fn open(&self, text: &str) -> Result<Response, FetchError> {
        let answer = self.hop(text, None).await?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => {
                Err(FetchError::Gone { status: answer.status().as_u16() })
            }
            other => unreachable(format!("The link answered with status {} instead of 200.", other.as_u16())),
        }
    }

    /// Follows redirects to an answer that is none.
    async fn hop(&self, text: &str, range: Option<&str>) -> Result<Response, FetchError> {
        let mut text = text.to_owned();
        for _ in 0..=self.limits.redirects {
            let url = self.guard.judge(&text)?;
            let answer = within(self.limits.first_byte, "The link did not answer", self.ask(&url, range)).await??;
            match answer.status() {
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => text = target(&url, &answer)?,
                _ => return Ok(answer),
            }
        }
        unreachable(format!("The link redirects more than {} times.", self.limits.redirects))
    }

    async fn ask(&self, url: &Url, range: Option<&str>) -> Result<Response, FetchError> {
        let client = match url.host() {
            Some(Host::Domain(name)) => {
                let addrs = self.resolve(name, url.port_or_known_default().unwrap_or(0)).await?;
                self.clients.pinned(addrs).map_err(FetchError::Unreachable)?
            }
            _ => self.clients.literal(),
        };
        let request = client.get(url.clone());
        let request = range.into_iter().fold(request, |request, range| request.header(header::RANGE, range));
        let sent = request.send().await;
        sent.or_else(|why| match why.is_connect() || why.is_timeout() {
            true => unreachable(format!("The link could not be reached: {}.", cause(why))),
            // It was reached, and its answer is no whole one.
            false => Err(FetchError::Broken(format!("The link broke off: {}.", cause(why)))),
        })
    }

    /// One bad answer refuses the whole name: who mixes them means to be lucky at a later look.
    async fn resolve(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, FetchError> {
        let found = tokio::net::lookup_host((name, port)).await;
        let addrs: Vec<_> =
            found.or_else(|_| unreachable(format!("The name '{name}' could not be resolved.")))?.collect();
        addrs.iter().try_for_each(|addr| self.guard.judge_addr(name, *addr))?;
        if addrs.is_empty() {
            return unreachable(format!("The name '{name}' has no address."));
        }
        Ok(addrs)
    }

    async fn store(&self, mut answer: Response, cap_bytes: u64) -> Result<StagedBlob, FetchError> {
        let announced = answer.content_length();
        if announced.is_some_and(|bytes| bytes > cap_bytes) {
            return Err(FetchError::TooLarge { cap_bytes });
        }
        let mut stage = self.blobs.stage(cap_bytes);
        crash::point!("fetch.begun");
        let (mut received, mut turn) = (0, self.turns.transfer());
        loop {
            turn.begin(received).await;
            let piece = turn.next(within(self.limits.idle, "The link fell silent", answer.chunk())).await?;
            let piece = piece.map_err(|why| FetchError::Broken(format!("The link broke off: {}.", cause(why))))?;
            let Some(piece) = piece else { break };
            received += piece.len() as u64;
            if received > cap_bytes {
                return Err(FetchError::TooLarge { cap_bytes });
            }
            stage.write(&piece).await.map_err(FetchError::Store)?;
            crash::point!("fetch.half");
        }
        if let Some(announced) = announced.filter(|announced| *announced != received) {
            let why = format!("The link brought {received} of {announced} announced bytes.");
            return Err(FetchError::Broken(why));
        }
        let staged = stage.finish().await.map_err(FetchError::Store)?;
        crash::point!("fetch.finished");
        Ok(staged)
    }
}

/// Where a redirect leads, not yet judged.
fn target(from: &Url, answer: &Response) -> Result<String, FetchError> {
    let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let joined = location.and_then(|location| from.join(location).ok());
    joined
        .map(String::from)
        .ok_or_else(|| FetchError::Unreachable("The link redirects without a readable target.".to_owned()))
}

async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> Result<T, FetchError> {
    timeout(limit, work).await.or_else(|_| unreachable(format!("{what} within {} s.", limit.as_secs_f32())))
}

/// The deepest reason: the outer ones only say that the exchange failed, and repeat the link.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut deepest: &dyn Error = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

fn unreachable<T>(text: String) -> Result<T, FetchError> {
    Err(FetchError::Unreachable(text))
}
