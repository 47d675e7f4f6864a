//! JSON bodies that carry stored files as data URIs or as base64, which the door streams into their
//! places.

use pixel_core::{
    task::StoredInput,
    vendor::{BlobForm, Body, Part},
};
use serde_json::Value;

/// The body for `value`, in which each file stands as a data URI at its path (`/input/image`).
/// Whatever `value` holds there is replaced; names on the way have no `/` and no `~`.
pub fn json_with_files(value: &Value, files: &[(String, &StoredInput)]) -> Body {
    written(value, files, true)
}

/// The same with the files as base64 alone.
pub fn json_with_base64(value: &Value, files: &[(String, &StoredInput)]) -> Body {
    written(value, files, false)
}

fn written(value: &Value, files: &[(String, &StoredInput)], is_uri: bool) -> Body {
    let mut writer = Writer { files, is_uri, text: String::new(), parts: Vec::new() };
    writer.value(value, "");
    writer.flush();
    Body::Parts("application/json".to_owned(), writer.parts)
}

struct Writer<'a> {
    files: &'a [(String, &'a StoredInput)],
    is_uri: bool,
    text: String,
    parts: Vec<Part>,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, path: &str) {
        if let Some((_, file)) = self.files.iter().find(|(at, _)| at == path) {
            return self.file(file);
        }
        match value {
            Value::Object(fields) => {
                let keyed = fields.iter().map(|(key, value)| (format!("{}:", Value::from(key.as_str())), key, value));
                self.list('{', keyed.map(|(name, key, value)| (name, format!("{path}/{key}"), value)), '}');
            }
            Value::Array(items) => {
                let numbered = items.iter().enumerate();
                self.list('[', numbered.map(|(at, value)| (String::new(), format!("{path}/{at}"), value)), ']');
            }
            plain => self.text.push_str(&plain.to_string()),
        }
    }

    fn list<'v>(&mut self, open: char, items: impl Iterator<Item = (String, String, &'v Value)>, close: char) {
        self.text.push(open);
        for (at, (name, path, value)) in items.enumerate() {
            if at > 0 {
                self.text.push(',');
            }
            self.text.push_str(&name);
            self.value(value, &path);
        }
        self.text.push(close);
    }

    fn file(&mut self, file: &StoredInput) {
        let facts = &file.facts;
        self.text.push('"');
        if self.is_uri {
            self.text.push_str(&format!("data:{};base64,", facts.content_type));
        }
        self.flush();
        let (sha256, bytes) = (facts.sha256.clone(), facts.bytes);
        self.parts.push(Part::Blob { sha256, bytes, form: BlobForm::Base64 });
        self.text.push('"');
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.parts.push(Part::Bytes(text.into_bytes()));
    }
}
