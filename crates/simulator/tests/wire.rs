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
#[path = "wire/pixverse_account.rs"]
mod pixverse_account;

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

const ARK_IMAGES: &str = "/volcengine/api/v3/images/generations";
const ARK_TASKS: &str = "/volcengine/api/v3/contents/generations/tasks";
const DOUBAO: &str = "/volcengine/api/v3/tts/unidirectional";
const SPEAKER: [(&str, &str); 3] =
    [("x-api-app-id", "test-key"), ("x-api-access-key", "test-secret"), ("x-api-resource-id", "seed-tts-2.0")];

fn speech(mark: &str, voice: &str) -> Vec<u8> {
    let params = json!({ "text": format!("hello {mark}"), "speaker": voice, "audio_params": { "format": "mp3" } });
    json!({ "user": { "uid": "u" }, "req_params": params }).to_string().into_bytes()
}

#[tokio::test]
async fn ark_makes_pictures_and_clips_for_its_own_key() {
    let (stub, mark) = (Stub::start(), marker());
    let picture =
        |size: &str| json!({ "model": "doubao-seedream-4-5-251128", "prompt": format!("a fox {mark}"), "size": size });
    let made = ask(&stub, ARK_IMAGES, &picture("2048x2048")).await.expect("an answer").json();
    let file = client(&stub).get(made["data"][0]["url"].as_str().expect("a link")).await;
    assert_eq!(media::png_size(&file.bytes), Some((2048, 2048)));
    let small = ask(&stub, ARK_IMAGES, &picture("1024x1024")).await.expect("an answer");
    assert_eq!((small.status, small.json()["error"]["code"].clone()), (400, json!("InvalidParameter")));
    let clip = |seconds: u32| {
        json!({ "model": "doubao-seedance-2-0-260128", "duration": seconds, "generate_audio": false,
                "content": [{ "type": "text", "text": format!("a fox {mark}") }] })
    };
    assert_eq!(ask(&stub, ARK_TASKS, &clip(3)).await.expect("an answer").status, 400);
    let id = ask(&stub, ARK_TASKS, &clip(5)).await.expect("an answer").json()["id"].clone();
    let done = get(&stub, &format!("{ARK_TASKS}/{}", id.as_str().expect("an id"))).await.expect("an answer").json();
    assert_eq!(done["status"], "succeeded");
    let file = client(&stub).get(done["content"]["video_url"].as_str().expect("a link")).await;
    assert_eq!(&file.bytes[4..8], b"ftyp");
    assert_eq!((stub.accepted(&mark), stub.violations().len()), (2, 0));
}

#[tokio::test]
async fn doubao_speaks_in_packets_and_wants_a_key_of_its_own() {
    let (stub, mark) = (Stub::start(), marker());
    let voice = "zh_female_vv_uranus_bigtts";
    let send = async |headers: &[(&str, &str)], voice: &str| {
        client(&stub).send(Method::POST, DOUBAO, headers, Some(speech(&mark, voice))).await
    };
    assert_eq!(send(&[BEARER, JSON, SPEAKER[2]], voice).await.status, 401, "a key of Ark");
    assert_eq!(client(&stub).send(Method::POST, ARK_IMAGES, &SPEAKER, Some(b"{}".to_vec())).await.status, 401);
    let mismatch = send(&SPEAKER, "zh_female_cancan_mars_bigtts").await;
    assert_eq!((mismatch.status, mismatch.json()["code"].clone()), (200, json!(55_000_000)));
    let spoken = send(&SPEAKER, voice).await;
    let packets: Vec<Value> = spoken.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let pieces = packets.iter().filter_map(|packet| packet["data"].as_str());
    let sound: Vec<u8> = pieces.flat_map(|piece| STANDARD.decode(piece).expect("base64")).collect();
    assert!(sound.starts_with(b"RIFF") && sound.len() == 44 + 2 * 24_000, "{} bytes", sound.len());
    assert_eq!(packets.last().map(|packet| packet["code"].clone()), Some(json!(20_000_000)));
    assert_eq!(stub.accepted(&mark), 1);
}

/// A signed call of the visual service.
#[expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]
async fn visual(stub: &Stub, action: &str, body: &Value, secret: &str) -> Answer {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::{Digest as _, Sha256};
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let body = body.to_string();
    let (hash, host) = (hex(&Sha256::digest(&body)), stub.address().to_string());
    let (date, scope) = ("20261120T120000Z", "20261120/cn-north-1/cv/request");
    let names = "content-type;host;x-content-sha256;x-date";
    let query = format!("Action={action}&Version=2022-08-31");
    let headers = format!("content-type:application/json\nhost:{host}\nx-content-sha256:{hash}\nx-date:{date}\n");
    let canonical = hex(&Sha256::digest(format!("POST\n/\n{query}\n{headers}\n{names}\n{hash}")));
    let text = format!("HMAC-SHA256\n{date}\n{scope}\n{canonical}");
    let signature = scope.split('/').chain([text.as_str()]).fold(secret.as_bytes().to_vec(), |key, step| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any key");
        mac.update(step.as_bytes());
        mac.finalize().into_bytes().to_vec()
    });
    let authorization =
        format!("HMAC-SHA256 Credential=test-key/{scope}, SignedHeaders={names}, Signature={}", hex(&signature));
    let headers = [JSON, ("x-date", date), ("x-content-sha256", &hash), ("authorization", &authorization)];
    client(stub).send(Method::POST, &format!("/volcengine/?{query}"), &headers, Some(body.into_bytes())).await
}

#[tokio::test]
async fn jimeng_takes_signed_calls_only() {
    let (stub, mark) = (Stub::start(), marker());
    let clip = json!({ "req_key": "jimeng_t2v_v30", "prompt": format!("a fox {mark}"), "frames": 121 });
    let submit = "CVSync2AsyncSubmitTask";
    let wrong = visual(&stub, submit, &clip, "another").await;
    assert_eq!(
        (wrong.status, wrong.json()["ResponseMetadata"]["Error"]["Code"].clone()),
        (401, json!("SignatureDoesNotMatch"))
    );
    assert_eq!(
        ask(&stub, &format!("/volcengine/?Action={submit}&Version=2022-08-31"), &clip).await.expect("an answer").status,
        401
    );
    let mut odd = clip.clone();
    odd["frames"] = json!(100);
    assert_eq!(visual(&stub, submit, &odd, "test-secret").await.json()["code"], 50_215);
    let id = visual(&stub, submit, &clip, "test-secret").await.json()["data"]["task_id"].clone();
    let poll = json!({ "req_key": "jimeng_t2v_v30", "task_id": id, "req_json": "{\"return_url\":true}" });
    let done = visual(&stub, "CVSync2AsyncGetResult", &poll, "test-secret").await.json();
    assert_eq!((done["code"].clone(), done["data"]["status"].clone()), (json!(10_000), json!("done")));
    assert!(done["data"]["video_url"].as_str().expect("a link").contains(".mp4"));
    assert_eq!((stub.accepted(&mark), stub.received(&mark)), (1, 1));
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
