//! PixVerse's web application: sign-ins, the bucket, the list, the pages.

use super::client;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use pixel_simulator::{Fault, HOLDER, PASSWORD, Rule, Script, Site, Stage};
use pixel_testkit::{Method, Stub, client::Answer, media, stub::marker};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::{
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc2822};

const LIST: &str = "video/list/personal";
const BUCKET: &str = "/pixverse/upload-bucket/";

async fn call(stub: &Stub, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Answer {
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let mut all = vec![("x-platform", "Web"), ("content-type", "application/json")];
    all.extend_from_slice(headers);
    let body = body.map(|body| if body.is_null() { Vec::new() } else { body.to_string().into_bytes() });
    client(stub).send(method, &format!("/pixverse/creative_platform/{path}"), &all, body).await
}

async fn sign_in(stub: &Stub, name: &str) -> String {
    let answer = call(stub, "login", Some(&json!({ "Username": name, "Password": PASSWORD })), &[]).await.json();
    answer["Resp"]["Result"]["Token"].as_str().unwrap_or_else(|| panic!("no token in {answer}")).to_owned()
}

/// A call of somebody who is signed in.
struct Web<'a> {
    stub: &'a Stub,
    token: String,
}

impl<'a> Web<'a> {
    async fn new(stub: &'a Stub) -> Self {
        Self { stub, token: sign_in(stub, HOLDER).await }
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        call(self.stub, path, Some(body), &[("token", &self.token)]).await.json()
    }

    async fn credits(&self) -> Value {
        call(self.stub, "user/credits", None, &[("token", &self.token)]).await.json()
    }

    async fn list(&self, offset: u64) -> Value {
        let body = json!({ "offset": offset, "limit": 50, "polling": true, "filter": { "off_peak": 0 },
                           "web_offset": offset, "app_offset": 0 });
        self.post(LIST, &body).await
    }

    async fn submit(&self, mark: &str) -> u64 {
        let made = self.post("video/t2v", &waves(mark)).await;
        made["Resp"]["video_id"].as_u64().unwrap_or_else(|| panic!("no id in {made}"))
    }

    /// The row of a clip, at the next call of the list.
    async fn row(&self, id: u64) -> Option<Value> {
        let list = self.list(0).await;
        let rows = list["Resp"]["data"].as_array().unwrap_or_else(|| panic!("no rows in {list}"));
        rows.iter().find(|row| row["video_id"] == id).cloned()
    }

    async fn states(&self, id: u64, count: usize) -> Vec<Option<i64>> {
        let mut states = Vec::new();
        for _ in 0..count {
            states.push(self.row(id).await.and_then(|row| row["video_status"].as_i64()));
        }
        states
    }
}

fn waves(mark: &str) -> Value {
    json!({ "prompt": format!("waves at night {mark}"), "duration": 5, "quality": "360p", "aspect_ratio": "16:9",
            "motion_mode": "normal", "model": "v4.5", "lip_sync_tts_speaker_id": "Auto", "credit_change": 20 })
}

fn poll_rule(kind: Fault) -> Rule {
    Rule::new(kind, Stage::Poll)
}

fn site(stub: &Stub, site: Site) {
    stub.simulator().script(None, Script { site, ..Script::default() });
}

fn uuid() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("6f1c0000-0000-4000-8000-{:012}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[tokio::test]
async fn a_clip_is_asked_for_and_told_by_the_list() {
    let (stub, mark) = (Stub::start(), marker());
    stub.simulator().script(Some(&mark), Script { polls: 2.into(), ..Script::default() });
    let web = Web::new(&stub).await;
    let claims = web.token.split('.').nth(1).expect("three parts");
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON");
    let month = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs() + 29 * 86_400;
    assert!(claims["Username"] == HOLDER && claims["ExpireTime"].as_u64() > Some(month), "{claims}");
    let made = web.post("video/t2v", &waves(&mark)).await;
    let id = made["Resp"]["video_id"].as_u64().expect("a number");
    assert_eq!(id.to_string().len(), 15);
    let resp = json!({ "video_id": id, "video_ids": [id], "success_count": 1, "total_count": 1 });
    assert_eq!(made, json!({ "ErrCode": 0, "ErrMsg": "success", "Resp": resp }));
    assert_eq!(web.states(id, 3).await, [Some(5), Some(5), Some(1)]);
    let row = web.row(id).await.expect("it is there");
    let (url, frame) = (row["url"].as_str().expect("text"), row["first_frame"].as_str().expect("text"));
    let look = client(&stub).send(Method::HEAD, url, &[], None).await;
    assert_eq!((look.status, look.header("content-type")), (200, Some("video/mp4")));
    let file = client(&stub).get(url).await;
    assert_eq!(look.header("content-length"), Some(file.bytes.len().to_string().as_str()));
    assert!(file.bytes.get(4..8) == Some(b"ftyp") && stub.fetches(&mark) == 1);
    assert!(media::png_size(&client(&stub).get(frame).await.bytes).is_some());
    let entry = stub.simulator().entries(Some(&mark), Some("pixverse"))[0].clone();
    assert_eq!((entry.form.as_str(), entry.account.as_deref(), entry.cost), ("t2v", Some(HOLDER), Some(20)));
    assert_eq!(web.post("account/message", &json!({})).await["Resp"]["video_list"], json!([id]));
    assert_eq!(web.credits().await["Resp"]["credit_monthly"], 100_000 - 20);
    web.post("video/delete", &json!({ "video_ids": [id], "platform": "web" })).await;
    assert_eq!(web.states(id, 1).await, [Some(6)]);
    let account = stub.simulator().account(HOLDER);
    assert_eq!((account.sign_ins, account.calls(LIST), account.calls("video/t2v")), (1, 5, 1));
}

#[tokio::test]
async fn tokens_expire_and_are_evicted() {
    let stub = Stub::start();
    let web = Web::new(&stub).await;
    let code = async |web: &Web<'_>| web.credits().await["ErrCode"].as_i64();
    assert_eq!(code(&web).await, Some(0));
    assert_eq!(call(&stub, "user/credits", None, &[]).await.json()["ErrCode"], 10003);
    let post = async |body: Value| client(&stub).post("/_accounts", &body).await;
    assert_eq!(post(json!({ "action": "expire-token" })).await.status, 200);
    assert_eq!(code(&web).await, Some(10001));
    let second = Web::new(&stub).await;
    let shown = post(json!({ "action": "sign-in-elsewhere" })).await.json();
    assert_eq!((code(&web).await, code(&second).await), (Some(10001), Some(10005)), "it had expired before");
    assert_eq!(shown["accounts"][HOLDER]["sign_ins"], 3);
    assert_eq!(shown["accounts"][HOLDER]["elsewhere"], 1);
    let third = Web::new(&stub).await;
    let fourth = Web::new(&stub).await;
    assert_eq!((code(&third).await, code(&fourth).await), (Some(10005), Some(0)));
    sign_in(&stub, "holder-2@example.org").await;
    assert_eq!(code(&fourth).await, Some(0), "another account's sign-in ends no session here");
    site(&stub, Site { token_s: 0, ..Site::default() });
    assert_eq!(code(&Web::new(&stub).await).await, Some(10001));
    for (name, password) in [("nobody@example.org", PASSWORD), (HOLDER, "wrong"), ("", "")] {
        let body = json!({ "Username": name, "Password": password });
        let refused = call(&stub, "login", Some(&body), &[]).await;
        assert_eq!((refused.status, &refused.json()["ErrCode"]), (200, &json!(500_200)), "{name}");
    }
    assert_eq!(client(&stub).get("/_accounts").await.json()["refused_sign_ins"], 3);
    for wrong in [json!({}), json!({ "action": "expire-token", "name": "nobody@example.org" })] {
        let answer = post(wrong).await;
        assert!(answer.status == 400 && answer.json()["error"].is_string());
    }
}

#[tokio::test]
async fn the_smallest_set_of_headers_is_wanted() {
    let (stub, mark) = (Stub::start(), marker());
    let token = sign_in(&stub, HOLDER).await;
    let (token, json) = (("token", token.as_str()), ("content-type", "application/json"));
    let body = waves(&mark).to_string().into_bytes();
    for (headers, code) in [
        (&[token, json][..], 400_011),
        (&[token, json, ("x-platform", "iOS")], 400_011),
        (&[token, ("x-platform", "Web")], 400_013),
        (&[json, ("x-platform", "Web")], 10003),
        (&[json, ("x-platform", "Web"), ("token", "emu.jwt.1")], 10001),
        (&[token, json, ("x-platform", "Web")], 0),
    ] {
        let path = "/pixverse/creative_platform/video/t2v";
        let answer = client(&stub).send(Method::POST, path, headers, Some(body.clone())).await;
        assert_eq!((answer.status, &answer.json()["ErrCode"]), (200, &json!(code)), "{headers:?}");
    }
    assert_eq!((stub.accepted(&mark), stub.received(&mark)), (1, 1));
    assert_eq!(call(&stub, "video/extend", Some(&json!({})), &[token]).await.status, 404);
}

#[tokio::test]
async fn a_trace_id_brings_its_first_answer_again() {
    let (stub, mark) = (Stub::start(), marker());
    let (first, other) = (sign_in(&stub, HOLDER).await, sign_in(&stub, "holder-2@example.org").await);
    let ask = async |token: &str, path: &str, trace: &str| {
        call(&stub, path, Some(&waves(&mark)), &[("token", token), ("ai-trace-id", trace)]).await.json()
    };
    let made = ask(&first, "video/t2v", "trace-1").await;
    assert_eq!(ask(&first, "video/t2v", "trace-1").await, made);
    assert_eq!(ask(&first, LIST, "trace-1").await, made, "whatever is asked");
    assert_ne!(ask(&other, "video/t2v", "trace-1").await, made, "it is another account's");
    assert_ne!(ask(&first, "video/t2v", "trace-2").await, made);
    assert_eq!(stub.accepted(&mark), 3);
}

#[tokio::test]
async fn errors_come_by_their_numbers_over_200() {
    let stub = Stub::start();
    let web = Web::new(&stub).await;
    for (code, kind, accepted) in [
        (500_044, Fault::Code, 0),
        (500_054, Fault::Code, 0),
        (500_063, Fault::Code, 0),
        (500_064, Fault::Code, 0),
        (500_043, Fault::Code, 0),
        (500_069, Fault::Code, 0),
        (99_999, Fault::CodeAfterAccept, 1),
    ] {
        let mark = marker();
        let faults = vec![Rule::new(kind, Stage::Submit).code(code)];
        stub.simulator().script(Some(&mark), Script { faults, ..Script::default() });
        let answer = call(&stub, "video/t2v", Some(&waves(&mark)), &[("token", &web.token)]).await;
        assert_eq!((answer.status, &answer.json()["ErrCode"]), (200, &json!(code)));
        assert_eq!((stub.accepted(&mark), stub.received(&mark)), (accepted, 1), "{code}");
        assert!(web.submit(&mark).await > 0);
    }
    for (kind, status, code) in [
        (Fault::Unauthorized, 200, 10001),
        (Fault::PaymentRequired, 200, 500_043),
        (Fault::BadRequest, 200, 400_017),
        (Fault::RateLimitSeconds, 429, 500_044),
        (Fault::ErrorAfterAccept, 500, 99_999),
    ] {
        let mark = marker();
        let faults = vec![Rule::new(kind, Stage::Submit)];
        stub.simulator().script(Some(&mark), Script { faults, ..Script::default() });
        let answer = call(&stub, "video/t2v", Some(&waves(&mark)), &[("token", &web.token)]).await;
        assert_eq!((answer.status, &answer.json()["ErrCode"]), (status, &json!(code)), "{kind:?}");
    }
    let (mark, lacking) = (marker(), marker());
    let faults = vec![Rule::new(Fault::MissingId, Stage::Submit)];
    stub.simulator().script(Some(&lacking), Script { faults, ..Script::default() });
    let answer = web.post("video/t2v", &waves(&lacking)).await;
    assert!(answer["Resp"]["video_id"].is_null() && answer["Resp"]["video_ids"] == json!([]), "{answer}");
    let faults = vec![poll_rule(Fault::Code).code(99_999), poll_rule(Fault::Code).code(500_100).skip(1)];
    stub.simulator().script(Some(&mark), Script { faults, ..Script::default() });
    let id = web.submit(&mark).await;
    assert_eq!(
        (web.list(0).await["ErrCode"].as_i64(), web.list(0).await["ErrCode"].as_i64()),
        (Some(99_999), Some(500_100))
    );
    assert_eq!(web.states(id, 1).await, [Some(1)]);
}

#[tokio::test]
async fn rows_tell_what_the_script_says() {
    let stub = Stub::start();
    let web = Web::new(&stub).await;
    let status = |code| poll_rule(Fault::StatusNumber).code(code);
    for (faults, states) in [
        (vec![status(10).times(2)], [Some(10), Some(10), Some(1)]),
        (vec![status(6), status(7).skip(1), status(8).skip(2)], [Some(6), Some(7), Some(8)]),
        (vec![status(9), status(4711).skip(1)], [Some(9), Some(4711), Some(1)]),
        (vec![poll_rule(Fault::MissingRow).times(2)], [None, None, Some(1)]),
        (vec![poll_rule(Fault::NotYetKnown)], [None, None, Some(1)]),
        (vec![poll_rule(Fault::UnknownStatus)], [Some(42), Some(1), Some(1)]),
        (vec![poll_rule(Fault::JobModerated)], [Some(7), Some(7), Some(7)]),
        (vec![poll_rule(Fault::JobFailed)], [Some(8), Some(8), Some(8)]),
        (vec![poll_rule(Fault::JobLost)], [Some(6), Some(6), Some(6)]),
        (vec![poll_rule(Fault::StatusBackwards).times(2)], [Some(5), Some(10), Some(1)]),
        (vec![poll_rule(Fault::RunningForEver)], [Some(5), Some(5), Some(5)]),
    ] {
        let mark = marker();
        stub.simulator().script(Some(&mark), Script { faults: faults.clone(), ..Script::default() });
        let id = web.submit(&mark).await;
        assert_eq!(web.states(id, 3).await, states, "{faults:?}");
    }
    // Fixture C: two placeholders, then the safety system.
    let mark = marker();
    let faults = vec![poll_rule(Fault::Placeholder).code(10).times(2), poll_rule(Fault::JobModerated).skip(2)];
    stub.simulator().script(Some(&mark), Script { faults, ..Script::default() });
    let id = web.submit(&mark).await;
    for state in [10, 10, 7] {
        let row = web.row(id).await.expect("it is there");
        let url = row["url"].as_str().expect("text");
        assert_eq!((&row["video_status"], url.ends_with("/default.mp4")), (&json!(state), state == 10));
        assert!(state == 7 || client(&stub).send(Method::HEAD, url, &[], None).await.status == 404);
    }
    // A link that is told before its file is there.
    let mark = marker();
    let faults = vec![Rule::new(Fault::NotFound, Stage::Fetch).times(2)];
    stub.simulator().script(Some(&mark), Script { faults, ..Script::default() });
    let id = web.submit(&mark).await;
    let url = web.row(id).await.expect("it is there")["url"].as_str().expect("text").to_owned();
    for (method, status) in [(Method::HEAD, 404), (Method::GET, 404), (Method::HEAD, 200), (Method::GET, 200)] {
        assert_eq!(client(&stub).send(method, &url, &[], None).await.status, status);
    }
}

#[tokio::test]
async fn the_list_comes_in_pages_and_is_one_poll_of_each() {
    let (stub, mark) = (Stub::start(), marker());
    let web = Web::new(&stub).await;
    let other = Web { stub: &stub, token: sign_in(&stub, "holder-2@example.org").await };
    let mut ids = Vec::new();
    for _ in 0..53 {
        ids.push(web.submit(&mark).await);
    }
    let foreign = other.submit(&mark).await;
    let page = web.list(0).await["Resp"].clone();
    assert_eq!(
        (page["data"].as_array().map(Vec::len), &page["has_more"], &page["next_offset"]),
        (Some(50), &json!(true), &json!(50))
    );
    assert_eq!((&page["web_has_more"], &page["web_next_offset"]), (&json!(true), &json!(50)));
    let rest = web.list(50).await["Resp"].clone();
    assert_eq!(rest["has_more"], false);
    let told = |page: &Value| {
        page["data"].as_array().into_iter().flatten().map(|row| row["video_id"].as_u64()).collect::<Vec<_>>()
    };
    let all: Vec<_> = [told(&page), told(&rest)].concat();
    ids.reverse();
    assert_eq!(all, ids.into_iter().map(Some).collect::<Vec<_>>(), "the newest first, and nobody else's");
    assert_eq!(told(&other.list(0).await["Resp"]), [Some(foreign)]);
    assert_eq!(stub.polls(&mark), 54);
    assert_eq!(stub.simulator().account(HOLDER).calls(LIST), 2);
}

#[tokio::test]
async fn an_account_has_a_balance_and_a_limit() {
    let (stub, mark) = (Stub::start(), marker());
    let web = Web::new(&stub).await;
    site(&stub, Site { at_once: 1, credits: 45, ..Site::default() });
    assert_eq!(web.credits().await["Resp"]["gen_simultaneously"], 1);
    let ask = async || web.post("video/t2v", &waves(&mark)).await["ErrCode"].as_i64();
    let next = async || (ask().await, ask().await);
    assert_eq!(next().await, (Some(0), Some(500_044)));
    web.list(0).await;
    assert_eq!(next().await, (Some(0), Some(500_044)));
    web.list(0).await;
    assert_eq!(next().await, (Some(500_043), Some(500_043)));
    assert_eq!((web.credits().await["Resp"]["credit_monthly"].as_u64(), stub.accepted(&mark)), (Some(5), 2));
    for (fields, code) in [
        (json!({ "duration": 7 }), 400_017),
        (json!({ "model": "v9" }), 400_017),
        (json!({ "quality": "8k" }), 400_017),
        (json!({ "prompt": "" }), 400_011),
        (json!({ "prompt": "é".repeat(2049) }), 400_018),
        (json!({ "aspect_ratio": Value::Null }), 400_011),
    ] {
        let mut body = waves(&mark);
        fields.as_object().into_iter().flatten().for_each(|(name, value)| body[name] = value.clone());
        assert_eq!(web.post("video/t2v", &body).await["ErrCode"], code, "{fields}");
    }
    site(&stub, Site::default());
    let mut newest = waves(&mark);
    (newest["model"], newest["duration"]) = (json!("pixverse-c1"), json!(15));
    assert_eq!(web.post("video/t2v", &newest).await["ErrCode"], 0);
}

/// What is wrong about an upload.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    Nothing,
    NoSignature,
    Id,
    Secret,
    Token,
    NoToken,
    Key,
    Late,
    Kind,
}

/// As the vendor's store documents its signatures: one string, one key, one header.
async fn put(stub: &Stub, rights: &Value, key: &str, file: &[u8], wrong: Wrong) -> Answer {
    let text = |name: &str| rights[name].as_str().expect("text").to_owned();
    let (mut id, mut secret, mut token) = (text("Ak"), text("Sk"), text("Token"));
    let at = OffsetDateTime::now_utc() - if wrong == Wrong::Late { Duration::minutes(20) } else { Duration::ZERO };
    let date = at.format(&Rfc2822).expect("a date").replace("+0000", "GMT");
    match wrong {
        Wrong::Id => id.push('x'),
        Wrong::Secret => secret.push('x'),
        Wrong::Token => token.push('x'),
        _ => {}
    }
    let signed = if wrong == Wrong::Key { "upload/another.jpg" } else { key };
    let lines = format!("x-oss-meta-a:b\nx-oss-security-token:{token}\n/pixverse-fe-upload/{signed}");
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(format!("PUT\n\nimage/jpeg\n{date}\n{lines}").as_bytes());
    let authorization = format!("OSS {id}:{}", STANDARD.encode(mac.finalize().into_bytes()));
    let kind = if wrong == Wrong::Kind { "image/png" } else { "image/jpeg" };
    let mut headers = vec![("content-type", kind), ("date", date.as_str()), ("x-oss-meta-a", "b")];
    if wrong != Wrong::NoToken {
        headers.push(("x-oss-security-token", &token));
    }
    if wrong != Wrong::NoSignature {
        headers.push(("authorization", &authorization));
    }
    client(stub).send(Method::PUT, &format!("{BUCKET}{key}"), &headers, Some(file.to_vec())).await
}

#[tokio::test]
async fn the_bucket_takes_what_is_signed_with_its_rights() {
    let stub = Stub::start();
    let web = Web::new(&stub).await;
    let rights = web.post("getUploadToken", &Value::Null).await["Resp"].clone();
    let (key, file) = (format!("upload/{}.jpg", uuid()), media::png(64, 64, "input"));
    for (wrong, code) in [
        (Wrong::NoSignature, "AccessDenied"),
        (Wrong::Id, "InvalidAccessKeyId"),
        (Wrong::Token, "InvalidSecurityToken"),
        (Wrong::NoToken, "InvalidSecurityToken"),
        (Wrong::Secret, "SignatureDoesNotMatch"),
        (Wrong::Key, "SignatureDoesNotMatch"),
        (Wrong::Kind, "SignatureDoesNotMatch"),
        (Wrong::Late, "RequestTimeTooSkewed"),
    ] {
        let answer = put(&stub, &rights, &key, &file, wrong).await;
        assert_eq!((answer.status, answer.header("content-type")), (403, Some("application/xml")), "{wrong:?}");
        assert!(answer.text().contains(&format!("<Code>{code}</Code>")), "{wrong:?}: {}", answer.text());
    }
    assert!(put(&stub, &rights, "upload/a.jpg", &file, Wrong::Nothing).await.text().contains("AccessDenied"));
    assert!(stub.simulator().account(HOLDER).uploads.is_empty());
    assert_eq!(put(&stub, &rights, &key, &file, Wrong::Nothing).await.status, 200);
    let upload = stub.simulator().account(HOLDER).uploads[0].clone();
    let sha256: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((upload.path, upload.sha256, upload.sides), (key, sha256, Some((64, 64))));
    site(&stub, Site { upload_s: 0, ..Site::default() });
    let rights = web.post("getUploadToken", &Value::Null).await["Resp"].clone();
    let late = put(&stub, &rights, &format!("upload/{}.jpg", uuid()), &file, Wrong::Nothing).await;
    assert!(late.status == 403 && late.text().contains("SecurityTokenExpired"));
    assert_eq!(stub.violations(), Vec::<String>::new());
    client(&stub).send(Method::PUT, &format!("{BUCKET}upload/a.jpg"), &[("token", &web.token)], None).await;
    assert_eq!(stub.violations().len(), 1, "the account's token has no business there");
}

#[tokio::test]
async fn a_picture_goes_three_steps() {
    let (stub, mark) = (Stub::start(), marker());
    let web = Web::new(&stub).await;
    let rights = web.post("getUploadToken", &Value::Null).await["Resp"].clone();
    let upload = async |file: &[u8]| {
        let name = format!("{}.jpg", uuid());
        assert_eq!(put(&stub, &rights, &format!("upload/{name}"), file, Wrong::Nothing).await.status, 200);
        (json!({ "name": name, "size": file.len(), "path": format!("upload/{name}") }), name)
    };
    let (image, name) = upload(&media::png(64, 32, "input")).await;
    let register = async |image: &Value| web.post("media/batch_upload_media", &json!({ "images": [image] })).await;
    let entered = register(&image).await;
    let result = &entered["Resp"]["result"][0];
    let url = result["url"].as_str().expect("text");
    assert!(url.ends_with(&format!("/upload%2F{name}")), "{url}");
    assert_eq!((&result["width"], &result["height"], &result["err_msg"]), (&json!(64), &json!(32), &json!("")));
    let mut body = waves(&mark);
    body.as_object_mut().expect("an object").remove("aspect_ratio");
    assert_eq!(web.post("video/i2v", &body).await["ErrCode"], 400_011);
    for (path, address, code) in [
        (format!("upload/{name}"), url.replace("%2F", "/"), 400_032),
        (format!("upload/{}.jpg", uuid()), url.to_owned(), 400_032),
        (format!("upload/{name}"), url.to_owned(), 0),
    ] {
        (body["customer_img_path"], body["customer_img_url"]) = (json!(path), json!(address));
        assert_eq!(web.post("video/i2v", &body).await["ErrCode"], code, "{path} {address}");
    }
    let entry = stub.simulator().entries(Some(&mark), None)[0].clone();
    assert_eq!((entry.form.as_str(), entry.picture), ("i2v", Some(format!("upload/{name}"))));
    let mut lying = image.clone();
    lying["size"] = json!(1);
    assert_eq!(register(&lying).await["ErrCode"], 400_017);
    assert_eq!(register(&json!({ "name": "a.jpg", "size": 1, "path": "upload/a.jpg" })).await["ErrCode"], 400_011);
    for bad in [media::png(4001, 8, "wide"), b"GIF89a".to_vec()] {
        let refused = register(&upload(&bad).await.0).await;
        assert_eq!((&refused["ErrCode"], &refused["ErrMsg"]), (&json!(400), &json!("incorrect image width/height")));
    }
}

/// What a browser makes of a page, once its scripts have run.
fn seen(stub: &Stub, page: &str, language: &str) -> String {
    let home = tempfile::tempdir().expect("a folder");
    let out = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000"])
        .arg(format!("--accept-lang={language}"))
        .arg(format!("--user-data-dir={}", home.path().display()))
        .args(["--dump-dom", &format!("http://{}/pixverse/{page}", stub.address())])
        .output()
        .expect("chromium runs");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_drawn_in_the_language_of_the_browser() {
    let stub = Stub::start();
    let draw =
        async |page: &'static str, language: &'static str| tokio::task::block_in_place(|| seen(&stub, page, language));
    for (page, language) in [("login", "en-US"), ("onboard", "en-GB")] {
        let dom = draw(page, language).await;
        assert!(dom.contains("<span>Login</span>"), "{dom}");
        assert!(dom.contains("id=\"Username\"") && dom.contains("id=\"Password\""), "{dom}");
    }
    assert!(draw("login", "ru-RU").await.contains("<span>Войти</span>"));
    assert!(draw("login", "fr-FR").await.contains("<span>登录</span>"));
    site(&stub, Site { language: Some("zh".to_owned()), ..Site::default() });
    assert!(draw("login", "en-US").await.contains("<span>登录</span>"));
    let pages = client(&stub).get("/_accounts").await.json()["pages"].clone();
    assert_eq!((&pages["onboard"], &pages["login"]), (&json!(1), &json!(5)), "without a token it goes to the sign-in");
}

#[tokio::test]
async fn the_edge_and_a_verification_stand_in_the_way() {
    let stub = Stub::start();
    let web = Web::new(&stub).await;
    site(&stub, Site { verification: true, presses: 2, ..Site::default() });
    let body = json!({ "Username": HOLDER, "Password": PASSWORD });
    let answer = call(&stub, "login", Some(&body), &[]).await.json();
    assert!(answer["ErrCode"] != 0 && answer["ErrMsg"] == "verification required" && answer["Resp"].is_null());
    assert_eq!(web.credits().await["ErrCode"], 0, "who is signed in stays so");
    let page = client(&stub).get("/pixverse/login").await.text();
    assert!(page.contains("\"verification\":true") && page.contains("\"presses\":2"), "{page}");
    site(&stub, Site { edge: true, ..Site::default() });
    for path in ["login", "onboard", "creative_platform/user/credits"] {
        let answer = client(&stub).get(&format!("/pixverse/{path}")).await;
        assert!(answer.status == 403 && answer.text().contains("<html>"), "{path}");
    }
    site(&stub, Site { slow_ms: 200, ..Site::default() });
    let begin = std::time::Instant::now();
    assert_eq!(client(&stub).get("/pixverse/login").await.status, 200);
    assert!(begin.elapsed().as_millis() >= 200);
}
