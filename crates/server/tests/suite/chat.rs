//! Chat: with the sandbox's writer here, with vendors in [`relay`]; whole and streamed.

mod relay;

use crate::support::refusal;
use pixel_testkit::{Rig, client::Answer, on_both};
use serde_json::{Value, json};

on_both!(chat_answers_whole_and_streamed);

const PATH: &str = "/v1/chat/completions";

/// The smallest request.
fn question(model: &str, text: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": text }] })
}

/// The data of a stream's events, each of which is JSON.
fn events(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let events = text.split("\n\n").map(str::trim).filter(|event| !event.is_empty() && !event.starts_with(':'));
    let data = |event: &str| event.strip_prefix("data: ").unwrap_or_else(|| panic!("no data: {event}")).to_owned();
    let read = |data: String| serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data}"));
    events.map(data).filter(|data| data != "[DONE]").map(read).collect()
}

/// The chunks of a stream that has come to its end.
fn chunks(answer: &Answer) -> Vec<Value> {
    assert!(answer.text().trim_end().ends_with("data: [DONE]"), "{}", answer.text());
    events(answer)
}

/// What the chunks say together.
fn told(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

async fn chat_answers_whole_and_streamed(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let mut body = question("sandbox/writer", "Tell me of the sea");
    let whole = client.post(PATH, &body).await;
    assert_eq!(whole.status, 200, "{}", whole.text());
    let whole = whole.json();
    let text = whole["choices"][0]["message"]["content"].as_str().expect("text").to_owned();
    assert!(!text.is_empty());
    assert_eq!((&whole["object"], &whole["choices"][0]["finish_reason"]), (&json!("chat.completion"), &json!("stop")));
    assert!(whole["usage"]["total_tokens"].as_u64().is_some_and(|n| n > 0), "{whole}");
    let again = client.post(PATH, &body).await.json();
    assert_eq!(again["choices"][0]["message"]["content"], text.as_str(), "the text is deterministic");

    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    let stream = client.post(PATH, &body).await;
    assert!(
        stream.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")),
        "{:?}",
        stream.headers
    );
    let chunks = chunks(&stream);
    assert!(chunks.len() > 2 && chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"));
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(told(&chunks), text, "streamed and whole are the same text");
    assert!(chunks.iter().any(|chunk| chunk["choices"][0]["finish_reason"] == "stop"));
    assert!(chunks.last().is_some_and(|chunk| chunk["usage"]["total_tokens"].is_number()), "{:?}", chunks.last());

    body["model"] = json!("no/such");
    assert_eq!(client.post(PATH, &body).await.status, 404);
    body["model"] = json!("dashscope/qwen-plus");
    body["stream"] = json!(false);
    assert_eq!(client.post(PATH, &body).await.status, 200, "without a key the sandbox answers for every model");
    refusal(&client.get("/v1/nothing").await, 404);
}
