//! The table: what real clients of this service family send, and what must come back.

use super::raw::{BOUNDARY, Part, WHO, chunked, form, get, json, parts, request};
use crate::bad_input::files::{find, originals};
use pixel_testkit::{client::Answer, media::png};
use serde_json::{Value, json as value};
use std::path::Path;

/// What must come back.
pub enum Must {
    /// `{"video_id":N}` and nothing beside.
    Number,
    /// The same with `"detail":"Success"`.
    NumberDetail,
    /// `{"detail":"…"}` alone, with a sentence that holds this.
    Refused(u16, &'static str),
    /// This body, to the letter.
    Exactly(u16, String),
    /// This status, and no body to judge.
    Status(u16),
    /// This status from the HTTP layer, and an empty body.
    Silent(u16),
}
use Must::{Exactly, Number, NumberDetail, Refused, Silent, Status};

pub type Case = (&'static str, Vec<u8>, Must);

impl Must {
    /// What is wrong with an answer.
    pub fn judge(&self, answer: &Answer) -> Result<(), String> {
        let said = format!("{} {}", answer.status, answer.text());
        let wrong = |why: &str| Err(format!("{why}: {said}"));
        let is_json = answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        match self {
            Status(status) if answer.status == *status => return Ok(()),
            Silent(status) if answer.status == *status && answer.bytes.is_empty() => return Ok(()),
            Status(_) | Silent(_) => return wrong("another status, or a body"),
            _ if !is_json => return wrong("no JSON"),
            _ => {}
        }
        let body = answer.json();
        match self {
            Number | NumberDetail => {
                let expected = match (self, body["video_id"].as_i64()) {
                    (_, None) => return wrong("no integer"),
                    (Number, Some(number)) => value!({ "video_id": number }),
                    (_, Some(number)) => value!({ "video_id": number, "detail": "Success" }),
                };
                let number = body["video_id"].as_i64().unwrap_or_default();
                let is_good = answer.status == 200 && body == expected && (1..1 << 53).contains(&number);
                if is_good { Ok(()) } else { wrong("not the answer") }
            }
            Refused(status, part) => {
                let sentence = body["detail"].as_str().unwrap_or_default();
                let is_good = answer.status == *status && body == value!({ "detail": sentence });
                if is_good && sentence.contains(part) { Ok(()) } else { wrong(&format!("not {status} with {part:?}")) }
            }
            Exactly(status, text) => {
                let is_good = answer.status == *status && answer.text() == *text;
                if is_good { Ok(()) } else { wrong(&format!("not {status} {text}")) }
            }
            Status(_) | Silent(_) => Ok(()),
        }
    }
}

/// The same text in every encoding.
pub fn encodings() -> Vec<Case> {
    let all = value!({ "prompt": "a kite", "app_bundle_id": "com.example.app", "apphud_user_id": "user-1" });
    let query = format!("/text2video?prompt=a%20kite&{WHO}");
    let text = |name, bytes: &'static str| Part(name, "", bytes.as_bytes());
    let who = || [text("app_bundle_id", "com.example.app"), text("apphud_user_id", "user-1")];
    let [app, user] = who();
    let post = |target: &str, headers: &str| request(&format!("POST {target}"), headers, b"");
    let plain = format!("prompt=a+kite&{WHO}");
    vec![
        ("form", form("/text2video", &plain), Number),
        ("form in chunks", chunked(&form("/text2video", &plain)), Number),
        (
            "form with a charset",
            request(
                "POST /text2video",
                "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n",
                plain.as_bytes(),
            ),
            Number,
        ),
        ("form without a type", request("POST /text2video", "", plain.as_bytes()), Number),
        ("parts", parts("/text2video", &[text("prompt", "a kite"), app, user]), Number),
        (
            "parts with types",
            parts(
                "/text2video",
                &[
                    Part(
                        "prompt",
                        "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit",
                        "a kite".as_bytes(),
                    ),
                    who()[0].copy(),
                    who()[1].copy(),
                ],
            ),
            Number,
        ),
        (
            "parts in chunks",
            chunked(&parts("/text2video", &[text("prompt", "a kite"), who()[0].copy(), who()[1].copy()])),
            Number,
        ),
        (
            "parts beside others",
            parts(
                "/text2video",
                &[
                    text("source", "x"),
                    text("prompt", "a kite"),
                    who()[1].copy(),
                    Part("pic", "; filename=\"a.bin\"", b"\0\xff"),
                    who()[0].copy(),
                ],
            ),
            Number,
        ),
        ("json", json("/text2video", "application/json", &all), Number),
        ("json with a charset", json("/text2video", "application/json; charset=utf-8", &all), Number),
        ("json as text", json("/text2video", "text/plain;charset=UTF-8", &all), Number),
        ("json as a form", json("/text2video", "application/x-www-form-urlencoded", &all), Number),
        ("json without a type", json("/text2video", "", &all), Number),
        (
            "json after a mark",
            request("POST /text2video", "", &[b"\xef\xbb\xbf".as_slice(), all.to_string().as_bytes()].concat()),
            Number,
        ),
        ("query, no body", post(&query, ""), Number),
        ("query, length 0", post(&query, "Content-Length: 0\r\n"), Number),
        (
            "query, an empty form",
            post(&query, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n"),
            Number,
        ),
        (
            "query, parts without a boundary",
            post(&query, "Content-Type: multipart/form-data\r\nContent-Length: 0\r\n"),
            Number,
        ),
        (
            "query, parts of nothing",
            post(&query, &format!("Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: 0\r\n")),
            Number,
        ),
        (
            "query, parts of nothing in chunks",
            chunked(&post(&query, &format!("Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"))),
            Number,
        ),
        ("query, json of nothing", json(&query, "application/json", &value!({})), Number),
        ("query and form", form(&format!("/text2video?{WHO}"), "prompt=a+kite"), Number),
        ("slash", form("/text2video/", &plain), Number),
        (
            "stray headers",
            request(
                "POST /text2video",
                "Authorization: Bearer x\r\nAPI-KEY: 1\r\nAi-trace-id: 2\r\nCookie: a=b\r\nUser-Agent: Alamofire/5\r\nContent-Type: application/x-www-form-urlencoded\r\n",
                plain.as_bytes(),
            ),
            Number,
        ),
        (
            "2048 characters of three bytes",
            form("/text2video", &format!("prompt={}&{WHO}", "%E7%8C%AB".repeat(2048))),
            Number,
        ),
        (
            "2048 characters of four bytes as json",
            json(
                "/text2video",
                "application/json",
                &value!({ "prompt": "🪁".repeat(2048), "app_bundle_id": "a", "apphud_user_id": "u" }),
            ),
            Number,
        ),
        (
            "every wish",
            form(
                "/text2video",
                &format!(
                    "{plain}&model=v3.5&duration=5&quality=720p&aspect_ratio=9%3A16&style=anime&template_id=123&negative_prompt=rain&seed=7"
                ),
            ),
            Number,
        ),
        (
            "blank wishes",
            form("/text2video", &format!("{plain}&model=&duration=&quality=&aspect_ratio=&style=&template_id=&seed=")),
            Number,
        ),
        (
            "wishes as json",
            json(
                "/text2video",
                "application/json",
                &value!({ "prompt": "a", "app_bundle_id": "a", "apphud_user_id": "u", "duration": 8, "quality": "540p", "seed": 0, "template_id": null }),
            ),
            Number,
        ),
        (
            "wishes as floats",
            json(
                "/text2video",
                "application/json",
                &value!({ "prompt": "a", "app_bundle_id": "a", "apphud_user_id": "u", "model": "v3.5", "duration": 5.0, "seed": 7.0, "template_id": 123.0 }),
            ),
            Number,
        ),
        ("duration with its unit", form("/text2video", &format!("{plain}&duration=8s")), Number),
        (
            "old dialect",
            request("POST /pixverse/api/v1/text2video?userId=u&appId=a&promptText=a%20kite", "", b""),
            NumberDetail,
        ),
        (
            "old dialect, form and slash",
            form("/pixverse/api/v1/text2video/", "userId=u&appId=a&promptText=kite"),
            NumberDetail,
        ),
    ]
}

impl Part<'_> {
    fn copy(&self) -> Self {
        Part(self.0, self.1, self.2)
    }
}

const PICTURE: &str = "; filename=\"a.png\"\r\nContent-Type: image/png";

/// Pictures in every dress.
pub fn pictures(folder: &Path) -> Vec<Case> {
    let made = originals(folder);
    let file = |name| find(&made, name);
    let [prompt, app, user] = [
        Part("prompt", "", b"make it move"),
        Part("app_bundle_id", "", b"com.example.app"),
        Part("apphud_user_id", "", b"user-1"),
    ];
    let with = |part: Part<'_>| parts("/image2video", &[prompt.copy(), app.copy(), user.copy(), part]);
    let typed = |kind: &str| format!("; filename=\"photo\"\r\nContent-Type: {kind}");
    let (large, wide, tall) = (png(4000, 4000, "large"), png(4001, 8, "wide"), png(8, 4001, "tall"));
    let filled = |bytes: usize| [file("png"), &vec![0; bytes - file("png").len()]].concat();
    let query = format!("/image2video?prompt=move&{WHO}");
    vec![
        ("png as file", with(Part("file", PICTURE, file("png"))), Number),
        ("png as image", with(Part("image", PICTURE, file("png"))), Number),
        (
            "file first",
            parts("/image2video", &[Part("file", PICTURE, file("png")), user.copy(), prompt.copy(), app.copy()]),
            Number,
        ),
        (
            "file in the middle, others around",
            parts(
                "/image2video",
                &[
                    Part("x", "", b"1"),
                    prompt.copy(),
                    Part("file", PICTURE, file("png")),
                    Part("thumb", "; filename=\"t\"", b"\0\0"),
                    app.copy(),
                    user.copy(),
                ],
            ),
            Number,
        ),
        ("jpeg as image/jpg", with(Part("file", &typed("image/jpg"), file("jpg"))), Number),
        ("jpeg as image/jpeg", with(Part("file", &typed("image/jpeg"), file("jpg"))), Number),
        ("webp as image/webp", with(Part("file", &typed("image/webp"), file("webp"))), Number),
        ("webp as octets", with(Part("file", &typed("application/octet-stream"), file("webp"))), Number),
        ("jpeg without a type", with(Part("file", "; filename=\"a\"", file("jpg"))), Number),
        ("jpeg called png", with(Part("file", PICTURE, file("jpg"))), Number),
        ("no file name", with(Part("file", "", file("png"))), Number),
        ("a name of any letters", with(Part("file", "; filename=\"../фото 1;.heic\"", file("png"))), Number),
        ("in chunks", chunked(&with(Part("file", PICTURE, file("png")))), Number),
        ("texts in the query", parts(&query, &[Part("file", PICTURE, file("png"))]), Number),
        ("texts in the query, slash", parts(&query.replace('?', "/?"), &[Part("image", PICTURE, file("jpg"))]), Number),
        ("4000 x 4000", with(Part("file", PICTURE, &large)), Number),
        (
            "a ratio beside a picture",
            parts(
                "/image2video?aspect_ratio=1%3A1",
                &[prompt.copy(), app.copy(), user.copy(), Part("file", PICTURE, file("png"))],
            ),
            Number,
        ),
        (
            "old dialect",
            parts(
                "/pixverse/api/v1/image2video?userId=u&appId=a&promptText=move",
                &[Part("image", PICTURE, file("png"))],
            ),
            NumberDetail,
        ),
        (
            "no file",
            parts("/image2video", &[prompt.copy(), app.copy(), user.copy()]),
            Refused(400, "'file' is required"),
        ),
        ("no file, a form", form("/image2video", &format!("prompt=a&{WHO}")), Refused(400, "'file' is required")),
        ("an empty file", with(Part("file", PICTURE, b"")), Refused(400, "'file' is required")),
        (
            "an empty image, then a file",
            parts(&query, &[Part("image", "; filename=\"\"", b""), Part("file", PICTURE, file("png"))]),
            Number,
        ),
        (
            "a file, then an empty image",
            parts(&query, &[Part("file", PICTURE, file("png")), Part("image", "; filename=\"\"", b"")]),
            Number,
        ),
        (
            "both empty",
            parts(&query, &[Part("image", "; filename=\"\"", b""), Part("file", PICTURE, b"")]),
            Refused(400, "'file' is required"),
        ),
        (
            "nothing in chunks",
            chunked(&request(
                &format!("POST {query}"),
                &format!("Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"),
                b"",
            )),
            Refused(400, "'file' is required"),
        ),
        ("a gif called png", with(Part("file", PICTURE, file("gif"))), Refused(400, "PNG, JPEG or WEBP")),
        ("a clip", with(Part("file", PICTURE, file("mp4"))), Refused(400, "PNG, JPEG or WEBP")),
        ("a text", with(Part("file", PICTURE, b"this is no picture at all")), Refused(400, "PNG, JPEG or WEBP")),
        ("three bytes", with(Part("image", PICTURE, b"\xff\xd8\xff")), Refused(400, "'image' must be a PNG")),
        ("half a picture", with(Part("file", PICTURE, &file("png")[..60])), Refused(400, "'file' cannot be used")),
        ("too wide", with(Part("file", PICTURE, &wide)), Refused(400, "4000x4000")),
        ("too tall", with(Part("file", PICTURE, &tall)), Refused(400, "4000x4000")),
        ("20 MB", with(Part("file", PICTURE, &filled(20 << 20))), Refused(413, "smaller than 20 MB")),
        (
            "25 MB in chunks",
            chunked(&with(Part("file", PICTURE, &filled(25 << 20)))),
            Refused(413, "smaller than 20 MB"),
        ),
        (
            "the picture twice, 19 MB each",
            parts(&query, &[Part("image", PICTURE, &filled(19 << 20)), Part("file", PICTURE, &filled(19 << 20))]),
            Number,
        ),
        (
            "21 MB that nobody reads",
            parts(&query, &[Part("x", "", &vec![0; 21 << 20]), Part("file", PICTURE, file("png"))]),
            Refused(413, "The parts beside the picture are larger than 20 MB"),
        ),
        (
            "45 MB in all",
            parts(&query, &[Part("x", "", &vec![0; 45 << 20])]),
            Refused(413, "The body is larger than 40 MB"),
        ),
        (
            "a picture without a prompt",
            parts("/image2video", &[app.copy(), user.copy(), Part("file", PICTURE, file("png"))]),
            Refused(400, "'prompt' is required"),
        ),
        (
            "no boundary",
            request("POST /image2video", "Content-Type: multipart/form-data\r\n", b"--x\r\n"),
            Refused(400, "boundary"),
        ),
        (
            "no boundary, larger than all fields",
            request("POST /image2video", "Content-Type: multipart/form-data\r\n", &vec![b'-'; 300_000]),
            Refused(400, "names no boundary. Leave that header to the HTTP library"),
        ),
        (
            "no boundary, in chunks",
            chunked(&request("POST /image2video", "Content-Type: multipart/form-data\r\n", &vec![b'-'; 300_000])),
            Refused(400, "names no boundary"),
        ),
        (
            "a form that ends early",
            {
                let mut cut = with(Part("file", PICTURE, file("png")));
                let length = cut.len();
                cut.truncate(length - 60);
                fix_length(&cut)
            },
            Refused(400, "cannot be read"),
        ),
    ]
}

/// The same request with the length that its body has.
fn fix_length(request: &[u8]) -> Vec<u8> {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&request[..end]);
    let lines = head.split("\r\n").filter(|line| !line.starts_with("Content-Length"));
    let body = &request[end + 4..];
    let head = format!("{}\r\nContent-Length: {}\r\n\r\n", lines.collect::<Vec<_>>().join("\r\n"), body.len());
    [head.as_bytes(), body].concat()
}

/// What must be refused, each with one sentence.
pub fn refusals() -> Vec<Case> {
    let post = |body: &str| form("/text2video", body);
    let wish = |more: &str| post(&format!("prompt=a&{WHO}&{more}"));
    let body = |bytes: &[u8]| request("POST /text2video", "Content-Type: application/json\r\n", bytes);
    let ask = |more: &str| get(&format!("/get_status?{more}"));
    vec![
        ("nothing", post(""), Refused(400, "'prompt' is required")),
        ("no prompt", post(WHO), Refused(400, "'prompt' is required")),
        ("a blank prompt", post(&format!("prompt=+%20&{WHO}")), Refused(400, "'prompt' is required")),
        ("no app", post("prompt=a&apphud_user_id=u"), Refused(400, "'app_bundle_id' is required")),
        ("no user", post("prompt=a&app_bundle_id=a"), Refused(400, "'apphud_user_id' is required")),
        (
            "2049 characters",
            post(&format!("prompt={}&{WHO}", "%E7%8C%AB".repeat(2049))),
            Refused(400, "at most 2048 characters, got: 2049"),
        ),
        (
            "a prompt that is a number",
            json(
                "/text2video",
                "application/json",
                &value!({ "prompt": 7, "app_bundle_id": "a", "apphud_user_id": "u" }),
            ),
            Refused(400, "'prompt' must be text"),
        ),
        (
            "a prompt that is a list",
            json(
                "/text2video",
                "application/json",
                &value!({ "prompt": ["a"], "app_bundle_id": "a", "apphud_user_id": "u" }),
            ),
            Refused(400, "'prompt' must be text"),
        ),
        ("broken json", body(b"{\"prompt\":"), Refused(400, "not JSON")),
        ("a list", body(b"[]"), Refused(400, "a form or a JSON object")),
        ("a name twice", body(b"{\"prompt\":\"a\",\"prompt\":\"b\"}"), Refused(400, "must be given once")),
        ("a form's name twice", post(&format!("prompt=a&prompt=b&{WHO}")), Refused(400, "must be given once")),
        ("no UTF-8", post(&format!("prompt=%ff%fe&{WHO}")), Refused(400, "must be UTF-8")),
        ("a NUL", post(&format!("prompt=a%00b&{WHO}")), Refused(400, "U+0000")),
        (
            "a long app",
            post(&format!("prompt=a&app_bundle_id={}&apphud_user_id=u", "a".repeat(201))),
            Refused(400, "'app_bundle_id' must be at most 200"),
        ),
        ("a large body", post(&format!("prompt={}&{WHO}", "a".repeat(300_000))), Refused(413, "larger than")),
        ("large parts", parts("/text2video", &[Part("x", "", &vec![b'a'; 300_000])]), Refused(413, "larger than")),
        (
            "a packed body",
            request("POST /text2video", "Content-Encoding: gzip\r\n", b"abc"),
            Refused(400, "Content-Encoding"),
        ),
        ("two hosts", request("POST /text2video", "Host: b\r\n", b"prompt=a"), Refused(400, "several hosts")),
        ("an unknown model", wish("model=v99"), Refused(400, "'model' must be one of v6")),
        ("another vendor's model", wish("model=..%2Fopenai%2Fgpt-image-2"), Refused(400, "'model' must be one of")),
        ("a duration", wish("duration=7"), Refused(400, "'duration' must be one of 5, 8")),
        (
            "a duration with a fraction",
            json(
                "/text2video",
                "application/json",
                &value!({ "prompt": "a", "app_bundle_id": "a", "apphud_user_id": "u", "duration": 5.5 }),
            ),
            Refused(400, "'duration' must be seconds such as 5, got: 5.5"),
        ),
        ("a duration in words", wish("duration=long"), Refused(400, "'duration' must be seconds")),
        (
            "a duration at a quality",
            wish("model=v3.5&duration=8&quality=1080p"),
            Refused(400, "'duration' must be one of 5"),
        ),
        ("a quality", wish("quality=480p"), Refused(400, "'quality' must be one of 360p")),
        ("a ratio", wish("aspect_ratio=21%3A9"), Refused(400, "'aspect_ratio' must be one of 16:9")),
        ("a style that a model has not", wish("style=anime"), Refused(400, "'style' is nothing that")),
        ("a style that is none", wish("model=v3.5&style=baroque"), Refused(400, "'style' must be one of anime")),
        ("a template in words", wish("template_id=x"), Refused(400, "'template_id' must be an integer")),
        ("a seed", wish("seed=2147483648"), Refused(400, "'seed' must be an integer from 0 to 2147483647")),
        (
            "a long negative prompt",
            wish(&format!("negative_prompt={}", "a".repeat(2049))),
            Refused(400, "'negative_prompt' must be at most 2048"),
        ),
        (
            "old dialect, no prompt",
            request("POST /pixverse/api/v1/text2video?userId=u&appId=a", "", b""),
            Refused(400, "'promptText' is required"),
        ),
        (
            "old dialect, the new names",
            form("/pixverse/api/v1/text2video", &format!("prompt=a&{WHO}")),
            Refused(400, "'promptText' is required"),
        ),
        ("GET on a POST", get("/text2video"), Refused(405, "does not take GET")),
        ("PUT on a POST", request("PUT /image2video/", "", b"x"), Refused(405, "does not take PUT")),
        ("POST on a GET", form("/get_status", "video_id=1"), Refused(405, "does not take POST")),
        ("no such route", get("/pixverse/api/v1/nothing"), Refused(404, "There is no GET")),
        ("status: nothing", get("/get_status"), Refused(400, "'video_id' is required")),
        ("status: no app", ask("video_id=1&apphud_user_id=u"), Refused(400, "'app_bundle_id' is required")),
        ("status: no user", ask("video_id=1&app_bundle_id=a"), Refused(400, "'apphud_user_id' is required")),
        ("status: a word", ask(&format!("video_id=abc&{WHO}")), Refused(400, "'video_id' must be an integer")),
        ("status: a fraction", ask(&format!("video_id=1.0&{WHO}")), Refused(400, "'video_id' must be an integer")),
        ("status: unknown", ask(&format!("video_id=123&{WHO}")), Refused(404, "There is no video 123")),
        ("status: below 0", ask(&format!("video_id=-5&{WHO}")), Refused(404, "There is no video -5")),
        ("status: 2^53", ask(&format!("video_id=9007199254740992&{WHO}")), Refused(404, "9007199254740992")),
        (
            "status: beyond 64 bits",
            ask(&format!("video_id=99999999999999999999&{WHO}")),
            Refused(404, "99999999999999999999"),
        ),
        ("status: old dialect", get("/pixverse/api/v1/status"), Refused(400, "'id' is required")),
        ("status: old dialect, unknown", get("/pixverse/api/v1/status?id=5"), Refused(404, "There is no video 5")),
        ("an address line of 64 KiB", ask(&format!("video_id={}", "1".repeat(65_536))), Silent(414)),
        ("an address line with a control character", ask("video_id=\u{1}"), Silent(400)),
        (
            "a hybrid app that is not listed",
            request("POST /text2video", "Origin: capacitor://localhost\r\n", b"prompt=a"),
            Refused(403, "Add that origin to PIXEL_CORS_ORIGINS"),
        ),
        (
            "a foreign page",
            request("POST /text2video", "Origin: http://evil.test\r\n", b"prompt=a"),
            Refused(403, "may not call"),
        ),
        (
            "a preflight",
            request(
                "OPTIONS /text2video",
                "Origin: http://localhost:3000\r\nAccess-Control-Request-Method: POST\r\n",
                b"",
            ),
            Status(200),
        ),
        ("HEAD", request("HEAD /get_status", "", b""), Status(400)),
    ]
}

/// How a clip's state is asked, in both dialects.
pub fn standing(number: i64, plain: &Value, old: &Value) -> Vec<Case> {
    let target = format!("/get_status?video_id={number}&{WHO}");
    let exactly = |value: &Value| Exactly(200, value.to_string());
    vec![
        ("status", get(&target), exactly(plain)),
        ("status, slash", get(&target.replace('?', "/?")), exactly(plain)),
        (
            "status, another user",
            get(&format!("/get_status?apphud_user_id=x&app_bundle_id=y&video_id={number}")),
            exactly(plain),
        ),
        (
            "status, stray headers",
            request(&format!("GET {target}"), "Authorization: Bearer x\r\nAPI-KEY: 1\r\n", b""),
            exactly(plain),
        ),
        (
            "status, with a body",
            request(&format!("GET {target}"), "Content-Type: application/json\r\n", b"{\"video_id\":1}"),
            exactly(plain),
        ),
        ("status, old dialect", get(&format!("/pixverse/api/v1/status?id={number}")), exactly(old)),
        (
            "status, old dialect, slash",
            get(&format!("/pixverse/api/v1/status/?id={number}&userId=u&appId=a")),
            exactly(old),
        ),
    ]
}
