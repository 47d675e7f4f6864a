//! The calls of the web pages, and the signature of their store.

use super::{account::file_name, body, trace};
use crate::sign::hmac_sha1;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use pixel_core::{
    task::StoredInput,
    vendor::{BlobForm, Body, Credential, Field, HttpCall, Job, Leaving, Method, Part, Repeat, Secret, Share, Signer},
};
use serde_json::{Map, Value, json};
use std::time::Duration;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

const PREFIX: &str = "/creative_platform";
const TIMEOUT: Duration = Duration::from_secs(30);
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(300);
/// The bucket that the pages write to; it is part of what is signed.
const BUCKET: &str = "pixverse-fe-upload";
/// Videos on one page of the list.
const LIST_ROWS: u64 = 50;
/// One list an account in so long.
const LIST_FRESH: Duration = Duration::from_secs(10);

fn call(credential: &Credential, base_url: &str, path: &str, body: Body) -> HttpCall {
    let plain = |name: &str, text: &str| (name.to_owned(), Field::Plain(text.to_owned()));
    let mut headers = vec![plain("x-platform", "Web"), plain("accept", "application/json, text/plain, */*")];
    headers.extend(credential.0.first().map(|token| ("token".to_owned(), Field::Secret(token.clone()))));
    HttpCall {
        method: Method::Post,
        url: format!("{base_url}{PREFIX}{path}"),
        headers,
        body,
        repeat: Repeat::Safe,
        media: Vec::new(),
        timeout: TIMEOUT,
        sign: Some(Signer { credential: Credential::default(), hashes_body: false, sign: trace }),
        share: None,
    }
}

/// The same with what a page says of itself.
fn of_page(job: &Job<'_>, path: &str, body: &Value) -> HttpCall {
    let mut call = call(job.credential, job.base_url, path, Body::json(body));
    if let Some(web) = job.urls.first() {
        call.headers.push(("origin".to_owned(), Field::Plain(web.clone())));
        call.headers.push(("referer".to_owned(), Field::Plain(format!("{web}/"))));
    }
    call
}

/// Costs nothing and tells whether the session is good.
pub(super) fn credits(credential: &Credential, base_url: &str) -> HttpCall {
    let call = call(credential, base_url, "/user/credits", Body::Empty);
    HttpCall { method: Method::Get, timeout: Duration::from_secs(10), ..call }
}

/// Asks for rights to the store, which live for a short time.
pub(super) fn rights(job: &Job<'_>) -> HttpCall {
    let mut call = of_page(job, "/getUploadToken", &Value::Null);
    // The pages name a type although there is no body.
    call.headers.push(("content-type".to_owned(), Field::Plain("application/json".to_owned())));
    HttpCall { body: Body::Empty, ..call }
}

/// Lays the picture there.
pub(super) fn put(job: &Job<'_>, file: &StoredInput, rights: [&str; 3]) -> HttpCall {
    let facts = &file.facts;
    let part = Part::Blob { sha256: facts.sha256.clone(), bytes: facts.bytes, form: BlobForm::Raw };
    let store = job.urls.get(1).map_or("", String::as_str);
    HttpCall {
        method: Method::Put,
        url: format!("{store}/upload/{}", file_name(job)),
        headers: Vec::new(),
        body: Body::Parts(facts.content_type.clone(), vec![part]),
        repeat: Repeat::Safe,
        media: Vec::new(),
        timeout: UPLOAD_TIMEOUT,
        sign: Some(Signer { credential: Credential(rights.map(Secret::new).into()), hashes_body: false, sign }),
        share: None,
    }
}

const HTTP_DATE: &[BorrowedFormatItem<'_>] = format_description!(
    version = 2,
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// The store's first kind of signature, with temporary rights: key, secret and token.
fn sign(leaving: &Leaving<'_>) -> Vec<(String, Field)> {
    let part = |at: usize| leaving.credential.0.get(at).map_or("", Secret::reveal);
    let (key, secret, token) = (part(0), part(1), part(2));
    let moment = OffsetDateTime::from_unix_timestamp(leaving.now.0 / 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let date = moment.format(&HTTP_DATE).unwrap_or_default();
    let object = leaving.url.rsplit_once("/upload/").map_or("", |(_, name)| name);
    let kind = leaving.content_type;
    let text = format!("PUT\n\n{kind}\n{date}\nx-oss-security-token:{token}\n/{BUCKET}/upload/{object}");
    let signature = STANDARD.encode(hmac_sha1(secret.as_bytes(), text.as_bytes()));
    vec![
        ("date".to_owned(), Field::Plain(date)),
        ("x-oss-security-token".to_owned(), Field::Secret(Secret::new(token))),
        ("authorization".to_owned(), Field::Secret(Secret::new(format!("OSS {key}:{signature}")))),
    ]
}

/// Tells the pages what was laid there.
pub(super) fn register(job: &Job<'_>, bytes: u64) -> HttpCall {
    let name = file_name(job);
    let path = format!("upload/{name}");
    of_page(job, "/media/batch_upload_media", &json!({ "images": [{ "name": name, "size": bytes, "path": path }] }))
}

/// The paid call. There is no key for a repeat, and the list cannot find a lost one: its rows have
/// nothing of ours, and two tasks may have the same prompt in the same minute.
pub(super) fn submit(job: &Job<'_>, picture: Option<&str>) -> HttpCall {
    let Job { request, card, .. } = job;
    let (quality, ratio) = body::place(request, card);
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
    put("prompt", json!(request.prompt));
    put("model", json!(card.vendor_model));
    put("duration", json!(request.duration_ms.unwrap_or(5_000) / 1000));
    put("quality", json!(quality));
    if card.params.contains_key("motion_mode") {
        let asked = request.extra.get("motion_mode").filter(|_| !body::is_too_fast(request, card));
        put("motion_mode", asked.cloned().unwrap_or_else(|| json!("normal")));
    }
    put("lip_sync_tts_speaker_id", json!("Auto"));
    let path = match picture {
        Some(url) => {
            put("customer_img_path", json!(format!("upload/{}", file_name(job))));
            // As it came: the store's own spelling of its addresses.
            put("customer_img_url", json!(url));
            "/video/i2v"
        }
        None => {
            put("aspect_ratio", json!(ratio));
            "/video/t2v"
        }
    };
    let mut call = of_page(job, path, &Value::Object(all));
    call.headers.push(("refresh".to_owned(), Field::Plain("credit".to_owned())));
    HttpCall { repeat: Repeat::Never, timeout: Duration::from_millis(card.times.submit_timeout_ms), ..call }
}

/// Where a page of the list begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    offset: u64,
    web: u64,
}

impl Place {
    pub(super) fn after(answer: &Value) -> Self {
        let next = |pointer: &str| answer.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        Self { offset: next("/Resp/next_offset"), web: next("/Resp/web_next_offset") }
    }
}

pub(super) fn list(job: &Job<'_>, place: Place) -> HttpCall {
    let Place { offset, web } = place;
    let asked = json!({
        "offset": offset, "limit": LIST_ROWS, "polling": true, "filter": { "off_peak": 0 },
        "web_offset": web, "app_offset": 0,
    });
    let share = Share { key: format!("list {offset} {web}"), fresh: LIST_FRESH };
    HttpCall { share: Some(share), ..of_page(job, "/video/list/personal", &asked) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixel_core::Stamp;

    /// Made with another implementation: python, hmac and base64.
    #[test]
    fn the_stores_signature_is_that_of_its_documents() {
        let credential = Credential(["ak", "sk", "tok"].map(Secret::new).into());
        let signed = sign(&Leaving {
            method: Method::Put,
            url: "https://store.example/upload/a.jpg",
            content_type: "image/png",
            body_sha256: "",
            credential: &credential,
            now: Stamp(1_795_176_000_000_000),
            nonce: "",
        });
        let text = |field: &Field| match field {
            Field::Plain(text) => text.clone(),
            Field::Secret(secret) => secret.reveal().to_owned(),
        };
        let shown: Vec<_> = signed.iter().map(|(name, field)| format!("{name}: {}", text(field))).collect();
        assert_eq!(
            shown,
            [
                "date: Fri, 20 Nov 2026 12:00:00 GMT",
                "x-oss-security-token: tok",
                "authorization: OSS ak:v4u8LktRjO0x5P4/dewMmECQJiI="
            ]
        );
        assert!(!format!("{signed:?}").contains("tok\""));
    }
}
