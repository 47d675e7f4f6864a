//! The one shape of every answer: `{"code","message","data"}`, or an error with its request id.

use super::body::clip;
use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use pixel_core::request::Refusal;
use pixel_store::StoreError;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// A success; `code` is text.
#[derive(Debug, Serialize, ToSchema)]
pub struct Envelope<T> {
    #[schema(example = "200")]
    code: &'static str,
    #[schema(example = "success")]
    message: &'static str,
    data: T,
}

/// A 200 with its data.
pub fn ok<T: Serialize>(data: T) -> Json<Envelope<T>> {
    Json(Envelope { code: "200", message: "success", data })
}

/// An error: `code` is the HTTP status as text.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    #[schema(example = "400")]
    pub code: String,
    /// A full sentence that names the field and the remedy.
    pub message: String,
    #[schema(example = "req_0190c3a5f6d97d2e8f0a1b2c3d4e5f60")]
    pub request_id: String,
}

/// What a handler answers when it cannot do what was asked.
#[derive(Clone, Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub message: String,
    pub retry_after: Option<Duration>,
}

impl ApiError {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None }
    }

    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// The body; the layer around every request puts its id in.
    pub fn body(&self, request_id: &str) -> ErrorBody {
        ErrorBody {
            code: self.status.as_u16().to_string(),
            message: self.message.clone(),
            request_id: request_id.to_owned(),
        }
    }
}

impl ApiError {
    /// The same with the object that clients of the chat form look for.
    pub fn chat_body(&self, request_id: &str) -> serde_json::Value {
        let code = self.status.as_u16().to_string();
        serde_json::json!({
            "code": code, "message": self.message, "request_id": request_id, "error": self.chat_error(),
        })
    }

    /// That object alone, as it also stands in a stream.
    pub fn chat_error(&self) -> serde_json::Value {
        let kind = match self.status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        let code = self.status.as_u16().to_string();
        serde_json::json!({ "message": self.message, "type": kind, "param": null, "code": code })
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::bad(refusal.message)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        // A limit that holds, and a file that is just being removed, are answers.
        if !matches!(error, StoreError::Limited(_) | StoreError::Removed) {
            tracing::error!(%error, "the store could not answer");
        }
        match error {
            StoreError::Full => Self::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string()),
            StoreError::Away(_) => Self {
                retry_after: Some(Duration::from_secs(2)),
                ..Self::unavailable("The database cannot be reached at the moment. Try again shortly.")
            },
            StoreError::Removed => Self {
                retry_after: Some(Duration::from_secs(1)),
                ..Self::unavailable("An equal file was just being removed. Send the request again.")
            },
            StoreError::Limited(wait) => {
                // Whole seconds, and not too few of them.
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let message = format!("Too many generations in the last minute. Try again in {seconds} s.");
                let retry_after = Some(Duration::from_secs(seconds));
                Self { retry_after, ..Self::new(StatusCode::TOO_MANY_REQUESTS, message) }
            }
            StoreError::Taken => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Nothing was stored. Send it again."),
            StoreError::Closed => Self::unavailable("The server is shutting down. Try again shortly."),
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong inside Pixel. Its log has the details.",
            ),
        }
    }
}

impl IntoResponse for ApiError {
    /// The body is written by [`super::layers::around`], which knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs().max(1);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

pub async fn not_found(method: Method, uri: Uri) -> ApiError {
    let (method, path) = (clip(method.as_str()), clip(uri.path()));
    ApiError::missing(format!("There is no {method} {path}. The API is described at /docs."))
}

pub async fn not_allowed(method: Method, uri: Uri) -> ApiError {
    let (method, path) = (clip(method.as_str()), clip(uri.path()));
    let message = format!("{path} does not take {method}. The API is described at /docs.");
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message)
}
