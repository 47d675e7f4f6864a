//! Bodies of submissions, and what the vendor says beforehand of sizes of files and of pairs of values.

use super::{
    dialect::DIALECT,
    form::{Form, field_of},
};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    request::{Checked, Role, Warning},
    task::{Facts, StoredInput},
    vendor::{Body, Job},
};
use serde_json::{Map, Value, json};

/// Seeds are below this.
const SEEDS: u64 = 1 << 31;
const NEGATIVE_CHARS_MAX: usize = 2048;
/// About what is spoken; nothing says what becomes of more.
const SPOKEN_CHARS_MAX: usize = 140;
const PICTURE_BYTES_MAX: u64 = 20 << 20;
/// Where it is not said otherwise.
const USUAL_PLACE: (&str, &str) = ("720p", "16:9");

/// What will not be honoured as asked; the error is about what cannot be sent at all.
pub(super) fn judge(form: &Form, request: &Checked, card: &Model) -> Result<Vec<Warning>, Error> {
    let negative = request.negative_prompt.as_ref().map_or(0, |text| text.chars().count());
    if form.carries("negativePrompt") && negative > NEGATIVE_CHARS_MAX {
        let what = format!(
            "'negativePrompt' has {negative} characters; {} takes at most {NEGATIVE_CHARS_MAX}. Shorten it.",
            DIALECT.name
        );
        return Err(Error::new(ErrorKind::InvalidRequest, what));
    }
    let mut warnings = form.left_out(request);
    if let Some(seed) = request.seed.filter(|seed| *seed >= SEEDS && form.carries("seed")) {
        let used = seed % SEEDS;
        let message = format!("{} takes seeds below {SEEDS}; {used} was used instead of {seed}.", DIALECT.name);
        warnings.push(Warning::new("seed", message));
    }
    if is_too_fast(request, card) && form.extra.contains(&"motion_mode") {
        let message = format!("{} makes fast motion in 5 s below 1080p only; it was left out.", DIALECT.name);
        warnings.push(Warning::new("extraParams.motion_mode", message));
    }
    let spoken = request.prompt.chars().count();
    if form.prompt == Some("lip_sync_tts_content") && spoken > SPOKEN_CHARS_MAX {
        let message = format!("{} speaks about {SPOKEN_CHARS_MAX} characters; the text has {spoken}.", DIALECT.name);
        warnings.push(Warning::new("prompt", message));
    }
    Ok(warnings)
}

/// The vendor refuses fast motion in a longer or larger clip, after the queue.
pub(super) fn is_too_fast(request: &Checked, card: &Model) -> bool {
    let is_fast = request.extra.get("motion_mode").is_some_and(|word| word == "fast");
    is_fast && (request.duration_ms.is_some_and(|ms| ms != 5_000) || place(request, card).0 == "1080p")
}

/// The vendor's own words for a size: quality and ratio.
pub(super) fn place<'a>(request: &Checked, card: &'a Model) -> (&'a str, &'a str) {
    request.size.and_then(|size| card.place_of(size)).unwrap_or(USUAL_PLACE)
}

/// A submission with the ids of what was uploaded.
pub(super) fn submission(job: &Job<'_>, form: &Form, media: &[String]) -> Body {
    let Job { request, card, .. } = job;
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
    for ((_, name), id) in form.inputs.iter().zip(media) {
        // Quoted ids are refused.
        put(name, id.parse::<u64>().map_or(Value::Null, Value::from));
    }
    if let Some(name) = form.prompt {
        put(name, json!(request.prompt));
    }
    let (quality, ratio) = place(request, card);
    if form.carries("duration") {
        put("model", json!(card.vendor_model_for(request.mode, !media.is_empty())));
        put("duration", json!(request.duration_ms.unwrap_or(5_000) / 1000));
        put("quality", json!(quality));
    }
    if form.carries("aspectRatio") {
        put("aspect_ratio", json!(ratio));
    }
    if let Some(seed) = request.seed.filter(|_| form.carries("seed")) {
        // Results of one task differ by the next seed.
        put("seed", json!((seed % SEEDS + u64::from(job.first)) % SEEDS));
    }
    if let Some(text) = request.negative_prompt.as_ref().filter(|_| form.carries("negativePrompt")) {
        put("negative_prompt", json!(text));
    }
    if form.prompt == Some("lip_sync_tts_content") {
        put("lip_sync_tts_speaker_id", json!("Auto"));
    }
    let skipped = is_too_fast(request, card).then_some("motion_mode");
    for (name, value) in &request.extra {
        if form.extra.contains(&name.as_str()) && skipped != Some(name) {
            put(name, value.clone());
        }
    }
    Body::json(&Value::Object(all))
}

/// Judges a file before anything leaves: what the vendor would refuse after an upload.
pub(super) fn check(role: Role, input: &StoredInput) -> Result<(), Error> {
    let facts = &input.facts;
    let (types, side_max) = limits(role);
    let why = match facts {
        Facts { content_type, .. } if !types.contains(&content_type.as_str()) => {
            format!("it takes {}, and this is {content_type}", types.join(", "))
        }
        Facts { size: Some(size), .. } if size.width.max(size.height) > side_max => {
            format!("it takes at most {side_max} pixels a side, and this has {size}")
        }
        Facts { bytes, .. } if side_max == PICTURE_SIDE_MAX && *bytes >= PICTURE_BYTES_MAX => {
            format!("it takes pictures below {} MiB, and this has {bytes} bytes", PICTURE_BYTES_MAX >> 20)
        }
        _ => return Ok(()),
    };
    let what = format!("'{}' is nothing that {} takes: {why}.", field_of(role), DIALECT.name);
    Err(Error::new(ErrorKind::InputRefused, what))
}

const PICTURE_SIDE_MAX: u32 = 4000;
const CLIP_SIDE_MAX: u32 = 1920;

fn limits(role: Role) -> (&'static [&'static str], u32) {
    match role {
        Role::Reference | Role::FirstFrame | Role::LastFrame => {
            (&["image/png", "image/webp", "image/jpeg"], PICTURE_SIDE_MAX)
        }
        Role::Video => (&["video/mp4", "video/quicktime", "video/webm"], CLIP_SIDE_MAX),
        Role::Audio => (&["audio/mpeg", "audio/wav", "audio/mp4", "audio/aac"], u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixverse::PixVerse;
    use pixel_core::{
        catalog::Catalog,
        id::ModelId,
        request::{Input, Kind, Mode, Origin},
        size::Size,
        vendor::Vendor,
    };

    #[test]
    fn files_are_judged_before_they_leave() {
        let judged = |role: Role, content_type: &str, side: u32, bytes: u64| {
            let facts = Facts {
                sha256: String::new(),
                bytes,
                content_type: content_type.to_owned(),
                ext: "x".to_owned(),
                size: Some(Size::new(100, side)),
                duration_ms: None,
            };
            check(role, &StoredInput { role, facts }).map_err(|error| (error.kind, error.message))
        };
        assert_eq!(judged(Role::FirstFrame, "image/webp", 4000, PICTURE_BYTES_MAX - 1), Ok(()));
        assert_eq!(judged(Role::Video, "video/webm", 1920, 100 << 20), Ok(()));
        assert_eq!(judged(Role::Audio, "audio/wav", 0, 100 << 20), Ok(()));
        for (role, content_type, side, bytes, said) in [
            (Role::FirstFrame, "image/png", 4001, 1, "4000 pixels"),
            (Role::LastFrame, "image/jpeg", 10, PICTURE_BYTES_MAX, "below 20 MiB"),
            (Role::LastFrame, "image/gif", 10, 1, "this is image/gif"),
            (Role::Video, "video/mp4", 1921, 1, "1920 pixels"),
            (Role::Video, "video/x-matroska", 10, 1, "this is video/x-matroska"),
            (Role::Audio, "audio/ogg", 0, 1, "'extraParams.audioInput'"),
        ] {
            let (kind, message) = judged(role, content_type, side, bytes).unwrap_err();
            assert!(kind == ErrorKind::InputRefused && message.contains(said), "{message}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_and_what_is_charged_otherwise_has_no_estimate() {
        let catalog = Catalog::parse(crate::CATALOG).unwrap();
        let model = ModelId::parse("pixverse/v5").unwrap();
        let card = catalog.model(&model).unwrap();
        let plain = Checked { duration_ms: Some(5_000), ..Checked::plain(Kind::Video, model, "a kite") };
        assert_eq!(PixVerse.plan(&plain, card).unwrap().cost.map(|cost| cost.estimate_micros), Some(1_500_000));
        let wordy = Checked { negative_prompt: Some("é".repeat(2049)), ..plain.clone() };
        assert_eq!(PixVerse.plan(&wordy, card).unwrap_err().kind, ErrorKind::InvalidRequest);
        let url = Origin::Url("https://example.org/a.mp4".to_owned());
        let clip = Input { role: Role::Video, origin: url, field: "extraParams.videoInput".to_owned() };
        let given = Checked { inputs: vec![clip], ..plain };
        assert_eq!(PixVerse.plan(&given, card).unwrap_err().kind, ErrorKind::InvalidRequest, "what to do with it");
        let sound = Checked { mode: Some(Mode::Sound), ..given };
        assert_eq!(PixVerse.plan(&sound, card).unwrap().cost, None);
    }
}
