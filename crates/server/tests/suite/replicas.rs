//! Several servers over one PostgreSQL.

use crate::support::{SOON, failure, picture, refusal, with};
use pixel_testkit::{Rig, Script, Stub, on_postgres, stub, wait};
use serde_json::json;
use std::time::{Duration, Instant};

on_postgres!(
    one_takes_over_what_another_left,
    a_sleeper_cannot_overwrite_its_successor,
    the_vendors_limit_is_shared,
    answers_are_the_same_everywhere,
    who_waits_elsewhere_hears_of_the_end,
    the_database_may_go_and_come_back,
);

fn small(model: &str, prompt: &str) -> serde_json::Value {
    with(picture(model, prompt), &json!({ "resolution": "64x64" }))
}

async fn one_takes_over_what_another_left(rig: Rig) {
    let stub = Stub::start();
    let mut first = rig.replica("first").vendors(&stub).env("PIXEL_LEASE_S", 3).start().await;
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let mark = stub::marker();
        stub.script(&mark, Script::default().polls(5));
        tasks.push((first.client().create("image", &picture("dashscope/qwen-image", &mark)).await, mark));
    }
    wait::until("submissions", SOON, || async { tasks.iter().all(|(_, mark)| stub.polls(mark) >= 1).then_some(()) })
        .await;
    let second = rig.replica("second").vendors(&stub).env("PIXEL_LEASE_S", 3).start().await;
    first.kill9();
    for (id, mark) in &tasks {
        let task = second.client().end_of(id, SOON).await;
        assert_eq!((&task["status"], stub.received(mark)), (&json!("completed"), 1), "{task:#}");
    }
}

async fn a_sleeper_cannot_overwrite_its_successor(rig: Rig) {
    let (stub, mark) = (Stub::start(), stub::marker());
    stub.by_default(Script::default().latency(Duration::from_millis(700)));
    let replica = |name: &str| rig.replica(name).vendors(&stub).env("PIXEL_LEASE_S", 3).start();
    let sleeper = replica("sleeper").await;
    let id = sleeper.client().create("image", &small("openai/gpt-image-2", &mark)).await;
    wait::until("submission", SOON, || async { (stub.accepted(&mark) == 1).then_some(()) }).await;
    sleeper.freeze();
    let successor = replica("successor").await;
    let client = successor.client();
    client.attention_of(&id, SOON).await;
    // The vendor's answer has long been waiting for the sleeper, who wants to write it down now.
    sleeper.thaw();
    sleeper.client().make("image", &small("openai/gpt-image-2", "afterwards"), SOON).await;
    let task = client.task(&id).await;
    assert!(
        task["status"] == "processing" && task["attention"].is_object(),
        "the sleeper wrote without its lease: {task:#}"
    );
    assert_eq!(stub.received(&mark), 1);
    client.resolve(&id, "lost").await;
    assert_eq!(failure(&client.end_of(&id, SOON).await), "submit_lost");
}

async fn the_vendors_limit_is_shared(rig: Rig) {
    let stub = Stub::start();
    stub.by_default(Script::default().latency(Duration::from_millis(150)));
    let replica = |name: &str| rig.replica(name).vendors(&stub).env("PIXEL_OPENAI_CONCURRENCY", 2).start();
    let (first, second) = (replica("first").await, replica("second").await);
    let mut ids = Vec::new();
    for at in 0..16 {
        let client = if at % 2 == 0 { first.client() } else { second.client() };
        ids.push(client.create("image", &small("openai/gpt-image-2", &stub::marker())).await);
    }
    for id in &ids {
        assert_eq!(first.client().end_of(id, SOON).await["status"], "completed");
    }
    assert_eq!(stub.accepted_in_all(), 16);
    assert!((1..=2).contains(&stub.most_at_once()), "{} submissions ran at once", stub.most_at_once());
}

async fn answers_are_the_same_everywhere(rig: Rig) {
    let (first, second) = (rig.replica("first").start().await, rig.replica("second").start().await);
    let task = first.client().make("image", &small("sandbox/painter", "a cat"), SOON).await;
    let other = second.client().task(task["id"].as_str().expect("an id")).await;
    assert_eq!(other["result"]["images"][0]["sha256"], task["result"]["images"][0]["sha256"]);
    let (path, hash) =
        (other["result"]["images"][0]["url"].as_str().expect("an address"), &task["result"]["images"][0]["sha256"]);
    assert_eq!(
        pixel_testkit::media::sha256_hex(&second.client().get(path).await.bytes),
        hash.as_str().expect("a hash")
    );
}

/// Looking at the row once a second would take half a second on the average.
async fn who_waits_elsewhere_hears_of_the_end(rig: Rig) {
    let stub = Stub::start();
    stub.by_default(Script::default().latency(Duration::from_millis(300)));
    let replica = |name: &str| rig.replica(name).vendors(&stub).start();
    let (first, second) = (replica("first").await, replica("second").await);
    let mut late = Vec::new();
    for _ in 0..9 {
        let id = first.client().create("image", &small("openai/gpt-image-2", &stub::marker())).await;
        let (here, there) = (first.client(), second.client());
        let ended = |client: pixel_testkit::Client, id: String| async move {
            let task = client.get(&format!("/api/v1/tasks/{id}?wait=30")).await.data();
            assert_eq!(task["status"], "completed", "{task:#}");
            Instant::now()
        };
        let (ended, heard) = tokio::join!(ended(here, id.clone()), ended(there, id));
        late.push(heard.saturating_duration_since(ended));
    }
    late.sort();
    assert!(late[late.len() / 2] < Duration::from_millis(250), "heard so much later: {late:?}");
}

async fn the_database_may_go_and_come_back(mut rig: Rig) {
    let stub = Stub::start();
    stub.by_default(Script::default().polls(3));
    let server = rig.server().vendors(&stub).env("PIXEL_LEASE_S", 3).start().await;
    let client = server.client();
    let mut tasks = Vec::new();
    for _ in 0..5 {
        let mark = stub::marker();
        tasks.push((client.create("image", &picture("dashscope/qwen-image", &mark)).await, mark));
    }
    let cluster = rig.cluster.as_mut().expect("a test on PostgreSQL has a cluster");
    cluster.kill9();
    let answer = client.post("/api/v1/generations/image", &picture("sandbox/painter", "nobody can keep this")).await;
    refusal(&answer, 503);
    assert!(!client.is_ready().await, "it says that it is ready");
    assert_eq!(client.get("/healthz").await.status, 200, "the process itself is well");
    cluster.restart();
    wait::until("recovery", Duration::from_secs(20), || async { client.is_ready().await.then_some(()) }).await;
    for (id, mark) in &tasks {
        assert_ne!(client.rest_of(id, SOON).await["status"], "failed");
        assert!(stub.received(mark) <= 1);
    }
    client.make("image", &small("sandbox/painter", "a cat"), SOON).await;
}
