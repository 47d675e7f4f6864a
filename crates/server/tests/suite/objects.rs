//! Media in a bucket of a real S3-compatible server. The witnesses are the public API, the vendor's
//! ledger and the server's own folder.

use crate::support::{IMAGE, SOON, picture, refusal, with};
use base64::{Engine, engine::general_purpose::STANDARD};
use pixel_testkit::{Client, Launch, Method, Rig, S3, Script, Server, Stub, media, on_postgres, on_sqlite, stub, wait};
use serde_json::{Value, json};
use std::fs;

on_sqlite!(
    media_live_in_the_bucket_and_are_served_in_ranges,
    inputs_come_from_the_bucket,
    an_outage_is_waited_for,
    a_bucket_that_cannot_be_used_is_refused_at_the_start,
    large_results_stay_out_of_memory,
);
on_postgres!(
    a_result_outlives_the_server_that_received_it,
    one_of_two_is_lost_for_good,
    a_result_that_an_outage_kept_on_one_disk_is_shared_later,
);

/// A server with a disk of its own over the bucket.
fn over(rig: &Rig, name: &str, s3: &S3) -> Launch {
    rig.replica(name).data(&rig.folder().join(format!("data-{name}"))).bucket(s3).env("PIXEL_LEASE_S", 3)
}

fn small(model: &str, prompt: &str) -> Value {
    with(picture(model, prompt), &json!({ "resolution": "64x64" }))
}

/// The results of a completed task.
fn entries(task: &Value) -> Vec<Value> {
    assert_eq!(task["status"], "completed", "{task:#}");
    let lists = ["images", "videos", "audios"].map(|kind| task["result"][kind].as_array().cloned().unwrap_or_default());
    lists.concat()
}

/// Fetches a result whole and in parts.
async fn check_served(client: &Client, entry: &Value) {
    let url = entry["url"].as_str().expect("an address");
    let whole = client.get(url).await;
    assert_eq!((whole.status, &entry["sha256"]), (200, &json!(media::sha256_hex(&whole.bytes))), "{entry}");
    let size = whole.bytes.len();
    let parts = [("bytes=0-99", 0, 100), ("bytes=100-", 100, size), ("bytes=-50", size - 50, size)];
    for (range, from, to) in parts {
        let part = client.send(Method::GET, url, &[("range", range)], None).await;
        assert!(part.status == 206 && part.bytes[..] == whole.bytes[from..to], "{range} of {entry}");
        assert_eq!(part.header("content-range"), Some(&*format!("bytes {from}-{}/{size}", to - 1)));
    }
    let beyond = client.send(Method::GET, url, &[("range", &format!("bytes={size}-"))], None).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some(&*format!("bytes */{size}"))));
    let head = client.send(Method::HEAD, url, &[], None).await;
    assert_eq!((head.status, head.bytes.len(), head.header("content-length")), (200, 0, Some(&*size.to_string())));
}

/// Waits until nothing is under way: no staged object, no upload, no staged file.
async fn at_rest(s3: &S3, servers: &[&Server]) {
    let staged = |server: &Server| fs::read_dir(server.data().join("staging")).expect("a folder").count();
    let is_empty = || servers.iter().all(|server| staged(server) == 0) && s3.objects("staging").is_empty();
    wait::until("empty staging", SOON, || async { is_empty().then_some(()) }).await;
    assert_eq!((s3.objects("uploads").len(), s3.uploads(), s3.objects("probe").len()), (0, 0, 0));
}

async fn media_live_in_the_bucket_and_are_served_in_ranges(rig: Rig) {
    let (s3, stub) = (S3::start(), Stub::start());
    let server = over(&rig, "server", &s3).vendors(&stub).start().await;
    let client = server.client();
    let clip = with(picture("sandbox/animator", "a ball"), &json!({ "duration": "2s", "resolution": "480p" }));
    for (kind, body) in [
        ("image", with(picture("sandbox/painter", "a cat"), &json!({ "resolution": "1K" }))),
        ("video", clip),
        ("audio", picture("sandbox/speaker", "Hello, welcome to Pixel!")),
        // Its answer holds the media.
        ("image", small("openai/gpt-image-2", &stub::marker())),
        // Its answer holds a link.
        ("image", picture("dashscope/qwen-image", &stub::marker())),
    ] {
        let task = client.make(kind, &body, SOON * 3).await;
        for entry in entries(&task) {
            check_served(&client, &entry).await;
            for smaller in ["thumbnail_url", "poster_url"] {
                if let Some(url) = entry[smaller].as_str() {
                    assert_eq!(client.get(url).await.status, 200, "{smaller} of {entry}");
                }
            }
        }
    }
    let again = client.make("image", &with(picture("sandbox/painter", "a cat"), &json!({ "seed": 1 })), SOON).await;
    let stored = s3.check_blobs();
    let equal = client.make("image", &with(picture("sandbox/painter", "a cat"), &json!({ "seed": 1 })), SOON).await;
    assert_eq!(entries(&again)[0]["sha256"], entries(&equal)[0]["sha256"]);
    assert_eq!(s3.check_blobs(), stored, "equal bytes are stored once");
    assert!(!server.data().join("blobs").exists(), "media is on the disk as well");
    at_rest(&s3, &[&server]).await;
}

async fn inputs_come_from_the_bucket(rig: Rig) {
    let (s3, stub) = (S3::start(), Stub::start());
    let server = over(&rig, "server", &s3).vendors(&stub).start().await;
    let client = server.client();
    let file = media::png(640, 480, "an input");
    let given = format!("data:image/png;base64,{}", STANDARD.encode(&file));
    let inputs = |address: &str| json!({ "imageInputs": [address] });

    let mark = stub::marker();
    client.make("image", &with(small("openai/gpt-image-2", &mark), &inputs(&given)), SOON).await;
    let sent = stub.submissions(&mark).pop().expect("a submission").body;
    assert_eq!((&sent["files"][0]["bytes"], &sent["files"][0]["type"]), (&json!(file.len()), &json!("image/png")));

    let made = client.make("image", &small("sandbox/painter", "first"), SOON).await;
    let own = client.address(entries(&made)[0]["url"].as_str().expect("an address"));
    let mark = stub::marker();
    client.make("image", &with(picture("dashscope/qwen-image", &mark), &inputs(&own)), SOON).await;
    let sent = stub.submissions(&mark).pop().expect("a submission").body;
    let content = sent["input"]["messages"][0]["content"].as_array().expect("content").clone();
    let prefix = format!("data:image/png;base64,{}", &STANDARD.encode(client.get(&own).await.bytes)[..100]);
    assert!(content.iter().any(|item| item["image"].as_str().is_some_and(|uri| uri.starts_with(&prefix))), "{sent}");

    let framed = with(picture("sandbox/animator", "a ball"), &json!({ "imageInputs": [own], "duration": "2s" }));
    client.make("video", &framed, SOON * 3).await;
    at_rest(&s3, &[&server]).await;
}

async fn an_outage_is_waited_for(rig: Rig) {
    let (mut s3, stub) = (S3::start(), Stub::start());
    let server = over(&rig, "server", &s3).vendors(&stub).start().await;
    let client = server.client();
    let before = client.make("image", &small("sandbox/painter", "before"), SOON).await;
    let before = entries(&before)[0]["url"].as_str().expect("an address").to_owned();
    s3.kill9();
    let mut tasks = Vec::new();
    for model in ["openai/gpt-image-2", "dashscope/qwen-image"] {
        for _ in 0..3 {
            let mark = stub::marker();
            let body = if model.starts_with("openai") { small(model, &mark) } else { picture(model, &mark) };
            tasks.push((client.create("image", &body).await, mark, model));
        }
    }
    let painted = client.create("image", &small("sandbox/painter", "meanwhile")).await;
    // Results have come and have nowhere to go.
    let fetched = || {
        tasks.iter().filter(|(.., model)| model.starts_with("dashscope")).all(|(_, mark, _)| stub.fetches(mark) >= 1)
    };
    wait::until("results", SOON, || async { (owed(&server) >= 4 && fetched()).then_some(()) }).await;
    refusal(&client.get(&before).await, 503);
    let data = format!("data:image/png;base64,{}", STANDARD.encode(media::png(64, 64, "an input")));
    let refused = client.post(IMAGE, &with(small("sandbox/painter", "x"), &json!({ "imageInputs": [data] }))).await;
    refusal(&refused, 503);
    for (id, ..) in &tasks {
        let task = client.task(id).await;
        assert!(task["status"] == "processing" && task["attention"].is_null(), "{task:#}");
    }
    s3.restart();
    for (id, mark, _) in &tasks {
        let task = client.end_of(id, SOON * 2).await;
        check_served(&client, &entries(&task)[0]).await;
        assert_eq!(stub.received(mark), 1, "it was submitted again");
    }
    assert_eq!(client.end_of(&painted, SOON).await["status"], "completed");
    check_served(&client, &json!({ "url": before, "sha256": media::sha256_hex(&client.get(&before).await.bytes) }))
        .await;
    assert!(s3.check_blobs() >= 8);
    at_rest(&s3, &[&server]).await;
}

/// Results that the object store has yet to take from this server's disk.
fn owed(server: &Server) -> usize {
    let entries = fs::read_dir(server.data().join("staging")).expect("a folder").flatten();
    entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "owed")).count()
}

/// Whether a server has said of a task that its copy failed, which it does only behind the write of
/// the row that names the result.
fn waits(server: &Server, id: &str) -> bool {
    server.logs().lines().any(|line| line.contains(id) && line.contains("a result will be copied again"))
}

/// Receives a result that lies in an answer, and cannot publish it: its task.
async fn unpublished(server: &Server, stub: &Stub) -> (String, String) {
    let mark = stub::marker();
    let id = server.client().create("image", &small("openai/gpt-image-2", &mark)).await;
    wait::until("submission", SOON, || async { (stub.accepted(&mark) == 1).then_some(()) }).await;
    (id, mark)
}

async fn a_result_outlives_the_server_that_received_it(rig: Rig) {
    let (s3, stub) = (S3::start(), Stub::start());
    let mut first = over(&rig, "first", &s3).vendors(&stub).start().await;
    let refusal = s3.refuse_blobs();
    let (id, mark) = unpublished(&first, &stub).await;
    wait::until("a failed copy", SOON, || async { waits(&first, &id).then_some(()) }).await;
    first.kill9();
    fs::remove_dir_all(first.data()).expect("the disk can be lost");
    let second = over(&rig, "second", &s3).vendors(&stub).start().await;
    drop(refusal);
    let task = second.client().end_of(&id, SOON).await;
    check_served(&second.client(), &entries(&task)[0]).await;
    assert_eq!((stub.received(&mark), s3.check_blobs()), (1, 1));
    at_rest(&s3, &[&second]).await;
}

async fn a_result_that_an_outage_kept_on_one_disk_is_shared_later(rig: Rig) {
    let (mut s3, stub) = (S3::start(), Stub::start());
    let mut first = over(&rig, "first", &s3).vendors(&stub).start().await;
    let second = over(&rig, "second", &s3).vendors(&stub).start().await;
    s3.kill9();
    let mut tasks = Vec::new();
    for at in 0..6 {
        tasks.push(unpublished(if at % 2 == 0 { &first } else { &second }, &stub).await);
    }
    let all_wait = || tasks.iter().all(|(id, _)| waits(&first, id) || waits(&second, id));
    wait::until("failed copies", SOON, || async { all_wait().then_some(()) }).await;
    assert!(owed(&first) > 0 && owed(&first) + owed(&second) == 6, "each result is on one disk");
    first.kill9();
    s3.restart();
    // Whoever has the task waits for the one who has the file.
    first.restart().await;
    for (id, mark) in &tasks {
        let task = second.client().end_of(id, SOON * 2).await;
        check_served(&second.client(), &entries(&task)[0]).await;
        assert_eq!(stub.received(mark), 1);
    }
    assert_eq!(s3.check_blobs(), 6);
    wait::until("settled debts", SOON, || async { (owed(&first) + owed(&second) == 0).then_some(()) }).await;
}

async fn one_of_two_is_lost_for_good(rig: Rig) {
    let (s3, stub) = (S3::start(), Stub::start());
    stub.by_default(Script::default().polls(4));
    let mut first = over(&rig, "first", &s3).vendors(&stub).start().await;
    let second = over(&rig, "second", &s3).vendors(&stub).start().await;
    let mut tasks = Vec::new();
    for at in 0..12 {
        let client = if at % 2 == 0 { first.client() } else { second.client() };
        let (mark, model) = (stub::marker(), ["dashscope/qwen-image", "sandbox/painter"][at % 3 / 2]);
        let body = if at % 3 == 2 { small(model, &mark) } else { picture(model, &mark) };
        tasks.push((client.create("image", &body).await, mark));
    }
    let polled = || tasks.iter().enumerate().all(|(at, (_, mark))| at % 3 == 2 || stub.polls(mark) >= 1);
    wait::until("submissions", SOON, || async { polled().then_some(()) }).await;
    first.kill9();
    fs::remove_dir_all(first.data()).expect("the disk can be lost");
    for (id, mark) in &tasks {
        let task = second.client().end_of(id, SOON).await;
        check_served(&second.client(), &entries(&task)[0]).await;
        assert!(stub.received(mark) <= 1);
    }
    assert!(s3.check_blobs() >= 12);
}

async fn a_bucket_that_cannot_be_used_is_refused_at_the_start(rig: Rig) {
    let mut s3 = S3::start();
    let (status, said) = over(&rig, "key", &s3).env("AWS_SECRET_ACCESS_KEY", "hunter2").start_refused().await;
    assert!(!status.success() && !said.contains("hunter2"), "{said}");
    assert!(said.contains("the media bucket s3://media/pixel/test at http://127.0.0.1:"), "{said}");
    assert!(said.contains("SignatureDoesNotMatch. Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"), "{said}");
    let (status, said) = over(&rig, "name", &s3).env("PIXEL_BLOBS", "s3://nowhere").start_refused().await;
    assert!(!status.success() && said.contains("NoSuchBucket. Make the bucket, or correct PIXEL_BLOBS"), "{said}");
    let (status, said) = over(&rig, "keyless", &s3).env("AWS_ACCESS_KEY_ID", "").start_refused().await;
    assert!(!status.success() && said.contains("AWS_ACCESS_KEY_ID is not set"), "{said}");
    s3.kill9();
    let (status, said) = over(&rig, "away", &s3).start_refused().await;
    assert!(!status.success() && said.contains("Check PIXEL_S3_ENDPOINT"), "{said}");
}

/// The most memory that the server ever had, in MiB.
fn peak_mib(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") >> 10
}

async fn large_results_stay_out_of_memory(rig: Rig) {
    const LARGE: usize = 36 << 20;
    let (s3, stub) = (S3::start(), Stub::start());
    stub.by_default(Script::default().bytes(LARGE));
    let server = over(&rig, "server", &s3).vendors(&stub).start().await;
    let client = server.client();
    let before = peak_mib(&server);
    let mut tasks = Vec::new();
    for model in ["openai/gpt-image-2", "dashscope/qwen-image"] {
        for _ in 0..4 {
            let body = if model.starts_with("openai") {
                small(model, &stub::marker())
            } else {
                picture(model, &stub::marker())
            };
            tasks.push(client.create("image", &body).await);
        }
    }
    for id in &tasks {
        let task = client.end_of(id, SOON * 3).await;
        let entry = entries(&task).remove(0);
        assert!(entry["bytes"].as_u64().is_some_and(|bytes| bytes > LARGE as u64), "{entry}");
        check_served(&client, &entry).await;
    }
    let peak = peak_mib(&server);
    eprintln!("{before} MiB at the start, at most {peak} MiB");
    assert!(peak < before + 200, "{before} MiB at the start, {peak} MiB at the most");
    assert!(s3.check_blobs() >= 8);
    at_rest(&s3, &[&server]).await;
}
