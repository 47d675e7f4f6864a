//! `POST /v1/chat/completions`: text, whole or streamed, in the common chat-completions wire form.
//! The sandbox's writer answers here; what a vendor answers is passed on by [`relay`].

mod relay;

use super::{body, envelope::ApiError, state::App};
use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response, Sse, sse::Event},
};
use futures_util::{Stream, stream};
use pixel_core::{
    capability::MESSAGES_MAX,
    chat::{Chat, Message, Written},
    request::Kind,
};
use pixel_store::now;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{convert::Infallible, sync::Arc};
use utoipa::ToSchema;

/// A chat request; further fields are passed on to vendors that know them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(default)]
#[derive(Default)]
pub struct ChatBody {
    #[schema(required = true, example = "sandbox/writer")]
    model: String,
    /// `{"role": "user", "content": "Hello"}`, the last one being answered.
    #[schema(required = true, value_type = Vec<Object>)]
    messages: Vec<Value>,
    stream: Option<bool>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    seed: Option<i64>,
    #[schema(value_type = Option<Object>)]
    stream_options: Option<StreamOptions>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// Write a text: by the model's vendor, or by the sandbox where it stands in.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "chat", request_body = ChatBody, responses(
    (status = 200, description = "A `chat.completion`, or with `stream` server-sent `chat.completion.chunk` events and `[DONE]`; an error on the way is an event with an `error` object, and the last",
        body = serde_json::Value),
    (status = 400, description = "A parameter is wrong, or the vendor refuses the request; the message says why", body = super::envelope::ErrorBody),
    (status = 404, description = "No such resource", body = super::envelope::ErrorBody),
    (status = 429, description = "Too many chats; `Retry-After` says when to come back, where the vendor said so", body = super::envelope::ErrorBody),
    (status = 502, description = "The vendor's answer broke off or makes no sense", body = super::envelope::ErrorBody),
    (status = 503, description = "Not available now", body = super::envelope::ErrorBody),
    (status = 504, description = "The vendor did not answer in time", body = super::envelope::ErrorBody)
))]
pub async fn create_chat_completion(State(app): State<Arc<App>>, body: Body) -> Result<Response, ApiError> {
    let raw = body::object(body, app.settings.limits.body_bytes).await?;
    let asked = typed(&raw)?;
    let card = app.find_model(&asked.model)?;
    if card.kind != Kind::Llm {
        let why = format!("'model' must be of type llm, but '{}' is {}.", card.id(), card.kind.as_str());
        return Err(ApiError::bad(why));
    }
    let messages = read_messages(&asked.messages)?;
    let offer = app.offer(card);
    if let Some(why) = offer.disabled {
        return Err(ApiError::unavailable(why));
    }
    let is_streamed = asked.stream.unwrap_or(false);
    let id = format!("chatcmpl-{}", uuid::Uuid::now_v7().simple());
    if !offer.sandbox {
        return relay::answer(&app, card, &raw, is_streamed, id).await;
    }
    let usage = asked.stream_options.as_ref().and_then(|options| options.include_usage);
    let chat = Chat {
        messages,
        max_tokens: asked.max_completion_tokens.or(asked.max_tokens),
        seed: asked.seed.and_then(|seed| u64::try_from(seed).ok()),
        body: raw,
    };
    let written = app.writer.write(&chat, card).map_err(|error| ApiError::bad(error.message))?;
    let head = Head { id, model: card.id(), created: now().0 / 1_000_000 };
    Ok(match is_streamed {
        false => Json(whole(&head, &written)).into_response(),
        true => Sse::new(streamed(&head, written, usage.unwrap_or(false))).into_response(),
    })
}

fn typed(raw: &Value) -> Result<ChatBody, ApiError> {
    // A list of values would be read as the fields in their order.
    match raw.get("stream_options").filter(|options| options.is_array()) {
        Some(list) => {
            let must = "an object such as {\"include_usage\":true}";
            Err(ApiError::bad(format!("'stream_options' must be {must}, got: {}.", body::shorten(list))))
        }
        None => body::typed(raw),
    }
}

fn read_messages(given: &[Value]) -> Result<Vec<Message>, ApiError> {
    if given.is_empty() || given.len() > MESSAGES_MAX {
        let must = format!("'messages' must be a list of 1 to {MESSAGES_MAX} messages");
        return Err(ApiError::bad(format!("{must} such as {{\"role\":\"user\",\"content\":\"Hello\"}}.")));
    }
    given.iter().enumerate().map(|(at, message)| read_message(at, message)).collect()
}

fn read_message(at: usize, message: &Value) -> Result<Message, ApiError> {
    let role = message.get("role").and_then(Value::as_str);
    let role = role.ok_or_else(|| ApiError::bad(format!("'messages[{at}].role' must be text such as 'user'.")))?;
    let text = match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) if parts.iter().all(Value::is_object) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            texts.collect::<Vec<_>>().join("\n")
        }
        Some(Value::Null) | None => String::new(),
        Some(_) => return Err(ApiError::bad(format!("'messages[{at}].content' must be text or a list of parts."))),
    };
    Ok(Message { role: role.to_owned(), text })
}

/// What is judged, and what the writer without a network says to it.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz(raw: &Value) -> Result<(), ApiError> {
    let asked = typed(raw)?;
    let messages = read_messages(&asked.messages)?;
    let seed = asked.seed.and_then(|seed| u64::try_from(seed).ok());
    let max_tokens = asked.max_completion_tokens.or(asked.max_tokens);
    let chat = Chat { messages, max_tokens, seed, body: raw.clone() };
    let mut cards = super::fuzzing::CATALOG.models.iter();
    let card = cards.find(|card| card.kind == Kind::Llm && card.provider == pixel_vendors::SANDBOX);
    if let Some(Ok(written)) = card.map(|card| pixel_vendors::writer().write(&chat, card)) {
        assert!(max_tokens.is_none_or(|most| written.completion_tokens <= most));
    }
    Ok(())
}

/// What every piece of one answer repeats.
struct Head {
    id: String,
    model: String,
    created: i64,
}

fn usage(written: &Written) -> Value {
    let (asked, answered) = (written.prompt_tokens, written.completion_tokens);
    json!({ "prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered })
}

fn whole(head: &Head, written: &Written) -> Value {
    let message = json!({ "role": "assistant", "content": written.pieces.concat(), "refusal": null });
    let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": written.finish.as_str() });
    json!({
        "id": head.id, "object": "chat.completion", "created": head.created, "model": head.model,
        "choices": [choice], "usage": usage(written),
    })
}

fn streamed(head: &Head, written: Written, with_usage: bool) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({
            "id": head.id, "object": "chat.completion.chunk", "created": head.created, "model": head.model,
            "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        Event::default().data(chunk.to_string())
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]), None)
    };
    let mut events = vec![delta(json!({ "role": "assistant", "content": "" }), Value::Null)];
    events.extend(written.pieces.iter().map(|piece| delta(json!({ "content": piece }), Value::Null)));
    events.push(delta(json!({}), json!(written.finish.as_str())));
    if with_usage {
        events.push(chunk(json!([]), Some(usage(&written))));
    }
    events.push(Event::default().data("[DONE]"));
    stream::iter(events.into_iter().map(Ok))
}
