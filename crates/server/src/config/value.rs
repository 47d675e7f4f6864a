//! Types of values: a setting has the type of its default, in a file and in a variable alike.

use super::problem::{Wrong, wrong};
use toml::{Table, Value};

/// Checks that a file's value has the type of the default.
pub fn like(given: &Value, default: &Value) -> Result<(), Wrong> {
    let fits = match (given, default) {
        (Value::Array(items), Value::Array(_)) => items.iter().all(Value::is_str),
        // What a group of its own may hold is judged where it is read.
        (Value::Table(items), Value::Table(_)) => items.values().all(|item| item.is_str() || item.is_table()),
        (Value::Integer(_), Value::Float(_)) => true,
        _ => given.same_type(default),
    };
    if fits {
        return Ok(());
    }
    let (name, example) = describe(default);
    wrong(format!("it must be {name}, and this is {}", describe(given).0), format!("Write it like {example}"))
}

/// Reads a variable's or flag's text as the type of the default.
pub fn from_text(text: &str, default: &Value) -> Result<Value, Wrong> {
    let text = text.trim();
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return wrong("its text is not valid UTF-8", "Write it in UTF-8");
    }
    match default {
        Value::Integer(_) => text.parse().map(Value::Integer).or_else(|_| mismatch(text, default)),
        Value::Float(_) => text.parse().map(Value::Float).or_else(|_| mismatch(text, default)),
        Value::Boolean(_) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Value::Boolean(true)),
            "false" | "0" | "no" | "off" => Ok(Value::Boolean(false)),
            _ => mismatch(text, default),
        },
        Value::Array(_) => Ok(Value::Array(parts(text).map(Value::from).collect())),
        Value::Table(_) => {
            let pairs = parts(text).map(|part| part.split_once('=').ok_or(part));
            let table: Result<Table, &str> = pairs
                .map(|pair| pair.map(|(name, value)| (name.trim().to_owned(), Value::from(value.trim()))))
                .collect();
            table.map(Value::Table).or_else(|part| mismatch(part, default))
        }
        _ => Ok(Value::from(text)),
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn mismatch(text: &str, default: &Value) -> Result<Value, Wrong> {
    let (name, _) = describe(default);
    let remedy = match default {
        Value::Boolean(_) => "Use true or false",
        Value::Integer(_) => "Use digits only, such as 30",
        Value::Float(_) => "Use digits, with a point where needed, such as 30 or 0.5",
        _ => "Write name=value pairs with commas between them",
    };
    wrong(format!("'{}' is not {name}", masked(text)), remedy)
}

/// The type in words, and an example as it stands in a file.
fn describe(value: &Value) -> (&'static str, &'static str) {
    match value {
        Value::String(_) => ("text", "\"text\", in quotes"),
        Value::Integer(_) => ("a whole number", "30, without quotes"),
        Value::Boolean(_) => ("true or false", "true, without quotes"),
        Value::Array(_) => ("a list of texts", "[\"one\", \"two\"]"),
        Value::Table(_) => ("a group of names with texts", "{ name = \"text\" }"),
        Value::Float(_) => ("a number", "30 or 0.5, without quotes"),
        Value::Datetime(_) => ("a date", "2026-01-01"),
    }
}

/// The text for showing: what stands before an `@` in an address may be a password.
pub fn masked(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}***{}", &text[..scheme + 3], &text[at..]),
        _ => text.to_owned(),
    }
}
