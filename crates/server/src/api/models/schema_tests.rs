//! The schemas that are served against what the server really takes: for every model of the
//! catalogue, each field at its bounds, beyond them and of other types.

use crate::api::{chat, create, fuzzing::CATALOG};
use pixel_core::{capability, catalog::Model, request::Kind, schema};
use serde_json::{Map, Value, json};

/// What no schema can say; descriptions do.
const UNSAID: [&str; 4] = [
    "' was refused: ",
    "' must be a data URI ",
    "beyond 16384 pixels a side or 40 megapixels",
    "'aspectRatio' must be a ratio such as",
];

const ADDRESS: &str = "https://example.com/a.png";

/// The server's own judgement; the error is its sentence.
fn verdict(body: &Value, card: &Model) -> Result<(), String> {
    if card.kind == Kind::Llm {
        return chat::fuzz(body).map_err(|error| error.message);
    }
    let ask = create::read(body, card.kind).map_err(|error| error.message)?;
    let real = capability::check(ask.clone(), card, false).map(drop);
    let stood_in = capability::check(ask, card, true).map(drop);
    assert_eq!(real, stood_in, "the sandbox takes what the model takes");
    real.map_err(|refusal| refusal.message)
}

fn body(card: &Model) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(card.id()));
    match card.kind {
        Kind::Llm => body.insert("messages".to_owned(), json!([{ "role": "user", "content": "Hello" }])),
        _ => body.insert("prompt".to_owned(), json!("a cat")),
    };
    body
}

/// Values at and beyond what a schema of one field says, and of every other type.
fn values(name: &str, schema: &Value) -> Vec<Value> {
    let mut all =
        vec![json!(null), json!(true), json!(5), json!(-2), json!(1.5), json!("x"), json!(""), json!([]), json!({})];
    all.extend([
        json!(["x"]),
        json!([[]]),
        json!([["x", 0.5]]),
        json!([{}]),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e30),
    ]);
    all.extend(texts(name).iter().map(|text| json!(text)));
    let listed = ["enum", "examples"].iter().filter_map(|word| schema[word].as_array()).flatten();
    all.extend(listed.cloned());
    all.extend(["const", "default"].iter().map(|word| schema[word].clone()));
    for bound in [&schema["minimum"], &schema["maximum"]] {
        match (bound.as_i64(), bound.as_f64()) {
            (Some(whole), _) => all.extend([-1, 0, 1].map(|step| number(i128::from(whole) + step))),
            (None, Some(real)) => all.extend([-0.001, 0.0, 0.001].map(|step| json!(real + step))),
            _ => {}
        }
    }
    if let Some(most) = schema["maxLength"].as_u64() {
        all.extend([most, most + 1].map(|count| json!("é".repeat(usize::try_from(count).unwrap()))));
    }
    if let Some(most) = schema["maxItems"].as_u64() {
        let item = match name {
            "messages" => json!({ "role": "user" }),
            _ => json!(ADDRESS),
        };
        all.extend([most, most + 1].map(|count| json!(vec![item.clone(); usize::try_from(count).unwrap()])));
    }
    if let Some(most) = schema["maxProperties"].as_u64() {
        let names = |count: u64| (0..count).map(|at| (format!("x{at}"), json!(1))).collect::<Map<_, _>>();
        all.extend([most, most + 1].map(|count| Value::Object(names(count))));
    }
    let is_whole = schema["type"] == "integer" || schema["type"].as_array().is_some_and(|kinds| kinds[0] == "integer");
    // To a schema 1.0 is an integer; in a body it is a fraction, and refused.
    all.retain(|value| !is_whole || !value.is_f64() || value.as_f64().is_some_and(|number| number.fract() != 0.0));
    all
}

/// Beyond 64 bits a number of a body is a fraction.
fn number(whole: i128) -> Value {
    serde_json::from_str(&whole.to_string()).unwrap()
}

/// Texts for a field, good ones and bad ones.
fn texts(name: &str) -> &'static [&'static str] {
    match name {
        "resolution" => &[
            "1K",
            "0.5k",
            "16K",
            "17K",
            "16.5K",
            "0K",
            "K",
            ".5K",
            "1.K",
            "1e0K",
            "+1K",
            "64p",
            "63p",
            "63.9p",
            "720P",
            "8640p",
            "8641p",
            " 1K ",
            "1280*720",
            "1280x720",
            " 1280 × 720 ",
            "0*5",
            "16384*5",
            "16385*5",
            "5*16384",
            "5*16385",
            "+5*5",
            "1.5*5",
            "5*5*5",
            "tiny",
            "huge",
            "16384*16384",
            "infK",
            "٣K",
        ],
        "aspectRatio" => &[
            "16:9", " 1 : 1 ", "2.5:1", "0:9", "9:0", "a:b", "16", "1:1:1", "-1:2", ".5:1", "20:1", "21:1", "1e0:1",
            "nan:1",
        ],
        "duration" => &[
            "5s", "5", " 7.5S ", "0", "0s", "0.001", "0.0004", "0.0000", "3600", "3600.0s", "3600.1", "3601", "1e1",
            "+5", "5ss", "5 s", "-5", ".5", "5.", "inf", "99999",
        ],
        "prompt" => &["  ", "\t\n", "\u{3000}", " a "],
        "projectId" | "source" | "sourceId" => &["a\nb", "\u{7f}", "\u{9f}", "é / ü"],
        "lastFrame" | "videoInput" | "audioInput" => &[ADDRESS, "http://127.0.0.1/a.png"],
        _ => &[],
    }
}

/// Every body that is tried for a model.
fn bodies(card: &Model, schema: &Value) -> Vec<Value> {
    let mut all = vec![Value::Object(body(card)), json!({}), json!({ "model": card.id() })];
    let mut try_all = |path: &[&str], fields: &Map<String, Value>| {
        for (name, one) in fields.iter().filter(|(name, _)| *name != "model") {
            for value in values(name, one) {
                let mut whole = body(card);
                match path {
                    [outer] => drop(whole.insert((*outer).to_owned(), json!({ name: value }))),
                    _ => drop(whole.insert(name.clone(), value)),
                }
                all.push(Value::Object(whole));
            }
        }
    };
    let fields = schema["properties"].as_object().unwrap();
    try_all(&[], fields);
    for (name, one) in fields {
        if let Some(inner) = one["properties"].as_object() {
            try_all(&[name], inner);
        }
    }
    let levels = texts("resolution").iter().copied().chain(card.resolutions.keys().map(String::as_str));
    for (level, ratio) in levels.flat_map(|level| ["1:1", "16:9", "7:3", ""].map(|ratio| (level, ratio))) {
        let mut whole = body(card);
        whole.insert("resolution".to_owned(), json!(level));
        whole.insert("aspectRatio".to_owned(), json!(ratio));
        all.push(Value::Object(whole));
    }
    all
}

fn compare(card: &Model) -> usize {
    let schema = schema::of(card);
    let validator = jsonschema::draft202012::new(&schema).unwrap_or_else(|e| panic!("{}: {e}", card.id()));
    let bodies = bodies(card, &schema);
    for body in &bodies {
        let said = validator.is_valid(body);
        let shown = || format!("{}: {}", card.id(), body.to_string().chars().take(200).collect::<String>());
        match verdict(body, card) {
            Ok(()) => assert!(said, "the schema refuses what is taken, {}", shown()),
            Err(why) if said => {
                assert!(
                    UNSAID.iter().any(|part| why.contains(part)),
                    "the schema takes what is refused ({why}), {}",
                    shown()
                );
            }
            Err(_) => {}
        }
    }
    bodies.len()
}

#[test]
fn schemas_take_and_refuse_what_the_server_does() {
    let tried: usize = CATALOG.models.iter().map(compare).sum();
    assert!(tried > 1_000 && CATALOG.models.len() > 8, "only {tried} bodies were tried");
}

#[test]
fn a_model_with_everything_is_described_as_it_is_taken() {
    const FILE: &str = r#"
        [vendor]
        id = "acme"
        name = "Acme"
        [[model]]
        key = "clip"
        name = "Clip"
        type = "video"
        form = "x"
        prompt_chars_max = 10
        seed = true
        loras = true
        ref_images = 2
        last_frame = true
        audio_input = true
        modes = ["firstLast", "reference"]
        durations = { 5s = "5 s" }
        [model.resolutions.standard]
        "16:9" = "160*90"
        [model.resolutions.square]
        "1:1" = "64*64"
        [model.params]
        quality = { enum = ["low", 2, true] }
        steps = { type = "integer", minimum = 1, maximum = 9 }
        scale = { type = "number", minimum = 0.5, maximum = 2.5 }
        style = { type = "string", maxLength = 3 }
        rewrite = { type = "boolean", default = true }
        tags = { type = "array", items = { type = "string", maxLength = 1 }, minItems = 1, maxItems = 2 }
        [[model]]
        key = "voice"
        name = "Voice"
        type = "audio"
        form = "x"
        [[model]]
        key = "still"
        name = "Still"
        type = "image"
        form = "x"
        resolutions = { tiny = { "1:1" = "64*64" }, 1K = { "16:9" = "160*90" } }
    "#;
    let catalog = pixel_core::catalog::Catalog::parse(&[("acme.toml", FILE)]).unwrap();
    for card in &catalog.models {
        compare(card);
    }
    let fields = schema::of(&catalog.models[0])["properties"].clone();
    assert_eq!((&fields["n"]["maximum"], &fields["prompt"]["maxLength"]), (&json!(10), &json!(10)));
    assert_eq!((&fields["imageInputs"]["maxItems"], &fields["voice"]), (&json!(2), &Value::Null));
    assert_eq!(fields["extraParams"]["properties"]["mode"]["examples"], json!(["firstLast", "reference"]));
}
