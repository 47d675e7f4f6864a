//! Listeners that count by which address they were reached, and serve redirects.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Any address, by both protocols.
const ANY: &str = "[::]";
/// Web ports, and one that is none.
pub const PORTS: [u16; 3] = [80, 443, 8080];
const STATUSES: [&str; 5] = ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"];
pub const BODY: &[u8] = b"the bytes behind a good link";

#[derive(Clone, Default)]
pub struct Canaries {
    reached: Arc<Mutex<BTreeMap<IpAddr, u32>>>,
    targets: Arc<Vec<String>>,
}

impl Canaries {
    /// `/r/5` redirects to the fifth target, `/rr/5` to `/r/5`; everything else is a body.
    pub async fn listen(targets: Vec<String>) -> Self {
        // A header cannot hold a line break.
        let targets = targets.into_iter().map(|target| target.replace('\n', "")).collect();
        let this = Self { targets: Arc::new(targets), ..Self::default() };
        for port in PORTS {
            let listener = TcpListener::bind(format!("{ANY}:{port}")).await.unwrap();
            let this = this.clone();
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let ip = stream.local_addr().unwrap().ip().to_canonical();
                    *this.reached.lock().unwrap().entry(ip).or_default() += 1;
                    tokio::spawn(this.clone().serve(stream));
                }
            });
        }
        this
    }

    /// Connections since the last look, by the address that was reached.
    pub fn take(&self) -> BTreeMap<IpAddr, u32> {
        std::mem::take(&mut *self.reached.lock().unwrap())
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                // TLS: to have been reached is all that counts.
                Ok(0x16) | Err(_) => return,
                Ok(byte) => head.push(byte),
            }
        }
        let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
        let index = |prefix| path.strip_prefix(prefix).and_then(|rest: &str| rest.parse::<usize>().ok());
        let location = match (index("/r/"), index("/rr/")) {
            (Some(at), _) => Some((at, self.targets[at].clone())),
            (_, Some(at)) => Some((at, format!("/r/{at}"))),
            _ => None,
        };
        let (line, body) = match location {
            Some((at, to)) => (format!("{}\r\nLocation: {to}", STATUSES[at % 5]), &b""[..]),
            None => ("200 OK".to_owned(), BODY),
        };
        let head = format!("HTTP/1.1 {line}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let answer = [head.as_bytes(), body].concat();
        // Whoever hangs up early has been counted already.
        let _ = stream.write_all(&answer).await;
    }
}
