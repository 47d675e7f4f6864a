//! What the vendor checks of a body before it accepts. The error completes `invalid params, …`.

use serde_json::Value;

const HAILUO: [&str; 3] = ["MiniMax-Hailuo-2.3", "MiniMax-Hailuo-2.3-Fast", "MiniMax-Hailuo-02"];
const VOICES_OF: [&str; 8] = [
    "speech-2.8-hd",
    "speech-2.8-turbo",
    "speech-2.6-hd",
    "speech-2.6-turbo",
    "speech-02-hd",
    "speech-02-turbo",
    "speech-01-hd",
    "speech-01-turbo",
];
const RATIOS_V2: [&str; 7] = ["adaptive", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16"];
const EMOTIONS: [&str; 9] = ["happy", "sad", "angry", "fearful", "disgusted", "surprised", "calm", "fluent", "whisper"];

type Checked = Result<(), String>;

fn must(holds: bool, why: &str) -> Checked {
    if holds { Ok(()) } else { Err(why.to_owned()) }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Absent, or one of these.
fn one_of(value: &Value, words: &[&str]) -> bool {
    value.is_null() || value.as_str().is_some_and(|word| words.contains(&word))
}

fn is_within(value: &Value, least: f64, most: f64) -> bool {
    value.is_null() || value.as_f64().is_some_and(|number| (least..=most).contains(&number))
}

fn prompt(value: &Value, most: usize) -> Checked {
    must((1..=most).contains(&text(value).chars().count()), "the text is empty or too long")
}

/// An address, or the file itself.
fn is_file(value: &Value, family: &str) -> bool {
    let start = format!("data:{family}/");
    let is_data = |text: &str| text.strip_prefix(&start).is_some_and(|rest| rest.contains(";base64,"));
    value.as_str().is_some_and(|text| text.starts_with("https://") || text.starts_with("mm_file://") || is_data(text))
}

pub(super) fn clip(body: &Value) -> Checked {
    let model = text(&body["model"]);
    must(HAILUO.contains(&model), "model")?;
    let (first, last) = (&body["first_frame_image"], &body["last_frame_image"]);
    if first.is_null() || !body["prompt"].is_null() {
        prompt(&body["prompt"], 2000)?;
    }
    must([first, last].iter().all(|frame| frame.is_null() || is_file(frame, "image")), "a frame is no picture")?;
    must(model != "MiniMax-Hailuo-2.3-Fast" || !first.is_null(), "first_frame_image is required")?;
    must(model == "MiniMax-Hailuo-02" || last.is_null(), "last_frame_image")?;
    let duration = if body["duration"].is_null() { Some(6) } else { body["duration"].as_u64() };
    must(matches!(duration, Some(6 | 10)), "duration")?;
    let resolution = body["resolution"].as_str().unwrap_or("768P");
    must(
        match resolution {
            "768P" => true,
            "1080P" => duration == Some(6),
            "512P" => model == "MiniMax-Hailuo-02" && !first.is_null() && last.is_null(),
            _ => false,
        },
        "resolution",
    )?;
    let flags = ["prompt_optimizer", "fast_pretreatment", "aigc_watermark"];
    must(flags.iter().all(|name| body[name].is_null() || body[name].is_boolean()), "a flag is no boolean")
}

pub(super) fn clip_v2(body: &Value) -> Checked {
    must(text(&body["model"]) == "MiniMax-H3", "model")?;
    must(one_of(&body["resolution"], &["768P", "2K"]), "resolution")?;
    must(body["duration"].is_null() || body["duration"].as_u64().is_some_and(|s| (4..=15).contains(&s)), "duration")?;
    let content = body["content"].as_array().map_or(&[][..], Vec::as_slice);
    let mut counts = [0_usize; 5];
    for item in content {
        let kind = text(&item["type"]);
        let at = match (kind, text(&item["role"])) {
            ("text", _) => {
                prompt(&item["text"], 7000)?;
                0
            }
            ("image_url", "first_frame" | "last_frame") => 1,
            ("image_url", "reference_image") => 2,
            ("video_url", "reference_video") => 3,
            ("audio_url", "reference_audio") => 4,
            _ => return Err("content".to_owned()),
        };
        let family = kind.trim_end_matches("_url");
        must(at == 0 || is_file(&item[kind]["url"], family), "an input is no file")?;
        counts[at] += 1;
    }
    let [texts, frames, images, videos, audios] = counts;
    must(texts <= 1 && frames <= 2 && images <= 9 && videos <= 3 && audios <= 3, "too many inputs")?;
    must(frames == 0 || images + videos + audios == 0, "frames and references exclude each other")?;
    must(audios == 0 || images + videos > 0, "audio needs a picture or a video")?;
    must(!content.is_empty(), "content is empty")?;
    must(one_of(&body["ratio"], &RATIOS_V2), "ratio")?;
    must(text(&body["ratio"]) != "adaptive" || content.len() > texts, "a text has no ratio to adapt to")
}

pub(super) fn size_of_ratio(ratio: &str) -> Option<(u32, u32)> {
    Some(match ratio {
        "1:1" => (1024, 1024),
        "16:9" => (1280, 720),
        "4:3" => (1152, 864),
        "3:2" => (1248, 832),
        "2:3" => (832, 1248),
        "3:4" => (864, 1152),
        "9:16" => (720, 1280),
        "21:9" => (1344, 576),
        _ => return None,
    })
}

pub(super) fn picture(body: &Value) -> Checked {
    must(text(&body["model"]) == "image-01", "model")?;
    prompt(&body["prompt"], 1500)?;
    let ratio = &body["aspect_ratio"];
    must(ratio.is_null() || ratio.as_str().and_then(size_of_ratio).is_some(), "aspect_ratio")?;
    let sides = [&body["width"], &body["height"]];
    let fits = |side: u64| (512..=2048).contains(&side) && side.is_multiple_of(8);
    must(sides[0].is_null() == sides[1].is_null(), "width and height go together")?;
    must(sides.iter().all(|side| side.is_null() || side.as_u64().is_some_and(fits)), "width or height")?;
    must(one_of(&body["response_format"], &["url", "base64"]), "response_format")?;
    must(body["n"].is_null() || body["n"].as_u64().is_some_and(|n| (1..=9).contains(&n)), "n")?;
    must(body["seed"].is_null() || body["seed"].is_i64(), "seed")?;
    match &body["subject_reference"] {
        Value::Null => Ok(()),
        Value::Array(faces) => match faces.as_slice() {
            [face] => must(face["type"] == "character" && is_file(&face["image_file"], "image"), "subject_reference"),
            _ => Err("exactly one subject_reference".to_owned()),
        },
        _ => Err("subject_reference".to_owned()),
    }
}

pub(super) fn speech(body: &Value) -> Checked {
    must(VOICES_OF.contains(&text(&body["model"])), "model")?;
    prompt(&body["text"], 10_000)?;
    must(body["stream"] != true, "streams are not spoken here")?;
    let (voice, sound) = (&body["voice_setting"], &body["audio_setting"]);
    must(!text(&voice["voice_id"]).is_empty(), "voice_setting.voice_id is required")?;
    must(is_within(&voice["speed"], 0.5, 2.0), "speed")?;
    must(is_within(&voice["vol"], f64::MIN_POSITIVE, 10.0), "vol")?;
    must(is_within(&voice["pitch"], -12.0, 12.0) && !voice["pitch"].is_f64(), "pitch")?;
    must(one_of(&voice["emotion"], &EMOTIONS), "emotion")?;
    must(one_of(&sound["format"], &["mp3", "pcm", "flac", "wav", "opus", "pcmu"]), "format")?;
    let listed = |value: &Value, of: &[u64]| value.is_null() || value.as_u64().is_some_and(|n| of.contains(&n));
    must(listed(&sound["sample_rate"], &[8000, 16000, 22050, 24000, 32000, 44100]), "sample_rate")?;
    must(listed(&sound["bitrate"], &[32000, 64000, 128_000, 256_000]), "bitrate")?;
    must(listed(&sound["channel"], &[1, 2]), "channel")?;
    must(one_of(&body["output_format"], &["hex", "url"]), "output_format")
}
