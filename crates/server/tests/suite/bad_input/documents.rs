//! Bodies that are wrong as a whole: no JSON, half of it, JSON that two readers read differently.

use super::{bodies::Route, lab::Case};
use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use std::io::Write;

pub fn of_route(route: &Route) -> Vec<Case> {
    let groups: [fn(&Route) -> Vec<Case>; 12] = [
        no_objects,
        truncated,
        trailing,
        other_syntax,
        bad_utf8,
        surrogates_and_controls,
        numbers,
        nesting,
        duplicates,
        byte_orders,
        long_texts,
        packed_and_other_types,
    ];
    groups.into_iter().flat_map(|group| group(route)).collect()
}

fn no_objects(route: &Route) -> Vec<Case> {
    let documents = [
        "", " ", "\n\n", "null", "true", "5", "-0", "1e5", "\"x\"", "\"{}\"", "[]", "[{}]", "[[]]", "{", "}",
        "nonsense",
    ];
    let valid = route.valid.to_string();
    let more = [format!("[{valid}]"), serde_json::Value::from(valid.as_str()).to_string(), format!("({valid})")];
    let all = documents.iter().map(|text| (*text).to_owned()).chain(more).enumerate();
    all.map(|(at, text)| route.case(&format!("no_object/{at}"), text)).collect()
}

/// At every offset.
fn truncated(route: &Route) -> Vec<Case> {
    let body = match route.name {
        "image" => route.with(
            json!({ "n": 2, "imageInputs": ["https://example.com/é.png"], "extraParams": { "seed": -1, "loras": [] } }),
        ),
        _ => route.valid.to_string().into_bytes(),
    };
    (1..body.len()).map(|end| route.case(&format!("truncated/{end}"), &body[..end])).collect()
}

fn trailing(route: &Route) -> Vec<Case> {
    let ends = ["x", "{}", ",", "]", "}", "\0", "null", " 5", "//", "\n{}", "\u{feff}", "\u{1a}", ";", "\x0c"];
    let valid = route.valid.to_string();
    let mut cases: Vec<Case> = ends
        .iter()
        .enumerate()
        .map(|(at, end)| route.case(&format!("trailing/{at}"), format!("{valid}{end}")))
        .collect();
    let (twice, lead) = (format!("{valid}{valid}"), format!("\x1e{valid}"));
    cases.extend([route.case("trailing/twice", twice), route.case("trailing/record", lead)]);
    cases
}

/// What other notations allow, and JSON does not.
fn other_syntax(route: &Route) -> Vec<Case> {
    let fields = [
        "\"x\":1,",
        ",\"x\":1",
        "\"x\":1,,\"y\":2",
        "'x':1",
        "x:1",
        "\"x\":'y'",
        "\"x\":0x10",
        "\"x\":010",
        "\"x\":+1",
        "\"x\":.5",
        "\"x\":5.",
        "\"x\":1_000",
        "\"x\":undefined",
        "\"x\":True",
        "\"x\":None",
        "\"x\":/*c*/1",
        "\"x\":1//c\n",
        "\"x\":\"\\x41\"",
        "\"x\":\"\\q\"",
        "\"x\":\"\\u12\"",
        "\"x\":\"\\u{41}\"",
        "\"x\":\"\\U0041\"",
        "\"x\"",
        "\"x\":",
        ":1",
        "\"x\":1 \"y\":2",
        "\"x\":[1,]",
        "\"x\":[,1]",
        "\"x\":[1 2]",
        "\"x\":{\"y\"}",
        "\"x\":\"a\nb\"",
        "\"x\":\"a\tb\"",
        "\"x\":\"open",
        "5:1",
        "null:1",
        "[\"x\"]:1",
    ];
    let valid = route.valid.to_string();
    let head = valid.trim_end_matches('}');
    fields
        .iter()
        .enumerate()
        .map(|(at, field)| route.case(&format!("syntax/{at}"), format!("{head},{field}}}")))
        .collect()
}

/// Each way in which bytes are not UTF-8, in a text, in a name and in a field that nobody reads.
fn bad_utf8(route: &Route) -> Vec<Case> {
    let bad: [&[u8]; 22] = [
        b"\x80",
        b"\xbf",
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xc3",
        b"\xc3\x28",
        b"\xe0\x80\x80",
        b"\xe0\x9f\xbf",
        b"\xe2\x82",
        b"\xe2\x28\xa1",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\xbd\xed\xb8\x80",
        b"\xf0\x80\x80\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xf0\x9f\x98",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xfe",
        b"\xff\xff",
    ];
    let places = ["text", "name", "unread"];
    let mut cases = Vec::new();
    for (at, bytes) in bad.iter().enumerate() {
        for place in places {
            let raw = |around: &str| {
                let (before, after) = around.split_once('@').expect("a mark");
                [before.as_bytes(), bytes, after.as_bytes()].concat()
            };
            let field = match place {
                "text" => raw(&format!("\"{}\":\"x@y\"", route.text)),
                "name" => raw("\"x@y\":1"),
                _ => raw("\"unread\":[{\"a\":\"@\"}]"),
            };
            // In the text's own place.
            let mut rest = route.valid.clone();
            rest.as_object_mut().expect("an object").remove(route.text);
            let rest = rest.to_string().replacen('{', ",", 1);
            let rest = if rest == ",}" { "}".to_owned() } else { rest };
            let body = [b"{".as_slice(), &field, rest.as_bytes()].concat();
            cases.push(route.case(&format!("utf8/{place}/{at}"), body));
        }
    }
    cases
}

fn surrogates_and_controls(route: &Route) -> Vec<Case> {
    let alone = ["\\ud800", "\\udc00", "\\ud800\\ud800", "\\ud800x", "\\udc00\\ud800", "\\ud83d\\u0041", "\\ud83d\\n"];
    let mut cases: Vec<Case> = alone
        .iter()
        .enumerate()
        .flat_map(|(at, text)| {
            let name = format!("{{\"{text}\":1}}");
            [
                route.case(&format!("surrogate/text/{at}"), route.with_raw(route.text, &format!("\"{text}\""))),
                route.case(&format!("surrogate/name/{at}"), route.with_raw("unread", &name)),
            ]
        })
        .collect();
    for control in 0..0x20_u8 {
        let raw = format!("\"a{}b\"", char::from(control));
        cases.push(route.case(&format!("control/{control}"), route.with_raw(route.text, &raw)));
    }
    let nul = |place: &str, name: &str, raw: &str| {
        route.case(&format!("nul/{place}"), route.with_raw(name, raw)).says("U+0000")
    };
    cases.extend([
        nul("text", route.text, "\"a\\u0000b\"").says(format!("'{}'", route.text)),
        nul("alone", route.text, "\"\\u0000\""),
        nul("name", "x\\u0000y", "1"),
        nul("unread", "unread", "[[\"\\u0000\"]]"),
        nul("deep", "extraParams", "{\"a\":{\"b\\u0000\":1}}"),
    ]);
    cases
}

fn numbers(route: &Route) -> Vec<Case> {
    // Beyond any float, or no number at all, even where nobody reads it.
    let tokens = ["1e400", "-1e400", "1e99999", "NaN", "nan", "Infinity", "-Infinity", "1e", "1e+", "--1", "01", "- 1"];
    let unread = tokens.iter().enumerate();
    unread.map(|(at, token)| route.case(&format!("number/{at}"), route.with_raw("unread", token))).collect()
}

fn nesting(route: &Route) -> Vec<Case> {
    let deep = |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let mut cases = Vec::new();
    for (shape, open, close) in [("arrays", "[", "]"), ("objects", "{\"a\":", "}"), ("both", "[{\"a\":", "}]")] {
        for depth in [130, 1_000, 10_000, 100_000] {
            let value = deep(open, close, depth);
            let case = |place: &str, body: Vec<u8>| route.case(&format!("nesting/{shape}/{depth}/{place}"), body);
            cases.push(case("whole", value.clone().into_bytes()));
            cases.push(case("field", route.with_raw(route.text, &value)));
            cases.push(case("unread", route.with_raw("unread", &value)));
            cases.push(case("open", open.repeat(depth).into_bytes()));
        }
    }
    // A name by which the parser reads a text once more, past its bound on nesting.
    let mut inner = deep("[", "]", 100);
    for _ in 0..14 {
        let text = serde_json::Value::from(inner).to_string();
        inner = format!("{}{{\"$serde_json::private::RawValue\":{text}}}{}", "[".repeat(100), "]".repeat(100));
    }
    cases.push(route.case("nesting/reread", route.with_raw("extraParams", &format!("{{\"a\":{inner}}}"))));
    for (at, name) in ["RawValue", "Number"].iter().enumerate() {
        let value = format!("{{\"a\":{{\"$serde_json::private::{name}\":\"5\"}}}}");
        cases.push(route.case(&format!("nesting/own_name/{at}"), route.with_raw("extraParams", &value)));
    }
    cases
}

fn duplicates(route: &Route) -> Vec<Case> {
    let fields = route.valid.as_object().expect("an object");
    let valid = route.valid.to_string();
    let head = valid.trim_end_matches('}');
    let mut cases: Vec<Case> = Vec::new();
    for (name, value) in fields {
        let twice = format!("{head},\"{name}\":{value}}}");
        let escaped: String = name.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
        let spelled = format!("{head},\"{escaped}\":{value}}}");
        cases.push(route.case(&format!("duplicate/{name}"), twice).says(format!("'{name}' must be given once")));
        cases.push(route.case(&format!("duplicate/{name}/spelled"), spelled).says(format!("'{name}'")));
    }
    let inner = ["{\"a\":1,\"a\":1}", "[{\"a\":{\"b\":1,\"c\":2,\"b\":3}}]", "{\"\":1,\"\":2}"];
    let inner = inner.iter().enumerate();
    cases.extend(
        inner.map(|(at, raw)| route.case(&format!("duplicate/inner/{at}"), route.with_raw("extraParams", raw))),
    );
    cases
}

fn byte_orders(route: &Route) -> Vec<Case> {
    let valid = route.valid.to_string();
    let wide = |big: bool| -> Vec<u8> {
        let pair = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        valid.encode_utf16().flat_map(pair).collect()
    };
    let wider = |big: bool| -> Vec<u8> {
        let quad = |c: char| if big { u32::from(c).to_be_bytes() } else { u32::from(c).to_le_bytes() };
        valid.chars().flat_map(quad).collect()
    };
    let of = |parts: &[&[u8]]| parts.concat();
    let bom = b"\xef\xbb\xbf".as_slice();
    let cases = [
        ("utf16le", wide(false)),
        ("utf16be", wide(true)),
        ("utf16le_bom", of(&[b"\xff\xfe", &wide(false)])),
        ("utf16be_bom", of(&[b"\xfe\xff", &wide(true)])),
        ("utf32le", of(&[b"\xff\xfe\0\0", &wider(false)])),
        ("utf32be", of(&[b"\0\0\xfe\xff", &wider(true)])),
        ("utf7", of(&[b"+/v8-", valid.as_bytes()])),
        ("twice", of(&[bom, bom, valid.as_bytes()])),
        ("behind", of(&[valid.as_bytes(), bom])),
        ("within", valid.replacen('{', "{\u{feff}", 1).into_bytes()),
        ("alone", bom.to_vec()),
        ("half", of(&[b"\xef\xbb", valid.as_bytes()])),
    ];
    let mut all: Vec<Case> = cases.into_iter().map(|(name, body)| route.case(&format!("bom/{name}"), body)).collect();
    let once = route.case("bom/once", of(&[bom, valid.as_bytes()]));
    all.push(once.taken("one mark at the start is what some programs write", statuses_of_valid(route)));
    all
}

/// Ten million characters where a word belongs.
fn long_texts(route: &Route) -> Vec<Case> {
    const CHARS: usize = 10_000_000;
    let mut cases = Vec::new();
    let mut long = |place: &str, field: &'static str, before: &'static str, after: &'static str| {
        let (route, name) = (route.clone(), format!("{}/long/{place}", route.name));
        let target = route.target.clone();
        cases.push(Case::made(name, &target, move || {
            let mut raw = String::with_capacity(CHARS + 64);
            raw.push_str(before);
            raw.extend(std::iter::repeat_n('x', CHARS));
            raw.push_str(after);
            route.with_raw(field, &raw)
        }));
    };
    long(route.text, route.text, "\"", "\"");
    long("digits", route.text, "1", "");
    if route.name == "image" {
        for field in ["negativePrompt", "resolution", "aspectRatio", "voice", "projectId", "source", "model", "n"] {
            long(field, field, "\"", "\"");
        }
        long("input", "imageInputs", "[\"", "\"]");
        long("link", "imageInputs", "[\"https://example.com/", "\"]");
        long("data", "imageInputs", "[\"data:image/png;base64,", "\"]");
        long("parameter", "extraParams", "{\"quality\":\"", "\"}");
        long("name_of_parameter", "extraParams", "{\"", "\":1}");
        long("twice", "extraParams", "{\"a\":1,\"a\":\"", "\"}");
    }
    // The contract's own sentence for a model that is not known.
    cases.into_iter().map(|case| case.status(&[400, 404])).collect()
}

fn packed_and_other_types(route: &Route) -> Vec<Case> {
    let valid = route.valid.to_string();
    let mut cases = Vec::new();
    for coding in
        ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "gzip, gzip", "identity, gzip", "aes128gcm", "x"]
    {
        let plain = route.case(&format!("packed/plain/{coding}"), valid.clone()).header("content-encoding", coding);
        cases.push(plain.status(&[415]).says("Content-Encoding"));
    }
    let gzip = |bytes: &[u8]| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(bytes).and_then(|()| packer.finish()).expect("memory takes it")
    };
    // Fifty megabytes of nothing in fifty kilobytes.
    let bomb = gzip(&vec![b' '; 50 << 20]);
    for (name, body) in [("gzip", gzip(valid.as_bytes())), ("bomb", bomb.clone()), ("twice", gzip(&bomb))] {
        let declared = route.case(&format!("packed/{name}"), body.clone()).header("content-encoding", "gzip");
        cases.push(declared.status(&[415]));
        cases.push(route.case(&format!("packed/{name}/undeclared"), body));
    }
    let form = "--x\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na cat\r\n--x--\r\n";
    let bodies = [
        ("multipart", "multipart/form-data; boundary=x", form.to_owned()),
        ("multipart_json", "multipart/form-data; boundary=x", form.replace("a cat", &valid)),
        ("urlencoded", "application/x-www-form-urlencoded", "prompt=a+cat&model=sandbox%2Fpainter".to_owned()),
        ("xml", "application/xml", "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>".to_owned()),
        ("yaml", "application/yaml", "prompt: a cat\nmodel: sandbox/painter\n".to_owned()),
        ("csv", "text/csv", "prompt,model\na cat,sandbox/painter\n".to_owned()),
        ("lines", "application/x-ndjson", format!("{valid}\n{valid}\n")),
        ("protobuf", "application/x-protobuf", "\n\u{5}a cat".to_owned()),
        ("jsonp", "application/javascript", format!("callback({valid})")),
        ("prefixed", "application/json", format!(")]}}',\n{valid}")),
    ];
    cases.extend(
        bodies
            .into_iter()
            .map(|(name, kind, body)| route.case(&format!("other/{name}"), body).header("content-type", kind)),
    );
    cases
}

/// What the route's valid body is answered with.
pub fn statuses_of_valid(route: &Route) -> &'static [u16] {
    // The task is completed: it awaits no decision.
    if route.name == "resolve" { &[409] } else { &[200] }
}
