//! Further wire forms of vendors that have several: messages, clips, speech, and a store for inputs.
#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use pixel_testkit::{Client, Method, Script, Stub, client::Answer, stub::marker};
use serde_json::{Value, json};

const BEARER: (&str, &str) = ("authorization", "Bearer test-key");
const JSON: (&str, &str) = ("content-type", "application/json");
const ASYNC: (&str, &str) = ("x-dashscope-async", "enable");

fn client(stub: &Stub) -> Client {
    Client::new(&format!("http://{}", stub.address()))
}

async fn ask(stub: &Stub, path: &str, body: &Value) -> Result<Answer, reqwest::Error> {
    client(stub).try_send(Method::POST, path, &[BEARER, JSON, ASYNC], Some(body.to_string().into_bytes())).await
}

async fn get(stub: &Stub, path: &str) -> Result<Answer, reqwest::Error> {
    client(stub).try_send(Method::GET, path, &[BEARER], None).await
}

const MESSAGES: &str = "/dashscope/api/v1/services/aigc/multimodal-generation/generation";
const CLIPS: &str = "/dashscope/api/v1/services/aigc/video-generation/video-synthesis";

async fn blocking(stub: &Stub, path: &str, body: &Value) -> Answer {
    client(stub).send(Method::POST, path, &[BEARER, JSON], Some(body.to_string().into_bytes())).await
}

/// How a task of DashScope stands, as its words say it.
async fn standing(stub: &Stub, id: &Value) -> Value {
    let poll = format!("/dashscope/api/v1/tasks/{}", id.as_str().expect("an id"));
    get(stub, &poll).await.expect("an answer").json()["output"].clone()
}

#[tokio::test]
async fn messages_are_answered_at_once_or_as_a_task() {
    let (stub, mark) = (Stub::start(), marker());
    let ask_for = |model: &str, parameters: Value| {
        let messages = json!([{ "role": "user", "content": [{ "text": format!("a crane {mark}") }] }]);
        json!({ "model": model, "input": { "messages": messages }, "parameters": parameters })
    };
    let two =
        blocking(&stub, MESSAGES, &ask_for("qwen-image-2.0", json!({ "n": 2, "size": "1024*1024" }))).await.json();
    assert_eq!(two["output"]["choices"].as_array().map(Vec::len), Some(2), "{two}");
    let bare = ask_for("z-image-turbo", json!({ "n": 1 }));
    assert_eq!(blocking(&stub, MESSAGES, &bare).await.status, 400, "the count is refused");
    let task = "/dashscope/api/v1/services/aigc/image-generation/generation";
    let body = ask_for("wan2.6-t2i", json!({ "size": "1280*1280" }));
    assert_eq!(blocking(&stub, task, &body).await.status, 403, "not without the header");
    assert_eq!(ask(&stub, MESSAGES, &body).await.expect("an answer").status, 403, "nor with it");
    let id = ask(&stub, task, &body).await.expect("an answer").json()["output"]["task_id"].clone();
    let output = standing(&stub, &id).await;
    assert_eq!((&output["task_status"], &output["finished"]), (&json!("SUCCEEDED"), &json!(true)));
    assert_eq!(output["choices"].as_array().map(Vec::len), Some(4), "it makes four where nothing is said");
}

#[tokio::test]
async fn clips_are_judged_when_they_are_made() {
    let (stub, mark) = (Stub::start(), marker());
    let prompt = format!("a kitten {mark}");
    let good = json!({ "model": "wan2.6-t2v", "input": { "prompt": prompt }, "parameters": { "size": "1280*720", "duration": 5 } });
    let old_field = json!({ "model": "wan2.7-i2v", "input": { "prompt": prompt, "img_url": "https://a.test/a.png" } });
    let pixels = json!({ "model": "wan2.6-i2v", "input": { "prompt": prompt, "img_url": "https://a.test/a.png" },
                         "parameters": { "size": "1280*720" } });
    for (body, word) in [(&good, "SUCCEEDED"), (&old_field, "FAILED"), (&pixels, "FAILED")] {
        let id = ask(&stub, CLIPS, body).await.expect("an answer").json()["output"]["task_id"].clone();
        let output = standing(&stub, &id).await;
        assert_eq!(output["task_status"], word, "{body}: {output}");
        assert_eq!(output["video_url"].is_string(), word == "SUCCEEDED", "{output}");
    }
    assert_eq!(stub.accepted(&mark), 3);
}

#[tokio::test]
async fn speech_is_a_link_or_the_answer_itself() {
    let (stub, mark) = (Stub::start(), marker());
    let text = format!("Hello {mark}");
    let say = |voice: &str| json!({ "model": "qwen3-tts-flash", "input": { "text": text, "voice": voice } });
    let audio = blocking(&stub, MESSAGES, &say("Cherry")).await.json()["output"]["audio"].clone();
    let file = client(&stub).get(audio["url"].as_str().expect("a link")).await;
    assert!(file.bytes.starts_with(b"RIFF"), "no sound");
    assert_eq!(blocking(&stub, MESSAGES, &say("Nobody")).await.status, 400);
    let say = |voice: &str| json!({ "model": "tts-1", "input": text, "voice": voice });
    assert!(blocking(&stub, "/openai/v1/audio/speech", &say("coral")).await.bytes.starts_with(b"RIFF"));
    assert_eq!(blocking(&stub, "/openai/v1/audio/speech", &say("Nobody")).await.status, 400);
}

#[tokio::test]
async fn inputs_are_laid_into_the_store_with_a_policy_and_without_the_key() {
    let (stub, mark) = (Stub::start(), marker());
    let client = client(&stub);
    let policy =
        get(&stub, "/dashscope/api/v1/uploads?action=getPolicy&model=wan2.6-t2v").await.expect("an answer").json();
    let (data, text) = (&policy["data"], |name: &str| policy["data"][name].as_str().expect("text").to_owned());
    let key = format!("{}/a.wav", text("upload_dir"));
    let form = |signature: &str| {
        let fields = [
            ("OSSAccessKeyId", text("oss_access_key_id")),
            ("Signature", signature.to_owned()),
            ("policy", text("policy")),
            ("key", key.clone()),
            ("x-oss-object-acl", text("x_oss_object_acl")),
            ("x-oss-forbid-overwrite", text("x_oss_forbid_overwrite")),
            ("success_action_status", "200".to_owned()),
        ];
        let part = |(name, value): &(&str, String)| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--b--\r\n";
        (fields.iter().map(part).collect::<String>() + file).into_bytes()
    };
    let kind = ("content-type", "multipart/form-data; boundary=b");
    let (url, good) = (text("upload_host"), form(&text("signature")));
    assert_eq!(client.send(Method::POST, &url, &[kind], Some(good.clone())).await.status, 200, "{data}");
    assert_eq!(client.send(Method::POST, &url, &[kind, BEARER], Some(good)).await.status, 400, "the key went along");
    assert_eq!(client.send(Method::POST, &url, &[kind], Some(form("made up"))).await.status, 403);
    let clip =
        |model: &str| json!({ "model": model, "input": { "prompt": mark, "audio_url": format!("oss://{key}") } });
    let resolve = ("x-dashscope-ossresourceresolve", "enable");
    for (model, headers, word) in [
        ("wan2.6-t2v", vec![BEARER, JSON, ASYNC, resolve], "SUCCEEDED"),
        ("wan2.6-t2v", vec![BEARER, JSON, ASYNC], "FAILED"),
        ("wan2.7-t2v", vec![BEARER, JSON, ASYNC, resolve], "FAILED"),
    ] {
        let answer = client.send(Method::POST, CLIPS, &headers, Some(clip(model).to_string().into_bytes())).await;
        assert_eq!(standing(&stub, &answer.json()["output"]["task_id"]).await["task_status"], word, "{model}");
    }
}

#[tokio::test]
async fn a_clip_of_the_openai_form_is_brought_with_the_key() {
    let (stub, mark) = (Stub::start(), marker());
    stub.script(&mark, Script::default().polls(2));
    let clip = |seconds: Value| json!({ "model": "sora-2", "prompt": mark, "seconds": seconds, "size": "1280x720" });
    assert_eq!(blocking(&stub, "/openai/v1/videos", &clip(json!(4))).await.status, 400, "the seconds are text");
    let job = blocking(&stub, "/openai/v1/videos", &clip(json!("4"))).await.json();
    let path = format!("/openai/v1/videos/{}", job["id"].as_str().expect("an id"));
    for status in ["queued", "in_progress", "completed"] {
        assert_eq!(get(&stub, &path).await.expect("an answer").json()["status"], status);
    }
    let content = format!("{path}/content");
    assert_eq!(client(&stub).try_send(Method::GET, &content, &[], None).await.expect("an answer").status, 401);
    let file = get(&stub, &content).await.expect("an answer");
    assert_eq!((file.status, file.header("content-type"), &file.bytes[4..8]), (200, Some("video/mp4"), &b"ftyp"[..]));
    assert_eq!(get(&stub, "/openai/v1/videos/no-such").await.expect("an answer").status, 404);
}

#[tokio::test]
async fn an_empty_account_is_told_what_is_free_and_sold_nothing() {
    let stub = Stub::start();
    let ask = |method: Method, path: &'static str, header: (&'static str, &'static str), body: Value| {
        let client = client(&stub);
        async move {
            let trace = ("ai-trace-id", "4b0c7f4e-0000-4000-8000-000000000001");
            client.send(method, path, &[header, JSON, trace], Some(body.to_string().into_bytes())).await
        }
    };
    let empty = ("authorization", "Bearer test-key-empty");
    let lists = [
        (Method::POST, "/kling/tasks", json!({ "limit": 1 }), "/data/result"),
        (Method::GET, "/kling/v1/videos/text2video?pageNum=1&pageSize=1", Value::Null, "/data"),
        (Method::GET, "/minimax/v2/query/video_generation?page_num=1&page_size=1", Value::Null, "/items"),
        (Method::GET, "/volcengine/api/v3/models?page_num=1&page_size=1", Value::Null, "/data"),
    ];
    for (method, path, body, at) in lists {
        let answer = ask(method, path, empty, body).await;
        assert!(answer.status == 200 && answer.json().pointer(at).is_some_and(Value::is_array), "{}", answer.text());
    }
    let balance = ask(Method::GET, "/pixverse/openapi/v2/account/balance", ("api-key", "test-key-empty"), Value::Null);
    assert_eq!(balance.await.json()["Resp"]["credit_monthly"], 0);
    let sold = ask(Method::POST, "/kling/v1/videos/text2video", empty, json!({ "prompt": "a kite" })).await;
    assert_eq!((sold.status, &sold.json()["code"]), (429, &json!(1102)));
    let wrong = ask(Method::POST, "/kling/tasks", BEARER, json!({ "limit": 501 })).await;
    assert_eq!((wrong.status, &wrong.json()["code"]), (400, &json!(1201)));
    let unknown = ask(Method::POST, "/kling/tasks", ("authorization", "Bearer no"), json!({ "limit": 1 })).await;
    assert_eq!((unknown.status, &unknown.json()["code"]), (401, &json!(1002)));
    assert_eq!(stub.received_in_all(), 0);
}
