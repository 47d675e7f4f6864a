//! Addresses: of inputs, in every spelling; of our own tasks and media; and what stands in queries
//! and in the headers that ask for a part of a file.

use super::lab::Case;
use crate::support::{IMAGE, VIDEO, picture, with};
use base64::{Engine, engine::general_purpose::STANDARD};
use pixel_testkit::media::png;
use serde_json::json;
use std::collections::BTreeSet;

/// The same spellings that the engine's own tests try.
#[path = "../../../../engine/tests/ssrf/forms.rs"]
#[expect(dead_code, reason = "it also lists what must be taken")]
mod forms;

pub fn all(task: &str, media: &str) -> Vec<Case> {
    let mut cases = inputs();
    cases.extend(data_uris());
    cases.extend(queries(task));
    cases.extend(paths(media));
    cases.extend(parts(media));
    cases
}

/// What the text alone tells is a 400 at once.
fn inputs() -> Vec<Case> {
    let forms: BTreeSet<String> = forms::refused().into_iter().collect();
    let mut cases = Vec::new();
    for (at, form) in forms.iter().enumerate() {
        let body = with(picture("sandbox/painter", "a cat"), &json!({ "imageInputs": [form] }));
        cases.push(Case::post(format!("url/picture/{at}"), IMAGE, body.to_string()).says("'imageInputs[0]'"));
        // Every sixth at the other doors as well.
        let place = match at % 18 {
            0 => "lastFrame",
            6 => "videoInput",
            12 => "audioInput",
            _ => continue,
        };
        let body = with(picture("sandbox/animator", "a cat"), &json!({ "extraParams": { place: form } }));
        cases.push(
            Case::post(format!("url/{place}/{at}"), VIDEO, body.to_string()).says(format!("'extraParams.{place}'")),
        );
    }
    let second = json!({ "imageInputs": ["https://example.com/a.png", "http://127.0.0.1/a.png"] });
    let second = with(picture("sandbox/painter", "a cat"), &second).to_string();
    cases.push(Case::post("url/second", IMAGE, second).says("'imageInputs[1]'"));
    for (at, link) in [
        format!("https://example.com/{}", "x".repeat(20_000)),
        "https://example.com:443:443/".to_owned(),
        "https://exa mple.com/".to_owned(),
        "https://[::1".to_owned(),
        format!("https://{}.example/", "x".repeat(64)),
        format!("https://{}example/", "x.".repeat(130)),
        "https://example.com\0.evil.test/".to_owned(),
        "/media/med_00000000000000000000000000000000.png".to_owned(),
        "/media/../api/v1/models".to_owned(),
        "/api/v1/models".to_owned(),
        "media/med_0".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let body = with(picture("sandbox/painter", "a cat"), &json!({ "imageInputs": [link] }));
        cases.push(Case::post(format!("url/odd/{at}"), IMAGE, body.to_string()).says("imageInputs"));
    }
    cases
}

fn data_uris() -> Vec<Case> {
    let good = STANDARD.encode(png(8, 8, "an input"));
    let forms = [
        "data:".to_owned(),
        "data:,".to_owned(),
        "data:image/png".to_owned(),
        "data:image/png;base64".to_owned(),
        "data:image/png;base64,".to_owned(),
        "data:image/png;base64,=".to_owned(),
        "data:image/png;base64,====".to_owned(),
        "data:image/png;base64,!!!!".to_owned(),
        format!("data:image/png,{good}"),
        format!("data:image/png;base64;{good}"),
        format!("data:image/png;base64 ,{good}"),
        format!("data:image/png;base32,{good}"),
        format!("data:image/png;base64,{good}!"),
        format!("data:image/png;base64,!{good}"),
        format!("data:image/png;base64,{good}=x"),
        format!("data:image/png;base64,{},{good}", &good[..4]),
        format!("data:image/png;base64,{}", good.replace(char::is_alphabetic, "-")),
        format!("data:image/png;base64,{}", &good[..good.len() / 2 - 1]),
        format!("data:image/png;base64,data:image/png;base64,{good}"),
        format!("data:image/png;base64,{}", good.replace('A', "%41")),
        "data:text/html;base64,PHNjcmlwdD4=".to_owned(),
        "data:text/plain,hello".to_owned(),
        "data:image/png;base64,iVBORw0KGgo=".to_owned(),
        format!("blob:{good}"),
    ];
    let case = |(at, form): (usize, String)| {
        let body = with(picture("sandbox/painter", "a cat"), &json!({ "imageInputs": [form] }));
        Case::post(format!("url/data/{at}"), IMAGE, body.to_string()).says("'imageInputs[0]'")
    };
    forms.into_iter().enumerate().map(case).collect()
}

fn queries(task: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut bad = |name: &str, values: &[&str]| {
        for (at, value) in values.iter().enumerate() {
            let target = format!("/api/v1/tasks?{name}={value}");
            cases.push(Case::get(format!("query/{name}/{at}"), target).says(format!("'{name}'")));
        }
    };
    let numbers = [
        "0",
        "-1",
        "101",
        "x",
        "",
        "1.5",
        "1e1",
        "99999999999999999999",
        "0x10",
        "%00",
        "%2B%2B5",
        "5,5",
        "NaN",
        "%D9%A5",
        "%ff",
        "5%20",
    ];
    bad("limit", &numbers);
    let words = ["x", "IMAGE", "llm", "image,video", "%00", "image%00", "image%0A", "%ff", "%F0%9F%92%A5", "../image"];
    bad("type", &words);
    bad("status", &["x", "COMPLETED", "held", "%00", "failed,pending", "%ff", "completed%20"]);
    let cursors = [
        "x",
        "task_",
        "task_0",
        "task_XYZ",
        "%00",
        "%ff",
        "1%20OR%201=1",
        "'",
        "%22",
        "task_0000000000000000000000000000000g",
        "med_00000000000000000000000000000000",
        "task_00000000000000000000000000000000%00",
        "-1",
        "null",
    ];
    bad("cursor", &cursors);
    for name in ["model", "projectId", "source", "sourceId"] {
        bad(name, &["%00", "a%00b"]);
    }
    let long = "x".repeat(20_000);
    bad("cursor", &[]);
    for name in ["cursor", "type", "status", "limit"] {
        cases.push(
            Case::get(format!("query/{name}/long"), format!("/api/v1/tasks?{name}={long}")).says(format!("'{name}'")),
        );
    }
    for (at, wait) in ["-1", "61", "x", "", "1.5", "99999999999999999999", "%00"].iter().enumerate() {
        cases.push(Case::get(format!("query/wait/{at}"), format!("/api/v1/tasks/{task}?wait={wait}")).says("'wait'"));
    }
    let odd = ["limit=5&limit=6", "%", "%zz=1", "=", "&&&", "limit", "unheard=1", "%ff=1", "limit=5;limit=6"];
    for (at, query) in odd.iter().enumerate() {
        let case = Case::get(format!("query/odd/{at}"), format!("/api/v1/tasks?{query}"));
        cases.push(case.taken("a query is pairs of names and values, of which unknown ones are ignored", &[200, 400]));
    }
    cases
}

fn paths(media: &str) -> Vec<Case> {
    let ids = [
        "x",
        "task_",
        "task_abc",
        "task_00000000000000000000000000000000",
        "task_0000000000000000000000000000000G",
        "TASK_00000000000000000000000000000000",
        "task_00000000000000000000000000000000%00",
        "%00",
        "%2e%2e",
        "%2e%2e%2fmodels",
        "..%5c..",
        "'",
        "%22",
        "1;drop",
        "💥",
        "%F0%9F%92%A5",
        "null",
        "-1",
        "{task_id}",
        "*",
        "%25",
        "%20",
    ];
    let mut cases = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        cases.push(Case::get(format!("path/task/{at}"), format!("/api/v1/tasks/{id}")).status(&[404]));
        // Dots are taken out of an address before it is sent.
        if !id.starts_with("%2e%2e") {
            cases.push(Case::get(format!("path/media/{at}"), format!("/media/{id}")).status(&[404]));
        }
        cases.push(Case::get(format!("path/model/{at}"), format!("/api/v1/models/{id}/{id}")).status(&[400, 404]));
    }
    for (at, id) in ["%ff", "%c0%80", "a%ed%a0%80"].iter().enumerate() {
        cases.push(Case::get(format!("path/utf8/task/{at}"), format!("/api/v1/tasks/{id}")));
        cases.push(Case::get(format!("path/utf8/media/{at}"), format!("/media/{id}")));
    }
    let stem = media.split('.').next().unwrap_or_default();
    for (at, file) in [".html", ".svg", ".png.html", ".", ".PNG", ".png%00", ".png%20", ".png/", "%2Epng.x", ".png;x"]
        .iter()
        .enumerate()
    {
        cases.push(Case::get(format!("path/ext/{at}"), format!("{stem}{file}")).status(&[404]));
    }
    let long = "x".repeat(20_000);
    cases.push(Case::get("path/long/task", format!("/api/v1/tasks/{long}")).status(&[404]));
    cases.push(Case::get("path/long/none", format!("/{long}")).status(&[404]));
    cases.push(Case::get("path/long/media", format!("/media/{long}")).status(&[404]));
    cases
}

/// Ranges and conditions. The standard wants a range that is not understood to be ignored.
fn parts(media: &str) -> Vec<Case> {
    let ranges = [
        "bytes=5-1",
        "bytes=a-b",
        "bytes=-",
        "bytes=--5",
        "bytes=0-0,1-1",
        "bytes=0-1,0-1,0-1,0-1",
        "items=0-1",
        "bytes 0-1",
        "bytes=",
        "bytes",
        "",
        "bytes=99999999999999999999-",
        "bytes=-99999999999999999999",
        "bytes=0-99999999999999999999",
        "bytes=+1-2",
        "bytes=1.5-2",
        "bytes=0x1-2",
        "bytes=-0",
        "bytes=18446744073709551615-",
        "bytes=-18446744073709551615",
        "BYTES=0-1",
        "bytes=0 - 1",
    ];
    let why = "a range that cannot be understood is no range";
    let mut cases: Vec<Case> = ranges
        .iter()
        .enumerate()
        .map(|(at, range)| {
            Case::get(format!("part/range/{at}"), media).header("range", *range).taken(why, &[200, 206, 416])
        })
        .collect();
    for (at, range) in
        ["bytes=999999999-", "bytes=18446744073709551614-", "bytes=999999999-999999999", "bytes=-0"].iter().enumerate()
    {
        cases.push(Case::get(format!("part/beyond/{at}"), media).header("range", *range).status(&[416]).says("bytes"));
    }
    let many = format!("bytes={}", vec!["0-1"; 2_000].join(","));
    cases.push(Case::get("part/many", media).header("range", many).taken(why, &[200]));
    let tags = format!("{}x", "\"a\",".repeat(4_000));
    for (at, tag) in ["*", "x", "W/", "\"", "\"\"", ",,,", "W/\"x\"", tags.as_str()].iter().enumerate() {
        for (name, why) in
            [("if-none-match", "a tag that is not ours does not match"), ("if-range", "another file comes whole")]
        {
            let case = Case::get(format!("part/{name}/{at}"), media).header(name, *tag).header("range", "bytes=0-1");
            cases.push(case.taken(why, &[200, 206, 304]));
        }
    }
    cases
}
