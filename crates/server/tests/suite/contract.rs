//! Envelope, model ids, bodies: what a caller may send and what comes back.

use crate::support::{AUDIO, IMAGE, SOON, VIDEO, picture, refusal, refused_naming, warned, with};
use pixel_testkit::{Method, Rig, Script, Stub, on_both, stub};
use serde_json::{Value, json};

on_both!(
    every_answer_has_the_envelope,
    model_ids_are_judged_by_their_form,
    bodies_are_json_whatever_is_declared,
    wrong_values_name_their_field,
    unknown_fields_are_ignored,
    what_a_model_cannot_honour_is_warned_of,
    the_originals_examples_are_accepted,
    a_disabled_model_says_what_to_set,
    browsers_on_other_ports_may_call,
);

async fn every_answer_has_the_envelope(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();

    let good = client.get("/api/v1/models").await;
    assert!(good.data().is_object());
    assert!(good.header("x-request-id").is_some_and(|id| id.starts_with("req_")));
    let ids = [client.get("/healthz").await, client.get("/docs").await, client.get("/openapi.json").await];
    assert!(ids.iter().all(|answer| answer.status == 200 && answer.header("x-request-id").is_some()));

    for path in [
        "/api/v1/tasks/task_abc123",
        "/api/v1/tasks/task_00000000000000000000000000000000",
        "/api/v1/nothing",
        "/nothing",
    ] {
        refusal(&client.get(path).await, 404);
    }
    refusal(&client.send(Method::DELETE, "/api/v1/models", &[], None).await, 405);
    refusal(&client.send(Method::GET, IMAGE, &[], None).await, 405);
    for body in ["", "{", "nonsense", "[]", "5", "\"text\"", "null", "{\"prompt\": \"a cat\", \"model\": "] {
        refusal(&client.send(Method::POST, IMAGE, &[], Some(body.into())).await, 400);
    }
    refusal(&client.send(Method::POST, IMAGE, &[], Some(b"{\"prompt\":\"\xff\xfe\"}".to_vec())).await, 400);

    let mut large = picture("sandbox/painter", "large").to_string().into_bytes();
    large.resize(32 * 1024 * 1024 + 1, b' ');
    refusal(&client.send(Method::POST, IMAGE, &[], Some(large)).await, 413);
}

async fn model_ids_are_judged_by_their_form(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    for (path, id) in [
        (IMAGE, "qwen-image"),
        (IMAGE, ""),
        (IMAGE, "/x"),
        (IMAGE, "x/"),
        (IMAGE, "a/b/c"),
        (VIDEO, "/"),
        (AUDIO, "a//b"),
    ] {
        let sentence =
            format!("Model must be in format 'provider/model_key', got: '{id}'. Example: 'dashscope/qwen-image'");
        assert_eq!(refusal(&client.post(path, &picture(id, "a cat")).await, 400), sentence);
    }
    let old = json!({ "prompt": "a cat", "model": "qwen-image", "provider": "dashscope" });
    let sentence = "Model must be in format 'provider/model_key', got: 'qwen-image'. Example: 'dashscope/qwen-image'";
    assert_eq!(refusal(&client.post(IMAGE, &old).await, 400), sentence);

    for path in [IMAGE, VIDEO, AUDIO] {
        let sentence = "Model 'invalid/model' not found. Available models can be fetched from /api/v1/models";
        assert_eq!(refusal(&client.post(path, &picture("invalid/model", "a cat")).await, 404), sentence);
    }
    // A model of another group is known, but not here.
    refused_naming(&client, IMAGE, &picture("dashscope/wan2.6-video", "a cat"), "dashscope/wan2.6-video").await;
}

async fn bodies_are_json_whatever_is_declared(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let body = picture("sandbox/painter", "a cat").to_string().into_bytes();
    let kinds = [
        "text/plain;charset=UTF-8",
        "application/json",
        "application/json; charset=utf-8",
        "application/x-www-form-urlencoded",
        "nonsense",
    ];
    for kind in kinds {
        let answer = client.send(Method::POST, IMAGE, &[("content-type", kind)], Some(body.clone())).await;
        assert_eq!(answer.status, 200, "declared as {kind}: {}", answer.text());
    }
    let undeclared = client.send(Method::POST, IMAGE, &[], Some(body.clone())).await;
    let id = undeclared.data()["task_id"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("task_"));
    assert_eq!(client.task(&id).await["id"], id);
}

async fn wrong_values_name_their_field(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    for missing in ["prompt", "model"] {
        let mut body = picture("sandbox/painter", "a cat");
        body.as_object_mut().expect("an object").remove(missing);
        refused_naming(&client, IMAGE, &body, missing).await;
    }
    let wrong = json!([
        { "prompt": 5 }, { "model": 5 }, { "model": ["sandbox/painter"] }, { "negativePrompt": 5 }, { "resolution": 5 },
        { "resolution": "huge" }, { "aspectRatio": "wide" }, { "aspectRatio": 1.5 }, { "n": "2" }, { "n": 0 }, { "n": 11 },
        { "n": -1 }, { "n": 1.5 }, { "n": 1e30 }, { "imageInputs": "https://example.com/a.png" }, { "imageInputs": [5] },
        { "imageInputs": {} }, { "extraParams": [] }, { "extraParams": "x" }, { "projectId": 7 }, { "source": {} },
        { "sourceId": 7 }, { "seed": "x" }, { "seed": 1.5 },
    ]);
    check_wrong(&client, IMAGE, "sandbox/painter", &wrong).await;
    check_wrong(
        &client,
        VIDEO,
        "sandbox/animator",
        &json!([{ "duration": true }, { "duration": "long" }, { "resolution": "4p0" }]),
    )
    .await;
    check_wrong(
        &client,
        AUDIO,
        "volcengine/doubao-tts",
        &json!([{ "voice": 5 }, { "voice": "nobody" }, { "speed": "fast" }, { "speed": 0 }]),
    )
    .await;
    let nested = [
        ("seed", json!("x")),
        ("mode", json!("fly")),
        ("loras", json!("x")),
        ("loras", json!([{ "weight": 1 }])),
        ("lastFrame", json!(5)),
    ];
    for (field, value) in nested {
        let body = with(picture("sandbox/painter", "a cat"), &json!({ "extraParams": { field: value } }));
        refused_naming(&client, IMAGE, &body, field).await;
    }
    for n in [1, 10] {
        client
            .create("image", &with(picture("sandbox/painter", "a cat"), &json!({ "n": n, "resolution": "64x64" })))
            .await;
    }
}

async fn check_wrong(client: &pixel_testkit::Client, path: &str, model: &str, wrong: &Value) {
    for fields in wrong.as_array().expect("a list") {
        let field = fields.as_object().and_then(|fields| fields.keys().next()).expect("a field");
        refused_naming(client, path, &with(picture(model, "a cat"), fields), field).await;
    }
}

async fn unknown_fields_are_ignored(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let more =
        json!({ "provider": "dashscope", "colour": "red", "nested": { "deep": [1, 2, { "er": null }] }, "N": "x" });
    let task = client.make("image", &with(picture("sandbox/painter", "a cat"), &more), SOON).await;
    assert_eq!(warned(&task), Vec::<String>::new());
}

async fn what_a_model_cannot_honour_is_warned_of(rig: Rig) {
    let (stub, mark) = (Stub::start(), stub::marker());
    stub.by_default(Script::default());
    let server = rig.server().vendors(&stub).start().await;
    let client = server.client();
    let lora = json!({ "extraParams": { "loras": [{ "model": "dashscope/anime-style", "weight": 0.8 }] } });
    let id = client.create("image", &with(picture("dashscope/qwen-image", &mark), &lora)).await;
    // It is said at once, not only at the end.
    assert!(warned(&client.task(&id).await).contains(&"extraParams.loras".to_owned()));
    client.end_of(&id, SOON).await;

    let negative = json!({ "negativePrompt": "blurry", "seed": 7 });
    let task = client.make("image", &with(picture("openai/gpt-image-2", &mark), &negative), SOON).await;
    let fields = warned(&task);
    assert!(fields.contains(&"negativePrompt".to_owned()) && fields.contains(&"seed".to_owned()), "{fields:?}");

    // 1280*720 is none of the vendor's five sizes; 1664*928 is the nearest of its ratio.
    let wide = json!({ "resolution": "1K", "aspectRatio": "16:9" });
    let task = client.make("image", &with(picture("dashscope/qwen-image", &mark), &wide), SOON).await;
    assert_eq!(warned(&task), ["resolution"]);
    let image = &task["result"]["images"][0];
    assert_eq!((image["width"].as_u64(), image["height"].as_u64()), (Some(1664), Some(928)));
    assert_eq!(stub.submissions(&mark).last().expect("a submission").body["parameters"]["size"], "1664*928");

    let client = server.client();
    let most = json!({ "imageInputs": vec!["https://example.com/a.png"; 4] });
    refused_naming(&client, IMAGE, &with(picture("dashscope/qwen-image", &mark), &most), "imageInputs").await;
}

/// The three requests of the original document, letter by letter.
const ORIGINALS: [(&str, &str, &str); 3] = [
    (
        "image",
        IMAGE,
        r#"{
"prompt": "a beautiful sunset over mountains",
"model": "dashscope/qwen-image",
"negativePrompt": "blurry, low quality",
"resolution": "2K",
"aspectRatio": "16:9",
"n": 1,
"imageInputs": ["https://example.com/ref-image.jpg"],
"extraParams": {
"loras": [
{
"model": "dashscope/anime-style",
"weight": 0.8
}
]
},
"projectId": "proj_123",
"source": "canvas",
"sourceId": "canvas_456"
}"#,
    ),
    (
        "video",
        VIDEO,
        r#"{
"prompt": "a cat playing with a ball",
"model": "dashscope/wan2.6-video",
"negativePrompt": "static, blurry",
"duration": "5s",
"resolution": "720p",
"n": 1,
"imageInputs": ["https://example.com/first-frame.jpg"],
"projectId": "proj_123"
}"#,
    ),
    (
        "audio",
        AUDIO,
        r#"{
"prompt": "Hello, welcome to Pixel AI!",
"model": "volcengine/doubao-tts",
"voice": "zh_female_qingxin",
"speed": 1.0,
"projectId": "proj_123"
}"#,
    ),
];

async fn the_originals_examples_are_accepted(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let mut ids = Vec::new();
    for (kind, path, body) in ORIGINALS {
        let data = client.send(Method::POST, path, &[], Some(body.into())).await.data();
        let id = data["task_id"].as_str().expect("an id").to_owned();
        let (task, asked) = (client.task(&id).await, serde_json::from_str::<Value>(body).expect("JSON"));
        assert_eq!((&task["type"], &task["model"]), (&json!(kind), &asked["model"]));
        assert_eq!(task["project_id"], "proj_123");
        for field in ["prompt", "resolution", "aspectRatio", "negativePrompt", "duration", "voice", "imageInputs"] {
            assert_eq!(task["params"][field], asked[field], "params.{field}");
        }
        assert!(task["created_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{task}");
        ids.push(id);
    }
    let image = client.task(&ids[0]).await;
    assert_eq!((&image["source"], &image["source_id"]), (&json!("canvas"), &json!("canvas_456")));
    assert_eq!(client.end_of(&ids[2], SOON).await["status"], "completed");
    // There is no way to example.com from here, so the pictures cannot be had.
    for id in &ids[..2] {
        let code = crate::support::failure(&client.end_of(id, SOON).await);
        assert!(matches!(code.as_str(), "input_unreachable" | "input_refused"), "{code}");
    }
}

async fn a_disabled_model_says_what_to_set(rig: Rig) {
    let stub = Stub::start();
    let server =
        rig.server().env("OPENAI_BASE_URL", stub.openai_base_url()).env("OPENAI_API_KEY", stub::KEY).start().await;
    let client = server.client();
    for (setting, model) in
        [("DASHSCOPE_API_KEY", "dashscope/qwen-image"), ("MODELSCOPE_API_KEY", "modelscope/qwen-image")]
    {
        let message = refusal(&client.post(IMAGE, &picture(model, "a cat")).await, 503);
        assert_eq!(message, format!("Set {setting} to enable '{model}'"));
    }
    // With a key set, the sandbox answers for its own models only.
    client.make("image", &picture("sandbox/painter", "a cat"), SOON).await;
    client.make("image", &picture("openai/gpt-image-2", "a cat"), SOON).await;
    assert_eq!(stub.accepted_in_all(), 1);
}

async fn browsers_on_other_ports_may_call(rig: Rig) {
    let mut server = rig.server().start().await;
    let preflight = |origin: &'static str| {
        [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type"),
        ]
    };
    let allowed = |answer: &pixel_testkit::client::Answer, origin: &str| {
        let granted = answer.header("access-control-allow-origin");
        granted == Some("*") || granted == Some(origin)
    };
    let near = "http://localhost:5173";
    let answer = server.client().send(Method::OPTIONS, IMAGE, &preflight(near), None).await;
    assert!((200..300).contains(&answer.status) && allowed(&answer, near), "{} {:?}", answer.status, answer.headers);
    let lists = |name: &str, word: &str| {
        answer.header(name).is_some_and(|list| list == "*" || list.to_lowercase().contains(word))
    };
    assert!(
        lists("access-control-allow-methods", "post") && lists("access-control-allow-headers", "content-type"),
        "{:?}",
        answer.headers
    );
    for path in ["/api/v1/models", "/api/v1/tasks/task_no", "/nothing"] {
        let answer = server.client().send(Method::GET, path, &[("origin", near)], None).await;
        assert!(allowed(&answer, near), "{path}: {:?}", answer.headers);
    }

    server.relaunch(|launch| launch.env("PIXEL_CORS_ORIGINS", "https://app.example.com")).await;
    let far = "https://app.example.com";
    let answer = server.client().send(Method::OPTIONS, IMAGE, &preflight(far), None).await;
    assert!(allowed(&answer, far), "{:?}", answer.headers);
    let answer = server.client().send(Method::OPTIONS, IMAGE, &preflight("https://evil.example.com"), None).await;
    assert!(!allowed(&answer, "https://evil.example.com"), "{:?}", answer.headers);
}
