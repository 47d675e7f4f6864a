//! Chat with the sandbox's writer, whole and streamed.

use crate::support::refusal;
use pixel_testkit::{Rig, on_both};
use serde_json::{Value, json};

on_both!(chat_answers_whole_and_streamed);

async fn chat_answers_whole_and_streamed(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let mut body =
        json!({ "model": "sandbox/writer", "messages": [{ "role": "user", "content": "Tell me of the sea" }] });
    let path = "/v1/chat/completions";
    let whole = client.post(path, &body).await;
    assert_eq!(whole.status, 200, "{}", whole.text());
    let whole = whole.json();
    let text = whole["choices"][0]["message"]["content"].as_str().expect("text").to_owned();
    assert!(!text.is_empty());
    assert_eq!((&whole["object"], &whole["choices"][0]["finish_reason"]), (&json!("chat.completion"), &json!("stop")));
    assert!(whole["usage"]["total_tokens"].as_u64().is_some_and(|n| n > 0), "{whole}");
    let again = client.post(path, &body).await.json();
    assert_eq!(again["choices"][0]["message"]["content"], text.as_str(), "the text is deterministic");

    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    let stream = client.post(path, &body).await;
    assert!(
        stream.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")),
        "{:?}",
        stream.headers
    );
    let events = stream.text();
    let lines: Vec<&str> =
        events.split("\n\n").map(str::trim).filter(|event| !event.is_empty() && !event.starts_with(':')).collect();
    assert_eq!(lines.last(), Some(&"data: [DONE]"));
    let chunk =
        |line: &&str| serde_json::from_str::<Value>(line.strip_prefix("data: ").expect("a data line")).expect("JSON");
    let chunks: Vec<Value> = lines[..lines.len() - 1].iter().map(chunk).collect();
    assert!(chunks.len() > 2 && chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"));
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let pieces: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(pieces, text, "streamed and whole are the same text");
    assert!(chunks.iter().any(|chunk| chunk["choices"][0]["finish_reason"] == "stop"));
    assert!(chunks.last().is_some_and(|chunk| chunk["usage"]["total_tokens"].is_number()), "{:?}", chunks.last());

    body["model"] = json!("no/such");
    assert_eq!(client.post(path, &body).await.status, 404);
    body["model"] = json!("dashscope/qwen-plus");
    body["stream"] = json!(false);
    assert_eq!(client.post(path, &body).await.status, 200, "without a key the sandbox answers for every model");
    refusal(&client.get("/v1/nothing").await, 404);
}
