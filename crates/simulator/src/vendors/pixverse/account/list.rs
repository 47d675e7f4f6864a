//! The list of an account's clips, which is the only place where their states stand.

use super::{
    super::{number, yes},
    Account,
};
use crate::{
    answer::Answer,
    desk::{progress, results, spoiled},
    fault::{Fault, Group, Stage},
    script::Rule,
    state::{Job, Shared, State as All},
    vendor::{Asked, Made, State, Vendor},
};
use serde_json::{Value, json};
use std::time::Duration;

/// Rows that one answer has at most.
const ROWS_MAX: usize = 50;

/// States by their numbers.
const DONE: i64 = 1;
const RUNNING: i64 = 5;
pub(super) const DELETED: i64 = 6;
const MODERATED: i64 = 7;
const FAILED: i64 = 8;
/// No document is sure what it means.
const ODD: i64 = 10;
const STRANGE: i64 = 42;

/// A row as this call tells it.
enum Row {
    Told(Value),
    Missing,
    /// What happens to the whole answer instead.
    Struck(Rule, Duration),
}

pub(super) async fn answer(asked: &Asked, name: &str, shared: &Shared) -> Answer {
    let body = asked.json().unwrap_or_default();
    let count = |field: &str| body[field].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
    let (offset, limit) = (count("offset").max(count("web_offset")), count("limit"));
    let limit = if limit == 0 { ROWS_MAX } else { limit.min(ROWS_MAX) };
    let own = own(name, &shared.state());
    let (mut rows, mut struck) = (Vec::new(), None);
    for id in own.iter().skip(offset).take(limit) {
        match row(id, asked, shared).await {
            Row::Told(row) => rows.push(row),
            Row::Missing => {}
            Row::Struck(rule, pace) => struck = struck.or(Some((rule, pace))),
        }
    }
    let (next, has_more) = ((offset + limit).min(own.len()), offset + limit < own.len());
    let good = yes(&json!({
        "data": rows, "total": own.len(), "has_more": has_more, "next_offset": next,
        "web_has_more": has_more, "web_next_offset": next,
    }));
    match struck {
        Some((rule, pace)) => spoiled(&Account, asked, &rule, pace, || good),
        None => good.into(),
    }
}

/// The account's jobs, the newest first.
pub(super) fn own(name: &str, state: &All) -> Vec<String> {
    let mut own: Vec<_> = jobs(name, state).map(|job| (job.entry.number, job.entry.job.clone())).collect();
    own.sort_unstable_by(|one, other| other.cmp(one));
    own.into_iter().map(|(_, id)| id).collect()
}

pub(super) fn jobs<'a>(name: &'a str, state: &'a All) -> impl Iterator<Item = &'a Job> {
    let is_own = move |job: &&Job| job.vendor.id() == Account.id() && job.entry.account.as_deref() == Some(name);
    state.jobs.values().filter(is_own)
}

async fn row(id: &str, asked: &Asked, shared: &Shared) -> Row {
    let (rule, standing, ended, pace) = {
        let mut state = shared.state();
        let state = &mut *state;
        let Some(job) = state.jobs.get_mut(id) else { return Row::Missing };
        if let Some(status) = job.ended.filter(|status| *status != DONE) {
            return Row::Told(told(job, asked, status, ""));
        }
        let rule = job.rule(Stage::Poll, job.polls).cloned();
        let rule = rule.filter(|rule| rule.kind != Fault::ClosedOnReuse || asked.reused);
        let counts = state.ledger.counts(job.vendor.id(), &job.entry.marker);
        counts.polls += 1;
        counts.struck += u64::from(rule.is_some());
        let standing = progress(job, rule.as_ref().map(|rule| rule.kind));
        job.polls = job.polls.saturating_add(1);
        (rule, standing, job.ended, job.pace())
    };
    let kind = rule.as_ref().map(|rule| rule.kind);
    if let Some(rule) = rule.filter(|rule| strikes_all(rule.kind)) {
        return Row::Struck(rule, pace);
    }
    match kind {
        Some(Fault::MissingRow | Fault::NotYetKnown | Fault::NotFound) => Row::Missing,
        _ => one(id, asked, shared, kind, standing.filter(|_| ended.is_none())).await,
    }
}

/// Whether the answer as a whole is struck, and not the row of one clip.
fn strikes_all(kind: Fault) -> bool {
    let is_whole = matches!(kind.group(), Group::Refusal | Group::Unclear | Group::Slow) && kind != Fault::NotFound;
    is_whole || matches!(kind, Fault::GarbageJson | Fault::HtmlPage | Fault::WrongSchema | Fault::Code)
}

async fn one(id: &str, asked: &Asked, shared: &Shared, kind: Option<Fault>, standing: Option<State>) -> Row {
    let made = if standing.is_none() { results(id, asked, shared).await } else { Vec::new() };
    let mut state = shared.state();
    let Some(job) = state.jobs.get_mut(id) else { return Row::Missing };
    let last = job.polls.saturating_sub(1);
    let code = job.rule(Stage::Poll, last).and_then(|rule| rule.code);
    let host = asked.header("host").unwrap_or("127.0.0.1");
    let (status, url) = match (kind, &standing, made.first()) {
        (Some(Fault::StatusNumber), ..) => (code.unwrap_or(STRANGE), String::new()),
        (Some(Fault::Placeholder), ..) => (code.unwrap_or(DONE), format!("http://{host}/media/{id}/default.mp4")),
        (_, None, Some(Made::Link(url))) => (DONE, url.clone()),
        (_, None, _) => (DONE, String::new()),
        (Some(Fault::StatusBackwards), Some(State::Waiting), _) => (ODD, String::new()),
        (_, Some(State::Strange), _) => (STRANGE, String::new()),
        (_, Some(State::Failed), _) => (FAILED, String::new()),
        (_, Some(State::Moderated), _) => (MODERATED, String::new()),
        (_, Some(State::Lost), _) => (DELETED, String::new()),
        (_, Some(State::Waiting | State::Running | State::Done(_)), _) => (RUNNING, String::new()),
    };
    let is_end = match kind {
        Some(Fault::Placeholder | Fault::StatusNumber) => false,
        _ => matches!(status, DELETED | MODERATED | FAILED) || status == DONE && !url.is_empty(),
    };
    job.ended = job.ended.or(is_end.then_some(status));
    Row::Told(told(job, asked, status, &url))
}

fn told(job: &Job, asked: &Asked, status: i64, url: &str) -> Value {
    let (entry, host) = (&job.entry, asked.header("host").unwrap_or("127.0.0.1"));
    let frame = match job.ended {
        Some(DONE) => format!("http://{host}/pixverse{}{}.png", super::FRAMES, entry.job),
        _ => String::new(),
    };
    json!({
        "video_id": number(&entry.job), "video_status": status, "url": url, "first_frame": frame, "webp_url": "",
        "prompt": job.facts().prompt, "model": entry.model, "quality": format!("{}p", entry.width.min(entry.height)),
        "customer_paths": { "customer_img_path": entry.picture.clone().unwrap_or_default() },
        "created_at": entry.at, "platform": "web",
    })
}
