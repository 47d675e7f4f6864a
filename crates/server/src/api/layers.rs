//! What surrounds every request: an id, a span, figures, panics turned into answers, CORS.

use super::{detail, envelope::ApiError, leftover::Leftover, state::App};
use crate::config::CorsOrigins;
use axum::{
    Json,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, for what outlives it.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// Gives a request its id and its span; writes the body of an error, which bears the id.
pub async fn around(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = format!("req_{}", uuid::Uuid::now_v7().simple());
    request.extensions_mut().insert(RequestId(id.clone()));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", |path| path.as_str()).to_owned();
    let span = tracing::info_span!("request", request_id = %id);
    let leftover = Leftover::of(&mut request);
    async move {
        let begun = Instant::now();
        // A panic in a handler costs that request its answer, not the connection's others.
        let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        let response = answered.unwrap_or_else(|_| {
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong inside Pixel. Its log has the details.",
            )
            .into_response()
        });
        let mut response = finish(response, &id, &path);
        let status = response.status().as_u16();
        let took = begun.elapsed();
        log(&method, &path, status, took);
        let labels = [("method", known(&method).to_owned()), ("route", route), ("status", status.to_string())];
        metrics::counter!("pixel_http_requests_total", &labels).increment(1);
        metrics::histogram!("pixel_http_request_seconds", &labels[..2]).record(took.as_secs_f64());
        if let Some(leftover) = leftover {
            leftover.drain().await;
        }
        if app.is_draining() {
            // Its next request goes to a server that stays.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
    .instrument(span)
    .await
}

fn log(method: &Method, path: &str, status: u16, took: Duration) {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match status {
        500.. => tracing::warn!(%method, path, status, ms, "answered"),
        400.. => tracing::info!(%method, path, status, ms, "answered"),
        _ => tracing::debug!(%method, path, status, ms, "answered"),
    }
}

/// A label of the metrics: callers may invent methods, and each would be a series for ever.
fn known(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "other",
    }
}

fn finish(mut response: Response, id: &str, path: &str) -> Response {
    if let Some(error) = take_error(&mut response) {
        let (mut parts, _) = response.into_parts();
        let is_detail = detail::is_spoken_at(path);
        if is_detail {
            parts.status = detail::status(parts.status);
        }
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::CONTENT_TYPE);
        // Clients of the chat form read the message from an object of their own.
        let mut body = match path.starts_with("/v1/") {
            true => Json(error.chat_body(id)).into_response(),
            false if is_detail => Json(detail::body(&error)).into_response(),
            false => Json(error.body(id)).into_response(),
        };
        body.headers_mut().extend(parts.headers);
        *body.status_mut() = parts.status;
        response = body;
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The error of a handler, or of what stands before it: an address that cannot be read, say.
fn take_error(response: &mut Response) -> Option<ApiError> {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        return Some(error);
    }
    let status = response.status();
    (status.is_client_error() || status.is_server_error()).then(|| match status {
        StatusCode::BAD_REQUEST => ApiError::bad("The address or its query cannot be read."),
        StatusCode::NOT_FOUND => ApiError::missing("There is nothing at this address."),
        _ => ApiError::new(status, format!("The request was refused: {status}.")),
    })
}

/// Lets the pages of allowed origins read our answers.
pub fn cors(origins: &CorsOrigins) -> CorsLayer {
    let allowed = origins.clone();
    let origin = move |origin: &HeaderValue, _: &Parts| origin.to_str().is_ok_and(|text| allowed.allows(text));
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(origin))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::OPTIONS])
        .allow_headers(tower_http::cors::AllowHeaders::mirror_request())
        .expose_headers([REQUEST_ID, header::RETRY_AFTER, header::CONTENT_RANGE, header::ETAG, header::ACCEPT_RANGES])
        .max_age(Duration::from_secs(3600))
}
