//! Every fault over a real socket: what a client sees of it, and what the ledger says.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use flate2::read::GzDecoder;
use pixel_simulator::{Fault, Group, Rule, Script, Stage};
use pixel_testkit::{Client, Method, Stub, media, stub::marker};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::Read,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longer than any good answer takes, and shorter than any slow one.
const LIMIT: Duration = Duration::from_millis(1_500);
const PACE_MS: u64 = 20;
/// More than any good answer, and less than any endless one.
const CAP: usize = 4 << 20;
const TEN_YEARS: &str = "315360000";

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The answer is whole by its own length.
    Whole,
    Closed,
    Reset,
    /// Nothing more came in time.
    Open,
    Capped,
}

/// What came back, as far as it came.
#[derive(Debug)]
struct Seen {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
    head_is_whole: bool,
    bytes: usize,
    end: End,
}

impl Seen {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn length(&self) -> Option<usize> {
        self.headers.get("content-length")?.parse().ok()
    }
}

/// One request on a connection of its own, its answer by the byte.
async fn exchange(stream: &mut TcpStream, method: &str, path: &str, body: &str) -> Seen {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer test-key\r\ncontent-length: {}\r\n\r\n",
        stream.peer_addr().expect("it is connected"),
        body.len()
    );
    // The key has no business at the media host.
    let head = if path.starts_with("/media/") { head.replace("authorization: Bearer test-key\r\n", "") } else { head };
    stream.write_all(format!("{head}{body}").as_bytes()).await.expect("it is sent");
    let (mut bytes, begin) = (Vec::new(), Instant::now());
    let mut piece = vec![0; 1 << 16];
    let end = loop {
        let seen = parse(&bytes);
        if seen.head_is_whole && seen.length().is_some_and(|length| seen.body.len() >= length) {
            break End::Whole;
        }
        if bytes.len() >= CAP {
            break End::Capped;
        }
        match timeout(LIMIT.saturating_sub(begin.elapsed()), stream.read(&mut piece)).await {
            Err(_) => break End::Open,
            Ok(Ok(0)) => break End::Closed,
            Ok(Ok(count)) => bytes.extend_from_slice(&piece[..count]),
            Ok(Err(_)) => break End::Reset,
        }
    };
    Seen { end, ..parse(&bytes) }
}

fn parse(bytes: &[u8]) -> Seen {
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let head = String::from_utf8_lossy(&bytes[..at.unwrap_or(bytes.len().min(4096))]).into_owned();
    let body = at.map(|at| bytes[at + 4..].to_vec()).unwrap_or_default();
    let status = head.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers = head.lines().skip(1).filter_map(pair).collect();
    Seen { status, headers, body, head_is_whole: at.is_some(), bytes: bytes.len(), end: End::Open }
}

async fn ask(stub: &Stub, method: &str, path: &str, body: &str) -> Seen {
    let mut stream = TcpStream::connect(stub.address()).await.expect("it listens");
    exchange(&mut stream, method, path, body).await
}

async fn submit(stub: &Stub, mark: &str) -> Seen {
    let body = json!({ "model": "plain", "prompt": format!("a kite {mark}"), "n": 2, "width": 320, "height": 240 });
    ask(stub, "POST", "/lab/v1/jobs", &body.to_string()).await
}

async fn poll(stub: &Stub, id: &str) -> Seen {
    ask(stub, "GET", &format!("/lab/v1/jobs/{id}"), "").await
}

/// A job that was accepted without trouble.
async fn job(stub: &Stub, mark: &str) -> String {
    submit(stub, mark).await.json()["id"].as_str().expect("an id").to_owned()
}

/// The link of a job's first result.
async fn link(stub: &Stub, id: &str) -> String {
    let body = poll(stub, id).await.json();
    body["results"][0]["url"].as_str().unwrap_or_else(|| panic!("no link in {body}")).to_owned()
}

async fn fetch(stub: &Stub, link: &str) -> Seen {
    let path = link.split_once("//").and_then(|(_, rest)| rest.split_once('/')).expect("a link").1;
    ask(stub, "GET", &format!("/{path}"), "").await
}

/// The first request of the stage, which the fault strikes.
async fn strike(stub: &Stub, mark: &str, stage: Stage) -> Seen {
    match stage {
        Stage::Submit => submit(stub, mark).await,
        Stage::Poll => poll(stub, &job(stub, mark).await).await,
        Stage::Fetch => fetch(stub, &link(stub, &job(stub, mark).await).await).await,
        Stage::Connect => panic!("an address is no request"),
    }
}

fn script(kind: Fault, stage: Stage) -> Script {
    Script { pace_ms: PACE_MS, faults: vec![Rule::new(kind, stage)], ..Script::default() }
}

/// Whether what was seen is what the fault promises.
fn check(kind: Fault, stage: Stage, seen: &Seen) {
    let what = format!("{} at {}: {} {:?} {:?}", kind.name(), stage.name(), seen.status, seen.end, seen.headers);
    let waits = seen.headers.get("retry-after").map(String::as_str);
    let status = |status: u16| assert_eq!(seen.status, status, "{what}: {}", seen.text());
    let is_json = serde_json::from_slice::<Value>(&seen.body).is_ok();
    match kind {
        Fault::BadRequest | Fault::Moderation => status(400),
        Fault::Unauthorized => status(401),
        Fault::PaymentRequired => status(402),
        Fault::Forbidden | Fault::ExpiredLink => status(403),
        Fault::NotFound | Fault::NotYetKnown => status(404),
        Fault::Unprocessable => status(422),
        Fault::RateLimitSeconds => assert_eq!((seen.status, waits), (429, Some("1")), "{what}"),
        Fault::RateLimitBare => assert_eq!((seen.status, waits), (429, None), "{what}"),
        Fault::RateLimitTenYears => assert_eq!((seen.status, waits), (429, Some(TEN_YEARS)), "{what}"),
        Fault::RateLimitDate => {
            assert!(
                seen.status == 429 && waits.is_some_and(|date| date.ends_with(" GMT") && date.contains(", ")),
                "{what}"
            );
        }
        Fault::ErrorBeforeAccept | Fault::ErrorAfterAccept => status(500),
        Fault::BadGateway | Fault::ServiceUnavailable | Fault::GatewayTimeout => {
            status(match kind {
                Fault::BadGateway => 502,
                Fault::ServiceUnavailable => 503,
                _ => 504,
            });
            assert!(seen.text().starts_with("<html>"), "{what}");
        }
        Fault::NoAnswer => assert_eq!((seen.bytes, &seen.end), (0, &End::Open), "{what}"),
        Fault::Reset => assert_eq!((seen.bytes, &seen.end), (0, &End::Reset), "{what}"),
        // This connection is new.
        Fault::ClosedOnReuse => status(200),
        Fault::SlowHeaders => assert!(!seen.head_is_whole && seen.bytes > 5 && seen.end == End::Open, "{what}"),
        Fault::SlowBody => assert!(seen.status == 200 && !seen.body.is_empty(), "{what}"),
        Fault::EndlessBody | Fault::TenGigabytes => assert_eq!((seen.status, &seen.end), (200, &End::Capped), "{what}"),
        Fault::GzipBomb => bomb(seen),
        Fault::HalfOpen => {
            assert!(seen.length() > Some(seen.body.len()) && !seen.body.is_empty() && seen.end == End::Open, "{what}");
        }
        Fault::GarbageJson => assert!(seen.status == 200 && !is_json && !seen.body.is_empty(), "{what}"),
        Fault::HtmlPage => assert!(seen.status == 200 && seen.headers["content-type"] == "text/html", "{what}"),
        Fault::WrongSchema => {
            assert!(is_json && seen.json()["id"].is_null() && seen.json()["state"].is_null(), "{what}");
        }
        Fault::MissingId => assert!(seen.json()["id"].is_null() && seen.json()["state"] == "waiting", "{what}"),
        Fault::UnknownStatus => assert_eq!(seen.json()["state"], "meditating", "{what}"),
        Fault::StatusBackwards => assert_eq!(seen.json()["state"], "running", "{what}"),
        Fault::RunningForEver => assert_eq!(seen.json()["state"], "waiting", "{what}"),
        Fault::PrivateRedirect => {
            assert!(seen.status == 302 && seen.headers["location"].contains("//127.0.0.2"), "{what}");
        }
        Fault::CutWithLength => assert!(seen.length() > Some(seen.body.len()) && seen.end == End::Closed, "{what}"),
        Fault::CutWithoutLength => {
            assert!(seen.length().is_none() && seen.end == End::Closed && !seen.body.is_empty(), "{what}");
        }
        Fault::EmptyMedia => assert_eq!((seen.status, seen.length()), (200, Some(0)), "{what}"),
        Fault::WrongType => {
            assert_eq!((seen.headers["content-type"].as_str(), size(seen)), ("text/plain", Some((320, 240))));
        }
        Fault::HtmlMedia => {
            assert!(seen.headers["content-type"] == "image/png" && seen.text().contains("<html>"), "{what}");
        }
        Fault::MediaBomb => assert!(size(seen) == Some((30_000, 30_000)) && seen.body.len() < 1 << 20, "{what}"),
        Fault::WrongChecksum => assert!(size(seen) == Some((320, 240)) && seen.end == End::Whole, "{what}"),
        Fault::MissingOutput => {
            let results = &seen.json()["results"];
            assert!(results[0]["url"].is_string() && results[1]["error"].is_string(), "{what}: {results}");
        }
        Fault::JobFailed | Fault::JobModerated => assert_eq!(seen.json()["state"], "failed", "{what}"),
        Fault::JobLost => status(410),
        // Two jobs are needed for it; see below.
        Fault::ReusedId => assert_eq!(seen.status, 200, "{what}"),
        Fault::NameNotFound | Fault::ConnectionRefused | Fault::BlackHole => panic!("{what}"),
        Fault::TlsFailure | Fault::WrongCertificate | Fault::Goaway => panic!("{what}"),
        // Where somebody signs in; see the tests of that vendor.
        Fault::Code | Fault::CodeAfterAccept | Fault::StatusNumber => panic!("{what}"),
        Fault::Placeholder | Fault::MissingRow => panic!("{what}"),
    }
}

fn size(seen: &Seen) -> Option<(u32, u32)> {
    media::png_size(&seen.body)
}

/// A megabyte of which at least 64 become.
fn bomb(seen: &Seen) {
    assert_eq!(seen.headers["content-encoding"], "gzip");
    let wire = unchunked(&seen.body);
    let mut inflated = 0;
    let (mut reader, mut piece) = (GzDecoder::new(wire.as_slice()), vec![0; 1 << 20]);
    while let Ok(count @ 1..) = reader.read(&mut piece) {
        inflated += count;
    }
    assert!(wire.len() < 2 << 20 && inflated >= 64 << 20, "{} became {inflated}", wire.len());
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(at) = body.windows(2).position(|window| window == b"\r\n") {
        let length = std::str::from_utf8(&body[..at]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let Some(length) = length.filter(|length| *length > 0 && at + 2 + length <= body.len()) else { break };
        whole.extend_from_slice(&body[at + 2..at + 2 + length]);
        body = body.get(at + 4 + length..).unwrap_or_default();
    }
    whole
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_looks_as_it_is_described() {
    let stub = Stub::start();
    let one = async |kind: Fault, stage: Stage| {
        let mark = marker();
        stub.simulator().script(Some(&mark), script(kind, stage));
        check(kind, stage, &strike(&stub, &mark, stage).await);
        let expected = if stage != Stage::Submit || kind.accepts() || kind == Fault::ClosedOnReuse { 1 } else { 0 };
        assert_eq!(stub.accepted(&mark), expected, "{} at {}", kind.name(), stage.name());
    };
    let cases: Vec<_> = Fault::ALL
        .iter()
        .filter(|kind| !matches!(kind.group(), Group::Before | Group::Account))
        .flat_map(|kind| kind.stages().iter().map(|stage| (*kind, *stage)))
        .filter(|(_, stage)| *stage != Stage::Connect)
        .collect();
    assert!(cases.len() > 90, "only {} cases", cases.len());
    // A few at a time: an endless answer keeps its sender busy.
    for few in cases.chunks(8) {
        futures_util::future::join_all(few.iter().map(|(kind, stage)| one(*kind, *stage))).await;
    }
    assert_eq!(stub.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn faults_pass_and_states_move_as_described() {
    let stub = Stub::start();
    let states = async |kind: Fault, count: usize| {
        let mark = marker();
        stub.simulator().script(Some(&mark), script(kind, Stage::Poll));
        let id = job(&stub, &mark).await;
        let mut states = Vec::new();
        for _ in 0..count {
            let seen = poll(&stub, &id).await;
            states.push(seen.json()["state"].as_str().map_or(seen.status.to_string(), ToOwned::to_owned));
        }
        states
    };
    assert_eq!(states(Fault::StatusBackwards, 5).await, ["running", "waiting", "running", "waiting", "done"]);
    assert_eq!(states(Fault::NotYetKnown, 3).await, ["404", "404", "done"]);
    assert_eq!(states(Fault::UnknownStatus, 2).await, ["meditating", "done"]);
    let for_ever = states(Fault::RunningForEver, 20).await;
    assert!(for_ever[1..].iter().all(|state| state == "running"), "{for_ever:?}");
    // The damaged file is damaged, and the next copy is not.
    let mark = marker();
    stub.simulator().script(Some(&mark), script(Fault::WrongChecksum, Stage::Fetch));
    let address = link(&stub, &job(&stub, &mark).await).await;
    let (bad, good) = (fetch(&stub, &address).await, fetch(&stub, &address).await);
    assert!(bad.body != good.body && bad.body.len() == good.body.len());
    // An acceptance that names somebody else's job, which was asked for.
    let (first, mark) = (job(&stub, &marker()).await, marker());
    drop(link(&stub, &first).await);
    stub.simulator().script(Some(&mark), script(Fault::ReusedId, Stage::Submit));
    assert_eq!(job(&stub, &mark).await, first);
}

#[tokio::test]
async fn a_connection_is_closed_when_it_is_used_again() {
    let (stub, mark) = (Stub::start(), marker());
    stub.simulator().script(Some(&mark), script(Fault::ClosedOnReuse, Stage::Submit));
    let mut stream = TcpStream::connect(stub.address()).await.expect("it listens");
    assert_eq!(exchange(&mut stream, "GET", "/_script", "").await.status, 200);
    let body = json!({ "model": "plain", "prompt": mark }).to_string();
    let seen = exchange(&mut stream, "POST", "/lab/v1/jobs", &body).await;
    assert_eq!((seen.bytes, seen.end), (0, End::Closed));
    assert_eq!((stub.accepted(&mark), stub.received(&mark)), (0, 1));
}

#[tokio::test]
async fn addresses_fail_before_any_request() {
    let stub = Stub::start();
    let client = Client::new(&format!("http://{}", stub.address()));
    let listed = client.get("/_faults").await.json();
    let listed = listed.as_array().expect("a list");
    assert_eq!(listed.len(), Fault::ALL.len());
    let address = |kind: Fault| {
        let row = listed.iter().find(|row| row["kind"] == kind.name()).expect("it is listed");
        row["address"].as_str().unwrap_or_else(|| panic!("no address of {}", kind.name())).to_owned()
    };
    let plain = |kind| address(kind).trim_start_matches("http://").to_owned();
    assert!(tokio::net::lookup_host(format!("{}:80", plain(Fault::NameNotFound))).await.is_err());
    let refused = TcpStream::connect(plain(Fault::ConnectionRefused)).await.expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let hole = timeout(Duration::from_millis(500), TcpStream::connect(plain(Fault::BlackHole))).await;
    assert!(hole.is_err(), "the connection was established: {hole:?}");
    for kind in [Fault::TlsFailure, Fault::WrongCertificate] {
        let error = client.try_send(Method::GET, &address(kind), &[], None).await.expect_err("no TLS");
        assert!(error.is_connect(), "{error:?}");
        assert!(kind == Fault::TlsFailure || format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
    }
    let mut stream = TcpStream::connect(plain(Fault::Goaway)).await.expect("it listens");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("it is sent");
    let mut frames = Vec::new();
    stream.read_to_end(&mut frames).await.expect("frames");
    assert_eq!((frames[3], &frames[9..13]), (4, &[0, 0, 8, 7][..]));
    // The same hosts, as links.
    for kind in Fault::ALL.iter().filter(|kind| kind.group() == Group::Before) {
        let mark = marker();
        stub.simulator().script(Some(&mark), script(*kind, Stage::Fetch));
        let id = job(&stub, &mark).await;
        assert!(link(&stub, &id).await.starts_with(&address(*kind)), "{kind:?}");
        assert!(link(&stub, &id).await.contains(&stub.address().to_string()), "{kind:?} did not pass");
    }
}
