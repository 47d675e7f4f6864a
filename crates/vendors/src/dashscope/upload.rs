//! Sound and film: laid into the vendor's own store, for two days, before the task names them. A
//! policy is asked for, then the file is sent with it. Both are free, so a step that was lost begins
//! again with the policy; its signature is not kept.

use super::{DIALECT, Wire, ask as ask_free, submit, video, wire};
use crate::status::text;
use pixel_core::{
    Error, ErrorKind,
    request::Role,
    task::StoredInput,
    vendor::{Answer, Body, Call, FormField, FormValue, HttpCall, Job, Mark, Method, Next, Repeat, Reply},
};
use serde_json::{Value, json};
use std::time::Duration;

const POLICY: &str = "/api/v1/uploads?action=getPolicy&model=";
/// One file on its way.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// What has to be laid there, in order.
pub(super) fn wanted<'a>(job: &Job<'a>) -> Vec<&'a StoredInput> {
    let Ok(Wire::Clip(style)) = wire(job) else { return Vec::new() };
    let usage = video::Use::by(job);
    let is_wanted = |input: &&StoredInput| {
        matches!(input.role, Role::Video | Role::Audio) && video::place(style, usage, input.role).is_some()
    };
    job.inputs.iter().filter(is_wanted).collect()
}

pub(super) fn mark(done: &[String]) -> Mark {
    json!({ "uploaded": done })
}

fn done(mark: &Mark) -> Vec<String> {
    let list = mark.get("uploaded").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(|url| url.as_str().map(str::to_owned)).collect()
}

/// Whether something is still to be laid there.
pub(super) fn is_open(job: &Job<'_>, mark: &Mark) -> bool {
    done(mark).len() < wanted(job).len()
}

/// Asks for a policy. A file is open to the model only for which it was laid there.
pub(super) fn ask(job: &Job<'_>) -> Result<Call, Error> {
    Ok(ask_free(job, &format!("{POLICY}{}", video::model(job))))
}

pub(super) fn next(job: &Job<'_>, at: &Mark, reply: &Reply) -> Result<Next, Error> {
    let (mut done, wanted) = (done(at), wanted(job));
    match (reply, text(at, "/key"), wanted.get(done.len())) {
        (Reply::Answer(answer), "", Some(file)) => send(job, answer, file, &done),
        (Reply::Answer(answer), key, Some(_)) => {
            check_stored(job, answer)?;
            done.push(format!("oss://{key}"));
            let call = if done.len() < wanted.len() { ask(job)? } else { submit(job, &done)? };
            Ok(Next::Send(call, mark(&done)))
        }
        _ => Ok(Next::Send(ask(job)?, mark(&done))),
    }
}

/// Sends a file with the policy that an answer holds.
fn send(job: &Job<'_>, answer: &Answer, file: &StoredInput, done: &[String]) -> Result<Next, Error> {
    let said = |name: &str| text(&answer.body, &format!("/data/{name}"));
    let names = ["oss_access_key_id", "signature", "policy", "upload_dir", "upload_host"];
    if !answer.is_success() || names.iter().any(|name| said(name).is_empty()) {
        return Err(DIALECT.error(job, answer));
    }
    let refused = |kind, why: &str| Err(DIALECT.because(job, answer, kind, why));
    let (host, dir) = (said("upload_host").trim_end_matches('/'), said("upload_dir").trim_end_matches('/'));
    if !is_own_store(host, job.base_url) || !is_plain_path(dir) {
        return refused(ErrorKind::InputUnreachable, "it named a store for it that is not known to be its own");
    }
    let facts = &file.facts;
    if facts.bytes > most_bytes(&answer.body) {
        return refused(ErrorKind::VendorRefused, "an input is larger than its store takes for this model");
    }
    let name = format!("{}.{}", facts.sha256, facts.ext);
    let key = format!("{dir}/{name}");
    let field = |name: &str, value: &str| FormField { name: name.to_owned(), value: FormValue::Text(value.to_owned()) };
    let (sha256, content_type) = (facts.sha256.clone(), facts.content_type.clone());
    let value = FormValue::File { file_name: name, content_type, sha256, bytes: facts.bytes };
    let form = vec![
        field("OSSAccessKeyId", said("oss_access_key_id")),
        field("Signature", said("signature")),
        field("policy", said("policy")),
        field("key", &key),
        field("x-oss-object-acl", said("x_oss_object_acl")),
        field("x-oss-forbid-overwrite", said("x_oss_forbid_overwrite")),
        field("success_action_status", "200"),
        // What comes after the file is not read.
        FormField { name: "file".to_owned(), value },
    ];
    let call = HttpCall {
        method: Method::Post,
        url: host.to_owned(),
        // The key has no business there.
        headers: Vec::new(),
        body: Body::Multipart(form),
        repeat: Repeat::Safe,
        media: Vec::new(),
        timeout: UPLOAD_TIMEOUT,
        sign: None,
        share: None,
    };
    Ok(Next::Send(Call::Http(Box::new(call)), json!({ "uploaded": done, "key": key })))
}

fn check_stored(job: &Job<'_>, answer: &Answer) -> Result<(), Error> {
    match answer.status {
        // It bears the name of its content: what is there already is the same.
        200..=299 | 409 => Ok(()),
        400 | 413 => Err(DIALECT.because(job, answer, ErrorKind::VendorRefused, "its store did not take an input")),
        // An old policy, for one: a new one is asked for.
        _ => Err(DIALECT.because(job, answer, ErrorKind::Unclear, "its store did not take an input")),
    }
}

fn most_bytes(body: &Value) -> u64 {
    let most = body.pointer("/data/max_file_size_mb");
    let most = most.and_then(|most| most.as_u64().or_else(|| most.as_str()?.parse().ok()));
    most.map_or(u64::MAX, |most| most.saturating_mul(1 << 20))
}

/// An address from an answer is called only where it is the vendor's object store, over TLS, or
/// below the operator's own base URL.
fn is_own_store(host: &str, base_url: &str) -> bool {
    if host.strip_prefix(base_url).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return true;
    }
    let Some(name) = host.strip_prefix("https://") else { return false };
    let labels: Vec<&str> = name.split('.').collect();
    let is_label = |label: &&str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    match labels.as_slice() {
        [bucket, region, "aliyuncs", "com"] => {
            [bucket, region].into_iter().all(is_label) && region.starts_with("oss-") && !region.ends_with("-internal")
        }
        _ => false,
    }
}

fn is_plain_path(path: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
    !path.is_empty() && path.len() <= 512 && path.bytes().all(is_plain) && !path.contains("..")
}

#[cfg(test)]
mod tests {
    use super::is_own_store;

    #[test]
    fn only_the_vendors_store_is_called() {
        let base = "https://dashscope.aliyuncs.com";
        for good in ["https://dashscope-file-mgr.oss-cn-beijing.aliyuncs.com", base] {
            assert!(is_own_store(good, base), "{good}");
        }
        for bad in [
            "http://b.oss-cn-beijing.aliyuncs.com",
            "https://b.oss-cn-beijing-internal.aliyuncs.com",
            "https://b.oss-cn-beijing.aliyuncs.com:8443",
            "https://b.oss-cn-beijing.aliyuncs.com/x?y",
            "https://b.oss-cn-beijing.aliyuncs.com@evil.test",
            "https://evil.test/b.oss-cn-beijing.aliyuncs.com",
            "https://b.oss-cn-beijing.aliyuncs.com.evil.test",
            "https://dashscope.aliyuncs.com.evil.test",
            "https://169.254.169.254",
            "http://localhost/",
            "",
        ] {
            assert!(!is_own_store(bad, base), "{bad}");
        }
        assert!(is_own_store("http://127.0.0.1:9900/dashscope/store", "http://127.0.0.1:9900/dashscope"));
        assert!(!is_own_store("http://127.0.0.1:9900/other", "http://127.0.0.1:9900/dashscope"));
    }
}
