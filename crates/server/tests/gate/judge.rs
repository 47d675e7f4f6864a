//! The invariants, each with its name, judged from outside after a run.
//!
//! - I1 every id ever answered with 2xx can be read, and no request became two tasks
//! - I2 a task's accepted submissions are at most those that it was allowed
//! - I3 the tasks' costs are what the vendor's ledger says, and nothing was paid for without a task
//! - I4 every task ends, or is held with a reason that the run explains
//! - I5 what has ended does not change, over a restart either
//! - I6 every stored object is what its name says, and every result is served as it was described
//! - I7 no temporary file stays
//! - I9 (in the runs with frozen servers) a server that lost its lease writes nothing
//! - I10 no secret in logs, answers or the database
//! - I11 (in the run of its own) memory, files and sockets are given back
//!
//! I8 is about events to subscribers, which do not exist yet.

use crate::{load::Asked, tally::Tally, witness, world::World};
use pixel_testkit::{Client, Rig, Server, client::is_terminal, media};
use serde_json::Value;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How long a task may take after the last fault.
const REST_LIMIT: Duration = Duration::from_secs(60);
/// How long the sweep may take: the age at which it takes files, and one more round.
const SWEEP_LIMIT: Duration = Duration::from_secs(20);

/// Every task at rest, by its mark.
pub type Rested = HashMap<String, Value>;

/// Waits until everything rests, and judges it. All servers must run.
pub async fn judge(rig: &Rig, world: &World, servers: &[Server], asked: &[Asked], tally: &Tally) -> Rested {
    let client = servers.first().expect("a world has a server").client();
    let rested = rest(&client, asked, tally).await;
    readable(&client, asked, tally).await;
    payments(world, asked, &rested, tally);
    costs(world, &client, asked, &rested, tally).await;
    ends(asked, &rested, tally);
    results(world, &client, &rested, tally).await;
    no_leftovers(world, tally).await;
    let places = witness::secrets(rig, world, servers, &rested).await;
    tally.checked("I10", places);
    assert_eq!(world.vendors.violations(), Vec::<String>::new(), "the vendors complain");
    rested
}

/// I4, the first half: nothing moves for ever.
pub async fn rest(client: &Client, asked: &[Asked], tally: &Tally) -> Rested {
    let end = Instant::now() + REST_LIMIT;
    loop {
        let tasks = witness::tasks(client).await;
        let moving: Vec<&Value> = tasks.values().filter(|task| !rests(task)).collect();
        if moving.is_empty() {
            tally.checked("I4", tasks.len());
            let known = |mark: &String| asked.iter().any(|one| one.mark == *mark);
            return tasks.into_iter().filter(|(mark, _)| known(mark)).collect();
        }
        assert!(Instant::now() < end, "I4: {} tasks still move after {REST_LIMIT:?}: {:#}", moving.len(), moving[0]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether nothing but a person moves it any more.
pub fn rests(task: &Value) -> bool {
    is_terminal(task) || task["attention"].is_object()
}

async fn readable(client: &Client, asked: &[Asked], tally: &Tally) {
    for Asked { mark, id, .. } in asked {
        let Some(id) = id else { continue };
        let answer = client.get(&format!("/api/v1/tasks/{id}")).await;
        assert_eq!(answer.status, 200, "I1: {id} ({mark}) was acknowledged and is gone: {}", answer.text());
        tally.checked("I1", 1);
    }
}

fn payments(world: &World, asked: &[Asked], rested: &Rested, tally: &Tally) {
    let mut in_all = 0;
    for Asked { mark, allowed, id, .. } in asked {
        let accepted = world.vendors.accepted(mark);
        in_all += accepted;
        assert!(
            accepted <= *allowed,
            "I2: {mark} (task {id:?}) was paid {accepted} times of {allowed} allowed: {:#}",
            rested.get(mark).unwrap_or(&Value::Null)
        );
        tally.checked("I2", 1);
        assert!(accepted == 0 || rested.contains_key(mark), "I3: {mark} was paid for, and no task stands for it");
    }
    assert_eq!(in_all, world.vendors.accepted_in_all(), "I3: somebody was paid whom nobody asked for");
}

/// I3: what the tasks say that they cost is what the vendor would charge. A hold is left out: nobody
/// knows yet, which is what it says; and so is what a person decided about one.
async fn costs(world: &World, client: &Client, asked: &[Asked], rested: &Rested, tally: &Tally) {
    let prices = witness::prices(client).await;
    let (mut ours, mut theirs) = (0, 0);
    for Asked { mark, model, decided, .. } in asked {
        let (Some(task), Some(price)) = (rested.get(mark), prices.get(model.id)) else { continue };
        if !is_terminal(task) || *decided {
            continue;
        }
        let charged = world.vendors.charged(mark) * price;
        let settled = task["cost"]["final_micros"].as_u64();
        assert_eq!(settled, Some(charged), "I3: {mark} is charged {charged} micros by the vendor: {task:#}");
        ours += settled.unwrap_or_default();
        theirs += charged;
        tally.checked("I3", 1);
    }
    assert_eq!(ours, theirs, "I3: the sums differ");
    tally.add("micros_charged", usize::try_from(theirs).unwrap_or(usize::MAX));
}

/// I4, the second half: what is held or has failed is explained by the run.
fn ends(asked: &[Asked], rested: &Rested, tally: &Tally) {
    for Asked { mark, id, may_hold, may_fail, decided, .. } in asked {
        tally.add("asked", 1);
        tally.add("acknowledged", usize::from(id.is_some()));
        let Some(task) = rested.get(mark) else { continue };
        let word = if is_terminal(task) { task["status"].as_str().unwrap_or_default() } else { "held" };
        tally.add(word, 1);
        match word {
            "held" => {
                let reason = task["attention"]["reason"].as_str().unwrap_or_default();
                assert!(!reason.is_empty(), "I4: held without a reason: {task:#}");
                assert!(*may_hold, "I4: nothing in this run explains the hold of {mark}: {task:#}");
            }
            "failed" => {
                assert!(*may_fail || *decided, "I4: nothing in this run explains the failure of {mark}: {task:#}");
            }
            _ => {}
        }
    }
}

async fn results(world: &World, client: &Client, rested: &Rested, tally: &Tally) {
    for task in rested.values().filter(|task| task["status"] == "completed") {
        let images = task["result"]["images"].as_array().expect("a completed task has results");
        assert!(!images.is_empty(), "I6: completed without a result: {task:#}");
        for image in images {
            let path = path_of(image["url"].as_str().expect("an address"));
            let file = client.get(&path).await;
            let hash = image["sha256"].as_str().expect("a hash");
            assert_eq!((file.status, media::sha256_hex(&file.bytes).as_str()), (200, hash), "I6: {path} of {task:#}");
            tally.checked("I6", 1);
        }
    }
    let objects = media::check_objects(&world.blobs.join("blobs"));
    tally.checked("I6", objects);
}

/// The path of an address of ours: the port changes from life to life.
fn path_of(url: &str) -> String {
    match url.split_once("://") {
        Some((_, rest)) => format!("/{}", rest.split_once('/').map_or("", |(_, path)| path)),
        None => url.to_owned(),
    }
}

/// I7: the sweep of the running servers leaves nothing.
async fn no_leftovers(world: &World, tally: &Tally) {
    let end = Instant::now() + SWEEP_LIMIT;
    loop {
        let staged = witness::staged(&world.blobs);
        if staged.is_empty() {
            return tally.checked("I7", 1);
        }
        assert!(Instant::now() < end, "I7: temporary files stay although everything rests: {staged:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// I5: what had ended is the same word for word; what is held is held.
pub async fn unchanged(client: &Client, before: &Rested, invariant: &'static str, tally: &Tally) {
    let now = witness::tasks(client).await;
    for (mark, old) in before {
        let Some(new) = now.get(mark) else { panic!("{invariant}: {mark} is gone: {old:#}") };
        let same = match is_terminal(old) {
            true => stripped(old) == stripped(new),
            false => old["attention"] == new["attention"],
        };
        assert!(same, "{invariant}: {mark} changed after it had come to rest: {old:#}\nand now: {new:#}");
        tally.checked(invariant, 1);
    }
}

/// The answer without the addresses, which name the server that gives it.
fn stripped(task: &Value) -> Value {
    match task {
        Value::String(text) => Value::String(path_of(text)),
        Value::Array(items) => items.iter().map(stripped).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), stripped(value))).collect(),
        other => other.clone(),
    }
}
