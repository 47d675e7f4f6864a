//! The call with which a key is tried: free, and with the key in nothing that prints.
#![expect(clippy::expect_used, reason = "a helper of tests fails as tests do")]

use pixel_core::{
    ErrorKind,
    catalog::Catalog,
    vendor::{Answer, Credential, Repeat, Secret, Vendor},
};
use serde_json::{Value, json};
use std::sync::Arc;

const BASE: &str = "http://127.0.0.1:9/base";

fn adapter(id: &str) -> Arc<dyn Vendor> {
    pixel_vendors::all().into_iter().find(|vendor| vendor.id() == id).expect("it is listed")
}

fn credential(parts: usize) -> Credential {
    Credential((0..parts.max(1)).map(|part| Secret::new(format!("key-2f9c41d7-{part}"))).collect())
}

fn checked(id: &str, status: u16, body: Value) -> Result<(), ErrorKind> {
    let answer = Answer { status, body, ..Answer::default() };
    let read = adapter(id).checked(&credential(1), &answer);
    read.map_err(|error| {
        assert!(!error.message.is_empty() && !error.message.contains("key-2f9c41d7"), "{error:?}");
        error.kind
    })
}

#[test]
fn a_trial_costs_nothing_and_its_key_is_a_secret() {
    let catalog = Catalog::parse(pixel_vendors::CATALOG).unwrap();
    let mut tried = 0;
    for vendor in pixel_vendors::all() {
        let card = catalog.vendor(vendor.id()).unwrap();
        for account in catalog.accounts(card) {
            let sets = account.key_env.iter().map(|set| set.len());
            for parts in sets {
                let Some(call) = vendor.check(&credential(parts), BASE, account.service) else { continue };
                assert_eq!(call.repeat, Repeat::Safe, "{}", vendor.id());
                assert!(call.url.starts_with(&format!("{BASE}/")), "{}", call.url);
                assert!(!format!("{call:?}").contains("key-2f9c41d7"), "{call:?}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 2, "no adapter has a trial");
}

#[test]
fn pictures_are_listed_to_try_a_key() {
    let call = adapter("openai").check(&credential(1), BASE, None).unwrap();
    assert_eq!(call.url, format!("{BASE}/models"));
    let bad =
        json!({ "error": { "message": "Incorrect API key provided: key-2f9c41d7-0.", "code": "invalid_api_key" } });
    let empty = json!({ "error": { "message": "You exceeded your quota.", "code": "insufficient_quota" } });
    assert_eq!(checked("openai", 200, json!({ "object": "list", "data": [] })), Ok(()));
    assert_eq!(checked("openai", 401, bad), Err(ErrorKind::VendorAuth));
    assert_eq!(checked("openai", 429, empty), Err(ErrorKind::VendorBalance));
    assert_eq!(checked("openai", 503, Value::Null), Err(ErrorKind::Unclear));
}

#[test]
fn a_task_that_never_was_is_asked_for_to_try_a_key() {
    let call = adapter("dashscope").check(&credential(1), BASE, None).unwrap();
    assert!(call.url.starts_with(&format!("{BASE}/api/v1/tasks/0")), "{}", call.url);
    let unknown = json!({ "request_id": "r", "output": { "task_id": "t", "task_status": "UNKNOWN" } });
    let bad = json!({ "code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "r" });
    assert_eq!(checked("dashscope", 200, unknown), Ok(()));
    assert_eq!(checked("dashscope", 401, bad), Err(ErrorKind::VendorAuth));
}

#[test]
fn without_a_dialect_the_status_alone_tells() {
    // The one adapter that has no trial of its own.
    for (status, kind) in [
        (200, Ok(())),
        (401, Err(ErrorKind::VendorAuth)),
        (403, Err(ErrorKind::VendorAuth)),
        (402, Err(ErrorKind::VendorBalance)),
        (500, Err(ErrorKind::Unclear)),
        (404, Err(ErrorKind::Unclear)),
    ] {
        assert_eq!(checked(pixel_vendors::SANDBOX, status, Value::Null), kind, "{status}");
    }
    assert!(adapter(pixel_vendors::SANDBOX).check(&credential(1), BASE, None).is_none());
}
