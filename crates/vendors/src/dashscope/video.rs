//! Clips. Which field an input goes to differs by the family of models and by what the inputs are
//! used for, and so does the way in which the size is told.

use super::{
    insert, parameters,
    plan::{check_picture, extends, has, refused, wants_shots},
    prompts, vendor_model,
};
use crate::inline::json_with_files;
use pixel_core::{
    Error,
    catalog::Model,
    request::{Checked, Mode, Role, Warning},
    size::{Level, Size, parse_ratio},
    vendor::{Body, Job},
};
use serde_json::{Map, Value, json};

/// How a family of models takes its inputs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// A field each.
    Fields,
    /// Two frames, a field each.
    Frames,
    /// A list in which each has its type.
    Media,
}

/// What the inputs are used for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Text,
    Frames,
    /// A clip that goes on.
    Clip,
    References,
}

/// Where an input goes: a field (`…_url`), a list (`…_urls`), or a type in the list of media.
const PLACES: &[(Style, Use, Role, &str)] = &[
    (Style::Fields, Use::Text, Role::Audio, "audio_url"),
    (Style::Fields, Use::Frames, Role::FirstFrame, "img_url"),
    (Style::Fields, Use::Frames, Role::Audio, "audio_url"),
    (Style::Fields, Use::References, Role::Reference, "reference_urls"),
    (Style::Fields, Use::References, Role::Video, "reference_urls"),
    (Style::Frames, Use::Frames, Role::FirstFrame, "first_frame_url"),
    (Style::Frames, Use::Frames, Role::LastFrame, "last_frame_url"),
    (Style::Media, Use::Text, Role::Audio, "audio_url"),
    (Style::Media, Use::Frames, Role::FirstFrame, "first_frame"),
    (Style::Media, Use::Frames, Role::LastFrame, "last_frame"),
    (Style::Media, Use::Frames, Role::Audio, "driving_audio"),
    (Style::Media, Use::Clip, Role::Video, "first_clip"),
    (Style::Media, Use::Clip, Role::LastFrame, "last_frame"),
    (Style::Media, Use::References, Role::Reference, "reference_image"),
    (Style::Media, Use::References, Role::Video, "reference_video"),
    (Style::Media, Use::References, Role::Audio, "reference_audio"),
];

/// Vendor's ids that make shorter clips than their relatives, in seconds.
const SECONDS_MAX: &[(&str, u32)] = &[("wan2.6-r2v", 10), ("wan2.6-r2v-flash", 10), ("wan2.7-r2v", 10)];

impl Use {
    pub(super) fn of(mode: Option<Mode>, roles: impl Iterator<Item = Role>) -> Self {
        let roles: Vec<Role> = roles.collect();
        let any = |wanted: &[Role]| roles.iter().any(|role| wanted.contains(role));
        match mode {
            Some(Mode::Reference) if any(&[Role::Reference, Role::Video]) => Self::References,
            Some(Mode::Extend) if any(&[Role::Video]) => Self::Clip,
            _ if any(&[Role::FirstFrame, Role::LastFrame]) => Self::Frames,
            _ => Self::Text,
        }
    }

    pub(super) fn by(job: &Job<'_>) -> Self {
        Self::of(job.request.mode, job.inputs.iter().map(|input| input.role))
    }
}

pub(super) fn place(style: Style, usage: Use, role: Role) -> Option<&'static str> {
    PLACES.iter().find(|(s, u, r, _)| (*s, *u, *r) == (style, usage, role)).map(|(.., place)| *place)
}

pub(super) fn model<'a>(job: &Job<'a>) -> &'a str {
    let has_last = job.inputs.iter().any(|input| input.role == Role::LastFrame);
    vendor_model(job.card, Use::by(job), has_last)
}

pub(super) fn body(job: &Job<'_>, style: Style, uploaded: &[String]) -> Body {
    let usage = Use::by(job);
    let (mut input, mut files, mut uploaded) = (prompts(job), Vec::new(), uploaded.iter());
    for stored in job.inputs {
        let Some(place) = place(style, usage, stored.role) else { continue };
        match stored.role {
            Role::Video | Role::Audio => drop(put(&mut input, place, json!(uploaded.next()))),
            Role::Reference | Role::FirstFrame | Role::LastFrame => {
                files.push((put(&mut input, place, Value::Null), stored));
            }
        }
    }
    let mut all = parameters(job);
    all.extend(size(job.request, job.card, style, usage));
    insert(&mut all, "duration", seconds(job.request, model(job)).map(|seconds| json!(seconds)));
    let body = json!({ "model": model(job), "input": input, "parameters": all });
    json_with_files(&body, &files)
}

/// Puts an address into its place and says where that is.
fn put(input: &mut Map<String, Value>, place: &str, url: Value) -> String {
    if place.ends_with("_url") {
        insert(input, place, Some(url));
        return format!("/input/{place}");
    }
    let (list, item, tail) = match place.ends_with("_urls") {
        true => (place, url, ""),
        false => ("media", json!({ "type": place, "url": url }), "/url"),
    };
    let items = input.entry(list).or_insert_with(|| json!([])).as_array_mut();
    let at = items.map_or(0, |items| {
        items.push(item);
        items.len() - 1
    });
    format!("/input/{list}/{at}{tail}")
}

/// Whole seconds, as many as the vendor's model makes.
fn seconds(request: &Checked, vendor_model: &str) -> Option<u32> {
    let most = SECONDS_MAX.iter().find(|(id, _)| *id == vendor_model).map_or(u32::MAX, |(_, most)| *most);
    request.duration_ms.map(|ms| ms.div_ceil(1000).min(most))
}

/// Either pixels, or a level and, where the family takes one, a ratio.
fn size(request: &Checked, card: &Model, style: Style, usage: Use) -> Map<String, Value> {
    let mut all = Map::new();
    let Some(size) = request.size else { return all };
    let (level, ratio) = listed(card, size);
    match (style, usage) {
        (Style::Fields, Use::Text | Use::References | Use::Clip) => insert(&mut all, "size", Some(json!(size))),
        _ => insert(&mut all, "resolution", Some(json!(level.to_uppercase()))),
    }
    // What begins with a picture has its ratio, unless another is asked for.
    if style == Style::Media && (matches!(usage, Use::Text | Use::References) || request.aspect_ratio.is_some()) {
        insert(&mut all, "ratio", Some(json!(ratio)));
    }
    all
}

/// The level and the ratio of the card that are nearest to a size.
fn listed(card: &Model, size: Size) -> (&str, &str) {
    let apart = |a: f64, b: f64| (a / b).ln().abs();
    let levels = card.resolutions.iter().filter_map(|(level, ratios)| Some((level.as_str(), ratios.as_table()?)));
    let all = levels.flat_map(|(level, ratios)| ratios.keys().map(move |ratio| (level, ratio.as_str())));
    let far = |(level, ratio): &(&str, &str)| {
        let listed = card.listed_size(level, ratio).unwrap_or(size);
        let shape = parse_ratio(ratio).unwrap_or(listed.ratio());
        apart(listed.pixels() as f64, size.pixels() as f64) + apart(shape, size.ratio())
    };
    all.min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or_default()
}

/// What of a request a clip will not have, or why there can be none.
pub(super) fn warnings(request: &Checked, card: &Model, style: Style) -> Result<Vec<Warning>, Error> {
    let usage = Use::of(request.mode, request.inputs.iter().map(|input| input.role));
    let vendor_model = vendor_model(card, usage, has(request, Role::LastFrame));
    check(request, card, usage, vendor_model)?;
    let mut all = Vec::new();
    let unused = request.inputs.iter().filter(|input| place(style, usage, input.role).is_none());
    all.extend(unused.map(|input| {
        let message = "It has no place beside the other inputs in this mode; it was left out.";
        Warning::new(input.field.as_str(), message)
    }));
    let idle = matches!(request.mode, Some(Mode::Reference | Mode::Extend)) && matches!(usage, Use::Text | Use::Frames);
    if idle {
        let message = "There is no input to be used so; the mode was left out.";
        all.push(Warning::new("extraParams.mode", message));
    }
    let asks_shape =
        request.resolution.as_deref().is_some_and(|text| matches!(Level::parse(text), Some(Level::Exact(_))));
    let follows = usage == Use::Frames && style != Style::Media;
    for (field, asked) in [("aspectRatio", request.aspect_ratio.is_some()), ("resolution", asks_shape)] {
        if follows && asked {
            all.push(Warning::new(field, "The clip has the ratio of its first frame; only the level was used."));
        }
    }
    if let (Some(ms), Some(used)) = (request.duration_ms, seconds(request, vendor_model))
        && ms > used * 1000
    {
        let message = format!("From references it makes {used}s at most.");
        all.push(Warning::new("duration", message));
    }
    if wants_shots(request) && !extends(request) {
        let message = "Several shots are made only where the prompt may be rewritten ('prompt_extend').";
        all.push(Warning::new("extraParams.shot_type", message));
    }
    Ok(all)
}

fn check(request: &Checked, card: &Model, usage: Use, vendor_model: &str) -> Result<(), Error> {
    if usage == Use::Frames && !has(request, Role::FirstFrame) {
        return Err(refused("'extraParams.lastFrame' needs a first frame: name one in 'imageInputs'.".to_owned()));
    }
    if usage == Use::Text && has(request, Role::Reference) {
        let message = format!("'{}' takes no references; leave 'extraParams.mode' out.", card.id());
        return Err(refused(message));
    }
    if usage == Use::Frames && vendor_model.is_empty() {
        let message = format!("'{}' needs a last frame too: name one in 'extraParams.lastFrame'.", card.id());
        return Err(refused(message));
    }
    check_picture(card, vendor_model)
}
