//! Numbers outlive everything: restarts, kills, thousands of newer ones, retention.

use super::{
    ask, launch,
    raw::{WHO, form, get, send},
    standing, stands,
};
use crate::support::SOON;
use futures_util::{StreamExt, stream};
use pixel_testkit::{Client, Method, Rig, Script, Stub, on_both, stub, wait};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

on_both!(
    a_restart_in_the_middle_of_200_loses_none,
    an_old_number_outlives_5000_newer_ones,
    two_hundred_are_polled_and_none_is_wrong,
    retention_leaves_the_word_deleted,
    a_task_and_its_number_are_one_write,
);

const VIDEOS: usize = 200;
const LIMIT: Duration = Duration::from_secs(240);

fn path(number: i64) -> String {
    format!("/get_status?video_id={number}&{WHO}")
}

async fn create(client: &Client, user: usize) -> Option<i64> {
    let body = format!("prompt=a+kite&app_bundle_id=com.a&apphud_user_id=u{user}").into_bytes();
    let answer = client.try_send(Method::POST, "/text2video", &[], Some(body)).await.ok()?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["video_id"].as_i64()
}

/// Creates so many; those whose answer arrived.
async fn create_many(client: &Client, count: usize) -> Vec<i64> {
    let numbers = stream::iter(0..count).map(|at| create(client, at)).buffer_unordered(16);
    numbers.filter_map(|number| async move { number }).collect().await
}

async fn state(client: &Client, number: i64) -> Value {
    let answer = client.get(&path(number)).await;
    assert_eq!(answer.status, 200, "{number}: {}", answer.text());
    let body = answer.json();
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{body}");
    body
}

async fn all_ended(client: &Client, numbers: &[i64]) -> Vec<Value> {
    let ends = stream::iter(numbers).map(|number| async move {
        let look = || async {
            let body = state(client, *number).await;
            (body["status"] != "Generating").then_some(body)
        };
        wait::until("the end of a clip", LIMIT, look).await
    });
    ends.buffer_unordered(16).collect().await
}

async fn a_restart_in_the_middle_of_200_loses_none(rig: Rig) {
    let stub = Stub::start();
    stub.by_default(Script::default().polls(3));
    // What a kill leaves unknown is never sent twice: here it is given up at once.
    let busy = launch(&rig, &stub).env("PIXEL_PIXVERSE_CONCURRENCY", 20).env("PIXEL_HOLD_POLICY", "lost");
    let mut server = busy.start().await;
    let numbers = create_many(&server.client(), VIDEOS).await;
    assert_eq!(numbers.len(), VIDEOS);
    // In the middle: some are finished, some under way, some not yet begun.
    for (enough, is_killed) in [(30, false), (90, true)] {
        let look = || async { (stub.accepted_in_all() >= enough).then_some(()) };
        wait::until("some submissions", SOON, look).await;
        if is_killed {
            server.kill9();
        } else {
            assert!(server.sigterm().await.0.success());
        }
        server.relaunch(|launch| launch).await;
        for number in &numbers {
            state(&server.client(), *number).await;
        }
    }
    let ends = all_ended(&server.client(), &numbers).await;
    let urls: BTreeSet<&str> = ends.iter().filter_map(|body| body["url"].as_str()).collect();
    let lost = ends.iter().filter(|body| **body == json!({ "status": "Generation failed" })).count();
    println!("{} clips, {lost} lost to the kill", urls.len());
    assert_eq!(urls.len() + lost, VIDEOS, "two numbers lead to one clip");
    assert!(lost <= 20, "{lost} were under way at most");
    assert!(stub.accepted_in_all() <= VIDEOS as u64, "one was paid for twice");
}

async fn an_old_number_outlives_5000_newer_ones(rig: Rig) {
    let stub = Stub::start();
    let mut server = launch(&rig, &stub).start().await;
    let oldest = ask(server.url(), "the+first").await;
    let done = stands(server.url(), oldest, |body| body["url"].is_string()).await;
    // The newer ones wait in the queue.
    stub.by_default(Script::default().polls(1_000_000));
    let newer = create_many(&server.client(), 5_000).await;
    assert_eq!(newer.iter().collect::<BTreeSet<_>>().len(), 5_000, "a number was given twice");
    assert_eq!(standing(server.url(), oldest).await, done);
    server.kill9();
    server.relaunch(|launch| launch).await;
    assert_eq!(standing(server.url(), oldest).await, done);
    for number in newer.iter().step_by(97) {
        assert_eq!(standing(server.url(), *number).await, json!({ "status": "Generating" }));
    }
}

async fn two_hundred_are_polled_and_none_is_wrong(rig: Rig) {
    let stub = Stub::start();
    let server = launch(&rig, &stub).env("PIXEL_PIXVERSE_CONCURRENCY", 20).start().await;
    let client = server.client();
    let numbers = create_many(&client, VIDEOS).await;
    // A minute's polls, one a second and video, as fast as they go.
    let polls = stream::iter((0..60).flat_map(|_| numbers.iter())).map(|number| {
        let client = &client;
        async move { (*number, state(client, *number).await) }
    });
    let mut done = std::collections::BTreeMap::new();
    let heard: Vec<(i64, Value)> = polls.buffered(16).collect().await;
    assert_eq!(heard.len(), 60 * VIDEOS);
    for (number, body) in heard {
        match body["url"].as_str() {
            // The address stays, and no number has another's.
            Some(url) => assert_eq!(done.entry(number).or_insert_with(|| url.to_owned()), url),
            // What was finished does not go back. Answers are in the order of their questions.
            None => {
                assert!(body == json!({ "status": "Generating" }) && !done.contains_key(&number), "{number} {body}")
            }
        }
    }
    let ends = all_ended(&client, &numbers).await;
    let urls: BTreeSet<&str> = ends.iter().filter_map(|body| body["url"].as_str()).collect();
    assert_eq!(urls.len(), VIDEOS);
    assert!(done.values().all(|url| urls.contains(url.as_str())));
}

async fn retention_leaves_the_word_deleted(rig: Rig) {
    let stub = Stub::start();
    let bad = stub::marker();
    stub.script(&bad, Script::ends([stub::End::Failed]));
    // Three seconds, in days.
    let server = launch(&rig, &stub).env("PIXEL_RETENTION_DAYS", "0.0000347223").start().await;
    let (good, failed) = (ask(server.url(), "a+kite").await, ask(server.url(), &bad).await);
    stands(server.url(), good, |body| body["url"].is_string()).await;
    stands(server.url(), good, |body| *body == json!({ "status": "Deleted" })).await;
    let old = send(server.url(), &get(&format!("/pixverse/api/v1/status?id={good}"))).await.json();
    assert_eq!(old, json!({ "status": "error", "video_url": null }));
    // There was no clip to remove.
    stands(server.url(), failed, |body| *body == json!({ "status": "Generation failed" })).await;
    let usage = server.client().get("/api/v1/usage").await.data();
    let one = &usage["items"][0];
    assert_eq!((&one["requests"], &one["completed"], &one["failed"]), (&json!(2), &json!(1), &json!(1)));
}

/// Kills the server around the commit: neither a task without its number nor a number without its task is found.
async fn a_task_and_its_number_are_one_write(rig: Rig) {
    let stub = Stub::start();
    stub.by_default(Script::default().polls(1_000_000));
    // The writer comes by at a start as well, and more often than so.
    for point in ["create.checked:2", "writer.begun:30", "writer.applied:30", "writer.committed:30", "create.stored:2"]
    {
        let mut server = launch(&rig, &stub).env("PIXEL_CRASH_AT", point).start().await;
        let body = form("/text2video", &format!("prompt=a&{WHO}"));
        // The server dies under one of them.
        let url = server.url().to_owned();
        let mut known = Vec::new();
        while server.ended(Duration::from_millis(1)).await.is_none() {
            let answer = server.client().try_send(Method::POST, "/text2video", &[], Some(body_of(&body))).await;
            known.extend(answer.ok().and_then(|answer| answer.json()["video_id"].as_i64()));
            assert!(known.len() < 50, "{url} never came by {point}");
        }
        server.relaunch(|launch| launch.env("PIXEL_CRASH_AT", "")).await;
        for number in known {
            assert_eq!(standing(server.url(), number).await, json!({ "status": "Generating" }), "{point}");
        }
        let tasks = count_tasks(&server.client()).await;
        let usage = server.client().get("/api/v1/usage").await.data();
        let rows = usage["items"][0]["requests"].as_i64().unwrap_or(0);
        assert_eq!(i64::try_from(tasks).expect("few"), rows, "after {point}");
        server.sigterm().await;
    }
}

async fn count_tasks(client: &Client) -> usize {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let page = client.get(&format!("/api/v1/tasks?source=pixverse&limit=100{cursor}")).await.data();
        count += page["items"].as_array().map_or(0, Vec::len);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return count,
        }
    }
}

fn body_of(request: &[u8]) -> Vec<u8> {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    request[end + 4..].to_vec()
}
