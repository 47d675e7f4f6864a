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
