//! The newer generation: the model stands in the path. Clips only.

use super::{CLIP_RATIOS, bad, clip_size, error, good, is_address, known_fields, must, object, one_of, picture_in};
use crate::{
    answer::Whole,
    vendor::{Ask, Asked, Facts, Order, Unit},
};
use serde_json::{Value, json};

/// Where it is polled from, and its form in the ledger.
pub(super) const FORM: &str = "tasks";

/// The paths of the newer generation and their models.
const CURRENT: &[(&str, &[&str])] = &[
    ("text-to-video", &["kling-3.0", "kling-3.0-turbo", "kling-2.6"]),
    ("image-to-video", &["kling-3.0", "kling-3.0-turbo", "kling-2.6"]),
    ("omni-video", &["kling-3.0-omni", "kling-o1"]),
];
const SETTINGS: &[&str] = &["resolution", "aspect_ratio", "duration", "audio", "multi_shot"];

/// Whether a path is one of its own.
pub(super) fn takes(kind: &str) -> bool {
    CURRENT.iter().any(|(known, _)| *known == kind)
}

/// The newer generation.
pub(super) fn submit(asked: &Asked, kind: &str, model: &str) -> Result<Ask, Whole> {
    let models = CURRENT.iter().find(|(known, _)| *known == kind).map_or(&[][..], |(_, models)| models);
    must(models.contains(&model), || error(404, 1203, "The model does not exist"))?;
    let body = object(asked)?;
    known_fields(&body, &["prompt", "contents", "settings", "options"])?;
    let prompt = match kind {
        "text-to-video" => body["prompt"].as_str().unwrap_or_default(),
        _ => contents(&body, kind)?,
    };
    let most = if model == "kling-2.6" { 2500 } else { 3072 };
    must((1..=most).contains(&prompt.chars().count()), || bad("prompt is empty or too long"))?;
    let settings = &body["settings"];
    check_settings(settings, model)?;
    Ok(Ask::Submit(Box::new(Order {
        model: model.to_owned(),
        form: FORM,
        prompt: prompt.to_owned(),
        size: clip_size(settings["resolution"].as_str(), settings["aspect_ratio"].as_str()),
        outputs: 1,
        unit: Unit::Video,
        reference: body["options"]["external_task_id"].as_str().map(ToOwned::to_owned),
        unique: true,
        body,
        ..Order::default()
    })))
}

/// `POST /tasks`: every field may be left out.
pub(super) fn list(asked: &Asked) -> Result<Ask, Whole> {
    let body = object(asked)?;
    known_fields(&body, &["start_time", "end_time", "cursor", "limit", "filters"])?;
    let limit = &body["limit"];
    must(limit.is_null() || limit.as_u64().is_some_and(|limit| (1..=500).contains(&limit)), || {
        bad("limit is invalid")
    })?;
    Ok(Ask::Said(good(&json!({ "result": [], "count": 0, "next_cursor": "", "has_more": false }))))
}

/// Their text; pictures are judged.
fn contents<'a>(body: &'a Value, kind: &str) -> Result<&'a str, Whole> {
    let items = body["contents"].as_array().map_or(&[][..], Vec::as_slice);
    let of = |wanted: &'static str| items.iter().filter(move |item| item["type"] == wanted);
    for item in items {
        match item["type"].as_str().unwrap_or_default() {
            "prompt" | "element" => {}
            "refer_image" | "feature_video" | "base_video" if kind != "omni-video" => {
                return Err(bad("contents: this type is for omni-video"));
            }
            "first_frame" | "last_frame" | "refer_image" => picture_in(&item["url"], true)?,
            "feature_video" | "base_video" => must(is_address(&item["url"]), || bad("contents: url of a video"))?,
            _ => return Err(bad("contents: unknown type")),
        }
    }
    must(of("last_frame").count() <= of("first_frame").count(), || bad("last_frame needs first_frame"))?;
    must(kind == "omni-video" || of("first_frame").count() == 1, || bad("contents: one first_frame is required"))?;
    of("prompt").next().and_then(|item| item["text"].as_str()).ok_or_else(|| bad("contents: prompt is required"))
}

fn check_settings(settings: &Value, model: &str) -> Result<(), Whole> {
    known_fields(settings, SETTINGS)?;
    let levels = if model == "kling-3.0" { &["720p", "1080p", "4k"][..] } else { &["720p", "1080p"] };
    one_of(settings, "resolution", levels)?;
    one_of(settings, "aspect_ratio", CLIP_RATIOS)?;
    one_of(settings, "audio", &["off", "native", "original"])?;
    let seconds = &settings["duration"];
    let offered = |seconds| if model == "kling-2.6" { matches!(seconds, 5 | 10) } else { (3..=15).contains(&seconds) };
    must(seconds.is_null() || seconds.as_u64().is_some_and(offered), || bad("settings.duration is invalid"))?;
    let shots = &settings["multi_shot"];
    must(shots.is_null() || shots.is_boolean(), || bad("settings.multi_shot is no boolean"))?;
    let loud_and_low = settings["audio"] == "native" && settings["resolution"] != "1080p";
    must(model != "kling-2.6" || !loud_and_low, || bad("native audio needs 1080p"))
}

pub(super) fn task(job: &Facts<'_>, word: &str, reason: &str) -> Value {
    json!({ "id": job.entry.job, "status": word, "message": reason, "create_time": super::AT_MS, "update_time": super::AT_MS,
            "external_id": job.entry.reference })
}

pub(super) fn output(job: &Facts<'_>, at: usize, url: &str) -> Value {
    json!({ "type": "video", "id": format!("{}-{at}", job.entry.job), "url": url, "watermark_url": "", "duration": "1" })
}
