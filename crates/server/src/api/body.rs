//! Reads JSON bodies whatever type they are declared as, and names the field that is wrong.

use super::envelope::ApiError;
use axum::{
    body::{Body, HttpBody},
    http::StatusCode,
};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

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
    ("max_tokens", "an integer of 0 or more"),
    ("max_completion_tokens", "an integer of 0 or more"),
    ("stream", "true or false"),
    ("imageInputs[]", "an address"),
    ("extraParams.loras", "a list such as [{\"model\":\"provider/anime-style\",\"weight\":0.8}]"),
];

/// A body that has not arrived by then is not waited for.
const ARRIVAL: Duration = Duration::from_secs(120);
/// Larger bodies are read off the threads that serve everyone.
const LARGE_BYTES: usize = 256 << 10;

/// The whole body, at most `limit` bytes.
async fn bytes(body: Body, limit: usize) -> Result<bytes::Bytes, ApiError> {
    let too_large = || {
        let message = format!("The body is larger than {limit} bytes, the most that is taken.");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    // Refused before it is asked for, where its length was announced.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(ARRIVAL, axum::body::to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if std::error::Error::source(&error).is_some_and(|cause| cause.is::<LengthLimitError>()) => {
            Err(too_large())
        }
        Ok(Err(error)) => Err(ApiError::bad(format!("The body could not be read: {error}."))),
        Err(_) => Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time. Send it again.")),
    }
}

/// The body as a JSON object.
pub async fn object(body: Body, limit: usize) -> Result<Value, ApiError> {
    let bytes = bytes(body, limit).await?;
    let is_large = bytes.len() > LARGE_BYTES;
    let parse = move || serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes));
    let parsed: Result<Value, _> = match is_large {
        true => tokio::task::spawn_blocking(parse).await.map_err(|error| ApiError::bad(error.to_string()))?,
        false => parse(),
    };
    let value =
        parsed.map_err(|error| ApiError::bad(format!("The body must be a JSON object, but is not JSON: {error}.")))?;
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
    // A list's items are described by a row of their own.
    let field = path.split('[').next().unwrap_or(path);
    let row = if field == path { field.to_owned() } else { format!("{field}[]") };
    match MUST.iter().find(|(name, _)| *name == row) {
        Some((_, what)) => format!("'{path}' must be {what}, got: {given}."),
        None => format!("'{path}' is not valid: {why}."),
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
