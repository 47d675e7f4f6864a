//! Trials of the findings, with real folders and loopback ports.

use super::*;
use crate::config::{
    Settings,
    tests::{World, catalog, env},
};
use std::{net::TcpListener, os::unix::fs::PermissionsExt, path::Path};

fn settings(world: &World) -> Settings {
    let mut settings = world.load().unwrap().settings;
    settings.listen.set_port(0);
    settings
}

fn named<'a>(checks: &'a [Check], subject: &str) -> &'a Check {
    checks.iter().find(|check| check.subject == subject).unwrap_or_else(|| panic!("no {subject} in {checks:?}"))
}

#[test]
fn folders_are_judged_without_being_made() {
    let home = tempfile::tempdir().unwrap();
    let mut settings = settings(&World::default());
    settings.data = home.path().join("new/data");
    settings.blobs.clone_from(&settings.data);
    let checks = machine::folders(&settings);
    assert!(named(&checks, "data folder").finding.ends_with("is not there yet and will be made"));
    assert!(!home.path().join("new").exists());
    settings.data = home.path().to_owned();
    assert!(named(&machine::folders(&settings), "data folder").finding.ends_with("is writable"));
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    settings.data = file.join("data");
    let check = named(&machine::folders(&settings), "data folder").clone();
    assert_eq!(check.status, Status::Failure);
    assert!(check.finding.contains("is a file, not a folder") && check.remedy.unwrap().contains("--data"));
}

#[test]
fn a_taken_port_is_a_failure_with_a_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = settings(&World::default());
    assert_eq!(surroundings::address(&settings).status, Status::Fine);
    settings.listen = taken.local_addr().unwrap();
    let check = surroundings::address(&settings);
    assert_eq!(check.status, Status::Failure);
    assert!(check.finding.contains("is taken") && check.remedy.unwrap().contains("--listen"));
}

#[test]
fn a_database_is_signed_in_to_and_its_password_is_never_shown() {
    let mut settings = settings(&World::default());
    assert!(surroundings::database(&settings).finding.starts_with("SQLite in ./data"));
    let cluster = pixel_testkit::postgres::Cluster::start();
    settings.database.url = Some(pixel_core::vendor::Secret::new(cluster.database()));
    assert_eq!(surroundings::database(&settings).status, Status::Fine);
    // Something listens there that is no database.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://pixel:hunter2@{}/pixel", listener.local_addr().unwrap());
    settings.database.url = Some(pixel_core::vendor::Secret::new(url));
    let silent = surroundings::database(&settings);
    drop(listener);
    for check in [silent, surroundings::database(&settings)] {
        assert_eq!(check.status, Status::Failure);
        assert!(!format!("{check:?}").contains("hunter2") && check.finding.contains("pixel:***@127.0.0.1"));
    }
}

#[test]
fn vendors_say_which_variable_to_set() {
    let checks = surroundings::vendors(&settings(&World::default()), &catalog());
    assert!(named(&checks, "sandbox").finding.contains("no vendor key is set"));
    assert_eq!(named(&checks, "vendor two-keys").remedy.as_deref(), Some("Set TWO_ID and TWO_SECRET"));
    let checks = surroundings::vendors(&settings(&env(&[("ACME_API_KEY", "hunter2"), ("TWO_ID", "x")])), &catalog());
    assert!(checks.iter().all(|check| check.subject != "sandbox"));
    assert_eq!(named(&checks, "vendor acme").status, Status::Fine);
    let half = named(&checks, "vendor two-keys");
    assert_eq!((half.status, half.remedy.as_deref()), (Status::Warning, Some("Set TWO_SECRET")));
    assert_eq!(named(&checks, "vendor mixed, service speech").remedy.as_deref(), Some("Set MIXED_SPEECH_KEY"));
    let clips = named(&checks, "vendor mixed, service clips");
    assert_eq!(clips.remedy.as_deref(), Some("Set MIXED_TOKEN, or MIXED_ID and MIXED_SECRET"));
    assert!(!format!("{checks:?}").contains("hunter2"));
}

#[test]
fn programs_are_found_on_the_given_path_only() {
    let folder = tempfile::tempdir().unwrap();
    let path: &'static str = folder.path().to_str().unwrap().to_owned().leak();
    let checks = machine::programs(&Environment::of(&[("PATH", path)]));
    assert!(checks.iter().all(|check| check.status == Status::Note && check.remedy.is_some()));
    let program = folder.path().join("espeak-ng");
    std::fs::write(&program, "").unwrap();
    let look = || machine::programs(&Environment::of(&[("PATH", path)])).remove(0);
    assert_eq!(look().status, Status::Note, "a file that cannot be run is no program");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!((look().status, Path::new(&look().finding)), (Status::Fine, program.as_path()));
}

#[test]
fn unusable_settings_are_findings_and_decide_the_verdict() {
    let problems = env(&[("PIXEL_LEASE_S", "0")]).load().map(|_| ()).unwrap_err();
    let checks = examine(Err(&problems), &Environment::default());
    assert!(!is_fit(&checks));
    let text = report(&checks, false);
    assert!(
        text.contains("FAIL  setting engine.lease_s: 0 is out of range (from environment PIXEL_LEASE_S)"),
        "{text}"
    );
    assert!(text.contains("→ Use 1 to 3600") && text.ends_with("1 thing keeps Pixel from running.\n"), "{text}");
    assert!(!text.contains('\u{1b}') && report(&checks, true).contains('\u{1b}'));
}

#[test]
fn a_machine_in_order_is_fit() {
    let home = tempfile::tempdir().unwrap();
    let mut loaded = env(&[("ACME_API_KEY", "x")]).load().unwrap();
    loaded.settings.listen.set_port(0);
    loaded.settings.data = home.path().to_owned();
    loaded.settings.blobs = home.path().to_owned();
    let checks = examine(Ok((&loaded, &catalog())), &Environment::default());
    let failures: Vec<_> = checks.iter().filter(|check| check.status == Status::Failure).collect();
    assert!(is_fit(&checks), "{failures:?}");
    assert!(report(&checks, false).ends_with("Pixel can run.\n"));
}

#[test]
fn a_bucket_is_tried_and_its_key_is_never_shown() {
    let s3 = pixel_testkit::S3::start();
    let endpoint: &'static str = s3.endpoint().leak();
    let with_secret = |secret: &'static str| {
        let variables = [
            ("PIXEL_BLOBS", "s3://media/pixel/test"),
            ("PIXEL_S3_ENDPOINT", endpoint),
            ("AWS_ACCESS_KEY_ID", pixel_testkit::s3::KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ];
        settings(&env(&variables))
    };
    let check = surroundings::bucket(&with_secret(pixel_testkit::s3::SECRET)).unwrap();
    assert_eq!((check.status, check.remedy), (Status::Fine, None), "{}", check.finding);
    assert!(s3.objects("").is_empty(), "something stays of the trial");
    let check = surroundings::bucket(&with_secret("hunter2")).unwrap();
    assert_eq!(check.status, Status::Failure);
    assert!(check.finding.contains("SignatureDoesNotMatch") && check.remedy.unwrap().contains("AWS_SECRET_ACCESS_KEY"));
    assert!(!check.finding.contains("hunter2"));
    assert!(surroundings::bucket(&settings(&World::default())).is_none());
}
