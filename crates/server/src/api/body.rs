//! Reads JSON bodies whatever type they are declared as, and names the field that is wrong.

use super::{envelope::ApiError, strict};
use axum::{
    body::{Body, HttpBody},
    http::StatusCode,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    error::Error,
    fmt::{self, Write},
    io,
    time::Duration,
};

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
    ("stream_options", "an object such as {\"include_usage\":true}"),
    ("stream_options.include_usage", "true or false"),
    ("imageInputs[]", "an address"),
    ("extraParams.loras", "a list such as [{\"model\":\"provider/anime-style\",\"weight\":0.8}]"),
];

/// A body that has not arrived by then is not waited for.
const ARRIVAL: Duration = Duration::from_secs(120);
/// Larger bodies are read off the threads that serve everyone.
const LARGE_BYTES: usize = 256 << 10;

/// The whole body, at most `limit` bytes.
pub async fn bytes(body: Body, limit: usize) -> Result<Vec<u8>, ApiError> {
    let too_large = || {
        let message = format!("The body is larger than {limit} bytes, the most that is taken.");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    // Refused before it is asked for, where its length was announced.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(limit);
    match tokio::time::timeout(ARRIVAL, collect(Limited::new(body, limit), announced)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(ApiError::bad(format!("The body could not be read: {error}."))),
        Err(_) => Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time. Send it again.")),
    }
}

/// One copy of a large body is enough; memory that is reserved is not used before it is filled.
async fn collect(mut body: Limited<Body>, announced: usize) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let mut bytes = Vec::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        if let Some(piece) = frame?.data_ref() {
            bytes.extend_from_slice(piece);
        }
    }
    Ok(bytes)
}

/// The body as a JSON object.
pub async fn object(body: Body, limit: usize) -> Result<Value, ApiError> {
    let bytes = bytes(body, limit).await?;
    let is_large = bytes.len() > LARGE_BYTES;
    let parsed = match is_large {
        true => {
            let parsing = tokio::task::spawn_blocking(move || read(&bytes)).await;
            parsing.map_err(|error| ApiError::bad(error.to_string()))?
        }
        false => read(&bytes),
    };
    parsed.map_err(ApiError::bad)
}

/// The object in these bytes; the error is a sentence for the caller.
pub fn read(bytes: &[u8]) -> Result<Value, String> {
    match strict::parse(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))? {
        value @ Value::Object(_) => Ok(value),
        other => Err(format!("The body must be a JSON object, got: {}.", shorten(&other))),
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

/// A caller's text for a message, at most 200 characters.
pub fn clip(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// A value for a message, at most 80 characters. Of a long one no more is written than is shown.
pub fn shorten(value: &Value) -> String {
    let mut start = Start(String::new());
    match write!(start, "{value}") {
        Ok(()) => start.0,
        Err(_) => start.0 + "…",
    }
}

/// The length of a value as JSON, which is not written for it.
pub fn json_bytes(value: &Value) -> usize {
    let mut count = Count(0);
    // Counting does not fail, nor does writing a value that was read.
    drop(serde_json::to_writer(&mut count, value));
    count.0
}

/// Takes 80 characters.
struct Start(String);

impl fmt::Write for Start {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = 80_usize.saturating_sub(self.0.chars().count());
        let end = text.char_indices().nth(left).map_or(text.len(), |(end, _)| end);
        self.0.push_str(&text[..end]);
        if end == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_shown_in_short() {
        assert_eq!(shorten(&json!({ "a": [1, "é"] })), r#"{"a":[1,"é"]}"#);
        let long = shorten(&json!(["é".repeat(500)]));
        assert_eq!((long.chars().count(), long.ends_with("é…")), (81, true));
        assert_eq!(shorten(&json!("x".repeat(78))), format!("\"{}\"", "x".repeat(78)), "80 are shown whole");
        for value in [json!(null), json!("é\n\"x"), json!({ "a": [1.5, { "b": "c" }] })] {
            assert_eq!(json_bytes(&value), value.to_string().len());
        }
    }
}
