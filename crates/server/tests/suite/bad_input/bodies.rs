//! Request bodies: the three generation routes, the decision about a task, and chat.

use super::{documents, fields, lab::Case};
use crate::support::{AUDIO, IMAGE, VIDEO};
use serde_json::{Value, json};

/// A route that takes a body, and a body that it takes.
#[derive(Clone)]
pub struct Route {
    pub name: &'static str,
    pub target: String,
    pub valid: Value,
    /// A field whose value is any text.
    pub text: &'static str,
}

impl Route {
    /// The valid body with some fields put in.
    pub fn with(&self, more: Value) -> Vec<u8> {
        crate::support::with(self.valid.clone(), &more).to_string().into_bytes()
    }

    /// The valid body with one more field, which is written as it stands here.
    pub fn with_raw(&self, name: &str, raw: &str) -> Vec<u8> {
        let mut fields = self.valid.as_object().expect("an object").clone();
        fields.remove(name);
        let rest = Value::Object(fields).to_string();
        let rest = rest.trim_start_matches('{');
        format!("{{\"{name}\":{raw}{}{rest}", if rest == "}" { "" } else { "," }).into_bytes()
    }

    pub fn case(&self, name: &str, body: impl Into<Vec<u8>>) -> Case {
        Case::post(format!("{}/{name}", self.name), &self.target, body)
    }
}

pub fn routes(task: &str) -> Vec<Route> {
    let route = |name, target: &str, text, valid| Route { name, target: target.to_owned(), valid, text };
    vec![
        route(
            "image",
            IMAGE,
            "prompt",
            json!({ "model": "sandbox/painter", "prompt": "a cat", "resolution": "64x64" }),
        ),
        route("video", VIDEO, "prompt", json!({ "model": "sandbox/animator", "prompt": "a ball", "duration": "2s" })),
        route("audio", AUDIO, "prompt", json!({ "model": "sandbox/speaker", "prompt": "Hello" })),
        route(
            "chat",
            "/v1/chat/completions",
            "model",
            json!({ "model": "sandbox/writer", "messages": [{ "role": "user", "content": "Hello" }] }),
        ),
        route("resolve", &format!("/api/v1/tasks/{task}/resolve"), "choice", json!({ "choice": "lost" })),
    ]
}

pub fn all(task: &str) -> Vec<Case> {
    let routes = routes(task);
    let mut cases: Vec<Case> = routes.iter().flat_map(documents::of_route).collect();
    cases.extend(fields::all(&routes));
    cases
}
