//! What is refused, in which words, and that no refusal and no listing shows a secret.

use super::*;

#[test]
fn unknown_keys_in_a_file_are_refused_with_what_was_meant() {
    for (text, said) in [
        ("listn = 'x'", "listn (from file pixel.toml): there is no such setting. Did you mean `listen`."),
        ("[engine]\ncall_max = 1", "Did you mean `engine.calls_max`."),
        ("[vendors.acmee]\nconcurrency = 1", "vendors.acmee (from file pixel.toml): there is no such setting"),
        ("[vendors.acme]\napi_key = 'sk-1'", "keys are read from the environment or .env only"),
        ("[vendors.sandbox]\nbase_url = 'http://x'", "vendors.sandbox.base_url"),
        ("[studio]", "studio (from file pixel.toml)"),
    ] {
        let refused = file(text).refused();
        assert!(refused.contains(said), "{text}: {refused}");
        assert!(!refused.contains("sk-1"), "{refused}");
    }
}

#[test]
fn bad_values_name_the_setting_its_source_and_the_remedy() {
    for (name, value, said) in [
        ("PIXEL_LISTEN", "8000", "listen (from environment PIXEL_LISTEN): '8000' is not an IP address and a port"),
        ("PIXEL_DATA", "~/pixel", "data (from environment PIXEL_DATA): '~/pixel' starts with ~"),
        ("PIXEL_BLOBS", "s3://bucket", "blobs (from environment PIXEL_BLOBS): media is to go to a bucket, and AWS_"),
        ("PIXEL_BLOBS", "s3://", "what follows s3:// is not a bucket's name"),
        ("PIXEL_BLOBS", "s3://Bucket", "Write it like s3://my-bucket/pixel"),
        ("PIXEL_BLOBS", "s3://bucket//a", "what follows s3:// is not a bucket's name"),
        ("PIXEL_BLOBS", "s3://bucket/../a", "what follows s3:// is not a bucket's name"),
        ("PIXEL_BLOBS", "s3://sk-id:sk-key@bucket", "keys belong into AWS_ACCESS_KEY_ID"),
        ("PIXEL_BLOBS", "gs://bucket", "'gs://bucket' is an address"),
        ("PIXEL_PUBLIC_URL", "p.example", "public_url (from environment PIXEL_PUBLIC_URL)"),
        ("PIXEL_PUBLIC_URL", "ftp://p.example", "not an http or https address"),
        ("PIXEL_PUBLIC_URL", "http://p.example?x", "with ? or #"),
        ("DATABASE_URL", "mysql://h/d", "database.url (from environment DATABASE_URL): it does not start with"),
        ("DATABASE_URL", "sqlite://h/d", "postgres://user:password@host:5432/database"),
        ("PIXEL_DATABASE_POOL_SIZE", "0", "0 is out of range. Use 1 to 1000."),
        ("PIXEL_LEASE_S", "0", "engine.lease_s (from environment PIXEL_LEASE_S): 0 is out of range. Use 1 to 3600."),
        ("PIXEL_LEASE_S", "30s", "'30s' is not a whole number. Use digits only"),
        ("PIXEL_LEASE_S", "-1", "-1 is out of range"),
        ("PIXEL_POLL_MIN_MS", "-1", "-1 is out of range. Use 1 to"),
        ("PIXEL_HOLD_S", "-1", "hold.time_s"),
        ("PIXEL_HOLD_POLICY", "retry", "'retry' is no policy. Use hold, lost or pay_again."),
        ("PIXEL_HOLD_PROJECTS", "a=maybe", "project 'a': 'maybe' is no policy"),
        ("PIXEL_HOLD_PROJECTS", "a", "Write name=value pairs"),
        ("PIXEL_RETENTION_DAYS", "30d", "'30d' is not a number. Use digits, with a point where needed"),
        ("PIXEL_RETENTION_DAYS", "-1", "Use 0 to keep everything, or a number of days up to 36500"),
        ("PIXEL_RETENTION_DAYS", "nan", "Use 0 to keep everything, or a number of days up to 36500"),
        ("PIXEL_LOG", "pixel=loud", "log.filter"),
        ("PIXEL_LOG_FORMAT", "xml", "Use auto, text or json."),
        ("PIXEL_CORS_ORIGINS", "app.example", "'app.example' is not the origin"),
        ("PIXEL_CORS_ORIGINS", "*,https://a.example", "'*' is not the origin"),
        ("PIXEL_CORS_ORIGINS", "https://*.example", "is not the origin"),
        ("PIXEL_CORS_ORIGINS", "https://a.example/path", "is not the origin"),
        ("PIXEL_FETCH_ALLOW", "*", "fetch.allow (from environment PIXEL_FETCH_ALLOW)"),
        ("PIXEL_FETCH_ALLOW", "10.0.0.0/33", "10.0.0.0/33"),
        ("PIXEL_SANDBOX", "perhaps", "'perhaps' is not true or false. Use true or false."),
        ("PIXEL_SHUTDOWN_S", "301", "Use 0 to 300."),
        ("PIXEL_BODY_BYTES", "0", "limits.body_bytes"),
        ("PIXEL_VIDEO_BYTES", "1e9", "limits.video_bytes"),
        ("PIXEL_DATA", "a\u{fffd}", "not valid UTF-8"),
        ("ACME_BASE_URL", "api.acme.example", "vendors.acme.base_url (from environment ACME_BASE_URL)"),
        ("PIXEL_ACME_CONCURRENCY", "-1", "vendors.acme.concurrency"),
        ("ACME_API_KEY", "sk-1\nsk-2", "ACME_API_KEY (from environment ACME_API_KEY): the key holds a line break"),
    ] {
        let refused = World { environment: vec![(name, value)], ..World::default() }.refused();
        assert!(refused.contains(said), "{name}={value}: {refused}");
        assert!(!refused.contains("sk-"), "{refused}");
    }
}

#[test]
fn bad_types_in_a_file_show_how_to_write_it() {
    for (text, said) in [
        (
            "workers = '2'",
            "workers (from file pixel.toml): it must be a whole number, and this is text. Write it like 30",
        ),
        ("sandbox = 1", "it must be true or false, and this is a whole number"),
        ("[cors]\norigins = 'https://a.example'", "Write it like [\"one\", \"two\"]"),
        ("[cors]\norigins = [1]", "it must be a list of texts"),
        ("engine = 1", "engine (from file pixel.toml): there is no such setting"),
        ("[hold]\nprojects = { a = 1 }", "it must be a group of names with texts"),
    ] {
        let refused = file(text).refused();
        assert!(refused.contains(said), "{text}: {refused}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let mut world = env(&[("PIXEL_LEASE_S", "0"), ("PIXEL_WORKERS", "many")]);
    world.files = vec![("pixel.toml", "x = 1")];
    assert_eq!(world.load().unwrap_err().0.len(), 3);
}

#[test]
fn broken_files_are_named_with_their_line_and_never_shown() {
    let refused = file("shutdown_s = 1\n[database]\nurl = 'postgres://u:hunter2@h/d\n").refused();
    assert!(refused.contains("pixel.toml (from the settings file): line 3 is not TOML"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
    let world = World { files: vec![(".env", "A=1\n\nACME_API_KEY=sk hunter2\n")], ..World::default() };
    let refused = world.refused();
    assert!(refused.contains(".env (from the working folder): line 3 is not of the form"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
}

#[test]
fn it_refuses_to_listen_beyond_loopback() {
    for (address, said) in [
        ("0.0.0.0:8000", "set PIXEL_ALLOW_UNAUTHENTICATED=true"),
        ("[::]:8000", "can be reached from beyond this machine"),
        ("192.168.1.4:80", "anyone could spend your vendor credit"),
        ("[::ffff:0.0.0.0]:1", "beyond this machine"),
        ("pixel.example:8000", "is not an IP address and a port (host names are not looked up)"),
        ("localhost.example:8000", "is not an IP address"),
    ] {
        let mut world = World::default();
        world.flags.listen = Some(address.to_owned());
        let refused = world.refused();
        assert!(refused.contains("listen (from flag --listen)") && refused.contains(said), "{address}: {refused}");
    }
    for address in ["127.0.0.1:0", "[::1]:8000", "localhost:8000", "127.9.9.9:1", "[::ffff:127.0.0.1]:1"] {
        let mut world = World::default();
        world.flags.listen = Some(address.to_owned());
        assert!(world.settings().listen.ip().is_loopback(), "{address}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let world = env(&[
        ("ACME_API_KEY", "hunter2-key"),
        ("TWO_ID", "hunter2-id"),
        ("DATABASE_URL", "postgresql://user:hunter2-db@db.example:5433/pixel?sslmode=require&password=hunter2-too"),
    ]);
    let loaded = world.load().unwrap();
    let table = show::table(&loaded.rows);
    let document = show::document(&loaded.rows, &loaded.warnings).to_string();
    for text in [format!("{loaded:?}"), format!("{loaded:#?}"), table.clone(), document] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    let shown = "postgresql://user:***@db.example:5433/pixel?sslmode=require&password=***";
    assert!(table.contains(shown), "{table}");
    let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().nth(1);
    assert_eq!((line("ACME_API_KEY"), line("TWO_SECRET")), (Some("***"), Some("-")));
}

#[test]
fn secrets_are_not_repeated_by_refusals() {
    for (name, value) in [
        ("DATABASE_URL", "mysql://u:hunter2@h/d"),
        ("DATABASE_URL", "postgres://u:5432/hunter2@h/d"),
        ("DATABASE_URL", "postgres://u:1?hunter2@h/d"),
        ("DATABASE_URL", "postgres://u:1#hunter2@h/d"),
        ("DATABASE_URL", "postgres://u:hunter2@[h/d"),
        ("ACME_BASE_URL", "https://u:hunter2@h"),
        ("ACME_BASE_URL", "ftp://u:hunter2@h"),
        ("PIXEL_PUBLIC_URL", "https://hunter2@h"),
        ("PIXEL_DATA", "s3://u:hunter2@h"),
        ("PIXEL_CORS_ORIGINS", "https://u:hunter2@h"),
    ] {
        let refused = World { environment: vec![(name, value)], ..World::default() }.refused();
        assert!(!refused.contains("hunter2"), "{name}={value}: {refused}");
    }
}
