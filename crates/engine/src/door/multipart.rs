//! Multipart forms as plain parts, so that their length is known.

use pixel_core::vendor::{BlobForm, FormField, FormValue, Part};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The content type, and the parts of the form.
pub(super) fn parts(fields: &[FormField]) -> (String, Vec<Part>) {
    let boundary = boundary(fields);
    let mut parts = Vec::new();
    let mut text = String::new();
    for field in fields {
        let name = quoted(&field.name);
        text.push_str(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\""));
        match &field.value {
            FormValue::Text(value) => text.push_str(&format!("\r\n\r\n{value}")),
            FormValue::File { file_name, content_type, sha256, bytes } => {
                let (file_name, content_type) = (quoted(file_name), one_line(content_type));
                text.push_str(&format!("; filename=\"{file_name}\"\r\nContent-Type: {content_type}\r\n\r\n"));
                parts.push(Part::Bytes(std::mem::take(&mut text).into_bytes()));
                parts.push(Part::Blob { sha256: sha256.clone(), bytes: *bytes, form: BlobForm::Raw });
            }
        }
        text.push_str("\r\n");
    }
    text.push_str(&format!("--{boundary}--\r\n"));
    parts.push(Part::Bytes(text.into_bytes()));
    (format!("multipart/form-data; boundary={boundary}"), parts)
}

/// Follows from the content, so that a repeated send is the same to the byte; a file cannot hold
/// it, because it depends on that file's own hash.
fn boundary(fields: &[FormField]) -> String {
    let mut hash = Sha256::new();
    for field in fields {
        let value = match &field.value {
            FormValue::Text(value) => value,
            FormValue::File { sha256, .. } => sha256,
        };
        for text in [&field.name, value] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
    }
    hash.finalize().iter().take(16).fold("pixel-".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// As browsers quote names in forms.
fn quoted(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
