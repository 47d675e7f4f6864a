//! The body of a model's route as a JSON Schema (draft 2020-12), made of its catalogue entry.
//!
//! It says what is taken and what is refused, out of the data and the bounds that validation uses.
//! A field of the contract that it does not name does not apply to the model and is left out with a
//! warning. Three things no schema can say, so that descriptions do: which addresses are refused,
//! that a ratio is at most 1:20, and how large a picture may be.

use crate::{
    capability::{EXTRA_MAX, INPUTS_MAX, LABEL_CHARS, MESSAGES_MAX, N_MAX, SPEED, TEXT_CHARS, usual_size},
    catalog::{DURATION_PATTERN, Model, SECONDS},
    param,
    request::{Kind, Mode},
    size::{LEVEL_PATTERN, Level, RATIO_PATTERN},
};
use serde_json::{Map, Value, json};

/// The schema of what is posted for this model.
pub fn of(card: &Model) -> Value {
    let (required, properties) = match card.kind {
        Kind::Llm => (json!(["model", "messages"]), chat(card)),
        _ => (json!(["model", "prompt"]), generation(card)),
    };
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": card.name,
        "description": format!("What is posted to make something with '{}'.", card.id()),
        "type": "object",
        "required": required,
        "properties": properties,
    });
    let rules = size_rules(card);
    if !rules.is_empty() {
        schema["allOf"] = Value::Array(rules);
    }
    schema
}

fn generation(card: &Model) -> Map<String, Value> {
    let chars = card.prompt_chars_max.map_or(TEXT_CHARS, |max| max.min(TEXT_CHARS));
    let mut fields = Map::new();
    let mut add = |name: &str, schema: Value| drop(fields.insert(name.to_owned(), schema));
    add("model", json!({ "const": card.id() }));
    add("prompt", json!({ "type": "string", "pattern": r"\S", "maxLength": chars }));
    if card.negative_prompt {
        add("negativePrompt", optional(json!({ "type": "string", "maxLength": TEXT_CHARS })));
    }
    if let Some((level, ratio)) = usual_size(card, card.kind) {
        add("resolution", resolution(card, level));
        add("aspectRatio", aspect_ratio(card, ratio));
    }
    if card.kind == Kind::Video {
        add("duration", duration(card));
    }
    add("n", optional(json!({ "type": "integer", "minimum": 1, "maximum": N_MAX, "default": 1 })));
    if card.seed {
        add("seed", seed());
    }
    if card.kind == Kind::Audio {
        add("voice", voice(card));
        if card.speed {
            let speed = json!({ "type": "number", "minimum": SPEED.start(), "maximum": SPEED.end(), "default": 1.0 });
            add("speed", optional(speed));
        }
    }
    add("imageInputs", image_inputs(card));
    add("extraParams", extra(card));
    for name in ["projectId", "source", "sourceId"] {
        // No control characters.
        let pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$";
        add(name, optional(json!({ "type": "string", "maxLength": LABEL_CHARS, "pattern": pattern })));
    }
    fields
}

/// The same, where `null` means that nothing was given.
fn optional(mut schema: Value) -> Value {
    if let Some(kind) = schema.get_mut("type") {
        match kind {
            Value::Array(kinds) => kinds.push(json!("null")),
            one => *one = json!([one.take(), "null"]),
        }
    }
    if let Some(options) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        options.push(Value::Null);
    }
    schema
}

fn resolution(card: &Model, default: &str) -> Value {
    let listed: Vec<_> = card.resolutions.keys().collect();
    let free = json!({ "pattern": LEVEL_PATTERN });
    let mut schema = optional(json!({
        "type": "string", "maxLength": LABEL_CHARS, "default": default,
        "description": "A level, or pixels such as 1280*720. At most 16384 a side and 40 megapixels; what the model cannot \
                        make becomes the nearest size, with a warning.",
    }));
    match listed.iter().all(|level| Level::parse(level).is_some()) {
        true => schema["pattern"] = json!(LEVEL_PATTERN),
        false => schema["anyOf"] = json!([{ "enum": listed }, free]),
    }
    if !listed.is_empty() {
        schema["examples"] = json!(listed);
    }
    schema
}

fn aspect_ratio(card: &Model, default: &str) -> Value {
    let tables = card.resolutions.values().filter_map(toml::Value::as_table);
    let mut listed: Vec<_> = tables.flat_map(toml::Table::keys).collect();
    let mut seen = std::collections::HashSet::new();
    listed.retain(|ratio| seen.insert(ratio.as_str()));
    let mut schema = optional(json!({
        "type": "string", "maxLength": LABEL_CHARS, "pattern": RATIO_PATTERN, "default": default,
        "description": "Width to height, from 1:20 to 20:1.",
    }));
    if !listed.is_empty() {
        schema["examples"] = json!(listed);
    }
    schema
}

/// A level that is a mere name has a size for the ratios only that stand below it.
fn size_rules(card: &Model) -> Vec<Value> {
    let Some((usual, ratio)) = usual_size(card, card.kind) else { return Vec::new() };
    let names = card.resolutions.iter().filter(|(level, _)| Level::parse(level).is_none());
    let rule = |(level, ratios): (&String, &toml::Value)| {
        let mut then: Vec<Value> =
            ratios.as_table().into_iter().flat_map(toml::Table::keys).map(|r| json!(r)).collect();
        let has_usual = then.contains(&json!(ratio));
        if has_usual {
            then.extend([json!(""), Value::Null]);
        }
        let needs: &[&str] = if has_usual { &[] } else { &["aspectRatio"] };
        let (given, asked): (Value, &[&str]) = match level == usual {
            true => (json!([level, "", null]), &[]),
            false => (json!([level]), &["resolution"]),
        };
        json!({
            "if": { "properties": { "resolution": { "enum": given } }, "required": asked },
            "then": { "properties": { "aspectRatio": { "enum": then } }, "required": needs },
        })
    };
    names.map(rule).collect()
}

fn duration(card: &Model) -> Value {
    let mut schema = optional(json!({
        "type": ["string", "number"], "maxLength": LABEL_CHARS, "pattern": DURATION_PATTERN,
        "minimum": SECONDS.start(), "maximum": SECONDS.end(),
        "description": "Seconds; what the model cannot make becomes the nearest duration, with a warning.",
    }));
    if !card.durations.is_empty() {
        schema["examples"] = json!(card.durations.keys().collect::<Vec<_>>());
    }
    schema
}

fn seed() -> Value {
    let schema = json!({ "type": "integer", "minimum": -1, "maximum": i64::MAX, "description": "-1 stands for any." });
    optional(schema)
}

fn voice(card: &Model) -> Value {
    let mut schema = json!({ "type": "string", "maxLength": LABEL_CHARS });
    if let Some(first) = card.voices.first() {
        schema["enum"] = card.voices.iter().map(|voice| json!(voice.id)).collect();
        schema["default"] = json!(first.id);
    }
    optional(schema)
}

fn image_inputs(card: &Model) -> Value {
    let most = (card.ref_images as usize).min(INPUTS_MAX);
    let item = json!({
        "type": "string",
        "description": "A public address, a data URI or an address of this server's media; others are refused.",
    });
    optional(json!({ "type": "array", "items": item, "maxItems": most }))
}

fn extra(card: &Model) -> Value {
    let mut fields = Map::new();
    let mut add = |name: &str, schema: Value| drop(fields.insert(name.to_owned(), schema));
    if card.seed {
        add("seed", seed());
    }
    if !card.modes.is_empty() {
        add("mode", mode(card));
    }
    if card.loras {
        let properties = json!({ "model": { "type": "string" }, "weight": { "type": "number", "default": 1.0 } });
        let item = json!({ "type": "object", "required": ["model"], "properties": properties });
        add("loras", optional(json!({ "type": "array", "items": item })));
    }
    for (name, offered) in
        [("lastFrame", card.last_frame), ("videoInput", card.video_input), ("audioInput", card.audio_input)]
    {
        let schema = match offered {
            true => optional(json!({ "type": "string", "description": "An address, as those of imageInputs." })),
            false => json!({ "type": "null", "description": "The model takes none." }),
        };
        add(name, schema);
    }
    for (name, spec) in &card.params {
        add(name, param::json(spec));
    }
    optional(json!({ "type": "object", "maxProperties": EXTRA_MAX, "properties": fields }))
}

fn mode(card: &Model) -> Value {
    let honoured: Vec<_> = card.modes.iter().map(|mode| json!(mode)).collect();
    let mut schema = optional(json!({ "type": "string", "enum": Mode::ALL }));
    schema["description"] = json!("The model honours the examples; others are left out with a warning.");
    schema["examples"] = Value::Array(honoured);
    schema
}

fn chat(card: &Model) -> Map<String, Value> {
    let message = json!({
        "type": "object",
        "required": ["role"],
        "properties": {
            "role": { "type": "string" },
            "content": { "type": ["string", "array", "null"], "items": { "type": "object" } },
        },
    });
    let tokens = || optional(json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }));
    let options =
        json!({ "type": "object", "properties": { "include_usage": optional(json!({ "type": "boolean" })) } });
    let fields = [
        ("model", json!({ "const": card.id() })),
        ("messages", json!({ "type": "array", "items": message, "minItems": 1, "maxItems": MESSAGES_MAX })),
        ("stream", optional(json!({ "type": "boolean" }))),
        ("stream_options", optional(options)),
        ("max_tokens", tokens()),
        ("max_completion_tokens", tokens()),
        ("seed", optional(json!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX }))),
    ];
    fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}
