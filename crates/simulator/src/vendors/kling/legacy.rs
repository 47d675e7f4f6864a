//! The older generation: the model stands in the body, and a task is known at the path that took it
//! only. Clips, pictures and speech.

use super::{CLIP_RATIOS, bad, clip_size, good, links, must, object, one_of, picture_in, pictures_in};
use crate::{
    answer::Whole,
    vendor::{Ask, Asked, Facts, Made, Order, Unit},
};
use serde_json::{Value, json};

const CLIPS: &[&str] = &["text2video", "image2video", "multi-image2video"];
const PICTURES: &[&str] = &["generations", "omni-image"];

const CLIP_MODELS: &[&str] = &[
    "kling-v1",
    "kling-v1-5",
    "kling-v1-6",
    "kling-v2-master",
    "kling-v2-1",
    "kling-v2-1-master",
    "kling-v2-5-turbo",
    "kling-v2-6",
    "kling-v3",
];
const WITH_SOUND: &[&str] = &["kling-v2-6", "kling-v3"];
const PICTURE_RATIOS: &[&str] = &["16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9"];
const PICTURE_MODELS: &[&str] = &["kling-v3", "kling-v2-1", "kling-v2-new", "kling-v2", "kling-v1-5", "kling-v1"];
const VOICES: &[&str] = &[
    "oversea_male1",
    "girlfriend_4_speech02",
    "genshin_vindi2",
    "zhinen_xuesheng",
    "ai_shatang",
    "genshin_klee2",
    "genshin_kirara",
    "ai_kaiya",
    "uk_boy1",
    "uk_man2",
    "chat1_female_new-3",
    "calm_story1",
    "reader_en_m-v1",
    "commercial_lady_en_f-v1",
    "cartoon-boy-07",
    "you_pingjing",
    "tiyuxi_xuedi",
    "diyinnansang_DB_CN_M_04-v2",
];

/// A submission at a path of its own.
pub(super) fn read(asked: &Asked, path: &str) -> Result<Ask, Whole> {
    let named = |forms: &[&'static str], name: &str| forms.iter().copied().find(|form| *form == name);
    match path.split_once('/') {
        Some(("audio", "tts")) => speech(asked),
        Some(("videos", name)) => named(CLIPS, name).map_or(Ok(Ask::Nothing), |form| clip(asked, form)),
        Some(("images", name)) => named(PICTURES, name).map_or(Ok(Ask::Nothing), |form| picture(asked, form)),
        _ => Ok(Ask::Nothing),
    }
}

/// Whether a path is one that tasks are taken at, which lists them too.
pub(super) fn is_list(path: &str) -> bool {
    path.split_once('/').is_some_and(|(kind, name)| match kind {
        "videos" => CLIPS.contains(&name),
        "images" => PICTURES.contains(&name),
        _ => false,
    })
}

pub(super) fn list(asked: &Asked) -> Result<Ask, Whole> {
    let within = |name: &str, most: u32| match asked.parameter(name) {
        Some(text) => text.parse().is_ok_and(|number: u32| (1..=most).contains(&number)),
        None => true,
    };
    must(within("pageNum", 1000), || bad("pageNum is invalid"))?;
    must(within("pageSize", 500), || bad("pageSize is invalid"))?;
    Ok(Ask::Said(good(&json!([]))))
}

/// Clips of the older generation.
fn clip(asked: &Asked, form: &'static str) -> Result<Ask, Whole> {
    let body = object(asked)?;
    // `model` is not read.
    let model = body["model_name"].as_str().unwrap_or("kling-v1");
    must(CLIP_MODELS.contains(&model), || bad("model_name is invalid"))?;
    one_of(&body, "mode", &["std", "pro"])?;
    one_of(&body, "aspect_ratio", CLIP_RATIOS)?;
    one_of(&body, "sound", &["on", "off"])?;
    let loud = body["sound"] == "on";
    must(!loud || (WITH_SOUND.contains(&model) && body["mode"] == "pro"), || bad("sound is not supported"))?;
    must(body["cfg_scale"].is_null() || model.starts_with("kling-v1"), || bad("cfg_scale is not supported"))?;
    let seconds = &body["duration"];
    let offered = |text: &str| matches!((model, text.parse()), ("kling-v3", Ok(3..=15)) | (_, Ok(5_u32 | 10)));
    must(seconds.is_null() || seconds.as_str().is_some_and(offered), || bad("duration is invalid"))?;
    match form {
        "image2video" => {
            picture_in(&body["image"], false)?;
            if !body["image_tail"].is_null() {
                picture_in(&body["image_tail"], false)?;
            }
        }
        "multi-image2video" => {
            pictures_in(&body, 4)?;
            must(model == "kling-v1-6" && !body["image_list"].is_null(), || bad("image_list is required"))?;
        }
        _ => {}
    }
    let level = if body["mode"] == "pro" { "1080p" } else { "720p" };
    let size = clip_size(Some(level), body["aspect_ratio"].as_str());
    submit(body.clone(), model, form, size, 1)
}

/// Pictures: two paths that differ little.
fn picture(asked: &Asked, form: &'static str) -> Result<Ask, Whole> {
    let body = object(asked)?;
    let omni = form == "omni-image";
    let (usual, models, levels) = match omni {
        true => ("kling-image-o1", &["kling-image-o1", "kling-v3-omni"][..], &["1k", "2k", "4k"][..]),
        false => ("kling-v3", PICTURE_MODELS, &["1k", "2k"][..]),
    };
    let model = body["model_name"].as_str().unwrap_or(if body["model"].is_null() { usual } else { "kling-v1" });
    must(models.contains(&model), || bad("model_name is invalid"))?;
    one_of(&body, "resolution", levels)?;
    let ratio = body["aspect_ratio"].as_str();
    must(ratio.is_none_or(|ratio| (omni && ratio == "auto") || PICTURE_RATIOS.contains(&ratio)), || {
        bad("aspect_ratio is invalid")
    })?;
    let n = if body["n"].is_null() { Some(1) } else { body["n"].as_u64().filter(|n| (1..=9).contains(n)) };
    let n = n.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| bad("n is invalid"))?;
    pictures_in(&body, 10)?;
    if !body["image"].is_null() {
        picture_in(&body["image"], false)?;
        must(body["negative_prompt"].is_null(), || bad("negative_prompt is not supported with image"))?;
    }
    let side = match body["resolution"].as_str() {
        Some("2k") => 2048,
        Some("4k") => 4096,
        _ => 1024,
    };
    submit(body.clone(), model, form, picture_size(side, ratio), n)
}

fn submit(body: Value, model: &str, form: &'static str, size: (u32, u32), outputs: u32) -> Result<Ask, Whole> {
    let prompt = body["prompt"].as_str().unwrap_or_default().to_owned();
    let chars = |name: &str| body[name].as_str().map_or(0, |text| text.chars().count());
    must((1..=2500).contains(&chars("prompt")), || bad("prompt is empty or too long"))?;
    must(chars("negative_prompt") <= 2500, || bad("negative_prompt is too long"))?;
    Ok(Ask::Submit(Box::new(Order {
        model: model.to_owned(),
        form,
        prompt,
        size,
        outputs,
        unit: if PICTURES.contains(&form) { Unit::Image } else { Unit::Video },
        reference: body["external_task_id"].as_str().map(ToOwned::to_owned),
        unique: true,
        body,
        ..Order::default()
    })))
}

fn speech(asked: &Asked) -> Result<Ask, Whole> {
    let body = object(asked)?;
    let text = body["text"].as_str().unwrap_or_default().to_owned();
    must((1..=1000).contains(&text.chars().count()), || bad("text is empty or too long"))?;
    one_of(&body, "voice_language", &["zh", "en"])?;
    must(body["voice_id"].as_str().is_some_and(|id| VOICES.contains(&id)), || bad("voice_id is invalid"))?;
    let speed = &body["voice_speed"];
    must(speed.is_null() || speed.as_f64().is_some_and(|speed| (0.8..=2.0).contains(&speed)), || bad("voice_speed"))?;
    Ok(Ask::Submit(Box::new(Order {
        model: "tts".to_owned(),
        form: "tts",
        prompt: text,
        outputs: 1,
        unit: Unit::Speech,
        blocking: true,
        body,
        ..Order::default()
    })))
}

/// About the area of the level's square.
fn picture_size(side: u32, ratio: Option<&str>) -> (u32, u32) {
    let read = |ratio: &str| {
        let (width, height) = ratio.split_once(':')?;
        Some((width.parse::<u32>().ok()?, height.parse::<u32>().ok()?))
    };
    let (width, height) = ratio.and_then(read).unwrap_or((16, 9));
    let unit = (side * side / (width * height)).isqrt();
    (width * unit, height * unit)
}

pub(super) fn task(job: &Facts<'_>, word: &str, reason: &str) -> Value {
    json!({ "task_id": job.entry.job, "task_status": word, "task_status_msg": reason,
            "task_info": { "external_task_id": job.entry.reference }, "created_at": super::AT_MS, "updated_at": super::AT_MS })
}

pub(super) fn result(job: &Facts<'_>, made: &[Made]) -> Value {
    match PICTURES.contains(&job.entry.form.as_str()) {
        true => {
            let one = |(at, url)| json!({ "index": at, "url": url, "watermark_url": null });
            // The last one first: their order is in the index.
            let mut images: Vec<Value> = links(made).map(one).collect();
            images.reverse();
            json!({ "images": images })
        }
        _ => {
            let one =
                |(at, url)| json!({ "id": format!("v{at}"), "url": url, "watermark_url": "", "duration": "1.04" });
            json!({ "videos": links(made).map(one).collect::<Vec<Value>>() })
        }
    }
}
