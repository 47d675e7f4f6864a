//! Judges every address that a caller chose or a vendor returned, before a byte is sent to it.
//!
//! A link is parsed once. What its text tells (scheme, credentials, port, a literal address in any
//! spelling, a local name) is judged by [`Guard::judge`]; the addresses behind a name are judged by
//! [`Guard::judge_addr`]. Both use the same table, because an address that is written out never
//! meets a resolver. The operator's list lets named hosts and networks through, never all.

mod allow;
mod names;
mod own;
mod ranges;

use allow::Allow;
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use url::{Host, Url};

/// Longer than any signed link we know; http's own limit is four times as much.
const URL_BYTES_MAX: usize = 16 * 1024;
/// So much of a host is repeated in a sentence.
const SHOWN_CHARS_MAX: usize = 80;

#[derive(Clone, Debug)]
pub struct Guard {
    allow: Arc<Allow>,
    own: Own,
}

/// Says which addresses are this machine's own.
pub type Own = fn() -> io::Result<Vec<IpAddr>>;

/// Why an address is not used: a full sentence, fit for the caller. It never tells to which address
/// a name leads, since that could be a fact about the operator's network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub reason: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refused {}

impl Guard {
    /// Reads the operator's list: hosts, `host:port`, addresses and networks in CIDR form. A bare
    /// host or network allows any port. The error is a sentence that names the bad entry.
    pub fn new(allow: &[String]) -> Result<Self, String> {
        Self::on_machine(allow, own::addresses)
    }

    /// The same on a machine that has these addresses.
    pub fn on_machine(allow: &[String], own: Own) -> Result<Self, String> {
        Ok(Self { allow: Arc::new(Allow::parse(allow)?), own })
    }

    /// Judges what can be judged from the text alone. The returned link is the one to use: it holds
    /// the host in the only spelling that was judged.
    pub fn judge(&self, text: &str) -> Result<Url, Refused> {
        if text.len() > URL_BYTES_MAX {
            return refuse(format!("The URL is longer than {URL_BYTES_MAX} bytes."));
        }
        let url = Url::parse(text).or_else(|why| refuse(format!("The URL cannot be read: {why}.")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return refuse(format!("URLs must start with http:// or https://, not '{}:'.", shown(url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("The URL carries credentials, which are never sent.".to_owned());
        }
        let port = url.port_or_known_default().unwrap_or(0);
        match url.host() {
            Some(Host::Domain(name)) => self.judge_name(name, port)?,
            Some(Host::Ipv4(ip)) => self.judge_literal(ip.into(), port)?,
            Some(Host::Ipv6(ip)) => self.judge_literal(ip.into(), port)?,
            None => return refuse("The URL names no host.".to_owned()),
        }
        Ok(url)
    }

    /// Judges one of the addresses to which a host leads; its port is the link's.
    pub fn judge_addr(&self, host: &str, addr: SocketAddr) -> Result<(), Refused> {
        if self.allow.covers_host(&names::normal(host), addr.port()) {
            return Ok(());
        }
        self.judge_ip(addr.ip(), addr.port()).or_else(|kind| {
            refuse(format!("The host '{}' leads to an address that is {kind}. {}", shown(host), hint()))
        })
    }

    fn judge_name(&self, name: &str, port: u16) -> Result<(), Refused> {
        let normal = names::normal(name);
        if self.allow.covers_host(&normal, port) {
            return Ok(());
        }
        if !names::is_well_formed(&normal) {
            return refuse(format!("The URL's host '{}' is not a valid name.", shown(name)));
        }
        if names::is_local(&normal) {
            return refuse(format!("The host '{}' is a local name. {}", shown(name), hint()));
        }
        // Where a network is allowed with this port, only the name's addresses can decide.
        if !is_web(port) && !self.allow.has_network_at(port) {
            return refuse(format!("The URL's port {port} is neither 80 nor 443. {}", hint()));
        }
        Ok(())
    }

    fn judge_literal(&self, ip: IpAddr, port: u16) -> Result<(), Refused> {
        self.judge_ip(ip, port).or_else(|kind| refuse(format!("The address '{ip}' is {kind}. {}", hint())))
    }

    /// The error completes the sentence "the address is …".
    fn judge_ip(&self, ip: IpAddr, port: u16) -> Result<(), String> {
        // The system itself sends packets for a mapped address over IPv4.
        let ip = ip.to_canonical();
        if self.allow.covers_ip(ip, port) {
            return Ok(());
        }
        if !is_web(port) {
            return Err(format!("asked on port {port}, which is neither 80 nor 443"));
        }
        if let IpAddr::V6(outer) = ip {
            let carried = ranges::carried(outer);
            if !carried.is_empty() {
                return carried.into_iter().try_for_each(|inner| self.judge_ip(inner.into(), port));
            }
        }
        ranges::kind(ip).map_or(Ok(()), |kind| Err(kind.to_owned()))?;
        // A public address of this machine leads to what listens on it behind every firewall.
        match (self.own)() {
            Ok(own) if own.iter().any(|own| own.to_canonical() == ip) => Err("this server's own".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(format!("not known to be another machine's ({error})")),
        }
    }
}

fn is_web(port: u16) -> bool {
    matches!(port, 80 | 443)
}

fn hint() -> &'static str {
    "This server does not connect to it unless its operator allows that (PIXEL_FETCH_ALLOW)."
}

fn refuse<T>(reason: String) -> Result<T, Refused> {
    Err(Refused { reason })
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}
