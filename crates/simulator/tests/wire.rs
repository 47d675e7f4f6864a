//! The simulator judges others, so it is judged here: both real vendors' wire forms.

use base64::{Engine, engine::general_purpose::STANDARD};
use pixel_testkit::{
    Client, Method, Script, Stub,
    client::Answer,
    media,
    stub::{Media, Submit, marker},
};
use serde_json::{Value, json};
use std::time::Duration;

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
