//! The words of JSON Schema with which a catalogue describes parameters. What is served is what is
//! checked: an entry with any other word is refused when the catalogue is read.

use serde_json::Value as Json;
use toml::Value;

/// Each type, how a sentence names it, and the words that go with it.
const TYPES: &[(&str, &str, &[&str])] = &[
    ("string", "a string", &["maxLength"]),
    ("integer", "an integer", &["minimum", "maximum"]),
    ("number", "a number", &["minimum", "maximum"]),
    ("boolean", "true or false", &[]),
    ("array", "a list", &["items", "minItems", "maxItems"]),
];

/// Words for people: they promise nothing.
const NOTES: &[&str] = &["title", "description"];

/// Whether every word of an entry is one that [`fits`] holds values against.
pub fn check(spec: &Value) -> Result<(), String> {
    let words = spec.as_table().ok_or("it is no table such as { type = \"boolean\" }")?;
    let kind = match words.get("type") {
        None if words.contains_key("enum") => None,
        kind => Some(kind.and_then(Value::as_str).and_then(known).ok_or_else(|| {
            let names: Vec<_> = TYPES.iter().map(|(name, ..)| *name).collect();
            format!("its type must be one of {}", names.join(", "))
        })?),
    };
    for (word, value) in words {
        let fits = match word.as_str() {
            "type" => true,
            "default" => fits(spec, &json(value)).is_ok(),
            "enum" => is_choice(spec, value),
            note if NOTES.contains(&note) => value.is_str(),
            _ if !kind.is_some_and(|(_, _, own)| own.contains(&word.as_str())) => {
                return Err(format!("the word '{word}' is not enforced, and only what is enforced is served"));
            }
            "items" => check(value).map_err(|why| format!("items: {why}")).map(|()| true)?,
            "minimum" | "maximum" => number(value).is_some_and(f64::is_finite),
            _ => value.as_integer().is_some_and(|count| count >= 0),
        };
        fits.then_some(()).ok_or_else(|| format!("'{word}' has no fit value"))?;
    }
    match (bound(spec, "minimum"), bound(spec, "maximum")) {
        (Some(low), Some(high)) if low > high => Err("nothing lies between its minimum and its maximum".to_owned()),
        _ => Ok(()),
    }
}

/// Whether the value fits; the error completes the sentence "must be …".
pub fn fits(spec: &Value, value: &Json) -> Result<(), String> {
    if let Some(options) = spec.get("enum").and_then(Value::as_array) {
        let texts: Vec<_> = options.iter().map(|one| one.as_str().map_or(one.to_string(), ToOwned::to_owned)).collect();
        let is_one = options.iter().any(|one| is_same(&json(one), value));
        is_one.then_some(()).ok_or_else(|| format!("one of {}", texts.join(", ")))?;
    }
    let Some((name, noun, _)) = spec.get("type").and_then(Value::as_str).and_then(known) else { return Ok(()) };
    let counted = |count: usize, most: &str| {
        let count = count as f64;
        let low = if most == "maxItems" { bound(spec, "minItems") } else { None };
        low.is_none_or(|low| count >= low) && bound(spec, most).is_none_or(|high| count <= high)
    };
    let within = |number: f64| {
        bound(spec, "minimum").is_none_or(|low| number >= low)
            && bound(spec, "maximum").is_none_or(|high| number <= high)
    };
    let fits = match (*name, value) {
        ("string", Json::String(text)) => counted(text.chars().count(), "maxLength"),
        ("integer", Json::Number(number)) => {
            (number.is_i64() || number.is_u64()) && number.as_f64().is_some_and(within)
        }
        ("number", Json::Number(number)) => number.as_f64().is_some_and(within),
        ("boolean", Json::Bool(_)) => true,
        ("array", Json::Array(items)) => {
            if let (true, Some(each)) = (counted(items.len(), "maxItems"), spec.get("items")) {
                let wrong = items.iter().find_map(|item| fits(each, item).err());
                return wrong.map_or(Ok(()), |must| Err(format!("a list in which each is {must}")));
            }
            counted(items.len(), "maxItems")
        }
        _ => false,
    };
    fits.then_some(()).ok_or_else(|| format!("{noun}{}", range(spec)))
}

fn range(spec: &Value) -> String {
    let span = |low: Option<f64>, high: Option<f64>| match (low, high) {
        (Some(low), Some(high)) => format!(" from {low} to {high}"),
        (Some(low), None) => format!(" of {low} or more"),
        (None, Some(high)) => format!(" of at most {high}"),
        (None, None) => String::new(),
    };
    let counted = |low: Option<f64>, high: Option<f64>, unit: &str| match low.or(high) {
        Some(_) => format!("{} {unit}", span(low, high)),
        None => String::new(),
    };
    let sizes = span(bound(spec, "minimum"), bound(spec, "maximum"));
    let letters = counted(None, bound(spec, "maxLength"), "characters");
    sizes + &letters + &counted(bound(spec, "minItems"), bound(spec, "maxItems"), "items")
}

fn known(name: &str) -> Option<&'static (&'static str, &'static str, &'static [&'static str])> {
    TYPES.iter().find(|(known, ..)| *known == name)
}

/// A list of texts, numbers or truths, each of which fits the other words.
fn is_choice(spec: &Value, options: &Value) -> bool {
    let simple = |one: &Value| one.is_str() || one.is_bool() || number(one).is_some();
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    !options.is_empty() && options.iter().all(|one| simple(one) && fits(spec, &json(one)).is_ok())
}

fn bound(spec: &Value, word: &str) -> Option<f64> {
    spec.get(word).and_then(number)
}

fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))
}

/// A value of the catalogue as callers write it.
pub fn json(value: &Value) -> Json {
    // Numbers, texts and tables of them always have a form.
    serde_json::to_value(value).unwrap_or_default()
}

/// As JSON Schema compares: 1 and 1.0 are the same.
fn is_same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(text: &str) -> Value {
        let table: toml::Table = toml::from_str(&format!("it = {text}")).unwrap();
        table["it"].clone()
    }

    #[test]
    fn every_word_that_is_taken_is_enforced() {
        let cases = [
            ("{ type = 'string', maxLength = 2 }", json!("éé"), json!("ééé"), "a string of at most 2 characters"),
            ("{ type = 'integer', minimum = 1, maximum = 3 }", json!(3), json!(4), "an integer from 1 to 3"),
            ("{ type = 'integer', minimum = 1 }", json!(u64::MAX), json!(0), "an integer of 1 or more"),
            ("{ type = 'number', maximum = 0.5 }", json!(0.5), json!(0.51), "a number of at most 0.5"),
            ("{ type = 'boolean' }", json!(false), json!("false"), "true or false"),
            ("{ enum = [1, 'two', true] }", json!(1.0), json!("1"), "one of 1, two, true"),
            ("{ type = 'integer', enum = [4, 8] }", json!(8), json!(6), "one of 4, 8"),
            (
                "{ type = 'array', items = { type = 'integer' }, minItems = 1, maxItems = 2 }",
                json!([1, 2]),
                json!([]),
                "a list from 1 to 2 items",
            ),
            (
                "{ type = 'array', items = { enum = ['a'] } }",
                json!([]),
                json!(["a", "b"]),
                "a list in which each is one of a",
            ),
        ];
        for (text, good, bad, must) in cases {
            let spec = spec(text);
            assert_eq!(check(&spec), Ok(()), "{text}");
            assert_eq!(fits(&spec, &good), Ok(()), "{text}");
            assert_eq!(fits(&spec, &bad), Err(must.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_not_enforced_is_no_entry() {
        for (text, says) in [
            ("'x'", "no table"),
            ("{ type = 'object' }", "its type must be one of string"),
            ("{ description = 'x' }", "its type must be"),
            ("{ type = 'string', pattern = 'x' }", "'pattern' is not enforced"),
            ("{ type = 'string', minimum = 1 }", "'minimum' is not enforced"),
            ("{ enum = ['a'], maxLength = 1 }", "'maxLength' is not enforced"),
            ("{ type = 'integer', minimum = 'x' }", "'minimum' has no fit value"),
            ("{ type = 'integer', minimum = 2, maximum = 1 }", "nothing lies between"),
            ("{ type = 'integer', enum = ['a'] }", "'enum' has no fit value"),
            ("{ type = 'string', enum = [] }", "'enum' has no fit value"),
            ("{ type = 'boolean', default = 'yes' }", "'default' has no fit value"),
            ("{ type = 'array', items = { type = 'string', pattern = 'x' } }", "items: the word 'pattern'"),
        ] {
            let why = check(&spec(text)).unwrap_err();
            assert!(why.contains(says), "{text}: {why}");
        }
    }
}
