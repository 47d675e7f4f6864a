//! `POST /generations/…`: a body becomes a checked request, a plan and a stored task.

use super::{
    body,
    envelope::{ApiError, Envelope, ErrorBody, ok},
    inputs::{self, Given, Judge},
    layers::RequestId,
    state::App,
    takers::Planned,
    view,
};
use axum::{Extension, Json, body::Body, extract::State, http::HeaderMap};
use pixel_core::{
    capability::{self, EXTRA_MAX, INPUTS_MAX, LABEL_CHARS, TEXT_CHARS},
    catalog::Model,
    request::{Ask, Kind, Mode, Refusal},
};
use pixel_store::{NewClip, NewTask, crash, new_task_id, now};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use utoipa::ToSchema;

/// Length of the further parameters of one request as JSON.
const EXTRA_BYTES: usize = 64 << 10;
/// Texts, and how many characters each may have.
const TEXTS: &[(&str, usize)] = &[
    ("prompt", TEXT_CHARS),
    ("negativePrompt", TEXT_CHARS),
    ("resolution", LABEL_CHARS),
    ("aspectRatio", LABEL_CHARS),
    ("duration", LABEL_CHARS),
    ("voice", LABEL_CHARS),
    ("projectId", LABEL_CHARS),
    ("source", LABEL_CHARS),
    ("sourceId", LABEL_CHARS),
];
/// Most parameters of a kind that a caller names are shown again under these names.
const SHOWN: &[&str] = &[
    "prompt",
    "negativePrompt",
    "resolution",
    "aspectRatio",
    "duration",
    "n",
    "seed",
    "voice",
    "speed",
    "imageInputs",
    "extraParams",
];

/// A request for pictures, clips or speech. Fields that a kind does not have become warnings.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GenerationBody {
    /// What to make; for speech, the text to speak.
    #[schema(required = true, example = "a beautiful sunset over mountains")]
    prompt: String,
    /// `provider/model_key`, from `/api/v1/models`.
    #[schema(required = true, example = "sandbox/painter")]
    model: String,
    negative_prompt: Option<String>,
    /// A level: `1K`, `2K` for pictures, `720p`, `1080p` for clips; or exact pixels as `1280*720`.
    #[schema(example = "1K")]
    resolution: Option<String>,
    #[schema(example = "16:9")]
    aspect_ratio: Option<String>,
    /// Seconds of a clip.
    #[serde(deserialize_with = "text_or_number")]
    #[schema(example = "5s")]
    duration: Option<String>,
    #[schema(minimum = 1, maximum = 10)]
    n: Option<u32>,
    seed: Option<i64>,
    /// A voice of the model's list.
    voice: Option<String>,
    #[schema(example = 1.0)]
    speed: Option<f64>,
    /// Public addresses, data URIs or this server's own media; a clip's first frame.
    image_inputs: Option<Vec<String>>,
    /// `seed`, `loras`, `lastFrame`, `mode`, `videoInput`, `audioInput`, or a parameter of the model.
    #[schema(value_type = Option<Object>)]
    extra_params: Option<Map<String, Value>>,
    project_id: Option<String>,
    source: Option<String>,
    source_id: Option<String>,
}

/// The task that will make it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Created {
    #[schema(example = "task_0190c3a5f6d97d2e8f0a1b2c3d4e5f60")]
    task_id: String,
}

/// `5s` or `5`.
fn text_or_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<Value>::deserialize(from)? {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(other) => return Err(serde::de::Error::custom(format!("not seconds: {other}"))),
    })
}

macro_rules! generation {
    ($name:ident, $path:literal, $kind:expr, $doc:literal) => {
        #[doc = $doc]
        #[utoipa::path(post, path = $path, tag = "generations", request_body = GenerationBody, responses(
            (status = 200, description = "Accepted, and on stable storage", body = Envelope<Created>),
            (status = 400, description = "A field is wrong; the message names it", body = ErrorBody),
            (status = 404, description = "No such model", body = ErrorBody),
            (status = 413, description = "The body is too large", body = ErrorBody),
            (status = 503, description = "The model is disabled; the message names the setting", body = ErrorBody)
        ))]
        pub async fn $name(
            State(app): State<Arc<App>>,
            Extension(request): Extension<RequestId>,
            headers: HeaderMap,
            body: Body,
        ) -> Result<Json<Envelope<Created>>, ApiError> {
            create(&app, request, &headers, body, $kind).await
        }
    };
}

generation!(create_image, "/api/v1/generations/image", Kind::Image, "Make pictures.");
generation!(create_video, "/api/v1/generations/video", Kind::Video, "Make clips.");
generation!(create_audio, "/api/v1/generations/audio", Kind::Audio, "Speak a text.");

async fn create(
    app: &Arc<App>,
    request: RequestId,
    headers: &HeaderMap,
    body: Body,
    kind: Kind,
) -> Result<Json<Envelope<Created>>, ApiError> {
    let raw = body::object(body, app.settings.limits.body_bytes).await?;
    if let Some(model) = raw.get("model").and_then(Value::as_str) {
        // The model comes first: its sentences are the contract's own.
        check_kind(app.find_model(model)?, kind)?;
    }
    check_lengths(&raw)?;
    let asked: GenerationBody = body::typed(&raw)?;
    let card = app.find_model(&asked.model)?;
    let labels = labels(&asked)?;
    let base = view::base_url(app, headers);
    let (ask, given) = read_ask(Judge::of(app, &base), asked, kind)?;
    let order = Order { ask, given, params: shown(raw), labels, clip: None };
    let task_id = accept(app, request, &base, card, order).await?;
    Ok(ok(Created { task_id }))
}

/// What is to be made, read and judged as far as it can be without the model.
pub struct Order {
    pub ask: Ask,
    pub given: Vec<Given>,
    /// As the task will show them.
    pub params: Value,
    /// Project, source and source id.
    pub labels: [Option<String>; 3],
    pub clip: Option<NewClip>,
}

/// Holds an order against its model, and stores it as a task; the task's id.
pub async fn accept(
    app: &Arc<App>,
    request: RequestId,
    base: &str,
    card: &Model,
    order: Order,
) -> Result<String, ApiError> {
    let Order { ask, given, mut params, labels, clip } = order;
    let kind = ask.kind;
    let mut takers = app.takers(card, ask)?;
    let id = new_task_id();
    let mut inputs = takers.inputs();
    let media = inputs::store(app, &id, given, &mut inputs, &mut params, base).await?;
    takers.set_inputs(&inputs);
    let sandbox = takers.sandbox;
    let Planned { served_by, first, fallback, mut work } = takers.plan(fastrand::u64(..))?;
    work.request_id = request.0;
    let [project_id, source, source_id] = labels;
    let task = NewTask {
        id,
        kind,
        model: card.id(),
        served_by,
        fallback,
        vendor: first.vendor,
        sandbox,
        project_id,
        source,
        source_id,
        params,
        request: first.request,
        warnings: work.warnings.clone(),
        cost: first.cost,
        work,
        rank: 0,
        leased: false,
        media,
        clip,
        created_at: now(),
    };
    crash::point!("create.checked");
    let task_id = app.engine.create(task).await?.to_string();
    crash::point!("create.stored");
    metrics::counter!("pixel_tasks_created_total", "type" => kind.as_str()).increment(1);
    Ok(task_id)
}

fn check_kind(card: &Model, kind: Kind) -> Result<(), ApiError> {
    if card.kind == kind {
        return Ok(());
    }
    let path = match card.kind {
        Kind::Llm => "/v1/chat/completions".to_owned(),
        other => format!("/api/v1/generations/{}", other.as_str()),
    };
    let id = card.id();
    Err(ApiError::bad(format!(
        "'model' must be of type {}, but '{id}' is {}: post it to {path}.",
        kind.as_str(),
        card.kind.as_str()
    )))
}

/// Bounds on what a task row holds: lists show hundreds of them at once. Judged before anything is
/// copied out of the body.
fn check_lengths(raw: &Value) -> Result<(), ApiError> {
    for (field, most) in TEXTS {
        let text = raw.get(field).and_then(Value::as_str);
        // Bytes first: counting characters of a short text is not worth it.
        if text.is_some_and(|text| text.len() > *most && text.chars().count() > *most) {
            return Err(ApiError::bad(format!("'{field}' must be at most {most} characters.")));
        }
    }
    let inputs = raw.get("imageInputs").and_then(Value::as_array).map_or(0, Vec::len);
    if inputs > INPUTS_MAX {
        return Err(ApiError::bad(format!("'imageInputs' must be at most {INPUTS_MAX} addresses, got: {inputs}.")));
    }
    let Some(extra) = raw.get("extraParams").and_then(Value::as_object) else { return Ok(()) };
    let is_input = |name: &str| matches!(name, "lastFrame" | "videoInput" | "audioInput");
    let length =
        |(name, value): (&String, &Value)| name.len() + if is_input(name) { 0 } else { body::json_bytes(value) };
    match extra.len() > EXTRA_MAX || extra.iter().map(length).sum::<usize>() > EXTRA_BYTES {
        true => {
            let must = format!("at most {EXTRA_MAX} parameters and {} KiB", EXTRA_BYTES >> 10);
            Err(ApiError::bad(format!("'extraParams' must be {must}.")))
        }
        false => Ok(()),
    }
}

/// Project, source and source id, which are stored as they are.
fn labels(asked: &GenerationBody) -> Result<[Option<String>; 3], ApiError> {
    let check = |field: &str, value: &Option<String>| match value {
        Some(text) if text.chars().count() > LABEL_CHARS || text.chars().any(char::is_control) => {
            let message = format!("'{field}' must be at most {LABEL_CHARS} characters without control characters.");
            Err(ApiError::bad(message))
        }
        Some(text) if text.is_empty() => Ok(None),
        other => Ok(other.clone()),
    };
    Ok([check("projectId", &asked.project_id)?, check("source", &asked.source)?, check("sourceId", &asked.source_id)?])
}

/// The typed request, and its inputs as they were given.
fn read_ask(judge: Judge<'_>, asked: GenerationBody, kind: Kind) -> Result<(Ask, Vec<Given>), ApiError> {
    if asked.prompt.trim().is_empty() {
        let what = if kind == Kind::Audio { "the text to speak" } else { "a text that says what to make" };
        return Err(ApiError::bad(format!("'prompt' is required: {what}.")));
    }
    let n = asked.n.unwrap_or(1);
    if !(1..=capability::N_MAX).contains(&n) {
        return Err(ApiError::bad(format!("'n' must be an integer from 1 to {}, got: {n}.", capability::N_MAX)));
    }
    let mut extra = asked.extra_params.unwrap_or_default();
    let loras = match extra.remove("loras") {
        None | Some(Value::Null) => Vec::new(),
        Some(list) => {
            // A list in the place of an object would be read as its fields in their order.
            let has_lists = list.as_array().is_some_and(|items| items.iter().any(Value::is_array));
            let read = if has_lists { None } else { body::typed(&list).ok() };
            read.ok_or_else(|| bad_extra("loras", "a list such as [{\"model\":\"…\",\"weight\":0.8}]", &list))?
        }
    };
    let mode: Option<Mode> = match extra.remove("mode") {
        None | Some(Value::Null) => None,
        Some(word) => Some(body::typed(&word).map_err(|_| {
            bad_extra("mode", "'image', 'firstLast', 'reference', 'extend', 'lipSync' or 'sound'", &word)
        })?),
    };
    let inner_seed = match extra.remove("seed") {
        None | Some(Value::Null) => None,
        Some(seed) => Some(seed.as_i64().ok_or_else(|| bad_extra("seed", "an integer", &seed))?),
    };
    let seed = asked.seed.or(inner_seed);
    if seed.is_some_and(|seed| seed < -1) {
        return Err(ApiError::bad("'seed' must be 0 or more, or -1 for any."));
    }
    let given = inputs::read(judge, kind, mode, asked.image_inputs.unwrap_or_default(), &mut extra)?;
    let ask = Ask {
        kind,
        model: pixel_core::id::ModelId::parse(&asked.model)
            .ok_or_else(|| Refusal::new("model", "'model' is required."))?,
        prompt: asked.prompt,
        negative_prompt: asked.negative_prompt.filter(|text| !text.trim().is_empty()),
        resolution: asked.resolution.filter(|text| !text.is_empty()),
        aspect_ratio: asked.aspect_ratio.filter(|text| !text.is_empty()),
        duration: asked.duration.filter(|text| !text.is_empty()),
        n,
        // Callers write -1 for "any seed".
        seed: seed.and_then(|seed| u64::try_from(seed).ok()),
        voice: asked.voice,
        speed: asked.speed,
        mode,
        loras,
        inputs: given.iter().map(Given::input).collect(),
        extra,
    };
    Ok((ask, given))
}

/// What is read and judged before a model is consulted.
#[cfg(any(test, feature = "fuzzing"))]
pub fn read(raw: &Value, kind: Kind) -> Result<Ask, ApiError> {
    let guard = pixel_engine::guard::Guard::new(&[]).map_err(ApiError::bad)?;
    check_lengths(raw)?;
    let asked: GenerationBody = body::typed(raw)?;
    labels(&asked)?;
    let own = "http://127.0.0.1:8000";
    read_ask(Judge { guard: &guard, own: [own; 3] }, asked, kind).map(|(ask, _)| ask)
}

/// What is judged before anything is stored.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz(raw: &Value, kind: Kind) -> Result<(), ApiError> {
    let ask = read(raw, kind)?;
    for card in super::fuzzing::CATALOG.models.iter().filter(|card| card.kind == kind) {
        for stand_in in [true, false] {
            if let Ok((checked, _)) = capability::check(ask.clone(), card, stand_in) {
                assert!((1..=capability::N_MAX).contains(&checked.n) && checked.inputs.len() == ask.inputs.len());
                assert!(checked.size.is_none_or(|size| size.pixels() <= capability::PIXELS_MAX));
            }
        }
    }
    Ok(())
}

fn bad_extra(name: &str, must: &str, given: &Value) -> ApiError {
    ApiError::bad(format!("'extraParams.{name}' must be {must}, got: {}.", body::shorten(given)))
}

/// The parameters as asked, without what stands in fields of its own.
fn shown(raw: Value) -> Value {
    let Value::Object(mut fields) = raw else { return Value::Null };
    fields.retain(|name, value| SHOWN.contains(&name.as_str()) && !value.is_null());
    Value::Object(fields)
}
