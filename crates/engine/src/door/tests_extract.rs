//! The scanner against a strict parser, with documents cut at every place.

use super::extract::{Scanner, Step};
use base64::{Engine as _, engine::general_purpose};
use pixel_core::vendor::{Encoding, MediaAt, Staged};
use proptest::prelude::*;
use serde_json::{Value, json};

const JSON_MAX: usize = 4 << 20;

fn at(pointer: &str, encoding: Encoding) -> MediaAt {
    MediaAt::Json { pointer: pointer.to_owned(), encoding }
}

fn base64_at(pointer: &str) -> [MediaAt; 1] {
    [at(pointer, Encoding::Base64)]
}

/// The document without its media, and each piece of media; handles are `m0`, `m1`, …
fn extract<'a>(media: &[MediaAt], chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<(Value, Vec<Vec<u8>>), String> {
    let (mut scanner, mut found, mut open) = (Scanner::new(media, JSON_MAX), Vec::new(), Vec::new());
    for mut chunk in chunks {
        while let Step::Media { bytes, last } = scanner.next(&mut chunk)? {
            open.extend(bytes);
            if last {
                scanner.place(&Staged(format!("m{}", found.len())))?;
                found.push(std::mem::take(&mut open));
            }
        }
    }
    Ok((scanner.finish()?, found))
}

/// Cut into two at every place, and into single bytes; every cut gives the same.
fn extract_all_ways(media: &[MediaAt], text: &str) -> Result<(Value, Vec<Vec<u8>>), String> {
    let whole = extract(media, [text.as_bytes()]);
    assert_eq!(extract(media, text.as_bytes().chunks(1)), whole, "single bytes of {text}");
    for cut in 0..=text.len() {
        let (a, b) = text.as_bytes().split_at(cut);
        assert_eq!(extract(media, [a, b]), whole, "cut at {cut} of {text}");
    }
    whole
}

#[test]
fn media_is_taken_out_wherever_the_document_is_cut() {
    let text =
        r#" {"created":1,"da\u0074a":[{"b64_json":"aGVsbG8gd29ybGQ=","x":"\"}]"},{"b64_json":"AAEC"}],"n":-1.5e3} "#;
    let (json, media) = extract_all_ways(&base64_at("/data/*/b64_json"), text).unwrap();
    assert_eq!(media, [b"hello world".to_vec(), vec![0, 1, 2]]);
    let items = json!([{"b64_json": {"$staged": "m0"}, "x": "\"}]"}, {"b64_json": {"$staged": "m1"}}]);
    assert_eq!(json, json!({"created": 1, "data": items, "n": -1.5e3}));
}

#[test]
fn escapes_line_breaks_padding_and_uri_heads_are_understood() {
    let cases = [
        (r#""//8=""#, vec![255, 255]),
        (r#""\/\/8=""#, vec![255, 255]),
        (r#""\u002f\u002F8""#, vec![255, 255]),
        (r#""aGVs\r\nbG8\u003d""#, b"hello".to_vec()),
        (r#""aGVs bG8""#, b"hello".to_vec()),
        (r#""data:image/png;base64,aGVsbG8=""#, b"hello".to_vec()),
        (r#""data:image\/png;BASE64,aGVsbG8""#, b"hello".to_vec()),
        // Looks like the start of a link or of a data URI, and is neither.
        (r#""http""#, general_purpose::STANDARD_NO_PAD.decode("http").unwrap()),
        (r#""dataAAAA""#, general_purpose::STANDARD_NO_PAD.decode("dataAAAA").unwrap()),
    ];
    for (string, bytes) in cases {
        let text = format!(r#"{{"a":{string}}}"#);
        let (json, media) = extract_all_ways(&base64_at("/a"), &text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!((json, media), (json!({"a": {"$staged": "m0"}}), vec![bytes]), "{text}");
    }
}

#[test]
fn hex_is_decoded_and_the_root_can_be_media() {
    let hex = [at("/audio", Encoding::Hex)];
    let (_, media) = extract_all_ways(&hex, r#"{"audio":"00fFa1"}"#).unwrap();
    assert_eq!(media, [vec![0, 255, 0xa1]]);
    let (json, media) = extract_all_ways(&base64_at(""), r#" "AAEC" "#).unwrap();
    assert_eq!((json, media), (json!({"$staged": "m0"}), vec![vec![0, 1, 2]]));
}

#[test]
fn what_is_no_media_stays_as_it_is() {
    for value in [
        "null",
        r#""""#,
        "7",
        r#"{"a":"AAEC"}"#,
        r#"["AAEC"]"#,
        r#""https:\/\/a.example\/x?y=\u0031\"""#,
        r#""http://a""#,
    ] {
        let text = format!(r#"{{"a":{value},"b":"AAEC","c":{{"a":"AAEC"}}}}"#);
        let (json, media) = extract_all_ways(&base64_at("/a"), &text).unwrap();
        assert_eq!((json, media.len()), (serde_json::from_str::<Value>(&text).unwrap(), 0), "{text}");
    }
}

#[test]
fn bad_media_and_bad_json_are_errors() {
    let bad = [
        r#"{"a":"AAE*"}"#,
        r#"{"a":"A"}"#,
        r#"{"a":"AA=A"}"#,
        r#"{"a":"AAEC==="}"#,
        r#"{"a":"AA\b"}"#,
        r#"{"a":"\u0141AAA"}"#,
        r#"{"a":"data:image/png,AAEC"}"#,
        r#"{"a":"data:"}"#,
        r#"{"a":"AAEC"#,
        r#"{"a":"AAEC""#,
        r#"{"a" "AAEC"}"#,
        r#"{"a":"AAEC"}}"#,
        r#"{"a":"AAEC",}"#,
        r#"{"b":tru e}"#,
        r#"{"b":1 2}"#,
        "",
        "{]",
        "]",
        r#"{"b":"\q"}"#,
    ];
    for text in bad {
        let outcome = extract_all_ways(&base64_at("/a"), text);
        assert!(outcome.is_err(), "{text}: {outcome:?}");
    }
}

#[test]
fn the_skeleton_the_nesting_and_the_pieces_are_bounded() {
    let media = base64_at("/*");
    let long = format!(r#"{{"b":["{}"]}}"#, "x".repeat(JSON_MAX));
    assert!(extract(&media, long.as_bytes().chunks(1000)).unwrap_err().contains("larger than"));
    let blank = " ".repeat(JSON_MAX + 1);
    assert!(extract(&media, blank.as_bytes().chunks(1000)).unwrap_err().contains("larger than"));
    let deep = "[".repeat(10_000);
    assert!(extract(&media, [deep.as_bytes()]).unwrap_err().contains("too deep"));
    let many = format!("[{}]", ["\"AAEC\""; 65].join(","));
    assert!(extract(&media, [many.as_bytes()]).unwrap_err().contains("too many"));
    // Media itself does not count against the skeleton.
    let big = general_purpose::STANDARD.encode(vec![7; 2 * JSON_MAX]);
    let (_, media) = extract(&media, [format!("[\"{big}\"]").as_bytes()]).unwrap();
    assert_eq!(media[0].len(), 2 * JSON_MAX);
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![any::<String>(), "[a-z\"\\\\/]{0,6}".prop_map(|s| s), Just("b64".to_owned())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(text.clone(), inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn cut<'a>(text: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

proptest! {
    /// Whatever the document and the cuts: without media in it, it comes through unchanged.
    #[test]
    fn documents_come_through(json in any_json(), pretty: bool, cuts: Vec<prop::sample::Index>) {
        let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) }.unwrap();
        let nowhere = [at("/no such name/*", Encoding::Base64), at("/*/no such name", Encoding::Hex)];
        let (seen, media) = extract(&nowhere, cut(text.as_bytes(), &cuts)).unwrap();
        prop_assert_eq!(media.len(), 0);
        prop_assert_eq!(seen, serde_json::from_str::<Value>(&text).unwrap());
    }

    /// Media is found among any other content, byte for byte.
    #[test]
    fn media_comes_out(
        around in any_json(), bytes: Vec<u8>, hex: bool, escaped: bool, cuts: Vec<prop::sample::Index>,
    ) {
        let encoded = if hex {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        } else {
            general_purpose::STANDARD.encode(&bytes)
        };
        let encoded = if escaped { encoded.replace('/', "\\/").replace('+', "\\u002B") } else { encoded };
        let around = serde_json::to_string(&around).unwrap();
        let text = format!(r#"{{"x":{around},"data":[{around},{{"b64":"{encoded}"}}],"b64":{around}}}"#);
        let encoding = if hex { Encoding::Hex } else { Encoding::Base64 };
        let (json, media) = extract(&[at("/data/1/b64", encoding)], cut(text.as_bytes(), &cuts)).unwrap();
        let mut expected: Value = serde_json::from_str(&text).unwrap();
        if bytes.is_empty() {
            prop_assert_eq!(media.len(), 0);
        } else {
            prop_assert_eq!(media, vec![bytes]);
            expected["data"][1]["b64"] = json!({"$staged": "m0"});
        }
        prop_assert_eq!(json, expected);
    }

    /// Noise gives an answer or an error, and never a panic.
    #[test]
    fn noise_is_survived(noise: Vec<u8>, cuts: Vec<prop::sample::Index>) {
        let _ = extract(&base64_at("/*"), cut(&noise, &cuts));
    }

    #[test]
    fn noise_of_json_characters_is_survived(noise in "[\\[\\]{}\",:\\\\aA1u= ]{0,60}", cuts: Vec<prop::sample::Index>) {
        let media = base64_at("/*");
        let whole = extract(&media, [noise.as_bytes()]);
        prop_assert_eq!(extract(&media, cut(noise.as_bytes(), &cuts)), whole.clone());
        if let Ok((json, found)) = whole && found.is_empty() {
            prop_assert_eq!(json, serde_json::from_str::<Value>(&noise).unwrap());
        }
    }
}
