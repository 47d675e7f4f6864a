//! The page at `/`, until there is a studio: the latest results and where to read on.

use axum::{
    http::header,
    response::{Html, IntoResponse},
};

/// Pictures and clips may lie at the public address, which can be another origin than this page's.
const POLICY: &str = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; \
                      img-src 'self' http: https: data:; media-src 'self' http: https:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

pub async fn index() -> impl IntoResponse {
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, Html(include_str!("../../web/index.html")))
}

/// The OpenAPI document.
pub async fn document(json: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], json)
}
