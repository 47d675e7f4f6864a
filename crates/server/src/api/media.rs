//! `GET /media/{id}.{ext}`: stored files, with ranges and revalidation.

use super::{
    body::clip,
    envelope::{ApiError, ErrorBody},
    state::App,
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use pixel_core::{id::MediaId, task::Facts};
use pixel_store::Stored;
use std::sync::Arc;
use tokio_util::io::ReaderStream;

/// What a browser may show in place; everything else is a download.
const SHOWN: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/gif",
    "video/mp4",
    "video/webm",
    "video/quicktime",
    "audio/wav",
    "audio/x-wav",
    "audio/mpeg",
    "audio/ogg",
    "audio/flac",
    "audio/mp4",
    "audio/aac",
];
/// Bytes read at a time.
const CHUNK: usize = 64 << 10;

/// Get a stored file.
#[utoipa::path(get, path = "/media/{file}", tag = "media",
    params(("file" = String, Path, description = "`{media_id}.{ext}`")),
    responses(
        (status = 200, description = "The file; `Range` and `If-None-Match` are honoured", content_type = "application/octet-stream"),
        (status = 206, description = "A part of it"), (status = 304, description = "Unchanged"),
        (status = 404, description = "No such resource", body = ErrorBody), (status = 410, description = "Removed: its task ended longer ago than media is kept", body = ErrorBody), (status = 416, description = "The range lies beyond the file", body = ErrorBody)
    )
)]
pub async fn get_media(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    asked: HeaderMap,
) -> Result<Response, ApiError> {
    let missing = || ApiError::missing(format!("There is no media '{}'.", clip(&file)));
    let (name, ext) = file.split_once('.').map_or((file.as_str(), None), |(name, ext)| (name, Some(ext)));
    let id = MediaId::parse(name).ok_or_else(missing)?;
    let row = match app.engine.store().media(&id).await? {
        Some(Stored::Here(row)) if ext.is_none_or(|ext| ext == row.facts.ext) => row,
        Some(Stored::Removed) => return Err(removed(&file)),
        Some(Stored::Here(_)) | None => return Err(missing()),
    };
    let tag = format!("\"{}\"", row.facts.sha256);
    if asked.get_all(header::IF_NONE_MATCH).iter().any(|value| lists_tag(value, &tag)) {
        return with_headers(&row.facts, &tag, StatusCode::NOT_MODIFIED, Body::empty());
    }
    let unread = |error: std::io::Error| {
        tracing::error!(%error, media = %id, "a stored file cannot be read");
        ApiError::unavailable("The file cannot be read at the moment. Try again shortly.")
    };
    let length = row.facts.bytes;
    // A range of an older file would be glued to this one's.
    let same = asked.get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == tag.as_bytes());
    let range = asked.get(header::RANGE).and_then(|value| value.to_str().ok()).filter(|_| same);
    let (status, start, end) = match range.map_or(Wanted::All, |text| read_range(text, length)) {
        Wanted::All => (StatusCode::OK, 0, length),
        Wanted::Part(start, end) => (StatusCode::PARTIAL_CONTENT, start, end),
        Wanted::Beyond => return Ok(beyond(length)),
    };
    let opened = app.engine.blobs().open_range(&row.facts.sha256, start..end).await;
    if opened.is_err() && app.engine.store().media(&id).await? == Some(Stored::Removed) {
        return Err(removed(&file));
    }
    let blob = opened.map_err(unread)?;
    let stream = ReaderStream::with_capacity(blob, CHUNK);
    let mut response = with_headers(&row.facts, &tag, status, Body::from_stream(stream))?;
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(end - start));
    if status == StatusCode::PARTIAL_CONTENT {
        let last = end.saturating_sub(1);
        let value = HeaderValue::from_str(&format!("bytes {start}-{last}/{length}"));
        response.headers_mut().extend(value.ok().map(|value| (header::CONTENT_RANGE, value)));
    }
    Ok(response)
}

fn removed(file: &str) -> ApiError {
    let message = format!("The media '{file}' was removed: its task ended longer ago than media is kept here.");
    ApiError::new(StatusCode::GONE, message)
}

/// A 416 says how long the file is, in its message and in the header that clients read.
fn beyond(length: u64) -> Response {
    let error = ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, format!("The file has {length} bytes."));
    let mut response = error.into_response();
    let value = HeaderValue::from_str(&format!("bytes */{length}"));
    response.headers_mut().extend(value.ok().map(|value| (header::CONTENT_RANGE, value)));
    response
}

fn lists_tag(value: &HeaderValue, tag: &str) -> bool {
    let text = value.to_str().unwrap_or_default();
    text.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

fn with_headers(facts: &Facts, tag: &str, status: StatusCode, body: Body) -> Result<Response, ApiError> {
    let shown = SHOWN.contains(&facts.content_type.as_str());
    let content_type = if shown { facts.content_type.as_str() } else { "application/octet-stream" };
    let disposition = if shown { "inline" } else { "attachment" };
    let response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::ETAG, tag)
        .header(header::ACCEPT_RANGES, "bytes")
        // An id never names other bytes.
        .header(header::CACHE_CONTROL, "public, max-age=31536000, immutable")
        .header(header::CONTENT_DISPOSITION, disposition)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'; sandbox",
        )
        .header("cross-origin-resource-policy", "cross-origin")
        .body(body);
    response.map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    /// From the first byte to one behind the last.
    Part(u64, u64),
    Beyond,
}

/// One range; several, or one that is not understood, mean the whole file, as the standard allows.
fn read_range(text: &str, length: u64) -> Wanted {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::All;
    };
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last && first < length => {
            Wanted::Part(first, last.saturating_add(1).min(length))
        }
        (Ok(first), Err(_)) if last.trim().is_empty() && first < length => Wanted::Part(first, length),
        (Err(_), Ok(0)) if first.trim().is_empty() => Wanted::Beyond,
        (Err(_), Ok(tail)) if first.trim().is_empty() && length > 0 => {
            Wanted::Part(length.saturating_sub(tail), length)
        }
        (Ok(first), _) if first >= length => Wanted::Beyond,
        _ => Wanted::All,
    }
}

/// A part lies within the file.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz(text: &str, length: u64) {
    if let Wanted::Part(start, end) = read_range(text, length) {
        assert!(start < end && end <= length, "{start} to {end} of {length}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(read_range("bytes=0-9", 100), Wanted::Part(0, 10));
        assert_eq!(read_range("bytes=90-", 100), Wanted::Part(90, 100));
        assert_eq!(read_range("bytes=-10", 100), Wanted::Part(90, 100));
        assert_eq!(read_range("bytes=-500", 100), Wanted::Part(0, 100));
        assert_eq!(read_range("bytes=50-500", 100), Wanted::Part(50, 100));
        assert_eq!(read_range("bytes=100-", 100), Wanted::Beyond);
        assert_eq!(read_range("bytes=-0", 100), Wanted::Beyond);
        for whole in ["bytes=9-0", "bytes=a-b", "items=0-1", "bytes=0-1,5-6", "bytes=-"] {
            assert_eq!(read_range(whole, 100), Wanted::All, "{whole}");
        }
    }
}
