//! What a vendor answers, passed on to the caller as it comes.

use crate::api::{envelope::ApiError, state::App};
use axum::{
    Json,
    http::{HeaderName, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, stream};
use pixel_core::{Error, ErrorKind, catalog::Model};
use pixel_engine::{Chat, ChatStream};
use serde_json::{Value, json};
use std::convert::Infallible;

/// Tells proxies to pass each event on at once.
const UNBUFFERED: [(HeaderName, &str); 1] = [(HeaderName::from_static("x-accel-buffering"), "no")];

/// Asks the model's vendor. A caller who hangs up drops this, or the answer, and with it the call.
pub async fn answer(
    app: &App,
    card: &Model,
    body: &Value,
    is_streamed: bool,
    id: String,
) -> Result<Response, ApiError> {
    Ok(match app.engine.chat(card, body, is_streamed, id).await.map_err(failed)? {
        Chat::Whole(document) => Json(document).into_response(),
        // A vendor that thinks is silent for long, and what lies between would take us for dead.
        Chat::Stream(chunks) => (UNBUFFERED, Sse::new(events(chunks)).keep_alive(KeepAlive::default())).into_response(),
    })
}

fn events(chunks: Box<ChatStream>) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Some(chunks), async |chunks| {
        let mut chunks = chunks?;
        let (data, rest) = match chunks.next().await {
            Some(Ok(chunk)) => (chunk.to_string(), Some(chunks)),
            Some(Err(error)) => (json!({ "error": failed(error).chat_error() }).to_string(), None),
            None => ("[DONE]".to_owned(), None),
        };
        Some((Ok(Event::default().data(data)), rest))
    })
}

/// How a caller hears of it. A vendor's trouble with our credential is not the caller's to mend.
fn failed(error: Error) -> ApiError {
    use ErrorKind::{
        DeadlineExceeded, InputRefused, InputUnreachable, Internal, InvalidRequest, ModerationBlocked, RateLimited,
        VendorAuth, VendorBalance, VendorRefused, VendorUnavailable,
    };
    let status = match error.kind {
        InvalidRequest | VendorRefused | ModerationBlocked | InputRefused | InputUnreachable => StatusCode::BAD_REQUEST,
        RateLimited => StatusCode::TOO_MANY_REQUESTS,
        VendorAuth | VendorBalance | VendorUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_GATEWAY,
    };
    let retry_after = error.retry_after.filter(|_| matches!(error.kind, RateLimited | VendorUnavailable));
    ApiError { retry_after, ..ApiError::new(status, error.message) }
}
