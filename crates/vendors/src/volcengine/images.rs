//! Ark's pictures (Seedream): one blocking call that answers with links. A lost answer cannot be
//! asked for again and is charged.

use super::{LINK_LIFETIME_S, errors::ARK, flag, insert};
use crate::{call::paid, inline::json_with_files, status::text};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    request::{Checked, Warning},
    vendor::{Answer, HttpCall, Job, Mark, Next, Output, Plan, Reply, Source},
};
use serde_json::{Value, json};

const PATH: &str = "/api/v3/images/generations";
const SET: &str = "sequential_image_generation";
/// Reference pictures and results of one call together.
const PICTURES_MAX: usize = 15;

/// One picture a call, unless a set is asked for: its pictures belong to one call.
pub fn plan(request: &Checked, card: &Model) -> Result<Plan, Error> {
    let mut plan = Plan::by_card(request, card);
    let mut warn = |field: &str, message: String| plan.warnings.push(Warning::new(field, message));
    match (wants_set(request), request.n) {
        (false, _) => {}
        (true, 0 | 1) => warn(
            &format!("extraParams.{SET}"),
            "A set has several pictures, and 'n' asks for one: it is made as a single picture.".to_owned(),
        ),
        (true, n) => {
            let most = u32::try_from(PICTURES_MAX.saturating_sub(request.inputs.len())).unwrap_or(1).max(1);
            warn("n", format!("The model decides how many pictures a set has, at most {n}: say it in the prompt too."));
            if n > most {
                let message = format!("With these references a set has at most {most} pictures: several are made.");
                warn("n", message);
            }
            plan.slots = (0..n.div_ceil(most)).map(|at| most.min(n - at * most)).collect();
        }
    }
    Ok(plan)
}

fn wants_set(request: &Checked) -> bool {
    request.extra.get(SET).and_then(Value::as_str) == Some("auto")
}

pub fn first(job: &Job<'_>) -> (HttpCall, Mark) {
    let Job { request, card, inputs, .. } = *job;
    let is_set = wants_set(request) && request.n > 1;
    let mut body = serde_json::Map::new();
    insert(&mut body, "model", Some(json!(card.vendor_model_for(request.mode, !inputs.is_empty()))));
    insert(&mut body, "prompt", Some(json!(request.prompt)));
    insert(&mut body, "image", (!inputs.is_empty()).then(|| json!(vec![Value::Null; inputs.len()])));
    insert(&mut body, "size", request.size.map(|size| json!(format!("{}x{}", size.width, size.height))));
    insert(&mut body, SET, Some(json!(if is_set { "auto" } else { "disabled" })));
    let options = is_set.then(|| json!({ "max_images": job.outputs }));
    insert(&mut body, "sequential_image_generation_options", options);
    insert(&mut body, "response_format", Some(json!("url")));
    insert(&mut body, "output_format", request.extra.get("output_format").cloned());
    // Left out, it is on.
    insert(&mut body, "watermark", Some(json!(flag(request, "watermark").unwrap_or(false))));
    let search = flag(request, "web_search").filter(|is_wanted| *is_wanted);
    insert(&mut body, "tools", search.map(|_| json!([{ "type": "web_search" }])));
    let files: Vec<_> = inputs.iter().enumerate().map(|(at, input)| (format!("/image/{at}"), input)).collect();
    (paid(job, PATH, json_with_files(&Value::Object(body), &files)), Mark::Null)
}

pub fn next(job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
    let Reply::Answer(answer) = reply else { return Err(ARK.dialect.gone()) };
    let items = answer.body.get("data").and_then(Value::as_array).filter(|_| answer.is_success());
    let Some(items) = items else { return Err(ARK.error(job, answer)) };
    if items.iter().all(|item| text(item, "/url").is_empty()) {
        return Err(without_picture(job, answer, items));
    }
    let outputs = (0..).zip(items).map(|(index, item)| output(job, index, item)).collect();
    Ok(Next::Done(ARK.dialect.complete(job, outputs), mark.clone()))
}

fn without_picture(job: &Job<'_>, answer: &Answer, items: &[Value]) -> Error {
    match items.iter().find(|item| item.get("error").is_some_and(Value::is_object)) {
        Some(item) => ARK.dialect.ended(job, answer, text(item, "/error/code"), text(item, "/error/message")),
        None => ARK.dialect.because(job, answer, ErrorKind::Unclear, "the answer holds no picture"),
    }
}

fn output(job: &Job<'_>, index: u32, item: &Value) -> Output {
    match text(item, "/url") {
        "" => ARK.dialect.failed_output(job, index, text(item, "/error/code"), text(item, "/error/message")),
        url => {
            let media = Source::Link { url: url.to_owned(), lifetime_s: Some(LINK_LIFETIME_S) };
            Output { index, media, poster: None, failed: None }
        }
    }
}
