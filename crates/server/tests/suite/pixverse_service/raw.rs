//! Requests as bytes on a bare connection, and what comes back.

use pixel_testkit::client::Answer;
use serde_json::Value;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Who asks in most cases.
pub const WHO: &str = "app_bundle_id=com.example.app&apphud_user_id=user-1";

/// Sends one request and reads the whole answer.
pub async fn send(url: &str, bytes: &[u8]) -> Answer {
    timeout(PATIENCE, exchange(url, bytes)).await.unwrap_or_else(|_| panic!("no answer to {}", shown(bytes)))
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned()
}

async fn exchange(url: &str, bytes: &[u8]) -> Answer {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    let (mut from, mut to) = stream.split();
    let mut heard = Vec::new();
    // A refusal may come before everything is sent.
    let (sent, read) = tokio::join!(to.write_all(bytes), from.read_to_end(&mut heard));
    assert!(read.is_ok() && (sent.is_ok() || !heard.is_empty()), "{sent:?} {read:?}: {}", shown(bytes));
    parse(&heard).unwrap_or_else(|| panic!("no answer to {}: {}", shown(bytes), shown(&heard)))
}

fn parse(heard: &[u8]) -> Option<Answer> {
    let end = heard.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&heard[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = axum::http::HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.append(name.parse::<axum::http::HeaderName>().ok()?, value.trim().parse().ok()?);
    }
    let body = heard[end + 4..].to_vec();
    let announced = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    assert!(announced.is_none_or(|length: usize| length == body.len() || body.is_empty()), "{head}");
    Some(Answer { status, headers, bytes: body.into() })
}

/// A request with these header lines.
pub fn request(line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}{length}\r\n");
    [head.as_bytes(), body].concat()
}

pub fn get(target: &str) -> Vec<u8> {
    request(&format!("GET {target}"), "", b"")
}

pub fn form(path: &str, body: &str) -> Vec<u8> {
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    request(&format!("POST {path}"), kind, body.as_bytes())
}

pub fn json(path: &str, kind: &str, body: &Value) -> Vec<u8> {
    let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    request(&format!("POST {path}"), &kind, body.to_string().as_bytes())
}

/// One part: its name, what else stands in its header, its bytes.
pub struct Part<'a>(pub &'a str, pub &'a str, pub &'a [u8]);

pub const BOUNDARY: &str = "------------------------d74496d66958873e";

pub fn parts(path: &str, parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for Part(name, more, bytes) in parts {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n");
        body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
    request(&format!("POST {path}"), &format!("Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"), &body)
}

/// The bytes of a request in chunks.
pub fn chunked(request: &[u8]) -> Vec<u8> {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let (head, body) = (String::from_utf8_lossy(&request[..end]), &request[end + 4..]);
    let lines = head.split("\r\n").filter(|line| !line.starts_with("Content-Length"));
    let mut all = lines.collect::<Vec<_>>().join("\r\n").into_bytes();
    all.extend(b"\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in body.chunks(1000) {
        all.extend([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    }
    all.extend(b"0\r\n\r\n");
    all
}
