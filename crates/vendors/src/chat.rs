//! Chats with vendors that speak the chat-completions form: the body goes on as it came, but for
//! the model's name, and the answer comes back as it is, but for what some of them leave out.

use crate::status::Dialect;
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    chat::{Relay, Talk},
    vendor::{Answer, Body, Field, HttpCall, Method, Part, Repeat},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const FORM: &str = "chat-completions";

/// The form with one vendor's words for refusals.
pub struct Completions(pub &'static Dialect);

impl Completions {
    /// Itself, for a model that is served in this form.
    pub fn of(&self, card: &Model) -> Option<&dyn Relay> {
        (card.form == FORM).then_some(self)
    }

    fn error(&self, talk: &Talk<'_>, answer: &Answer) -> Error {
        self.0.refusal(talk.credential, talk.now, answer)
    }
}

impl Relay for Completions {
    fn call(&self, talk: &Talk<'_>, body: &Value) -> HttpCall {
        let accept = if talk.is_streamed { "text/event-stream" } else { "application/json" };
        let plain = |name: &str, value: &str| (name.to_owned(), Field::Plain(value.to_owned()));
        HttpCall {
            method: Method::Post,
            url: format!("{}{}", talk.base_url, talk.path),
            headers: vec![
                ("authorization".to_owned(), talk.credential.bearer()),
                plain("accept", accept),
                // What is compressed is held back until there is enough of it.
                plain("accept-encoding", "identity"),
            ],
            body: body_for(&talk.card.vendor_model, body),
            repeat: Repeat::Never,
            media: Vec::new(),
            timeout: talk.timeout,
            sign: None,
            share: None,
        }
    }

    fn read(&self, talk: &Talk<'_>, answer: &Answer) -> Result<Value, Error> {
        let Some(document) = answer.body.as_object().filter(|body| answer.is_success() && !is_refusal(body)) else {
            return Err(self.error(talk, answer));
        };
        let mut document = document.clone();
        let is_empty = document.get("choices").and_then(Value::as_array).is_none_or(Vec::is_empty);
        if is_empty && !talk.is_streamed {
            let why = "the answer holds no message";
            return Err(self.0.worded(talk.credential, talk.now, answer, ErrorKind::Unclear, why));
        }
        complete(&mut document, talk);
        Ok(Value::Object(document))
    }
}

/// The same fields, with the vendor's own name of the model. Nothing of a long body is copied.
fn body_for(vendor_model: &str, body: &Value) -> Body {
    let model = json!(vendor_model);
    let given = body.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value));
    let mut fields: BTreeMap<&str, &Value> = given.collect();
    fields.insert("model", &model);
    // Values that were read as JSON are always written.
    let bytes = serde_json::to_vec(&fields).unwrap_or_default();
    Body::Parts("application/json".to_owned(), vec![Part::Bytes(bytes)])
}

/// Whether a document says no, whatever the status says: an error, the status of an envelope around
/// it, or a code where there should be choices.
fn is_refusal(document: &Map<String, Value>) -> bool {
    let is_there = |name: &str| document.get(name).is_some_and(|value| !value.is_null());
    let envelope = document.get("base_resp").and_then(|envelope| envelope.get("status_code")).and_then(Value::as_i64);
    let has_code = document.get("code").is_some_and(|code| *code != Value::Null && *code != "" && *code != 0);
    is_there("error")
        || is_there("errors")
        || envelope.is_some_and(|status| status != 0)
        || (has_code && !document.contains_key("choices"))
}

/// Our name of the model, and what clients of the form rely on although not every vendor sends it.
fn complete(document: &mut Map<String, Value>, talk: &Talk<'_>) {
    let object = if talk.is_streamed { "chat.completion.chunk" } else { "chat.completion" };
    let defaults = [
        ("id", json!(talk.id)),
        ("object", json!(object)),
        ("created", json!(talk.now.0 / 1_000_000)),
        ("choices", json!([])),
    ];
    for (name, value) in defaults {
        if document.get(name).is_none_or(Value::is_null) {
            document.insert(name.to_owned(), value);
        }
    }
    document.insert("model".to_owned(), json!(talk.card.id()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Said, text, word};
    use pixel_core::{
        Stamp,
        catalog::Catalog,
        id::ModelId,
        vendor::{Credential, Secret},
    };
    use std::time::Duration;

    const CATALOG: (&str, &str) = (
        "test.toml",
        "[vendor]\nid = \"test\"\nname = \"Test\"\nkey_env = [\"K\"]\nbase_url = \"http://127.0.0.1:9\"\n\
         chat_path = \"/chat\"\n[[model]]\nkey = \"m\"\nname = \"M\"\ntype = \"llm\"\nform = \"chat-completions\"\n\
         vendor_model = \"owner/M-1\"\n",
    );

    static CHAT: Completions = Completions(&Dialect {
        name: "Test",
        said: |body| Said { codes: [word(body, "/error/code"), "".into()], message: text(body, "/error/message") },
        codes: &[("no_money", ErrorKind::VendorBalance)],
    });

    /// Does something with a chat of ours.
    fn with<T>(is_streamed: bool, act: impl FnOnce(&dyn Relay, &Talk<'_>) -> T) -> T {
        let catalog = Catalog::parse(&[CATALOG]).unwrap();
        let card = catalog.model(&ModelId::parse("test/m").unwrap()).unwrap();
        let talk = Talk {
            card,
            credential: &Credential(vec![Secret::new("key-2f9c41d7")]),
            base_url: "http://127.0.0.1:9",
            path: "/chat",
            id: "chatcmpl-ours",
            is_streamed,
            timeout: Duration::from_secs(9),
            now: Stamp(1_795_176_000_000_000),
        };
        act(CHAT.of(card).unwrap(), &talk)
    }

    fn read(is_streamed: bool, status: u16, body: Value) -> Result<Value, Error> {
        with(is_streamed, |chat, talk| chat.read(talk, &Answer { status, body, ..Answer::default() }))
    }

    #[test]
    fn the_body_goes_on_with_another_model() {
        let body = json!({ "model": "test/m", "messages": [{ "role": "user", "content": "hi" }], "tools": [], "x": 1 });
        let call = with(true, |chat, talk| chat.call(talk, &body));
        assert!(!format!("{call:?}").contains("key-2f9c41d7"));
        assert_eq!((call.url.as_str(), call.repeat), ("http://127.0.0.1:9/chat", Repeat::Never));
        let Body::Parts(_, parts) = call.body else { panic!("no parts") };
        let [Part::Bytes(bytes)] = parts.as_slice() else { panic!("not one piece") };
        let sent: Value = serde_json::from_slice(bytes).unwrap();
        let mut expected = body;
        expected["model"] = json!("owner/M-1");
        assert_eq!(sent, expected);
    }

    #[test]
    fn what_a_vendor_leaves_out_is_put_in_and_everything_else_stays() {
        let chunk = read(true, 200, json!({ "id": null, "choices": null, "model": "owner/M-1", "seen": 7 })).unwrap();
        let expected = json!({
            "id": "chatcmpl-ours", "object": "chat.completion.chunk", "created": 1_795_176_000,
            "model": "test/m", "choices": [], "seen": 7,
        });
        assert_eq!(chunk, expected);
        let message = json!({ "role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": [{}] });
        let whole = json!({
            "id": "theirs", "object": "chat.completion", "created": 5, "model": "owner/M-1",
            "choices": [{ "index": 0, "message": message, "finish_reason": "tool_calls" }],
            "usage": { "total_tokens": 3 }, "base_resp": { "status_code": 0 },
        });
        let mut expected = whole.clone();
        expected["model"] = json!("test/m");
        assert_eq!(read(false, 200, whole).unwrap(), expected);
    }

    #[test]
    fn a_no_is_a_no_whatever_the_status() {
        let kind = |is_streamed, status, body| read(is_streamed, status, body).unwrap_err().kind;
        let no_money = json!({ "error": { "code": "no_money", "message": "Empty." } });
        assert_eq!(kind(true, 200, no_money.clone()), ErrorKind::VendorBalance);
        assert_eq!(kind(false, 429, no_money), ErrorKind::VendorBalance);
        let unclear = [
            json!({ "choices": null, "base_resp": { "status_code": 1004, "status_msg": "login fail" } }),
            json!({ "code": "Strange", "message": "?" }),
            json!({ "code": 7 }),
            json!({ "errors": { "message": "?" } }),
            json!([]),
            json!("text"),
            Value::Null,
        ];
        for body in unclear {
            assert_eq!(kind(true, 200, body.clone()), ErrorKind::Unclear, "{body}");
            assert_eq!(kind(true, 403, body.clone()), ErrorKind::VendorAuth, "{body}");
        }
        assert_eq!(kind(false, 200, json!({ "choices": [] })), ErrorKind::Unclear, "an answer without a message");
        assert!(read(true, 200, json!({ "choices": [], "error": null, "code": "" })).is_ok());
    }

    #[test]
    fn a_key_that_is_repeated_in_a_refusal_is_not_told() {
        let body = json!({ "error": { "message": "key-2f9c41d7 is wrong, see https://vendor.example/keys" } });
        let error = read(false, 401, body).unwrap_err();
        let (message, detail) = (error.message, error.detail.unwrap());
        assert!(!message.contains("key-2f9c41d7") && !message.contains("vendor.example"), "{message}");
        assert!(!detail.contains("key-2f9c41d7"), "{detail}");
    }
}
