//! What goes back over the wire, also what no well-behaved server sends.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use serde_json::Value;
use std::{convert::Infallible, sync::OnceLock, time::Duration};

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Where endless bodies end after all.
const ENDLESS_BYTES: u64 = 10 << 30;
/// Long enough for what was written to be on its way.
const FLUSH: Duration = Duration::from_millis(20);
const CHUNK_BYTES: usize = 64 << 10;
/// What a piece of the bomb inflates to, and how many of them there are.
const INFLATED_BYTES: usize = 4 << 20;
const INFLATED_PIECES: usize = 256;

pub(crate) const HTML: &str = "<!doctype html><html><body><h1>Please sign in</h1></body></html>";

/// An answer as a well-behaved server gives it.
#[derive(Clone, Debug)]
pub struct Whole {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub bytes: Bytes,
}

impl Whole {
    pub fn new(status: u16, content_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        Self { status, content_type, headers: Vec::new(), bytes: bytes.into() }
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What is done with a connection.
pub(crate) enum Answer {
    Whole(Whole),
    /// Half of it; the header promises all.
    Cut(Whole),
    /// Half of it; the connection's end is the only end.
    UntilClose(Whole),
    /// Byte by byte.
    Drip(Whole, Duration),
    /// Half of it, then nothing, ever.
    Stall(Whole),
    /// It, and then more than anybody wants.
    Endless(Whole),
    /// Small on the wire only.
    Inflating(Whole),
    /// Nothing, ever.
    Silence,
    Raw(Raw),
}

/// What the server library would not do: the connection is taken from it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Raw {
    Reset,
    Close,
    SlowHeaders(Duration),
}

impl From<Whole> for Answer {
    fn from(whole: Whole) -> Self {
        Self::Whole(whole)
    }
}

/// The response of an answer that has one.
pub(crate) fn response(answer: Answer) -> Option<Response<Body>> {
    Some(match answer {
        Answer::Whole(whole) => {
            let bytes = whole.bytes.clone();
            with_body(&whole, Full::new(bytes).boxed_unsync())
        }
        Answer::Cut(whole) => {
            let mut response = with_body(&whole, broken_off(half(&whole)));
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(whole.bytes.len()));
            response
        }
        Answer::UntilClose(whole) => {
            let mut response = with_body(&whole, pieces([half(&whole)]));
            // The old version knows no chunks, so that the end stays unmarked.
            *response.version_mut() = Version::HTTP_10;
            response
        }
        Answer::Drip(whole, pace) => {
            let bytes = whole.bytes.clone();
            let drops = stream::iter(0..bytes.len()).then(move |at| {
                let drop = bytes.slice(at..=at);
                async move {
                    tokio::time::sleep(pace).await;
                    Ok::<_, Infallible>(Frame::data(drop))
                }
            });
            let mut response = with_body(&whole, StreamBody::new(drops).boxed_unsync());
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(whole.bytes.len()));
            response
        }
        Answer::Stall(whole) => {
            let first = stream::iter([Ok::<_, Infallible>(Frame::data(half(&whole)))]);
            let mut response = with_body(&whole, StreamBody::new(first.chain(stream::pending())).boxed_unsync());
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(whole.bytes.len()));
            response
        }
        Answer::Endless(whole) => {
            let filler = Bytes::from(vec![b' '; CHUNK_BYTES]);
            let count = usize::try_from(ENDLESS_BYTES / CHUNK_BYTES as u64).unwrap_or(usize::MAX);
            let all = std::iter::once(whole.bytes.clone()).chain(std::iter::repeat_n(filler, count));
            with_body(&whole, pieces(all))
        }
        Answer::Inflating(whole) => {
            let (head, piece) = bomb();
            let all = std::iter::once(head).chain(std::iter::repeat_n(piece, INFLATED_PIECES));
            let mut response = with_body(&whole, pieces(all));
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        }
        Answer::Silence | Answer::Raw(_) => return None,
    })
}

fn half(whole: &Whole) -> Bytes {
    whole.bytes.slice(..whole.bytes.len() / 2)
}

fn with_body(whole: &Whole, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(whole.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(whole.content_type));
    for (name, value) in &whole.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(*name, value);
        }
    }
    response
}

/// A body whose length the server will find wrong. It would then take back what still waits to be
/// sent, so the end comes a moment after the last piece.
fn broken_off(piece: Bytes) -> Body {
    let first = stream::iter([Ok::<_, Infallible>(Frame::data(piece))]);
    let pause = stream::once(tokio::time::sleep(FLUSH)).filter_map(|()| std::future::ready(None));
    StreamBody::new(first.chain(pause)).boxed_unsync()
}

/// A body whose length the server library does not know, and so cannot put right.
fn pieces<I>(pieces: I) -> Body
where
    I: IntoIterator<Item = Bytes>,
    I::IntoIter: Send + 'static,
{
    let frames = stream::iter(pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece))));
    StreamBody::new(frames).boxed_unsync()
}

/// The start of a gzip stream that holds JSON, and a piece that may follow any number of times: it
/// refers to nothing before it.
fn bomb() -> (Bytes, Bytes) {
    static BOMB: OnceLock<(Bytes, Bytes)> = OnceLock::new();
    BOMB.get_or_init(|| {
        let mut head = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
        head.extend(deflated(b"{\"pad\":\""));
        (head.into(), deflated(&vec![b' '; INFLATED_BYTES]).into())
    })
    .clone()
}

fn deflated(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 500 + 1024);
    // Room for everything at once, so that one call does it; in memory nothing fails.
    let _ = Compress::new(Compression::best(), false).compress_vec(text, &mut out, FlushCompress::Full);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn the_bomb_inflates() {
        let (head, piece) = bomb();
        assert!(piece.len() < INFLATED_BYTES / 500, "{} bytes", piece.len());
        let wire = [head, piece.clone(), piece].concat();
        let mut inflated = vec![0; 2 * INFLATED_BYTES + 8];
        flate2::read::GzDecoder::new(wire.as_slice()).read_exact(&mut inflated).expect("two pieces fit");
        assert!(inflated.starts_with(b"{\"pad\":\"   ") && inflated.ends_with(b"   "));
    }
}
