//! The service for mobile apps: raw requests as its clients send them, against the real binary.

mod cases;
mod life;
mod limits;
mod raw;

use crate::support::SOON;
use cases::Case;
use pixel_testkit::{
    Client, Rig, Script, Server, Stub, on_both,
    server::Launch,
    stub,
    stub::{End, Submit},
    wait,
};
use raw::{WHO, form, get, send};
use serde_json::{Value, json};

on_both!(
    every_encoding_is_read,
    every_state_has_its_phrase,
    what_was_asked_reaches_the_vendor,
    without_a_way_the_setting_is_named,
);

/// A server whose clips are made by the simulated platform.
fn launch(rig: &Rig, stub: &Stub) -> Launch {
    pointed(rig.server(), stub)
}

fn pointed(launch: Launch, stub: &Stub) -> Launch {
    launch
        .env("PIXVERSE_BASE_URL", stub.base_url("PIXVERSE_BASE_URL"))
        .env("PIXVERSE_API_KEY", stub::KEY)
        .env("PIXEL_FETCH_ALLOW", "127.0.0.1")
        .env("PIXEL_POLL_MIN_MS", 50)
        .env("PIXEL_PIXVERSE_GENERATIONS_PER_MIN", 0)
}

/// Asks for a clip, and returns its number.
async fn ask(url: &str, prompt: &str) -> i64 {
    let answer = send(url, &form("/text2video", &format!("prompt={prompt}&{WHO}"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["video_id"].as_i64().expect("a number")
}

async fn standing(url: &str, number: i64) -> Value {
    let answer = send(url, &get(&format!("/get_status?video_id={number}&{WHO}"))).await;
    assert_eq!(answer.status, 200, "{number}: {}", answer.text());
    answer.json()
}

/// Waits until a clip stands as it is expected to.
async fn stands(url: &str, number: i64, fits: impl Fn(&Value) -> bool) -> Value {
    let look = || async {
        let body = standing(url, number).await;
        fits(&body).then_some(body)
    };
    wait::until("state of a clip", SOON, look).await
}

async fn try_all(url: &str, cases: Vec<Case>) -> usize {
    let (mut faults, count) = (Vec::new(), cases.len());
    for (name, bytes, must) in cases {
        if let Err(fault) = must.judge(&send(url, &bytes).await) {
            faults.push(format!("{name}: {fault}"));
        }
    }
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
    count
}

async fn every_encoding_is_read(rig: Rig) {
    let stub = Stub::start();
    let server = launch(&rig, &stub).start().await;
    let mut count = try_all(server.url(), cases::encodings()).await;
    count += try_all(server.url(), cases::pictures(rig.folder())).await;
    let taken = server.client().get("/api/v1/usage").await.data();
    let taken: i64 =
        taken["items"].as_array().expect("a list").iter().map(|one| one["requests"].as_i64().unwrap()).sum();
    count += try_all(server.url(), cases::refusals()).await;
    let after = server.client().get("/api/v1/usage").await.data();
    let after: i64 =
        after["items"].as_array().expect("a list").iter().map(|one| one["requests"].as_i64().unwrap()).sum();
    assert_eq!(after, taken, "a refusal left a row");
    println!("{count} raw requests, {taken} of them accepted");
    assert!(count >= 110, "only {count}");
    // What was refused leaves no file behind.
    let staging = server.data().join("staging");
    let left = || std::fs::read_dir(&staging).map_or(0, |files| files.flatten().count());
    wait::until("an empty staging folder", SOON, || async { (left() == 0).then_some(()) }).await;
}

async fn every_state_has_its_phrase(rig: Rig) {
    let stub = Stub::start();
    let server = launch(&rig, &stub).env("PIXEL_HOLD_S", 3_600).start().await;
    let never = || Script::ends([End::Never]);
    let cases: Vec<(&str, Script, &str, &str)> = vec![
        ("runs", never(), "Generating", "generating"),
        ("held", Script::submits([Submit::ResetAfterAccept]), "Generating", "generating"),
        ("deleted", Script::ends([End::Lost]), "Deleted", "error"),
        ("moderated at the end", Script::ends([End::Moderation]), "Contents moderation failed", "error"),
        ("moderated at once", Script::submits([Submit::Moderation]), "Contents moderation failed", "error"),
        ("failed", Script::ends([End::Failed]), "Generation failed", "error"),
        ("refused", Script::submits([Submit::BadParameter]), "Generation failed", "error"),
    ];
    let mut count = 0;
    for (name, script, phrase, word) in cases {
        let mark = stub::marker();
        stub.script(&mark, script);
        let number = ask(server.url(), &mark).await;
        wait::until("the submission", SOON, || async { (stub.received(&mark) > 0).then_some(()) }).await;
        stands(server.url(), number, |body| body["status"] == phrase).await;
        let (plain, old) = (json!({ "status": phrase }), json!({ "status": word, "video_url": null }));
        println!("{name}");
        count += try_all(server.url(), cases::standing(number, &plain, &old)).await;
    }
    let number = ask(server.url(), &stub::marker()).await;
    let done = stands(server.url(), number, |body| body["url"].is_string()).await;
    let url = done["url"].as_str().expect("an address").to_owned();
    assert!(url.starts_with("http://localhost/media/") && done == json!({ "url": url }), "{done}");
    let old = json!({ "status": "success", "video_url": url });
    count += try_all(server.url(), cases::standing(number, &done, &old)).await;
    println!("{count} raw questions");
    // It is our own copy: the vendor is gone, and it plays.
    let port = format!(":{}", stub.address().port());
    drop(stub);
    let path = url.trim_start_matches("http://localhost");
    let clip = server.client().get(path).await;
    assert_eq!((clip.status, clip.header("content-type")), (200, Some("video/mp4")));
    assert!(!url.contains(&port));
}

/// The body of the one submission with this mark.
async fn submitted(stub: &Stub, mark: &str) -> Value {
    let look = || async { stub.submissions(mark).pop().map(|one| one.body) };
    wait::until("the submission", SOON, look).await
}

async fn what_was_asked_reaches_the_vendor(rig: Rig) {
    let stub = Stub::start();
    let apps =
        "com.own=model:v6 duration:10 quality:720p aspect_ratio:9:16,com.wide=model:v6 aspect_ratio:21:9 way:key";
    let server = launch(&rig, &stub).env("PIXEL_PIXVERSE_APPS", apps).start().await;
    let url = server.url();
    let expected = [
        (WHO, json!({ "model": "v5", "duration": 5, "quality": "540p", "aspect_ratio": "16:9" })),
        (
            "app_bundle_id=com.own&apphud_user_id=u",
            json!({ "model": "v6", "duration": 10, "quality": "720p", "aspect_ratio": "9:16" }),
        ),
        (
            "app_bundle_id=com.own&apphud_user_id=u&model=v3.5&duration=5&quality=360p&aspect_ratio=1:1&style=clay&template_id=12&negative_prompt=rain&seed=0",
            json!({ "model": "v3.5", "duration": 5, "quality": "360p", "aspect_ratio": "1:1", "style": "clay", "template_id": 12, "negative_prompt": "rain", "seed": 0 }),
        ),
    ];
    let wide = [
        ("", json!({ "model": "v6", "duration": 5, "quality": "540p", "aspect_ratio": "21:9" })),
        // A model without the app's ratio.
        ("&model=v5", json!({ "model": "v5", "duration": 5, "quality": "540p", "aspect_ratio": "16:9" })),
    ];
    let wide = wide.map(|(more, body)| (format!("app_bundle_id=com.wide&apphud_user_id=u{more}"), body));
    let expected = expected.map(|(fields, body)| (fields.to_owned(), body)).into_iter().chain(wide);
    for (fields, body) in expected {
        let mark = stub::marker();
        send(url, &form("/text2video", &format!("prompt={mark}&{fields}"))).await;
        let mut sent = submitted(&stub, &mark).await;
        assert_eq!(sent["prompt"].take(), json!(mark));
        sent.as_object_mut().expect("an object").remove("prompt");
        assert_eq!(sent, body, "{fields}");
    }
    // So with a picture, which has its own; a ratio that was asked for by name is not replaced.
    let file = pixel_testkit::media::png(64, 48, "own");
    let part = [raw::Part("file", "; filename=\"a\"", &file)];
    let target = |more: &str| format!("/image2video?prompt=a&app_bundle_id=com.wide&apphud_user_id=u&model=v5{more}");
    assert_eq!(send(url, &raw::parts(&target(""), &part)).await.status, 200);
    assert_eq!(send(url, &raw::parts(&target("&aspect_ratio=21:9"), &part)).await.status, 400);
    // The body wins over the query; a picture has its own shape, and the wish for another is recorded.
    let mark = stub::marker();
    let target = format!("/image2video?prompt=other&{WHO}&aspect_ratio=1:1&negative_prompt=rain");
    let fields = [raw::Part("prompt", "", mark.as_bytes()), raw::Part("file", "; filename=\"a\"", &file)];
    let number = send(url, &raw::parts(&target, &fields)).await.json()["video_id"].as_i64().expect("a number");
    let sent = submitted(&stub, &mark).await;
    assert!(sent["img_id"].is_u64() && sent["aspect_ratio"].is_null(), "{sent}");
    assert_eq!((&sent["prompt"], &sent["negative_prompt"]), (&json!(mark), &json!("rain")));
    stands(url, number, |body| body["url"].is_string()).await;
    let listed = server.client().get("/api/v1/tasks?source=pixverse&projectId=com.example.app&limit=1").await.data();
    let task = &listed["items"][0];
    assert_eq!((&task["source_id"], &task["model"]), (&json!("user-1"), &json!("pixverse/v5")));
    assert!(crate::support::warned(task).contains(&"aspectRatio".to_owned()), "{task:#}");
    assert!(task["params"]["imageInputs"][0].as_str().is_some_and(|url| url.contains("/media/")), "{task:#}");
}

async fn refused(client: &Client) -> String {
    let answer = send(client.base(), &form("/text2video", &format!("prompt=a&{WHO}"))).await;
    assert_eq!(answer.status, 500, "{}", answer.text());
    answer.json()["detail"].as_str().expect("a sentence").to_owned()
}

async fn without_a_way_the_setting_is_named(rig: Rig) {
    let stub = Stub::start();
    // No key at all: the sandbox answers.
    let mut server: Server = rig.server().start().await;
    let number = ask(server.url(), "a+kite").await;
    stands(server.url(), number, |body| body["url"].is_string()).await;
    server.sigterm().await;
    // Another vendor's key: nobody stands in.
    let mut server = rig.server().vendors(&stub).start().await;
    assert!(refused(&server.client()).await.contains("PIXVERSE_API_KEY"));
    stands(server.url(), number, |body| body["url"].is_string()).await;
    server.sigterm().await;
    let server = launch(&rig, &stub).env("PIXEL_PIXVERSE_WAY", "account").start().await;
    let said = refused(&server.client()).await;
    assert!(said.contains("account"), "{said}");
    // A key that the vendor refuses is a fault of the set-up as well.
    let answer = send(server.url(), &form("/text2video", &format!("prompt=a&{WHO}&model=v6"))).await;
    assert_eq!(answer.status, 500, "{}", answer.text());
}
