//! Many tasks at the same time before vendors that misbehave by chance in every way and at every
//! stage: nothing is lost, paid twice or passed off as a result.

use crate::{judge::rests, tally::Tally, vendors::LAB, witness};
use futures_util::{StreamExt, stream};
use pixel_simulator::{Fault, Group, Script};
use pixel_testkit::{Client, Rig, Server, Stub, media, on_sqlite, stub, wait};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

on_sqlite!(mixed_faults_lose_and_repeat_nothing);

/// The share of submissions that a fault strikes.
const RATE: f64 = 0.3;
/// Tasks of one server's life.
const WORLD: usize = 1_000;
const AT_ONCE: usize = 16;
/// The deadline of a job, the vendor's slowest answers and the waits between tries, several times over.
const REST_LIMIT: Duration = Duration::from_secs(420);

/// These rest a vendor's whole lane for minutes; the matrix of faults has them.
const APART: [Fault; 4] = [Fault::Unauthorized, Fault::PaymentRequired, Fault::Forbidden, Fault::RateLimitTenYears];

fn kinds() -> Vec<Fault> {
    let is_here = |kind: &Fault| !matches!(kind.group(), Group::Before | Group::Account);
    let by_chance = |kind: &Fault| is_here(kind) && *kind != Fault::Goaway && !APART.contains(kind);
    Fault::ALL.iter().copied().filter(by_chance).collect()
}

async fn mixed_faults_lose_and_repeat_nothing(rig: Rig) {
    let tally = Tally::begin("mixed_faults");
    let all = tally.count(240);
    tally.add("kinds", kinds().len());
    let mut done = 0;
    while done < all {
        let count = WORLD.min(all - done);
        world(&rig, &tally, done, count).await;
        done += count;
        tally.progress(done, all);
    }
    assert!(tally.of("struck") * 10 > all as u64, "too few faults struck to prove anything");
}

async fn world(rig: &Rig, tally: &Tally, first: usize, count: usize) {
    let stub = Stub::start();
    stub.simulator().script(
        None,
        Script {
            seed: tally.rng(first as u64).u64(..),
            rate: RATE,
            kinds: kinds(),
            pace_ms: 200,
            polls: 2.into(),
            ..Script::default()
        },
    );
    let name = format!("mixed-{first}");
    let data = rig.folder().join(&name).join("data");
    let launch = rig.replica(&name).data(&data).lab(&stub).env("PIXEL_LEASE_S", 5).env("PIXEL_LOG", "warn");
    let server = launch.start().await;
    let client = server.client();
    let create = |at: usize| {
        let (client, class) = (client.clone(), LAB[at % LAB.len()].id);
        async move {
            let mark = stub::marker();
            let body = json!({ "model": class, "prompt": mark });
            (mark, class, client.create("image", &body).await)
        }
    };
    let asked: Vec<_> = stream::iter(0..count).map(create).buffer_unordered(AT_ONCE).collect().await;
    let tasks = rest(&client).await;
    for (mark, class, id) in &asked {
        let task = tasks.get(mark).unwrap_or_else(|| panic!("I1: {id} ({mark}) is gone"));
        check(&client, &stub, mark, class, task, tally).await;
    }
    let paid = usize::try_from(stub.accepted_in_all()).expect("a number");
    let ours: usize = asked.iter().map(|(mark, ..)| stub.accepted(mark)).sum();
    assert_eq!(paid, ours, "I3: somebody was paid whom nobody asked for");
    assert_eq!(stub.violations(), Vec::<String>::new(), "the vendor complains");
    tally.checked("I6", media::check_objects(&data.join("blobs")));
    no_panic(&server);
}

async fn rest(client: &Client) -> std::collections::HashMap<String, Value> {
    wait::until("rest of every task", REST_LIMIT, || async {
        let tasks = witness::tasks(client).await;
        tasks.values().all(rests).then_some(tasks)
    })
    .await
}

async fn check(client: &Client, stub: &Stub, mark: &str, class: &str, task: &Value, tally: &Tally) {
    let counts = stub.simulator().counts(Some(mark), None);
    tally.add("struck", usize::from(counts.struck > 0));
    tally.add("acknowledged", 1);
    assert!(counts.accepted <= 1, "I2: {mark} was paid {} times: {task:#}", counts.accepted);
    tally.checked("I1", 1);
    tally.checked("I2", 1);
    tally.checked("I4", 1);
    match task["status"].as_str() {
        Some("completed") => {
            tally.add("completed", 1);
            assert_eq!(counts.accepted, 1, "I3: {mark} is complete and was not paid for: {task:#}");
            result(client, stub, mark, task, tally).await;
        }
        Some("failed") => {
            tally.add("failed", 1);
            assert!(counts.struck > 0, "I4: nothing explains the failure of {mark}: {task:#}");
        }
        _ => {
            tally.add("held", 1);
            assert!(
                class == "lab/plain" && is_explained(stub, mark),
                "I4: nothing explains the hold of {mark} ({counts:?}): {task:#}"
            );
        }
    }
}

/// A hold needs a last submission that was struck so that nobody can tell what became of it, and
/// none before it but clear refusals: after an unclear one nothing is sent again.
fn is_explained(stub: &Stub, mark: &str) -> bool {
    let submissions = stub.simulator().submissions(mark);
    let Some((last, before)) = submissions.split_last() else { return false };
    let is_refusal = |fault: Fault| fault.group() == Group::Refusal;
    last.fault.is_some_and(Fault::is_unclear) && before.iter().all(|one| one.fault.is_some_and(is_refusal))
}

/// The result is what this task paid for, whole, and costs what the ledger says.
async fn result(client: &Client, stub: &Stub, mark: &str, task: &Value, tally: &Tally) {
    let entry = stub.simulator().entries(Some(mark), None).pop().expect("it was accepted");
    let made: BTreeMap<String, u32> =
        (0..entry.outputs).map(|at| (media::sha256_hex(&stub.simulator().file(&entry, at)), at)).collect();
    let images = task["result"]["images"].as_array().expect("a completed task has results");
    assert!(!images.is_empty(), "I6: completed without a result: {task:#}");
    for image in images {
        let bytes = client.get(image["url"].as_str().expect("a link")).await.bytes;
        let hash = media::sha256_hex(&bytes);
        assert_eq!(image["sha256"], hash, "I6: {mark}");
        assert!(made.contains_key(&hash), "P4: {mark} is complete with something else: {task:#}");
        tally.checked("I6", 1);
    }
    let price = 1_000 * images.len() as u64;
    assert_eq!(task["cost"]["final_micros"].as_u64(), Some(price), "I3: {task:#}");
    tally.checked("I3", 1);
}

fn no_panic(server: &Server) {
    let log = server.logs();
    assert!(!log.contains("panicked"), "the server panicked: {log}");
}
