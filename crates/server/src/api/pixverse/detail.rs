//! Errors as this service's clients read them: they decode a body without looking at its status.

use crate::api::envelope::ApiError;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// Routes whose errors look so, with or without a slash at their ends.
const ROUTES: [&str; 3] = ["/text2video", "/image2video", "/get_status"];
const PREFIX: &str = "/pixverse/";

/// An error: one sentence, whatever the status.
#[derive(Debug, Serialize, ToSchema)]
pub struct Detail {
    #[schema(example = "'prompt' is required.")]
    detail: String,
}

pub fn is_spoken_at(path: &str) -> bool {
    let bare = path.strip_suffix('/').unwrap_or(path);
    path.starts_with(PREFIX) || ROUTES.contains(&bare)
}

pub fn body(error: &ApiError) -> Detail {
    Detail { detail: error.message.clone() }
}

/// The statuses of this service: what is not among them becomes the nearest that is.
pub fn status(status: StatusCode) -> StatusCode {
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::UNSUPPORTED_MEDIA_TYPE => StatusCode::BAD_REQUEST,
        status if status.is_server_error() => StatusCode::INTERNAL_SERVER_ERROR,
        status => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_services_routes_speak_so() {
        for path in ["/text2video", "/image2video/", "/get_status", "/pixverse/api/v1/nothing"] {
            assert!(is_spoken_at(path), "{path}");
        }
        for path in ["/", "/text2videos", "/text2video//", "/api/v1/tasks/x", "/pixverse"] {
            assert!(!is_spoken_at(path), "{path}");
        }
        assert_eq!([503, 507, 415, 408, 429, 404].map(code), [500, 500, 400, 400, 429, 404]);
    }

    fn code(from: u16) -> u16 {
        status(StatusCode::from_u16(from).unwrap()).as_u16()
    }
}
