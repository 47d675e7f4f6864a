//! Words that several tests share.

use pixel_testkit::{Client, client::Answer};
use serde_json::{Value, json};
use std::time::Duration;

/// How long anything may take that a person would wait for; the machine may be busy.
pub const SOON: Duration = Duration::from_secs(60);

pub const IMAGE: &str = "/api/v1/generations/image";
pub const VIDEO: &str = "/api/v1/generations/video";
pub const AUDIO: &str = "/api/v1/generations/audio";

/// The smallest request for a picture.
pub fn picture(model: &str, prompt: &str) -> Value {
    json!({ "model": model, "prompt": prompt })
}

/// A request with further fields.
pub fn with(mut body: Value, more: &Value) -> Value {
    let fields = more.as_object().expect("an object");
    body.as_object_mut().expect("an object").extend(fields.clone());
    body
}

/// Asserts the shape of an error and returns its sentence.
pub fn refusal(answer: &Answer, status: u16) -> String {
    let body = answer.json();
    assert_eq!((answer.status, &body["code"]), (status, &json!(status.to_string())), "{body}");
    let id = body["request_id"].as_str().unwrap_or_default();
    assert!(id.starts_with("req_"), "no request id in {body}");
    assert_eq!(answer.header("x-request-id"), Some(id), "the header names another request");
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")), "{body}");
    let message = body["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "no sentence in {body}");
    message.to_owned()
}

/// Asserts that a body is refused with a sentence that names the field.
pub async fn refused_naming(client: &Client, path: &str, body: &Value, field: &str) {
    let answer = client.post(path, body).await;
    assert_eq!(answer.status, 400, "{path} took {body}: {}", answer.text());
    let message = refusal(&answer, 400);
    assert!(message.contains(field), "the sentence about {body} does not name '{field}': {message}");
}

/// The fields that warnings are about.
pub fn warned(task: &Value) -> Vec<String> {
    let warnings = task["warnings"].as_array().cloned().unwrap_or_default();
    let field = |warning: &Value| {
        assert!(warning["message"].as_str().is_some_and(|text| !text.is_empty()), "{warning}");
        warning["field"].as_str().expect("a warning names its field").to_owned()
    };
    warnings.iter().map(field).collect()
}

/// `error.code` of a task that must have failed.
pub fn failure(task: &Value) -> String {
    assert_eq!(task["status"], "failed", "{task:#}");
    assert!(task["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{task:#}");
    task["error"]["code"].as_str().expect("an error has a code").to_owned()
}
