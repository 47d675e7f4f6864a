//! Forms, as browsers send them.

use crate::vendor::Asked;
use bytes::Bytes;
use futures_util::FutureExt;
use std::convert::Infallible;

/// One field: text, or a file by its type and length.
pub(crate) struct Field {
    pub name: String,
    pub value: Value,
}

pub(crate) enum Value {
    Text(String),
    File { content_type: Option<String>, bytes: usize },
}

/// The fields of a form in their order; nothing when the request holds none, or a broken one.
pub(crate) fn fields(asked: &Asked) -> Option<Vec<Field>> {
    let boundary = multer::parse_boundary(asked.header("content-type")?).ok()?;
    // All of it is in memory, so nothing is waited for.
    read(asked.body.clone(), boundary).now_or_never().flatten()
}

async fn read(body: Bytes, boundary: String) -> Option<Vec<Field>> {
    let whole = futures_util::stream::once(async move { Ok::<Bytes, Infallible>(body) });
    let mut form = multer::Multipart::new(whole, boundary);
    let mut fields = Vec::new();
    while let Some(field) = form.next_field().await.ok()? {
        let name = field.name()?.to_owned();
        let value = if field.file_name().is_some() {
            let content_type = field.content_type().map(ToString::to_string);
            Value::File { content_type, bytes: field.bytes().await.ok()?.len() }
        } else {
            Value::Text(field.text().await.ok()?)
        };
        fields.push(Field { name, value });
    }
    Some(fields)
}
