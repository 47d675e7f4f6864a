//! What a request asks for, read from its fields and filled up with its app's settings.
//!
//! What decides what is seen and was asked by name is honoured or refused: model, duration,
//! quality, ratio, style and template. What only steers (a negative prompt, a seed, and a ratio
//! beside a picture, which has its own) is left out where a model cannot take it, and stands among
//! the task's warnings: installed apps must survive that an operator chooses another model. So must
//! a request that leaves its ratio to the app's settings and chooses a model without that ratio.

use super::fields::Bag;
use crate::{
    api::{body::clip, envelope::ApiError},
    config::{AppRules, Apps, unfit},
};
use pixel_core::{
    catalog::Model,
    id::ModelId,
    request::{Ask, Kind},
};
use serde_json::{Map, Value, json};

/// Characters of a prompt, and of a negative one.
const PROMPT_CHARS: usize = 2048;
const SEED_MAX: i64 = 2_147_483_647;

/// A request as it was asked.
pub struct Wish {
    pub app: String,
    pub user: String,
    prompt: String,
    model: Option<String>,
    duration_s: Option<u32>,
    quality: Option<String>,
    ratio: Option<String>,
    negative_prompt: Option<String>,
    seed: Option<u64>,
    /// The vendor's own parameters.
    extra: Map<String, Value>,
}

impl Wish {
    pub fn read(bag: &Bag) -> Result<Self, ApiError> {
        let (prompt, negative) = (bag.dialect().prompt, "negative_prompt");
        let mut extra = Map::new();
        if let Some(style) = bag.text("style")? {
            extra.insert("style".to_owned(), style.into());
        }
        if let Some(template) = bag.whole("template_id", 0..=i64::MAX)? {
            extra.insert("template_id".to_owned(), template.into());
        }
        let lower = |text: String| text.trim().to_ascii_lowercase();
        Ok(Self {
            prompt: bag.required(prompt).and_then(|text| within(prompt, text))?,
            app: bag.label(bag.dialect().app)?,
            user: bag.label(bag.dialect().user)?,
            model: bag.text("model")?.map(lower),
            duration_s: bag.seconds("duration")?,
            quality: bag.text("quality")?.map(lower),
            ratio: bag.text("aspect_ratio")?.map(lower),
            negative_prompt: bag.text(negative)?.map(|text| within(negative, text)).transpose()?,
            seed: bag.whole("seed", 0..=SEED_MAX)?.map(i64::unsigned_abs),
            extra,
        })
    }

    pub fn rules<'a>(&self, apps: &'a Apps) -> &'a AppRules {
        apps.of(&self.app)
    }

    pub fn model<'a>(&'a self, rules: &'a AppRules) -> &'a str {
        self.model.as_deref().unwrap_or(&rules.model)
    }

    /// The request in the domain's words, and as its task shows it; a refusal names the field.
    pub fn ask(self, card: &Model, rules: &AppRules, has_picture: bool) -> Result<(Ask, Value), ApiError> {
        let duration_s = self.duration_s.unwrap_or(rules.duration_s);
        let quality = self.quality.unwrap_or_else(|| rules.quality.clone());
        let ratio = self.ratio.clone().unwrap_or_else(|| usual_ratio(card, &quality, &rules.aspect_ratio));
        let model = card.id();
        if let Some((field, must)) = unfit(card, duration_s, &quality, &ratio) {
            let given = match field {
                "quality" => quality,
                "duration" => duration_s.to_string(),
                _ => ratio,
            };
            return Err(ApiError::bad(format!("'{field}' {must} for '{model}', got: '{}'.", clip(&given))));
        }
        if let Some(name) = self.extra.keys().find(|name| !card.params.contains_key(*name)) {
            let what = format!("'{name}' is nothing that '{model}' takes. Leave it out, or choose another 'model'.");
            return Err(ApiError::bad(what));
        }
        // A picture has a shape already; one that is asked for all the same becomes a warning.
        let aspect_ratio = if has_picture { self.ratio } else { Some(ratio) };
        let duration = format!("{duration_s}s");
        let mut params = json!({ "prompt": self.prompt, "duration": duration, "resolution": quality });
        let mut show = |name: &str, value: Value| {
            if !value.is_null() {
                params[name] = value;
            }
        };
        show("aspectRatio", json!(aspect_ratio));
        show("negativePrompt", json!(self.negative_prompt));
        show("seed", json!(self.seed));
        show("extraParams", if self.extra.is_empty() { Value::Null } else { json!(self.extra) });
        show("imageInputs", if has_picture { json!([""]) } else { Value::Null });
        let ask = Ask {
            kind: Kind::Video,
            model: ModelId::parse(&model).ok_or_else(|| ApiError::bad("'model' is required."))?,
            prompt: self.prompt,
            negative_prompt: self.negative_prompt,
            resolution: Some(quality),
            aspect_ratio,
            duration: Some(duration),
            n: 1,
            seed: self.seed,
            voice: None,
            speed: None,
            mode: None,
            loras: Vec::new(),
            inputs: Vec::new(),
            extra: self.extra,
        };
        Ok((ask, params))
    }
}

/// The app's ratio, or the first of a model that does not have it: nobody asked for it by name.
fn usual_ratio(card: &Model, quality: &str, usual: &str) -> String {
    let ratios = card.resolutions.get(quality).and_then(|ratios| ratios.as_table());
    let first = ratios.filter(|ratios| !ratios.contains_key(usual)).and_then(|ratios| ratios.keys().next());
    first.map_or_else(|| usual.to_owned(), Clone::clone)
}

fn within(field: &str, text: String) -> Result<String, ApiError> {
    // Bytes first: counting characters of a short text is not worth it.
    let chars = if text.len() > PROMPT_CHARS { text.chars().count() } else { 0 };
    match chars > PROMPT_CHARS {
        true => Err(ApiError::bad(format!("'{field}' must be at most {PROMPT_CHARS} characters, got: {chars}."))),
        false => Ok(text),
    }
}

/// The names of contract 1 in a sentence, as this service's callers know them.
pub fn in_own_names(mut error: ApiError) -> ApiError {
    const NAMES: [(&str, &str); 5] = [
        ("extraParams.", ""),
        ("'resolution'", "'quality'"),
        ("'aspectRatio'", "'aspect_ratio'"),
        ("'negativePrompt'", "'negative_prompt'"),
        ("'imageInputs'", "'file'"),
    ];
    for (from, to) in NAMES {
        error.message = error.message.replace(from, to);
    }
    error
}

/// What is read and judged before anything is stored.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz(which: u8, bytes: &[u8], catalog: &pixel_core::catalog::Catalog) -> Result<(), ApiError> {
    use super::{dialect, fields};
    use pixel_core::capability;
    let dialect = if which & 1 == 0 { &dialect::PLAIN } else { &dialect::PRODUCTION };
    let bag = fields::of_bytes(dialect, bytes, which & 2 != 0)?;
    if let (Some(number), text) = bag.number().unwrap_or_default() {
        assert_eq!(text.parse(), Ok(number));
    }
    let rules = AppRules {
        model: "v5".to_owned(),
        duration_s: 5,
        quality: "540p".to_owned(),
        aspect_ratio: "16:9".to_owned(),
        way: crate::config::Way::Auto,
        per_min: 10,
    };
    let model = Wish::read(&bag)?.model(&rules).to_owned();
    let Some(card) = crate::config::cards(catalog, &model).into_iter().flatten().next() else { return Ok(()) };
    let (ask, params) = Wish::read(&bag)?.ask(card, &rules, which & 4 != 0)?;
    assert!((1..=PROMPT_CHARS).contains(&ask.prompt.chars().count()) && params["prompt"] == ask.prompt.as_str());
    let (checked, _) = capability::check(ask, card, true)?;
    assert!(checked.size.is_some() && checked.duration_ms.is_some());
    Ok(())
}
