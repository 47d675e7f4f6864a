//! Checks a request against a model: what it asks becomes what the model can do, with a warning
//! for each difference, or a refusal that names the field.

use crate::{
    catalog::{Model, parse_duration_ms},
    param,
    request::{Ask, Checked, Input, Kind, Refusal, Role, Warning},
    size::{Level, Size, parse_ratio},
};
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// Pixels of one picture: no larger one is taken in, whoever makes it.
pub const PIXELS_MAX: u64 = 40_000_000;

/// Most results that one request may ask for.
pub const N_MAX: u32 = 10;
/// Where a request is filed by its caller, and other short texts; at most so many characters each.
pub const LABEL_CHARS: usize = 200;
/// Prompts; a model may take less.
pub const TEXT_CHARS: usize = 100_000;
/// Addresses of inputs in one request; a model takes fewer.
pub const INPUTS_MAX: usize = 64;
/// Further parameters of one request.
pub const EXTRA_MAX: usize = 64;
/// Messages of one chat.
pub const MESSAGES_MAX: usize = 1000;
/// Times the usual speed.
pub const SPEED: RangeInclusive<f64> = 0.25..=4.0;
/// Names in `extraParams` that are no parameters of a model's own.
pub const RESERVED: &[&str] = &["seed", "loras", "mode", "lastFrame", "videoInput", "audioInput"];

/// Checks `ask` against `card`. With `stand_in` the sandbox answers in the model's place and
/// makes every size, so that the model's own limits on sizes do not apply.
pub fn check(ask: Ask, card: &Model, stand_in: bool) -> Result<(Checked, Vec<Warning>), Refusal> {
    let mut notes = Notes { card, warnings: Vec::new() };
    check_prompt(&ask, card)?;
    check_inputs(&ask.inputs, card)?;
    let size = notes.size(&ask, stand_in)?;
    let duration_ms = notes.duration(&ask, size)?;
    let voice = notes.voice(&ask)?;
    let speed = notes.speed(&ask)?;
    let checked = Checked {
        kind: ask.kind,
        prompt: ask.prompt,
        negative_prompt: notes.keep("negativePrompt", "a negative prompt", card.negative_prompt, ask.negative_prompt),
        size,
        resolution: ask.resolution.clone(),
        aspect_ratio: ask.aspect_ratio.clone(),
        duration_ms,
        n: ask.n,
        seed: notes.keep("seed", "a seed", card.seed, ask.seed),
        voice,
        speed,
        mode: notes.keep("extraParams.mode", "this mode", ask.mode.is_some_and(|m| card.modes.contains(&m)), ask.mode),
        loras: notes.keep("extraParams.loras", "LoRAs", card.loras, some(ask.loras)).unwrap_or_default(),
        inputs: ask.inputs,
        extra: notes.extra(ask.extra)?,
        model: ask.model,
    };
    Ok((checked, notes.warnings))
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn check_prompt(ask: &Ask, card: &Model) -> Result<(), Refusal> {
    let chars = ask.prompt.chars().count();
    match card.prompt_chars_max {
        Some(max) if chars > max => Err(Refusal::new(
            "prompt",
            format!("'prompt' has {chars} characters; '{}' takes at most {max}. Shorten it.", card.id()),
        )),
        _ => Ok(()),
    }
}

fn check_inputs(inputs: &[Input], card: &Model) -> Result<(), Refusal> {
    let count = |wanted: &[Role]| inputs.iter().filter(|input| wanted.contains(&input.role)).count();
    let pictures = count(&[Role::Reference, Role::FirstFrame]);
    let most = card.ref_images as usize;
    if pictures > most {
        let why = match most {
            0 => format!("'{}' takes no reference images; leave 'imageInputs' out.", card.id()),
            _ => format!("'{}' takes at most {most} reference images; 'imageInputs' has {pictures}.", card.id()),
        };
        return Err(Refusal::new("imageInputs", why));
    }
    let offers = [
        (Role::LastFrame, card.last_frame, "lastFrame", "last frame"),
        (Role::Video, card.video_input, "videoInput", "video input"),
        (Role::Audio, card.audio_input, "audioInput", "audio input"),
    ];
    for (role, offered, field, noun) in offers {
        if !offered && count(&[role]) > 0 {
            let why = format!("'{}' takes no {noun}; leave 'extraParams.{field}' out.", card.id());
            return Err(Refusal::new(format!("extraParams.{field}"), why));
        }
    }
    Ok(())
}

/// Collects warnings while fields are read.
struct Notes<'a> {
    card: &'a Model,
    warnings: Vec<Warning>,
}

impl Notes<'_> {
    fn warn(&mut self, field: &str, message: String) {
        self.warnings.push(Warning::new(field, message));
    }

    /// Keeps a value that the model offers; warns of one that it does not.
    fn keep<T>(&mut self, field: &str, noun: &str, offered: bool, value: Option<T>) -> Option<T> {
        if value.is_some() && !offered {
            self.warn(field, format!("'{}' does not take {noun}; it was left out.", self.card.id()));
            return None;
        }
        value
    }

    fn size(&mut self, ask: &Ask, stand_in: bool) -> Result<Option<Size>, Refusal> {
        let Some((level, ratio)) = usual_size(self.card, ask.kind) else { return Ok(self.no_size(ask)) };
        let level = ask.resolution.as_deref().unwrap_or(level);
        let ratio = ask.aspect_ratio.as_deref().unwrap_or(ratio);
        let asked = self.asked_size(level, ratio)?;
        if matches!((Level::parse(level), &ask.aspect_ratio), (Some(Level::Exact(_)), Some(_))) {
            self.warn("aspectRatio", format!("'resolution' gives the exact size {asked}; the ratio was left out."));
        }
        let makes = self.card.makes.as_ref().filter(|_| !stand_in);
        let made = makes.map_or(asked, |makes| makes.nearest(asked));
        if made != asked {
            let message = format!("'{}' cannot make {asked}; {made} is the nearest it makes.", self.card.id());
            self.warn("resolution", message);
        }
        Ok(Some(made))
    }

    fn asked_size(&self, level: &str, ratio: &str) -> Result<Size, Refusal> {
        if let Some(size) = self.card.listed_size(level, ratio) {
            return Ok(size);
        }
        let parsed = Level::parse(level).ok_or_else(|| {
            let why = format!("'resolution' must be a level such as {}, got: '{level}'.", self.levels());
            Refusal::new("resolution", why)
        })?;
        let width_over_height = parse_ratio(ratio).ok_or_else(|| {
            let why = format!("'aspectRatio' must be a ratio such as '16:9' or '1:1', got: '{ratio}'.");
            Refusal::new("aspectRatio", why)
        })?;
        let size = parsed.at(width_over_height);
        match size.width.max(size.height) <= 16_384 && size.pixels() <= PIXELS_MAX {
            true => Ok(size),
            false => Err(Refusal::new(
                "resolution",
                format!("'resolution' {level} at {ratio} is beyond 16384 pixels a side or 40 megapixels."),
            )),
        }
    }

    fn levels(&self) -> String {
        let listed: Vec<_> = self.card.resolutions.keys().map(|key| format!("'{key}'")).collect();
        match (listed.is_empty(), self.card.kind) {
            (false, _) => listed.join(", "),
            (true, Kind::Video) => "'720p'".to_owned(),
            (true, _) => "'1K' or '2K'".to_owned(),
        }
    }

    fn no_size(&mut self, ask: &Ask) -> Option<Size> {
        for (field, value) in [("resolution", &ask.resolution), ("aspectRatio", &ask.aspect_ratio)] {
            self.keep(field, "a size", false, value.as_ref());
        }
        None
    }

    fn duration(&mut self, ask: &Ask, size: Option<Size>) -> Result<Option<u32>, Refusal> {
        if ask.kind != Kind::Video {
            self.keep("duration", "a duration", false, ask.duration.as_ref());
            return Ok(None);
        }
        let offered = self.card.durations_at(size);
        let wanted = match ask.duration.as_deref() {
            None => return Ok(Some(usual_duration(&offered))),
            Some(text) => parse_duration_ms(text).ok_or_else(|| {
                let why = format!("'duration' must be seconds such as '5s' or '10s', got: '{text}'.");
                Refusal::new("duration", why)
            })?,
        };
        let nearest = offered.iter().copied().min_by_key(|ms| ms.abs_diff(wanted)).unwrap_or(wanted);
        if nearest != wanted {
            let at = match self.card.durations_ms().any(|ms| ms == wanted) {
                true => size.map_or_else(String::new, |size| format!(" at {size}")),
                false => String::new(),
            };
            let message = format!("'{}' cannot make {}{at}; it makes {}.", self.card.id(), secs(wanted), secs(nearest));
            self.warn("duration", message);
        }
        Ok(Some(nearest))
    }

    fn voice(&mut self, ask: &Ask) -> Result<Option<String>, Refusal> {
        let voices = &self.card.voices;
        match &ask.voice {
            _ if ask.kind != Kind::Audio => Ok(self.keep("voice", "a voice", false, ask.voice.clone())),
            None => Ok(voices.first().map(|voice| voice.id.clone())),
            Some(id) if voices.is_empty() || voices.iter().any(|voice| voice.id == *id) => Ok(Some(id.clone())),
            Some(id) => {
                let ids: Vec<_> = voices.iter().take(30).map(|voice| voice.id.as_str()).collect();
                let why = format!("'voice' must be one of {}, got: '{id}'.", ids.join(", "));
                Err(Refusal::new("voice", why))
            }
        }
    }

    fn speed(&mut self, ask: &Ask) -> Result<Option<f64>, Refusal> {
        let Some(speed) = ask.speed else { return Ok(None) };
        if !SPEED.contains(&speed) {
            let why = format!("'speed' must be a number from 0.25 to 4.0, got: {speed}.");
            return Err(Refusal::new("speed", why));
        }
        // The default speed asks for nothing, so it earns no warning.
        let plain = (speed - 1.0).abs() < 1e-9 && !self.card.speed;
        let value = (!plain).then_some(speed);
        Ok(self.keep("speed", "a speed", ask.kind == Kind::Audio && self.card.speed, value))
    }

    fn extra(&mut self, extra: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
        let mut kept = Map::new();
        for (name, value) in extra {
            let Some(spec) = self.card.params.get(&name) else {
                let message = format!("'{}' has no parameter '{name}'; it was left out.", self.card.id());
                self.warn(&format!("extraParams.{name}"), message);
                continue;
            };
            param::fits(spec, &value).map_err(|must| {
                let field = format!("extraParams.{name}");
                let message = format!("'{field}' must be {must}, got: {}.", shown(&value));
                Refusal::new(field, message)
            })?;
            kept.insert(name, value);
        }
        Ok(kept)
    }
}

/// The level and the ratio of a request that names none: the usual level when the model lists it,
/// else the first that it lists.
pub(crate) fn usual_size(card: &Model, kind: Kind) -> Option<(&str, &'static str)> {
    let (usual, ratio) = match kind {
        Kind::Image => ("1K", "1:1"),
        Kind::Video => ("720p", "16:9"),
        Kind::Audio | Kind::Llm => return None,
    };
    let listed = &card.resolutions;
    let level = match listed.contains_key(usual) {
        true => usual,
        false => listed.keys().next().map_or(usual, String::as_str),
    };
    Some((level, ratio))
}

/// A value for a message, at most 80 characters.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Five seconds when offered, else the shortest.
fn usual_duration(offered: &[u32]) -> u32 {
    match offered.contains(&5_000) {
        true => 5_000,
        false => offered.iter().copied().min().unwrap_or(5_000),
    }
}

fn secs(ms: u32) -> String {
    format!("{}s", f64::from(ms) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalog::Catalog, id::ModelId};

    const FILE: &str = r#"
        [vendor]
        id = "acme"
        name = "Acme"
        [[model]]
        key = "paint"
        name = "Paint"
        type = "image"
        form = "x"
        makes = { list = ["1664*928", "1328*1328"] }
        [model.resolutions.1K]
        "16:9" = "1280*720"
        [model.params.quality]
        enum = ["low", "high"]
        [[model]]
        key = "clip"
        name = "Clip"
        type = "video"
        form = "x"
        ref_images = 1
        durations = { 5s = "5 s", 10s = "10 s" }
        durations_at = { 1080p = ["5s"] }
        [model.resolutions]
        720p = { "16:9" = "1280*720" }
        1080p = { "16:9" = "1920*1080" }
    "#;

    fn ask(kind: Kind, model: &str) -> Ask {
        let model = ModelId::parse(model).unwrap();
        Ask {
            kind,
            model,
            prompt: "a cat".to_owned(),
            negative_prompt: None,
            resolution: None,
            aspect_ratio: None,
            duration: None,
            n: 1,
            seed: None,
            voice: None,
            speed: None,
            mode: None,
            loras: Vec::new(),
            inputs: Vec::new(),
            extra: Map::new(),
        }
    }

    fn run(change: impl FnOnce(&mut Ask), model: &str, stand_in: bool) -> Result<(Checked, Vec<Warning>), Refusal> {
        let catalog = Catalog::parse(&[("acme.toml", FILE)]).unwrap();
        let card = catalog.model(&ModelId::parse(model).unwrap()).unwrap();
        let mut ask = ask(card.kind, model);
        change(&mut ask);
        check(ask, card, stand_in)
    }

    #[test]
    fn a_size_that_is_not_made_becomes_the_nearest() {
        let wide = |ask: &mut Ask| ask.aspect_ratio = Some("16:9".to_owned());
        let (checked, warnings) = run(wide, "acme/paint", false).unwrap();
        assert_eq!(checked.size, Some(Size::new(1664, 928)));
        assert_eq!(warnings[0].field, "resolution");
        let (checked, warnings) = run(wide, "acme/paint", true).unwrap();
        assert_eq!((checked.size, warnings.len()), (Some(Size::new(1280, 720)), 0));
    }

    #[test]
    fn what_is_not_offered_is_warned_of_and_left_out() {
        let (checked, warnings) = run(
            |ask| {
                ask.seed = Some(1);
                ask.negative_prompt = Some("dark".to_owned());
                ask.extra.insert("zoom".to_owned(), Value::from(2));
                ask.extra.insert("quality".to_owned(), Value::from("low"));
                ask.resolution = Some("1328*1328".to_owned());
            },
            "acme/paint",
            false,
        )
        .unwrap();
        let fields: Vec<_> = warnings.iter().map(|w| w.field.as_str()).collect();
        assert_eq!(fields, ["negativePrompt", "seed", "extraParams.zoom"]);
        assert_eq!((checked.seed, checked.extra.len()), (None, 1));
    }

    #[test]
    fn wrong_values_are_refused_by_field() {
        let input = || Input {
            role: Role::Reference,
            origin: crate::request::Origin::Url("https://x.test/a.png".to_owned()),
            field: "imageInputs[0]".to_owned(),
        };
        let field = |result: Result<(Checked, Vec<Warning>), Refusal>| result.unwrap_err().field;
        assert_eq!(field(run(|a| a.resolution = Some("huge".into()), "acme/paint", false)), "resolution");
        assert_eq!(field(run(|a| a.aspect_ratio = Some("wide".into()), "acme/paint", false)), "aspectRatio");
        assert_eq!(field(run(|a| a.inputs = vec![input()], "acme/paint", false)), "imageInputs");
        assert_eq!(field(run(|a| a.duration = Some("long".into()), "acme/clip", false)), "duration");
        let bad = |a: &mut Ask| drop(a.extra.insert("quality".into(), Value::from("best")));
        assert_eq!(field(run(bad, "acme/paint", false)), "extraParams.quality");
    }

    #[test]
    fn durations_become_the_nearest() {
        let (checked, warnings) = run(|a| a.duration = Some("8s".into()), "acme/clip", false).unwrap();
        assert_eq!((checked.duration_ms, warnings.len()), (Some(10_000), 1));
        let large = |a: &mut Ask| (a.duration, a.resolution) = (Some("10s".into()), Some("1080p".into()));
        let (checked, warnings) = run(large, "acme/clip", false).unwrap();
        assert_eq!((checked.duration_ms, warnings.len()), (Some(5_000), 1));
        assert!(warnings[0].message.contains("10s at 1920*1080"), "{}", warnings[0].message);
        let (checked, _) = run(|_| (), "acme/clip", false).unwrap();
        assert_eq!((checked.duration_ms, checked.size), (Some(5_000), Some(Size::new(1280, 720))));
    }
}
