//! Takes in the rest of a body that its handler did not read.
//!
//! An answer that overtakes its request is easily lost: the connection is closed while the client
//! still sends, the client's next bytes are met with a reset, and that throws away the answer which
//! had already arrived. So what is left of a body is read and dropped first, within bounds.

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::header,
};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

/// A longer rest is not waited for: its client may lose the answer.
const REST_BYTES_MAX: u64 = 64 << 20;
/// Nor is one that is longer on its way.
const REST_TIME: Duration = Duration::from_secs(10);

/// Where a body goes that its handler drops before its end.
type Home = Arc<Mutex<Option<Body>>>;

/// What may be left of a request's body.
pub struct Leftover {
    home: Home,
    /// The client sends only when it is asked to; whoever reads asks.
    is_on_demand: bool,
}

impl Leftover {
    /// Follows the body of a request; `None` when it has none.
    pub fn of(request: &mut Request) -> Option<Self> {
        if request.body().is_end_stream() {
            return None;
        }
        let home = Home::default();
        let inner = std::mem::take(request.body_mut());
        *request.body_mut() = Body::new(Lent { inner, home: Arc::clone(&home) });
        Some(Self { home, is_on_demand: request.headers().contains_key(header::EXPECT) })
    }

    /// Reads the rest and drops it; gives up at a bound, and at a broken connection.
    pub async fn drain(self) {
        let rest = self.home.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut rest) = rest.filter(|rest| !self.is_on_demand && rest.size_hint().lower() <= REST_BYTES_MAX)
        else {
            return;
        };
        let read = async {
            let mut left = REST_BYTES_MAX;
            while let Some(Ok(frame)) = rest.frame().await {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                let Some(less) = left.checked_sub(bytes) else { break };
                left = less;
            }
        };
        // Either way the request is answered.
        let _ = tokio::time::timeout(REST_TIME, read).await;
    }
}

/// A body that goes home when it is dropped before its end.
struct Lent {
    inner: Body,
    home: Home,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.inner.is_end_stream() {
            let inner = std::mem::take(&mut self.inner);
            *self.home.lock().unwrap_or_else(PoisonError::into_inner) = Some(inner);
        }
    }
}
