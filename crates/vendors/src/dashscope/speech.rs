//! Speech: one call, answered with a link to the sound.

use super::insert;
use pixel_core::vendor::{Body, Job};
use serde_json::{Map, json};

pub(super) fn body(job: &Job<'_>) -> Body {
    let Job { request, card, .. } = job;
    let mut input = Map::from_iter([("text".to_owned(), json!(request.prompt))]);
    insert(&mut input, "voice", request.voice.as_ref().map(|voice| json!(voice)));
    let own = request.extra.iter().filter(|(name, _)| card.params.contains_key(*name));
    input.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    Body::json(&json!({ "model": card.vendor_model, "input": input }))
}
