//! `/models`: groups, order, flags.

use crate::support::{AUDIO, picture, refusal, with};
use pixel_testkit::{Client, Rig, Stub, on_both, stub};
use serde_json::{Value, json};

on_both!(
    without_any_key_everything_is_the_sandboxs,
    with_a_key_its_vendor_comes_first,
    every_key_enables_its_vendor,
    one_model_can_be_asked_for,
    every_model_serves_the_schema_of_what_is_posted,
);

const GROUPS: [&str; 4] = ["image", "video", "audio", "llm"];
const CONTRACT_IDS: [(&str, &str); 5] = [
    ("image", "dashscope/qwen-image"),
    ("image", "modelscope/qwen-image"),
    ("video", "dashscope/wan2.6-video"),
    ("audio", "volcengine/doubao-tts"),
    ("llm", "dashscope/qwen-plus"),
];

async fn models(client: &Client) -> Value {
    let data = client.get("/api/v1/models").await.data();
    let groups: Vec<&String> = data.as_object().expect("an object").keys().collect();
    assert_eq!(groups, GROUPS);
    for group in GROUPS {
        check_group(group, &data[group]);
    }
    data
}

/// What holds for every group whatever is configured.
fn check_group(group: &str, entries: &Value) {
    let entries = entries.as_object().expect("a group is an object");
    assert!(!entries.is_empty(), "{group} is empty");
    let mut ranks = Vec::new();
    for (id, entry) in entries {
        let (provider, key) = id.split_once('/').expect("a composite id");
        let named = json!({ "id": id, "type": group, "provider": provider, "model_key": key });
        for (field, value) in named.as_object().expect("an object") {
            assert_eq!(&entry[field], value, "{field} of {id}");
        }
        assert!(
            entry["name"].is_string() && entry["is_default"].is_boolean() && entry["enabled"].is_boolean(),
            "{entry}"
        );
        ranks.push(match (entry["enabled"] == true, provider == "sandbox") {
            (true, false) => 0,
            (true, true) => 1,
            (false, _) => 2,
        });
    }
    assert!(ranks.is_sorted(), "the order of {group} is {:?}", entries.keys().collect::<Vec<_>>());
    let defaults: Vec<&String> =
        entries.iter().filter(|(_, entry)| entry["is_default"] == true).map(|(id, _)| id).collect();
    let first_enabled = entries.iter().find(|(_, entry)| entry["enabled"] == true).map(|(id, _)| id);
    assert_eq!(defaults, first_enabled.into_iter().collect::<Vec<_>>(), "default of {group}");
    assert_eq!(entries.keys().next(), first_enabled, "the first key of {group} must be usable");
}

async fn without_any_key_everything_is_the_sandboxs(rig: Rig) {
    let server = rig.server().start().await;
    let data = models(&server.client()).await;
    for (group, id) in CONTRACT_IDS {
        assert_eq!(data[group][id]["enabled"], true, "{id}");
    }
    for group in GROUPS {
        let entries = data[group].as_object().expect("an object");
        assert!(entries.values().all(|entry| entry["sandbox"] == true), "{group} does not say that it is the sandbox");
    }
    let first = |group: &str| data[group].as_object().and_then(|entries| entries.keys().next().cloned());
    let firsts = GROUPS.map(|group| first(group).unwrap_or_default());
    assert_eq!(
        firsts,
        ["dashscope/qwen-image", "dashscope/wan2.6-video", "volcengine/doubao-tts", "dashscope/qwen-plus"]
    );

    let qwen = &data["image"]["dashscope/qwen-image"];
    assert_eq!(
        (&qwen["resolutions"]["1K"]["16:9"], &qwen["resolutions"]["1K"]["1:1"]),
        (&json!("1280*720"), &json!("1024*1024"))
    );
    assert_eq!(
        (&qwen["resolutions"]["2K"]["16:9"], &qwen["resolutions"]["2K"]["1:1"]),
        (&json!("2560*1440"), &json!("2048*2048"))
    );
    assert!(
        qwen["capabilities"]["supportsLora"].is_boolean() && qwen["capabilities"]["supportsRefImage"] == true,
        "{qwen}"
    );
    let durations = &data["video"]["dashscope/wan2.6-video"]["durations"];
    assert_eq!((&durations["5s"], &durations["10s"]), (&json!("5秒"), &json!("10秒")));
    let voices = data["audio"]["volcengine/doubao-tts"]["voices"].as_array().expect("a list").clone();
    assert!(voices.contains(&json!({ "id": "zh_female_qingxin", "name": "清新女声", "language": "zh" })), "{voices:?}");
    assert!(server.logs().to_lowercase().contains("sandbox"), "the log does not say that this is the sandbox");
}

async fn with_a_key_its_vendor_comes_first(rig: Rig) {
    let stub = Stub::start();
    let server =
        rig.server().env("OPENAI_BASE_URL", stub.openai_base_url()).env("OPENAI_API_KEY", stub::KEY).start().await;
    let data = models(&server.client()).await;
    let image = data["image"].as_object().expect("an object");
    assert!(image.keys().next().is_some_and(|id| id.starts_with("openai/")), "{:?}", image.keys());
    for (group, id) in CONTRACT_IDS {
        assert_eq!(data[group][id]["enabled"], false, "{id} has no key");
    }
    for (id, entry) in GROUPS.iter().flat_map(|group| data[group].as_object().expect("an object")) {
        assert_eq!(entry["sandbox"] == true, id.starts_with("sandbox/"), "{id}: {entry}");
    }
    assert_eq!(data["video"]["sandbox/animator"]["is_default"], true);
}

async fn every_key_enables_its_vendor(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).start().await;
    let data = models(&server.client()).await;
    assert_eq!(data["image"]["dashscope/qwen-image"]["is_default"], true);
    assert_eq!(data["image"]["openai/gpt-image-2"]["enabled"], true);
    assert_eq!(data["image"]["modelscope/qwen-image"]["enabled"], false);

    let server = rig
        .replica("forced")
        .vendors(&stub)
        .arg("--sandbox")
        .data(&rig.folder().join("other"))
        .db(pixel_testkit::Db::Sqlite);
    let server = server.start().await;
    let data = models(&server.client()).await;
    assert_eq!(data["image"]["modelscope/qwen-image"]["sandbox"], true, "--sandbox answers every model");
}

async fn one_model_can_be_asked_for(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let all = models(&client).await;
    for (group, id) in CONTRACT_IDS {
        assert_eq!(client.get(&format!("/api/v1/models/{id}")).await.data(), all[group][id]);
    }
    let message = refusal(&client.get("/api/v1/models/invalid/model").await, 404);
    assert_eq!(message, "Model 'invalid/model' not found. Available models can be fetched from /api/v1/models");
}

async fn every_model_serves_the_schema_of_what_is_posted(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let all = models(&client).await;
    for (id, entry) in GROUPS.iter().flat_map(|group| all[group].as_object().expect("an object")) {
        let answer = client.get(&format!("/api/v1/models/{id}/schema")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/schema+json")));
        let schema = answer.json();
        assert!(jsonschema::draft202012::meta::is_valid(&schema), "{schema:#}");
        assert_eq!((&schema["title"], &schema["properties"]["model"]["const"]), (&entry["name"], &json!(id)));
    }
    // What it says of a body is what becomes of it.
    let schema = client.get("/api/v1/models/sandbox/speaker/schema").await.json();
    let validator = jsonschema::draft202012::new(&schema).expect("it is a schema");
    for (more, status) in [
        (json!({ "n": 10, "speed": 4.0, "voice": "lan_female", "projectId": "p" }), 200),
        (json!({ "n": 11 }), 400),
        (json!({ "speed": 4.01 }), 400),
        (json!({ "voice": "nobody" }), 400),
        (json!({ "prompt": "\n" }), 400),
        (json!({ "imageInputs": ["https://example.com/a.png"] }), 400),
        (json!({ "extraParams": { "lastFrame": "https://example.com/a.png" } }), 400),
    ] {
        let body = with(picture("sandbox/speaker", "hello"), &more);
        assert_eq!(validator.is_valid(&body), status == 200, "{body}");
        assert_eq!(client.post(AUDIO, &body).await.status, status, "{body}");
    }
    let message = refusal(&client.get("/api/v1/models/invalid/model/schema").await, 404);
    assert_eq!(message, "Model 'invalid/model' not found. Available models can be fetched from /api/v1/models");
}
