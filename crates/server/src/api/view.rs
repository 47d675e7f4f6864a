//! A task as its callers see it.

use super::state::App;
use axum::http::{HeaderMap, header};
use pixel_core::{
    Stamp,
    price::Cost,
    request::{Kind, Warning},
    task::{Attention, Choice, Failure, Made, Status},
};
use pixel_store::TaskRow;
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;
use utoipa::ToSchema;

/// One generation.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskView {
    #[schema(example = "task_0190c3a5f6d97d2e8f0a1b2c3d4e5f60")]
    id: String,
    /// `image`, `video` or `audio`.
    #[serde(rename = "type")]
    kind: &'static str,
    #[schema(value_type = StatusWord)]
    status: &'static str,
    /// As asked: a model, or an alias.
    model: String,
    /// The model behind the alias: the one that made it, or is to make it.
    #[serde(skip_serializing_if = "Option::is_none")]
    served_by: Option<String>,
    /// The parameters as asked; a data URI is shown as the address under which it was stored.
    #[schema(value_type = Object)]
    params: Box<RawValue>,
    /// Set when the task is completed, until its media is removed.
    result: Option<ResultView>,
    /// Set when the task has failed.
    #[schema(value_type = Option<FailureView>)]
    error: Option<Failure>,
    /// What was asked and is not, or differently, honoured.
    #[schema(value_type = Vec<WarningView>)]
    warnings: Vec<Warning>,
    /// In millionths of the currency's unit.
    #[schema(value_type = Option<CostView>)]
    cost: Option<Cost>,
    /// Percent.
    progress: u8,
    /// A person's decision is awaited: answer it at `/tasks/{task_id}/resolve`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AttentionView>)]
    attention: Option<Attention>,
    /// The sandbox answers: the result is a sample.
    sandbox: bool,
    project_id: Option<String>,
    source: Option<String>,
    source_id: Option<String>,
    /// ISO 8601, UTC.
    created_at: String,
    updated_at: String,
    started_at: Option<String>,
    completed_at: Option<String>,
}

/// The four statuses; there is no other word.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes pixel_core's Status in the document")]
pub enum StatusWord {
    Pending,
    Processing,
    Completed,
    Failed,
}

#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes pixel_core's Warning in the document")]
pub struct WarningView {
    field: String,
    message: String,
}

#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes pixel_core's Failure in the document")]
pub struct FailureView {
    #[schema(example = "moderation_blocked")]
    code: String,
    message: String,
}

#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes pixel_core's Cost in the document")]
pub struct CostView {
    #[schema(example = "CNY")]
    currency: String,
    estimate_micros: u64,
    /// Set when the task has ended.
    final_micros: Option<u64>,
}

#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes pixel_core's Attention in the document")]
pub struct AttentionView {
    reason: String,
    #[schema(value_type = Vec<String>, example = json!(["lost", "search", "pay_again"]))]
    choices: Vec<Choice>,
    until: String,
}

/// What was made: one list, by the type of the task.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ResultView {
    Images { images: Vec<ImageView> },
    Videos { videos: Vec<VideoView> },
    Audios { audios: Vec<AudioView> },
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ImageView {
    url: String,
    width: u32,
    height: u32,
    thumbnail_url: String,
    #[serde(flatten)]
    file: FileView,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct VideoView {
    url: String,
    width: u32,
    height: u32,
    /// Seconds.
    duration: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poster_url: Option<String>,
    #[serde(flatten)]
    file: FileView,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AudioView {
    url: String,
    /// Seconds.
    duration: Option<f64>,
    #[serde(flatten)]
    file: FileView,
}

/// The stored file behind a result.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileView {
    media_id: String,
    #[schema(example = "image/png")]
    content_type: String,
    bytes: u64,
    sha256: String,
}

/// The task as JSON, its addresses below `base`.
pub fn task(mut row: TaskRow, base: &str) -> TaskView {
    row.warnings.extend(row.kept.map(removed));
    let iso = |at: Option<Stamp>| at.map(Stamp::to_iso);
    TaskView {
        result: (row.status == Status::Completed && row.kept.is_none()).then(|| result(row.kind, &row.made, base)),
        id: row.id.to_string(),
        kind: row.kind.as_str(),
        status: row.status.as_str(),
        model: row.model,
        served_by: row.served_by,
        params: row.params,
        error: row.failure,
        warnings: row.warnings,
        cost: row.cost,
        progress: row.progress,
        attention: row.attention,
        sandbox: row.sandbox,
        project_id: row.project_id,
        source: row.source,
        source_id: row.source_id,
        created_at: row.created_at.to_iso(),
        updated_at: row.updated_at.to_iso(),
        started_at: iso(row.started_at),
        completed_at: iso(row.completed_at),
    }
}

/// What a caller is told of a task whose media and details were kept for so long.
fn removed(kept: Duration) -> Warning {
    const DAY_S: u64 = 24 * 3600;
    let seconds = kept.as_secs();
    let (count, unit) = if seconds.is_multiple_of(DAY_S) { (seconds / DAY_S, "day") } else { (seconds, "second") };
    let plural = if count == 1 { "" } else { "s" };
    let message = format!("The media and details of this task were removed {count} {unit}{plural} after it ended.");
    Warning::new("result", message)
}

fn result(kind: Kind, made: &[Made], base: &str) -> ResultView {
    match kind {
        Kind::Video => ResultView::Videos { videos: made.iter().map(|one| video(one, base)).collect() },
        Kind::Audio => ResultView::Audios { audios: made.iter().map(|one| audio(one, base)).collect() },
        Kind::Image | Kind::Llm => ResultView::Images { images: made.iter().map(|one| image(one, base)).collect() },
    }
}

fn image(made: &Made, base: &str) -> ImageView {
    let (width, height) = size(made);
    let url = own_url(made, base);
    // A picture that is small enough already is its own thumbnail.
    ImageView {
        thumbnail_url: preview_url(made, base).unwrap_or_else(|| url.clone()),
        url,
        width,
        height,
        file: file(made),
    }
}

fn video(made: &Made, base: &str) -> VideoView {
    let (width, height) = size(made);
    VideoView {
        url: own_url(made, base),
        width,
        height,
        duration: seconds(made),
        poster_url: preview_url(made, base),
        file: file(made),
    }
}

fn audio(made: &Made, base: &str) -> AudioView {
    AudioView { url: own_url(made, base), duration: seconds(made), file: file(made) }
}

fn file(made: &Made) -> FileView {
    FileView {
        media_id: made.media_id.clone(),
        content_type: made.facts.content_type.clone(),
        bytes: made.facts.bytes,
        sha256: made.facts.sha256.clone(),
    }
}

fn size(made: &Made) -> (u32, u32) {
    made.facts.size.map_or((0, 0), |size| (size.width, size.height))
}

fn seconds(made: &Made) -> Option<f64> {
    made.facts.duration_ms.map(|ms| ms as f64 / 1000.0)
}

pub fn own_url(made: &Made, base: &str) -> String {
    media_url(base, &made.media_id, &made.facts.ext)
}

fn preview_url(made: &Made, base: &str) -> Option<String> {
    made.preview.as_ref().map(|preview| media_url(base, &preview.media_id, &preview.facts.ext))
}

pub fn media_url(base: &str, id: &str, ext: &str) -> String {
    format!("{base}/media/{id}.{ext}")
}

/// Where this server is reached: as configured, else as the request reached it.
pub fn base_url(app: &App, headers: &HeaderMap) -> String {
    if let Some(url) = &app.settings.public_url {
        return url.clone();
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).filter(|host| is_authority(host));
    host.map_or_else(|| app.address.clone(), |host| format!("http://{host}"))
}

fn is_authority(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b))
}
