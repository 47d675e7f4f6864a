//! `GET /get_status`: how a clip stands, straight from its task's row.

use super::{
    detail::Detail,
    dialect::{Dialect, PLAIN, PRODUCTION, Standing},
    fields::Bag,
};
use crate::api::{body::clip, envelope::ApiError, state::App, view};
use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderMap,
};
use serde_json::Value;
use std::sync::Arc;

/// Ask how a video stands: `url` alone when it is done, else `status` alone.
///
/// The statuses are `Generating`, `Deleted`, `Contents moderation failed` and `Generation failed`.
#[utoipa::path(get, path = "/get_status", tag = "apps",
    params(
        ("video_id" = i64, Query), ("app_bundle_id" = String, Query), ("apphud_user_id" = String, Query)
    ),
    responses(
        (status = 200, description = "`{\"url\":…}` or `{\"status\":…}`", body = Object),
        (status = 400, description = "A parameter is missing or wrong", body = Detail),
        (status = 404, description = "No such video", body = Detail),
        (status = 500, description = "A fault of the server", body = Detail)
    )
)]
pub async fn get_status(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let bag = Bag::of_query(&PLAIN, query.as_deref())?;
    let (number, from) = (bag.number()?, (bag.label(PLAIN.app)?, bag.label(PLAIN.user)?));
    standing(&app, &PLAIN, &headers, number, from).await
}

/// Ask how a video stands, in the words of the service's predecessor.
#[utoipa::path(get, path = "/pixverse/api/v1/status", tag = "apps", params(("id" = i64, Query)),
    responses(
        (status = 200, description = "`status` is `generating`, `success` or `error`; `video_url` is null but for a success", body = Object),
        (status = 400, description = "A parameter is missing or wrong", body = Detail),
        (status = 404, description = "No such video", body = Detail),
        (status = 500, description = "A fault of the server", body = Detail)
    )
)]
pub async fn get_video_status(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let bag = Bag::of_query(&PRODUCTION, query.as_deref())?;
    // This dialect's clients need not say who they are.
    let label = |name| bag.optional_label(name).map(Option::unwrap_or_default);
    let (number, from) = (bag.number()?, (label(PRODUCTION.app)?, label(PRODUCTION.user)?));
    standing(&app, &PRODUCTION, &headers, number, from).await
}

async fn standing(
    app: &App,
    dialect: &Dialect,
    headers: &HeaderMap,
    (number, as_given): (Option<i64>, String),
    (bundle, user): (String, String),
) -> Result<Json<Value>, ApiError> {
    let row = match number {
        Some(number) => app.engine.store().clip(number).await?,
        // No number of ours is so large.
        None => None,
    };
    let row = row.ok_or_else(|| ApiError::missing(format!("There is no video {}.", clip(&as_given))))?;
    app.polls.count(&bundle, &user);
    let url = || row.made.first().map(|made| view::own_url(made, &view::base_url(app, headers)));
    Ok(dialect.standing(Standing::of(&row), url))
}
