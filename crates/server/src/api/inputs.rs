//! Inputs of a request: what can be judged from their text is judged here, before anything is
//! stored; names and fetched bytes are the engine's to judge.

use super::{envelope::ApiError, origins, state::App, view};
use axum::http::StatusCode;
use base64::Engine as _;
use pixel_core::{
    id::MediaId,
    request::{Checked, Input, Kind, Mode, Origin, Role},
};
use pixel_engine::{AdmitError, Arrival};
use pixel_store::{MediaRow, crash, new_media_id, now};
use serde_json::{Map, Value};
use std::io::ErrorKind;
use url::Url;

/// An input as it was given.
pub struct Given {
    role: Role,
    /// `imageInputs[0]` or `extraParams.lastFrame`.
    field: String,
    /// Where it stands in the shown parameters.
    pointer: String,
    origin: From,
}

enum From {
    Ready(Origin),
    /// The decoded bytes of a data URI.
    Data(Vec<u8>),
}

impl Given {
    /// For the check against the model, which looks at roles only until data is stored.
    pub fn input(&self) -> Input {
        let origin = match &self.origin {
            From::Ready(origin) => origin.clone(),
            From::Data(_) => Origin::Url(String::new()),
        };
        Input { role: self.role, origin, field: self.field.clone() }
    }
}

/// Reads every input of a request; takes those of `extraParams` out of it.
pub fn read(
    app: &App,
    kind: Kind,
    mode: Option<Mode>,
    pictures: Vec<String>,
    extra: &mut Map<String, Value>,
    base: &str,
) -> Result<Vec<Given>, ApiError> {
    let mut all = Vec::new();
    for (at, text) in pictures.iter().enumerate() {
        let role = match (kind, mode, at) {
            (Kind::Video, Some(Mode::Reference), _) => Role::Reference,
            (Kind::Video, _, 0) => Role::FirstFrame,
            _ => Role::Reference,
        };
        let field = format!("imageInputs[{at}]");
        let origin = judge(app, &field, text, base)?;
        all.push(Given { role, field, pointer: format!("/imageInputs/{at}"), origin });
    }
    for (name, role) in [("lastFrame", Role::LastFrame), ("videoInput", Role::Video), ("audioInput", Role::Audio)] {
        let field = format!("extraParams.{name}");
        let text = match extra.remove(name) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text,
            Some(_) => return Err(ApiError::bad(format!("'{field}' must be an address."))),
        };
        let origin = judge(app, &field, &text, base)?;
        all.push(Given { role, field, pointer: format!("/extraParams/{name}"), origin });
    }
    Ok(all)
}

fn judge(app: &App, field: &str, text: &str, base: &str) -> Result<From, ApiError> {
    let text = text.trim();
    if text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        return decode(field, text).map(From::Data);
    }
    if let Some(id) = own_media(app, text, base) {
        return Ok(From::Ready(Origin::Media(id)));
    }
    match app.guard.judge(text) {
        Ok(url) => Ok(From::Ready(Origin::Url(url.to_string()))),
        Err(refused) => Err(ApiError::bad(format!("'{field}' was refused: {}", refused.reason))),
    }
}

fn decode(field: &str, text: &str) -> Result<Vec<u8>, ApiError> {
    let bad =
        |why: &str| ApiError::bad(format!("'{field}' must be a data URI such as data:image/png;base64,…: {why}."));
    let (head, data) = text.split_once(',').ok_or_else(|| bad("it has no comma"))?;
    if !head.to_ascii_lowercase().ends_with(";base64") {
        return Err(bad("it is not marked as base64"));
    }
    let compact: String = data.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let padded = compact.trim_end_matches('=');
    let bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(padded);
    bytes.map_err(|_| bad("its base64 cannot be read")).and_then(|bytes| match bytes.is_empty() {
        true => Err(bad("it is empty")),
        false => Ok(bytes),
    })
}

/// The id in an address of our own media: by path alone, or at an address of this server.
fn own_media(app: &App, text: &str, base: &str) -> Option<MediaId> {
    let url = Url::parse(base).and_then(|base| base.join(text)).ok()?;
    let known = [base, app.settings.public_url.as_deref().unwrap_or(base), &app.address];
    let own = known.iter().filter_map(|own| Url::parse(own).ok()).find(|own| is_same(&url, own))?;
    let file = url.path().strip_prefix(own.path().trim_end_matches('/'))?.strip_prefix("/media/")?;
    MediaId::parse(file.split('.').next().unwrap_or(file))
}

/// Whether both are addresses of one server: loopback has several names.
fn is_same(url: &Url, own: &Url) -> bool {
    let both_local = origins::is_loopback(url) && origins::is_loopback(own);
    let host = url.host_str() == own.host_str() || both_local;
    host && matches!(url.scheme(), "http" | "https") && url.port_or_known_default() == own.port_or_known_default()
}

/// Stores data URIs, checks that own media exists, and puts the addresses into the parameters.
pub async fn store(
    app: &App,
    given: Vec<Given>,
    checked: &mut Checked,
    params: &mut Value,
    base: &str,
) -> Result<(), ApiError> {
    for (one, input) in given.into_iter().zip(&mut checked.inputs) {
        match one.origin {
            From::Ready(Origin::Media(id)) => {
                if app.engine.store().media(&id).await?.is_none() {
                    return Err(ApiError::bad(format!("'{}' names media that this server does not have.", one.field)));
                }
            }
            From::Ready(Origin::Url(_)) => {}
            From::Data(bytes) => {
                let row = store_bytes(app, &one.field, one.role, bytes).await?;
                if let Some(slot) = params.pointer_mut(&one.pointer) {
                    *slot = Value::String(view::media_url(base, row.id.as_str(), &row.facts.ext));
                }
                input.origin = Origin::Media(row.id);
            }
        }
    }
    Ok(())
}

async fn store_bytes(app: &App, field: &str, role: Role, bytes: Vec<u8>) -> Result<MediaRow, ApiError> {
    let failed = |error: std::io::Error| {
        tracing::error!(%error, "an input could not be staged");
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ApiError::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "The disk that holds the media is full. Free some space; nothing was lost.",
            ),
            _ => ApiError::unavailable("The input could not be stored. Try again shortly."),
        }
    };
    let blobs = app.engine.blobs().clone();
    let staging = tokio::task::spawn_blocking(move || blobs.stage_bytes(&bytes)).await;
    let staged = staging.map_err(std::io::Error::other).flatten().map_err(failed)?;
    crash::point!("upload.staged");
    let admitted = app.engine.admit(Arrival::Fresh(staged), false).await.map_err(|error| match error {
        AdmitError::Unusable(why) => ApiError::bad(format!("'{field}' cannot be used: {}", why.reason)),
        AdmitError::Ours(error) => failed(error),
    })?;
    crash::point!("upload.published");
    let facts = admitted.facts;
    let family = match role {
        Role::Video => "video/",
        Role::Audio => "audio/",
        Role::Reference | Role::FirstFrame | Role::LastFrame => "image/",
    };
    if !facts.content_type.starts_with(family) {
        let noun = family.trim_end_matches('/');
        return Err(ApiError::bad(format!("'{field}' must be {noun} data, but is {}.", facts.content_type)));
    }
    let row = MediaRow { id: new_media_id(), task: None, facts, created_at: now() };
    app.engine.store().add_media(&row).await?;
    crash::point!("upload.stored");
    Ok(row)
}
