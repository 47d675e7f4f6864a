//! Inputs of a request: what can be judged from their text is judged here, before anything is
//! stored; names and fetched bytes are the engine's to judge.

use super::{envelope::ApiError, origins, state::App, view};
use axum::http::StatusCode;
use base64::Engine as _;
use pixel_core::{
    id::{MediaId, TaskId},
    request::{Input, Kind, Mode, Origin, Role},
};
use pixel_engine::{AdmitError, Arrival, guard::Guard};
use pixel_store::{MediaRow, Stored, blobs::StagedBlob, crash, new_media_id, now};
use serde_json::{Map, Value};
use std::{borrow::Cow, io::ErrorKind};
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
    /// A file that was sent along, judged and published already.
    Sent(Box<MediaRow>),
}

impl Given {
    /// A clip's first frame that came as a file.
    pub fn first_frame(field: &str, row: MediaRow) -> Self {
        let (role, pointer) = (Role::FirstFrame, "/imageInputs/0".to_owned());
        Self { role, field: field.to_owned(), pointer, origin: From::Sent(Box::new(row)) }
    }

    /// For the check against the model, which looks at roles only until data is stored.
    pub fn input(&self) -> Input {
        let origin = match &self.origin {
            From::Ready(origin) => origin.clone(),
            From::Data(_) | From::Sent(_) => Origin::Url(String::new()),
        };
        Input { role: self.role, origin, field: self.field.clone() }
    }
}

/// No address of our own media is longer; a much longer text is not even read as one.
const OWN_BYTES_MAX: usize = 4 << 10;

/// What an input's address is judged by.
#[derive(Clone, Copy)]
pub struct Judge<'a> {
    pub guard: &'a Guard,
    /// Addresses of this server: as the caller wrote it, as it is told, as it is.
    pub own: [&'a str; 3],
}

impl<'a> Judge<'a> {
    pub fn of(app: &'a App, base: &'a str) -> Self {
        Self { guard: &app.guard, own: [base, app.settings.public_url.as_deref().unwrap_or(base), &app.address] }
    }
}

/// Reads every input of a request; takes those of `extraParams` out of it.
pub fn read(
    judge: Judge<'_>,
    kind: Kind,
    mode: Option<Mode>,
    pictures: Vec<String>,
    extra: &mut Map<String, Value>,
) -> Result<Vec<Given>, ApiError> {
    let mut all = Vec::new();
    for (at, text) in pictures.iter().enumerate() {
        let role = match (kind, mode, at) {
            (Kind::Video, Some(Mode::Reference), _) => Role::Reference,
            (Kind::Video, _, 0) => Role::FirstFrame,
            _ => Role::Reference,
        };
        let field = format!("imageInputs[{at}]");
        let origin = judge.origin(&field, text)?;
        all.push(Given { role, field, pointer: format!("/imageInputs/{at}"), origin });
    }
    for (name, role) in [("lastFrame", Role::LastFrame), ("videoInput", Role::Video), ("audioInput", Role::Audio)] {
        let field = format!("extraParams.{name}");
        let text = match extra.remove(name) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text,
            Some(_) => return Err(ApiError::bad(format!("'{field}' must be an address."))),
        };
        let origin = judge.origin(&field, &text)?;
        all.push(Given { role, field, pointer: format!("/extraParams/{name}"), origin });
    }
    Ok(all)
}

impl Judge<'_> {
    fn origin(&self, field: &str, text: &str) -> Result<From, ApiError> {
        let text = text.trim();
        if text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
            return decode(field, text).map(From::Data);
        }
        if text.len() <= OWN_BYTES_MAX
            && let Some(id) = self.own_media(text)
        {
            return Ok(From::Ready(Origin::Media(id)));
        }
        match self.guard.judge(text) {
            Ok(url) => Ok(From::Ready(Origin::Url(url.to_string()))),
            Err(refused) => Err(ApiError::bad(format!("'{field}' was refused: {}", refused.reason))),
        }
    }

    /// The id in an address of our own media: by path alone, or at an address of this server.
    fn own_media(&self, text: &str) -> Option<MediaId> {
        let url = Url::parse(self.own[0]).and_then(|base| base.join(text)).ok()?;
        let own = self.own.iter().filter_map(|own| Url::parse(own).ok()).find(|own| is_same(&url, own))?;
        let file = url.path().strip_prefix(own.path().trim_end_matches('/'))?.strip_prefix("/media/")?;
        MediaId::parse(file.split('.').next().unwrap_or(file))
    }
}

pub fn decode(field: &str, text: &str) -> Result<Vec<u8>, ApiError> {
    let bad =
        |why: &str| ApiError::bad(format!("'{field}' must be a data URI such as data:image/png;base64,…: {why}."));
    let (head, data) = text.split_once(',').ok_or_else(|| bad("it has no comma"))?;
    if !head.to_ascii_lowercase().ends_with(";base64") {
        return Err(bad("it is not marked as base64"));
    }
    // Most have no line breaks, and are large.
    let compact: Cow<'_, str> = match data.contains(|c: char| c.is_ascii_whitespace()) {
        true => data.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>().into(),
        false => data.into(),
    };
    let padded = compact.trim_end_matches('=');
    let bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(padded);
    bytes.map_err(|_| bad("its base64 cannot be read")).and_then(|bytes| match bytes.is_empty() {
        true => Err(bad("it is empty")),
        false => Ok(bytes),
    })
}

/// Whether both are addresses of one server: loopback has several names.
fn is_same(url: &Url, own: &Url) -> bool {
    let both_local = origins::is_loopback(url) && origins::is_loopback(own);
    let host = url.host_str() == own.host_str() || both_local;
    host && matches!(url.scheme(), "http" | "https") && url.port_or_known_default() == own.port_or_known_default()
}

/// Stores data URIs, checks that own media exists, and puts the addresses into the parameters. The
/// rows are the task's own names of its inputs: whatever becomes of other tasks, these files stay.
pub async fn store(
    app: &App,
    task: &TaskId,
    given: Vec<Given>,
    inputs: &mut [Input],
    params: &mut Value,
    base: &str,
) -> Result<Vec<MediaRow>, ApiError> {
    let mut rows = Vec::new();
    for (one, input) in given.into_iter().zip(inputs) {
        let mut row = match one.origin {
            From::Ready(Origin::Media(id)) => known(app, &one.field, &id).await?,
            From::Ready(Origin::Url(_)) => continue,
            From::Data(bytes) => {
                shown(params, &one.pointer, base, store_bytes(app, &one.field, one.role, bytes).await?)
            }
            From::Sent(row) => shown(params, &one.pointer, base, *row),
        };
        row.task = Some(task.clone());
        input.origin = Origin::Media(row.id.clone());
        rows.push(row);
    }
    Ok(rows)
}

/// Puts the address of what was stored in the place of what was sent.
fn shown(params: &mut Value, pointer: &str, base: &str, row: MediaRow) -> MediaRow {
    if let Some(slot) = params.pointer_mut(pointer) {
        *slot = Value::String(view::media_url(base, row.id.as_str(), &row.facts.ext));
    }
    row
}

/// Another name for media that is stored here.
async fn known(app: &App, field: &str, id: &MediaId) -> Result<MediaRow, ApiError> {
    match app.engine.store().media(id).await? {
        Some(Stored::Here(row)) => Ok(MediaRow { id: new_media_id(), created_at: now(), ..*row }),
        Some(Stored::Removed) => {
            Err(ApiError::bad(format!("'{field}' names media that was removed when its time was over.")))
        }
        None => Err(ApiError::bad(format!("'{field}' names media that this server does not have."))),
    }
}

async fn store_bytes(app: &App, field: &str, role: Role, bytes: Vec<u8>) -> Result<MediaRow, ApiError> {
    let blobs = app.engine.blobs().clone();
    let staging = tokio::task::spawn_blocking(move || blobs.stage_bytes(&bytes)).await;
    let staged = staging.map_err(std::io::Error::other).flatten().map_err(unstored)?;
    crash::point!("upload.staged");
    admit(app, field, role, staged).await
}

/// What is answered when our own disk or bucket fails.
pub fn unstored(error: std::io::Error) -> ApiError {
    tracing::error!(%error, "an input could not be staged");
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ApiError::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "The disk that holds the media is full. Free some space; nothing was lost.",
        ),
        _ => ApiError::unavailable("The input could not be stored. Try again shortly."),
    }
}

/// Judges a staged file by its content, and publishes it.
pub async fn admit(app: &App, field: &str, role: Role, staged: StagedBlob) -> Result<MediaRow, ApiError> {
    let family = match role {
        Role::Video => "video/",
        Role::Audio => "audio/",
        Role::Reference | Role::FirstFrame | Role::LastFrame => "image/",
    };
    let admitted = app.engine.admit_as(Arrival::Fresh(staged), family, false).await;
    crash::point!("upload.published");
    match admitted {
        Ok(admitted) => {
            let (facts, seen) = (admitted.facts, admitted.seen);
            Ok(MediaRow { id: new_media_id(), task: None, facts, created_at: now(), seen })
        }
        Err(AdmitError::Unusable(why)) => Err(ApiError::bad(format!("'{field}' cannot be used: {}", why.reason))),
        Err(AdmitError::Ours(error)) => Err(unstored(error)),
    }
}
