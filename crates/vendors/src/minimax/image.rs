//! Pictures: one blocking call that answers with links.

use super::{DIALECT, bad, extras, inputs, is_good, link};
use crate::{inline::json_with_files, status::word};
use pixel_core::{
    Error,
    vendor::{Answer, Body, Job, Mark, Next, Output},
};
use serde_json::{Value, json};

pub(super) const PATH: &str = "/v1/image_generation";

const LINK_LIFETIME_S: u64 = 24 * 3600;
/// The level whose sizes are those that the vendor names by ratio.
const BY_RATIO: &str = "1K";
/// The vendor's number for a result that its safety system blocked.
const BLOCKED: &str = "1027";

pub(super) fn body(job: &Job<'_>) -> Result<Body, Error> {
    inputs::FACES.check(job.inputs)?;
    let Job { request, card, .. } = job;
    let mut fields = extras(job);
    fields.insert("model".to_owned(), json!(card.vendor_model_for(request.mode, !job.inputs.is_empty())));
    fields.insert("prompt".to_owned(), json!(request.prompt));
    fields.insert("n".to_owned(), json!(job.outputs));
    fields.insert("response_format".to_owned(), json!("url"));
    if let Some(size) = request.size {
        let ratios = card.resolutions.get(BY_RATIO).and_then(|ratios| ratios.as_table()).into_iter().flatten();
        let named = ratios.map(|(ratio, _)| ratio).find(|ratio| card.listed_size(BY_RATIO, ratio) == Some(size));
        match named {
            Some(ratio) => fields.extend([("aspect_ratio".to_owned(), json!(ratio))]),
            None => fields.extend([("width".to_owned(), json!(size.width)), ("height".to_owned(), json!(size.height))]),
        }
    }
    // Results of one task differ as the vendor's own several results do.
    let seed = request.seed.map(|seed| ("seed".to_owned(), json!(seed.saturating_add(u64::from(job.first)))));
    fields.extend(seed);
    if !job.inputs.is_empty() {
        let faces: Vec<_> = job.inputs.iter().map(|_| json!({ "type": "character", "image_file": null })).collect();
        fields.insert("subject_reference".to_owned(), json!(faces));
    }
    let place = |at| format!("/subject_reference/{at}/image_file");
    let files: Vec<_> = job.inputs.iter().enumerate().map(|(at, input)| (place(at), input)).collect();
    Ok(json_with_files(&Value::Object(fields), &files))
}

pub(super) fn made(job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
    let urls = answer.body.pointer("/data/image_urls").and_then(Value::as_array).filter(|_| is_good(answer));
    let urls = urls.into_iter().flatten().filter_map(Value::as_str).filter(|url| !url.is_empty());
    let made: Vec<Output> = (0..).zip(urls).map(|(index, url)| link(index, url, Some(LINK_LIFETIME_S))).collect();
    // A number in quotation marks.
    let blocked = word(&answer.body, "/metadata/failed_count").parse::<u32>().unwrap_or(0).min(job.outputs);
    let reason = "its safety system blocked the picture";
    match (made.is_empty(), blocked) {
        (true, 1..) if is_good(answer) => Err(DIALECT.ended(job, answer, BLOCKED, reason)),
        (true, _) => Err(bad(job, answer, "the answer holds no picture")),
        (false, _) => {
            let holes = (0..blocked).map(|at| DIALECT.failed_output(job, made.len() as u32 + at, BLOCKED, reason));
            let all = made.iter().cloned().chain(holes).collect();
            Ok(Next::Done(DIALECT.complete(job, all), mark.clone()))
        }
    }
}
