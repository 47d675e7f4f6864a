//! The newer generation: the model stands in the path, inputs are a list of contents, and every
//! task is asked for at one address. Clips only.

use super::{SETTLE, Standing, Wire, call::submit, check_pictures, extras, has, left_out, list, shape, urls};
use crate::{inline::json_with_base64, status::text};
use pixel_core::{
    Error,
    catalog::Model,
    request::{Checked, Role, Warning},
    vendor::{Body, HttpCall, Job, Mark, Repeat},
};
use serde_json::{Map, Value, json};
use std::{iter, slice};

const BYTES_MAX: u64 = 50 << 20;
const TEXT: &str = "text-to-video";
const OMNI: &str = "omni-video";

pub struct Current;

impl Wire for Current {
    fn forms(&self) -> &'static [&'static str] {
        &["video", OMNI]
    }

    fn left_out(&self, request: &Checked, card: &Model) -> Vec<Warning> {
        left_out(request, card, first_frame(request, card))
    }

    fn first(&self, job: &Job<'_>) -> Result<(HttpCall, Mark), Error> {
        check_pictures(job, BYTES_MAX)?;
        let kind = match (job.card.form.as_str(), job.inputs) {
            (OMNI, _) => OMNI,
            (_, []) => TEXT,
            _ => "image-to-video",
        };
        let path = format!("/{kind}/{}", job.card.vendor_model);
        Ok((submit(job, &path, body(job, kind), Repeat::Searchable { settle: SETTLE }), json!({})))
    }

    fn poll(&self, _mark: &Mark, id: &str) -> Option<String> {
        Some(format!("/tasks?task_ids={id}"))
    }

    fn search(&self, _mark: &Mark, reference: &str) -> Option<String> {
        Some(format!("/tasks?external_task_ids={reference}"))
    }

    /// One after a submission, a list after a poll.
    fn tasks<'a>(&self, data: &'a Value) -> &'a [Value] {
        data.as_array().map_or(slice::from_ref(data), Vec::as_slice)
    }

    fn ids(&self) -> [&'static str; 2] {
        ["/id", "/external_id"]
    }

    fn standing<'a>(&self, task: &'a Value) -> Standing<'a> {
        let is_clip = |output: &&Value| matches!(text(output, "/type"), "" | "video");
        match text(task, "/status") {
            "failed" => Standing::Failed(text(task, "/message")),
            "succeeded" => Standing::Done(urls(list(task, "/outputs").iter().filter(is_clip))),
            // Submitted, processing, and whatever else there may be.
            _ => Standing::Working,
        }
    }
}

/// Outside the omni form every first picture is the first frame.
fn first_frame(request: &Checked, card: &Model) -> bool {
    has(request, &[Role::FirstFrame]) || (card.form != OMNI && has(request, &[Role::Reference]))
}

fn body(job: &Job<'_>, kind: &str) -> Body {
    let mut body = json!({
        "settings": settings(job),
        "options": { "external_task_id": job.reference, "watermark_info": { "enabled": false } },
    });
    if kind == TEXT {
        body["prompt"] = json!(job.request.prompt);
        return Body::json(&body);
    }
    let word = |role| match role {
        Role::LastFrame => "last_frame",
        Role::Reference if kind == OMNI => "refer_image",
        _ => "first_frame",
    };
    let pictures = job.inputs.iter().map(|input| json!({ "type": word(input.role), "url": null }));
    let prompt = json!({ "type": "prompt", "text": job.request.prompt });
    body["contents"] = iter::once(prompt).chain(pictures).collect();
    let files: Vec<_> = (1..).zip(job.inputs).map(|(at, input)| (format!("/contents/{at}/url"), input)).collect();
    json_with_base64(&body, &files)
}

fn settings(job: &Job<'_>) -> Map<String, Value> {
    let Job { request, card, .. } = *job;
    let mut all = Map::new();
    if let Some((level, ratio)) = shape(request, card) {
        all.insert("resolution".to_owned(), json!(level));
        if !first_frame(request, card) {
            all.insert("aspect_ratio".to_owned(), json!(ratio));
        }
    }
    if let Some(ms) = request.duration_ms {
        all.insert("duration".to_owned(), json!(ms.div_ceil(1000)));
    }
    // Left out it means several shots, which nobody has asked for.
    if card.params.contains_key("multi_shot") {
        all.insert("multi_shot".to_owned(), json!(false));
    }
    all.extend(extras(request, card, &Current.left_out(request, card)));
    all
}
