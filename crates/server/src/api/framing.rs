//! Refuses requests that a server between the client and us could read differently, and bodies
//! that are packed.
//!
//! Where two hosts, or two lengths, are named, each reader picks its own: what one takes for the
//! body is the next request to the other.

use super::envelope::ApiError;
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

pub async fn guard(request: Request, next: Next) -> Response {
    let (uri, headers) = (request.uri(), request.headers());
    let is_chunked = headers.contains_key(header::TRANSFER_ENCODING);
    let verdict = check_host(request.version(), uri, headers).and_then(|()| check_body(headers));
    let mut response = match verdict {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    if is_chunked {
        // A length beside the chunks has been dropped by the reader below us. If somebody on the
        // way went by it, what follows on this connection is not a request.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn check_host(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (host, another) = (hosts.next(), hosts.next());
    if another.is_some() {
        return Err(ApiError::bad("The request names several hosts. Send one 'Host' header."));
    }
    // The newer version of the protocol names it in the address.
    let is_named = match version {
        Version::HTTP_09 | Version::HTTP_10 => true,
        Version::HTTP_11 => host.is_some(),
        _ => host.is_some() || uri.authority().is_some(),
    };
    if !is_named {
        return Err(ApiError::bad("The request names no host. Send a 'Host' header."));
    }
    match (host, uri.authority()) {
        (Some(host), Some(target)) if !host.as_bytes().eq_ignore_ascii_case(target.as_str().as_bytes()) => {
            Err(ApiError::bad("The request's address and its 'Host' header name two hosts. Send one of them twice."))
        }
        _ => Ok(()),
    }
}

fn check_body(headers: &HeaderMap) -> Result<(), ApiError> {
    // What lies below another coding would be taken for the body.
    let is_chunked = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    if !headers.get_all(header::TRANSFER_ENCODING).iter().all(is_chunked) {
        return Err(ApiError::bad("'Transfer-Encoding' must be 'chunked' alone, or be left out."));
    }
    let is_plain = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    match headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        true => Ok(()),
        false => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Bodies are taken as they are. Send it without 'Content-Encoding', unpacked.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut all = HeaderMap::new();
        for (name, value) in pairs {
            all.append(*name, HeaderValue::from_static(value));
        }
        all
    }

    #[test]
    fn one_host_is_named() {
        let check = |version, uri: &'static str, pairs: &[_]| {
            check_host(version, &Uri::from_static(uri), &headers(pairs)).is_ok()
        };
        assert!(check(Version::HTTP_11, "/", &[("host", "a")]) && check(Version::HTTP_10, "/", &[]));
        assert!(check(Version::HTTP_11, "http://A:80/", &[("host", "a:80")]));
        assert!(!check(Version::HTTP_11, "/", &[]) && !check(Version::HTTP_11, "/", &[("host", "a"), ("host", "a")]));
        assert!(!check(Version::HTTP_11, "http://b/", &[("host", "a")]) && !check(Version::HTTP_11, "http://b/", &[]));
        assert!(check(Version::HTTP_2, "http://b/", &[]) && !check(Version::HTTP_2, "/", &[]));
    }

    #[test]
    fn nothing_is_packed() {
        let status = |pairs: &[_]| check_body(&headers(pairs)).map_or_else(|error| error.status.as_u16(), |()| 200);
        assert_eq!(status(&[("content-length", "5"), ("content-encoding", " Identity")]), 200);
        assert_eq!(status(&[("transfer-encoding", "chunked")]), 200);
        assert_eq!(status(&[("transfer-encoding", "gzip, chunked")]), 400);
        for packed in ["gzip", "identity, gzip", "", "br"] {
            assert_eq!(status(&[("content-encoding", packed)]), 415, "{packed}");
        }
    }
}
