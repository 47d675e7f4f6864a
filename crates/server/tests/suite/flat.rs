//! Memory stays flat while large results arrive, however many at once.

use crate::support::{picture, with};
use pixel_testkit::{Rig, Script, Stub, on_sqlite, wait};
use serde_json::json;
use std::time::Duration;

on_sqlite!(large_results_in_answers_take_no_room, large_results_behind_links_take_no_room);

const RESULTS: usize = 24;
const BYTES: usize = 30 << 20;
const LIMIT: Duration = Duration::from_secs(300);
/// All results weigh 720 MiB. What may be held of them: a mebibyte of each transfer for both ends of
/// its pipe, the pixels that are decoded at the same time, and what the allocator keeps for a while.
const MORE_MIB: u64 = RESULTS as u64 + 64 + 40;

async fn large_results_in_answers_take_no_room(rig: Rig) {
    take("openai/gpt-image-2", &rig).await;
}

async fn large_results_behind_links_take_no_room(rig: Rig) {
    take("dashscope/qwen-image", &rig).await;
}

async fn take(model: &str, rig: &Rig) {
    let stub = Stub::start();
    stub.by_default(Script::default().bytes(BYTES).latency(Duration::from_secs(3)));
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    client.make("image", &with(picture("sandbox/painter", "warm"), &json!({ "resolution": "64x64" })), LIMIT).await;
    let empty = server.memory_peak_mib();
    let mut ids = Vec::new();
    for at in 0..RESULTS {
        ids.push(client.create("image", &picture(model, &format!("number {at}"))).await);
    }
    let all = || async { (stub.accepted_in_all() == RESULTS as u64).then_some(()) };
    wait::until("submission of every task", LIMIT, all).await;
    for id in &ids {
        let task = client.end_of(id, LIMIT).await;
        let made = &task["result"]["images"][0];
        assert!(made["bytes"].as_u64().is_some_and(|bytes| bytes >= BYTES as u64), "{task:#}");
        assert_ne!(made["thumbnail_url"], made["url"], "the picture was not decoded");
    }
    let (full, most) = (server.memory_peak_mib(), empty + MORE_MIB);
    eprintln!("{model}: {empty} MiB before, {full} MiB at the most, {most} MiB allowed");
    assert!(full <= most, "{RESULTS} results of 30 MiB took the server from {empty} to {full} MiB");
}
