//! The same trials for every adapter that passes chats on. What differs is data: a file
//! `fixtures/chat/<vendor>.json` with documents of its answers and its documented errors.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use pixel_core::{
    ErrorKind, Stamp,
    catalog::{Catalog, Model},
    chat::Talk,
    id::ModelId,
    request::Kind,
    vendor::{Answer, Body, Credential, Part, Repeat, Secret, Vendor},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

const KEY: &str = "key-2f9c41d7";
const BASE: &str = "http://127.0.0.1:9";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trials {
    /// What is particular; for its reader.
    #[serde(rename = "about")]
    _about: String,
    model: String,
    sends: Sends,
    /// Chunks, which are passed on with another name of the model.
    passed: Vec<Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sends {
    path: String,
    /// The vendor's own id of the model.
    model: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Value,
    kind: ErrorKind,
    retry_after_s: Option<u64>,
}

fn catalog() -> Catalog {
    Catalog::parse(pixel_vendors::CATALOG).unwrap()
}

/// Every adapter that passes chats on, with its trials.
fn each() -> Vec<(Arc<dyn Vendor>, Model, Trials)> {
    let catalog = catalog();
    let chats = |vendor: &Arc<dyn Vendor>| {
        catalog.models.iter().any(|card| card.provider == vendor.id() && vendor.chat(card).is_some())
    };
    let with_trials = |vendor: Arc<dyn Vendor>| {
        let path = format!("{}/fixtures/chat/{}.json", env!("CARGO_MANIFEST_DIR"), vendor.id());
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let trials: Trials = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let card = catalog.model(&ModelId::parse(&trials.model).unwrap()).unwrap().clone();
        (vendor, card, trials)
    };
    let all: Vec<_> = pixel_vendors::all().into_iter().filter(chats).map(with_trials).collect();
    assert!(!all.is_empty(), "no adapter was tried");
    all
}

fn with_talk<T>(card: &Model, is_streamed: bool, act: impl FnOnce(&Talk<'_>) -> T) -> T {
    act(&Talk {
        card,
        credential: &Credential(vec![Secret::new(KEY)]),
        base_url: BASE,
        path: catalog().vendor(&card.provider).unwrap().chat_path(card).unwrap(),
        id: "chatcmpl-ours",
        is_streamed,
        timeout: Duration::from_secs(9),
        now: Stamp(1_795_176_000_000_000),
    })
}

#[test]
fn every_chat_model_with_an_adapter_is_spoken() {
    let adapters = pixel_vendors::all();
    for card in catalog().models.iter().filter(|card| card.kind == Kind::Llm) {
        let vendor = adapters.iter().find(|vendor| vendor.id() == card.provider);
        let is_local = card.provider == pixel_vendors::SANDBOX;
        assert!(vendor.is_none_or(|vendor| vendor.chat(card).is_some() != is_local), "{}", card.id());
        assert!(vendor.is_none_or(|vendor| !vendor.speaks(card) || is_local), "{} is no task", card.id());
    }
}

#[test]
fn the_request_goes_on_as_it_came() {
    for (vendor, card, trials) in each() {
        let mut body = json!({ "model": trials.model, "messages": [{ "role": "user", "content": "hi" }],
                               "stream": true, "stream_options": { "include_usage": true }, "tools": [], "new": 1 });
        let call = with_talk(&card, true, |talk| vendor.chat(&card).unwrap().call(talk, &body));
        assert_eq!(call.url, format!("{BASE}{}", trials.sends.path));
        assert_eq!((call.repeat, call.timeout), (Repeat::Never, Duration::from_secs(9)));
        assert!(!format!("{call:?}").contains(KEY), "the key has a printed form");
        let Body::Parts(content_type, parts) = call.body else { panic!("no parts") };
        let [Part::Bytes(bytes)] = parts.as_slice() else { panic!("not one piece") };
        body["model"] = json!(trials.sends.model);
        assert_eq!(content_type, "application/json");
        assert_eq!(serde_json::from_slice::<Value>(bytes).unwrap(), body);
    }
}

#[test]
fn answers_are_passed_on_under_our_name_of_the_model() {
    for (vendor, card, trials) in each() {
        assert!(!trials.passed.is_empty());
        for document in trials.passed {
            let answer = Answer { status: 200, body: document.clone(), ..Answer::default() };
            let read = with_talk(&card, true, |talk| vendor.chat(&card).unwrap().read(talk, &answer));
            let mut expected = document;
            expected["model"] = json!(card.id());
            assert_eq!(read, Ok(expected));
        }
    }
}

#[test]
fn refusals_are_understood() {
    let known = catalog();
    for (vendor, card, trials) in each() {
        let name = &known.vendor(vendor.id()).unwrap().name;
        assert!(!trials.cases.is_empty());
        for case in trials.cases {
            let shown = format!("{} at {}: HTTP {} {}", vendor.id(), card.id(), case.status, case.body);
            let headers = case.headers.into_iter().collect();
            let answer = Answer { status: case.status, headers, body: case.body, ..Answer::default() };
            for is_streamed in [false, true] {
                let read = with_talk(&card, is_streamed, |talk| vendor.chat(&card).unwrap().read(talk, &answer));
                let error = read.unwrap_err();
                assert_eq!(error.kind, case.kind, "{shown}");
                assert_eq!(error.retry_after.map(|wait| wait.as_secs()), case.retry_after_s, "{shown}");
                assert!(error.message.contains(name.as_str()) && !error.message.contains(KEY), "{}", error.message);
            }
        }
    }
}
