//! Chat, in the form that many vendors share. A vendor says where it takes chats and how it refuses
//! them; all else is the same for all.
//!
//! A chat is a submission whose result is the answer itself: faults of submissions strike it as a
//! whole, those of fetches its text on the way, and the ends of jobs break a stream off in its middle.

use crate::{
    answer::{Answer, Whole},
    desk::Running,
    fault::{Fault, Group, Stage},
    host, spoil,
    state::Shared,
    vendor::{Asked, Order, Refusal, Unit, Vendor},
};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;

const CREATED: u64 = 1_795_186_800;

/// Whether the request is for a chat.
pub(crate) fn is_for(vendor: &dyn Vendor, asked: &Asked) -> bool {
    asked.method == Method::POST && vendor.chat_path() == Some(&asked.path)
}

pub(crate) async fn answer(vendor: &'static dyn Vendor, asked: &Asked, shared: &Shared) -> Answer {
    let Some(order) = order(asked) else {
        shared.state().ledger.turn_away(vendor.id(), "malformed");
        return vendor.chat_refused(Refusal::BadRequest).into();
    };
    let (body, last) = (order.body.clone(), order.prompt.clone());
    let mut taken = shared.take(vendor, asked, order);
    let _running = Running::begin(shared);
    if let Err(broken) = shared.flushed(&mut taken).await {
        return broken.into();
    }
    if !taken.latency.is_zero() {
        tokio::time::sleep(taken.latency).await;
    }
    let pace = Duration::from_millis(taken.script.pace_ms);
    let refused = |refusal| vendor.chat_refused(refusal);
    let said = Said::new(&body, &last);
    match (&taken.job, &taken.rule) {
        (Some(_), Some(rule)) if rule.kind == Fault::MissingId => said.empty().into(),
        (Some(id), Some(rule)) => spoil::api(rule, refused, pace, || said.written(id)),
        (None, Some(rule)) => spoil::api(rule, refused, pace, || refused(Refusal::Error)),
        (None, None) => refused(Refusal::Error).into(),
        (Some(id), None) => told(vendor, id, &said, shared),
    }
}

/// An answer that begins well.
fn told(vendor: &'static dyn Vendor, id: &str, said: &Said, shared: &Shared) -> Answer {
    let mut state = shared.state();
    let state = &mut *state;
    let Some(job) = state.jobs.get_mut(id) else { return vendor.chat_refused(Refusal::Error).into() };
    let end = job.rule(Stage::Poll, 0).map(|rule| rule.kind).filter(|kind| kind.group() == Group::End);
    let on_the_way = host::strikes(job, 0).cloned();
    job.fetches.iter_mut().for_each(|fetches| *fetches += 1);
    let struck = end.is_some() || on_the_way.is_some();
    state.ledger.counts(vendor.id(), &job.entry.marker).struck += u64::from(struck);
    let refusal = end.map(|kind| match kind {
        Fault::JobModerated => vendor.chat_refused(Refusal::Moderation),
        _ => vendor.chat_refused(Refusal::Error),
    });
    match (refusal, on_the_way) {
        (Some(refusal), _) if said.is_streamed => said.broken_off(id, &refusal).into(),
        (Some(refusal), _) => refusal.into(),
        (None, Some(rule)) => spoil::media(&rule, job.pace(), said.written(id)),
        (None, None) => said.written(id).into(),
    }
}

/// A chat as a submission; the last thing that the user said is its prompt.
fn order(asked: &Asked) -> Option<Order> {
    let body = asked.json().filter(Value::is_object)?;
    let messages = body["messages"].as_array().filter(|messages| !messages.is_empty())?;
    let prompt = messages.iter().rfind(|message| message["role"] == "user").map(|message| text(&message["content"]))?;
    let model = body["model"].as_str().filter(|model| !model.is_empty())?.to_owned();
    Some(Order { model, form: "chat", prompt, outputs: 1, unit: Unit::Text, blocking: true, body, ..Order::default() })
}

/// A content's text: it is a string, or a list of parts.
fn text(content: &Value) -> String {
    let parts = content.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
    content.as_str().map_or_else(|| parts.collect::<Vec<_>>().join("\n"), ToOwned::to_owned)
}

/// What is said, in which form.
struct Said {
    model: Value,
    /// The answer, word by word.
    words: Vec<String>,
    /// What was thought before, where thinking was asked for.
    thought: Option<&'static str>,
    finish: &'static str,
    is_streamed: bool,
    with_usage: bool,
    usage: Value,
}

impl Said {
    /// Repeats the question, so that answers can be told apart.
    fn new(body: &Value, question: &str) -> Self {
        let all = format!("You said: {question}");
        let mut words: Vec<String> = all.split_inclusive(' ').map(ToOwned::to_owned).collect();
        let most = body["max_completion_tokens"].as_u64().or(body["max_tokens"].as_u64());
        let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let finish = if words.len() > most { "length" } else { "stop" };
        words.truncate(most);
        let asked: usize = body["messages"].as_array().into_iter().flatten().map(|m| text(&m["content"]).len()).sum();
        let usage = json!({ "prompt_tokens": asked, "completion_tokens": words.len(),
                            "total_tokens": asked + words.len() });
        Self {
            model: body["model"].clone(),
            words,
            thought: (body["enable_thinking"] == true).then_some("They want to hear it again."),
            finish,
            is_streamed: body["stream"] == true,
            with_usage: body["stream_options"]["include_usage"] == true,
            usage,
        }
    }

    fn written(&self, id: &str) -> Whole {
        match self.is_streamed {
            false => self.whole(id),
            true => stream(self.chunks(id).iter().map(Value::to_string).chain(["[DONE]".to_owned()])),
        }
    }

    fn whole(&self, id: &str) -> Whole {
        let mut message = json!({ "role": "assistant", "content": self.words.concat() });
        if let Some(thought) = self.thought {
            message["reasoning_content"] = json!(thought);
        }
        let choices = json!([{ "index": 0, "message": message, "finish_reason": self.finish }]);
        let usage = &self.usage;
        let body = json!({ "id": format!("chatcmpl-{id}"), "object": "chat.completion", "created": CREATED,
                           "model": self.model, "choices": choices, "usage": usage });
        Whole::json(200, &body)
    }

    /// Without anything to read.
    fn empty(&self) -> Whole {
        let body = json!({ "object": "chat.completion", "model": self.model, "choices": [] });
        if self.is_streamed { stream([]) } else { Whole::json(200, &body) }
    }

    /// Half of it, and then a refusal in the middle of the stream.
    fn broken_off(&self, id: &str, refusal: &Whole) -> Whole {
        let chunks = self.chunks(id);
        let half = chunks.iter().take(chunks.len() / 2).map(Value::to_string);
        stream(half.chain([String::from_utf8_lossy(&refusal.bytes).into_owned()]))
    }

    fn chunks(&self, id: &str) -> Vec<Value> {
        let chunk = |choices: Value| {
            json!({ "id": format!("chatcmpl-{id}"), "object": "chat.completion.chunk", "created": CREATED,
                    "model": self.model, "choices": choices })
        };
        let delta = |delta: Value, finish: Option<&str>| {
            chunk(json!([{ "index": 0, "delta": delta, "finish_reason": finish }]))
        };
        let mut chunks = vec![delta(json!({ "role": "assistant", "content": "" }), None)];
        chunks.extend(self.thought.map(|thought| delta(json!({ "reasoning_content": thought }), None)));
        chunks.extend(self.words.iter().map(|word| delta(json!({ "content": word }), None)));
        chunks.push(delta(json!({}), Some(self.finish)));
        if self.with_usage {
            let mut last = chunk(json!([]));
            last["usage"] = self.usage.clone();
            chunks.push(last);
        }
        chunks
    }
}

fn stream(events: impl IntoIterator<Item = String>) -> Whole {
    let text: String = events.into_iter().map(|data| format!("data: {data}\n\n")).collect();
    Whole::new(200, "text/event-stream", text)
}
