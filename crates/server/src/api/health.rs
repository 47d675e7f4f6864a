//! Whether the server lives, whether it can work, and its figures.

use super::{envelope::ApiError, state::App};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use pixel_store::Filter;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    #[schema(example = "ok")]
    status: &'static str,
    version: &'static str,
    /// Every model is answered by the sandbox.
    sandbox: bool,
    /// `open`, or `paused`: tasks are accepted and wait, and no paid call leaves.
    #[schema(example = "open")]
    submissions: &'static str,
    /// ISO 8601; since when submissions are paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_since: Option<String>,
}

fn health(app: &App) -> Json<Health> {
    let pause = app.engine.pause();
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        sandbox: app.settings.sandbox,
        submissions: if pause.is_some() { "paused" } else { "open" },
        paused_since: pause.map(|pause| pause.since.to_iso()),
    })
}

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "server", responses((status = 200, description = "The answer", body = Health)))]
pub async fn get_health(State(app): State<Arc<App>>) -> Json<Health> {
    health(&app)
}

/// Whether the server can take tasks. It can while submissions are paused, which the answer says.
#[utoipa::path(get, path = "/readyz", tag = "server", responses(
    (status = 200, description = "The answer", body = Health), (status = 503, description = "Not available now", body = super::envelope::ErrorBody)
))]
pub async fn get_ready(State(app): State<Arc<App>>) -> Result<Json<Health>, ApiError> {
    if app.is_draining() {
        let sentence = "This server is about to stop. Send new requests to another one.";
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, sentence));
    }
    app.engine.store().list(&Filter::default(), 1).await?;
    Ok(health(&app))
}

/// Figures for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "server", responses(
    (status = 200, description = "Prometheus text", content_type = "text/plain", body = String)
))]
pub async fn get_metrics(State(app): State<Arc<App>>) -> Result<impl IntoResponse, ApiError> {
    const STAGES: [&str; 3] = ["queued", "waiting", "leased"];
    let depth = app.engine.store().depth().await?;
    for vendor in app.catalog.vendors.iter().map(|vendor| &vendor.id) {
        for (number, stage) in (0_i64..).zip(STAGES) {
            let found = depth.iter().find(|(v, s, _)| v == vendor && *s == number);
            let count = found.map_or(0.0, |(_, _, count)| *count as f64);
            metrics::gauge!("pixel_tasks_live", "vendor" => vendor.clone(), "stage" => stage).set(count);
        }
    }
    let is_paused = app.engine.pause().is_some();
    metrics::gauge!("pixel_submissions_paused").set(f64::from(u8::from(is_paused)));
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.render()))
}
