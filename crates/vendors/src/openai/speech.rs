//! Speech: one blocking call whose answer is the sound itself. Refusals are JSON all the same.

use super::{call, extras, refused, whole};
use pixel_core::{
    Error,
    vendor::{Body, HttpCall, Job, Mark, MediaAt, Next, Reply},
};
use serde_json::{Map, Value, json};

pub(super) fn first(job: &Job<'_>) -> HttpCall {
    let mut fields = Map::new();
    fields.insert("model".to_owned(), json!(job.card.vendor_model));
    fields.insert("input".to_owned(), json!(job.request.prompt));
    fields.extend(job.request.voice.as_ref().map(|voice| ("voice".to_owned(), json!(voice))));
    fields.extend(job.request.speed.map(|speed| ("speed".to_owned(), json!(speed))));
    fields.extend(extras(job));
    call(job, "/audio/speech", Body::json(&Value::Object(fields)), Some(MediaAt::Body))
}

pub(super) fn next(job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
    match reply {
        Reply::Due => Err(super::DIALECT.gone()),
        Reply::Answer(answer) if answer.is_success() => whole(job, mark, answer, "sound"),
        Reply::Answer(answer) => Err(refused(job, answer)),
    }
}
