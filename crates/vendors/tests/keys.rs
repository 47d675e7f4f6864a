//! The call with which a key is tried: free, with the key in nothing that prints, and with an answer
//! that tells good keys from bad ones. What differs is data: a file `fixtures/checks/<vendor>.json`
//! for each vendor that has such a call, with every service of its catalogue file.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use pixel_core::{
    ErrorKind, Stamp,
    catalog::Catalog,
    vendor::{Answer, Body, Credential, HttpCall, Leaving, Part, Repeat, Secret, Vendor},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc};

const BASE: &str = "http://127.0.0.1:9/base";
const KEY: &str = "key-2f9c41d7";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trials {
    /// What is particular; for its reader.
    #[serde(rename = "about")]
    _about: String,
    services: Vec<Trial>,
}

/// One kind of credential of one service.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trial {
    service: Option<String>,
    /// How many values the credential has.
    #[serde(default = "one")]
    keys: usize,
    /// Part of the sentence that says why there is no call.
    why: Option<String>,
    asks: Option<Asks>,
    #[serde(default)]
    good: Vec<Said>,
    #[serde(default)]
    bad: Vec<Said>,
    /// The key is good, and its account has nothing left.
    #[serde(default)]
    empty: Vec<Said>,
    #[serde(default)]
    unclear: Vec<Said>,
    /// Nothing is said of the key, which a later try may find to be good.
    #[serde(default)]
    unavailable: Vec<Said>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asks {
    method: String,
    path: String,
    /// Their names, in order; those that are made when it leaves as well.
    headers: Vec<String>,
    body: Value,
}

/// An answer; `{key}` in it stands for the key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    status: u16,
    body: Value,
}

fn one() -> usize {
    1
}

fn adapter(id: &str) -> Arc<dyn Vendor> {
    pixel_vendors::all().into_iter().find(|vendor| vendor.id() == id).expect("it is listed")
}

fn credential(parts: usize) -> Credential {
    Credential((0..parts.max(1)).map(|part| Secret::new(format!("{KEY}-{part}"))).collect())
}

/// The trials of a vendor; none where it has no file.
fn trials(vendor: &str) -> Vec<Trial> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/checks").join(format!("{vendor}.json"));
    let Ok(text) = fs::read_to_string(&path) else { return Vec::new() };
    serde_json::from_str::<Trials>(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display())).services
}

fn shown(call: &HttpCall) -> Value {
    let signed = call.sign.as_ref().map_or_else(Vec::new, |signer| {
        (signer.sign)(&Leaving {
            method: call.method,
            url: &call.url,
            content_type: "application/json",
            body_sha256: "",
            credential: &signer.credential,
            now: Stamp(1_795_176_000_000_000),
            nonce: "000102030405060708090a0b0c0d0e0f",
        })
    });
    let headers: BTreeSet<&str> = call.headers.iter().chain(&signed).map(|(name, _)| name.as_str()).collect();
    let body: Value = match &call.body {
        Body::Empty => Value::Null,
        Body::Parts(_, parts) => match parts.as_slice() {
            [Part::Bytes(bytes)] => serde_json::from_slice(bytes).unwrap(),
            other => panic!("a trial sends {other:?}"),
        },
        Body::Multipart(_) => panic!("a trial sends a form"),
    };
    let method = format!("{:?}", call.method).to_uppercase();
    json!({ "method": method, "path": call.url.strip_prefix(BASE).unwrap(), "headers": headers, "body": body })
}

fn read(vendor: &dyn Vendor, keys: usize, said: &Said) -> Result<(), ErrorKind> {
    let body = said.body.to_string().replace("{key}", &format!("{KEY}-0"));
    let answer = Answer { status: said.status, body: serde_json::from_str(&body).unwrap(), ..Answer::default() };
    vendor.checked(&credential(keys), &answer).map_err(|error| {
        assert!(!error.message.is_empty() && !format!("{error:?}").contains(KEY), "{error:?}");
        error.kind
    })
}

#[test]
fn every_service_has_a_trial_or_says_why_it_has_none() {
    let catalog = Catalog::parse(pixel_vendors::CATALOG).unwrap();
    for vendor in pixel_vendors::all() {
        let (id, trials) = (vendor.id(), trials(vendor.id()));
        for account in catalog.accounts(catalog.vendor(id).unwrap()) {
            for keys in account.key_env.iter().map(|set| set.len()) {
                let call = vendor.check(&credential(keys), BASE, account.service);
                let is_meant = |trial: &&Trial| trial.service.as_deref() == account.service && trial.keys == keys;
                let trial = trials.iter().find(is_meant);
                let at = format!("{id} {:?} with {keys} values", account.service);
                match (call, trial) {
                    (None, None) if trials.is_empty() => {}
                    (None, Some(Trial { why: Some(why), asks: None, .. })) => {
                        assert!(vendor.uncheckable(account.service).contains(why), "{at}");
                    }
                    (Some(call), Some(Trial { asks: Some(asks), why: None, .. })) => {
                        assert_eq!(call.repeat, Repeat::Safe, "{at}");
                        assert!(!format!("{call:?}").contains(KEY), "{call:?}");
                        let expected = json!({ "method": asks.method, "path": asks.path, "headers": asks.headers,
                                               "body": asks.body });
                        assert_eq!(shown(&call), expected, "{at}");
                    }
                    _ => panic!("{at}: fixtures/checks/{id}.json does not fit"),
                }
            }
        }
    }
}

#[test]
fn answers_tell_good_keys_from_bad_ones() {
    let mut tried = 0;
    for vendor in pixel_vendors::all() {
        for trial in trials(vendor.id()).iter().filter(|trial| trial.asks.is_some()) {
            assert!(!trial.good.is_empty() && !trial.bad.is_empty() && !trial.unclear.is_empty(), "{}", vendor.id());
            let groups = [
                (&trial.good, Ok(())),
                (&trial.bad, Err(ErrorKind::VendorAuth)),
                (&trial.empty, Err(ErrorKind::VendorBalance)),
                (&trial.unclear, Err(ErrorKind::Unclear)),
                (&trial.unavailable, Err(ErrorKind::VendorUnavailable)),
            ];
            for (said, expected) in groups.iter().flat_map(|(all, expected)| all.iter().map(move |one| (one, expected)))
            {
                let came = read(vendor.as_ref(), trial.keys, said);
                let is_met = came == *expected
                    // A status that is no success and names no fault of the key's tells as little.
                    || (*expected == Err(ErrorKind::Unclear) && came == Err(ErrorKind::VendorRefused));
                assert!(is_met, "{}: HTTP {} {} is {came:?}", vendor.id(), said.status, said.body);
                tried += 1;
            }
        }
    }
    assert!(tried > 50, "only {tried} answers were read");
}

#[test]
fn without_a_dialect_the_status_alone_tells() {
    // The one adapter that has no trial of its own.
    let sandbox = adapter(pixel_vendors::SANDBOX);
    for (status, kind) in [
        (200, Ok(())),
        (401, Err(ErrorKind::VendorAuth)),
        (403, Err(ErrorKind::VendorAuth)),
        (402, Err(ErrorKind::VendorBalance)),
        (500, Err(ErrorKind::Unclear)),
        (404, Err(ErrorKind::Unclear)),
    ] {
        assert_eq!(read(sandbox.as_ref(), 1, &Said { status, body: Value::Null }), kind, "{status}");
    }
    assert!(sandbox.check(&credential(1), BASE, None).is_none());
}
