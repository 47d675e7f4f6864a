//! A refusal reaches a client that is still sending.

use crate::support::IMAGE;
use pixel_testkit::{Rig, on_sqlite};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

on_sqlite!(
    a_refusal_waits_for_the_rest_of_its_body,
    a_body_that_waits_to_be_asked_for_is_not_asked_for,
    a_body_without_measure_is_not_waited_for,
);

const MIB: usize = 1 << 20;
const SOON: Duration = Duration::from_secs(30);

async fn a_refusal_waits_for_the_rest_of_its_body(rig: Rig) {
    let server = rig.server().start().await;
    let mut wire = Wire::to(server.url()).await;
    for (target, bytes, status) in [
        (format!("POST {IMAGE}"), 33 * MIB, 413),
        ("POST /nothing".to_owned(), 3 * MIB, 404),
        ("DELETE /api/v1/models".to_owned(), 3 * MIB, 405),
        (format!("POST {IMAGE}"), 33 * MIB, 413),
    ] {
        // One connection for all: none of the refusals may have closed it.
        wire.send(&format!("{target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {bytes}\r\n\r\n")).await;
        for _ in 0..bytes / MIB {
            wire.stream.write_all(&vec![b' '; MIB]).await.expect("the server reads to the end");
        }
        assert_eq!(wire.status().await, status, "{target}");
    }
}

async fn a_body_that_waits_to_be_asked_for_is_not_asked_for(rig: Rig) {
    let server = rig.server().start().await;
    let mut wire = Wire::to(server.url()).await;
    let head = "host: localhost\r\nexpect: 100-continue\r\ncontent-length: 34603008\r\n\r\n";
    wire.send(&format!("POST {IMAGE} HTTP/1.1\r\n{head}")).await;
    assert_eq!(wire.status().await, 413, "not 100: nobody wants this body");
}

async fn a_body_without_measure_is_not_waited_for(rig: Rig) {
    let server = rig.server().start().await;
    let mut wire = Wire::to(server.url()).await;
    let head = "host: localhost\r\ncontent-length: 1099511627776\r\n\r\n";
    wire.send(&format!("POST {IMAGE} HTTP/1.1\r\n{head}")).await;
    assert_eq!(wire.status().await, 413);
}

/// A connection whose bytes the test itself writes and reads.
struct Wire {
    stream: TcpStream,
}

impl Wire {
    async fn to(url: &str) -> Self {
        let address = url.trim_start_matches("http://");
        Self { stream: TcpStream::connect(address).await.expect("the server listens") }
    }

    async fn send(&mut self, head: &str) {
        self.stream.write_all(head.as_bytes()).await.expect("the head is sent");
    }

    /// The status of the next answer, which is read whole.
    async fn status(&mut self) -> u16 {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            let byte = timeout(SOON, self.stream.read_u8()).await.expect("an answer in time");
            text.push(byte.expect("an answer, and no reset"));
        }
        let text = String::from_utf8(text).expect("a readable head").to_lowercase();
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let mut body = vec![0; length.expect("a length").parse().expect("a number")];
        self.stream.read_exact(&mut body).await.expect("a whole body");
        text.split(' ').nth(1).expect("a status").parse().expect("a number")
    }
}
