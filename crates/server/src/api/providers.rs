//! `/providers`: each vendor, its keys and how it is doing, and the trial of its keys.

use super::{
    envelope::{ApiError, Envelope, ErrorBody, ok},
    state::App,
};
use crate::config::AccountSettings;
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use pixel_core::{
    catalog::{Model, VendorCard},
    request::Kind,
};
use pixel_engine::{CheckError, Key, KeyState, Lane, Tried};
use pixel_store::now;
use serde::Serialize;
use std::sync::Arc;
use url::Url;
use utoipa::ToSchema;

/// A vendor.
#[derive(Debug, Serialize, ToSchema)]
pub struct Provider {
    #[schema(example = "sandbox")]
    id: String,
    name: String,
    #[serde(flatten)]
    account: ProviderAccount,
    /// Those of its services that have keys and a host of their own.
    services: Vec<ProviderService>,
    breaker: Breaker,
    queue: Queue,
    /// The last thing that went wrong since this server started.
    last_error: Option<LastError>,
}

/// A service of a vendor.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderService {
    id: String,
    #[serde(flatten)]
    account: ProviderAccount,
}

/// Where calls go and with which keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderAccount {
    /// What its models make: `image`, `video`, `audio` or `llm`.
    modalities: Vec<&'static str>,
    /// It can be used now: a key is set, or none is needed, and not every one was refused.
    enabled: bool,
    /// Why it is not enabled, with the remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<String>,
    /// Of the base URL, with its port where it names one.
    host: Option<String>,
    key_count: usize,
    keys: Vec<ProviderKey>,
    /// The variables that are missing; one of these sets makes it usable.
    missing: Vec<Vec<String>>,
}

/// A key, by its variables. Its value is never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderKey {
    /// The first of its variables.
    #[schema(example = "ACME_API_KEY_2")]
    id: String,
    variables: Vec<String>,
    /// Its share of submissions; with 0 it only goes on with what it has submitted.
    weight: u32,
    /// `ready`, `parked` (the vendor refused it), `limited` (the vendor asked to slow down) or
    /// `signing_in` (its session is being renewed).
    #[schema(example = "ready")]
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// ISO 8601; when it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// Whether the vendor is left alone for a while because it did not answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Breaker {
    /// `closed`, or `open`: nothing is sent.
    #[schema(example = "closed")]
    state: &'static str,
    /// ISO 8601; when it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// Live tasks, over all servers that share the database.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Queue {
    /// Not begun.
    pending: i64,
    in_flight: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LastError {
    message: String,
    /// ISO 8601.
    at: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Providers {
    items: Vec<Provider>,
}

/// List every vendor with its keys and how it is doing, as this server knows it.
#[utoipa::path(get, path = "/api/v1/providers", tag = "providers", responses(
    (status = 200, description = "In the order of the catalogue", body = Envelope<Providers>)
))]
pub async fn list_providers(State(app): State<Arc<App>>) -> Result<Json<Envelope<Providers>>, ApiError> {
    let depth = app.engine.store().depth().await?;
    let queue = |vendor: &str| {
        let mut queue = Queue::default();
        for (_, stage, count) in depth.iter().filter(|(of, _, _)| of == vendor) {
            *(if *stage == 0 { &mut queue.pending } else { &mut queue.in_flight }) += count;
        }
        queue
    };
    let items = app.catalog.vendors.iter().map(|card| provider(&app, card, queue(&card.id)));
    Ok(ok(Providers { items: items.collect() }))
}

fn provider(app: &App, card: &VendorCard, queue: Queue) -> Provider {
    let lane = app.engine.lane(&card.id);
    let own = app.settings.vendors.get(&card.id).map_or(&[][..], |own| &own.accounts);
    let services = own.iter().filter_map(|own| {
        let id = own.account.service.clone()?;
        Some(ProviderService { account: account(app, card, lane, own), id })
    });
    let services: Vec<_> = services.collect();
    let itself = own.iter().find(|own| own.account.service.is_none());
    let mut whole = match itself {
        Some(own) => account(app, card, lane, own),
        None => nothing_of_its_own(),
    };
    whole.modalities = modalities(app, |model| model.provider == card.id);
    whole.enabled |= services.iter().any(|service| service.account.enabled);
    if whole.enabled {
        whole.disabled_reason = None;
    }
    let broken = lane.and_then(Lane::broken_for);
    Provider {
        id: card.id.clone(),
        name: card.name.clone(),
        account: whole,
        services,
        breaker: Breaker {
            state: if broken.is_some() { "open" } else { "closed" },
            until: broken.map(|wait| now().plus(wait).to_iso()),
        },
        queue,
        last_error: lane.and_then(Lane::last_error).map(|(at, message)| LastError { message, at: at.to_iso() }),
    }
}

/// Of a vendor whose services have everything.
fn nothing_of_its_own() -> ProviderAccount {
    ProviderAccount {
        modalities: Vec::new(),
        enabled: false,
        disabled_reason: Some("None of its services is enabled".to_owned()),
        host: None,
        key_count: 0,
        keys: Vec::new(),
        missing: Vec::new(),
    }
}

fn account(app: &App, card: &VendorCard, lane: Option<&Lane>, own: &AccountSettings) -> ProviderAccount {
    let service = own.account.service.as_deref();
    let why = match lane {
        _ if !card.enabled => Some("It is switched off on this server".to_owned()),
        _ if !own.is_usable() => Some(format!("Set {} to enable it", own.wanted())),
        None => Some("It is not served by this version of Pixel yet".to_owned()),
        Some(lane) => lane.why_parked(service).map(|why| match own.session {
            Some(_) => why,
            None => format!("The vendor refused every key: {why}"),
        }),
    };
    let states = lane.map(|lane| lane.keys(service)).unwrap_or_default();
    let keys: Vec<ProviderKey> = match lane {
        Some(_) => states.iter().filter(|(one, _)| !one.name.is_empty()).map(|(one, state)| key(one, state)).collect(),
        None => own.account.keys.iter().map(|one| key(one, &KeyState::Ready)).collect(),
    };
    ProviderAccount {
        modalities: modalities(app, |model| model.provider == card.id && model.service.as_deref() == service),
        enabled: why.is_none(),
        disabled_reason: why,
        host: host(&own.account.base_url),
        key_count: keys.len(),
        keys,
        missing: own.missing.clone(),
    }
}

fn modalities(app: &App, is_meant: impl Fn(&Model) -> bool) -> Vec<&'static str> {
    let makes = |kind: &Kind| app.catalog.models.iter().any(|model| model.kind == *kind && is_meant(model));
    let kinds = [Kind::Image, Kind::Video, Kind::Audio, Kind::Llm];
    kinds.into_iter().filter(makes).map(Kind::as_str).collect()
}

fn key(key: &Key, state: &KeyState) -> ProviderKey {
    let (state, reason, until) = match state {
        KeyState::Ready => ("ready", None, None),
        KeyState::SigningIn => ("signing_in", None, None),
        KeyState::Parked { why, until } => ("parked", Some(why.clone()), Some(until.to_iso())),
        KeyState::Limited { until } => {
            ("limited", Some("The vendor asked to slow down".to_owned()), Some(until.to_iso()))
        }
    };
    ProviderKey { id: key.name.clone(), variables: key.variables.clone(), weight: key.weight, state, reason, until }
}

/// Without the path, which may hold something private.
fn host(base_url: &str) -> Option<String> {
    let url = Url::parse(base_url).ok()?;
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// What came of the trial of one key.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyCheck {
    /// The service that the key is for, where the vendor has services.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    /// The first of its variables.
    #[schema(example = "ACME_API_KEY_2")]
    key: String,
    /// `ok`, `refused`, `unreachable` or `cannot_be_checked`.
    #[schema(example = "ok")]
    status: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
}

impl From<Tried> for KeyCheck {
    fn from(tried: Tried) -> Self {
        Self {
            service: tried.service,
            key: tried.key,
            status: tried.verdict.as_str(),
            message: tried.message,
            latency_ms: tried.latency.map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct KeyChecks {
    keys: Vec<KeyCheck>,
}

/// Try each key of a vendor with a call that costs nothing. A good key is set aside no longer.
#[utoipa::path(post, path = "/api/v1/providers/{id}/check", tag = "providers", params(("id" = String, Path)), responses(
    (status = 200, description = "One entry for each key", body = Envelope<KeyChecks>),
    (status = 404, description = "No such resource", body = ErrorBody),
    (status = 429, description = "The vendor's keys were tried a moment ago", body = ErrorBody),
    (status = 503, description = "Not available now", body = ErrorBody)
))]
pub async fn check_provider(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Envelope<KeyChecks>>, ApiError> {
    let tried = app.engine.check(&id).await.map_err(|error| match error {
        CheckError::NoVendor if app.catalog.vendor(&id).is_some() => {
            ApiError::unavailable(format!("'{id}' is not served by this version of Pixel yet."))
        }
        CheckError::NoVendor => ApiError::missing("There is no such provider. They are listed at /api/v1/providers."),
        CheckError::TooSoon(wait) => ApiError {
            retry_after: Some(wait),
            ..ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "The keys of this provider were tried a moment ago. Try again in some seconds.",
            )
        },
    })?;
    let named = tried.into_iter().filter(|tried| !tried.key.is_empty());
    Ok(ok(KeyChecks { keys: named.map(KeyCheck::from).collect() }))
}
