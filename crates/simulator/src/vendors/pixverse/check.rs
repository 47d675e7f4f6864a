//! What the vendor checks of a submission before it accepts.

use super::{
    JOBS, no,
    upload::{self, What},
};
use crate::answer::Whole;
use serde_json::Value;

pub(super) struct Form {
    path: &'static str,
    /// In the ledger.
    pub name: &'static str,
    /// Which field is the prompt.
    pub prompt: &'static str,
    check: fn(&Value) -> Result<(u32, u32), Whole>,
}

const fn form(
    path: &'static str,
    name: &'static str,
    prompt: &'static str,
    check: fn(&Value) -> Result<(u32, u32), Whole>,
) -> Form {
    Form { path, name, prompt, check }
}

const FORMS: [Form; 6] = [
    form("/video/text/generate", "text", "prompt", text),
    form("/video/img/generate", "image", "prompt", image),
    form("/video/transition/generate", "transition", "prompt", transition),
    form("/video/extend/generate", "extend", "prompt", extend),
    form("/video/lip_sync/generate", "lip-sync", "lip_sync_tts_content", lip_sync),
    form("/video/sound_effect/generate", "sound", "sound_effect_content", sound),
];

pub(super) fn form_at(path: &str) -> Option<&'static Form> {
    FORMS.iter().find(|form| form.path == path)
}

pub(super) fn all(body: &Value, form: &Form) -> Result<(u32, u32), Whole> {
    (form.check)(body)
}

struct Known {
    name: &'static str,
    seconds: &'static [u64],
    seconds_at_1080p: &'static [u64],
    wide: bool,
    prompt_max: usize,
}

const TO_15: &[u64] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const TO_10: &[u64] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const SHORT: &[u64] = &[5, 8];

const fn known(name: &'static str, seconds: &'static [u64], seconds_at_1080p: &'static [u64], new: bool) -> Known {
    Known { name, seconds, seconds_at_1080p, wide: new, prompt_max: if new { 5000 } else { 2048 } }
}

const MODELS: [Known; 8] = [
    known("v6", TO_15, TO_15, true),
    known("c1", TO_15, TO_15, true),
    known("v5.6", TO_10, TO_10, false),
    known("v5.5", &[5, 8, 10], SHORT, false),
    known("v5", SHORT, SHORT, false),
    known("v4.5", SHORT, SHORT, false),
    known("v4", SHORT, SHORT, false),
    known("v3.5", SHORT, &[5], false),
];
const SEED_MAX: u64 = 2_147_483_647;
const SPEAKERS: u64 = 14;
/// Where no size is asked for.
const SOURCE: (u32, u32) = (1280, 720);

pub(super) fn text(body: &Value) -> Result<(u32, u32), Whole> {
    let (model, side) = clip(body, true)?;
    let ratio = word(body, "aspect_ratio")?.ok_or_else(|| empty("aspect_ratio"))?;
    let (width, height) = match (ratio, model.wide) {
        ("16:9", _) => (16, 9),
        ("4:3", _) => (4, 3),
        ("1:1", _) => (1, 1),
        ("3:4", _) => (3, 4),
        ("9:16", _) => (9, 16),
        ("2:3", true) => (2, 3),
        ("3:2", true) => (3, 2),
        ("21:9", true) => (21, 9),
        _ => return Err(invalid()),
    };
    let short = width.min(height);
    Ok((side * width / short, side * height / short))
}

fn image(body: &Value) -> Result<(u32, u32), Whole> {
    file(body, "img_id", What::Picture)?.ok_or_else(|| empty("img_id"))?;
    clip(body, true).map(|(_, side)| (side * 16 / 9, side))
}

/// The web application names its picture by a path, which is checked where uploads are known.
pub(super) fn web_image(body: &Value) -> Result<(u32, u32), Whole> {
    for name in ["customer_img_path", "customer_img_url"] {
        word(body, name)?.ok_or_else(|| empty(name))?;
    }
    clip(body, true).map(|(_, side)| (side * 16 / 9, side))
}

fn transition(body: &Value) -> Result<(u32, u32), Whole> {
    for name in ["first_frame_img", "last_frame_img"] {
        file(body, name, What::Picture)?.ok_or_else(|| empty(name))?;
    }
    clip(body, false).map(|(_, side)| (side * 16 / 9, side))
}

fn extend(body: &Value) -> Result<(u32, u32), Whole> {
    source(body)?;
    clip(body, false).map(|(_, side)| (side * 16 / 9, side))
}

fn lip_sync(body: &Value) -> Result<(u32, u32), Whole> {
    source(body)?;
    let sound = file(body, "audio_media_id", What::Sound)?;
    let spoken = word(body, "lip_sync_tts_content")?;
    let speaker = word(body, "lip_sync_tts_speaker_id")?;
    match (sound, spoken, speaker) {
        (Some(_), None, None) => Ok(SOURCE),
        (Some(_), ..) => Err(invalid()),
        (None, Some(_), Some("Auto")) => Ok(SOURCE),
        (None, Some(_), Some(id)) if id.parse().is_ok_and(|id: u64| (1..=SPEAKERS).contains(&id)) => Ok(SOURCE),
        (None, Some(_), Some(_)) => Err(invalid()),
        (None, ..) => Err(empty("lip_sync_tts_content")),
    }
}

fn sound(body: &Value) -> Result<(u32, u32), Whole> {
    source(body)?;
    word(body, "sound_effect_content")?.ok_or_else(|| empty("sound_effect_content"))?;
    Ok(SOURCE)
}

/// Exactly one of the two ways of naming a clip.
fn source(body: &Value) -> Result<(), Whole> {
    let (own, given) = (count(body, "source_video_id")?, file(body, "video_media_id", What::Clip)?);
    match (own, given) {
        (Some(id), None) if id > JOBS => Ok(()),
        (Some(_), None) => Err(no(500_008, "data not found")),
        (None, Some(_)) => Ok(()),
        (Some(_), Some(_)) => Err(invalid()),
        (None, None) => Err(empty("video_media_id")),
    }
}

/// What every new clip has: the model, and the shorter side.
fn clip(body: &Value, needs_prompt: bool) -> Result<(&'static Known, u32), Whole> {
    let prompt = word(body, "prompt")?.unwrap_or_default();
    if needs_prompt && prompt.is_empty() {
        return Err(empty("prompt"));
    }
    let name = word(body, "model")?.ok_or_else(|| empty("model"))?;
    let seconds = count(body, "duration")?.ok_or_else(|| empty("duration"))?;
    let side = match word(body, "quality")?.ok_or_else(|| empty("quality"))? {
        "360p" => 360,
        "540p" => 540,
        "720p" => 720,
        "1080p" => 1080,
        _ => return Err(invalid()),
    };
    let model = MODELS.iter().find(|model| model.name == name).ok_or_else(invalid)?;
    if prompt.chars().count() > model.prompt_max {
        return Err(no(400_018, "prompt is too long"));
    }
    if word(body, "negative_prompt")?.is_some_and(|text| text.chars().count() > 2048) {
        return Err(no(400_019, "negative prompt is too long"));
    }
    let offered = if side == 1080 { model.seconds_at_1080p } else { model.seconds };
    let fast = word(body, "motion_mode")? == Some("fast");
    let is_too_fast = fast && (seconds != 5 || side == 1080 || !matches!(name, "v3.5" | "v4" | "v4.5"));
    let seed = count(body, "seed")?.unwrap_or_default();
    match !offered.contains(&seconds) || is_too_fast || seed > SEED_MAX {
        true => Err(invalid()),
        false => Ok((model, side)),
    }
}

/// The id of an uploaded file of this kind, to its last digit.
fn file(body: &Value, name: &str, what: What) -> Result<Option<u64>, Whole> {
    match count(body, name)? {
        Some(id) if upload::is_known(id, what) => Ok(Some(id)),
        Some(_) if what == What::Picture => Err(no(400_032, "invalid image id")),
        Some(_) => Err(no(500_008, "data not found")),
        None => Ok(None),
    }
}

fn word<'a>(body: &'a Value, name: &str) -> Result<Option<&'a str>, Whole> {
    match &body[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        _ => Err(unbound(name)),
    }
}

/// Numbers are whole, and not in quotes.
fn count(body: &Value, name: &str) -> Result<Option<u64>, Whole> {
    match &body[name] {
        Value::Null => Ok(None),
        value => value.as_u64().map(Some).ok_or_else(|| unbound(name)),
    }
}

fn empty(name: &str) -> Whole {
    no(400_011, &format!("{name} is empty"))
}

fn unbound(name: &str) -> Whole {
    no(400_013, &format!("{name} cannot be bound"))
}

fn invalid() -> Whole {
    no(400_017, "invalid param")
}
