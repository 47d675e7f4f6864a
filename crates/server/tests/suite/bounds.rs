//! What a stranger may try: names that are not ours, requests without measure, addresses that
//! cannot be read.

use crate::support::{IMAGE, SOON, picture, refusal, refused_naming, with};
use pixel_testkit::{Method, Rig, on_sqlite};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

on_sqlite!(
    a_foreign_name_is_not_answered,
    requests_have_a_measure,
    unreadable_addresses_get_the_envelope,
    chat_errors_speak_to_both_kinds_of_clients,
    a_long_poll_is_answered_at_the_end,
    our_own_media_is_known_by_every_local_name,
);

/// A page can have its own name resolve to this machine.
async fn a_foreign_name_is_not_answered(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let body = || Some(picture("sandbox/painter", "a cat").to_string().into_bytes());
    let foreign = [("host", "evil.test"), ("origin", "http://evil.test")];
    assert!(refusal(&client.send(Method::POST, IMAGE, &foreign, body()).await, 403).contains("PIXEL_PUBLIC_URL"));
    refusal(&client.send(Method::GET, "/api/v1/tasks", &foreign[..1], None).await, 403);
    let port = server.url().rsplit(':').next().unwrap();
    for name in [format!("localhost:{port}"), format!("[::1]:{port}")] {
        assert_eq!(client.send(Method::GET, "/healthz", &[("host", &name)], None).await.status, 200, "{name}");
    }
    drop(server);
    let server = rig.server().env("PIXEL_PUBLIC_URL", "https://pixel.test").start().await;
    let named = server.client().send(Method::POST, IMAGE, &[("host", "pixel.test")], body()).await;
    assert_eq!(named.status, 200);
}

async fn requests_have_a_measure(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let plain = || picture("sandbox/painter", "a cat");
    let refused = [
        (json!({ "prompt": "x".repeat(100_001) }), "prompt"),
        (json!({ "negativePrompt": "x".repeat(100_001) }), "negativePrompt"),
        (json!({ "imageInputs": vec!["http://x.test/a.png"; 65] }), "imageInputs"),
        (
            json!({ "extraParams": (0..65).map(|at| (at.to_string(), json!(1))).collect::<serde_json::Map<_, _>>() }),
            "extraParams",
        ),
        (json!({ "extraParams": { "quality": "x".repeat(70_000) } }), "extraParams"),
        (json!({ "resolution": "8192*8192" }), "resolution"),
        (json!({ "seed": -5 }), "seed"),
    ];
    for (more, field) in refused {
        refused_naming(&client, IMAGE, &with(plain(), &more), field).await;
    }
    let begun = Instant::now();
    let many = with(plain(), &json!({ "imageInputs": vec!["x"; 1_000_000] }));
    refused_naming(&client, IMAGE, &many, "imageInputs").await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for at in 0..50 {
        let method = Method::from_bytes(format!("M{at}").as_bytes()).unwrap();
        refusal(&client.send(method, "/healthz", &[], None).await, 405);
    }
    assert!(!client.get("/metrics").await.text().contains("M49"), "a caller cannot make series");
}

async fn unreadable_addresses_get_the_envelope(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    for path in ["/api/v1/tasks/%ff", "/api/v1/models/%ff/x", "/media/%ff", "/docs/assets/%ff"] {
        refusal(&client.get(path).await, 400);
    }
    refusal(&client.get("/docs/assets/nothing.js").await, 404);
}

async fn chat_errors_speak_to_both_kinds_of_clients(rig: Rig) {
    let server = rig.server().start().await;
    let body = json!({ "model": "sandbox/nobody", "messages": [{ "role": "user", "content": "Hello" }] });
    let answer = server.client().post("/v1/chat/completions", &body).await;
    let sentence = refusal(&answer, 404);
    assert_eq!(answer.json()["error"]["message"], json!(sentence));
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
}

async fn a_long_poll_is_answered_at_the_end(rig: Rig) {
    let mut server =
        rig.server().env("OPENAI_API_KEY", "test-key").env("OPENAI_BASE_URL", "http://127.0.0.1:9/v1").start().await;
    let client = server.client();
    let id = client.create("image", &picture("openai/gpt-image-2", "never")).await;
    let path = format!("/api/v1/tasks/{id}?wait=60");
    let waiting = tokio::spawn(async move { client.get(&path).await });
    let begun = Instant::now();
    let asked = server.client();
    let waits = || async { asked.get("/metrics").await.text().contains("/api/v1/tasks/{task_id}").then_some(()) };
    // The wait itself is not counted before it ends; another look at the task is.
    asked.task(&id).await;
    pixel_testkit::wait::until("a task was looked at", SOON, waits).await;
    let (status, _) = server.sigterm().await;
    let answer = waiting.await.unwrap();
    assert!(status.success() && begun.elapsed() < Duration::from_secs(20));
    assert_eq!((answer.status, answer.data()["id"].clone()), (200, Value::String(id)));
}

async fn our_own_media_is_known_by_every_local_name(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let made = client.make("image", &picture("sandbox/painter", "a cat"), SOON).await;
    let url = made["result"]["images"][0]["url"].as_str().unwrap().to_owned();
    let path = url.split_once("/media/").map(|(_, file)| format!("/media/{file}")).unwrap();
    for own in [url.clone(), path, url.replace("127.0.0.1", "localhost"), url.replace("http://", "HTTP://")] {
        let body = with(picture("sandbox/painter", "again"), &json!({ "imageInputs": [own] }));
        assert_eq!(client.make("image", &body, SOON).await["status"], "completed", "{own}");
    }
    let port = server.url().rsplit(':').next().unwrap();
    let other = url.replace(port, "1");
    refused_naming(
        &client,
        IMAGE,
        &with(picture("sandbox/painter", "x"), &json!({ "imageInputs": [other] })),
        "imageInputs[0]",
    )
    .await;
}
