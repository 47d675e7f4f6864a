//! Carries answers over real connections, also those that no well-behaved server gives.

use super::{Link, Media, Shared, dashscope, openai};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use std::{convert::Infallible, future::pending, sync::Arc};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};

type Body = BoxBody<Bytes, Infallible>;

/// What goes back.
pub(super) enum Answer {
    Json(u16, Vec<(&'static str, String)>, Value),
    File {
        status: u16,
        content_type: &'static str,
        bytes: Bytes,
    },
    /// The header promises `claimed` bytes.
    CutWithLength {
        content_type: &'static str,
        bytes: Bytes,
        claimed: usize,
    },
    /// The end of the connection is the end of the file.
    UntilClose {
        content_type: &'static str,
        bytes: Bytes,
    },
    Redirect(String),
    /// Nothing, ever.
    Silence,
    /// The connection is reset.
    Reset,
}

impl Answer {
    pub fn json(status: u16, body: Value) -> Self {
        Self::Json(status, Vec::new(), body)
    }

    pub fn text(status: u16, content_type: &'static str, text: &str) -> Self {
        Self::File { status, content_type, bytes: Bytes::copy_from_slice(text.as_bytes()) }
    }
}

/// A request, read to its end.
pub(super) struct Asked {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn has_the_key(&self) -> bool {
        self.header("authorization") == Some(&format!("Bearer {}", super::KEY))
    }
}

pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, shared.clone()));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Small answers must not wait for an acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(Notify::new());
    let asked_for_reset = reset.clone();
    let service = service_fn(move |request| {
        let (shared, reset) = (shared.clone(), reset.clone());
        async move { Ok::<_, Infallible>(respond(request, &shared, &reset).await) }
    });
    let mut connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // An error here is the client's hanging up, or the cut that a script asked for.
        _ = &mut connection => {}
        () = asked_for_reset.notified() => {
            let stream = connection.into_parts().io.into_inner();
            let _ = stream.set_zero_linger();
        }
    }
}

async fn respond(request: Request<Incoming>, shared: &Arc<Shared>, reset: &Notify) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return pending().await };
    let asked =
        Asked { method: head.method, path: head.uri.path().to_owned(), headers: head.headers, body: body.to_bytes() };
    match route(&asked, shared).await {
        Answer::Silence => pending().await,
        Answer::Reset => {
            reset.notify_one();
            pending().await
        }
        answer => response(answer),
    }
}

async fn route(asked: &Asked, shared: &Arc<Shared>) -> Answer {
    let path = asked.path.as_str();
    match (&asked.method, path) {
        (&Method::POST, "/v1/images/generations" | "/v1/images/edits") => openai::images(asked, shared).await,
        (&Method::POST, "/api/v1/services/aigc/text2image/image-synthesis") => dashscope::submit(asked, shared).await,
        (&Method::POST, "/api/v1/services/aigc/multimodal-generation/generation") => {
            dashscope::generate(asked, shared).await
        }
        (&Method::GET, _) if path.starts_with("/api/v1/tasks/") => dashscope::poll(asked, shared),
        (&Method::GET, _) if path.starts_with("/media/") => media(asked, shared),
        _ => Answer::text(404, "text/plain", "there is nothing here"),
    }
}

/// Result media live on another host than the API in truth; the key has no business there.
fn media(asked: &Asked, shared: &Shared) -> Answer {
    let mut state = shared.state();
    if asked.header("authorization").is_some() {
        state.violations.push(format!("the key was sent to the media host: {}", asked.path));
    }
    let Some(Link { marker, file, media, expired }) = state.links.get(&asked.path).cloned() else {
        return Answer::text(404, "application/xml", "<Error><Code>NoSuchKey</Code></Error>");
    };
    state.ledger.record_fetch(&marker);
    if expired {
        return Answer::text(
            403,
            "application/xml",
            "<Error><Code>AccessDenied</Code><Message>Request has expired.</Message></Error>",
        );
    }
    let content_type = if asked.path.ends_with(".wav") { "audio/wav" } else { "image/png" };
    let half = file.slice(..file.len() / 2);
    match media {
        Media::Whole | Media::ExpiredLinks(_) => Answer::File { status: 200, content_type, bytes: file },
        Media::CutWithLength => Answer::CutWithLength { content_type, bytes: half, claimed: file.len() },
        Media::CutWithoutLength => Answer::UntilClose { content_type, bytes: half },
        Media::These(bytes) => Answer::File { status: 200, content_type, bytes },
        Media::Html => Answer::text(200, content_type, HTML),
        Media::Empty => Answer::text(200, content_type, ""),
        Media::Redirect(to) => Answer::Redirect(to),
    }
}

pub(super) const HTML: &str = "<!doctype html><html><body><h1>Please sign in</h1></body></html>";

fn response(answer: Answer) -> Response<Body> {
    let (mut response, headers) = match answer {
        Answer::Json(status, headers, value) => (plain(status, "application/json", value.to_string().into()), headers),
        Answer::File { status, content_type, bytes } => (plain(status, content_type, bytes), Vec::new()),
        Answer::CutWithLength { content_type, bytes, claimed } => {
            (unmeasured(content_type, bytes), vec![("content-length", claimed.to_string())])
        }
        Answer::UntilClose { content_type, bytes } => {
            let mut response = unmeasured(content_type, bytes);
            // The old version knows no chunks, so that the end stays unmarked.
            *response.version_mut() = Version::HTTP_10;
            (response, Vec::new())
        }
        Answer::Redirect(to) => (plain(302, "text/plain", Bytes::new()), vec![("location", to)]),
        Answer::Silence | Answer::Reset => unreachable!("these have no response"),
    };
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("a script's header is valid"));
    }
    response
}

fn plain(status: u16, content_type: &'static str, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(bytes).boxed());
    *response.status_mut() = StatusCode::from_u16(status).expect("a script's status is valid");
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// A body whose length the server library does not know, and so cannot put right.
fn unmeasured(content_type: &'static str, bytes: Bytes) -> Response<Body> {
    let frames = stream::iter([Ok::<_, Infallible>(Frame::data(bytes))]);
    let mut response = Response::new(StreamBody::new(frames).boxed());
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
