//! The store's promises about clips that apps know by a number, on SQLite and on PostgreSQL.

mod common;

use common::{new_task, on_both};
use pixel_core::request::Kind;
use pixel_store::*;
use pixel_testkit::postgres::Cluster;
use std::time::Duration;

const DAY_US: i64 = 86_400_000_000;

struct Rig {
    folder: tempfile::TempDir,
    database_url: Option<String>,
    _cluster: Option<Cluster>,
}

impl Rig {
    fn new(on_postgres: bool) -> Self {
        let cluster = on_postgres.then(Cluster::start);
        let database_url = cluster.as_ref().map(Cluster::database);
        Self { folder: tempfile::tempdir().unwrap(), database_url, _cluster: cluster }
    }

    async fn open(&self) -> Store {
        let (data, database_url) = (self.folder.path().to_owned(), self.database_url.clone());
        let options = Options { data, database_url, pool_size: 4, lease: Duration::from_secs(3) };
        Store::open(&options).await.unwrap()
    }
}

on_both!(
    a_number_leads_to_its_task,
    a_number_is_given_once,
    a_caller_is_limited_and_others_are_not,
    a_repeat_is_not_judged_twice,
    sums_are_kept_by_app_user_day_and_model,
    who_only_polls_is_summed_up_as_well,
    two_replicas_count_polls_of_the_same_users,
);

fn clip(app: &str, caller: &str, per_min: u32) -> NewClip {
    let (app, caller) = (app.to_owned(), caller.to_owned());
    NewClip { number: new_clip_number(), app, caller, method: "text2video", per_min }
}

fn task(model: &str, clip: NewClip) -> NewTask {
    NewTask { model: model.to_owned(), clip: Some(clip), ..new_task(Kind::Video, "acme/clip", "a kite") }
}

async fn a_number_leads_to_its_task(rig: &Rig) {
    let store = rig.open().await;
    let new = task("acme/clip", clip("app", "user", 0));
    let number = new.clip.as_ref().unwrap().number;
    assert!((1 << 52..1 << 53).contains(&number), "{number}");
    store.create(new.clone()).await.unwrap();
    store.close().await;
    drop(store);
    let store = rig.open().await;
    assert_eq!(store.clip(number).await.unwrap().unwrap().id, new.id);
    assert!(store.clip(number ^ 1).await.unwrap().is_none());
}

/// The task of a refused number is not there either: both are one write.
async fn a_number_is_given_once(rig: &Rig) {
    let store = rig.open().await;
    let first = task("acme/clip", clip("app", "user", 0));
    store.create(first.clone()).await.unwrap();
    let second = NewTask { id: new_task_id(), ..first.clone() };
    let other = task("acme/clip", clip("app", "user", 0));
    let (refused, taken) = tokio::join!(store.create(second.clone()), store.create(other.clone()));
    assert!(matches!(refused.unwrap_err(), StoreError::Taken));
    taken.unwrap();
    assert!(store.task(&second.id).await.unwrap().is_none(), "a task without its number");
    assert!(store.task(&other.id).await.unwrap().is_some(), "a neighbour in the same batch");
    assert_eq!(store.clip(first.clip.unwrap().number).await.unwrap().unwrap().id, first.id);
}

async fn a_caller_is_limited_and_others_are_not(rig: &Rig) {
    let store = rig.open().await;
    // Two servers on one database count together.
    let second = if rig.database_url.is_some() { rig.open().await } else { store.clone() };
    let creates = (0..24).map(|at| {
        let to = if at % 2 == 0 { &store } else { &second };
        to.create(task("acme/clip", clip("app", "user", 10)))
    });
    let results = futures_util::future::join_all(creates).await;
    let waits: Vec<Duration> = results
        .into_iter()
        .filter_map(|result| match result {
            Ok(_) => None,
            Err(StoreError::Limited(wait)) => Some(wait),
            Err(other) => panic!("{other}"),
        })
        .collect();
    assert_eq!(waits.len(), 14, "{waits:?}");
    let minute = Duration::from_secs(60);
    assert!(waits.iter().all(|wait| *wait > Duration::from_secs(30) && *wait <= minute), "{waits:?}");
    assert!(store.clip_wait(&clip("app", "user", 10)).await.unwrap().is_some_and(|wait| wait <= minute));
    assert_eq!(store.clip_wait(&clip("app", "user", 11)).await.unwrap(), None);
    for other in [clip("app", "other", 1), clip("other", "user", 1), clip("app", "user", 0), clip("app", "user", 12)] {
        store.create(task("acme/clip", other)).await.unwrap();
    }
}

async fn a_repeat_is_not_judged_twice(rig: &Rig) {
    let store = rig.open().await;
    let new = task("acme/clip", clip("app", "user", 1));
    store.create(new.clone()).await.unwrap();
    // The answer to a commit was lost, and it is asked again.
    store.create(new.clone()).await.unwrap();
    assert!(matches!(store.create(task("acme/clip", clip("app", "user", 1))).await, Err(StoreError::Limited(_))));
    assert_eq!(usage(&store, UsageBy::App, None).await[0].requests, 1);
}

async fn usage(store: &Store, by: UsageBy, after: Option<&str>) -> Vec<Usage> {
    let (from_day, to_day) = (0, i64::from(u16::MAX));
    store.usage(&UsageFilter { by, from_day, to_day, after: after.map(str::to_owned), limit: 2 }).await.unwrap()
}

fn row(key: &str, requests: i64, polls: i64) -> Usage {
    Usage { key: key.to_owned(), requests, completed: 0, failed: 0, polls }
}

async fn sums_are_kept_by_app_user_day_and_model(rig: &Rig) {
    let store = rig.open().await;
    let before = now().0 / DAY_US;
    for (model, app, user) in [
        ("acme/a", "app1", "u1"),
        ("acme/a", "app1", "u2"),
        ("acme/b", "app2", "u1"),
        ("acme/a", "app3", "u3"),
        ("acme/a", "app3", "u3"),
    ] {
        store.create(task(model, clip(app, user, 0))).await.unwrap();
    }
    let poll = |app: &str, caller: &str, polls| {
        let (app, caller) = (app.to_owned(), caller.to_owned());
        PollCount { day: before, app, caller, polls }
    };
    store.add_polls(vec![poll("app1", "u1", 3), poll("app2", "u1", 4)]).await.unwrap();
    store.add_polls(vec![poll("app1", "u1", 2)]).await.unwrap();
    assert_eq!(usage(&store, UsageBy::App, None).await, [row("app1", 2, 5), row("app2", 1, 4)]);
    assert_eq!(usage(&store, UsageBy::App, Some("app2")).await, [row("app3", 2, 0)]);
    assert_eq!(usage(&store, UsageBy::User, None).await, [row("u1", 2, 9), row("u2", 1, 0)]);
    assert_eq!(usage(&store, UsageBy::Model, None).await, [row("acme/a", 4, 0), row("acme/b", 1, 0)]);
    let days = usage(&store, UsageBy::Day, None).await;
    // Midnight may come in between.
    assert_eq!(days.iter().map(|day| day.requests).sum::<i64>(), 5, "{days:?}");
    assert_eq!(days.first().map(|day| day.key.clone()), Some(before.to_string()));
    assert_eq!(usage(&store, UsageBy::Day, Some(&(before + 1).to_string())).await, []);
    let none = UsageFilter { by: UsageBy::App, from_day: 0, to_day: before, after: None, limit: 10 };
    assert_eq!(store.usage(&none).await.unwrap(), [], "today is not part of it");
}

/// A clip of yesterday is asked after today.
async fn who_only_polls_is_summed_up_as_well(rig: &Rig) {
    let store = rig.open().await;
    let today = now().0 / DAY_US;
    let poll = |day, app: &str, caller: &str, polls| {
        let (app, caller) = (app.to_owned(), caller.to_owned());
        PollCount { day, app, caller, polls }
    };
    store
        .add_polls(vec![
            poll(today - 1, "asks", "u1", 2),
            poll(today, "asks", "u1", 3),
            poll(today, "makes", "u2", 4),
            poll(today, "", "", 1),
        ])
        .await
        .unwrap();
    store.create(task("acme/a", clip("makes", "u2", 0))).await.unwrap();
    assert_eq!(usage(&store, UsageBy::App, None).await, [row("", 0, 1), row("asks", 0, 5)]);
    assert_eq!(usage(&store, UsageBy::App, Some("asks")).await, [row("makes", 1, 4)]);
    assert_eq!(usage(&store, UsageBy::User, Some("")).await, [row("u1", 0, 5), row("u2", 1, 4)]);
    assert_eq!(usage(&store, UsageBy::Day, None).await[0], row(&(today - 1).to_string(), 0, 2));
    assert_eq!(usage(&store, UsageBy::Day, Some(&(today - 1).to_string())).await[0].polls, 8);
    assert_eq!(usage(&store, UsageBy::Model, None).await, [row("acme/a", 1, 0)]);
    let before = UsageFilter { by: UsageBy::User, from_day: 0, to_day: today, after: None, limit: 10 };
    assert_eq!(store.usage(&before).await.unwrap(), [row("u1", 0, 2)], "today is not part of it");
}

/// Each has its rows in an order of its own.
async fn two_replicas_count_polls_of_the_same_users(rig: &Rig) {
    const ROUNDS: i64 = 20;
    let one = rig.open().await;
    let two = if rig.database_url.is_some() { rig.open().await } else { one.clone() };
    let poll = |at: i64| PollCount { day: 1, app: "app".to_owned(), caller: format!("u{at:04}"), polls: 1 };
    let up: Vec<PollCount> = (0..1_000).map(poll).collect();
    let down: Vec<PollCount> = up.iter().rev().cloned().collect();
    for _ in 0..ROUNDS {
        let (first, second) = tokio::join!(one.add_polls(up.clone()), two.add_polls(down.clone()));
        first.unwrap();
        second.unwrap();
    }
    assert_eq!(usage(&one, UsageBy::App, None).await, [row("app", 0, 2 * ROUNDS * 1_000)]);
}
