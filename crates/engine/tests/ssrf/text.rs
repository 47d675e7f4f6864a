//! What the guard judges without a network.

use crate::forms;
use pixel_engine::guard::Guard;
use proptest::prelude::*;
use std::{collections::BTreeSet, net::SocketAddr};

fn guard(allow: &[&str]) -> Guard {
    Guard::new(&allow.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>()).unwrap()
}

#[test]
fn refuses_every_spelling() {
    let forms: BTreeSet<String> = forms::refused().into_iter().collect();
    assert!(forms.len() >= 300, "only {} forms", forms.len());
    let guard = guard(&[]);
    let passed: Vec<_> = forms.iter().filter(|text| guard.judge(text).is_ok()).collect();
    assert!(passed.is_empty(), "not refused: {passed:#?}");
    println!("{} forms refused by their text", forms.len());
}

#[test]
fn accepts_public_links() {
    let guard = guard(&[]);
    for text in forms::ACCEPTED {
        guard.judge(text).unwrap_or_else(|refused| panic!("{text}: {refused}"));
    }
}

#[test]
fn reasons_are_sentences_without_secrets() {
    let guard = guard(&[]);
    for text in forms::refused() {
        let reason = guard.judge(&text).unwrap_err().reason;
        assert!(reason.ends_with('.') && reason.starts_with(char::is_uppercase), "{text}: {reason}");
        assert!(!reason.contains("word") && !reason.contains("/ok"), "{text}: {reason}");
    }
    let found = guard.judge_addr("cdn.example", "10.0.0.7:80".parse().unwrap()).unwrap_err();
    assert!(!found.reason.contains("10.0.0.7"), "tells where a name leads: {found}");
}

#[test]
fn judges_addresses_behind_names_by_the_same_table() {
    let guard = guard(&[]);
    let judge = |addr: &str| guard.judge_addr("cdn.example", addr.parse::<SocketAddr>().unwrap());
    for ip in forms::CANARIES_V6 {
        judge(&format!("[{ip}]:443")).unwrap_err();
    }
    for octets in forms::CANARIES_V4 {
        judge(&SocketAddr::from((*octets, 443)).to_string()).unwrap_err();
    }
    judge("[::ffff:10.0.0.7]:80").unwrap_err();
    judge("93.184.215.14:22").unwrap_err();
    judge("93.184.215.14:443").unwrap();
}

#[test]
fn lets_through_what_the_operator_named() {
    let guard =
        guard(&["10.1.0.0/16", "127.0.0.1:9000", "[fd00::5]:81", "minio", "Media.Corp.:9001", "192.168.3.4", " "]);
    let ok = [
        "http://10.1.2.3/a",
        "http://10.1.2.3:77/a",
        "http://0x0a010203:77/a",
        "http://[::ffff:10.1.2.3]:77/a",
        "http://127.0.0.1:9000/a",
        "http://127.1:9000/a",
        "http://[fd00::5]:81/a",
        "http://minio/a",
        "http://minio:5/a",
        "http://MINIO./a",
        "http://media.corp:9001/a",
        "http://192.168.3.4:5/a",
        // Its addresses will have to lie in the allowed network.
        "http://good.example:77/a",
    ];
    ok.iter().for_each(|text| drop(guard.judge(text).unwrap_or_else(|why| panic!("{text}: {why}"))));
    let refused = [
        "http://10.2.2.3/a",
        "http://127.0.0.1/a",
        "http://127.0.0.1:9001/a",
        "http://[fd00::5]/a",
        "http://x.minio.local/a",
        "http://192.168.3.5/a",
        "http://user@minio/a",
        "ftp://minio/a",
    ];
    refused.iter().for_each(|text| assert!(guard.judge(text).is_err(), "{text}"));
    let judge = |host: &str, addr: &str| guard.judge_addr(host, addr.parse().unwrap());
    judge("minio", "10.9.9.9:5").unwrap();
    judge("good.example", "10.1.9.9:77").unwrap();
    judge("good.example", "93.184.215.14:77").unwrap_err();
    judge("media.corp", "10.9.9.9:80").unwrap_err();
}

#[test]
fn an_entry_names_one_thing_and_never_all() {
    let bad = [
        "*",
        "*.example",
        "0.0.0.0/0",
        "::/0",
        "0.0.0.0/1",
        "128.0.0.0/1",
        "2000::/3",
        "::ffff:0:0/96",
        "10.0.0.0/33",
        "http://host",
        "host/path",
        "host:0",
        "host:x",
        "host:99999",
        "a b",
        "user@host",
        "10.0.0.7/",
        "/8",
        ":80",
        "[::1",
        "[::1]:",
        "1.2.3.4.5",
        "a..b",
    ];
    for entry in bad {
        let why = Guard::new(&["good.example".to_owned(), entry.to_owned()]).expect_err(entry);
        assert!(why.contains(&format!("'{entry}'")) && why.ends_with('.'), "{why}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_panics(text in "\\PC{0,60}", host in "[0-9a-fxX.:%\\[\\]@。０-９]{0,24}") {
        let guard = guard(&["10.0.0.0/8", "minio:9000"]);
        let _ = guard.judge(&text);
        let _ = guard.judge(&format!("http://{host}/"));
        let _ = guard.judge(&format!("http://{text}/"));
        let _ = Guard::new(&[text, host]);
    }

    /// Whatever the spelling, a literal that passes is one that the table lets pass.
    #[test]
    fn spelling_does_not_matter(bits in any::<u32>()) {
        let guard = guard(&[]);
        let ip = std::net::Ipv4Addr::from(bits);
        let verdict = guard.judge(&format!("http://{ip}/")).is_ok();
        for host in [
            format!("{bits}"),
            format!("{bits:#x}"),
            format!("0{bits:o}"),
            format!("[::ffff:{ip}]"),
            format!("[64:ff9b::{ip}]"),
            format!("[2002:{:x}:{:x}::]", bits >> 16, bits & 0xffff),
        ] {
            prop_assert_eq!(guard.judge(&format!("http://{host}/")).is_ok(), verdict, "{} {}", ip, host);
        }
        prop_assert_eq!(guard.judge_addr("a.example", (ip, 80).into()).is_ok(), verdict);
    }
}
