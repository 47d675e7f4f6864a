//! The last look before a request leaves: a process may have slept since the one before.
//!
//! A connection takes its time, and a paused machine takes any time. Whoever took the task over
//! meanwhile has looked for this request and not found it, so it must not leave any more. The look
//! is at the body's first piece, when the connection stands and nothing of the request is written.

use http_body::{Body, Frame, SizeHint};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

/// Whether a request may still leave.
type May = Box<dyn Fn() -> bool + Send + Sync>;

/// A body that does not begin when it may not leave.
pub(super) struct Leaving {
    inner: reqwest::Body,
    /// Absent once the body has begun.
    may: Option<May>,
    stopped: Arc<AtomicBool>,
}

/// The guarded body, and whether it was stopped.
pub(super) fn guarded(inner: reqwest::Body, may: May) -> (reqwest::Body, Arc<AtomicBool>) {
    let stopped = Arc::new(AtomicBool::new(false));
    let body = Leaving { inner, may: Some(may), stopped: Arc::clone(&stopped) };
    (reqwest::Body::wrap(body), stopped)
}

impl Body for Leaving {
    type Data = bytes::Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.may.take().is_some_and(|may| !may()) {
            self.stopped.store(true, Ordering::Release);
            return Poll::Ready(Some(Err(io::Error::other("it may not leave any more").into())));
        }
        Pin::new(&mut self.inner).poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
