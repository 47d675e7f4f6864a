//! A name server on the loopback that answers as a script says.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use tokio::net::UdpSocket;

use crate::namespace::{GOOD_V4, GOOD_V6};

const A: u16 = 1;
const AAAA: u16 = 28;

/// How often `flip.example` was asked for its address.
pub type Flips = Arc<AtomicU32>;

pub async fn serve() -> Flips {
    let socket = UdpSocket::bind("127.0.0.1:53").await.unwrap();
    let flips = Flips::default();
    let counter = flips.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            if let Some(reply) = reply(&buffer[..length], &counter) {
                socket.send_to(&reply, from).await.unwrap();
            }
        }
    });
    flips
}

/// Every answer lives zero seconds.
fn reply(query: &[u8], flips: &Flips) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    while *query.get(at)? > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(query.get(at + 1..end)?).to_lowercase());
        at = end;
    }
    let kind = u16::from_be_bytes([*query.get(at + 1)?, *query.get(at + 2)?]);
    let all = script(&labels.join("."), kind, flips);
    let answers: Vec<_> = all.into_iter().filter(|ip| kind == if ip.is_ipv4() { A } else { AAAA }).collect();

    let mut reply = query[..2].to_vec();
    reply.extend([0x81, 0x80, 0, 1, 0, u8::try_from(answers.len()).ok()?, 0, 0, 0, 0]);
    reply.extend(query.get(12..at + 5)?);
    for ip in answers {
        let bytes = match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 0, 0, u8::try_from(bytes.len()).ok()?]);
        reply.extend(bytes);
    }
    Some(reply)
}

/// `a-b-c-d.v4.example` and `a-b-….v6.example` lead to the address that they spell.
fn script(name: &str, kind: u16, flips: &Flips) -> Vec<IpAddr> {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let bad = IpAddr::from(Ipv4Addr::new(10, 0, 0, 7));
    if let Some(spelt) = name.strip_suffix(".v4.example") {
        return vec![spelt.replace('-', ".").parse::<Ipv4Addr>().unwrap().into()];
    }
    if let Some(spelt) = name.strip_suffix(".v6.example") {
        return vec![spelt.replace('-', ":").parse::<Ipv6Addr>().unwrap().into()];
    }
    match name {
        "good.example" | "corp.example" => vec![ip(GOOD_V4)],
        "good6.example" => vec![ip(GOOD_V6)],
        "mixed.example" => vec![ip(GOOD_V4), bad],
        "mixed-first.example" => vec![bad, ip(GOOD_V4)],
        "mixed6.example" => vec![ip(GOOD_V4), ip("::1")],
        "mixed-late.example" => (0..8).map(|_| ip(GOOD_V4)).chain([bad]).collect(),
        "private.example" => vec![bad],
        // Good and bad in turn, so that whoever asks twice gets one of each.
        "flip.example" if kind == A => match flips.fetch_add(1, Ordering::SeqCst) % 2 {
            0 => vec![ip(GOOD_V4)],
            _ => vec![bad],
        },
        _ => vec![],
    }
}
