//! What surrounds every request: an id, a span, figures, panics turned into answers, CORS.

use super::envelope::ApiError;
use crate::config::CorsOrigins;
use axum::{
    Json,
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, for what outlives it.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// Gives a request its id and its span; writes the body of an error, which bears the id.
pub async fn around(mut request: Request, next: Next) -> Response {
    let id = format!("req_{}", uuid::Uuid::now_v7().simple());
    request.extensions_mut().insert(RequestId(id.clone()));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", |path| path.as_str()).to_owned();
    let span = tracing::info_span!("request", request_id = %id);
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
        let response = finish(response, &id);
        let status = response.status().as_u16();
        let took = begun.elapsed();
        tracing::debug!(%method, path, status, ms = took.as_millis(), "answered");
        let labels = [("method", method.to_string()), ("route", route), ("status", status.to_string())];
        metrics::counter!("pixel_http_requests_total", &labels).increment(1);
        metrics::histogram!("pixel_http_request_seconds", &labels[..2]).record(took.as_secs_f64());
        response
    }
    .instrument(span)
    .await
}

fn finish(mut response: Response, id: &str) -> Response {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let (mut parts, _) = response.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        let mut body = Json(error.body(id)).into_response();
        body.headers_mut().extend(parts.headers);
        *body.status_mut() = parts.status;
        response = body;
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Lets the pages of allowed origins read our answers.
pub fn cors(origins: &CorsOrigins) -> CorsLayer {
    let allowed = origins.clone();
    let origin = move |origin: &HeaderValue, _: &Parts| origin.to_str().is_ok_and(|text| allowed.allows(text));
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(origin))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::OPTIONS])
        .allow_headers(tower_http::cors::AllowHeaders::mirror_request())
        .expose_headers([REQUEST_ID, header::RETRY_AFTER, header::CONTENT_RANGE, header::ETAG])
        .max_age(Duration::from_secs(3600))
}
