//! PixVerse's wire form.

use super::client;
use pixel_testkit::{
    Method, Script, Stub, media,
    stub::{Media, Submit, marker},
};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

const KEY: (&str, &str) = ("api-key", "test-key");
const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=b");
const MP4: &[u8] = b"\0\0\0\x18ftypisom";

/// One as nobody used it.
fn trace() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("6f1c0000-0000-4000-8000-{:012}", NEXT.fetch_add(1, Ordering::Relaxed))
}

async fn send(stub: &Stub, path: &str, body: Option<Vec<u8>>, headers: &[(&str, &str)]) -> (u16, Value) {
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let answer = client(stub).send(method, &format!("/pixverse/openapi/v2{path}"), headers, body).await;
    (answer.status, answer.json())
}

async fn post(stub: &Stub, path: &str, body: &Value) -> Value {
    let headers = [KEY, JSON, ("ai-trace-id", &trace())];
    send(stub, path, Some(body.to_string().into_bytes()), &headers).await.1
}

async fn poll(stub: &Stub, id: &Value) -> Value {
    send(stub, &format!("/video/result/{id}"), None, &[KEY, ("ai-trace-id", &trace())]).await.1
}

async fn upload(stub: &Stub, path: &str, name: &str, file: &[u8]) -> Value {
    let mut body =
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a\"\r\n\r\n").into_bytes();
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--b--\r\n");
    send(stub, path, Some(body), &[KEY, FORM, ("ai-trace-id", &trace())]).await.1
}

fn kite(marker: &str) -> Value {
    json!({ "prompt": format!("a kite {marker}"), "model": "v5", "duration": 5, "quality": "540p", "aspect_ratio": "16:9" })
}

/// The body with some fields in the place of others; null takes one away.
fn with(mut body: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

const TEXT: &str = "/video/text/generate";

#[tokio::test]
async fn text_becomes_a_clip_and_says_how_it_stands() {
    let (stub, mark) = (Stub::start(), marker());
    stub.script(&mark, Script::media(Media::ExpiredLinks(1)).polls(2));
    let made = post(&stub, TEXT, &kite(&mark)).await;
    let id = &made["Resp"]["video_id"];
    assert!(made["ErrCode"] == 0 && id.as_u64().is_some_and(|id| id > 1 << 53), "{made}");
    for (status, with_url) in [(5, false), (5, false), (1, true), (1, true)] {
        let standing = poll(&stub, id).await["Resp"].clone();
        assert_eq!((&standing["id"], &standing["status"]), (id, &json!(status)));
        let url = standing["url"].as_str().expect("text");
        assert_eq!(!url.is_empty(), with_url);
    }
    let client = client(&stub);
    for status in [403, 200] {
        let url = poll(&stub, id).await["Resp"]["url"].as_str().expect("text").to_owned();
        let file = client.get(&url).await;
        assert!(file.status == status && (status == 403 || file.bytes.get(4..8) == Some(b"ftyp")));
    }
    let lost = poll(&stub, &json!(629_000_000_000_999_999_u64)).await;
    assert_eq!((&lost["ErrCode"], &lost["Resp"]), (&json!(500_008), &Value::Null));
    assert_eq!(stub.accepted(&mark), 1);
}

#[tokio::test]
async fn a_key_and_a_fresh_trace_id_are_wanted() {
    let (stub, mark) = (Stub::start(), marker());
    let body = || Some(kite(&mark).to_string().into_bytes());
    let (one, other) = (trace(), trace());
    let one = ("ai-trace-id", one.as_str());
    for (headers, code) in [
        (&[one][..], 10004),
        (&[one, ("api-key", "wrong")], 10001),
        (&[KEY, JSON], 400_011),
        (&[KEY, JSON, ("ai-trace-id", "")], 400_011),
    ] {
        let (status, answer) = send(&stub, TEXT, body(), headers).await;
        assert_eq!((status, &answer["ErrCode"], &answer["Resp"]), (200, &json!(code), &Value::Null));
    }
    let first = send(&stub, TEXT, body(), &[KEY, JSON, one]).await;
    assert_eq!(first.1["ErrCode"], 0);
    assert_eq!(send(&stub, TEXT, body(), &[KEY, JSON, one]).await, first);
    let frozen = send(&stub, "/video/result/1", None, &[KEY, one]).await;
    assert_eq!(frozen, first, "whatever is asked");
    assert_eq!(send(&stub, "/video/result/1", None, &[KEY, ("ai-trace-id", &other)]).await.1["ErrCode"], 500_008);
    assert_eq!((stub.accepted(&mark), stub.received(&mark)), (1, 1));
}

#[tokio::test]
async fn a_refusal_is_repeated_under_its_trace_id() {
    let (stub, mark) = (Stub::start(), marker());
    let fates = [Submit::RateLimited(Some("7")), Submit::NoBalance, Submit::BadKey, Submit::BadParameter];
    stub.script(&mark, Script::submits([&fates[..], &[Submit::Moderation, Submit::ErrorAfterAccept]].concat()));
    let body = || Some(kite(&mark).to_string().into_bytes());
    let mut accepted = Vec::new();
    for expected in [(429, 500_044), (200, 500_090), (200, 10001), (200, 400_017), (200, 500_063), (500, 99_999)] {
        let trace = trace();
        for _ in 0..2 {
            let (status, answer) = send(&stub, TEXT, body(), &[KEY, JSON, ("ai-trace-id", &trace)]).await;
            assert_eq!((status, answer["ErrCode"].as_u64()), (expected.0, Some(expected.1)));
        }
        accepted.push(stub.accepted(&mark));
    }
    assert_eq!((accepted, stub.received(&mark)), (vec![0, 0, 0, 0, 0, 1], 6));
}

#[tokio::test]
async fn uploads_are_named_by_their_ids() {
    let (stub, mark) = (Stub::start(), marker());
    let picture = media::png(64, 64, "input");
    let mut pictures = Vec::new();
    for _ in 0..2 {
        pictures.push(upload(&stub, "/image/upload", "image", &picture).await["Resp"]["img_id"].clone());
    }
    let clip = upload(&stub, "/media/upload", "file", MP4).await["Resp"]["media_id"].clone();
    let sound = upload(&stub, "/media/upload", "file", &media::wav(8_000, 10)).await["Resp"]["media_id"].clone();
    let base = with(kite(&mark), json!({ "aspect_ratio": null }));
    let good = [
        ("/video/img/generate", with(base.clone(), json!({ "img_id": pictures[0] }))),
        (
            "/video/transition/generate",
            with(base.clone(), json!({ "first_frame_img": pictures[0], "last_frame_img": pictures[1] })),
        ),
        ("/video/extend/generate", with(base.clone(), json!({ "video_media_id": clip }))),
        ("/video/lip_sync/generate", json!({ "video_media_id": clip, "audio_media_id": sound })),
        (
            "/video/lip_sync/generate",
            json!({ "video_media_id": clip, "lip_sync_tts_content": mark, "lip_sync_tts_speaker_id": "14" }),
        ),
        ("/video/sound_effect/generate", json!({ "video_media_id": clip, "sound_effect_content": mark })),
    ];
    for (path, body) in &good {
        assert_eq!(post(&stub, path, body).await["ErrCode"], 0, "{path} {body}");
    }
    let exact = pictures[1].as_u64().expect("a number");
    let bad = [
        ("/video/img/generate", with(base.clone(), json!({ "img_id": exact + 31 })), 400_032),
        ("/video/img/generate", with(base.clone(), json!({ "img_id": exact.to_string() })), 400_013),
        ("/video/img/generate", base.clone(), 400_011),
        ("/video/transition/generate", with(base.clone(), json!({ "first_frame_img": pictures[0] })), 400_011),
        ("/video/extend/generate", with(base, json!({ "video_media_id": sound })), 500_008),
        ("/video/lip_sync/generate", json!({ "video_media_id": clip }), 400_011),
        (
            "/video/lip_sync/generate",
            json!({ "video_media_id": clip, "audio_media_id": sound, "lip_sync_tts_content": "a" }),
            400_017,
        ),
        (
            "/video/lip_sync/generate",
            json!({ "video_media_id": clip, "lip_sync_tts_content": "a", "lip_sync_tts_speaker_id": "15" }),
            400_017,
        ),
        ("/video/sound_effect/generate", json!({ "sound_effect_content": "a" }), 400_011),
    ];
    for (path, body, code) in &bad {
        assert_eq!(post(&stub, path, body).await["ErrCode"], *code, "{path} {body}");
    }
    assert_eq!(upload(&stub, "/image/upload", "image", &media::png(4001, 8, "wide")).await["ErrCode"], 500_033);
    assert_eq!(upload(&stub, "/image/upload", "image", b"GIF89a").await["ErrCode"], 500_032);
    assert_eq!(upload(&stub, "/image/upload", "file", &picture).await["ErrCode"], 400_011);
    assert_eq!(upload(&stub, "/media/upload", "file", &picture).await["ErrCode"], 400_017);
}

#[tokio::test]
async fn models_durations_and_qualities_are_checked_together() {
    let (stub, mark) = (Stub::start(), marker());
    for (fields, code) in [
        (json!({ "model": "v6", "duration": 15, "quality": "1080p", "aspect_ratio": "21:9" }), 0),
        (json!({ "model": "v5.5", "duration": 10, "quality": "720p" }), 0),
        (json!({ "model": "v5.5", "duration": 10, "quality": "1080p" }), 400_017),
        (json!({ "model": "v3.5", "duration": 8, "quality": "1080p" }), 400_017),
        (json!({ "duration": 7 }), 400_017),
        (json!({ "duration": "5" }), 400_013),
        (json!({ "aspect_ratio": "21:9" }), 400_017),
        (json!({ "model": "v9" }), 400_017),
        (json!({ "model": "v4", "motion_mode": "fast", "duration": 8 }), 400_017),
        (json!({ "seed": 1_u64 << 31 }), 400_017),
        (json!({ "prompt": "" }), 400_011),
        (json!({ "prompt": "é".repeat(2049) }), 400_018),
        (json!({ "negative_prompt": "é".repeat(2049) }), 400_019),
    ] {
        assert_eq!(post(&stub, TEXT, &with(kite(&mark), fields.clone())).await["ErrCode"], code, "{fields}");
    }
    assert_eq!(stub.accepted(&mark), 2);
}
