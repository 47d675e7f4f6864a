//! Retention: what ended long ago leaves a short row, and nothing that is needed goes with it.

use crate::support::{SOON, picture, refusal, warned, with};
use pixel_testkit::{Client, Rig, Script, Stub, client, on_both, stub, stub::Submit, wait};
use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration};

on_both!(
    a_short_row_stays,
    a_live_tasks_inputs_outlive_the_task_they_came_from,
    kills_in_the_middle_lose_no_named_file,
);

/// Three seconds, in days.
const KEEP: &str = "0.0000347223";
const KEEP_TIME: Duration = Duration::from_secs(3);

/// Files below a folder.
fn files(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path()),
            _ => 1,
        })
        .sum()
}

fn url(task: &Value) -> String {
    task["result"]["images"][0]["url"].as_str().expect("an address").to_owned()
}

fn tiny(prompt: &str) -> Value {
    with(picture("sandbox/painter", prompt), &json!({ "resolution": "64x64" }))
}

/// Waits until the task's media and details are removed.
async fn removed(client: &Client, id: &str) -> Value {
    let look = || async {
        let task = client.task(id).await;
        warned(&task).contains(&"result".to_owned()).then_some(task)
    };
    wait::until("removal of a task's media", SOON, look).await
}

async fn a_short_row_stays(rig: Rig) {
    let (stub, mark, bad) = (Stub::start(), stub::marker(), stub::marker());
    stub.script(&bad, Script::submits([Submit::BadParameter]));
    let server = rig.server().vendors(&stub).env("PIXEL_RETENTION_DAYS", KEEP).start().await;
    let client = server.client();
    let filed = json!({ "projectId": "p1", "n": 2 });
    let task = client.make("image", &with(picture("openai/gpt-image-2", &mark), &filed), SOON).await;
    let address = url(&task);
    assert_eq!(client.get(&address).await.status, 200, "it is there as long as it is kept");
    let failed = client.create("image", &picture("openai/gpt-image-2", &bad)).await;
    let failed = client.end_of(&failed, SOON).await;

    let short = removed(&client, task["id"].as_str().expect("an id")).await;
    assert!(short["result"].is_null() && short["params"] == json!({}), "{short:#}");
    for field in ["id", "type", "status", "model", "project_id", "created_at", "started_at", "completed_at", "cost"] {
        assert_eq!(short[field], task[field], "{field}");
    }
    let sentence = short["warnings"][0]["message"].as_str().expect("a sentence");
    assert!(sentence.contains("removed 3 seconds after it ended"), "{sentence}");
    let gone = refusal(&client.get(&address).await, 410);
    assert!(gone.contains("was removed"), "{gone}");
    let again = client.post(crate::support::IMAGE, &with(tiny("again"), &json!({ "imageInputs": [address] }))).await;
    assert!(refusal(&again, 400).contains("imageInputs[0]"));

    let short = removed(&client, failed["id"].as_str().expect("an id")).await;
    assert_eq!((&short["status"], &short["error"]), (&json!("failed"), &failed["error"]));
    let listed = client.get("/api/v1/tasks?projectId=p1").await.data();
    assert_eq!(listed["items"][0]["id"], task["id"]);
    wait::until("empty folder", SOON, || async { (files(&server.data().join("blobs")) == 0).then_some(()) }).await;
}

async fn a_live_tasks_inputs_outlive_the_task_they_came_from(rig: Rig) {
    let (stub, mark) = (Stub::start(), stub::marker());
    // Refused for longer than the other task is kept; then the inputs are sent once more.
    stub.script(&mark, Script::submits([Submit::RateLimited(Some("8"))]));
    let server = rig.server().vendors(&stub).env("PIXEL_RETENTION_DAYS", KEEP).start().await;
    let client = server.client();
    let source = client.make("image", &tiny("the source"), SOON).await;
    let id = source["id"].as_str().expect("an id");
    let asked = with(picture("openai/gpt-image-2", &mark), &json!({ "imageInputs": [url(&source)] }));
    let live = client.create("image", &asked).await;
    wait::until("refusal", SOON, || async { (stub.received(&mark) == 1).then_some(()) }).await;
    removed(&client, id).await;
    assert_eq!(client.get(&url(&source)).await.status, 410);
    assert_eq!(stub.received(&mark), 1, "the input is still needed");
    let task = client.end_of(&live, SOON).await;
    assert_eq!((&task["status"], stub.accepted(&mark)), (&json!("completed"), 1), "{task:#}");
    let bytes = source["result"]["images"][0]["bytes"].clone();
    let sent = &stub.submissions(&mark)[1].body["files"][0];
    assert_eq!(sent["bytes"], bytes, "the vendor got another file: {sent}");
    removed(&client, &live).await;
    wait::until("empty folder", SOON, || async { (files(&server.data().join("blobs")) == 0).then_some(()) }).await;
}

/// What a task says of its result is true at any moment: its file is there, or it says that it is
/// not. Equal pictures are made again and again, so that files are shared, removed and come back.
async fn kills_in_the_middle_lose_no_named_file(rig: Rig) {
    const LIVES: u32 = 6;
    let mut server = rig.server().env("PIXEL_RETENTION_DAYS", KEEP).env("PIXEL_LEASE_S", 1).start().await;
    let seeded = |at: usize| with(tiny("the same"), &json!({ "seed": at % 3 }));
    let mut ids = Vec::new();
    for life in 0..LIVES {
        let client = server.client();
        for at in 0..8 {
            ids.push(client.create("image", &seeded(at)).await);
        }
        for id in &ids {
            let task = client.end_of(id, SOON).await;
            if task["result"].is_object() {
                let status = client.get(&url(&task)).await.status;
                let now = client.task(id).await;
                assert!(status == 200 || now["result"].is_null(), "a named file is gone ({status}): {now:#}");
            }
        }
        // Somewhere in the sweep of what this life has made.
        tokio::time::sleep(KEEP_TIME / LIVES * life).await;
        server.kill9();
        server.restart().await;
    }
    let client = server.client();
    for id in &ids {
        assert!(client::is_terminal(&removed(&client, id).await));
    }
    wait::until("empty folder", SOON, || async { (files(&server.data().join("blobs")) == 0).then_some(()) }).await;
}
