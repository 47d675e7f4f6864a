//! What the vendor's page says of each model. Where the answer is a task, almost nothing of it is
//! looked at before the task runs.

use super::store;
use crate::{media::size_of, vendor::Asked};
use serde_json::Value;

/// What a model is asked on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    Text2Image,
    Image2Image,
    /// Blocking messages, and speech.
    Multimodal,
    /// The same messages as a task.
    Generation,
    Video,
}

/// Of a model of pictures: where it is asked, how many pictures it takes, and how many it makes.
struct Picture {
    id: &'static str,
    paths: &'static [Path],
    takes: (usize, usize),
    /// Without `n`, and at most.
    makes: (u64, u64),
}

const fn picture(id: &'static str, paths: &'static [Path], takes: (usize, usize), makes: (u64, u64)) -> Picture {
    Picture { id, paths, takes, makes }
}

const BOTH: &[Path] = &[Path::Multimodal, Path::Generation];
const PICTURES: &[Picture] = &[
    picture("qwen-image", &[Path::Text2Image, Path::Multimodal], (0, 0), (1, 1)),
    picture("qwen-image-plus", &[Path::Text2Image, Path::Multimodal], (0, 0), (1, 1)),
    picture("qwen-image-max", &[Path::Multimodal], (0, 0), (1, 1)),
    picture("qwen-image-2.0", &[Path::Multimodal], (0, 3), (1, 6)),
    picture("qwen-image-2.0-pro", &[Path::Multimodal], (0, 3), (1, 6)),
    picture("qwen-image-3.0", BOTH, (0, 3), (1, 6)),
    picture("qwen-image-3.0-pro", BOTH, (0, 3), (1, 6)),
    picture("qwen-image-edit", &[Path::Multimodal], (1, 3), (1, 1)),
    picture("qwen-image-edit-plus", &[Path::Multimodal], (1, 3), (1, 6)),
    picture("qwen-image-edit-max", &[Path::Multimodal], (1, 3), (1, 6)),
    picture("wan2.7-image", BOTH, (0, 9), (4, 4)),
    picture("wan2.7-image-pro", BOTH, (0, 9), (4, 4)),
    picture("wan2.6-t2i", BOTH, (0, 0), (4, 4)),
    picture("wan2.6-image", BOTH, (1, 4), (4, 4)),
    picture("wan2.5-t2i-preview", &[Path::Text2Image], (0, 0), (4, 4)),
    picture("wan2.5-i2i-preview", &[Path::Image2Image], (1, 3), (4, 4)),
    picture("wan2.2-t2i-flash", &[Path::Text2Image], (0, 0), (4, 4)),
    picture("wan2.2-t2i-plus", &[Path::Text2Image], (0, 0), (4, 4)),
    picture("z-image-turbo", &[Path::Multimodal], (0, 0), (1, 1)),
];

/// How a model of clips takes its inputs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// Text, and sound as `audio_url`.
    Text,
    Frame,
    References,
    BothFrames,
    /// A list, of which something must be there.
    Media,
    /// A list, which may be absent.
    AnyMedia,
}

/// Of a model of clips: its inputs, whether it is told pixels (or else a level), and its seconds.
struct Clip {
    id: &'static str,
    takes: Takes,
    by_pixels: bool,
    seconds: (u64, u64),
}

const fn clip(id: &'static str, takes: Takes, by_pixels: bool, seconds: (u64, u64)) -> Clip {
    Clip { id, takes, by_pixels, seconds }
}

const CLIPS: &[Clip] = &[
    clip("wan2.6-t2v", Takes::Text, true, (2, 15)),
    clip("wan2.6-i2v", Takes::Frame, false, (2, 15)),
    clip("wan2.6-i2v-flash", Takes::Frame, false, (2, 15)),
    clip("wan2.6-r2v", Takes::References, true, (2, 10)),
    clip("wan2.6-r2v-flash", Takes::References, true, (2, 10)),
    clip("wan2.2-kf2v-flash", Takes::BothFrames, false, (5, 5)),
    clip("wan2.7-t2v", Takes::Text, false, (2, 15)),
    clip("wan2.7-i2v", Takes::Media, false, (2, 15)),
    clip("wan2.7-r2v", Takes::Media, false, (2, 10)),
    clip("wan3.0-video", Takes::AnyMedia, false, (1, 30)),
    clip("wan3.0-video-prime", Takes::AnyMedia, false, (1, 30)),
    clip("happyhorse-1.1-t2v", Takes::Text, false, (3, 15)),
    clip("happyhorse-1.1-i2v", Takes::Media, false, (3, 15)),
    clip("happyhorse-1.1-r2v", Takes::Media, false, (3, 15)),
];

const MEDIA: [&str; 7] = [
    "first_frame",
    "last_frame",
    "reference_image",
    "reference_video",
    "reference_audio",
    "first_clip",
    "driving_audio",
];
const PIXELS: [&str; 13] = [
    "832*480",
    "480*832",
    "624*624",
    "1280*720",
    "720*1280",
    "960*960",
    "1088*832",
    "832*1088",
    "1920*1080",
    "1080*1920",
    "1440*1440",
    "1632*1248",
    "1248*1632",
];
const SPEECH: [&str; 3] = ["qwen3-tts-flash", "qwen3-tts-instruct-flash", "qwen-tts"];
const VOICES: &str = "Cherry Serena Ethan Chelsie Momo Vivian Moon Maia Kai Nofish Bella Jennifer Ryan Katerina Elias \
                      Jada Dylan Sunny Marcus Roy Peter Rocky Kiki Eric";
const LANGUAGES: &str = "Auto Chinese English Japanese Korean German French Spanish Portuguese Italian Russian";
const SPEECH_CHARS_MAX: usize = 600;

fn known_picture(model: &str, path: Path) -> Option<&'static Picture> {
    PICTURES.iter().find(|known| known.id == model && known.paths.contains(&path))
}

/// Whether the model is asked on this path.
pub(super) fn is_known(model: &str, path: Path) -> bool {
    match path {
        Path::Video => CLIPS.iter().any(|clip| clip.id == model),
        path => known_picture(model, path).is_some(),
    }
}

/// How many pictures it is to make; it makes what it always makes where nothing is said.
pub(super) fn count(model: &str, path: Path, parameters: &Value) -> u32 {
    let (usual, most) = known_picture(model, path).map_or((1, 1), |known| known.makes);
    u32::try_from(parameters["n"].as_u64().unwrap_or(usual).clamp(1, most)).unwrap_or(1)
}

/// What is wrong with pictures that are asked for.
pub(super) fn picture_flaw(body: &Value, path: Path, given: &[&str]) -> Option<&'static str> {
    let model = body["model"].as_str().unwrap_or_default();
    let known = known_picture(model, path)?;
    let (least, most) = known.takes;
    let parameters = &body["parameters"];
    let n = parameters["n"].as_u64().unwrap_or(known.makes.0);
    let (width, height) = size_of(parameters["size"].as_str(), '*', (1328, 1328));
    let sides = |low: u32, high: u32| [width, height].iter().all(|side| (low..=high).contains(side));
    let pixels = |low: u64, high: u64| {
        let all = u64::from(width) * u64::from(height);
        (low * low..=high * high).contains(&all)
    };
    let is_sized = match model {
        "wan2.5-i2i-preview" => parameters["size"].is_null() || pixels(768, 1280),
        // The page's own sizes are a little below the bound that it states.
        "wan2.6-t2i" => parameters["size"].is_null() || pixels(1274, 1440),
        "qwen-image-2.0" | "qwen-image-2.0-pro" | "z-image-turbo" => pixels(512, 2048),
        "wan2.7-image-pro" if given.is_empty() => pixels(768, 4096),
        "wan2.7-image" | "wan2.7-image-pro" => pixels(768, 2048),
        "qwen-image" | "qwen-image-plus" | "qwen-image-edit-plus" => sides(512, 2048),
        _ => true,
    };
    let flaws = [
        (is_sized, "Size is out of range [512*512, 2048*2048]."),
        ((least..=most).contains(&given.len()), "The number of input images is invalid."),
        ((1..=known.makes.1).contains(&n), "The parameter 'n' is invalid."),
        (model != "z-image-turbo" || parameters["n"].is_null(), "The parameter 'n' is not supported."),
        (model != "z-image-turbo" || parameters["negative_prompt"].is_null(), "The parameter is not supported."),
        (is_seed(parameters), "The parameter 'seed' is invalid."),
    ];
    flaws.into_iter().find(|(good, _)| !good).map(|(_, flaw)| flaw)
}

fn is_seed(parameters: &Value) -> bool {
    parameters["seed"].is_null() || parameters["seed"].as_u64().is_some_and(|seed| seed < 1 << 31)
}

/// Whether a clip cannot be made.
pub(super) fn is_flawed_clip(body: &Value) -> bool {
    let Some(clip) = CLIPS.iter().find(|clip| body["model"] == clip.id) else { return true };
    let (input, parameters) = (&body["input"], &body["parameters"]);
    let is_text = |name: &str| input[name].as_str().is_some_and(|text| !text.is_empty());
    let list = |name: &str| input[name].as_array().map_or(&[][..], Vec::as_slice);
    let types: Vec<&str> = list("media").iter().map(|item| item["type"].as_str().unwrap_or_default()).collect();
    let good_types =
        types.iter().all(|kind| MEDIA.contains(kind)) && list("media").iter().all(|m| m["url"].is_string());
    let has_inputs = match clip.takes {
        Takes::Text => is_text("prompt"),
        Takes::Frame => is_text("img_url"),
        Takes::References => (1..=5).contains(&list("reference_urls").len()),
        Takes::BothFrames => is_text("first_frame_url") && is_text("last_frame_url"),
        Takes::Media => !types.is_empty() && good_types,
        Takes::AnyMedia => is_text("prompt") && good_types,
    };
    let size = parameters["size"].as_str();
    let level = parameters["resolution"].as_str();
    let is_sized = match clip.by_pixels {
        true => level.is_none() && size.is_none_or(|size| PIXELS.contains(&size)),
        false => size.is_none() && level.is_none_or(|level| ["480P", "720P", "1080P"].contains(&level)),
    };
    let seconds = parameters["duration"].as_u64().unwrap_or(5);
    let is_long = (clip.seconds.0..=clip.seconds.1).contains(&seconds);
    !has_inputs || !is_sized || !is_long || !is_seed(parameters)
}

/// The pixels of a clip.
pub(super) fn clip_size(parameters: &Value) -> (u32, u32) {
    let level = match parameters["resolution"].as_str() {
        Some("480P") => (832, 480),
        Some("720P") => (1280, 720),
        _ => (1920, 1080),
    };
    size_of(parameters["size"].as_str(), '*', level)
}

/// What is wrong with speech.
pub(super) fn speech_flaw(body: &Value) -> Option<&'static str> {
    let input = &body["input"];
    let is_one_of =
        |name: &str, all: &str| input[name].as_str().is_some_and(|word| all.split_whitespace().any(|w| w == word));
    let flaws = [
        (body["model"].as_str().is_some_and(|model| SPEECH.contains(&model)), "Model not exist."),
        (is_one_of("voice", VOICES), "The voice is not supported."),
        (input["language_type"].is_null() || is_one_of("language_type", LANGUAGES), "The language is not supported."),
        (input["text"].as_str().is_some_and(|text| text.chars().count() <= SPEECH_CHARS_MAX), "The text is too long."),
    ];
    flaws.into_iter().find(|(good, _)| !good).map(|(_, flaw)| flaw)
}

/// Whether each address can be read: a link, a picture itself, or what this model may read in the
/// store, which has to be said in a header.
pub(super) fn are_readable(asked: &Asked, model: &str, urls: &[&str]) -> bool {
    let resolves = asked.header("x-dashscope-ossresourceresolve") == Some("enable");
    urls.iter().all(|url| match url.split_once(':') {
        Some(("http" | "https", _)) => true,
        Some(("data", rest)) => rest.contains(";base64,"),
        Some(("oss", _)) => resolves && store::is_open(url, model),
        _ => false,
    })
}
