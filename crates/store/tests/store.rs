//! The store's promises, on SQLite and on PostgreSQL.

mod common;

use common::{new_task, on_both};
use pixel_core::{
    ErrorKind, Stamp,
    fallback::{Candidate, Fallback},
    id::{ModelId, TaskId},
    request::{Checked, Kind},
    task::{Slot, SlotState, Stage, Status, Work},
};
use pixel_store::*;
use pixel_testkit::postgres::Cluster;
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(3);

struct Rig {
    _folder: tempfile::TempDir,
    _cluster: Option<Cluster>,
    options: Options,
}

impl Rig {
    fn new(on_postgres: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cluster = on_postgres.then(Cluster::start);
        let options = Options {
            data: folder.path().to_owned(),
            database_url: cluster.as_ref().map(Cluster::database),
            pool_size: 4,
            lease: LEASE,
        };
        Self { _folder: folder, _cluster: cluster, options }
    }

    async fn open(&self) -> Store {
        Store::open(&self.options).await.unwrap()
    }
}

on_both!(
    a_task_is_read_as_written,
    lists_are_newest_first_and_paged,
    the_queue_is_taken_in_order_of_rank,
    a_late_holder_writes_nothing,
    a_lease_is_kept_by_its_heartbeat,
    a_lost_lease_is_taken_over,
    budgets_are_never_exceeded,
    a_terminal_task_does_not_change,
    a_cancelled_caller_leaves_nothing_open,
    a_newer_schema_is_refused,
    creates_survive_a_reopen,
    a_repeated_create_does_not_revive_a_task,
    a_nul_in_an_answer_costs_nothing,
    a_job_belongs_to_one_submission,
    a_task_may_be_leased_from_birth,
    what_has_waited_too_long_is_found,
    an_account_is_signed_in_to_by_one_server_and_seldom,
    a_parked_account_is_lifted_by_a_new_token_or_other_settings,
    a_task_moves_to_another_vendor_in_one_write,
);

fn task(rank: i64, project: Option<&str>) -> NewTask {
    let project_id = project.map(str::to_owned);
    NewTask { rank, project_id, ..new_task(Kind::Image, "acme/paint", "a cat \u{0} 猫") }
}

fn face(status: Status) -> Face {
    Face {
        status,
        served_by: None,
        warnings: Vec::new(),
        made: Vec::new(),
        failure: None,
        attention: None,
        cost: None,
        progress: 0,
        at: now(),
    }
}

fn save(lease: &Lease, then: Then) -> Save {
    Save { lease: lease.clone(), then, face: None, attempt: None, outcome: None, media: Vec::new() }
}

fn wait_until(due: Stamp) -> Then {
    Then::Go { stage: Stage::Waiting, due, work: Box::new(Work::planned(&[1])) }
}

async fn taken(store: &Store, vendor: &str, limit: u32) -> Vec<Claimed> {
    store.claim_queued(vendor, Budget::default(), limit).await.unwrap().tasks
}

/// The first claim of due work that brings something, within the limit.
async fn claim_due_within(store: &Store, limit: Duration) -> Vec<Claimed> {
    let look = || async {
        let claimed = store.claim_due(10).await.unwrap();
        (!claimed.is_empty()).then_some(claimed)
    };
    pixel_testkit::wait::until("a task falls due", limit, look).await
}

async fn a_task_is_read_as_written(rig: &Rig) {
    let store = rig.open().await;
    let new = task(1, Some("proj_1"));
    store.create(new.clone()).await.unwrap();
    let row = store.task(&new.id).await.unwrap().unwrap();
    assert_eq!((row.status, row.kind, row.project_id.as_deref()), (Status::Pending, Kind::Image, Some("proj_1")));
    assert_eq!(row.params.get(), new.params.to_string());
    let claimed = taken(&store, "acme", 1).await.pop().unwrap();
    assert_eq!((claimed.request, claimed.work), (new.request, new.work));
    assert_eq!(store.task(&TaskId::from_bits(1)).await.unwrap().map(|row| row.id), None);
}

async fn lists_are_newest_first_and_paged(rig: &Rig) {
    let store = rig.open().await;
    let mut ids = Vec::new();
    for at in 0..7 {
        let new = task(at, Some(if at % 2 == 0 { "even" } else { "odd" }));
        ids.push(new.id.clone());
        store.create(new.clone()).await.unwrap();
    }
    ids.reverse();
    let page = store.list(&Filter::default(), 4).await.unwrap();
    assert_eq!(page.iter().map(|row| row.id.clone()).collect::<Vec<_>>(), ids[..4]);
    let rest = store.list(&Filter { before: Some(ids[3].clone()), ..Filter::default() }, 10).await.unwrap();
    assert_eq!(rest.iter().map(|row| row.id.clone()).collect::<Vec<_>>(), ids[4..]);
    let odd = Filter { project_id: Some("odd".to_owned()), status: Some(Status::Pending), ..Filter::default() };
    assert_eq!(store.list(&odd, 10).await.unwrap().len(), 3);
    let none = Filter { kind: Some(Kind::Video), ..Filter::default() };
    assert!(store.list(&none, 10).await.unwrap().is_empty());
}

async fn the_queue_is_taken_in_order_of_rank(rig: &Rig) {
    let store = rig.open().await;
    for rank in [5, 1, 4, 2, 3] {
        store.create(task(rank, None)).await.unwrap();
    }
    let first = taken(&store, "acme", 2).await;
    let mut ranks: Vec<_> = first.iter().map(|one| one.rank).collect();
    ranks.sort_unstable();
    assert_eq!(ranks, [1, 2]);
    assert!(taken(&store, "other", 9).await.is_empty(), "a queue belongs to its vendor");
    assert_eq!(taken(&store, "acme", 9).await.len(), 3, "what is leased is not taken twice");
}

async fn a_late_holder_writes_nothing(rig: &Rig) {
    let store = rig.open().await;
    store.create(task(1, None)).await.unwrap();
    let late = taken(&store, "acme", 1).await.pop().unwrap().lease;
    assert_eq!(store.save(&save(&late, wait_until(now()))).await.unwrap(), Saved::Done);
    let holder = claim_due_within(&store, LEASE).await.pop().unwrap().lease;
    assert!(holder.fence > late.fence);
    let steal = Save { face: Some(face(Status::Failed)), ..save(&late, Then::End) };
    assert_eq!(store.save(&steal).await.unwrap(), Saved::Fenced);
    let row = store.task(&holder.task).await.unwrap().unwrap();
    assert_eq!(row.status, Status::Pending, "the late holder's words were not written either");
    let end = Save { face: Some(face(Status::Failed)), ..save(&holder, Then::End) };
    assert_eq!(store.save(&end).await.unwrap(), Saved::Done);
}

async fn a_lease_is_kept_by_its_heartbeat(rig: &Rig) {
    let store = rig.open().await;
    store.create(task(1, None)).await.unwrap();
    let held = taken(&store, "acme", 1).await.pop().unwrap().lease;
    let until = std::time::Instant::now() + LEASE * 2;
    while std::time::Instant::now() < until {
        assert!(store.claim_due(1).await.unwrap().is_empty(), "a lease that beats is not taken");
        tokio::time::sleep(LEASE / 10).await;
    }
    assert!(store.leases().remaining(&held) > Duration::ZERO);
    assert_eq!(store.save(&save(&held, Then::End)).await.unwrap(), Saved::Done);
}

async fn a_lost_lease_is_taken_over(rig: &Rig) {
    let store = rig.open().await;
    store.create(task(1, None)).await.unwrap();
    let lost = taken(&store, "acme", 1).await.pop().unwrap().lease;
    // As a crash would: the row stays leased, and no heartbeat comes any more.
    store.close().await;
    drop(store);
    let store = rig.open().await;
    let taken = claim_due_within(&store, LEASE * 3).await.pop().unwrap().lease;
    assert_eq!(taken.task, lost.task);
    assert!(taken.fence > lost.fence);
}

async fn budgets_are_never_exceeded(rig: &Rig) {
    let store = rig.open().await;
    for rank in 0..20 {
        store.create(task(rank, None)).await.unwrap();
    }
    let claimed = taken(&store, "acme", 20).await;
    let send = |one: &Claimed, budget: Budget| {
        let mut work = one.work.clone();
        work.slots[0].state = SlotState::Accepted { mark: serde_json::Value::Null };
        let attempt = NewAttempt {
            id: new_attempt_id(),
            slot: 0,
            round: 0,
            vendor: "acme".to_owned(),
            estimate_micros: None,
            currency: None,
            sent_at: now(),
            budget,
        };
        let then = Then::Go { stage: Stage::Leased, due: Stamp::default(), work: Box::new(work) };
        Save { attempt: Some(attempt), ..save(&one.lease, then) }
    };
    let places = Budget { concurrency: 5, rate_per_min: 0 };
    let saves: Vec<_> = claimed.iter().map(|one| send(one, places)).collect();
    let verdicts = futures_util::future::join_all(saves.iter().map(|one| store.save(one))).await;
    let admitted = verdicts.iter().filter(|v| matches!(v, Ok(Saved::Done))).count();
    assert_eq!(admitted, 5, "all at once, and still only five: {verdicts:?}");
    let rate = Budget { concurrency: 0, rate_per_min: 6 };
    let again: Vec<_> = claimed.iter().map(|one| send(one, rate)).collect();
    let verdicts = futures_util::future::join_all(again.iter().map(|one| store.save(one))).await;
    let admitted = verdicts.iter().filter(|v| matches!(v, Ok(Saved::Done))).count();
    assert_eq!(admitted, 1, "one every ten seconds: {verdicts:?}");
    let later = |v: &Result<Saved, StoreError>| matches!(v, Ok(Saved::Later(wait)) if *wait <= Duration::from_secs(10));
    assert_eq!(verdicts.iter().filter(|v| later(v)).count(), 19);
    store.create(task(99, None)).await.unwrap();
    let spent = store.claim_queued("acme", rate, 9).await.unwrap();
    assert!(spent.tasks.is_empty() && spent.spent.is_some(), "nothing is leased that could not be sent");
    let full = store.claim_queued("acme", places, 9).await.unwrap();
    assert!(full.tasks.is_empty() && full.spent.is_some());
}

async fn a_terminal_task_does_not_change(rig: &Rig) {
    let store = rig.open().await;
    let new = task(1, None);
    store.create(new.clone()).await.unwrap();
    let lease = taken(&store, "acme", 1).await.pop().unwrap().lease;
    let end = Save { face: Some(face(Status::Failed)), ..save(&lease, Then::End) };
    assert_eq!(store.save(&end).await.unwrap(), Saved::Done);
    let again = Save { face: Some(face(Status::Completed)), ..save(&lease, Then::End) };
    assert_eq!(store.save(&again).await.unwrap(), Saved::Fenced);
    let row = store.task(&new.id).await.unwrap().unwrap();
    assert_eq!(row.status, Status::Failed);
    assert!(row.completed_at.is_some() && store.depth().await.unwrap().is_empty());
}

/// A handler is cancelled whenever its caller hangs up; a transaction that it owned would stay
/// open in the pool. No caller owns one here.
async fn a_cancelled_caller_leaves_nothing_open(rig: &Rig) {
    let store = rig.open().await;
    for at in 0..300 {
        let new = task(at, None);
        let cut = Duration::from_micros((at.unsigned_abs() % 40) * 50);
        // Whether it was cut or not, the store must stay whole.
        let _ = tokio::time::timeout(cut, store.create(new.clone())).await;
        let _ = tokio::time::timeout(cut, store.task(&new.id)).await;
    }
    let last = task(1000, None);
    store.create(last.clone()).await.unwrap();
    assert!(store.task(&last.id).await.unwrap().is_some());
    if let (Some(cluster), Some(url)) = (&rig._cluster, &rig.options.database_url) {
        let open = "SELECT COUNT(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
        assert_eq!(cluster.query(url, open).trim(), "0");
    }
}

async fn a_newer_schema_is_refused(rig: &Rig) {
    let store = rig.open().await;
    store.close().await;
    drop(store);
    let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
               VALUES (9999, 'from the future', true, '\\x00', 0)";
    match (&rig._cluster, &rig.options.database_url) {
        (Some(cluster), Some(url)) => drop(cluster.query(url, sql)),
        _ => {
            let address = format!("sqlite://{}", rig.options.data.join("pixel.db").display());
            let pool = sqlx::SqlitePool::connect(&address).await.unwrap();
            sqlx::query(sql).execute(&pool).await.unwrap();
            pool.close().await;
        }
    }
    let refused = Store::open(&rig.options).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("newer version of Pixel"), "{refused}");
}

async fn a_task_may_be_leased_from_birth(rig: &Rig) {
    let store = rig.open().await;
    let new = NewTask { leased: true, ..task(1, None) };
    let born = store.create(new.clone()).await.unwrap().unwrap();
    assert_eq!((&born.lease.task, &born.work), (&new.id, &new.work));
    assert!(taken(&store, "acme", 1).await.is_empty() && store.claim_due(1).await.unwrap().is_empty());
    assert_eq!(store.save(&save(&born.lease, wait_until(now()))).await.unwrap(), Saved::Done);
    let next = claim_due_within(&store, LEASE).await.pop().unwrap();
    assert_eq!((next.lease.fence, next.request), (2, new.request));
}

/// The answer of a commit was lost and the create is sent again, after the task has ended.
async fn a_repeated_create_does_not_revive_a_task(rig: &Rig) {
    let store = rig.open().await;
    let new = task(1, None);
    store.create(new.clone()).await.unwrap();
    let lease = taken(&store, "acme", 1).await.pop().unwrap().lease;
    let end = Save { face: Some(face(Status::Failed)), ..save(&lease, Then::End) };
    assert_eq!(store.save(&end).await.unwrap(), Saved::Done);
    store.create(new.clone()).await.unwrap();
    assert!(taken(&store, "acme", 1).await.is_empty());
}

async fn a_nul_in_an_answer_costs_nothing(rig: &Rig) {
    let store = rig.open().await;
    let new = task(1, None);
    store.create(new.clone()).await.unwrap();
    let lease = taken(&store, "acme", 1).await.pop().unwrap().lease;
    let id = attempted(&store, &lease).await;
    let detail = Some("HTTP 400: \0bad".to_owned());
    let outcome = AttemptOutcome { id, word: "refused", detail, cost_micros: None, job: None, at: now() };
    assert_eq!(store.save(&Save { outcome: Some(outcome), ..save(&lease, Then::End) }).await.unwrap(), Saved::Done);
    let kept = store.attempts(&new.id).await.unwrap().pop().unwrap();
    assert_eq!((kept.outcome.as_deref(), kept.detail.as_deref()), (Some("refused"), Some("HTTP 400: \u{fffd}bad")));
}

/// Records an attempt of the first slot, the lease kept.
async fn attempted(store: &Store, lease: &Lease) -> pixel_core::id::AttemptId {
    let id = new_attempt_id();
    let attempt = NewAttempt {
        id: id.clone(),
        slot: 0,
        round: 0,
        vendor: "acme".to_owned(),
        estimate_micros: None,
        currency: None,
        sent_at: now(),
        budget: Budget::default(),
    };
    assert_eq!(store.save(&Save { attempt: Some(attempt), ..save(lease, keep()) }).await.unwrap(), Saved::Done);
    id
}

/// The lease is kept.
fn keep() -> Then {
    Then::Go { stage: Stage::Leased, due: Stamp::default(), work: Box::new(Work::planned(&[1])) }
}

async fn a_job_belongs_to_one_submission(rig: &Rig) {
    let store = rig.open().await;
    for at in 0..4 {
        store.create(task(at, None)).await.unwrap();
    }
    let leases: Vec<_> = taken(&store, "acme", 4).await.into_iter().map(|claimed| claimed.lease).collect();
    let accepted = |id, vendor: &str, name: &str| {
        let job = Some(Job { vendor: vendor.to_owned(), name: name.to_owned(), slot: 0 });
        Some(AttemptOutcome { id, word: "accepted", detail: None, cost_micros: None, job, at: now() })
    };
    let first = attempted(&store, &leases[0]).await;
    let outcome = accepted(first, "acme", "job-1");
    assert_eq!(store.save(&Save { outcome, ..save(&leases[0], keep()) }).await.unwrap(), Saved::Done);
    // The same slot, sent again with a key that absorbed it.
    let again = attempted(&store, &leases[0]).await;
    let outcome = accepted(again, "acme", "job-1");
    assert_eq!(store.save(&Save { outcome, ..save(&leases[0], keep()) }).await.unwrap(), Saved::Done);

    let liar = attempted(&store, &leases[1]).await;
    let outcome = accepted(liar.clone(), "acme", "job-1");
    assert_eq!(store.save(&Save { outcome, ..save(&leases[1], keep()) }).await.unwrap(), Saved::Taken);
    let row = store.attempts(&leases[1].task).await.unwrap().pop().unwrap();
    assert_eq!(row.outcome, None, "nothing was written");
    let outcome = accepted(liar, "other", "job-1");
    assert_eq!(store.save(&Save { outcome, ..save(&leases[1], keep()) }).await.unwrap(), Saved::Done, "another's job");

    // Both in one batch: one of them has it.
    let (third, fourth) = (attempted(&store, &leases[2]).await, attempted(&store, &leases[3]).await);
    let [third, fourth] = [(2, third), (3, fourth)]
        .map(|(at, id): (usize, _)| Save { outcome: accepted(id, "acme", "job-2"), ..save(&leases[at], keep()) });
    let (one, two) = tokio::join!(store.save(&third), store.save(&fourth));
    let mut both = [one.unwrap(), two.unwrap()];
    both.sort_by_key(|saved| *saved == Saved::Taken);
    assert_eq!(both, [Saved::Done, Saved::Taken]);
}

async fn what_has_waited_too_long_is_found(rig: &Rig) {
    let store = rig.open().await;
    let old = NewTask { created_at: Stamp(1), ..task(1, None) };
    store.create(old.clone()).await.unwrap();
    store.create(task(2, None)).await.unwrap();
    let stale = store.claim_stale("acme", Stamp(2)).await.unwrap();
    assert_eq!(stale.iter().map(|one| &one.lease.task).collect::<Vec<_>>(), [&old.id]);
}

async fn creates_survive_a_reopen(rig: &Rig) {
    let store = rig.open().await;
    let tasks: Vec<_> = (0..200).map(|at| task(at, None)).collect();
    let written = futures_util::future::join_all(tasks.iter().map(|one| store.create(one.clone()))).await;
    assert!(written.iter().all(Result::is_ok));
    store.close().await;
    drop(store);
    let store = rig.open().await;
    for one in &tasks {
        assert!(store.task(&one.id).await.unwrap().is_some());
    }
    assert_eq!(taken(&store, "acme", 256).await.len(), 200);
}

#[tokio::test]
async fn one_process_holds_a_data_folder() {
    let rig = Rig::new(false);
    let store = rig.open().await;
    let second = Store::open(&rig.options).await.map(drop).unwrap_err();
    assert!(second.to_string().contains("in use by another Pixel"), "{second}");
    store.close().await;
}

#[test]
fn a_slot_knows_what_is_in_flight() {
    let mut work = Work { slots: vec![Slot::new(0, 1), Slot::new(1, 1)], ..Work::default() };
    assert_eq!(work.in_flight(), 0);
    work.slots[0].state = SlotState::Accepted { mark: serde_json::Value::Null };
    assert_eq!(work.in_flight(), 1);
}

const LIMITS: SignInLimits = SignInLimits { gap: Duration::from_millis(50), a_day: 3, lease: Duration::from_secs(120) };

async fn enrolled(store: &Store, config: &str) -> (AccountRow, bool) {
    store.enrol_account("acc", "acme", "ACME_EMAIL", config).await.unwrap()
}

async fn an_account_is_signed_in_to_by_one_server_and_seldom(rig: &Rig) {
    let store = rig.open().await;
    let (row, is_new) = enrolled(&store, "c").await;
    assert_eq!((row.serial, row.token, row.parked, is_new), (0, None, None, true));
    assert!(!enrolled(&store, "c").await.1, "it is known now");
    let asked = (0..8).map(|_| store.seek_sign_in("acc", LIMITS));
    let turns: Vec<Turn> = futures_util::future::join_all(asked).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(turns.iter().filter(|turn| **turn == Turn::Granted).count(), 1, "{turns:?}");
    assert!(turns.iter().any(|turn| matches!(turn, Turn::Elsewhere(wait) if *wait > LIMITS.lease / 2)), "{turns:?}");
    assert!(store.account("acc").await.unwrap().unwrap().is_signing_in);
    let row = store.keep_token("acc", "sealed").await.unwrap();
    assert_eq!((row.serial, row.token.as_deref(), row.is_signing_in), (1, Some("sealed"), false));
    let slow = SignInLimits { gap: Duration::from_secs(60), ..LIMITS };
    let turn = store.seek_sign_in("acc", slow).await.unwrap();
    assert!(matches!(turn, Turn::Later(wait) if wait > Duration::from_secs(30)), "a minute apart: {turn:?}");
    let again = || async {
        let turn = store.seek_sign_in("acc", LIMITS).await.unwrap();
        (turn == Turn::Granted).then_some(())
    };
    for is_used in [true, false, false, true] {
        pixel_testkit::wait::until("the gap has passed", Duration::from_secs(5), again).await;
        let row = match is_used {
            true => store.release_account("acc").await.unwrap(),
            false => store.return_sign_in("acc").await.unwrap(),
        };
        assert!(!row.is_signing_in);
        let turn = store.seek_sign_in("acc", slow).await.unwrap();
        assert!(matches!(turn, Turn::Later(_)), "a minute apart, used or not: {turn:?}");
    }
    let fresh = SignInLimits { gap: Duration::ZERO, ..LIMITS };
    let turn = store.seek_sign_in("acc", fresh).await.unwrap();
    assert!(matches!(turn, Turn::Later(wait) if wait <= Duration::from_secs(86_400)), "three a day: {turn:?}");
}

async fn a_parked_account_is_lifted_by_a_new_token_or_other_settings(rig: &Rig) {
    let store = rig.open().await;
    enrolled(&store, "c").await;
    let row = store.keep_token("acc", "one").await.unwrap();
    let parked = store.park_account("acc", row.serial, "evicted", "Somebody else signed in.").await.unwrap();
    assert_eq!(parked.parked.as_deref(), Some("evicted"));
    assert_eq!(enrolled(&store, "c").await.0.parked.as_deref(), Some("evicted"), "a restart alone changes nothing");
    let seen = look_at_accounts(&rig.options).await.unwrap();
    assert_eq!(seen.iter().map(|row| row.message.as_deref()).collect::<Vec<_>>(), [Some("Somebody else signed in.")]);
    let (row, is_other) = enrolled(&store, "d").await;
    assert_eq!((row.parked, row.token.as_deref(), is_other), (None, Some("one"), true));
    let newer = store.keep_token("acc", "two").await.unwrap();
    let parked = store.park_account("acc", row.serial, "evicted", "late").await.unwrap();
    assert_eq!((parked.parked, parked.serial), (None, newer.serial), "what is said of an older token");
    store.park_account("acc", newer.serial, "edge", "closed").await.unwrap();
    assert_eq!(store.lift_account("acc").await.unwrap().parked, None);
}

async fn a_task_moves_to_another_vendor_in_one_write(rig: &Rig) {
    let store = rig.open().await;
    let request = Checked::plain(Kind::Image, ModelId::parse("best/paint").unwrap(), "a cat");
    let next = Candidate {
        vendor: "best".to_owned(),
        model: "best/paint".to_owned(),
        request: request.clone(),
        slots: vec![1, 1],
        warnings: Vec::new(),
        cost: None,
    };
    let on = vec![ErrorKind::RateLimited, ErrorKind::VendorRefused];
    let fallback = Fallback { on, next: [next].into(), ..Fallback::default() };
    let aliased = NewTask {
        model: "pixel/any".to_owned(),
        served_by: Some("acme/paint".to_owned()),
        fallback: Some(fallback.clone()),
        ..task(1, None)
    };
    let id = aliased.id.clone();
    store.create(aliased).await.unwrap();
    store.create(task(2, None)).await.unwrap();
    assert!(store.claim_movable("acme", "vendor_auth").await.unwrap().is_empty(), "it does not lead on");
    assert!(store.claim_movable("best", "rate_limited").await.unwrap().is_empty(), "a queue belongs to its vendor");
    let [claimed] = &store.claim_movable("acme", "rate_limited").await.unwrap()[..] else { panic!("one can move") };
    assert_eq!((claimed.model.as_str(), claimed.fallback.as_ref()), ("acme/paint", Some(&fallback)));
    let moved = Moved {
        vendor: "best".to_owned(),
        model: "best/paint".to_owned(),
        rank: 9,
        request: request.clone(),
        work: Work::planned(&[1, 1]),
        fallback: Fallback { passed: 1, next: Default::default(), ..fallback },
    };
    let stale = Lease { fence: claimed.lease.fence - 1, ..claimed.lease.clone() };
    let then = || Then::Move(Box::new(moved.clone()));
    assert_eq!(store.save(&save(&stale, then())).await.unwrap(), Saved::Fenced);
    let face = Face { served_by: Some("best/paint".to_owned()), ..face(Status::Pending) };
    let write = Save { face: Some(face), ..save(&claimed.lease, then()) };
    assert_eq!(store.save(&write).await.unwrap(), Saved::Done);
    assert_eq!(store.save(&save(&claimed.lease, Then::End)).await.unwrap(), Saved::Fenced, "its holder let go of it");
    let row = store.task(&id).await.unwrap().unwrap();
    assert_eq!((row.model.as_str(), row.served_by.as_deref()), ("pixel/any", Some("best/paint")));
    assert_eq!((row.status, row.started_at), (Status::Pending, None), "nobody has begun it");
    assert!(store.claim_movable("best", "rate_limited").await.unwrap().is_empty(), "nobody comes next");
    let [there] = &taken(&store, "best", 9).await[..] else { panic!("it queues at the other vendor") };
    assert_eq!((&there.lease.task, there.model.as_str(), there.rank), (&id, "best/paint", 9));
    assert_eq!((&there.request, &there.work), (&request, &moved.work));
    assert_eq!(there.fallback.as_ref().map(|fallback| fallback.passed), Some(1));
    assert_eq!(taken(&store, "acme", 9).await.len(), 1, "the other task stayed");
}
