//! Pictures: one blocking call that answers with base64. With reference pictures it is an edit,
//! sent as a form.

use super::{DIALECT, call, extras, multipart, refused, size};
use pixel_core::{
    Error, ErrorKind,
    vendor::{Body, Encoding, HttpCall, Job, Mark, MediaAt, Next, Output, Reply, Source, Staged},
};
use serde_json::{Map, Value, json};

/// How long a link lived where one was returned instead of base64.
const LINK_LIFETIME_S: u64 = 3600;

pub(super) fn first(job: &Job<'_>) -> HttpCall {
    let (path, body) = match job.inputs {
        [] => ("/images/generations", Body::json(&Value::Object(fields(job)))),
        // The vendor wants another name for several files than for one.
        [one] => ("/images/edits", multipart(fields(job), "image", std::slice::from_ref(one))),
        several => ("/images/edits", multipart(fields(job), "image[]", several)),
    };
    let media = MediaAt::Json { pointer: "/data/*/b64_json".to_owned(), encoding: Encoding::Base64 };
    call(job, path, body, Some(media))
}

pub(super) fn next(job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
    let Reply::Answer(answer) = reply else { return Err(DIALECT.gone()) };
    let items = answer.body.get("data").and_then(Value::as_array).filter(|_| answer.is_success());
    let Some(items) = items else { return Err(refused(job, answer)) };
    let outputs: Vec<Output> = (0..).zip(items).map(|(index, item)| output(job, index, item)).collect();
    if outputs.iter().all(|output| output.failed.is_some()) {
        let reason = "the answer holds no picture";
        return Err(DIALECT.because(job, answer, ErrorKind::Unclear, reason));
    }
    Ok(Next::Done(DIALECT.complete(job, outputs), mark.clone()))
}

/// The fields that both calls share. `response_format` stays out: these models refuse it.
fn fields(job: &Job<'_>) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("model".to_owned(), json!(job.card.vendor_model_for(None, !job.inputs.is_empty())));
    fields.insert("prompt".to_owned(), json!(job.request.prompt));
    fields.insert("n".to_owned(), json!(job.outputs));
    fields.extend(size(job).map(|size| ("size".to_owned(), size)));
    fields.extend(extras(job));
    fields
}

fn output(job: &Job<'_>, index: u32, item: &Value) -> Output {
    let staged = item.get("b64_json").and_then(Staged::from_json).map(Source::Staged);
    // Other servers of this wire form answer with links.
    let link = item.get("url").and_then(Value::as_str).filter(|url| !url.is_empty());
    let link = link.map(|url| Source::Link { url: url.to_owned(), lifetime_s: Some(LINK_LIFETIME_S) });
    match staged.or(link) {
        Some(media) => Output { index, media, poster: None, failed: None },
        None => DIALECT.failed_output(job, index, "", "it returned no picture"),
    }
}
