//! Pictures: as fields, and as a message whose content is pictures and one text.

use super::{Wire, insert, parameters, prompts};
use crate::inline::json_with_files;
use pixel_core::{
    request::{Checked, Warning},
    size::Size,
    vendor::{Body, Job},
};
use serde_json::{Map, Value, json};

/// From pictures, a task's message brings no larger ones.
const EDIT_PIXELS_MAX: u64 = 2048 * 2048;
/// What a model that refuses all else takes.
const BARE: [&str; 3] = ["size", "prompt_extend", "seed"];

pub(super) fn text(job: &Job<'_>) -> Body {
    let body = json!({ "model": job.card.vendor_model, "input": prompts(job), "parameters": sized(job, Wire::Text) });
    Body::json(&body)
}

pub(super) fn pictures(job: &Job<'_>) -> Body {
    let mut input = prompts(job);
    insert(&mut input, "images", Some(job.inputs.iter().map(|_| Value::Null).collect()));
    let body = json!({ "model": model(job), "input": input, "parameters": sized(job, Wire::Pictures) });
    with_pictures(job, &body, |at| format!("/input/images/{at}"))
}

pub(super) fn message(job: &Job<'_>, wire: Wire) -> Body {
    let mut parameters = sized(job, wire);
    insert(&mut parameters, "negative_prompt", job.request.negative_prompt.as_ref().map(|text| json!(text)));
    if wire == Wire::BareMessage {
        parameters.retain(|name, _| BARE.contains(&name.as_str()));
    }
    let mut content: Vec<Value> = job.inputs.iter().map(|_| json!({ "image": null })).collect();
    content.push(json!({ "text": job.request.prompt }));
    let body = json!({
        "model": model(job),
        "input": { "messages": [{ "role": "user", "content": content }] },
        "parameters": parameters,
    });
    with_pictures(job, &body, |at| format!("/input/messages/0/content/{at}/image"))
}

fn model<'a>(job: &Job<'a>) -> &'a str {
    job.card.vendor_model_for(None, !job.inputs.is_empty())
}

fn with_pictures(job: &Job<'_>, body: &Value, place: impl Fn(usize) -> String) -> Body {
    let files: Vec<_> = job.inputs.iter().enumerate().map(|(at, input)| (place(at), input)).collect();
    json_with_files(body, &files)
}

fn sized(job: &Job<'_>, wire: Wire) -> Map<String, Value> {
    let mut all = parameters(job);
    let size = job.request.size.map(|size| if job.inputs.is_empty() { size } else { edited(size, wire) });
    insert(&mut all, "size", size.map(|size| json!(size)));
    // Left out, it may mean four paid pictures.
    insert(&mut all, "n", Some(json!(job.outputs.min(job.card.n_per_call))));
    all
}

pub(super) fn warning(request: &Checked, wire: Wire) -> Option<Warning> {
    let asked = request.size.filter(|_| !request.inputs.is_empty())?;
    let made = edited(asked, wire);
    let message = format!("From pictures it makes {made} at most, not {asked}.");
    (made != asked).then(|| Warning::new("resolution", message))
}

/// The size in which a picture comes that is made from others.
fn edited(size: Size, wire: Wire) -> Size {
    if wire != Wire::MessageTask || size.pixels() <= EDIT_PIXELS_MAX {
        return size;
    }
    let shrink = (EDIT_PIXELS_MAX as f64 / size.pixels() as f64).sqrt();
    // Both sides become smaller and keep fitting.
    let side = |side: u32| (f64::from(side) * shrink) as u32;
    Size::new(side(size.width), side(size.height))
}
