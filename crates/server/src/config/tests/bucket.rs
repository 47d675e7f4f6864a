//! `PIXEL_BLOBS=s3://…`: what belongs to it, and what is refused.

use super::*;

const KEYS: [(&str, &str); 3] =
    [("PIXEL_BLOBS", "s3://media/pixel/"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];

fn with(more: &[(&'static str, &'static str)]) -> World {
    env(&[&KEYS, more].concat())
}

#[test]
fn a_bucket_is_read_with_its_keys() {
    let settings = with(&[]).settings();
    assert_eq!(settings.blobs, settings.data, "staging needs a disk");
    let bucket = settings.bucket.unwrap();
    assert_eq!((bucket.name.as_str(), bucket.prefix.as_str(), bucket.region.as_str()), ("media", "pixel", "us-east-1"));
    assert_eq!((bucket.endpoint, bucket.path_style, bucket.token.is_none()), (None, false, true));
    assert_eq!((bucket.key_id.reveal(), bucket.secret.reveal()), ("id", "hunter2"));

    let own = [
        ("PIXEL_S3_ENDPOINT", "https://s3.example.com/"),
        ("PIXEL_S3_REGION", "garage"),
        ("AWS_SESSION_TOKEN", "hunter2-token"),
    ];
    let bucket = with(&own).settings().bucket.unwrap();
    assert_eq!(bucket.endpoint.as_deref(), Some("https://s3.example.com"));
    assert_eq!((bucket.region.as_str(), bucket.path_style), ("garage", true));
    assert_eq!(bucket.token.unwrap().reveal(), "hunter2-token");
    let host = with(&[own[0], ("PIXEL_S3_STYLE", "host")]).settings().bucket.unwrap();
    assert!(!host.path_style);
    assert!(World::default().settings().bucket.is_none());
}

#[test]
fn plain_http_is_for_this_machine_unless_it_is_asked_for() {
    for address in ["http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost:9000"] {
        assert!(with(&[("PIXEL_S3_ENDPOINT", address)]).settings().bucket.is_some(), "{address}");
    }
    let far = ("PIXEL_S3_ENDPOINT", "http://s3.lan:9000");
    let refused = with(&[far]).refused();
    assert!(refused.contains("s3.endpoint (from environment PIXEL_S3_ENDPOINT)"), "{refused}");
    assert!(refused.contains("unencrypted. Use https://, or set PIXEL_S3_ALLOW_HTTP=true"), "{refused}");
    assert!(with(&[far, ("PIXEL_S3_ALLOW_HTTP", "true")]).settings().bucket.is_some());
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    for (name, value, said) in [
        ("PIXEL_S3_ENDPOINT", "s3.example.com", "s3.endpoint (from environment PIXEL_S3_ENDPOINT)"),
        ("PIXEL_S3_ENDPOINT", "https://id:hunter2@s3.example.com", "Leave out what stands before the @"),
        ("PIXEL_S3_REGION", "us east", "s3.region (from environment PIXEL_S3_REGION): it is no name of a region"),
        ("PIXEL_S3_STYLE", "virtual", "'virtual' is no style of addresses. Use auto, path or host."),
        ("PIXEL_S3_ALLOW_HTTP", "perhaps", "Use true or false."),
        ("AWS_SESSION_TOKEN", "hunter2\nhunter2", "AWS_SESSION_TOKEN (from environment AWS_SESSION_TOKEN)"),
    ] {
        let refused = with(&[(name, value)]).refused();
        assert!(refused.contains(said) && !refused.contains("hunter2"), "{name}={value}: {refused}");
    }
    for missing in [1, 2] {
        let kept: Vec<_> = KEYS.into_iter().filter(|pair| *pair != KEYS[missing]).collect();
        let refused = env(&kept).refused();
        assert!(refused.contains(&format!("Set {} in the environment or in .env", KEYS[missing].0)), "{refused}");
    }
}

#[test]
fn its_keys_are_stars_and_idle_settings_are_told() {
    let loaded = with(&[("AWS_SESSION_TOKEN", "hunter2-token")]).load().unwrap();
    let table = show::table(&loaded.rows);
    for text in [format!("{loaded:?}"), table.clone(), show::document(&loaded.rows, &loaded.warnings).to_string()] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().nth(1);
    assert_eq!((line("AWS_SECRET_ACCESS_KEY"), line("blobs")), (Some("***"), Some("s3://media/pixel/")));
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let idle = env(&[("PIXEL_S3_REGION", "garage")]).load().unwrap();
    assert!(idle.warnings[0].contains("s3.region is set and has no effect"), "{:?}", idle.warnings);
    assert!(!show::table(&idle.rows).contains("AWS_"));
}
