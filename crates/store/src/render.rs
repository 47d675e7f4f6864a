//! Turns the store's shapes into values to bind, on the caller's thread: the writer only sends.

use crate::{
    clips::ClipRow,
    db::Val,
    retire::blob_of,
    rows::{AttemptOutcome, Budget, Face, Job, MediaRow, Moved, NewAttempt, NewTask, Save, Then},
};
use pixel_core::{
    Stamp,
    fallback::Fallback,
    id::TaskId,
    task::{Stage, Status},
};
use serde::Serialize;
use std::time::Duration;

/// One row's values.
pub(crate) type Values = Vec<Val>;

/// Both rows of a new task.
#[derive(Debug)]
pub(crate) struct CreateRow {
    pub(crate) id: String,
    pub(crate) task: Values,
    pub(crate) work: Values,
    pub(crate) media: Vec<Values>,
    pub(crate) namings: Vec<Naming>,
    pub(crate) clip: Option<ClipRow>,
}

/// A blob that a new row is to name, and the generation in which it was seen to be here.
#[derive(Debug)]
pub(crate) struct Naming {
    pub(crate) blob: String,
    pub(crate) seen: i64,
}

/// A [`Save`], ready to bind.
#[derive(Debug)]
pub(crate) struct SaveRow {
    pub(crate) task_id: String,
    pub(crate) fence: i64,
    /// `None` when the task ends or moves.
    pub(crate) go: Option<Values>,
    /// Another model's vendor takes the task over.
    pub(crate) moved: Option<Values>,
    pub(crate) face: Option<Values>,
    pub(crate) attempt: Option<Values>,
    pub(crate) budget: Option<(String, Budget)>,
    pub(crate) outcome: Option<Values>,
    pub(crate) job: Option<Job>,
    pub(crate) media: Vec<Values>,
    pub(crate) namings: Vec<Naming>,
}

/// Our own shapes always serialise: they hold no maps with other keys than text.
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

fn json_opt<T: Serialize>(value: Option<&T>) -> Val {
    Val::TextOpt(value.map(json))
}

fn stamp(at: Stamp) -> Val {
    Val::Int(at.0)
}

pub(crate) fn create(task: &NewTask, lease: Duration) -> CreateRow {
    let id = task.id.as_str();
    let public = vec![
        id.into(),
        task.kind.as_str().into(),
        task.model.as_str().into(),
        Status::Pending.as_str().into(),
        i64::from(task.sandbox).into(),
        task.project_id.clone().into(),
        task.source.clone().into(),
        task.source_id.clone().into(),
        json(&task.params).into(),
        json(&task.warnings).into(),
        json_opt(task.cost.as_ref()),
        0.into(),
        stamp(task.created_at),
        stamp(task.created_at),
        task.served_by.clone().into(),
    ];
    let work = vec![
        id.into(),
        task.vendor.as_str().into(),
        task.rank.into(),
        task.served_by.as_ref().unwrap_or(&task.model).as_str().into(),
        task.project_id.clone().into(),
        json(&task.request).into(),
        json(&task.work).into(),
        stamp(task.created_at),
        if task.leased { Stage::Leased } else { Stage::Queued }.number().into(),
        i64::try_from(lease.as_micros()).unwrap_or(i64::MAX / 4).into(),
        i64::from(task.leased).into(),
        json_opt(task.fallback.as_ref()),
        Val::TextOpt(task.fallback.as_ref().and_then(leads)),
    ];
    let (media, namings) = (task.media.iter().map(media).collect(), namings(&task.media));
    let clip = task.clip.as_ref().map(|clip| ClipRow::new(&task.id, &task.model, clip));
    CreateRow { id: id.to_owned(), task: public, work, media, namings, clip }
}

pub(crate) fn save(save: &Save, now: Stamp) -> SaveRow {
    let task_id = save.lease.task.as_str();
    let go = match &save.then {
        Then::End | Then::Move(_) => None,
        Then::Go { stage, due, work } => Some(vec![
            task_id.into(),
            save.lease.fence.into(),
            stage.number().into(),
            // Waits are relative, so that the database's clock decides when they end.
            i64::try_from(due.since(now).as_micros()).unwrap_or(i64::MAX / 4).into(),
            i64::from(work.in_flight()).into(),
            json(work).into(),
        ]),
    };
    SaveRow {
        task_id: task_id.to_owned(),
        fence: save.lease.fence,
        go,
        moved: match &save.then {
            Then::Move(to) => Some(moved(save, to)),
            Then::End | Then::Go { .. } => None,
        },
        face: save.face.as_ref().map(|f| face(&save.lease.task, f)),
        attempt: save.attempt.as_ref().map(|a| attempt(save, a)),
        budget: save.attempt.as_ref().map(|a| (a.vendor.clone(), a.budget)),
        outcome: save.outcome.as_ref().map(|o| outcome(task_id, o)),
        job: save.outcome.as_ref().and_then(|o| o.job.clone()),
        media: save.media.iter().map(media).collect(),
        namings: namings(&save.media),
    }
}

/// The codes of the failures that lead on, for the claims of [`crate::claim`]; nothing when nobody comes next.
fn leads(fallback: &Fallback) -> Option<String> {
    let codes: Vec<_> = fallback.on.iter().map(|kind| kind.code()).collect();
    (!fallback.next.is_empty() && !codes.is_empty()).then(|| codes.join(" "))
}

fn moved(save: &Save, to: &Moved) -> Values {
    vec![
        save.lease.task.as_str().into(),
        save.lease.fence.into(),
        to.vendor.as_str().into(),
        to.model.as_str().into(),
        to.rank.into(),
        json(&to.request).into(),
        json(&to.work).into(),
        json(&to.fallback).into(),
        Val::TextOpt(leads(&to.fallback)),
    ]
}

fn namings(media: &[MediaRow]) -> Vec<Naming> {
    let naming = |row: &MediaRow| Naming { blob: blob_of(&row.facts.sha256).to_owned(), seen: row.seen };
    media.iter().map(naming).collect()
}

fn face(task: &TaskId, face: &Face) -> Values {
    let ended = face.status.is_terminal().then_some(face.at.0);
    vec![
        task.as_str().into(),
        face.status.as_str().into(),
        json(&face.warnings).into(),
        Val::TextOpt((!face.made.is_empty()).then(|| json(&face.made))),
        json_opt(face.failure.as_ref()),
        json_opt(face.attention.as_ref()),
        json_opt(face.cost.as_ref()),
        i64::from(face.progress).into(),
        stamp(face.at),
        Val::IntOpt(ended),
        face.served_by.clone().into(),
    ]
}

fn attempt(save: &Save, attempt: &NewAttempt) -> Values {
    vec![
        save.lease.task.as_str().into(),
        attempt.id.as_str().into(),
        i64::from(attempt.slot).into(),
        i64::from(attempt.round).into(),
        save.lease.fence.into(),
        attempt.vendor.as_str().into(),
        attempt.estimate_micros.into(),
        attempt.currency.clone().into(),
        stamp(attempt.sent_at),
    ]
}

fn outcome(task_id: &str, outcome: &AttemptOutcome) -> Values {
    vec![
        task_id.into(),
        outcome.id.as_str().into(),
        outcome.word.into(),
        outcome.detail.clone().into(),
        outcome.cost_micros.into(),
        stamp(outcome.at),
        Val::TextOpt(outcome.job.as_ref().map(|job| job.name.clone())),
    ]
}

fn media(media: &MediaRow) -> Values {
    vec![
        media.id.as_str().into(),
        Val::TextOpt(media.task.as_ref().map(|id| id.as_str().to_owned())),
        json(&media.facts).into(),
        stamp(media.created_at),
        blob_of(&media.facts.sha256).into(),
    ]
}
