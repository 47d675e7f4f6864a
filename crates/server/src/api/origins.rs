//! Which web pages may call.
//!
//! The API takes JSON of any declared type, so that a browser would send a foreign page's POST
//! without a preflight: answers would stay hidden from that page, but the generation would be
//! paid for. So a request that names its page is refused unless that page is allowed.

use super::{envelope::ApiError, state::App};
use crate::config::CorsOrigins;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;

pub async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    match foreign_page(request.headers(), &app.settings.cors) {
        Some(origin) if !safe => ApiError::new(
            StatusCode::FORBIDDEN,
            format!("Pages of {origin} may not call this server. Add that origin to PIXEL_CORS_ORIGINS."),
        )
        .into_response(),
        _ => next.run(request).await,
    }
}

/// The page that sent the request, when it is neither our own nor allowed.
fn foreign_page(headers: &HeaderMap, allowed: &CorsOrigins) -> Option<String> {
    let origin = headers.get(header::ORIGIN)?.to_str().unwrap_or("an unreadable origin");
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let own = origin.split_once("://").is_some_and(|(_, authority)| authority == host && !host.is_empty());
    (!own && !allowed.allows(origin)).then(|| origin.to_owned())
}

impl CorsOrigins {
    /// Whether pages of this origin (scheme, host and port) may call.
    pub fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(list) => list.iter().any(|one| one.eq_ignore_ascii_case(origin)),
            Self::Loopback => url::Url::parse(origin).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_pages_by_default() {
        let allows = |origin| CorsOrigins::Loopback.allows(origin);
        assert!(allows("http://localhost:5173") && allows("https://127.0.0.1") && allows("http://[::1]:3000"));
        assert!(!allows("http://localhost.evil.test") && !allows("http://evil.test") && !allows("null"));
    }

    #[test]
    fn our_own_pages_need_no_entry() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, "https://pixel.test".parse().unwrap());
        headers.insert(header::HOST, "pixel.test".parse().unwrap());
        assert_eq!(foreign_page(&headers, &CorsOrigins::Loopback), None);
        headers.insert(header::HOST, "other.test".parse().unwrap());
        assert!(foreign_page(&headers, &CorsOrigins::Loopback).is_some());
    }
}
