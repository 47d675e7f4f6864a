//! Which web pages may call.
//!
//! The API takes JSON of any declared type, so that a browser would send a foreign page's POST
//! without a preflight: answers would stay hidden from that page, but the generation would be
//! paid for. So a request that names its page is refused unless that page is allowed.

use super::{envelope::ApiError, state::App};
use crate::config::{CorsOrigins, Settings};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;
use url::{Host, Url};

pub async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // The newer version of the protocol names its host in the address.
    let named = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    let host = named.or_else(|| request.uri().authority().map(axum::http::uri::Authority::as_str));
    if !host.is_none_or(|host| is_ours(host, &app.settings)) {
        let message = "This server is not known by that name. Call it as localhost, or set PIXEL_PUBLIC_URL.";
        return ApiError::new(StatusCode::FORBIDDEN, message).into_response();
    }
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

/// A page can have its own name resolve to this machine, and would then count as ours. So a server
/// that listens on loopback answers to no name of the public kind, with a dot in it, but its own;
/// one that listens to the world is called by names that it cannot know.
fn is_ours(host: &str, settings: &Settings) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}")) else { return false };
    let is_public_kind = url.domain().is_some_and(|name| name.trim_end_matches('.').contains('.'));
    let own = settings.public_url.as_ref().and_then(|text| Url::parse(text).ok());
    !settings.listen.ip().is_loopback()
        || !is_public_kind
        || is_loopback(&url)
        || own.is_some_and(|own| own.host_str() == url.host_str())
}

/// Whether the host is a name or address of this machine's own loopback.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
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
            Self::Loopback => Url::parse(origin).is_ok_and(|url| {
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
    fn apps_with_pages_of_their_own_are_listed() {
        let listed = CorsOrigins::Listed(vec!["capacitor://localhost".to_owned()]);
        assert!(listed.allows("capacitor://localhost") && !listed.allows("ionic://localhost"));
        assert!(!CorsOrigins::Loopback.allows("capacitor://localhost"), "any app of a telephone has this origin");
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
