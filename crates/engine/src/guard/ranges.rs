//! Which addresses are not on the public internet.
//!
//! The standard library's own judgement (`is_global`) is unstable, so the registries of special
//! addresses are written out here, each range with the document that reserves it.

use ipnet::{Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

type Range<Net> = (Net, &'static str);

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(head: [u16; 4], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(head[0], head[1], head[2], head[3], 0, 0, 0, 0), length)
}

const V4: &[Range<Ipv4Net>] = &[
    (v4(0, 0, 0, 0, 8), "this network (RFC 791)"),
    (v4(10, 0, 0, 0, 8), "private (RFC 1918)"),
    (v4(100, 64, 0, 0, 10), "shared by carriers and used for metadata (RFC 6598)"),
    (v4(127, 0, 0, 0, 8), "loopback (RFC 1122)"),
    (v4(168, 63, 129, 16, 32), "a cloud's platform service"),
    (v4(169, 254, 0, 0, 16), "link-local and used for metadata (RFC 3927)"),
    (v4(172, 16, 0, 0, 12), "private (RFC 1918)"),
    (v4(192, 0, 0, 0, 24), "for protocol assignments (RFC 6890)"),
    (v4(192, 0, 2, 0, 24), "for documentation (RFC 5737)"),
    (v4(192, 88, 99, 0, 24), "for 6to4 relays (RFC 7526)"),
    (v4(192, 168, 0, 0, 16), "private (RFC 1918)"),
    (v4(198, 18, 0, 0, 15), "for benchmarking (RFC 2544)"),
    (v4(198, 51, 100, 0, 24), "for documentation (RFC 5737)"),
    (v4(203, 0, 113, 0, 24), "for documentation (RFC 5737)"),
    (v4(224, 0, 0, 0, 4), "multicast (RFC 5771)"),
    (v4(255, 255, 255, 255, 32), "broadcast (RFC 919)"),
    (v4(240, 0, 0, 0, 4), "reserved (RFC 1112)"),
];

const V6: &[Range<Ipv6Net>] = &[
    (v6([0, 0, 0, 0], 128), "unspecified (RFC 4291)"),
    (v6([0x64, 0xff9b, 1, 0], 48), "for translation inside a network (RFC 8215)"),
    (v6([0x100, 0, 0, 0], 64), "for discarding (RFC 6666)"),
    (v6([0x100, 0, 0, 1], 64), "a dummy prefix (RFC 9780)"),
    (v6([0x2001, 0, 0, 0], 23), "for protocol assignments (RFC 2928)"),
    (v6([0x2001, 0xdb8, 0, 0], 32), "for documentation (RFC 3849)"),
    (v6([0x3fff, 0, 0, 0], 20), "for documentation (RFC 9637)"),
    (v6([0x5f00, 0, 0, 0], 16), "for segment routing (RFC 9602)"),
    (v6([0xfc00, 0, 0, 0], 7), "unique-local (RFC 4193)"),
    (v6([0xfe80, 0, 0, 0], 10), "link-local (RFC 4291)"),
    (v6([0xfec0, 0, 0, 0], 10), "site-local (RFC 3879)"),
    (v6([0xff00, 0, 0, 0], 8), "multicast (RFC 4291)"),
];

/// All that IPv6 has given out for public use (RFC 4291).
const V6_PUBLIC: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

/// What kind of address this is when it is not a public one.
pub(super) fn kind(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => V4.iter().find(|(net, _)| net.contains(&ip)).map(|(_, kind)| *kind),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => Some("loopback (RFC 4291)"),
        IpAddr::V6(ip) => V6
            .iter()
            .find(|(net, _)| net.contains(&ip))
            .map(|(_, kind)| *kind)
            .or_else(|| (!V6_PUBLIC.contains(&ip)).then_some("outside the public range (RFC 4291)")),
    }
}

/// The IPv4 addresses to which packets for this IPv6 address may go; empty when it carries none.
pub(super) fn carried(ip: Ipv6Addr) -> Vec<Ipv4Addr> {
    let s = ip.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let last = join(s[6], s[7]);
    match s {
        // Neither names an IPv4 host: they are IPv6's own unspecified and loopback.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => vec![],
        // Compatible and mapped (RFC 4291).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] => vec![last],
        // Translated (RFC 2765).
        [0, 0, 0, 0, 0xffff, 0, ..] => vec![last],
        // NAT64 with the well-known prefix (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![last],
        // Teredo: its server, and its client with every bit turned (RFC 4380).
        [0x2001, 0, ..] => vec![join(s[2], s[3]), join(!s[6], !s[7])],
        // 6to4 (RFC 3056), whose lower half may name a host by ISATAP besides.
        [0x2002, ..] => std::iter::once(join(s[1], s[2])).chain(isatap(s[4], s[5]).then_some(last)).collect(),
        // ISATAP under any prefix (RFC 5214).
        _ => isatap(s[4], s[5]).then_some(last).into_iter().collect(),
    }
}

fn isatap(high: u16, low: u16) -> bool {
    // The second bit says whether the inner address is meant to be unique in the world.
    high & !0x0200 == 0 && low == 0x5efe
}
