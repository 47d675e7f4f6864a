//! The service for mobile apps: clips from a text, or from a picture and a text, by a number.
//!
//! Its requests become ordinary tasks. What is its own is the many ways in which apps write a
//! request ([`fields`]), the shape of answers and errors ([`dialect`], [`detail`]), and that a user
//! of an app may ask for so much and no more. It is described in `docs/pixverse-service.md`.

mod create;
pub mod detail;
mod dialect;
mod fields;
mod picture;
mod polls;
mod status;
mod ways;
mod wish;

pub use polls::Polls;

#[cfg(any(test, feature = "fuzzing"))]
pub use wish::fuzz;

use super::state::App;
use axum::{
    Router,
    routing::{get, post},
};
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes, with their description.
pub fn described() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(create::text_to_video))
        .routes(routes!(create::image_to_video))
        .routes(routes!(status::get_status))
        .routes(routes!(create::prompt_to_video))
        .routes(routes!(create::picture_to_video))
        .routes(routes!(status::get_video_status))
}

/// The same with a slash at their ends, as some clients write them.
pub fn with_slash() -> Router<Arc<App>> {
    Router::new()
        .route("/text2video/", post(create::text_to_video))
        .route("/image2video/", post(create::image_to_video))
        .route("/get_status/", get(status::get_status))
        .route("/pixverse/api/v1/text2video/", post(create::prompt_to_video))
        .route("/pixverse/api/v1/image2video/", post(create::picture_to_video))
        .route("/pixverse/api/v1/status/", get(status::get_video_status))
}
