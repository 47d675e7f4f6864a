//! `GET /usage`: how much mobile apps and their users asked for.

use super::{
    body::clip,
    envelope::{ApiError, Envelope, ErrorBody, ok},
    state::App,
    tasks::{Asked, number},
};
use axum::{
    Json,
    extract::{Query, State},
};
use pixel_core::Stamp;
use pixel_store::{UsageBy, UsageFilter, now};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

const NAMES: [&str; 5] = ["groupBy", "from", "to", "limit", "cursor"];
const LIMIT_USUAL: u32 = 100;
const LIMIT_MAX: u32 = 1000;
const DAY_US: i64 = 86_400_000_000;
/// Where nothing is said: so many days, today with them.
const DAYS_USUAL: i64 = 30;

/// A page of sums, in the order of their keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsagePage {
    #[schema(example = "app")]
    group_by: String,
    /// The first and the last day, UTC.
    #[schema(example = "2026-11-01")]
    from: String,
    #[schema(example = "2026-11-30")]
    to: String,
    items: Vec<UsageEntry>,
    /// Pass it as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// The requests of one app, user, day or model.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageEntry {
    #[schema(example = "com.example.app")]
    key: String,
    /// Generations that were accepted.
    requests: i64,
    completed: i64,
    failed: i64,
    /// Under way.
    unfinished: i64,
    /// Questions after a video's state; 0 for a model, of which they say nothing.
    polls: i64,
}

/// Sum up the requests of mobile apps.
#[utoipa::path(get, path = "/api/v1/usage", tag = "apps",
    params(
        ("groupBy" = Option<String>, Query, description = "`app`, `user`, `day` or `model`; usually `app`"),
        ("from" = Option<String>, Query, description = "The first day, such as 2026-11-01; usually 29 days before the last"),
        ("to" = Option<String>, Query, description = "The last day; usually today"),
        ("limit" = Option<u32>, Query, description = "1 to 1000, usually 100"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")
    ),
    responses((status = 200, description = "The answer", body = Envelope<UsagePage>), (status = 400, description = "A parameter is wrong; the message names it", body = ErrorBody))
)]
pub async fn get_usage(
    State(app): State<Arc<App>>,
    Query(asked): Query<Asked>,
) -> Result<Json<Envelope<UsagePage>>, ApiError> {
    if let Some(name) = asked.keys().find(|name| !NAMES.contains(&name.as_str())) {
        let names = NAMES.join("', '");
        return Err(ApiError::bad(format!("There is no parameter '{}'. Use '{names}'.", clip(name))));
    }
    let word = asked.get("groupBy").map_or("app", String::as_str);
    let by = match word {
        "app" => UsageBy::App,
        "user" => UsageBy::User,
        "day" => UsageBy::Day,
        "model" => UsageBy::Model,
        _ => {
            let must = "'groupBy' must be 'app', 'user', 'day' or 'model'";
            return Err(ApiError::bad(format!("{must}, got: '{}'.", clip(word))));
        }
    };
    let last = day(&asked, "to")?.unwrap_or(now().0 / DAY_US);
    let first = day(&asked, "from")?.unwrap_or(last - DAYS_USUAL + 1);
    if first > last {
        let (first, last) = (date(first), date(last));
        return Err(ApiError::bad(format!("'from' must not be after 'to', got: '{first}' and '{last}'.")));
    }
    let limit = number(&asked, "limit", LIMIT_USUAL, 1..=LIMIT_MAX)?;
    let after = match by {
        UsageBy::Day => day(&asked, "cursor")?.map(|day| day.to_string()),
        UsageBy::App | UsageBy::User | UsageBy::Model => text(&asked, "cursor")?,
    };
    let filter = UsageFilter { by, from_day: first, to_day: last + 1, after, limit: limit + 1 };
    let mut rows = app.engine.store().usage(&filter).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let items: Vec<UsageEntry> = rows
        .into_iter()
        .map(|row| UsageEntry {
            key: if by == UsageBy::Day { date(row.key.parse().unwrap_or_default()) } else { row.key },
            requests: row.requests,
            completed: row.completed,
            failed: row.failed,
            unfinished: row.requests - row.completed - row.failed,
            polls: row.polls,
        })
        .collect();
    let next_cursor = items.last().filter(|_| more).map(|one| one.key.clone());
    Ok(ok(UsagePage { group_by: word.to_owned(), from: date(first), to: date(last), items, next_cursor }))
}

fn date(day: i64) -> String {
    Stamp(day.saturating_mul(DAY_US)).to_iso().chars().take(10).collect()
}

fn text(asked: &Asked, name: &str) -> Result<Option<String>, ApiError> {
    match asked.get(name) {
        Some(text) if text.contains('\0') => {
            Err(ApiError::bad(format!("'{name}' must not contain the character U+0000.")))
        }
        text => Ok(text.cloned()),
    }
}

/// A date as days since 1970. The range is that of four digits, so that sums over it cannot overflow.
fn day(asked: &Asked, name: &str) -> Result<Option<i64>, ApiError> {
    let Some(text) = asked.get(name) else { return Ok(None) };
    let parts: Vec<i64> = text.split('-').map_while(|part| part.parse().ok()).collect();
    let day = match parts.as_slice() {
        &[year @ 1970..=9998, month @ 1..=12, of_month @ 1..=31] => Some(days_before(year, month) + of_month - 1),
        _ => None,
    };
    let day = day.filter(|day| text.len() == 10 && date(*day) == *text);
    day.map(Some)
        .ok_or_else(|| ApiError::bad(format!("'{name}' must be a day such as 2026-11-01, got: '{}'.", clip(text))))
}

/// Days from the first of 1970 to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let is_leap = leaps(year) > leaps(year - 1);
    let in_year = BEFORE.get(usize::try_from(month - 1).unwrap_or_default()).copied().unwrap_or_default();
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969) + in_year + i64::from(is_leap && month > 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_as_they_are_written() {
        let read = |text: &str| day(&Asked::from([("to".to_owned(), text.to_owned())]), "to").ok().flatten();
        for (text, days) in [("1970-01-01", 0), ("1972-02-29", 789), ("2000-03-01", 11_017), ("2026-11-26", 20_783)] {
            assert_eq!((read(text), date(days)), (Some(days), text.to_owned()));
        }
        for wrong in
            ["", "2026-02-29", "2026-13-01", "26-11-01", "2026-11-1", "2026-11-01T00", "1969-12-31", "9999-01-01"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
