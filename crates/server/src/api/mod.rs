//! The HTTP API: one file per noun; this one is the route table and the document.

mod body;
mod chat;
mod create;
mod envelope;
mod framing;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod inputs;
mod layers;
mod leftover;
mod media;
mod models;
mod offers;
mod origins;
mod page;
mod pixverse;
mod providers;
mod state;
mod strict;
mod takers;
mod tasks;
mod usage;
mod view;

pub use pixverse::Polls;
pub use state::App;

use pixverse::detail;

use axum::{Router, middleware, response::Redirect};
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Pixel",
        description = "One API in front of many image, video, speech and text vendors. Post a request, get a task; \
                       poll it until it is `completed` or `failed`. Results are this server's own copies.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "models", description = "What can be made, and by whom"),
        (name = "providers", description = "The vendors, their keys and how they are doing"),
        (name = "generations", description = "Asking for pictures, clips and speech"),
        (name = "tasks", description = "What became of it"),
        (name = "media", description = "The results themselves"),
        (name = "chat", description = "Text, whole or streamed"),
        (name = "apps", description = "The service for mobile apps, at the server's root"),
        (name = "server", description = "Health and figures")
    )
)]
struct Document;

/// Every route with its description.
fn described() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(models::list_models))
        .routes(routes!(models::get_model))
        .routes(routes!(models::get_model_schema))
        .routes(routes!(providers::list_providers))
        .routes(routes!(providers::check_provider))
        .routes(routes!(create::create_image))
        .routes(routes!(create::create_video))
        .routes(routes!(create::create_audio))
        .routes(routes!(tasks::list_tasks))
        .routes(routes!(tasks::get_task))
        .routes(routes!(tasks::resolve_task))
        .routes(routes!(media::get_media))
        .routes(routes!(chat::create_chat_completion))
        .routes(routes!(usage::get_usage))
        .merge(pixverse::described())
        .routes(routes!(health::get_health))
        .routes(routes!(health::get_ready))
        .routes(routes!(health::get_metrics))
}

/// The whole server: the API, its reading pages, and the layers around every request.
pub fn router(app: Arc<App>) -> Router {
    let (routes, document) = described().split_for_parts();
    let json = document.to_json().unwrap_or_default();
    routes
        .route("/openapi.json", axum::routing::get(move || page::document(json.clone())))
        .merge(crate::docs_pages::routes())
        .merge(pixverse::with_slash())
        .route("/", axum::routing::get(page::index))
        .route("/docs/", axum::routing::get(|| async { Redirect::permanent("/docs") }))
        .route("/redoc/", axum::routing::get(|| async { Redirect::permanent("/redoc") }))
        .fallback(envelope::not_found)
        .method_not_allowed_fallback(envelope::not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), origins::guard))
        .layer(middleware::from_fn(framing::guard))
        .layer(layers::cors(&app.settings.cors))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), layers::around))
        .with_state(app)
}
