//! That the guarded fetch reaches nothing but public addresses, in a network where everything
//! answers: each address of the world is this network's own loopback.

use crate::{
    canary::{BODY, Canaries},
    forms::{self, CANARIES_V4, CANARIES_V6},
    names,
    namespace::{GOOD_V4, GOOD_V6, connections_begun, isolated},
};
use futures_util::{StreamExt, stream};
use pixel_engine::{
    fetch::{FetchError, FetchLimits, Fetcher},
    guard::Guard,
};
use pixel_store::blobs::{Blobs, StagedBlob};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use url::Url;

const CAP_BYTES: u64 = 1 << 20;
const FLIPS: u32 = 1000;
const AT_ONCE: usize = 16;

#[test]
fn nothing_but_public_addresses_is_reached() {
    isolated("reach::nothing_but_public_addresses_is_reached", || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(everything());
    });
}

async fn everything() {
    let start = Instant::now();
    let data = tempfile::tempdir().unwrap();
    let bad = bad_links();
    let away: Vec<String> = bad.iter().filter(|link| leads_away(link)).cloned().collect();
    let canaries = Canaries::listen(away.clone()).await;
    let flips = names::serve().await;

    let begun = connections_begun();
    let fetcher = fetcher(data.path(), &[]);
    let direct = refuse_all(&fetcher, bad.clone(), &canaries).await;
    let redirected = refuse_all(&fetcher, behind("/r", &away), &canaries).await;
    let twice = refuse_all(&fetcher, behind("/rr", &away), &canaries).await;
    let flipped = flip(&fetcher, &canaries).await;
    // Each redirect was really asked for, and nothing else was.
    assert_eq!((direct, redirected, twice), (0, count(&away), 2 * count(&away)));
    let good = redirected + twice + flipped;
    println!(
        "{} forms directly, {} behind one redirect and behind two; {FLIPS} flips in {} look-ups, {flipped} of \
         them arrived at the good address. Canaries: 0 connections. Good address: {good}. {:.1} s",
        bad.len(),
        away.len(),
        flips.load(Ordering::SeqCst),
        start.elapsed().as_secs_f32(),
    );
    let begun = connections_begun() - begun;
    assert_eq!(begun, u64::from(good), "the kernel began connections that no listener saw");
    good_links_arrive(data.path(), &canaries).await;
    own_addresses_are_not_reached(data.path(), &canaries).await;
    let left = std::fs::read_dir(data.path().join("staging")).unwrap().count();
    assert_eq!(
        left,
        usize::try_from(flipped).unwrap() + ARRIVALS.len() + ALLOWED.len() + 2,
        "files that no fetch returned"
    );
}

/// The address that stands for the public internet lies on this machine as well, which the guard is
/// not told.
fn fetcher(data: &Path, allow: &[&str]) -> Fetcher {
    fetcher_with(data, Guard::on_machine(&list(allow), || Ok(Vec::new())).unwrap())
}

fn list(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|entry| (*entry).to_owned()).collect()
}

fn fetcher_with(data: &Path, guard: Guard) -> Fetcher {
    // A broken guard must show as a canary that was reached, not as a test that takes too long.
    let limits = FetchLimits { first_byte: Duration::from_secs(5), ..FetchLimits::default() };
    Fetcher::with_limits(guard, Blobs::open(data).unwrap(), limits).unwrap()
}

/// Every refused form, and names that lead to each canary.
fn bad_links() -> Vec<String> {
    let mut all: BTreeSet<String> = forms::refused().into_iter().collect();
    for octets in CANARIES_V4 {
        let ip = Ipv4Addr::from(*octets);
        let spelt = ip.to_string().replace('.', "-");
        all.extend([format!("http://{spelt}.v4.example/ok"), format!("https://{spelt}.v4.example/ok")]);
        for inner in [ip.to_ipv6_mapped(), embedded([0x64, 0xff9b], ip), embedded([0x64, 0xff9b, 1], ip)] {
            all.insert(format!("http://{}.v6.example/ok", spelt_v6(inner)));
        }
    }
    all.extend(CANARIES_V6.iter().map(|ip| format!("http://{}.v6.example/ok", spelt_v6(ip.parse().unwrap()))));
    let names = ["private", "mixed", "mixed-first", "mixed6", "mixed-late", "listed"];
    all.extend(names.iter().map(|name| format!("http://{name}.example/ok")));
    all.into_iter().collect()
}

fn embedded<const N: usize>(prefix: [u16; N], ip: Ipv4Addr) -> Ipv6Addr {
    let mut segments = [0; 8];
    segments[..N].copy_from_slice(&prefix);
    let [a, b, c, d] = ip.octets();
    segments[6..].copy_from_slice(&[u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]);
    segments.into()
}

fn spelt_v6(ip: Ipv6Addr) -> String {
    ip.segments().map(|segment| format!("{segment:x}")).join("-")
}

/// Whether a redirect of the good host to this leaves it; some forms mean a path there.
fn leads_away(link: &str) -> bool {
    let base = Url::parse("http://good.example/").unwrap();
    base.join(link)
        .map_or(true, |to| to.origin() != base.origin() || !to.username().is_empty() || to.password().is_some())
}

fn count(links: &[String]) -> u32 {
    u32::try_from(links.len()).unwrap()
}

fn behind(path: &str, links: &[String]) -> Vec<String> {
    (0..links.len()).map(|at| format!("http://good.example{path}/{at}")).collect()
}

/// Links that must arrive, or the rest would prove nothing.
const ARRIVALS: [&str; 6] = [
    "http://good.example/ok",
    "http://good.example./ok",
    "http://good6.example/ok",
    "http://93.184.215.14/ok",
    "http://0x5db8d70e/ok",
    "http://[2606:2800:21f::e]/ok",
];

/// Links that arrive by the operator's list only, at these addresses.
const ALLOWED: [(&str, &str); 6] = [
    ("http://10.0.0.7/ok", "10.0.0.7"),
    ("http://private.example/ok", "10.0.0.7"),
    ("http://corp.example:8080/ok", GOOD_V4),
    ("http://[fd00:ec2::254]:8080/ok", "fd00:ec2::254"),
    ("http://mixed6.example/ok", GOOD_V4),
    ("http://localhost:8080/ok", "127.0.0.1"),
];

async fn good_links_arrive(data: &Path, canaries: &Canaries) {
    let plain = fetcher(data, &[]);
    for link in ARRIVALS {
        arrived(plain.fetch(link, CAP_BYTES).await, link);
    }
    let expected = BTreeMap::from([(ip(GOOD_V4), 4), (ip(GOOD_V6), 2)]);
    assert_eq!(canaries.take(), expected);

    let list = ["10.0.0.0/24", "corp.example:8080", "fd00:ec2::254", "mixed6.example", "localhost:8080"];
    let allowing = fetcher(data, &list);
    for (link, at) in ALLOWED {
        plain.fetch(link, CAP_BYTES).await.expect_err(link);
        assert_eq!(canaries.take(), BTreeMap::new(), "{link}");
        arrived(allowing.fetch(link, CAP_BYTES).await, link);
        let reached = canaries.take();
        assert!(reached.contains_key(&ip(at)) || link.contains("mixed6"), "{link}: {reached:?}");
    }
}

/// The guard looks at the interfaces of its machine, where the good addresses are.
async fn own_addresses_are_not_reached(data: &Path, canaries: &Canaries) {
    let knowing = fetcher_with(data, Guard::new(&[]).unwrap());
    let blind = fetcher_with(data, Guard::on_machine(&[], || Err(std::io::Error::other("no answer"))).unwrap());
    for link in ARRIVALS {
        for fetcher in [&knowing, &blind] {
            let why = fetcher.fetch(link, CAP_BYTES).await.expect_err(link);
            assert!(matches!(why, FetchError::Refused(_)), "{link}: {why:?}");
        }
    }
    assert_eq!(canaries.take(), BTreeMap::new(), "this machine was reached under its public address");
    let told = fetcher_with(data, Guard::new(&list(&["good.example", GOOD_V4])).unwrap());
    for link in &ARRIVALS[..2] {
        arrived(told.fetch(link, CAP_BYTES).await, link);
    }
    assert_eq!(canaries.take(), BTreeMap::from([(ip(GOOD_V4), 2)]));
}

fn arrived(result: Result<StagedBlob, FetchError>, link: &str) {
    let blob = result.unwrap_or_else(|why| panic!("{link}: {why}"));
    assert_eq!(blob.bytes, BODY.len() as u64, "{link}");
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Fetches all, none of which may bring anything, and returns how often the good address was asked.
async fn refuse_all(fetcher: &Fetcher, links: Vec<String>, canaries: &Canaries) -> u32 {
    let results: Vec<_> = stream::iter(links)
        .map(|link| async move { (fetcher.fetch(&link, CAP_BYTES).await, link) })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let reached = only_good(canaries);
    for (result, link) in results {
        match result.expect_err(&link) {
            FetchError::Refused(_) => {}
            // A redirect whose target cannot be read as text leads nowhere.
            FetchError::Unreachable(why) if link.contains("/r") && why.contains("target") => {}
            other => panic!("{link}: {other:?}"),
        }
    }
    reached
}

/// Fetches a name that is good and bad in turn; returns how many arrived.
async fn flip(fetcher: &Fetcher, canaries: &Canaries) -> u32 {
    let arrivals = stream::iter(0..FLIPS)
        .map(|_| async move { fetcher.fetch("http://flip.example/ok", CAP_BYTES).await })
        .buffer_unordered(AT_ONCE)
        .fold(0, |arrivals, result| async move {
            match result {
                Ok(_) => arrivals + 1,
                Err(FetchError::Refused(_)) => arrivals,
                Err(other) => panic!("{other:?}"),
            }
        })
        .await;
    assert_eq!(only_good(canaries), arrivals);
    assert!((FLIPS / 4..FLIPS * 3 / 4).contains(&arrivals), "the name hardly flipped: {arrivals} of {FLIPS}");
    arrivals
}

fn only_good(canaries: &Canaries) -> u32 {
    let mut reached = canaries.take();
    let good = reached.remove(&ip(GOOD_V4)).unwrap_or(0);
    assert_eq!(reached, BTreeMap::new(), "canaries were reached");
    good
}
