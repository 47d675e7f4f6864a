//! Requests that are none, or two, on a bare connection.
//!
//! Where the HTTP library finds no request it answers for itself, with a bare status, and closes;
//! what is a request to it is answered by us, in the envelope.

use super::lab::{Lab, misshapen, wanted};
use pixel_testkit::client::Answer;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const IN_TIME: Duration = Duration::from_millis(100);
const TRIES: usize = 3;
/// A connection that says no more for so long has said all.
const SILENCE: Duration = Duration::from_millis(60);
const PATIENCE: Duration = Duration::from_secs(5);

/// What must come back.
#[derive(Clone, Copy, Debug)]
enum Must {
    /// Our refusal.
    Envelope(u16),
    /// Our refusal, and no further request on this connection.
    EnvelopeThenClose(u16),
    /// The library's refusal: no body, and the connection is closed.
    Bare(u16),
    /// Our refusal, then the library's of what follows it on the connection.
    EnvelopeThenBare(u16),
    /// The body is asked for, and then refused.
    Continued(u16),
    /// One answer like any other: the standard wants it so, or allows it and nothing is lost.
    Taken(u16),
    /// The same, and no further request on this connection.
    TakenThenClose(u16),
}
use Must::{Bare, Continued, Envelope, EnvelopeThenBare, EnvelopeThenClose, Taken, TakenThenClose};

/// What a trick is called, what is sent, and what must come back.
type Named = (&'static str, Vec<u8>, Must);

struct Trick {
    name: String,
    bytes: Vec<u8>,
    must: Must,
}

pub async fn try_all(lab: &Lab) {
    let tricks = tricks(&lab.task);
    let wanted = wanted();
    let chosen = tricks.iter().filter(|trick| wanted.as_ref().is_none_or(|part| trick.name.contains(part.as_str())));
    let (mut faults, mut slowest) = (Vec::new(), (Duration::ZERO, String::new()));
    for trick in chosen {
        match one(lab, trick).await {
            Ok(took) => slowest = slowest.max((took, trick.name.clone())),
            Err(fault) => faults.push(format!("{}: {fault}", trick.name)),
        }
    }
    println!("{} tricks on a bare connection; the slowest took {:.1?}: {}", tricks.len(), slowest.0, slowest.1);
    assert!(faults.is_empty(), "{} of {} tricks:\n{}", faults.len(), tricks.len(), faults.join("\n"));
    assert!(tricks.len() >= 100, "only {}", tricks.len());
}

async fn one(lab: &Lab, trick: &Trick) -> Result<Duration, String> {
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        let heard = exchange(lab.server.url(), &trick.bytes).await?;
        heard.judge(trick.must)?;
        best = best.min(heard.took);
        if best <= IN_TIME {
            return Ok(best);
        }
    }
    Err(format!("took {best:?} at best"))
}

/// What came back on the connection.
struct Heard {
    answers: Vec<Answer>,
    is_closed: bool,
    /// From the last byte sent to the first answer, or to the close.
    took: Duration,
}

impl Heard {
    fn judge(&self, must: Must) -> Result<(), String> {
        let statuses: Vec<u16> = self.answers.iter().map(|answer| answer.status).collect();
        let said = format!("{statuses:?}{}, and not {must:?}", if self.is_closed { ", closed" } else { "" });
        let (expected, closes, ours) = match must {
            Envelope(status) => (vec![status], false, Some(0)),
            EnvelopeThenClose(status) => (vec![status], true, Some(0)),
            EnvelopeThenBare(status) => (vec![status, 400], true, Some(0)),
            Continued(status) => (vec![100, status], false, Some(1)),
            Bare(status) => (vec![status], true, None),
            Taken(status) => (vec![status], false, None),
            TakenThenClose(status) => (vec![status], true, None),
        };
        if statuses != expected || (closes && !self.is_closed) {
            return Err(said);
        }
        let is_bare = matches!(must, Bare(_)) && self.answers.iter().any(|answer| !answer.bytes.is_empty());
        match ours.and_then(|at| self.answers.get(at)) {
            Some(answer) => misshapen(answer, &[answer.status], None).map_or(Ok(()), Err),
            None if is_bare => Err(format!("a body in {said}")),
            None => Ok(()),
        }
    }
}

async fn exchange(url: &str, bytes: &[u8]) -> Result<Heard, String> {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.map_err(|e| e.to_string())?;
    let begun = Instant::now();
    // It may hang up before it has taken everything.
    let _ = timeout(PATIENCE, stream.write_all(bytes)).await;
    let (mut text, mut took, mut is_closed) = (Vec::new(), None, false);
    loop {
        let answers = answers(&text);
        if !answers.is_empty() {
            took.get_or_insert(begun.elapsed());
        }
        let wait = if answers.is_empty() { PATIENCE } else { SILENCE };
        let mut piece = vec![0; 64 << 10];
        match timeout(wait, stream.read(&mut piece)).await {
            Ok(Ok(0) | Err(_)) => {
                is_closed = true;
                break;
            }
            Ok(Ok(count)) => text.extend_from_slice(&piece[..count]),
            Err(_) if answers.is_empty() => return Err("no answer, and no end".to_owned()),
            Err(_) => break,
        }
    }
    Ok(Heard { answers: answers(&text), is_closed, took: took.unwrap_or_else(|| begun.elapsed()) })
}

/// The whole answers in these bytes.
fn answers(mut text: &[u8]) -> Vec<Answer> {
    let mut all = Vec::new();
    while let Some(end) = text.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&text[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
        let pairs = lines.filter_map(|line| line.split_once(": "));
        let headers: axum::http::HeaderMap =
            pairs.filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?))).collect();
        let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0);
        let Some(body) = text.get(end + 4..end + 4 + length) else { break };
        all.push(Answer { status, headers, bytes: bytes::Bytes::copy_from_slice(body) });
        text = &text[end + 4 + length..];
    }
    all
}

/// The newer version is spoken too, to those who begin with it: the same rules hold.
pub async fn newer_version(lab: &Lab) {
    let port: u16 = lab.server.url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let client = reqwest::Client::builder().http2_prior_knowledge().resolve("evil.test", ([127, 0, 0, 1], port).into());
    let client = client.build().expect("a client");
    for (url, status) in [
        (format!("http://127.0.0.1:{port}/healthz"), 200),
        (format!("http://127.0.0.1:{port}/nothing"), 404),
        (format!("http://evil.test:{port}/healthz"), 403),
    ] {
        let answer = client.get(&url).send().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        assert_eq!((answer.version(), answer.status().as_u16()), (reqwest::Version::HTTP_2, status), "{url}");
    }
}

const GET: &str = "GET /healthz HTTP/1.1\r\n";
const HOST: &str = "Host: localhost\r\n";
const BODY: &str = "{\"choice\":\"lost\"}";
/// A request that must not be taken for one: it stands in another's body.
const HIDDEN: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn tricks(task: &str) -> Vec<Trick> {
    let groups: [fn(&str) -> Vec<Named>; 7] = [first_lines, hosts, names_and_values, many, lengths, chunks, others];
    let post = format!("POST /api/v1/tasks/{task}/resolve HTTP/1.1\r\n");
    let all = groups.iter().flat_map(|group| group(&post));
    all.enumerate().map(|(at, (name, bytes, must))| Trick { name: format!("wire/{at}/{name}"), bytes, must }).collect()
}

fn text(parts: &[&str]) -> Vec<u8> {
    parts.concat().into_bytes()
}

fn first_lines(_: &str) -> Vec<Named> {
    let line = |first: &str| text(&[first, "\r\n", HOST, "\r\n"]);
    let long = |count: usize| text(&["GET /", &"x".repeat(count), " HTTP/1.1\r\n", HOST, "\r\n"]);
    vec![
        ("lower_method", line("get /healthz HTTP/1.1"), Envelope(405)),
        ("mixed_method", line("Get /healthz HTTP/1.1"), Envelope(405)),
        ("unknown_method", line("BREW /healthz HTTP/1.1"), Envelope(405)),
        ("trace", line("TRACE /healthz HTTP/1.1"), Envelope(405)),
        ("connect", line("CONNECT localhost HTTP/1.1"), Envelope(404)),
        ("connect_other", line("CONNECT evil.test:443 HTTP/1.1"), Envelope(400)),
        ("no_method", line(" /healthz HTTP/1.1"), Bare(400)),
        ("bad_method", line("GE(T /healthz HTTP/1.1"), Bare(400)),
        ("nul_method", line("G\0T /healthz HTTP/1.1"), Bare(400)),
        ("wide_method", line("GÉT /healthz HTTP/1.1"), Bare(400)),
        ("no_target", line("GET  HTTP/1.1"), Bare(400)),
        ("no_version", line("GET /healthz"), Bare(400)),
        ("old_version", line("GET /healthz HTTP/0.9"), Bare(400)),
        ("next_version", line("GET /healthz HTTP/1.2"), Bare(400)),
        ("version_two", line("GET /healthz HTTP/2.0"), Bare(400)),
        ("version_nine", line("GET /healthz HTTP/9.9"), Bare(400)),
        ("version_words", line("GET /healthz HTTP/1.1 HTTP/1.1"), Bare(400)),
        ("version_lower", line("GET /healthz http/1.1"), Bare(400)),
        ("version_other", line("GET /healthz ICAP/1.0"), Bare(400)),
        ("version_short", line("GET /healthz HTTP/1"), Bare(400)),
        ("version_long", line("GET /healthz HTTP/1.10"), Bare(400)),
        ("nul_target", line("GET /a\0b HTTP/1.1"), Bare(400)),
        ("tab_target", line("GET /a\tb HTTP/1.1"), Bare(400)),
        ("quote_target", line("GET /a\"b HTTP/1.1"), Envelope(404)),
        ("fragment_target", line("GET /nothing#x HTTP/1.1"), Envelope(404)),
        ("dots_target", line("GET /../../etc/passwd HTTP/1.1"), Envelope(404)),
        ("slashes_target", line("GET //healthz HTTP/1.1"), Envelope(404)),
        ("backslash_target", line("GET /\\..\\healthz HTTP/1.1"), Envelope(404)),
        ("relative_target", line("GET healthz HTTP/1.1"), Envelope(400)),
        ("star_target", line("GET * HTTP/1.1"), Envelope(404)),
        ("star_options", line("OPTIONS * HTTP/1.1"), Taken(200)),
        ("long_target", long(60_000), Envelope(404)),
        ("longer_target", long(70_000), Bare(414)),
        ("longest_target", long(2_000_000), Bare(431)),
        ("absolute", line("GET http://localhost/healthz HTTP/1.1"), Taken(200)),
        ("absolute_other", line("GET http://evil.test/healthz HTTP/1.1"), Envelope(400)),
        ("absolute_user", line("GET http://localhost@evil.test/healthz HTTP/1.1"), Envelope(400)),
        ("absolute_scheme", line("GET ftp://localhost/healthz HTTP/1.1"), Taken(200)),
        (
            "tls",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n".to_vec(),
            Bare(400),
        ),
        ("proxy", text(&["PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", GET, HOST, "\r\n"]), Bare(400)),
        ("smtp", text(&["EHLO evil.test\r\n\r\n"]), Bare(400)),
        ("noise", [vec![0xff; 4_096], b"\r\n\r\n".to_vec()].concat(), Bare(400)),
        ("noughts", vec![0; 4_096], Bare(400)),
    ]
}

fn hosts(_: &str) -> Vec<Named> {
    let with = |hosts: &str| text(&[GET, hosts, "\r\n"]);
    vec![
        ("host_none", with(""), Envelope(400)),
        ("host_none_old", text(&["GET /healthz HTTP/1.0\r\n\r\n"]), TakenThenClose(200)),
        ("host_twice", with("Host: localhost\r\nHost: localhost\r\n"), Envelope(400)),
        ("host_and_other", with("Host: localhost\r\nHost: evil.test\r\n"), Envelope(400)),
        ("host_other_and", with("Host: evil.test\r\nHost: localhost\r\n"), Envelope(400)),
        ("host_empty", with("Host:\r\n"), Envelope(403)),
        ("host_other", with("Host: evil.test\r\n"), Envelope(403)),
        ("host_user", with("Host: localhost@evil.test\r\n"), Envelope(403)),
        ("host_path", with("Host: evil.test/localhost\r\n"), Envelope(403)),
        ("host_space", with("Host: local host\r\n"), Envelope(403)),
        ("host_port", with("Host: localhost:99999\r\n"), Envelope(403)),
        ("host_port_word", with("Host: localhost:x\r\n"), Envelope(403)),
        ("host_bracket", with("Host: [::1\r\n"), Envelope(403)),
        ("host_comma", with("Host: localhost, evil.test\r\n"), Envelope(403)),
        ("host_wide", [GET.as_bytes(), b"Host: \xff\xfe\r\n\r\n"].concat(), Envelope(403)),
        ("host_long", with(&format!("Host: {}\r\n", "x.".repeat(5_000))), Envelope(403)),
        ("host_nul", with("Host: local\0host\r\n"), Bare(400)),
        ("host_rebound", with("Host: 127.0.0.1.evil.test\r\n"), Envelope(403)),
        ("host_decimal", with("Host: 2130706433\r\n"), Taken(200)),
    ]
}

fn names_and_values(_: &str) -> Vec<Named> {
    let with = |line: &str| text(&[GET, HOST, line, "\r\n\r\n"]);
    vec![
        ("space_before_colon", with("X-A : 1"), Bare(400)),
        ("space_before_name", with(" X-A: 1"), Bare(400)),
        ("tab_before_name", with("\tX-A: 1"), Bare(400)),
        ("folded", with("X-A: 1\r\n 2"), Bare(400)),
        ("no_colon", with("X-A"), Bare(400)),
        ("no_name", with(": 1"), Bare(400)),
        ("nul_name", with("X\0A: 1"), Bare(400)),
        ("nul_value", with("X-A: a\0b"), Bare(400)),
        ("wide_name", with("X-É: 1"), Bare(400)),
        ("bracket_name", with("X[A]: 1"), Bare(400)),
        ("bell_value", with("X-A: a\x07b"), Bare(400)),
        ("delete_value", with("X-A: a\x7fb"), Bare(400)),
        ("bare_cr_value", with("X-A: a\rb"), Bare(400)),
        ("bare_cr_line", text(&["GET /healthz HTTP/1.1\r", HOST, "\r\n"]), Bare(400)),
        ("two_crs", text(&["GET /healthz HTTP/1.1\r\r\n", HOST, "\r\n"]), Bare(400)),
        ("bare_lf", text(&["GET /healthz HTTP/1.1\nHost: localhost\n\n"]), Taken(200)),
        ("blank_lines_first", text(&["\r\n\r\n", GET, HOST, "\r\n"]), Taken(200)),
        ("split_answer", with("X-Request-Id: a\r\nX-B: 1"), Taken(200)),
        ("injected_id", with("X-Request-Id: req_00000000000000000000000000000000"), Taken(200)),
        ("upgrade_two", with("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk"), Taken(200)),
        ("upgrade_socket", with("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13"), Taken(200)),
        ("expect_other", with("Expect: the-unexpected"), Taken(200)),
        ("connection_host", with("Connection: host, close"), TakenThenClose(200)),
        ("foreign_origin", text(&["POST /api/v1/generations/image HTTP/1.1\r\n", HOST, "Origin: http://evil.test\r\nContent-Length: 2\r\n\r\n{}"]), Envelope(403)),
        ("null_origin", text(&["POST /api/v1/generations/image HTTP/1.1\r\n", HOST, "Origin: null\r\nContent-Length: 2\r\n\r\n{}"]), Envelope(403)),
        ("wide_origin", [b"POST /api/v1/generations/image HTTP/1.1\r\nHost: localhost\r\nOrigin: \xff\r\nContent-Length: 2\r\n\r\n{}".as_slice()].concat(), Envelope(403)),
    ]
}

fn many(_: &str) -> Vec<Named> {
    let headers = |count: usize| (0..count).map(|at| format!("X-{at}: 1\r\n")).collect::<String>();
    let long = |count: usize| format!("X-A: {}\r\n", "x".repeat(count));
    vec![
        ("headers_90", text(&[GET, HOST, &headers(90), "\r\n"]), Taken(200)),
        ("headers_101", text(&[GET, HOST, &headers(101), "\r\n"]), Bare(431)),
        ("headers_10000", text(&[GET, HOST, &headers(10_000), "\r\n"]), Bare(431)),
        ("value_300k", text(&[GET, HOST, &long(300_000), "\r\n"]), Taken(200)),
        ("value_2m", text(&[GET, HOST, &long(2_000_000), "\r\n"]), Bare(431)),
        ("name_70k", text(&[GET, HOST, &format!("{}: 1\r\n", "x".repeat(70_000)), "\r\n"]), Bare(431)),
        ("same_header", text(&[GET, HOST, &"Cookie: a=b\r\n".repeat(90), "\r\n"]), Taken(200)),
    ]
}

/// Lengths that disagree. No byte of a body may be read as the next request.
fn lengths(post: &str) -> Vec<Named> {
    let with = |headers: &str, body: &str| text(&[post, HOST, headers, "\r\n\r\n", body]);
    let own = format!("Content-Length: {}", BODY.len());
    let both = format!("{own}\r\nTransfer-Encoding: chunked");
    let turned = format!("Transfer-Encoding: chunked\r\n{own}");
    let chunked = format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len());
    let smuggled = format!("0\r\n\r\n{HIDDEN}");
    vec![
        ("length_honest", with(&own, BODY), Envelope(409)),
        ("length_twice_same", with(&format!("{own}\r\n{own}"), BODY), Envelope(409)),
        ("length_twice", with(&format!("{own}\r\nContent-Length: 0"), &format!("{BODY}{HIDDEN}")), Bare(400)),
        ("length_list", with(&format!("{own}, {}", BODY.len()), BODY), Bare(400)),
        ("length_list_other", with("Content-Length: 5, 6", BODY), Bare(400)),
        ("length_plus", with("Content-Length: +17", BODY), Bare(400)),
        ("length_minus", with("Content-Length: -1", BODY), Bare(400)),
        ("length_hex", with("Content-Length: 0x11", BODY), Bare(400)),
        ("length_point", with("Content-Length: 17.0", BODY), Bare(400)),
        ("length_empty", with("Content-Length:", BODY), Bare(400)),
        ("length_word", with("Content-Length: all", BODY), Bare(400)),
        ("length_space", with("Content-Length: 1 7", BODY), Bare(400)),
        ("length_wide", with("Content-Length: 99999999999999999999", BODY), Bare(400)),
        ("length_most", with("Content-Length: 18446744073709551615", BODY), Bare(431)),
        ("length_huge", with("Content-Length: 9223372036854775807", BODY), Envelope(413)),
        ("both", with(&both, &chunked), EnvelopeThenClose(409)),
        ("both_turned", with(&turned, &chunked), EnvelopeThenClose(409)),
        ("both_smuggled", with(&both, &smuggled), EnvelopeThenClose(400)),
        ("both_turned_smuggled", with(&turned, &smuggled), EnvelopeThenClose(400)),
        ("coding_twice", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", &smuggled), Bare(400)),
        ("coding_list", with("Transfer-Encoding: gzip, chunked", &chunked), EnvelopeThenClose(400)),
        ("coding_turned", with("Transfer-Encoding: chunked, gzip", &chunked), Bare(400)),
        ("coding_unknown", with("Transfer-Encoding: x", &chunked), Bare(400)),
        ("coding_space", with("Transfer-Encoding : chunked", &chunked), Bare(400)),
        ("coding_quoted", with("Transfer-Encoding: \"chunked\"", &chunked), Bare(400)),
        ("coding_tab", with("Transfer-Encoding: \x0bchunked", &chunked), Bare(400)),
        ("coding_old", text(&[&post.replace("1.1", "1.0"), "Transfer-Encoding: chunked\r\n\r\n", &chunked]), Bare(400)),
        ("after_refusal", with("Content-Length: 2", &format!("[]{}", "BAD\r\n\r\n")), EnvelopeThenBare(400)),
    ]
}

fn chunks(post: &str) -> Vec<Named> {
    let with = |body: &str| text(&[post, HOST, "Transfer-Encoding: chunked\r\n\r\n", body]);
    let size = format!("{:x}", BODY.len());
    let extended = |length: usize| format!("{size};{}\r\n{BODY}\r\n0\r\n\r\n", "x".repeat(length));
    let tiny: String = BODY.chars().map(|c| format!("1\r\n{c}\r\n")).collect();
    vec![
        ("chunk_honest", with(&extended(0)), EnvelopeThenClose(409)),
        ("chunk_tiny", with(&format!("{tiny}0\r\n\r\n")), EnvelopeThenClose(409)),
        ("chunk_extension", with(&extended(200)), EnvelopeThenClose(409)),
        ("chunk_extension_long", with(&extended(100_000)), EnvelopeThenClose(400)),
        ("chunk_extension_lf", with(&format!("{size};\nx\r\n{BODY}\r\n0\r\n\r\n")), EnvelopeThenClose(400)),
        ("chunk_minus", with("-1\r\n"), EnvelopeThenClose(400)),
        ("chunk_plus", with(&format!("+{size}\r\n{BODY}\r\n0\r\n\r\n")), EnvelopeThenClose(400)),
        ("chunk_prefix", with(&format!("0x{size}\r\n{BODY}\r\n0\r\n\r\n")), EnvelopeThenClose(400)),
        ("chunk_word", with("zz\r\n\r\n"), EnvelopeThenClose(400)),
        ("chunk_empty", with("\r\n\r\n"), EnvelopeThenClose(400)),
        ("chunk_huge", with("fffffffffffffffff\r\n"), EnvelopeThenClose(400)),
        ("chunk_short", with(&format!("5\r\n{BODY}\r\n0\r\n\r\n")), EnvelopeThenClose(400)),
        ("chunk_no_end", with(&format!("{size}\r\n{BODY}XX0\r\n\r\n")), EnvelopeThenClose(400)),
        ("chunk_lf", with(&format!("{size}\n{BODY}\n0\n\n")), EnvelopeThenClose(400)),
        ("chunk_nul", with("\0\r\n\r\n"), EnvelopeThenClose(400)),
        ("trailer", with(&format!("{size}\r\n{BODY}\r\n0\r\nHost: evil.test\r\n\r\n")), EnvelopeThenClose(409)),
        (
            "trailer_long",
            with(&format!("{size}\r\n{BODY}\r\n0\r\nX: {}\r\n\r\n", "x".repeat(100_000))),
            EnvelopeThenClose(400),
        ),
        ("chunk_hidden", with(&format!("0\r\n\r\n{HIDDEN}")), EnvelopeThenClose(400)),
    ]
}

fn others(post: &str) -> Vec<Named> {
    let form = "--x\r\nContent-Disposition: form-data; name=\"choice\"\r\n\r\nlost\r\n--x--\r\n";
    let with = |headers: &str, body: &str| {
        text(&[post, HOST, headers, &format!("\r\nContent-Length: {}\r\n\r\n", body.len()), body])
    };
    vec![
        ("form", with("Content-Type: multipart/form-data; boundary=x", form), Envelope(400)),
        ("form_no_boundary", with("Content-Type: multipart/form-data", form), Envelope(400)),
        (
            "form_long_boundary",
            with(&format!("Content-Type: multipart/form-data; boundary={}", "x".repeat(5_000)), form),
            Envelope(400),
        ),
        ("form_no_end", with("Content-Type: multipart/form-data; boundary=x", &form[..60]), Envelope(400)),
        ("form_mixed", with("Content-Type: multipart/mixed; boundary=x", form), Envelope(400)),
        ("form_parts", with("Content-Type: multipart/form-data; boundary=x", &form.repeat(1_000)), Envelope(400)),
        ("type_twice", with("Content-Type: a/b\r\nContent-Type: c/d", BODY), Envelope(409)),
        (
            "type_wide",
            [post.as_bytes(), b"Host: localhost\r\nContent-Type: \xff\r\nContent-Length: 2\r\n\r\n[]"].concat(),
            Envelope(400),
        ),
        ("packed", with("Content-Encoding: gzip", BODY), Envelope(415)),
        ("packed_twice", with("Content-Encoding: identity\r\nContent-Encoding: br", BODY), Envelope(415)),
        ("expect_too_much", with("Expect: 100-continue\r\nX: 1", "[]"), Continued(400)),
        ("get_with_body", text(&["GET /nothing HTTP/1.1\r\n", HOST, "Content-Length: 5\r\n\r\nhello"]), Envelope(404)),
        ("second_is_bad", text(&["GET /nothing HTTP/1.1\r\n", HOST, "\r\n", "BAD\r\n\r\n"]), EnvelopeThenBare(404)),
        (
            "override",
            text(&["GET /api/v1/tasks/x/resolve HTTP/1.1\r\n", HOST, "X-HTTP-Method-Override: POST\r\n\r\n"]),
            Envelope(405),
        ),
        (
            "original_url",
            text(&["GET /nothing HTTP/1.1\r\n", HOST, "X-Original-URL: /healthz\r\nX-Rewrite-URL: /healthz\r\n\r\n"]),
            Envelope(404),
        ),
        (
            "forwarded",
            text(&[
                "GET /nothing HTTP/1.1\r\n",
                HOST,
                "X-Forwarded-Host: evil.test\r\nForwarded: host=evil.test\r\n\r\n",
            ]),
            Envelope(404),
        ),
    ]
}
