//! JSON as it is taken from callers: stricter than the parser wherever two readers could read two
//! things, and with a bound on how much it may make of a small text.
//!
//! A name that stands twice means the first value to one program and the last to another; a text
//! ends at U+0000 for some; and the parser itself gives a meaning to names that begin with its own,
//! by which a text would be parsed once more, past its bound on nesting.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::{cell::Cell, fmt};

/// Values of one document. Each takes some hundred bytes, however short it is written.
const VALUES_MAX: u32 = 20_000;

/// So much of a name is repeated in a sentence.
const SHOWN_CHARS: usize = 80;

/// Names of the parser's own.
const OWN_NAMES: &str = "$serde_json::";

/// Reads one document. The error is a sentence for the caller.
pub fn parse(bytes: &[u8]) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let root = Place { name: "", within: None, left: &Cell::new(VALUES_MAX) };
    let read = root.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| match error.is_data() {
        true => format!("The body was refused: {error}."),
        false => format!("The body must be a JSON object, but is not JSON: {error}."),
    })
}

/// Where in the document a value stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    within: Option<&'a Place<'a>>,
    /// Values that the document may still have.
    left: &'a Cell<u32>,
}

impl Place<'_> {
    /// The field of the whole document in which this stands.
    fn field(&self) -> String {
        match self.within {
            Some(within) if !within.name.is_empty() => within.field(),
            _ => shown(self.name),
        }
    }

    fn count(&self) -> Result<(), String> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.unwrap_or_default());
        left.map(drop).ok_or_else(|| {
            let field = self.field();
            format!("'{field}' holds too many values, a body has at most {VALUES_MAX}; the first too many stands")
        })
    }

    fn check(&self, text: &str) -> Result<(), String> {
        match text.contains('\0') {
            true => Err(format!("'{self}' must not contain the character U+0000, found")),
            false => Ok(()),
        }
    }
}

impl fmt::Display for Place<'_> {
    /// The names that lead here, of which there can be many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let above = std::iter::successors(Some(self), |place| place.within);
        let mut names: Vec<&str> = above.map(|place| place.name).filter(|name| !name.is_empty()).collect();
        names.reverse();
        f.write_str(&shown(&names.join(".")))
    }
}

fn shown(name: &str) -> String {
    let mut plain = name.chars().filter(|c| !c.is_control());
    let mut text: String = plain.by_ref().take(SHOWN_CHARS).collect();
    text.extend(plain.next().map(|_| '…'));
    text
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        self.count().map_err(D::Error::custom)?;
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.check(text).map_err(E::custom)?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        self.check(&text).map_err(E::custom)?;
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let place = Place { name: &name, within: Some(&self), left: self.left };
            if name.contains('\0') {
                return Err(A::Error::custom("a name must not contain the character U+0000, found"));
            }
            if name.starts_with(OWN_NAMES) {
                return Err(A::Error::custom(format!("a name must not begin with '{OWN_NAMES}', found")));
            }
            if all.contains_key(&name) {
                return Err(A::Error::custom(format!("'{place}' must be given once, but stands again")));
            }
            let value = fields.next_value_seed(place)?;
            all.insert(name, value);
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_unambiguous_is_read_as_the_parser_reads_it() {
        for text in [
            "{}",
            r#" {"a":[1,-2,1.5,1e3,null,true,"x\u00e9\n"],"b":{"c":{}},"a b":"","9":18446744073709551615} "#,
            "[]",
            "5",
            r#"{"a":"\ud83d\ude00"}"#,
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
        assert_eq!(parse(br#"{"b":1,"a":2}"#).unwrap().to_string(), json!({"b": 1, "a": 2}).to_string());
    }

    #[test]
    fn what_two_readers_read_differently_is_refused_by_name() {
        for (text, says) in [
            (r#"{"n":1,"n":2}"#, "'n' must be given once"),
            (r#"{"n":1,"\u006e":2}"#, "'n' must be given once"),
            (r#"{"a":[{"b":1,"b":1}]}"#, "'a.b' must be given once"),
            (r#"{"a":"x\u0000"}"#, "'a' must not contain the character U+0000"),
            (r#"{"a":{"b":["","\u0000"]}}"#, "'a.b' must not contain"),
            (r#"{"a\u0000":1}"#, "a name must not contain"),
            (r#"{"a":{"$serde_json::private::RawValue":"{}"}}"#, "a name must not begin"),
        ] {
            let why = parse(text.as_bytes()).unwrap_err();
            assert!(why.contains(says) && why.ends_with('.') && why.starts_with("The body was refused"), "{why}");
        }
        let long = "k".repeat(5000);
        let deep = format!("{{\"{long}\":").repeat(90) + "\"\\u0000\"" + &"}".repeat(90);
        for text in [format!("{{\"{long}\":1,\"{long}\":2}}"), deep] {
            let why = parse(text.as_bytes()).unwrap_err();
            assert!(why.contains("kkk…'") && why.len() < 300, "{why}");
        }
    }

    #[test]
    fn values_have_a_bound() {
        let list = |count: usize| format!("{{\"a\":[{}0]}}", "[{\"b\":1}],".repeat(count));
        assert!(parse(list(6_000).as_bytes()).is_ok());
        let why = parse(list(7_000).as_bytes()).unwrap_err();
        assert!(why.starts_with("The body was refused: 'a' holds too many values"), "{why}");
    }

    #[test]
    fn nesting_has_a_bound() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for depth in [129, 10_000] {
                let text = format!("{}{}{}", open.repeat(depth), 1, close.repeat(depth));
                assert!(parse(text.as_bytes()).unwrap_err().contains("not JSON"), "{depth} of {open}");
            }
        }
    }
}
