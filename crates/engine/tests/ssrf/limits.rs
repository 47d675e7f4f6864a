//! What bounds a fetch: size, silence, time, and an answer that is whole.

use pixel_engine::{
    fetch::{FetchError, FetchLimits, Fetcher},
    guard::Guard,
};
use pixel_store::blobs::{Blobs, StagedBlob};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

const CAP_BYTES: u64 = 1000;

/// A server on the loopback that sends scripted bytes, and a fetcher that may reach it.
struct Bench {
    data: TempDir,
    fetcher: Fetcher,
    base: String,
    heads: Arc<Mutex<Vec<String>>>,
}

/// What the server does when a request's head has come.
#[derive(Clone)]
enum Then {
    /// Sends these bytes and closes.
    Close(String),
    /// Sends these bytes and keeps the connection until the other side leaves.
    Stall(String),
    /// Sends the first, then the second for ever.
    Flood(String, String),
    /// `/` redirects so many times, and then there is a body.
    Redirects(u32),
}

impl Bench {
    async fn start(then: Then) -> Self {
        let limits = FetchLimits {
            first_byte: Duration::from_millis(300),
            idle: Duration::from_millis(300),
            total: Duration::from_secs(2),
            ..FetchLimits::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let log = heads.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, then.clone(), log.clone()));
            }
        });
        let data = tempfile::tempdir().unwrap();
        let guard = Guard::new(std::slice::from_ref(&addr)).unwrap();
        let fetcher = Fetcher::with_limits(guard, Blobs::open(data.path()).unwrap(), limits).unwrap();
        Self { data, fetcher, base: format!("http://{addr}"), heads }
    }

    async fn fetch(&self) -> Result<StagedBlob, FetchError> {
        self.fetcher.fetch(&format!("{}/a.png?sig=word", self.base), CAP_BYTES).await
    }

    fn staged(&self) -> usize {
        std::fs::read_dir(self.data.path().join("staging")).unwrap().count()
    }
}

async fn serve(mut stream: TcpStream, then: Then, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let count = {
        let mut heads = heads.lock().await;
        heads.push(String::from_utf8(head).unwrap());
        heads.len()
    };
    // A fetch that has given up closes its side, and then writing fails, as it should.
    let _ = match then {
        Then::Close(bytes) => stream.write_all(bytes.as_bytes()).await,
        Then::Stall(bytes) => {
            let _ = stream.write_all(bytes.as_bytes()).await;
            stream.read_to_end(&mut Vec::new()).await.map(drop)
        }
        Then::Flood(first, rest) => {
            let mut sent = stream.write_all(first.as_bytes()).await;
            while sent.is_ok() {
                sent = stream.write_all(rest.as_bytes()).await;
            }
            sent
        }
        Then::Redirects(hops) if count <= hops as usize => {
            let head =
                format!("HTTP/1.1 302 Found\r\nSet-Cookie: a=b\r\nLocation: /hop/{count}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await
        }
        Then::Redirects(_) => stream.write_all(ok(Some(4), "done").as_bytes()).await,
    };
}

fn ok(length: Option<u64>, body: &str) -> String {
    let length = length.map(|bytes| format!("Content-Length: {bytes}\r\n")).unwrap_or_default();
    format!("HTTP/1.1 200 OK\r\n{length}\r\n{body}")
}

fn chunked(chunks: &[&str]) -> String {
    let chunks: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
}

#[tokio::test]
async fn a_whole_body_is_staged_with_its_hash() {
    let full = "x".repeat(usize::try_from(CAP_BYTES).unwrap());
    let cases = [
        (ok(Some(3), "abc"), 3),
        (ok(None, "abc"), 3),
        (chunked(&["ab", "c", ""]), 3),
        (ok(Some(CAP_BYTES), &full), CAP_BYTES),
        (ok(Some(0), ""), 0),
    ];
    for (answer, bytes) in cases {
        let bench = Bench::start(Then::Close(answer)).await;
        let blob = bench.fetch().await.unwrap();
        assert_eq!(blob.bytes, bytes);
        if bytes == 3 {
            assert_eq!(blob.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        }
        assert_eq!(bench.staged(), 1);
    }
}

#[tokio::test]
async fn a_body_that_is_not_whole_is_an_error() {
    let cases = [
        ok(Some(4), "abc"),
        ok(Some(999), ""),
        chunked(&["abc"]),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc".to_owned(),
        "HTTP/1.1 200".to_owned(),
        "nonsense\r\n\r\n".to_owned(),
        String::new(),
    ];
    for answer in cases {
        let bench = Bench::start(Then::Close(answer.clone())).await;
        match bench.fetch().await {
            Err(FetchError::Unreachable(why) | FetchError::Broken(why)) => {
                assert!(why.ends_with('.') && !why.contains("word"), "{why}");
            }
            other => panic!("{answer:?}: {other:?}"),
        }
        assert_eq!(bench.staged(), 0, "{answer:?}");
    }
}

#[tokio::test]
async fn a_body_beyond_the_cap_is_cut_off() {
    let piece = format!("64\r\n{}\r\n", "x".repeat(100));
    let cases = [
        // Announced: nothing of the body is read.
        Then::Stall(ok(Some(CAP_BYTES + 1), "")),
        Then::Stall(ok(Some(10 << 30), "")),
        Then::Flood(chunked(&[]), piece),
        Then::Flood(ok(None, ""), "x".repeat(100)),
    ];
    for then in cases {
        let bench = Bench::start(then).await;
        let result = bench.fetch().await;
        assert!(matches!(result, Err(FetchError::TooLarge { cap_bytes: CAP_BYTES })), "{result:?}");
        assert_eq!(bench.staged(), 0);
    }
}

#[tokio::test]
async fn silence_and_endless_answers_end() {
    let cases = [
        (Then::Stall(String::new()), "did not answer"),
        (Then::Stall("HTTP/1.1 200 OK\r\nX-A: b".to_owned()), "did not answer"),
        (Then::Stall(ok(Some(9), "abc")), "fell silent"),
        (Then::Stall(chunked(&["abc"])), "fell silent"),
        (Then::Flood("HTTP/1.1 200 OK\r\n".to_owned(), "X-Name: value\r\n".to_owned()), "broke off"),
        (Then::Flood("HTTP/1.1 200 OK\r\nX-Name: ".to_owned(), "value ".repeat(50)), "broke off"),
    ];
    for (then, expected) in cases {
        let bench = Bench::start(then).await;
        match bench.fetch().await {
            Err(FetchError::Unreachable(why) | FetchError::Broken(why)) => assert!(why.contains(expected), "{why}"),
            other => panic!("{expected}: {other:?}"),
        }
        assert_eq!(bench.staged(), 0);
    }
}

#[tokio::test]
async fn the_whole_fetch_has_a_limit() {
    let bench = Bench::start(Then::Flood(ok(None, ""), "x".to_owned())).await;
    let result = bench.fetcher.fetch(&bench.base, u64::MAX).await;
    assert!(matches!(&result, Err(FetchError::Unreachable(why)) if why.contains("did not end")), "{result:?}");
}

#[tokio::test]
async fn only_status_200_brings_media() {
    for status in [403, 404, 410] {
        let bench = Bench::start(Then::Close(format!("HTTP/1.1 {status} X\r\nContent-Length: 3\r\n\r\nabc"))).await;
        let result = bench.fetch().await;
        assert!(matches!(result, Err(FetchError::Gone { status: found }) if found == status), "{result:?}");
    }
    for status in [201, 204, 206, 300, 304, 400, 401, 416, 429, 500, 502, 503, 504] {
        let bench = Bench::start(Then::Close(format!("HTTP/1.1 {status} X\r\n\r\n"))).await;
        let result = bench.fetch().await;
        let sentence = status.to_string();
        assert!(matches!(&result, Err(FetchError::Unreachable(why)) if why.contains(&sentence)), "{result:?}");
        assert_eq!(bench.staged(), 0);
    }
}

#[tokio::test]
async fn three_redirects_are_followed_and_carry_nothing() {
    let bench = Bench::start(Then::Redirects(3)).await;
    assert_eq!(bench.fetch().await.unwrap().bytes, 4);
    let heads = bench.heads.lock().await;
    assert_eq!(heads.len(), 4);
    for head in &*heads {
        let names: Vec<_> =
            head.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_lowercase()).collect();
        assert_eq!(names, ["accept", "user-agent", "host"], "{head}");
    }

    let bench = Bench::start(Then::Redirects(4)).await;
    let result = bench.fetch().await;
    assert!(matches!(&result, Err(FetchError::Unreachable(why)) if why.contains("more than 3")), "{result:?}");
    assert_eq!(bench.heads.lock().await.len(), 4);
}

#[tokio::test]
async fn a_redirect_without_a_target_is_an_error() {
    for location in ["", "Location: http://[\r\n", "Location: \u{7f}\r\n"] {
        let bench =
            Bench::start(Then::Close(format!("HTTP/1.1 302 Found\r\n{location}Content-Length: 0\r\n\r\n"))).await;
        let result = bench.fetch().await;
        assert!(matches!(result, Err(FetchError::Unreachable(_) | FetchError::Broken(_))), "{result:?}");
    }
}

#[tokio::test]
async fn a_full_disk_is_not_the_links_fault() {
    let bench = Bench::start(Then::Close(ok(Some(3), "abc"))).await;
    std::fs::remove_dir_all(bench.data.path().join("staging")).unwrap();
    let result = bench.fetch().await;
    assert!(matches!(result, Err(FetchError::Store(_))), "{result:?}");
}
