//! Several services of one vendor, and several keys of one service.

use super::*;
use pixel_engine::{Account, Key};

fn account(settings: &Settings, vendor: &str, service: Option<&str>) -> Account {
    settings.vendors[vendor].account(service).expect("it is listed").account.clone()
}

fn shown(keys: &[Key]) -> Vec<(String, u32, String)> {
    let all = |key: &Key| key.credential.0.iter().map(|one| one.reveal()).collect::<Vec<_>>().join("+");
    keys.iter().map(|key| (key.name.clone(), key.weight, all(key))).collect()
}

fn row(name: &str, weight: u32, values: &str) -> (String, u32, String) {
    (name.to_owned(), weight, values.to_owned())
}

#[test]
fn each_service_has_its_own_credential_and_host() {
    let settings = env(&[("MIXED_ID", "i"), ("MIXED_SECRET", "s")]).settings();
    let (speech, clips) = (account(&settings, "mixed", Some("speech")), account(&settings, "mixed", Some("clips")));
    assert_eq!((speech.base_url.as_str(), shown(&speech.keys)), ("https://speech.example", vec![]));
    assert_eq!(
        (clips.base_url.as_str(), shown(&clips.keys)),
        ("https://clips.example/v2", vec![row("MIXED_ID", 1, "i+s")])
    );
    assert!(settings.vendors["mixed"].account(None).is_none() && !settings.sandbox);
    let missing = |service| settings.vendors["mixed"].account(service).unwrap().wanted();
    assert_eq!((missing(Some("speech")), missing(Some("clips"))), ("MIXED_SPEECH_KEY".to_owned(), String::new()));
    let none = World::default().settings();
    let wanted = none.vendors["mixed"].account(Some("clips")).unwrap().wanted();
    assert_eq!(wanted, "MIXED_TOKEN, or MIXED_ID and MIXED_SECRET");
}

#[test]
fn the_vendors_address_stands_for_those_of_all_its_services() {
    for world in [
        env(&[("MIXED_BASE_URL", "http://127.0.0.1:9/x/")]),
        file("[vendors.mixed]\nbase_url = 'http://127.0.0.1:9/x'"),
    ] {
        let settings = world.settings();
        for service in ["speech", "clips"] {
            assert_eq!(account(&settings, "mixed", Some(service)).base_url, "http://127.0.0.1:9/x");
        }
    }
}

#[test]
fn the_first_whole_set_submits_and_the_others_only_go_on_with_their_jobs() {
    let settings =
        env(&[("MIXED_TOKEN", "t"), ("MIXED_ID", "i"), ("MIXED_SECRET", "s"), ("MIXED_ID_3", "x")]).settings();
    let keys = account(&settings, "mixed", Some("clips")).keys;
    assert_eq!(shown(&keys), [row("MIXED_TOKEN", 1, "t"), row("MIXED_ID", 0, "i+s")]);
}

#[test]
fn further_keys_stand_beside_the_first_with_weights() {
    let world = env(&[
        ("ACME_API_KEY", "a"),
        ("ACME_API_KEY_WEIGHT", " 3 "),
        ("ACME_API_KEY_2", "b"),
        ("ACME_API_KEY_9", "c"),
        ("ACME_API_KEY_9_WEIGHT", "1000"),
        ("ACME_API_KEY_10", "no"),
        ("TWO_ID_2", "i"),
        ("TWO_SECRET_2", "s"),
        ("TWO_ID_2_WEIGHT", "2"),
        ("TWO_ID_4", "half"),
    ]);
    let loaded = world.load().unwrap();
    let acme = account(&loaded.settings, "acme", None);
    assert_eq!(acme.primary, "ACME_API_KEY");
    let all = [row("ACME_API_KEY", 3, "a"), row("ACME_API_KEY_2", 1, "b"), row("ACME_API_KEY_9", 1000, "c")];
    assert_eq!(shown(&acme.keys), all);
    let two = account(&loaded.settings, "two-keys", None);
    assert_eq!((shown(&two.keys), two.primary.as_str()), (vec![row("TWO_ID_2", 2, "i+s")], "TWO_ID"));
    assert_eq!(loaded.warnings, ["TWO_ID_4 has no effect alone: set TWO_SECRET_4 as well."]);
    let value = |name: &str| loaded.rows.iter().find(|row| row.setting == name).map(|row| row.value.clone());
    assert_eq!((value("ACME_API_KEY_2"), value("ACME_API_KEY_3")), (Some("***".into()), None));
    assert_eq!((value("ACME_API_KEY_WEIGHT"), value("TWO_SECRET")), (Some("3".into()), Some(serde_json::Value::Null)));
}

#[test]
fn a_weight_is_a_whole_number_and_never_repeated_to_anyone() {
    for text in ["0", "-1", "1.5", "1001", "hunter2"] {
        let refused = env(&[("ACME_API_KEY", "a"), ("ACME_API_KEY_WEIGHT", text)]).refused();
        assert!(
            refused.contains("ACME_API_KEY_WEIGHT (from environment ACME_API_KEY_WEIGHT): that is no weight"),
            "{refused}"
        );
        assert!(!refused.contains("hunter2"), "{refused}");
    }
    // The one of a key that is not there is not read, and not shown either.
    let loaded = env(&[("ACME_API_KEY", "a"), ("ACME_API_KEY_2_WEIGHT", "hunter2")]).load().unwrap();
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

#[test]
fn keys_are_never_shown() {
    let world = env(&[("ACME_API_KEY_2", "hunter2-a"), ("MIXED_ID", "hunter2-b"), ("MIXED_SECRET_5", "hunter2-c")]);
    let loaded = world.load().unwrap();
    let table = show::table(&loaded.rows);
    assert!(table.contains("ACME_API_KEY_2") && table.contains("MIXED_SECRET_5"), "{table}");
    assert!(!format!("{loaded:?}{table}{:?}", loaded.warnings).contains("hunter2"));
}
