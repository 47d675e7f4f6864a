//! The bucket for pictures: temporary rights, an upload that is signed with them as object stores
//! of this vendor want it (version 1, in a header), and the list that it must be entered in.

use super::{
    super::{no, yes},
    picture,
};
use crate::{
    SECRET,
    answer::Whole,
    session::{Upload, now},
    spoil::store_error,
    state::{Shared, hex},
    vendor::Asked,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// In truth it is a part of the host's name.
const BUCKET: &str = "pixverse-fe-upload";
const OWN: &str = "x-oss-";
const TOKEN: &str = "x-oss-security-token";
/// How far a clock may be wrong.
const SKEW_S: u64 = 15 * 60;
const SIDE_MAX: u32 = 4_000;

/// Rights that work for a while.
pub(super) fn grant(name: &str, upload_s: u64, shared: &Shared) -> Whole {
    let mut state = shared.state();
    let grant = state.sessions.grant(name, upload_s);
    yes(&json!({ "Ak": grant.id, "Sk": grant.secret, "Token": grant.token }))
}

/// `PUT <bucket>/upload/<uuid>.jpg`.
pub(super) fn put(asked: &Asked, key: &str, shared: &Shared) -> Whole {
    if asked.header("token").is_some() || asked.header("cookie").is_some() {
        shared.state().ledger.violate(format!("the account's token was sent to the bucket: {key}"));
    }
    match signed(asked, key, shared) {
        Err(code) => store_error(403, code),
        Ok(_) if asked.method != Method::PUT => store_error(405, "MethodNotAllowed"),
        Ok(_) if !is_key(key) => store_error(403, "AccessDenied"),
        Ok(name) => {
            let upload = Upload {
                path: key.to_owned(),
                size: asked.body.len(),
                sha256: hex(&Sha256::digest(&asked.body)),
                sides: picture::sides(&asked.body),
                url: None,
            };
            shared.state().sessions.account(&name).uploads.push(upload);
            Whole::new(200, "application/xml", "").header("etag", format!("\"{}\"", hash(key)))
        }
    }
}

/// Whose rights these are.
fn signed(asked: &Asked, key: &str, shared: &Shared) -> Result<String, &'static str> {
    let (id, signature) = asked
        .header("authorization")
        .and_then(|text| text.strip_prefix("OSS ")?.split_once(':'))
        .ok_or("AccessDenied")?;
    let state = shared.state();
    let grant = state.sessions.granted(id).ok_or("InvalidAccessKeyId")?;
    if asked.header(TOKEN) != Some(&grant.token) {
        return Err("InvalidSecurityToken");
    }
    if now() >= grant.until {
        return Err("SecurityTokenExpired");
    }
    let date = asked.header("x-oss-date").or_else(|| asked.header("date")).unwrap_or_default();
    let at = OffsetDateTime::parse(&date.replace("GMT", "+0000"), &Rfc2822).map_err(|_| "AccessDenied")?;
    if at.unix_timestamp().abs_diff(now()) > SKEW_S {
        return Err("RequestTimeTooSkewed");
    }
    match sign(&grant.secret, &to_sign(asked, key, date)) == signature {
        true => Ok(grant.account.clone()),
        false => Err("SignatureDoesNotMatch"),
    }
}

/// Method, digest, type and date, each on a line; then the store's own headers by their names, each
/// on a line; then bucket and key.
fn to_sign(asked: &Asked, key: &str, date: &str) -> String {
    let header = |name: &str| asked.header(name).unwrap_or_default().trim().to_owned();
    let mut own: Vec<String> = asked
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with(OWN))
        .map(|name| format!("{name}:{}\n", header(name.as_str())))
        .collect();
    own.sort();
    let lines = [asked.method.to_string(), header("content-md5"), header("content-type"), date.to_owned()];
    format!("{}\n{}/{BUCKET}/{key}", lines.join("\n"), own.concat())
}

fn sign(secret: &str, text: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// `upload/<uuid>.jpg`, and nothing else.
fn is_key(key: &str) -> bool {
    let name = key.strip_prefix("upload/").and_then(|name| name.strip_suffix(".jpg"));
    let is_part = |(part, length): (&str, usize)| part.len() == length && part.chars().all(|c| c.is_ascii_hexdigit());
    name.is_some_and(|name| name.split('-').count() == 5 && name.split('-').zip([8, 4, 4, 4, 12]).all(is_part))
}

fn hash(key: &str) -> String {
    hex(&Sha256::digest(format!("{key} {SECRET}")))[..32].to_uppercase()
}

/// Enters uploads in the account's list; what is no good picture is refused.
pub(super) fn register(asked: &Asked, name: &str, shared: &Shared) -> Result<Whole, Whole> {
    let body = asked.json().unwrap_or_default();
    let images = body["images"].as_array().filter(|images| !images.is_empty());
    let images = images.ok_or_else(|| no(400_011, "images is empty"))?;
    let mut state = shared.state();
    let uploads = &mut state.sessions.account(name).uploads;
    let all: Result<Vec<Value>, Whole> = images.iter().map(|image| entered(image, asked, uploads)).collect();
    Ok(yes(&json!({ "result": all? })))
}

fn entered(image: &Value, asked: &Asked, uploads: &mut [Upload]) -> Result<Value, Whole> {
    let path = image["path"].as_str().unwrap_or_default();
    let (at, upload) = uploads
        .iter_mut()
        .enumerate()
        .find(|(_, upload)| upload.path == path)
        .ok_or_else(|| no(400_011, "the file is not there"))?;
    let is_named = image["name"].as_str() == path.strip_prefix("upload/");
    if !is_named || image["size"].as_u64() != Some(upload.size as u64) {
        return Err(no(400_017, "invalid param"));
    }
    let fits = |side: u32| (1..=SIDE_MAX).contains(&side);
    let (width, height) = upload
        .sides
        .filter(|(width, height)| fits(*width) && fits(*height))
        .ok_or_else(|| no(400, "incorrect image width/height"))?;
    // As it is in truth: the slash of the path is written as an escape.
    let host = asked.header("host").unwrap_or("127.0.0.1");
    let url = format!("http://{host}/pixverse/{}", path.replace('/', "%2F"));
    upload.url = Some(url.clone());
    Ok(json!({
        "id": 381_000_000_000_001_u64 + at as u64, "url": url, "path": path, "size": upload.size,
        "name": image["name"], "category": 0, "err_msg": "", "asset_id": 381_000_000_000_001_u64 + at as u64,
        "asset_type": 1, "width": width, "height": height,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_uuids() {
        assert!(is_key("upload/6f1c0000-0000-4000-8000-00000000000a.jpg"));
        for key in ["upload/a.jpg", "6f1c0000-0000-4000-8000-00000000000a.jpg", "upload/../a.jpg", "upload/.jpg"] {
            assert!(!is_key(key), "{key}");
        }
    }
}
