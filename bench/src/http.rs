//! A light HTTP/1.1 client: one kept connection, one request at a time, answers with a length.

use crate::Result;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Connection {
    /// `address` is a host and a port.
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: Vec::with_capacity(8192) })
    }

    /// Sends a whole request and returns the answer's body; anything but a 200 is an error.
    pub async fn call(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request).await?;
        self.input.clear();
        let head = loop {
            if let Some(at) = find(&self.input, b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more().await?;
        };
        let (status, length) = parse_head(&self.input[..head])?;
        while self.input.len() < head + length {
            self.read_more().await?;
        }
        let body = &self.input[head..];
        match status {
            200 => Ok(body),
            _ => Err(format!("the server answered {status}: {}", String::from_utf8_lossy(body)).into()),
        }
    }

    async fn read_more(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err("the server hung up in the middle of an answer".into()),
            _ => Ok(()),
        }
    }
}

pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n").into_bytes()
}

pub fn post(path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {length}");
    format!("{head}\r\n\r\n{body}").into_bytes()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn parse_head(head: &[u8]) -> Result<(u16, usize)> {
    let text = str::from_utf8(head)?;
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    match (status, length) {
        (Some(status), Some(length)) => Ok((status, length)),
        _ => Err(format!("an answer without status or length: {text}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_gives_status_and_length() {
        let head = b"HTTP/1.1 404 Not Found\r\nx: 1\r\nContent-Length:  17\r\n\r\n";
        assert_eq!(parse_head(head).unwrap(), (404, 17));
        assert!(parse_head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
