//! `GET /models`: what can be made. The order of keys is part of the contract: callers take the
//! first of a group.

use super::{
    envelope::{ApiError, Envelope, ErrorBody, ok},
    state::App,
};
use axum::{
    Json,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use pixel_core::{
    catalog::{Model, Voice},
    price::Price,
    request::Kind,
    schema,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

/// One model as it is offered here.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelEntry {
    #[schema(example = "sandbox/painter")]
    id: String,
    name: String,
    /// Equals the group: `image`, `video`, `audio` or `llm`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Of an alias, what stands before the slash.
    provider: String,
    model_key: String,
    is_default: bool,
    enabled: bool,
    /// The sandbox answers in its place: results are samples and cost nothing.
    sandbox: bool,
    /// Of an alias, what every member can do.
    capabilities: Capabilities,
    /// The models that an alias stands for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    members: Vec<String>,
    /// Level → aspect ratio → `W*H`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    resolutions: Option<Value>,
    /// `"5s"` → what a person reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    durations: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<VoiceEntry>)]
    voices: Vec<Voice>,
    /// Further parameters for `extraParams`, each a small JSON Schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    params: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    price: Option<Price>,
    /// Why it is not enabled, with the remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<String>,
    /// The day on which its vendor turns it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    retires: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Capabilities {
    supports_lora: bool,
    supports_ref_image: bool,
    supports_negative_prompt: bool,
    supports_seed: bool,
    supports_last_frame: bool,
    supports_speed: bool,
    max_ref_images: u32,
}

/// A voice of a speech model.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes pixel_core's Voice in the document")]
pub struct VoiceEntry {
    id: String,
    name: String,
    language: String,
}

/// The four groups, each keyed by model id.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelGroups {
    #[schema(value_type = std::collections::HashMap<String, ModelEntry>)]
    image: Map<String, Value>,
    #[schema(value_type = std::collections::HashMap<String, ModelEntry>)]
    video: Map<String, Value>,
    #[schema(value_type = std::collections::HashMap<String, ModelEntry>)]
    audio: Map<String, Value>,
    #[schema(value_type = std::collections::HashMap<String, ModelEntry>)]
    llm: Map<String, Value>,
}

/// List every model by type, the usable ones first.
#[utoipa::path(get, path = "/api/v1/models", tag = "models", responses(
    (status = 200, description = "The four groups; the first key of each is the one to use", body = Envelope<ModelGroups>)
))]
pub async fn list_models(State(app): State<Arc<App>>) -> Json<Envelope<ModelGroups>> {
    ok(ModelGroups {
        image: group(&app, Kind::Image),
        video: group(&app, Kind::Video),
        audio: group(&app, Kind::Audio),
        llm: group(&app, Kind::Llm),
    })
}

/// Get one model.
#[utoipa::path(get, path = "/api/v1/models/{provider}/{model_key}", tag = "models",
    params(("provider" = String, Path), ("model_key" = String, Path)),
    responses((status = 200, description = "The answer", body = Envelope<ModelEntry>), (status = 404, description = "No such resource", body = ErrorBody))
)]
pub async fn get_model(
    State(app): State<Arc<App>>,
    Path((provider, key)): Path<(String, String)>,
) -> Result<Json<Envelope<ModelEntry>>, ApiError> {
    let card = app.find_model(&format!("{provider}/{key}"))?;
    let is_default = ordered(&app, card.kind).first().is_some_and(|first| first.id() == card.id());
    Ok(ok(entry(&app, card, is_default)))
}

/// Get the JSON Schema of what is posted for one model.
///
/// It is the document itself, without an envelope, so that a validator or a form can load it from here. A field of a
/// request that it does not name does not apply to the model, and is left out with a warning.
#[utoipa::path(get, path = "/api/v1/models/{provider}/{model_key}/schema", tag = "models",
    params(("provider" = String, Path), ("model_key" = String, Path)),
    responses(
        (status = 200, description = "A JSON Schema, draft 2020-12", content_type = "application/schema+json", body = Object),
        (status = 404, description = "No such resource", body = ErrorBody)
    )
)]
pub async fn get_model_schema(
    State(app): State<Arc<App>>,
    Path((provider, key)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let card = app.find_model(&format!("{provider}/{key}"))?;
    let headers = [(header::CONTENT_TYPE, "application/schema+json"), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, schema::of(card).to_string()).into_response())
}

/// Enabled models of real vendors with the default first, then the sandbox's own, then the rest.
fn ordered(app: &App, kind: Kind) -> Vec<&Model> {
    let aliases = app.catalog.aliases.iter().map(|alias| &alias.card);
    let mut cards: Vec<_> = app.catalog.models.iter().chain(aliases).filter(|card| card.kind == kind).collect();
    let class = |card: &Model| match (app.offer(card).disabled.is_none(), card.provider == pixel_vendors::SANDBOX) {
        (true, false) => 0,
        (true, true) => 1,
        (false, _) => 2,
    };
    // Stable, so that the order of the catalogue decides what is left.
    cards.sort_by_key(|card| (class(card), !card.default));
    cards
}

fn group(app: &App, kind: Kind) -> Map<String, Value> {
    let cards = ordered(app, kind);
    let entries = cards.iter().enumerate().map(|(at, card)| {
        // Our own types always serialise.
        (card.id(), serde_json::to_value(entry(app, card, at == 0)).unwrap_or_default())
    });
    entries.collect()
}

fn entry(app: &App, card: &Model, is_first: bool) -> ModelEntry {
    let offer = app.offer(card);
    let table = |table: &toml::Table| (!table.is_empty()).then(|| json!(table));
    ModelEntry {
        id: card.id(),
        name: card.name.clone(),
        kind: card.kind.as_str(),
        provider: card.provider.clone(),
        model_key: card.key.clone(),
        is_default: is_first && offer.disabled.is_none(),
        enabled: offer.disabled.is_none(),
        sandbox: offer.sandbox,
        capabilities: Capabilities {
            supports_lora: card.loras,
            supports_ref_image: card.ref_images > 0,
            supports_negative_prompt: card.negative_prompt,
            supports_seed: card.seed,
            supports_last_frame: card.last_frame,
            supports_speed: card.speed,
            max_ref_images: card.ref_images,
        },
        members: app.alias_of(card).iter().flat_map(|alias| app.members(alias)).map(|(id, _)| id.to_string()).collect(),
        resolutions: table(&card.resolutions),
        durations: table(&card.durations),
        voices: card.voices.clone(),
        params: table(&card.params),
        price: card.price.clone().filter(|_| !offer.sandbox),
        disabled_reason: offer.disabled,
        retires: card.retires.clone(),
    }
}

#[cfg(test)]
mod schema_tests;
