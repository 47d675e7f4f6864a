//! The API's two reading pages: `/docs` (Swagger UI) and `/redoc` (ReDoc).
//!
//! Both work without a network: the build script packs their scripts into the binary, and the
//! pages' policy lets the browser talk to this server only. Every address in them is relative,
//! so that they also work behind a path prefix.

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use flate2::read::GzDecoder;
use std::io::Read;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src blob:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct Asset {
    name: &'static str,
    /// Weak, because the packed and the plain form share it.
    tag: &'static str,
    gzip: &'static [u8],
}

static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// `/docs`, `/redoc` and the files that they load. The document itself, `/openapi.json`, is not
/// among them.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/docs", get(|| async { page(include_str!("../web/docs.html")) }))
        .route("/redoc", get(|| async { page(include_str!("../web/redoc.html")) }))
        .route("/docs/assets/{file}", get(get_asset))
}

fn page(html: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, Html(html))
}

async fn get_asset(Path(file): Path<String>, asked: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == file) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, content_type(asset.name)),
        (header::ETAG, asset.tag),
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "accept-encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    if values(&asked, &header::IF_NONE_MATCH).any(|tag| tag == asset.tag || tag == "*") {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    if values(&asked, &header::ACCEPT_ENCODING).any(accepts_gzip) {
        let packed = [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))];
        return (headers, packed, asset.gzip).into_response();
    }
    let mut plain = Vec::new();
    match GzDecoder::new(asset.gzip).read_to_end(&mut plain) {
        Ok(_) => (headers, plain).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The comma-separated values of a header, over all its lines.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim)
}

/// Whether a value of `Accept-Encoding` admits gzip; `gzip;q=0` refuses it.
fn accepts_gzip(value: &str) -> bool {
    let (name, weight) = value.split_once(';').unwrap_or((value, ""));
    let refused = weight.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok()) == Some(0.0);
    matches!(name.trim(), "gzip" | "*") && !refused
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("png") => "image/png",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    async fn ask(path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = routes::<()>().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = axum::body::to_bytes(body, 8 << 20).await.unwrap();
        (parts.status, parts.headers, bytes.to_vec())
    }

    /// What a page loads, from its `src` and `href` attributes.
    fn links(html: &str) -> Vec<&str> {
        html.split(['"']).filter(|text| text.starts_with("docs/") || text.contains("//")).collect()
    }

    #[tokio::test]
    async fn pages_load_only_files_that_this_server_has() {
        for (path, least) in [("/docs", 4), ("/redoc", 4)] {
            let (status, headers, html) = ask(path, &[]).await;
            let html = String::from_utf8(html).unwrap();
            assert_eq!((status, headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap()), (StatusCode::OK, POLICY));
            assert!(links(&html).len() >= least, "{html}");
            for link in links(&html) {
                let (status, _, bytes) = ask(&format!("/{link}"), &[]).await;
                assert!(status == StatusCode::OK && !bytes.is_empty(), "{path} names {link}: {status}");
            }
        }
    }

    #[tokio::test]
    async fn assets_are_packed_only_for_those_who_can_unpack() {
        let path = "/docs/assets/swagger-ui.css";
        let (_, plain_headers, plain) = ask(path, &[("accept-encoding", "br, gzip;q=0")]).await;
        let (_, headers, packed) = ask(path, &[("accept-encoding", "br, gzip;q=0.8")]).await;
        assert!(!plain_headers.contains_key(header::CONTENT_ENCODING));
        assert_eq!(plain_headers[header::CONTENT_TYPE], "text/css; charset=utf-8");
        assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
        assert!(packed.len() * 3 < plain.len(), "{} of {}", packed.len(), plain.len());
        let mut unpacked = Vec::new();
        GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == plain && plain.starts_with(b".swagger-ui"));
    }

    #[tokio::test]
    async fn known_assets_are_not_sent_again_and_unknown_ones_are_not_found() {
        let path = "/docs/assets/redoc.standalone.js";
        let (_, headers, _) = ask(path, &[]).await;
        let tag = headers[header::ETAG].to_str().unwrap();
        let (status, _, bytes) = ask(path, &[("if-none-match", &format!("\"other\", {tag}"))]).await;
        assert_eq!((status, bytes.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(ask(path, &[("if-none-match", "\"other\"")]).await.0, StatusCode::OK);
        assert_eq!(ask("/docs/assets/assets.rs", &[]).await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn licences_of_the_scripts_are_passed_on() {
        let (_, _, text) = ask("/docs/assets/licenses.txt", &[]).await;
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("swagger") && text.contains("The MIT License") && text.contains("Apache License"));
    }
}
