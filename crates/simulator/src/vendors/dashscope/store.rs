//! The store for inputs: a policy that is asked for with the key, and an upload with the policy,
//! where the key has no business. What lies there is open to one model only.

use super::error;
use crate::{
    answer::Whole,
    form::{Field, Value, fields},
    spoil::store_error,
    state::hex,
    vendor::{Asked, SECRET},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use sha2::{Digest, Sha256};

/// In truth it is another host.
pub(super) const PATH: &str = "/store";

/// The answer to `GET /api/v1/uploads?action=getPolicy&model=…`.
pub(super) fn policy(asked: &Asked) -> Result<Whole, Whole> {
    let model = asked.parameter("model").filter(|model| !model.is_empty());
    let (Some("getPolicy"), Some(model)) = (asked.parameter("action"), model) else {
        return Err(error(400, "InvalidParameter", "Field required: action, model"));
    };
    let dir = folder(model);
    let policy = STANDARD.encode(json!({ "conditions": [["starts-with", "$key", dir]] }).to_string());
    let data = json!({
        "signature": signature(&policy), "policy": policy, "upload_dir": dir,
        "upload_host": format!("http://{}/dashscope{PATH}", asked.header("host").unwrap_or("127.0.0.1")),
        "expire_in_seconds": "300", "max_file_size_mb": "100", "capacity_limit_mb": "999999999",
        "oss_access_key_id": "LTAItest", "x_oss_object_acl": "private", "x_oss_forbid_overwrite": "true",
    });
    Ok(Whole::json(200, &json!({ "request_id": "r", "data": data })))
}

/// The answer to an upload.
pub(super) fn upload(asked: &Asked) -> Result<Whole, Whole> {
    if asked.header("authorization").is_some() {
        return Err(store_error(400, "InvalidArgument"));
    }
    let form = fields(asked).ok_or_else(|| store_error(400, "MalformedPOSTRequest"))?;
    let text = |name: &str| form.iter().find_map(|field| text_of(field, name)).unwrap_or_default();
    // Whatever stands behind the file is not read.
    let is_last = form.last().is_some_and(|field| field.name == "file" && matches!(field.value, Value::File { .. }));
    if !is_last || text("OSSAccessKeyId") != "LTAItest" {
        return Err(store_error(400, "InvalidArgument"));
    }
    let policy = text("policy");
    if text("Signature") != signature(policy) {
        return Err(store_error(403, "SignatureDoesNotMatch"));
    }
    let conditions: serde_json::Value =
        STANDARD.decode(policy).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let dir = conditions["conditions"][0][2].as_str().unwrap_or("/");
    let is_inside = text("key").strip_prefix(dir).is_some_and(|name| name.len() > 1 && name.starts_with('/'));
    let is_closed = text("x-oss-object-acl") == "private" && text("x-oss-forbid-overwrite") == "true";
    if !is_inside || !is_closed {
        return Err(store_error(403, "AccessDenied"));
    }
    let status = if text("success_action_status") == "200" { 200 } else { 204 };
    Ok(Whole::new(status, "application/xml", ""))
}

/// Whether an address is one that this model may read.
pub(super) fn is_open(url: &str, model: &str) -> bool {
    let key = url.strip_prefix("oss://").and_then(|key| key.strip_prefix(&folder(model)));
    key.is_some_and(|name| name.len() > 1 && name.starts_with('/'))
}

fn text_of<'a>(field: &'a Field, name: &str) -> Option<&'a str> {
    match &field.value {
        Value::Text(text) if field.name == name => Some(text),
        Value::Text(_) | Value::File { .. } => None,
    }
}

fn folder(model: &str) -> String {
    format!("dashscope-instant/{}/2026-11-20", &hex(&Sha256::digest(format!("{model} {SECRET}")))[..16])
}

fn signature(policy: &str) -> String {
    STANDARD.encode(Sha256::digest(format!("{policy} {SECRET}")))
}
