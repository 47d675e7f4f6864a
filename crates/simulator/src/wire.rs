//! Serves connections: whole requests in, answers out, and those answers that no server library
//! would give.

use crate::{
    admin,
    answer::{Answer, Body, Raw, Whole, response},
    desk, host,
    state::Shared,
    vendor::Asked,
    vendors,
};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    future::pending,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Notify,
};

pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, shared.clone()))),
            // Too many files are open, for example: those that are there go on.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// What the requests of one connection share.
#[derive(Default)]
struct Line {
    requests: AtomicU32,
    taken: Notify,
    raw: Mutex<Option<Raw>>,
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Small answers must not wait for an acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let line = Arc::new(Line::default());
    let own = line.clone();
    let service = service_fn(move |request| {
        let (shared, line) = (shared.clone(), own.clone());
        async move { Ok::<_, Infallible>(respond(request, &shared, &line).await) }
    });
    let mut connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // An error here is the client's hanging up, or the cut that a script asked for.
        _ = &mut connection => {}
        () = line.taken.notified() => {
            let stream = connection.into_parts().io.into_inner();
            let raw = line.raw.lock().unwrap_or_else(PoisonError::into_inner).take();
            end(stream, raw).await;
        }
    }
}

async fn end(mut stream: TcpStream, raw: Option<Raw>) {
    match raw {
        Some(Raw::Reset) => drop(stream.set_zero_linger()),
        Some(Raw::Close) | None => {}
        Some(Raw::SlowHeaders(pace)) => {
            let words = b"HTTP/1.1 200 OK\r\nx-patience: ".iter().chain(std::iter::repeat(&b'z'));
            for byte in words {
                if stream.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(pace).await;
            }
        }
    }
}

async fn respond(request: Request<Incoming>, shared: &Arc<Shared>, line: &Line) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return pending().await };
    let asked = Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: body.to_bytes(),
        reused: line.requests.fetch_add(1, Ordering::Relaxed) > 0,
    };
    let open = Open::begin(shared);
    let answer = route(asked, shared).await;
    if let Answer::Raw(raw) = answer {
        *line.raw.lock().unwrap_or_else(PoisonError::into_inner) = Some(raw);
        line.taken.notify_one();
        return pending().await;
    }
    match response(answer) {
        Some(response) => response.map(|body| Watched { body, _open: open }.boxed_unsync()),
        None => pending().await,
    }
}

/// An answer on its way, until it has ended or its client has hung up.
struct Open(Arc<Shared>);

impl Open {
    fn begin(shared: &Arc<Shared>) -> Self {
        shared.state().open += 1;
        Self(shared.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.open = state.open.saturating_sub(1);
    }
}

/// A body that is watched until it goes.
struct Watched {
    body: Body,
    _open: Open,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

async fn route(asked: Asked, shared: &Arc<Shared>) -> Answer {
    if asked.path == "/" || asked.path.starts_with("/_") {
        return admin::answer(&asked, shared).await.into();
    }
    if asked.path.starts_with(host::PREFIX) && matches!(asked.method, Method::GET | Method::HEAD) {
        return host::answer(&asked, shared);
    }
    let found = vendors::ALL.iter().find_map(|vendor| {
        let rest = asked.path.strip_prefix('/')?.strip_prefix(vendor.id())?;
        rest.starts_with('/').then(|| (*vendor, rest.to_owned()))
    });
    match found {
        Some((vendor, path)) => desk::answer(vendor, &Asked { path, ..asked }, shared).await,
        None => Whole::new(404, "text/plain", "there is nothing here; GET / says what there is").into(),
    }
}
