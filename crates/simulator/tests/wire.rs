//! The simulator judges others, so it is judged here: the real vendors' wire forms.
#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use pixel_testkit::{
    Client, Method, Script, Stub,
    client::Answer,
    media,
    stub::{Media, Submit, marker},
};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::{Duration, SystemTime};

#[path = "wire/pixverse.rs"]
mod pixverse;

const BEARER: (&str, &str) = ("authorization", "Bearer test-key");
const JSON: (&str, &str) = ("content-type", "application/json");
const ASYNC: (&str, &str) = ("x-dashscope-async", "enable");
const IMAGES: &str = "/openai/v1/images/generations";
const SYNTHESIS: &str = "/dashscope/api/v1/services/aigc/text2image/image-synthesis";

fn picture(marker: &str) -> Value {
    json!({ "model": "gpt-image-2", "prompt": format!("a kite {marker}"), "n": 2, "size": "1024x1536" })
}

fn crane(marker: &str) -> Value {
    json!({ "model": "qwen-image", "input": { "prompt": marker }, "parameters": { "size": "1328*1328", "n": 1 } })
}

fn client(stub: &Stub) -> Client {
    Client::new(&format!("http://{}", stub.address()))
}

async fn ask(stub: &Stub, path: &str, body: &Value) -> Result<Answer, reqwest::Error> {
    client(stub).try_send(Method::POST, path, &[BEARER, JSON, ASYNC], Some(body.to_string().into_bytes())).await
}

async fn get(stub: &Stub, path: &str) -> Result<Answer, reqwest::Error> {
    client(stub).try_send(Method::GET, path, &[BEARER], None).await
}

#[tokio::test]
async fn pictures_come_as_base64_in_the_size_asked() {
    let (stub, mark) = (Stub::start(), marker());
    let answer = ask(&stub, IMAGES, &picture(&mark)).await.expect("an answer").json();
    let file = STANDARD.decode(answer["data"][1]["b64_json"].as_str().expect("text")).expect("base64");
    assert_eq!(media::png_size(&file), Some((1024, 1536)));
    assert_ne!(answer["data"][0], answer["data"][1]);
    assert_eq!((stub.accepted(&mark), stub.received(&mark)), (1, 1));
    assert_eq!(stub.submissions(&mark)[0].body["n"], 2);
}

#[tokio::test]
async fn other_keys_and_bad_bodies_are_refused_and_not_counted() {
    let (stub, mark) = (Stub::start(), marker());
    let client = client(&stub);
    for path in [IMAGES, SYNTHESIS] {
        let headers = [("authorization", "Bearer wrong"), JSON, ASYNC];
        let answer = client.send(Method::POST, path, &headers, Some(picture(&mark).to_string().into_bytes())).await;
        assert_eq!(answer.status, 401, "{path}");
    }
    let mut odd = picture(&mark);
    odd["size"] = json!("1000x1000");
    assert_eq!(ask(&stub, IMAGES, &odd).await.expect("an answer").status, 400);
    assert_eq!(stub.received(&mark), 0);
}

#[tokio::test]
async fn jobs_are_polled_and_their_links_serve_the_file() {
    let (stub, mark) = (Stub::start(), marker());
    stub.script(&mark, Script::media(Media::ExpiredLinks(1)).polls(1));
    let id = ask(&stub, SYNTHESIS, &crane(&mark)).await.expect("an answer").json()["output"]["task_id"].clone();
    let poll = format!("/dashscope/api/v1/tasks/{}", id.as_str().expect("an id"));
    let state = |answer: &Answer| answer.json()["output"]["task_status"].clone();
    assert_eq!(state(&get(&stub, &poll).await.expect("an answer")), "PENDING");
    let client = client(&stub);
    for status in [403, 200] {
        let done = get(&stub, &poll).await.expect("an answer").json();
        let url = done["output"]["results"][0]["url"].as_str().expect("a link").to_owned();
        let file = client.get(&url).await;
        assert_eq!(file.status, status);
        assert!(status == 403 || media::png_size(&file.bytes) == Some((1328, 1328)));
    }
    assert!(stub.violations().is_empty());
    assert_eq!((stub.accepted(&mark), stub.polls(&mark)), (1, 3));
    assert_eq!(state(&get(&stub, "/dashscope/api/v1/tasks/no-such").await.expect("an answer")), "UNKNOWN");
}

#[tokio::test]
async fn unclear_outcomes_are_accepted_and_look_as_scripted() {
    let (stub, mark) = (Stub::start(), marker());
    let fates =
        [Submit::ErrorAfterAccept, Submit::ResetAfterAccept, Submit::GarbageAfterAccept, Submit::HangAfterAccept];
    stub.script(&mark, Script::submits(fates));
    assert_eq!(ask(&stub, SYNTHESIS, &crane(&mark)).await.expect("an answer").status, 500);
    assert!(ask(&stub, SYNTHESIS, &crane(&mark)).await.is_err(), "a reset is no answer");
    let garbage = ask(&stub, SYNTHESIS, &crane(&mark)).await.expect("an answer");
    assert!(garbage.status == 200 && serde_json::from_slice::<Value>(&garbage.bytes).is_err());
    let hang = tokio::time::timeout(Duration::from_millis(300), ask(&stub, SYNTHESIS, &crane(&mark))).await;
    assert!(hang.is_err(), "it was answered");
    assert_eq!((stub.accepted(&mark), stub.accepted_in_all()), (4, 4));
}

#[tokio::test]
async fn refusals_are_not_accepted() {
    let (stub, mark) = (Stub::start(), marker());
    let fates =
        [Submit::RateLimited(Some("1")), Submit::NoBalance, Submit::BadKey, Submit::BadParameter, Submit::Moderation];
    stub.script(&mark, Script::submits([fates.clone(), fates].concat()));
    for path in [IMAGES, SYNTHESIS] {
        let body = if path == SYNTHESIS { crane(&mark) } else { picture(&mark) };
        for (at, status) in [429, 429, 401, 400, 400].into_iter().enumerate() {
            let answer = ask(&stub, path, &body).await.expect("an answer");
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("retry-after"), (at == 0).then_some("1"));
        }
    }
    assert_eq!((stub.accepted(&mark), stub.received(&mark)), (0, 10));
}

#[tokio::test]
async fn cut_media_is_cut_in_both_ways() {
    for (media, honest) in [(Media::CutWithLength, true), (Media::CutWithoutLength, false)] {
        let (stub, mark) = (Stub::start(), marker());
        stub.script(&mark, Script::media(media));
        let id = ask(&stub, SYNTHESIS, &crane(&mark)).await.expect("an answer").json()["output"]["task_id"].clone();
        let poll = format!("/dashscope/api/v1/tasks/{}", id.as_str().expect("an id"));
        let done = get(&stub, &poll).await.expect("an answer").json();
        let url = done["output"]["results"][0]["url"].as_str().expect("a link").to_owned();
        let file = client(&stub).try_send(Method::GET, &url, &[], None).await;
        match file {
            Err(_) => assert!(honest, "without a length the end looks like an end"),
            Ok(file) => assert!(!honest && file.status == 200 && file.header("content-length").is_none()),
        }
    }
}

#[tokio::test]
async fn edits_take_files() {
    let (stub, mark) = (Stub::start(), marker());
    let file = media::png(64, 64, "input");
    let mut body = Vec::new();
    for (name, value) in [("model", "gpt-image-2"), ("prompt", mark.as_str())] {
        body.extend_from_slice(
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes(),
        );
    }
    body.extend_from_slice(b"--b\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n");
    body.extend_from_slice(&file);
    body.extend_from_slice(b"\r\n--b--\r\n");
    let client = client(&stub);
    let headers = [BEARER, ("content-type", "multipart/form-data; boundary=b")];
    let answer = client.send(Method::POST, "/openai/v1/images/edits", &headers, Some(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(stub.submissions(&mark)[0].body["files"][0]["bytes"], file.len());
}

const KLING: &str = "/kling/text-to-video/kling-3.0";
const KLING_CLIPS: &str = "/kling/v1/videos/image2video";

/// A clip of the newer generation.
fn lighthouse(marker: &str) -> Value {
    json!({ "prompt": format!("a lighthouse {marker}"),
            "settings": { "resolution": "720p", "aspect_ratio": "16:9", "duration": 5, "multi_shot": false },
            "options": { "external_task_id": marker } })
}

/// A clip of the older one.
fn push_in(marker: &str) -> Value {
    json!({ "model_name": "kling-v2-6", "prompt": format!("slow push in {marker}"), "mode": "pro", "duration": "5",
            "sound": "off", "image": STANDARD.encode(media::png(300, 300, "input")), "external_task_id": marker })
}

/// With this done to it.
fn with(mut body: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut body);
    body
}

/// The token of access key and secret key, valid from and to so many seconds from now.
fn token(secret: &str, from_s: i64, to_s: i64) -> String {
    let now_s = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs().cast_signed();
    let claims = json!({ "iss": "test-key", "nbf": now_s + from_s, "exp": now_s + to_s }).to_string();
    let signed = [r#"{"alg":"HS256","typ":"JWT"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(signed.as_bytes());
    format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn kling_makes_clips_in_both_generations() {
    let (stub, new, old) = (Stub::start(), marker(), marker());
    stub.script(&new, Script::default().polls(1));
    let accepted = ask(&stub, KLING, &lighthouse(&new)).await.expect("an answer").json();
    assert_eq!((&accepted["code"], &accepted["data"]["status"]), (&json!(0), &json!("submitted")));
    let poll = format!("/kling/tasks?task_ids={}", accepted["data"]["id"].as_str().expect("an id"));
    let state = |answer: Answer| answer.json()["data"][0].clone();
    assert_eq!(state(get(&stub, &poll).await.expect("an answer"))["status"], "submitted");
    let done = state(get(&stub, &poll).await.expect("an answer"));
    assert_eq!((&done["status"], &done["external_id"]), (&json!("succeeded"), &json!(new)));
    let url = done["outputs"][0]["url"].as_str().expect("a link").to_owned();
    assert_eq!(client(&stub).get(&url).await.header("content-type"), Some("video/mp4"));

    let accepted = ask(&stub, KLING_CLIPS, &push_in(&old)).await.expect("an answer").json();
    let id = accepted["data"]["task_id"].as_str().expect("an id").to_owned();
    let done = get(&stub, &format!("{KLING_CLIPS}/{id}")).await.expect("an answer").json()["data"].clone();
    assert_eq!(done["task_status"], "succeed");
    let url = done["task_result"]["videos"][0]["url"].as_str().expect("a link").to_owned();
    assert_eq!(client(&stub).get(&url).await.status, 200);
    let elsewhere = get(&stub, &format!("/kling/v1/videos/text2video/{id}")).await.expect("an answer");
    assert_eq!((elsewhere.status, &elsewhere.json()["code"]), (404, &json!(1203)), "another path knows it not");
}

#[tokio::test]
async fn kling_makes_pictures_and_speech() {
    let (stub, mark) = (Stub::start(), marker());
    let pictures = "/kling/v1/images/generations";
    let body = json!({ "model_name": "kling-v3", "prompt": mark, "n": 2, "resolution": "1k", "aspect_ratio": "1:1" });
    let accepted = ask(&stub, pictures, &body).await.expect("an answer").json();
    let poll = format!("{pictures}/{}", accepted["data"]["task_id"].as_str().expect("an id"));
    let done = get(&stub, &poll).await.expect("an answer").json();
    let images = done["data"]["task_result"]["images"].as_array().expect("a list").clone();
    assert_eq!(images.iter().map(|image| image["index"].clone()).collect::<Vec<_>>(), [1, 0]);
    let file = client(&stub).get(images[0]["url"].as_str().expect("a link")).await;
    assert_eq!(media::png_size(&file.bytes), Some((1024, 1024)));

    let omni = json!({ "model_name": "kling-v3-omni", "prompt": mark, "resolution": "4k", "aspect_ratio": "auto" });
    assert_eq!(ask(&stub, "/kling/v1/images/omni-image", &omni).await.expect("an answer").status, 200);

    let speech = json!({ "text": mark, "voice_id": "uk_man2", "voice_language": "en", "voice_speed": 1.5 });
    let said = ask(&stub, "/kling/v1/audio/tts", &speech).await.expect("an answer").json();
    let url = said["data"]["task_result"]["audios"][0]["url"].as_str().expect("a link").to_owned();
    assert!(client(&stub).get(&url).await.bytes.starts_with(b"RIFF"));
}

#[tokio::test]
async fn kling_keeps_references_unique_and_finds_them() {
    let (stub, new, old) = (Stub::start(), marker(), marker());
    for (path, body, search) in [
        (KLING, lighthouse(&new), format!("/kling/tasks?external_task_ids={new}")),
        (KLING_CLIPS, push_in(&old), format!("{KLING_CLIPS}/{old}")),
    ] {
        let absent = get(&stub, &search).await.expect("an answer");
        assert_eq!((absent.status, &absent.json()["code"]), (404, &json!(1203)), "{path}");
        assert_eq!(ask(&stub, path, &body).await.expect("an answer").status, 200);
        let again = ask(&stub, path, &body).await.expect("an answer");
        assert_eq!((again.status, &again.json()["code"]), (400, &json!(1201)), "{path}");
        tokio::time::timeout(Duration::from_secs(5), async {
            while get(&stub, &search).await.expect("an answer").status != 200 {}
        })
        .await
        .expect("it is found");
    }
    assert_eq!((stub.accepted(&new), stub.accepted(&old)), (1, 1));
}

#[tokio::test]
async fn kling_verifies_keys_and_tokens() {
    let (stub, mark) = (Stub::start(), marker());
    let client = client(&stub);
    let good = token("test-secret", -5, 1800);
    for (path, authorization, code) in [
        (KLING, "Bearer wrong", 1002),
        // The newer generation takes the key only.
        (KLING, good.as_str(), 1002),
        (KLING_CLIPS, "Bearer wrong", 1002),
        (KLING_CLIPS, token("another", -5, 1800).as_str(), 1002),
        (KLING_CLIPS, token("test-secret", 60, 1800).as_str(), 1003),
        (KLING_CLIPS, token("test-secret", -1805, -5).as_str(), 1004),
        (KLING_CLIPS, good.as_str(), 0),
    ] {
        let headers = [("authorization", authorization), JSON];
        let body = if path == KLING { lighthouse(&mark) } else { push_in(&mark) };
        let answer = client.send(Method::POST, path, &headers, Some(body.to_string().into_bytes())).await;
        assert_eq!(answer.json()["code"], code, "{path} {authorization}");
        assert_eq!(answer.status, if code == 0 { 200 } else { 401 });
    }
    assert_eq!(stub.received(&mark), 1);
}

#[tokio::test]
async fn kling_refuses_what_its_pages_do_not_allow() {
    let (stub, mark) = (Stub::start(), marker());
    let prefixed = format!("data:image/png;base64,{}", STANDARD.encode(media::png(300, 300, "input")));
    for (path, body) in [
        (KLING, with(lighthouse(&mark), |body| body["negative_prompt"] = json!("rain"))),
        (KLING, with(lighthouse(&mark), |body| body["settings"]["duration"] = json!("5"))),
        (KLING, with(lighthouse(&mark), |body| body["settings"]["resolution"] = json!("8k"))),
        (
            "/kling/image-to-video/kling-3.0",
            with(lighthouse(&mark), |body| {
                body["contents"] =
                    json!([{ "type": "prompt", "text": "a" }, { "type": "last_frame", "url": "https://x.test/a.png" }]);
            }),
        ),
        (KLING_CLIPS, with(push_in(&mark), |body| body["image"] = json!(prefixed))),
        (KLING_CLIPS, with(push_in(&mark), |body| body["duration"] = json!(5))),
        (KLING_CLIPS, with(push_in(&mark), |body| body["cfg_scale"] = json!(0.5))),
        (KLING_CLIPS, with(push_in(&mark), |body| (body["sound"], body["mode"]) = (json!("on"), json!("std")))),
    ] {
        let answer = ask(&stub, path, &body).await.expect("an answer");
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(1201)), "{path} {body}");
    }
    assert_eq!(stub.received(&mark), 0);
    // By the wrong name the model is not read, and the first of all answers.
    let misnamed = json!({ "model": "kling-v2-6", "prompt": mark });
    assert_eq!(ask(&stub, "/kling/v1/videos/text2video", &misnamed).await.expect("an answer").status, 200);
    let ledger = get(&stub, &format!("/_ledger?marker={mark}")).await.expect("an answer").json();
    assert_eq!(ledger["accepted"][0]["model"], "kling-v1");
}
