//! What Ark's models take, as its pages say.

use crate::media::size_of;
use serde_json::Value;

/// Why a request is refused.
pub(super) enum Bad {
    Model,
    Missing(&'static str),
    Parameter(&'static str),
    /// Inputs that do not go together.
    Task(&'static str),
}

struct Picture {
    id: &'static str,
    presets: &'static [(&'static str, u32)],
    pixels: (u64, u64),
    multiple: u32,
    references: usize,
    /// Whether the kind of file can be chosen.
    formats: bool,
}

/// What most have in common.
const PICTURE: Picture = Picture {
    id: "",
    presets: &[("2K", 2048), ("4K", 4096)],
    pixels: (3_686_400, 16_777_216),
    multiple: 1,
    references: 14,
    formats: false,
};

const PICTURES: &[Picture] = &[
    Picture {
        id: "doubao-seedream-5-0-260128",
        presets: &[("2K", 2048), ("3K", 3072), ("4K", 4096)],
        formats: true,
        ..PICTURE
    },
    Picture {
        id: "doubao-seedream-5-0-pro-260628",
        presets: &[("1K", 1024), ("2K", 2048)],
        pixels: (921_600, 4_624_000),
        multiple: 16,
        references: 10,
        formats: true,
    },
    Picture { id: "doubao-seedream-4-5-251128", ..PICTURE },
    Picture {
        id: "doubao-seedream-4-0-250828",
        presets: &[("1K", 1024), ("2K", 2048), ("4K", 4096)],
        pixels: (921_600, 16_777_216),
        ..PICTURE
    },
];

/// The side of the square that a preset stands for, where the size is one.
pub(super) fn check_image(body: &Value) -> Result<Option<u32>, Bad> {
    let model = PICTURES.iter().find(|model| body["model"] == model.id).ok_or(Bad::Model)?;
    if body["prompt"].as_str().is_none_or(str::is_empty) {
        return Err(Bad::Missing("prompt"));
    }
    for (name, values) in [
        ("sequential_image_generation", &["auto", "disabled"]),
        ("response_format", &["url", "b64_json"]),
        ("output_format", &["png", "jpeg"]),
    ] {
        one_of(body, name, values)?;
    }
    if !body["output_format"].is_null() && !model.formats {
        return Err(Bad::Parameter("output_format"));
    }
    for name in ["n", "seed", "guidance_scale", "negative_prompt"] {
        absent(body, name)?;
    }
    boolean(body, "watermark")?;
    let images = match &body["image"] {
        Value::Array(images) => images.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    if images.len() > model.references || !images.iter().all(is_picture) {
        return Err(Bad::Parameter("image"));
    }
    let most = &body["sequential_image_generation_options"]["max_images"];
    let fits = |most: u64| (1..=15).contains(&most) && most + images.len() as u64 <= 15;
    if !most.is_null() && !most.as_u64().is_some_and(fits) {
        return Err(Bad::Parameter("sequential_image_generation_options.max_images"));
    }
    check_size(body, model)
}

fn check_size(body: &Value, model: &Picture) -> Result<Option<u32>, Bad> {
    let Some(size) = body["size"].as_str() else { return Ok(Some(2048)) };
    if let Some((_, side)) = model.presets.iter().find(|(name, _)| *name == size) {
        return Ok(Some(*side));
    }
    let (width, height) = size_of(Some(size), 'x', (0, 0));
    let pixels = u64::from(width) * u64::from(height);
    let is_even = width.is_multiple_of(model.multiple) && height.is_multiple_of(model.multiple);
    let is_narrow = width > height.saturating_mul(16) || height > width.saturating_mul(16);
    match (model.pixels.0..=model.pixels.1).contains(&pixels) && is_even && !is_narrow {
        true => Ok(None),
        false => Err(Bad::Parameter("size")),
    }
}

struct Clip {
    id: &'static str,
    seconds: (i64, i64),
    /// Whether -1 leaves the length to the model.
    automatic: bool,
    levels: &'static [&'static str],
    sound: bool,
    /// The second generation: references, but neither a seed nor a still camera.
    second: bool,
}

/// Of the second generation.
const CLIP: Clip = Clip {
    id: "",
    seconds: (4, 15),
    automatic: true,
    levels: &["480p", "720p", "1080p", "4k"],
    sound: true,
    second: true,
};
/// Of the first.
const FIRST: Clip = Clip { seconds: (4, 12), levels: &["480p", "720p", "1080p"], second: false, ..CLIP };

const CLIPS: &[Clip] = &[
    Clip { id: "doubao-seedance-2-5-260628", seconds: (4, 30), ..CLIP },
    Clip { id: "doubao-seedance-2-0-260128", ..CLIP },
    Clip { id: "doubao-seedance-2-0-fast-260128", levels: &["480p", "720p"], ..CLIP },
    Clip { id: "doubao-seedance-2-0-mini-260615", levels: &["480p", "720p"], ..CLIP },
    Clip { id: "doubao-seedance-1-5-pro-251215", ..FIRST },
    Clip { id: "doubao-seedance-1-0-pro-250528", seconds: (2, 12), automatic: false, sound: false, ..FIRST },
];

const RATIOS: [&str; 7] = ["16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive"];

pub(super) fn check_video(body: &Value) -> Result<(), Bad> {
    let model = CLIPS.iter().find(|model| body["model"] == model.id).ok_or(Bad::Model)?;
    check_content(body, model)?;
    one_of(body, "resolution", model.levels)?;
    one_of(body, "ratio", &RATIOS)?;
    let (low, high) = model.seconds;
    let lasts = |seconds: i64| (low..=high).contains(&seconds) || (model.automatic && seconds == -1);
    whole(body, "duration", lasts)?;
    whole(body, "seed", |seed| !model.second && (-1..=4_294_967_295).contains(&seed))?;
    whole(body, "execution_expires_after", |seconds| (3600..=259_200).contains(&seconds))?;
    ["watermark", "generate_audio", "camera_fixed", "return_last_frame"]
        .iter()
        .try_for_each(|name| boolean(body, name))?;
    if !model.sound {
        absent(body, "generate_audio")?;
    }
    if model.second {
        absent(body, "camera_fixed")?;
        absent(body, "service_tier")?;
    }
    Ok(())
}

/// Frames, or references: never both, and no sound without something to see.
fn check_content(body: &Value, model: &Clip) -> Result<(), Bad> {
    let items = body["content"].as_array().filter(|items| !items.is_empty()).ok_or(Bad::Missing("content"))?;
    let count = |role: &str| items.iter().filter(|item| item["role"] == role).count();
    for item in items {
        let is_good = match item["type"].as_str() {
            Some("text") => item["text"].is_string(),
            Some("image_url") => is_picture(&item["image_url"]["url"]),
            Some("video_url") => model.second && item["role"] == "reference_video",
            Some("audio_url") => model.second && item["role"] == "reference_audio",
            _ => false,
        };
        if !is_good {
            return Err(Bad::Parameter("content"));
        }
    }
    let (first, last) = (count("first_frame"), count("last_frame"));
    let [images, videos, sounds] = ["reference_image", "reference_video", "reference_audio"].map(count);
    if first > 1 || last > first {
        return Err(Bad::Task("a last frame needs exactly one first frame"));
    }
    if first > 0 && images + videos + sounds > 0 {
        return Err(Bad::Task("first/last frame content cannot be mixed with reference media content"));
    }
    if images > 0 && !model.second {
        return Err(Bad::Task("the model does not take reference images"));
    }
    if sounds > 0 && images + videos == 0 {
        return Err(Bad::Task("reference audio cannot be used alone"));
    }
    match images > 9 || videos > 3 || sounds > 3 {
        true => Err(Bad::Parameter("content")),
        false => Ok(()),
    }
}

/// An address, an asset, or a data URI whose type is in lower case and is spelt out.
fn is_picture(url: &Value) -> bool {
    const TYPES: [&str; 8] = ["jpeg", "png", "webp", "bmp", "tiff", "gif", "heic", "heif"];
    let Some(url) = url.as_str() else { return false };
    match url.strip_prefix("data:image/") {
        Some(rest) => rest.split_once(";base64,").is_some_and(|(kind, data)| TYPES.contains(&kind) && !data.is_empty()),
        None => ["https://", "http://", "asset://"].iter().any(|scheme| url.starts_with(scheme)),
    }
}

/// The size of a clip, by its level and ratio.
pub(super) fn side_of(body: &Value) -> (u32, u32) {
    let short = match body["resolution"].as_str() {
        Some("480p") => 480,
        Some("1080p") => 1080,
        Some("4k") => 2160,
        _ => 720,
    };
    let (across, down) = size_of(body["ratio"].as_str(), ':', (16, 9));
    match across >= down {
        true => (short * across / down.max(1), short),
        false => (short, short * down / across.max(1)),
    }
}

fn one_of(body: &Value, name: &'static str, values: &[&str]) -> Result<(), Bad> {
    let is_known = body[name].is_null() || body[name].as_str().is_some_and(|value| values.contains(&value));
    is_known.then_some(()).ok_or(Bad::Parameter(name))
}

fn whole(body: &Value, name: &'static str, fits: impl Fn(i64) -> bool) -> Result<(), Bad> {
    let is_good = body[name].is_null() || body[name].as_i64().is_some_and(fits);
    is_good.then_some(()).ok_or(Bad::Parameter(name))
}

fn boolean(body: &Value, name: &'static str) -> Result<(), Bad> {
    (body[name].is_null() || body[name].is_boolean()).then_some(()).ok_or(Bad::Parameter(name))
}

fn absent(body: &Value, name: &'static str) -> Result<(), Bad> {
    body[name].is_null().then_some(()).ok_or(Bad::Parameter(name))
}
