//! `GET /tasks…`: what became of a request, and the decision that a held one awaits.

use super::{
    body,
    envelope::{ApiError, Envelope, ErrorBody, ok},
    state::App,
    view::{self, TaskView},
};
use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
};
use pixel_core::{
    id::TaskId,
    request::{Kind, Warning},
    task::{Choice, Status},
};
use pixel_engine::ResolveError;
use pixel_store::{Filter, TaskRow};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc, time::Duration};
use utoipa::ToSchema;

const LIMIT_USUAL: u32 = 20;
const LIMIT_MAX: u32 = 100;
/// The longest that a caller may wait for a task's end in one request.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A page of tasks, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskPage {
    items: Vec<TaskView>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// What to do about a submission whose outcome is unknown.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct Decision {
    /// `lost`, `search` or `pay_again`.
    #[schema(required = true, example = "lost")]
    choice: String,
}

/// Queries are read by name, so that a wrong one can be answered in our own words.
pub type Asked = HashMap<String, String>;

fn unknown_task(id: &str) -> ApiError {
    ApiError::missing(format!("Task '{}' not found.", body::clip(id)))
}

fn task_id(text: &str) -> Result<TaskId, ApiError> {
    TaskId::parse(text).ok_or_else(|| unknown_task(text))
}

pub fn number(asked: &Asked, name: &str, usual: u32, range: std::ops::RangeInclusive<u32>) -> Result<u32, ApiError> {
    let Some(text) = asked.get(name) else { return Ok(usual) };
    let parsed = text.parse().ok().filter(|n| range.contains(n));
    parsed.ok_or_else(|| {
        let (low, high) = (range.start(), range.end());
        ApiError::bad(format!("'{name}' must be an integer from {low} to {high}, got: '{}'.", body::clip(text)))
    })
}

/// Get one task; with `wait` the answer comes when it has ended, or after so many seconds.
#[utoipa::path(get, path = "/api/v1/tasks/{task_id}", tag = "tasks",
    params(("task_id" = String, Path), ("wait" = Option<u32>, Query, description = "Seconds, at most 60")),
    responses((status = 200, description = "The answer", body = Envelope<TaskView>), (status = 404, description = "No such resource", body = ErrorBody))
)]
pub async fn get_task(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Json<Envelope<TaskView>>, ApiError> {
    let id = task_id(&id)?;
    let wait = number(&asked, "wait", 0, 0..=WAIT_MAX.as_secs() as u32)?;
    let row = match wait {
        0 => app.engine.store().task(&id).await?,
        seconds => app.engine.wait(&id, Duration::from_secs(seconds.into())).await?,
    };
    let row = row.ok_or_else(|| unknown_task(id.as_str()))?;
    Ok(ok(view::task(noted(&app, row), &view::base_url(&app, &headers))))
}

/// A task that waits because submissions are paused says so; the note is stored nowhere and goes
/// with the pause.
fn noted(app: &App, mut row: TaskRow) -> TaskRow {
    if let Some(pause) = app.engine.pause().filter(|_| row.status == Status::Pending && !row.sandbox) {
        let since = pause.since.to_iso();
        let message = format!("Submissions are paused since {since}: this task waits until they are resumed.");
        row.warnings.push(Warning::new("status", message));
    }
    row
}

/// List tasks, newest first.
#[utoipa::path(get, path = "/api/v1/tasks", tag = "tasks",
    params(
        ("type" = Option<String>, Query, description = "`image`, `video` or `audio`"),
        ("status" = Option<String>, Query, description = "`pending`, `processing`, `completed` or `failed`"),
        ("model" = Option<String>, Query), ("projectId" = Option<String>, Query),
        ("source" = Option<String>, Query), ("sourceId" = Option<String>, Query),
        ("limit" = Option<u32>, Query, description = "1 to 100, usually 20"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, description = "The answer", body = Envelope<TaskPage>), (status = 400, description = "A parameter is wrong; the message names it", body = ErrorBody))
)]
pub async fn list_tasks(
    State(app): State<Arc<App>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Json<Envelope<TaskPage>>, ApiError> {
    let limit = number(&asked, "limit", LIMIT_USUAL, 1..=LIMIT_MAX)?;
    let filter = read_filter(&asked)?;
    let mut rows = app.engine.store().list(&filter, limit + 1).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next_cursor = rows.last().filter(|_| more).map(|row| row.id.to_string());
    let base = view::base_url(&app, &headers);
    Ok(ok(TaskPage { items: rows.into_iter().map(|row| view::task(noted(&app, row), &base)).collect(), next_cursor }))
}

fn read_filter(asked: &Asked) -> Result<Filter, ApiError> {
    // A filter that no task can have is a mistake, and must not show all of them.
    if let Some((name, _)) = asked.iter().find(|(_, text)| text.contains('\0')) {
        return Err(ApiError::bad(format!("'{name}' must not contain the character U+0000.")));
    }
    let text = |name: &str| asked.get(name).filter(|text| !text.is_empty()).cloned();
    let kind = text("type").map(|word| {
        let known = Kind::parse(&word).filter(|kind| *kind != Kind::Llm);
        known.ok_or_else(|| {
            ApiError::bad(format!("'type' must be 'image', 'video' or 'audio', got: '{}'.", body::clip(&word)))
        })
    });
    let status = text("status").map(|word| {
        let must = "'status' must be 'pending', 'processing', 'completed' or 'failed'";
        Status::parse(&word).ok_or_else(|| ApiError::bad(format!("{must}, got: '{}'.", body::clip(&word))))
    });
    let before = text("cursor").map(|word| {
        let must = "'cursor' must be the 'next_cursor' of an earlier page";
        TaskId::parse(&word).ok_or_else(|| ApiError::bad(format!("{must}, got: '{}'.", body::clip(&word))))
    });
    Ok(Filter {
        kind: kind.transpose()?,
        status: status.transpose()?,
        model: text("model"),
        project_id: text("projectId"),
        source: text("source"),
        source_id: text("sourceId"),
        before: before.transpose()?,
    })
}

/// The query of a list.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz(asked: &Asked) -> Result<(), ApiError> {
    number(asked, "limit", LIMIT_USUAL, 1..=LIMIT_MAX)?;
    read_filter(asked).map(drop)
}

/// Decide what becomes of a submission whose outcome is unknown.
#[utoipa::path(post, path = "/api/v1/tasks/{task_id}/resolve", tag = "tasks",
    params(("task_id" = String, Path)), request_body = Decision,
    responses(
        (status = 200, description = "The answer", body = Envelope<TaskView>), (status = 400, description = "A parameter is wrong; the message names it", body = ErrorBody), (status = 404, description = "No such resource", body = ErrorBody),
        (status = 409, description = "The task awaits no decision, or its vendor cannot be searched", body = ErrorBody)
    )
)]
pub async fn resolve_task(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Envelope<TaskView>>, ApiError> {
    let id = task_id(&id)?;
    let raw = body::object(body, app.settings.limits.body_bytes).await?;
    let decision: Decision = body::typed(&raw)?;
    let choice = Choice::parse(&decision.choice).ok_or_else(|| {
        ApiError::bad(format!(
            "'choice' must be 'lost', 'search' or 'pay_again', got: '{}'.",
            body::clip(&decision.choice)
        ))
    })?;
    app.engine.resolve(&id, choice).await.map_err(|error| match error {
        ResolveError::NoTask => unknown_task(id.as_str()),
        ResolveError::NotHeld => {
            ApiError::new(StatusCode::CONFLICT, format!("Task '{id}' awaits no decision. Look at its status."))
        }
        ResolveError::CannotSearch => ApiError::new(
            StatusCode::CONFLICT,
            "This task's vendor cannot be asked for a lost submission. Choose 'lost' or 'pay_again'.",
        ),
        ResolveError::Busy => ApiError {
            retry_after: Some(Duration::from_secs(5)),
            ..ApiError::unavailable("Another submission of this task is under way. Try again shortly.")
        },
        ResolveError::Store(error) => error.into(),
    })?;
    let row = app.engine.store().task(&id).await?.ok_or_else(|| unknown_task(id.as_str()))?;
    Ok(ok(view::task(row, &view::base_url(&app, &headers))))
}
