//! The older generation: the model stands in the body, seconds are text, and a task is asked for
//! at the path that took it. Clips and pictures.

use super::{SETTLE, Standing, Wire, call::submit, check_pictures, extras, has, left_out, list, shape, urls};
use crate::{inline::json_with_base64, status::text};
use pixel_core::{
    Error,
    catalog::Model,
    request::{Checked, Mode, Role, Warning},
    vendor::{Body, HttpCall, Job, Mark, Repeat},
};
use serde_json::{Map, Value, json};

const BYTES_MAX: u64 = 10 << 20;

const TEXT_TO_VIDEO: &str = "/v1/videos/text2video";
const IMAGE_TO_VIDEO: &str = "/v1/videos/image2video";
const IMAGES_TO_VIDEO: &str = "/v1/videos/multi-image2video";
const IMAGES: &str = "/v1/images/generations";
const OMNI_IMAGE: &str = "/v1/images/omni-image";

/// The quality that stands for a level of clips.
const QUALITIES: [(&str, &str); 2] = [("720p", "std"), ("1080p", "pro")];
const NEGATIVE: &str = "negativePrompt";
/// They say how a picture is used.
const NEED_PICTURE: [&str; 3] = ["image_reference", "image_fidelity", "human_fidelity"];

pub struct Legacy;

impl Wire for Legacy {
    fn forms(&self) -> &'static [&'static str] {
        &["videos", "images", "omni-image"]
    }

    fn left_out(&self, request: &Checked, card: &Model) -> Vec<Warning> {
        let path = path(request, card);
        let mut warnings = left_out(request, card, path == IMAGE_TO_VIDEO);
        let mut warn = |field: &str, why: &str| warnings.push(Warning::new(field, format!("{why}; it was left out.")));
        if path == IMAGES_TO_VIDEO && has(request, &[Role::LastFrame]) {
            warn("extraParams.lastFrame", "A clip from reference pictures has no last frame");
        }
        if path == IMAGES && pictures(request) > 0 && request.negative_prompt.is_some() {
            warn(NEGATIVE, "It is not taken together with a picture");
        }
        let is_idle = |name: &&str| pictures(request) == 0 && request.extra.contains_key(*name);
        for name in NEED_PICTURE.into_iter().filter(is_idle) {
            warn(&format!("extraParams.{name}"), "It says how a picture is used, and there is none");
        }
        warnings
    }

    fn first(&self, job: &Job<'_>) -> Result<(HttpCall, Mark), Error> {
        check_pictures(job, BYTES_MAX)?;
        let path = path(job.request, job.card);
        let body = with_pictures(job, path, fields(job, path));
        Ok((submit(job, path, body, Repeat::Searchable { settle: SETTLE }), json!({ "path": path })))
    }

    /// Only the path that took a task knows it.
    fn poll(&self, mark: &Mark, id: &str) -> Option<String> {
        Some(format!("{}/{id}", text(mark, "/path")))
    }

    fn ids(&self) -> [&'static str; 2] {
        ["/task_id", "/task_info/external_task_id"]
    }

    fn standing<'a>(&self, task: &'a Value) -> Standing<'a> {
        match text(task, "/task_status") {
            "failed" => Standing::Failed(text(task, "/task_status_msg")),
            "succeed" => {
                let results = ["/task_result/videos", "/task_result/images"].map(|name| list(task, name));
                let mut results: Vec<&Value> = results.into_iter().flatten().collect();
                results.sort_by_key(|result| result.get("index").and_then(Value::as_u64));
                Standing::Done(urls(results))
            }
            // Submitted, processing, and whatever else there may be.
            _ => Standing::Working,
        }
    }
}

fn path(request: &Checked, card: &Model) -> &'static str {
    let pictures = pictures(request);
    let referenced = card.modes.contains(&Mode::Reference) && (request.mode == Some(Mode::Reference) || pictures > 1);
    match card.form.as_str() {
        "omni-image" => OMNI_IMAGE,
        "images" => IMAGES,
        _ if pictures == 0 => TEXT_TO_VIDEO,
        _ if referenced => IMAGES_TO_VIDEO,
        _ => IMAGE_TO_VIDEO,
    }
}

fn pictures(request: &Checked) -> usize {
    request.inputs.iter().filter(|input| matches!(input.role, Role::FirstFrame | Role::Reference)).count()
}

fn fields(job: &Job<'_>, path: &str) -> Map<String, Value> {
    let Job { request, card, .. } = *job;
    let warned = Legacy.left_out(request, card);
    let mut all = extras(request, card, &warned);
    let mut set = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
    // By any other name it is ignored, and the first model of all answers.
    set("model_name", json!(card.vendor_model));
    set("prompt", json!(request.prompt));
    set("external_task_id", json!(job.reference));
    let is_left_out = warned.iter().any(|warning| warning.field == NEGATIVE);
    if let Some(negative) = request.negative_prompt.as_ref().filter(|_| !is_left_out) {
        set("negative_prompt", json!(negative));
    }
    let is_clip = !matches!(path, IMAGES | OMNI_IMAGE);
    if let Some((level, ratio)) = shape(request, card) {
        if path != IMAGE_TO_VIDEO {
            set("aspect_ratio", json!(ratio));
        }
        match QUALITIES.iter().find(|(of, _)| *of == level) {
            Some((_, quality)) if is_clip => set("mode", json!(quality)),
            _ => set("resolution", json!(level)),
        }
    }
    if let Some(ms) = request.duration_ms.filter(|_| is_clip) {
        set("duration", json!(ms.div_ceil(1000).to_string()));
    }
    if path == IMAGES {
        set("n", json!(job.outputs));
    }
    all
}

/// Puts the pictures where the path wants them.
fn with_pictures(job: &Job<'_>, path: &str, mut body: Map<String, Value>) -> Body {
    let mut files = Vec::new();
    if matches!(path, IMAGES_TO_VIDEO | OMNI_IMAGE) {
        let listed: Vec<_> = job.inputs.iter().filter(|input| input.role != Role::LastFrame).collect();
        let items: Vec<_> = listed.iter().map(|_| json!({ "image": null })).collect();
        files.extend((0..).zip(listed).map(|(at, input)| (format!("/image_list/{at}/image"), input)));
        if !items.is_empty() {
            body.insert("image_list".to_owned(), json!(items));
        }
    } else {
        for input in job.inputs {
            let name = if input.role == Role::LastFrame { "image_tail" } else { "image" };
            body.insert(name.to_owned(), Value::Null);
            files.push((format!("/{name}"), input));
        }
    }
    json_with_base64(&Value::Object(body), &files)
}
