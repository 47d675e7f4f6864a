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

const MINIMAX_CLIP: &str = "/minimax/v1/video_generation";
const MINIMAX_CLIP_V2: &str = "/minimax/v2/video_generation";
const MINIMAX_PICTURE: &str = "/minimax/v1/image_generation";
const MINIMAX_SPEECH: &str = "/minimax/v1/t2a_v2";

fn minimax_clip(mark: &str) -> Value {
    json!({ "model": "MiniMax-Hailuo-2.3", "prompt": mark, "duration": 6, "resolution": "768P" })
}

fn minimax_h3(mark: &str) -> Value {
    let content = json!([{ "type": "text", "text": mark }]);
    json!({ "model": "MiniMax-H3", "content": content, "resolution": "2K", "duration": 5, "ratio": "16:9" })
}

fn minimax_picture(mark: &str) -> Value {
    json!({ "model": "image-01", "prompt": mark, "aspect_ratio": "21:9", "n": 2, "response_format": "url" })
}

fn minimax_speech(mark: &str) -> Value {
    json!({ "model": "speech-2.8-hd", "text": mark, "stream": false, "output_format": "hex",
            "voice_setting": { "voice_id": "Wise_Woman" }, "audio_setting": { "format": "mp3" } })
}

#[tokio::test]
async fn minimax_refuses_in_two_ways() {
    let (stub, mark) = (Stub::start(), marker());
    let client = client(&stub);
    let wrong = [("authorization", "Bearer wrong"), JSON];
    for (path, body) in [
        (MINIMAX_CLIP, minimax_clip(&mark)),
        (MINIMAX_PICTURE, minimax_picture(&mark)),
        (MINIMAX_SPEECH, minimax_speech(&mark)),
    ] {
        let answer = client.send(Method::POST, path, &wrong, Some(body.to_string().into_bytes())).await;
        assert_eq!((answer.status, &answer.json()["base_resp"]["status_code"]), (200, &json!(1004)), "{path}");
    }
    let body = minimax_h3(&mark).to_string().into_bytes();
    let answer = client.send(Method::POST, MINIMAX_CLIP_V2, &wrong, Some(body)).await;
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (401, &json!("authorized_error")));

    let mut long = minimax_clip(&mark);
    (long["duration"], long["resolution"]) = (json!(10), json!("1080P"));
    let answer = ask(&stub, MINIMAX_CLIP, &long).await.expect("an answer");
    assert_eq!((answer.status, &answer.json()["base_resp"]["status_code"]), (200, &json!(2013)));
    let mut adaptive = minimax_h3(&mark);
    adaptive["ratio"] = json!("adaptive");
    assert_eq!(ask(&stub, MINIMAX_CLIP_V2, &adaptive).await.expect("an answer").status, 400);
    assert_eq!(stub.received(&mark), 0);
}

#[tokio::test]
async fn minimax_clips_are_files_with_ids_beyond_floats() {
    let (stub, mark) = (Stub::start(), marker());
    stub.script(&mark, Script::media(Media::ExpiredLinks(1)).polls(1));
    let id = ask(&stub, MINIMAX_CLIP, &minimax_clip(&mark)).await.expect("an answer").json()["task_id"].clone();
    let poll = format!("/minimax/v1/query/video_generation?task_id={}", id.as_str().expect("an id"));
    let early = get(&stub, &poll).await.expect("an answer").json();
    assert_eq!((&early["status"], &early["file_id"]), (&json!("Preparing"), &json!("")));
    let done = get(&stub, &poll).await.expect("an answer").json();
    let file = done["file_id"].as_str().expect("text").to_owned();
    assert_ne!(format!("{:.0}", file.parse::<f64>().expect("a number")), file, "a float would do");
    for status in [403, 200] {
        let found = get(&stub, &format!("/minimax/v1/files/retrieve?file_id={file}")).await.expect("an answer").json();
        assert_eq!(found["file"]["file_id"].to_string(), file, "a number here");
        let url = found["file"]["download_url"].as_str().expect("a link").to_owned();
        assert_eq!(client(&stub).get(&url).await.status, status);
    }
    let lost = get(&stub, "/minimax/v1/files/retrieve?file_id=7").await.expect("an answer").json();
    assert_eq!(lost["base_resp"]["status_code"], 2013);
    assert_eq!((stub.accepted(&mark), stub.violations()), (1, Vec::new()));
}

#[tokio::test]
async fn minimax_makes_clips_pictures_and_speech() {
    let (stub, mark) = (Stub::start(), marker());
    let id = ask(&stub, MINIMAX_CLIP_V2, &minimax_h3(&mark)).await.expect("an answer").json()["task_id"].clone();
    let poll = format!("/minimax/v2/query/video_generation/{}", id.as_str().expect("an id"));
    let task = get(&stub, &poll).await.expect("an answer").json()["task"].clone();
    assert_eq!(task["status"], "succeeded");
    let clip = client(&stub).get(task["content"]["url"].as_str().expect("a link")).await;
    assert_eq!(clip.header("content-type"), Some("video/mp4"));

    let made = ask(&stub, MINIMAX_PICTURE, &minimax_picture(&mark)).await.expect("an answer").json();
    assert_eq!(made["metadata"], json!({ "success_count": "2", "failed_count": "0" }));
    let picture = client(&stub).get(made["data"]["image_urls"][1].as_str().expect("a link")).await;
    assert_eq!(media::png_size(&picture.bytes), Some((1344, 576)));

    let said = ask(&stub, MINIMAX_SPEECH, &minimax_speech(&mark)).await.expect("an answer").json();
    assert!(said["data"]["audio"].as_str().is_some_and(|hex| hex.starts_with("52494646")), "RIFF, in hex");
    assert_eq!(stub.accepted(&mark), 3);
}

#[tokio::test]
async fn modelscope_wants_its_headers_and_weights_that_add_up() {
    const SUBMIT: &str = "/modelscope/v1/images/generations";
    const ASYNC_MODE: (&str, &str) = ("x-modelscope-async-mode", "true");
    let (stub, mark) = (Stub::start(), marker());
    let client = client(&stub);
    let good = json!({ "model": "Qwen/Qwen-Image", "prompt": mark, "size": "1328x1328",
                       "loras": { "o/a": 0.6, "o/b": 0.4 } });
    let mut heavy = good.clone();
    heavy["loras"]["o/a"] = json!(0.8);
    let wrong = ("authorization", "Bearer wrong");
    for (headers, body, status) in [
        (vec![wrong, JSON, ASYNC_MODE], &good, 401),
        (vec![BEARER, JSON], &good, 400),
        (vec![BEARER, JSON, ASYNC_MODE], &heavy, 400),
    ] {
        let answer = client.send(Method::POST, SUBMIT, &headers, Some(body.to_string().into_bytes())).await;
        assert!(answer.status == status && answer.json()["errors"]["message"].is_string(), "{}", answer.text());
    }
    assert_eq!(stub.received(&mark), 0);

    stub.script(&mark, Script::default().polls(1));
    let headers = [BEARER, JSON, ASYNC_MODE];
    let answer = client.send(Method::POST, SUBMIT, &headers, Some(good.to_string().into_bytes())).await;
    let poll = format!("/modelscope/v1/tasks/{}", answer.json()["task_id"].as_str().expect("an id"));
    assert_eq!(get(&stub, &poll).await.expect("an answer").status, 400, "without the task's type");
    let headers = [BEARER, ("x-modelscope-task-type", "image_generation")];
    assert_eq!(client.send(Method::GET, &poll, &headers, None).await.json()["task_status"], "PENDING");
    let done = client.send(Method::GET, &poll, &headers, None).await.json();
    let file = client.get(done["output_images"][0].as_str().expect("a link")).await;
    assert_eq!((done["task_status"].as_str(), media::png_size(&file.bytes)), (Some("SUCCEED"), Some((1328, 1328))));
    assert_eq!((stub.accepted(&mark), stub.violations()), (1, Vec::new()));
}
