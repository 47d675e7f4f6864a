//! What the sandbox makes, opened and measured; and how media are served.

use crate::support::{SOON, picture, with};
use pixel_testkit::{Client, Method, Rig, client::Answer, media, on_both, on_sqlite};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

on_both!(pictures_have_exactly_the_asked_size, media_are_served_in_ranges_and_with_care);
on_sqlite!(pictures_differ_and_repeat, clips_have_exactly_the_asked_size_and_duration, speech_is_a_sound_file);

/// Fetches the one result of a task, checks what the task says of it, and stores it.
async fn fetch(client: &Client, entry: &Value, folder: &Path) -> (Answer, PathBuf) {
    let url = entry["url"].as_str().expect("an address");
    let name = url.rsplit('/').next().expect("a name");
    assert!(name.starts_with("med_") && name.starts_with(entry["media_id"].as_str().expect("an id")), "{entry}");
    let answer = client.get(url).await;
    assert_eq!(answer.status, 200, "{url}");
    assert_eq!(entry["bytes"], answer.bytes.len());
    assert_eq!(entry["sha256"], media::sha256_hex(&answer.bytes));
    assert_eq!(entry["content_type"].as_str(), answer.header("content-type"));
    let file = folder.join(name);
    fs::write(&file, &answer.bytes).expect("the test's folder can be written");
    (answer, file)
}

fn painted(prompt: &str, more: &Value) -> Value {
    with(picture("sandbox/painter", prompt), more)
}

async fn pictures_have_exactly_the_asked_size(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let sizes = [
        ("1K", "16:9", 1280, 720),
        ("1K", "1:1", 1024, 1024),
        ("2K", "16:9", 2560, 1440),
        ("333x517", "1:1", 333, 517),
    ];
    for (resolution, ratio, width, height) in sizes {
        let asked = json!({ "resolution": resolution, "aspectRatio": ratio });
        let task = client.make("image", &painted("a lighthouse", &asked), SOON).await;
        let entry = &task["result"]["images"][0];
        assert_eq!((&entry["width"], &entry["height"]), (&json!(width), &json!(height)));
        let (answer, file) = fetch(&client, entry, rig.folder()).await;
        assert_eq!(media::png_size(&answer.bytes), Some((width, height)));
        let stream = &media::probe(&file)["streams"][0];
        assert_eq!(
            (&stream["codec_name"], &stream["width"], &stream["height"]),
            (&json!("png"), &json!(width), &json!(height))
        );
        let thumbnail = client.get(entry["thumbnail_url"].as_str().expect("a thumbnail")).await;
        assert!(
            thumbnail.status == 200 && thumbnail.header("content-type").is_some_and(|kind| kind.starts_with("image/"))
        );
        assert!(thumbnail.bytes.len() < answer.bytes.len());
    }
    let task = client.make("image", &painted("several", &json!({ "n": 3, "resolution": "128x128" })), SOON).await;
    let hashes: std::collections::BTreeSet<&str> = task["result"]["images"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|entry| entry["sha256"].as_str())
        .collect();
    assert_eq!(hashes.len(), 3, "three results are three pictures");
    assert!(task.to_string().to_lowercase().contains("sandbox"), "the task does not say who made it");
}

async fn pictures_differ_and_repeat(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let small = |prompt: &str, seed: u64| painted(prompt, &json!({ "seed": seed, "resolution": "256x256" }));
    let mut hashes = Vec::new();
    for body in [small("a cat", 1), small("a cat", 1), small("a cat", 2), small("a dog", 1)] {
        let task = client.make("image", &body, SOON).await;
        hashes.push(task["result"]["images"][0]["sha256"].as_str().expect("a hash").to_owned());
    }
    assert_eq!(hashes[0], hashes[1], "the same seed repeats");
    assert!(hashes[1] != hashes[2] && hashes[1] != hashes[3] && hashes[2] != hashes[3], "{hashes:?}");
}

async fn clips_have_exactly_the_asked_size_and_duration(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    for (duration, resolution, ratio, width, height, seconds) in
        [("2s", "480p", "16:9", 854, 480, 2.0), ("3s", "480p", "9:16", 480, 854, 3.0)]
    {
        let asked = json!({ "duration": duration, "resolution": resolution, "aspectRatio": ratio });
        let task = client.make("video", &with(picture("sandbox/animator", "a ball"), &asked), SOON * 3).await;
        let entry = &task["result"]["videos"][0];
        assert_eq!((&entry["width"], &entry["height"]), (&json!(width), &json!(height)));
        assert_eq!(entry["duration"].as_f64(), Some(seconds));
        let (_, file) = fetch(&client, entry, rig.folder()).await;
        let facts = media::probe(&file);
        let stream = &facts["streams"][0];
        assert_eq!(
            (&stream["codec_name"], &stream["width"], &stream["height"]),
            (&json!("h264"), &json!(width), &json!(height))
        );
        assert_eq!(stream["pix_fmt"], "yuv420p");
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        assert!((number(&stream["duration"]) - seconds).abs() < 0.001, "{stream}");
        assert!((number(&facts["format"]["duration"]) - seconds).abs() < 0.001, "{facts}");
        let (top, bottom) = stream["avg_frame_rate"].as_str().and_then(|rate| rate.split_once('/')).expect("a rate");
        let rate: f64 = top.parse::<f64>().expect("a number") / bottom.parse::<f64>().expect("a number");
        assert!((number(&stream["nb_read_frames"]) - rate * seconds).abs() < 0.5, "{stream}");
        let poster = client.get(entry["poster_url"].as_str().expect("a poster")).await;
        assert!(poster.status == 200 && poster.header("content-type").is_some_and(|kind| kind.starts_with("image/")));
    }
}

async fn speech_is_a_sound_file(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let mut lengths = Vec::new();
    for prompt in ["Hello.", "Hello, welcome to Pixel. This is a much longer line that takes more time to say."] {
        let task = client.make("audio", &picture("sandbox/speaker", prompt), SOON).await;
        let entry = &task["result"]["audios"][0];
        let (_, file) = fetch(&client, entry, rig.folder()).await;
        let facts = media::probe(&file);
        assert_eq!(
            (&facts["format"]["format_name"], &facts["streams"][0]["codec_name"]),
            (&json!("wav"), &json!("pcm_s16le"))
        );
        let real: f64 = facts["format"]["duration"].as_str().and_then(|text| text.parse().ok()).expect("a duration");
        let said = entry["duration"].as_f64().expect("a duration");
        assert!((real - said).abs() < 0.002, "{said} is said, {real} it is");
        lengths.push(real);
    }
    assert!(lengths[0] > 0.2 && lengths[1] > lengths[0] * 2.0, "{lengths:?}");
}

async fn media_are_served_in_ranges_and_with_care(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let task = client.make("image", &painted("ranges", &json!({ "resolution": "256x256" })), SOON).await;
    let url = task["result"]["images"][0]["url"].as_str().expect("an address").to_owned();
    let whole = client.get(&url).await;
    let (size, etag) = (whole.bytes.len(), whole.header("etag").expect("an ETag").to_owned());
    assert_eq!(whole.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));

    let get = |headers: Vec<(&'static str, String)>| {
        let (client, url) = (client.clone(), url.clone());
        async move {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            client.send(Method::GET, &url, &headers, None).await
        }
    };
    let parts = [
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, size),
        ("bytes=-50", size - 50, size),
        ("bytes=10-999999999", 10, size),
    ];
    for (range, from, to) in parts {
        let part = get(vec![("range", range.to_owned())]).await;
        assert_eq!((part.status, &part.bytes[..]), (206, &whole.bytes[from..to]), "{range}");
        assert_eq!(part.header("content-range"), Some(&*format!("bytes {from}-{}/{size}", to - 1)));
        assert_eq!(part.header("x-content-type-options"), Some("nosniff"));
    }
    let beyond = get(vec![("range", format!("bytes={size}-"))]).await;
    let unchanged = get(vec![("if-none-match", etag.clone())]).await;
    assert_eq!((unchanged.status, unchanged.bytes.len()), (304, 0));
    assert_eq!(get(vec![("if-none-match", "\"other\"".to_owned())]).await.status, 200);
    let resumed = get(vec![("range", "bytes=5-9".to_owned()), ("if-range", etag)]).await;
    assert_eq!((resumed.status, &resumed.bytes[..]), (206, &whole.bytes[5..10]));
    let changed = get(vec![("range", "bytes=5-9".to_owned()), ("if-range", "\"other\"".to_owned())]).await;
    assert_eq!((changed.status, changed.bytes.len()), (200, size), "another file must come whole");
    let head = client.send(Method::HEAD, &url, &[], None).await;
    assert_eq!((head.status, head.bytes.len(), head.header("content-length")), (200, 0, Some(&*size.to_string())));

    let id = task["result"]["images"][0]["media_id"].as_str().expect("an id");
    for path in [
        "/media/med_00000000000000000000000000000000.png".to_owned(),
        "/media/../pixel.db".to_owned(),
        "/media/%2e%2e%2fpixel.db".to_owned(),
        format!("/media/{id}.html"),
    ] {
        assert_eq!(client.get(&path).await.status, 404, "{path}");
    }
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some(&*format!("bytes */{size}"))));
}
