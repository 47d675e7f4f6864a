//! Reads JSON bodies whatever type they are declared as, and names the field that is wrong.

use super::envelope::ApiError;
use axum::{body::Body, http::StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What each field must be: the end of the sentence "'field' must be …".
const MUST: &[(&str, &str)] = &[
    ("prompt", "text"),
    ("model", "text such as 'provider/model_key'"),
    ("negativePrompt", "text"),
    ("resolution", "text such as '1K' or '720p'"),
    ("aspectRatio", "text such as '16:9'"),
    ("duration", "seconds such as '5s'"),
    ("n", "an integer from 1 to 10"),
    ("seed", "an integer"),
    ("voice", "text"),
    ("speed", "a number such as 1.0"),
    ("imageInputs", "a list of addresses"),
    ("extraParams", "an object"),
    ("projectId", "text"),
    ("source", "text"),
    ("sourceId", "text"),
    ("choice", "'lost', 'search' or 'pay_again'"),
    ("messages", "a list of messages"),
    ("extraParams.loras", "a list such as [{\"model\":\"provider/anime-style\",\"weight\":0.8}]"),
];

/// The whole body, at most `limit` bytes.
pub async fn bytes(body: Body, limit: usize) -> Result<bytes::Bytes, ApiError> {
    axum::body::to_bytes(body, limit).await.map_err(|error| {
        // The only other cause is a caller that hung up, who reads no answer.
        tracing::debug!(%error, "a body was not read");
        let message = format!("The body is larger than {} MiB, the most that is taken.", limit >> 20);
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    })
}

/// The body as a JSON object.
pub async fn object(body: Body, limit: usize) -> Result<Value, ApiError> {
    let bytes = bytes(body, limit).await?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let value: Value = serde_json::from_slice(text)
        .map_err(|error| ApiError::bad(format!("The body must be a JSON object, but is not JSON: {error}.")))?;
    match value {
        Value::Object(_) => Ok(value),
        other => Err(ApiError::bad(format!("The body must be a JSON object, got: {}.", shorten(&other)))),
    }
}

/// The object as a typed body; an error names the field, what it must be and what was given.
pub fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let pointer = format!("/{}", path.replace(['.', '['], "/").replace(']', ""));
        let given = value.pointer(&pointer).map_or_else(|| "nothing".to_owned(), shorten);
        ApiError::bad(must(&path, &given, &error.into_inner().to_string()))
    })
}

fn must(path: &str, given: &str, why: &str) -> String {
    let field = path.split('[').next().unwrap_or(path);
    match MUST.iter().find(|(name, _)| *name == field) {
        Some((_, what)) if field == path => format!("'{path}' must be {what}, got: {given}."),
        _ => format!("'{path}' is not valid: {why}."),
    }
}

/// A value for a message, at most 80 characters.
pub fn shorten(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
