//! Spellings of addresses that must never be reached, and of some that may be.

use std::net::{Ipv4Addr, Ipv6Addr};

/// One address of each sort, among them the metadata addresses of the clouds.
pub const CANARIES_V4: &[[u8; 4]] = &[
    [0, 0, 0, 0],
    [10, 0, 0, 7],
    [100, 64, 0, 1],
    [100, 100, 100, 200],
    [127, 0, 0, 1],
    [168, 63, 129, 16],
    [169, 254, 169, 254],
    [172, 16, 0, 9],
    [192, 0, 0, 192],
    [192, 168, 1, 1],
    [198, 18, 0, 1],
    [203, 0, 113, 9],
];

pub const CANARIES_V6: &[&str] =
    &["::1", "fd00:ec2::254", "fd20:ce::254", "fe80::a9fe:a9fe", "fec0::1", "2001:db8::9", "100::1", "3fff::1"];

/// Links whose text alone shows that they must be refused.
pub fn refused() -> Vec<String> {
    let mut all: Vec<String> = CANARIES_V4.iter().flat_map(|octets| of_v4(*octets)).collect();
    all.extend(CANARIES_V6.iter().flat_map(|ip| {
        let ip: Ipv6Addr = ip.parse().unwrap();
        let long = ip.segments().map(|segment| format!("{segment:04X}")).join(":");
        [format!("http://[{ip}]/ok"), format!("http://[{long}]/ok"), format!("https://[{ip}]:80/ok")]
    }));
    all.extend(OTHERS.iter().map(|text| (*text).to_owned()));
    all
}

fn of_v4(octets: [u8; 4]) -> Vec<String> {
    let [a, b, c, d] = octets;
    let ip = Ipv4Addr::from(octets);
    let whole = u32::from(ip);
    let three = whole & 0x00ff_ffff;
    let two = whole & 0xffff;
    let (high, low) = (whole >> 16, two);
    let wide: String = ip.to_string().chars().map(full_width).collect();
    let circled: String = ip.to_string().chars().map(circled).collect();
    let percent: String = ip.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
    let hosts = [
        format!("{ip}"),
        format!("{ip}."),
        format!("{whole}"),
        format!("{whole:#x}"),
        format!("{whole:#X}").replace("0X", "0x"),
        format!("{whole:#X}").replace("0x", "0X"),
        format!("0{whole:o}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("000{a:o}.00{b:o}.0{c:o}.{d}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("{a}.{b:#x}.0{c:o}.{d}"),
        format!("{a}.{b}.{two}"),
        format!("{a}.{three}"),
        format!("{a:#x}.{three:#x}"),
        wide,
        circled,
        percent,
        format!("{a}。{b}．{c}｡{d}"),
        format!("[::ffff:{ip}]"),
        format!("[::FFFF:{high:x}:{low:x}]"),
        format!("[0000:0000:0000:0000:0000:ffff:{high:04x}:{low:04x}]"),
        format!("[::{ip}]"),
        format!("[::ffff:0:{ip}]"),
        format!("[64:ff9b::{ip}]"),
        format!("[64:ff9b:1::{ip}]"),
        format!("[64:ff9b:1:{high:x}:{:x}:{:x}::]", low >> 8, (low & 0xff) << 8),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2001:0:5db8:d70e::{:x}:{:x}]", !high & 0xffff, !low & 0xffff),
        format!("[2001:0:{high:x}:{low:x}::a247:28f1]"),
        format!("[2606:2800:21f:1::5efe:{high:x}:{low:x}]"),
        format!("[2606:2800:21f:1:200:5efe:{high:x}:{low:x}]"),
        format!("good.example@{ip}"),
    ];
    let mut all: Vec<String> = hosts.iter().map(|host| format!("http://{host}/ok")).collect();
    all.extend([
        format!("https://{ip}/ok"),
        format!("HTTP://{ip}:80/ok"),
        format!("http:{ip}/ok"),
        format!("http:///{ip}/ok"),
        format!("http:\\\\{ip}\\ok"),
        format!("  http://{ip}/ok\n"),
        format!("ht\ttp://{ip}/o\nk"),
        format!("http://{ip}#@good.example/"),
        format!("http://{ip}?@good.example/"),
        format!("http://{ip}\\@good.example/"),
        format!("http://{ip}:8080/ok"),
    ]);
    all
}

fn full_width(c: char) -> char {
    c.to_digit(10).and_then(|digit| char::from_u32(0xff10 + digit)).unwrap_or(c)
}

fn circled(c: char) -> char {
    match c.to_digit(10) {
        Some(0) => '⓪',
        Some(digit) => char::from_u32(0x245f + digit).unwrap_or(c),
        None => c,
    }
}

const OTHERS: &[&str] = &[
    // Short forms of loopback and of this network.
    "http://0/ok",
    "http://127.1/ok",
    "http://127.0.1/ok",
    "http://0x7f.1/ok",
    "http://017700000001/ok",
    "http://[::]/ok",
    "http://[::127.1]/ok",
    "http://[fe80::1%25lo]/ok",
    "http://[ff02::1]/ok",
    "http://[ff0e::1]/ok",
    "http://[4000::1]/ok",
    "http://[5f00::1]/ok",
    "http://[2001:2::1]/ok",
    "http://[2001:20::1]/ok",
    "http://[100:0:0:1::1]/ok",
    "http://224.0.0.1/ok",
    "http://239.255.255.250/ok",
    "http://240.0.0.1/ok",
    "http://255.255.255.255/ok",
    "http://192.0.2.1/ok",
    "http://198.51.100.1/ok",
    "http://192.88.99.1/ok",
    // Local names.
    "http://localhost/ok",
    "http://LOCALHOST/ok",
    "http://localhost./ok",
    "http://ｌocalhost/ok",
    "http://%6cocalhost/ok",
    "http://a.b.localhost/ok",
    "http://localhost.localdomain/ok",
    "http://ip6-localhost/ok",
    "http://metadata/ok",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://METADATA.google.internal./computeMetadata/v1/",
    "http://metadata.goog/ok",
    "http://metadata.tencentyun.com/ok",
    "http://instance-data/latest/meta-data/",
    "http://instance-data.ec2.internal/latest/meta-data/",
    "http://printer.local/ok",
    "http://router.lan/ok",
    "http://nas.home.arpa/ok",
    "http://postgres/ok",
    // What no name looks like.
    "http://good..example/ok",
    "http://127.0.0.1../ok",
    "http://.example/ok",
    // Ports.
    "http://good.example:22/ok",
    "http://good.example:8080/ok",
    "https://good.example:6379/ok",
    "http://good.example:0/ok",
    "http://93.184.215.14:8080/ok",
    "http://[2606:2800:21f::e]:8080/ok",
    // Schemes.
    "ftp://good.example/ok",
    "file:///etc/passwd",
    "gopher://good.example/ok",
    "ws://good.example/ok",
    "javascript:alert(1)",
    "data:image/png;base64,AAAA",
    "unix:/run/docker.sock",
    // Credentials.
    "http://user@good.example/ok",
    "http://user:word@good.example/ok",
    "http://:word@good.example/ok",
    // Nothing at all.
    "",
    "http://",
    "//good.example/ok",
    "good.example/ok",
    "http://good.example:99999/ok",
];

/// Links that nothing speaks against, in the spellings that public hosts come in.
pub const ACCEPTED: &[&str] = &[
    "http://good.example/ok",
    "https://good.example/ok",
    "HTTPS://Good.Example:443/ok?sig=a%2Fb#part",
    "http://good.example.:80/ok",
    "https://xn--bcher-kva.example/ok",
    "https://bücher.example/ok",
    "https://my_bucket.s3.amazonaws.com/a/b.png?X-Amz-Signature=00",
    "http://good.example:443/ok",
    "https://notlocalhost.example/ok",
    "https://internal.example/ok",
    "https://mylan.example/ok",
    "http://93.184.215.14/ok",
    "http://0x5db8d70e/ok",
    "http://9.255.255.255/ok",
    "http://11.0.0.0/ok",
    "http://100.63.255.255/ok",
    "http://100.128.0.0/ok",
    "http://126.255.255.255/ok",
    "http://128.0.0.1/ok",
    "http://169.253.255.255/ok",
    "http://172.15.255.255/ok",
    "http://172.32.0.0/ok",
    "http://192.167.255.255/ok",
    "http://198.17.255.255/ok",
    "http://198.20.0.0/ok",
    "http://223.255.255.255/ok",
    "http://[2606:2800:21f::e]/ok",
    "http://[::ffff:93.184.215.14]/ok",
    "http://[64:ff9b::93.184.215.14]/ok",
    "http://[2002:5db8:d70e::1]/ok",
];
