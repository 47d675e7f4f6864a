//! Reads the fields of a request in whatever form a client sends them: in the query, as a form, as
//! parts, as JSON of any declared type. The body wins over the query.

use super::{
    dialect::{Dialect, PICTURES},
    picture::{self, Picture},
};
use crate::api::{
    body::{self, clip},
    envelope::ApiError,
    state::App,
};
use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, StatusCode, header},
};
use futures_util::StreamExt;
use multer::{Constraints, Field, Multipart, SizeLimit};
use pixel_core::capability::LABEL_CHARS;
use serde_json::Value;
use std::{collections::BTreeMap, ops::RangeInclusive, pin::Pin, time::Duration};
use url::form_urlencoded;

/// All fields but the picture: a prompt of the longest kind, escaped in the longest way, fits many times.
const FIELDS_BYTES: usize = 256 << 10;
/// Parts beside a picture that nobody reads; among them may be that picture once more.
const REST_BYTES: u64 = picture::BYTES_END;
/// The body with a picture.
const WHOLE_BYTES: u64 = picture::BYTES_END + REST_BYTES + FIELDS_BYTES as u64;
/// A form that has not arrived by then is not waited for: pictures come over slow lines.
const ARRIVAL: Duration = Duration::from_secs(600);

/// The fields of one request, by the names of its dialect.
#[derive(Debug)]
pub struct Bag {
    dialect: &'static Dialect,
    fields: BTreeMap<String, Value>,
    picture: Option<Picture>,
}

impl Bag {
    pub fn of_query(dialect: &'static Dialect, query: Option<&str>) -> Result<Self, ApiError> {
        let mut bag = Self { dialect, fields: BTreeMap::new(), picture: None };
        bag.fields =
            pairs(query.unwrap_or_default().as_bytes(), "query", |name| dialect.knows(name) || name == dialect.number)?;
        Ok(bag)
    }

    /// The whole request; a picture is taken in where one is wanted.
    pub async fn read(
        app: &App,
        dialect: &'static Dialect,
        query: Option<&str>,
        headers: &HeaderMap,
        body: Body,
        wants_picture: bool,
    ) -> Result<Self, ApiError> {
        let mut bag = Self::of_query(dialect, query)?;
        let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_parts =
            declared.trim_start().get(..19).is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data"));
        let fields = match multer::parse_boundary(declared) {
            _ if body.is_end_stream() => BTreeMap::new(),
            Ok(boundary) if is_parts => {
                let reading = bag.read_parts(app, body, boundary, wants_picture);
                tokio::time::timeout(ARRIVAL, reading).await.map_err(|_| late())??
            }
            _ => {
                // Of a form without a boundary the size is the smaller fault.
                let is_long = |error: &ApiError| error.status == StatusCode::PAYLOAD_TOO_LARGE;
                let explain = |error| if is_parts && is_long(&error) { no_boundary() } else { error };
                let bytes = body::bytes(body, FIELDS_BYTES).await.map_err(explain)?;
                read_whole(dialect, &bytes, is_parts)?
            }
        };
        bag.fields.extend(fields);
        Ok(bag)
    }

    async fn read_parts(
        &mut self,
        app: &App,
        body: Body,
        boundary: String,
        wants_picture: bool,
    ) -> Result<BTreeMap<String, Value>, ApiError> {
        let most = if wants_picture { WHOLE_BYTES } else { FIELDS_BYTES as u64 };
        // Refused before it is asked for, where its length was announced.
        if body.size_hint().lower() > most {
            return Err(too_large(wants_picture));
        }
        let limits = Constraints::new().size_limit(SizeLimit::new().whole_stream(most));
        let (mut fields, mut rest) = (BTreeMap::new(), 0);
        let mut body = body.into_data_stream().peekable();
        // Nothing in chunks, whose length was not announced.
        if Pin::new(&mut body).peek().await.is_none() {
            return Ok(fields);
        }
        let mut parts = Multipart::with_constraints(body, boundary, limits);
        while let Some(part) = parts.next_field().await.map_err(|error| unreadable(error, wants_picture))? {
            let name = part.name().unwrap_or_default().to_owned();
            if wants_picture && self.picture.is_none() && PICTURES.contains(&name.as_str()) {
                self.picture = picture::take_in(app, &name, part).await?;
            } else if self.dialect.knows(&name) {
                let text = text_of(&name, part, wants_picture).await?;
                put(&mut fields, name, Value::String(text))?;
            } else {
                rest += skip(part, REST_BYTES - rest, wants_picture).await?;
            }
        }
        Ok(fields)
    }

    pub fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    pub fn take_picture(&mut self) -> Option<Picture> {
        self.picture.take()
    }

    /// A text that may be missing; a blank one is.
    pub fn text(&self, name: &str) -> Result<Option<String>, ApiError> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
            Some(other) => Err(ApiError::bad(format!("'{name}' must be text, got: {}.", body::shorten(other)))),
        }
    }

    pub fn required(&self, name: &str) -> Result<String, ApiError> {
        self.text(name)?.ok_or_else(|| ApiError::bad(format!("'{name}' is required.")))
    }

    /// A text that says who asks.
    pub fn optional_label(&self, name: &str) -> Result<Option<String>, ApiError> {
        let fits = |text: &String| text.chars().count() <= LABEL_CHARS && !text.chars().any(char::is_control);
        match self.text(name)? {
            Some(text) if !fits(&text) => {
                let must = format!("at most {LABEL_CHARS} characters without control characters");
                Err(ApiError::bad(format!("'{name}' must be {must}.")))
            }
            text => Ok(text),
        }
    }

    pub fn label(&self, name: &str) -> Result<String, ApiError> {
        self.optional_label(name)?.ok_or_else(|| ApiError::bad(format!("'{name}' is required.")))
    }

    /// A whole number, written as one, as its digits, or as JSON's `5.0`.
    pub fn whole(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, ApiError> {
        let number = match self.fields.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(other) => integer(other),
        };
        let number = number.filter(|number| range.contains(number)).ok_or_else(|| {
            let upper = if *range.end() == i64::MAX { "up".to_owned() } else { format!("to {}", range.end()) };
            let given = self.fields.get(name).map(body::shorten).unwrap_or_default();
            ApiError::bad(format!("'{name}' must be an integer from {} {upper}, got: {given}.", range.start()))
        });
        number.map(Some)
    }

    /// `5`, `"5"` or `"5s"`.
    pub fn seconds(&self, name: &str) -> Result<Option<u32>, ApiError> {
        let bare = match self.fields.get(name) {
            Some(Value::String(text)) => text.trim().trim_end_matches(['s', 'S']).to_owned(),
            Some(value @ Value::Number(_)) => {
                integer(value).map_or_else(|| value.to_string(), |whole| whole.to_string())
            }
            _ => return self.whole(name, 1..=3600).map(|_| None),
        };
        if bare.is_empty() {
            return Ok(None);
        }
        let given = self.fields.get(name).map(body::shorten).unwrap_or_default();
        let must = || ApiError::bad(format!("'{name}' must be seconds such as 5, got: {given}."));
        bare.parse().map(Some).map_err(|_| must())
    }

    /// The number of a clip, and as it was written; no number where it is larger than any of ours.
    pub fn number(&self) -> Result<(Option<i64>, String), ApiError> {
        let name = self.dialect.number;
        let text = self.required(name)?.trim().to_owned();
        let digits = text.strip_prefix('-').unwrap_or(&text);
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(ApiError::bad(format!("'{name}' must be an integer, got: '{}'.", clip(&text))));
        }
        Ok((text.parse().ok(), text))
    }
}

/// A JSON number as an integer. Some clients have floats only; those without a fraction are whole,
/// up to where floats no longer tell neighbours apart.
fn integer(value: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let float = || value.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < EXACT);
    value.as_i64().or_else(|| format!("{:.0}", float()?).parse().ok())
}

/// A query and a body, split at the first line's end.
#[cfg(any(test, feature = "fuzzing"))]
pub fn of_bytes(dialect: &'static Dialect, bytes: &[u8], is_parts: bool) -> Result<Bag, ApiError> {
    let (query, body) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    let mut bag = Bag::of_query(dialect, std::str::from_utf8(query).ok())?;
    bag.fields.extend(read_whole(dialect, body, is_parts)?);
    Ok(bag)
}

/// A body that is no form of parts.
fn read_whole(dialect: &'static Dialect, bytes: &[u8], is_parts: bool) -> Result<BTreeMap<String, Value>, ApiError> {
    let trimmed = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
    if trimmed.is_empty() {
        return Ok(BTreeMap::new());
    }
    // Whatever type is declared: clients send JSON as text, and as a form.
    if trimmed.starts_with(b"{") {
        let Value::Object(fields) = body::read(trimmed).map_err(ApiError::bad)? else { return Ok(BTreeMap::new()) };
        return Ok(fields.into_iter().filter(|(name, value)| dialect.knows(name) && !value.is_null()).collect());
    }
    if is_parts {
        return Err(no_boundary());
    }
    if !trimmed.contains(&b'=') {
        return Err(ApiError::bad("The body must be a form or a JSON object."));
    }
    pairs(trimmed, "form", |name| dialect.knows(name))
}

/// Pairs of a query or of a form.
fn pairs(bytes: &[u8], what: &str, is_known: impl Fn(&str) -> bool) -> Result<BTreeMap<String, Value>, ApiError> {
    const MARK: char = char::REPLACEMENT_CHARACTER;
    let mut fields = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(bytes).filter(|(name, _)| is_known(name)) {
        // The reader puts this mark for what is no text; a client may have sent it, and is asked to leave it out.
        if value.contains(MARK) {
            return Err(ApiError::bad(format!("'{name}' in the {what} must be UTF-8.")));
        }
        put(&mut fields, name.into_owned(), Value::String(value.into_owned()))?;
    }
    Ok(fields)
}

/// A field that stands twice must say the same: two readers would take two values.
fn put(fields: &mut BTreeMap<String, Value>, name: String, value: Value) -> Result<(), ApiError> {
    if value.as_str().is_some_and(|text| text.contains('\0')) {
        return Err(ApiError::bad(format!("'{name}' must not contain the character U+0000.")));
    }
    match fields.get(&name) {
        Some(other) if *other != value => Err(ApiError::bad(format!("'{name}' must be given once, but stands again."))),
        _ => {
            fields.insert(name, value);
            Ok(())
        }
    }
}

async fn text_of(name: &str, mut part: Field<'_>, wants_picture: bool) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(piece) = part.chunk().await.map_err(|error| unreadable(error, wants_picture))? {
        if bytes.len() + piece.len() > FIELDS_BYTES {
            return Err(ApiError::bad(format!("'{name}' is far too long.")));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| ApiError::bad(format!("'{name}' must be UTF-8.")))
}

/// The length of a part that nobody reads.
async fn skip(mut part: Field<'_>, most: u64, wants_picture: bool) -> Result<u64, ApiError> {
    let mut bytes = 0;
    while let Some(piece) = part.chunk().await.map_err(|error| unreadable(error, wants_picture))? {
        bytes += piece.len() as u64;
        if bytes > most {
            let message =
                format!("The parts beside the picture are larger than {} MB. Leave them out.", REST_BYTES >> 20);
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
    }
    Ok(bytes)
}

pub fn unreadable(error: multer::Error, wants_picture: bool) -> ApiError {
    match error {
        multer::Error::StreamSizeExceeded { .. } | multer::Error::FieldSizeExceeded { .. } => too_large(wants_picture),
        error => ApiError::bad(format!("The form cannot be read: {error}.")),
    }
}

fn too_large(wants_picture: bool) -> ApiError {
    let message = match wants_picture {
        true => format!(
            "The body is larger than {} MB, the most that is taken. The picture must be smaller than {} MB, \
             and the parts beside it may have as much.",
            WHOLE_BYTES >> 20,
            picture::BYTES_END >> 20
        ),
        false => format!("The body is larger than {FIELDS_BYTES} bytes, the most that is taken."),
    };
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

fn no_boundary() -> ApiError {
    ApiError::bad(
        "The form's 'Content-Type' names no boundary. Leave that header to the HTTP library, \
         or write 'multipart/form-data; boundary=' and what stands after '--' in the body's first line.",
    )
}

fn late() -> ApiError {
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time. Send it again.")
}

#[cfg(test)]
mod tests {
    use super::{super::dialect::PLAIN, *};

    fn read(bytes: &[u8]) -> Result<BTreeMap<String, Value>, String> {
        read_whole(&PLAIN, bytes, false).map_err(|error| error.message)
    }

    #[test]
    fn a_form_and_json_say_the_same() {
        let form = read("prompt=a+kite%20%F0%9F%AA%81&other=1&seed=7".as_bytes()).unwrap();
        let json = read(r#" {"prompt":"a kite 🪁","seed":"7","model":null,"x":[1]}"#.as_bytes()).unwrap();
        assert_eq!(form, json);
        assert_eq!(read(b" \r\n").unwrap(), BTreeMap::new());
    }

    #[test]
    fn what_two_readers_read_differently_is_refused() {
        for (text, says) in [
            ("prompt=a&prompt=b", "'prompt' must be given once"),
            ("prompt=%ff", "'prompt' in the form must be UTF-8"),
            ("prompt=a%00", "U+0000"),
            ("{\"prompt\":\"a\"", "not JSON"),
            ("prompt", "a form or a JSON object"),
            ("[1]", "a form or a JSON object"),
        ] {
            let said = read(text.as_bytes()).unwrap_err();
            assert!(said.contains(says), "{text}: {said}");
        }
        assert!(read(b"prompt=a&prompt=a").is_ok());
    }

    #[test]
    fn numbers_keep_every_digit() {
        let number = |query: &str| Bag::of_query(&PLAIN, Some(query)).unwrap().number();
        assert_eq!(number("video_id=9007199254740991").unwrap().0, Some(9_007_199_254_740_991));
        assert_eq!(number("video_id=+7+").unwrap().0, Some(7), "a plus is a blank");
        assert_eq!(number("video_id=99999999999999999999").unwrap().0, None);
        for wrong in ["", "1.0", "1e5", "abc", "0x10", "-", "1 2"] {
            assert!(number(&format!("video_id={wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn seconds_may_have_their_unit() {
        let seconds =
            |text: &str| Bag::of_query(&PLAIN, Some(&format!("duration={text}"))).unwrap().seconds("duration");
        assert_eq!([seconds("5"), seconds("8s"), seconds("")].map(Result::unwrap), [Some(5), Some(8), None]);
        assert!(seconds("long").is_err() && seconds("-5").is_err() && seconds("5.5").is_err());
    }

    #[test]
    fn a_float_without_a_fraction_is_an_integer() {
        let bag = |text: &str| {
            let fields = read(format!(r#"{{"duration":{text},"seed":{text}}}"#).as_bytes()).unwrap();
            Bag { dialect: &PLAIN, fields, picture: None }
        };
        for (text, number) in [("5", 5), ("5.0", 5), ("5e0", 5), ("120.000", 120)] {
            assert_eq!(bag(text).whole("seed", 0..=i64::MAX).unwrap(), Some(number), "{text}");
            assert_eq!(bag(text).seconds("duration").unwrap().map(i64::from), Some(number), "{text}");
        }
        for wrong in ["5.5", "1e300", "9007199254740993.0", "-5.0", "[5.0]", "true"] {
            assert!(bag(wrong).whole("seed", 0..=i64::MAX).is_err(), "{wrong}");
            assert!(bag(wrong).seconds("duration").is_err(), "{wrong}");
        }
    }
}
