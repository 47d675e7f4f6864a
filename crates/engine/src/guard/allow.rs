//! What the operator lets through.

use super::names;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, SocketAddr};
use url::{Host, Url};

/// The widest networks that an entry may open: as wide as the widest private ranges.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 7;

#[derive(Debug)]
enum Target {
    Host(String),
    Network(IpNet),
}

#[derive(Debug)]
struct Rule {
    target: Target,
    /// Any, when the entry names none.
    port: Option<u16>,
}

#[derive(Debug, Default)]
pub(super) struct Allow(Vec<Rule>);

impl Allow {
    pub(super) fn parse(entries: &[String]) -> Result<Self, String> {
        let entries = entries.iter().map(|entry| entry.trim()).filter(|entry| !entry.is_empty());
        let rules =
            entries.map(|entry| rule(entry).map_err(|why| format!("The address guard cannot allow '{entry}': {why}.")));
        Ok(Self(rules.collect::<Result<_, _>>()?))
    }

    /// `name` in its normal form.
    pub(super) fn covers_host(&self, name: &str, port: u16) -> bool {
        self.at(port).any(|target| matches!(target, Target::Host(host) if host == name))
    }

    pub(super) fn covers_ip(&self, ip: IpAddr, port: u16) -> bool {
        self.at(port).any(|target| matches!(target, Target::Network(net) if net.contains(&ip)))
    }

    /// Whether a name may use this port at all, if only it leads to the right network.
    pub(super) fn has_network_at(&self, port: u16) -> bool {
        self.at(port).any(|target| matches!(target, Target::Network(_)))
    }

    fn at(&self, port: u16) -> impl Iterator<Item = &Target> {
        self.0.iter().filter(move |rule| rule.port.is_none_or(|own| own == port)).map(|rule| &rule.target)
    }
}

fn rule(entry: &str) -> Result<Rule, String> {
    if entry.contains('*') {
        return Err("name hosts or networks one by one, never all".to_owned());
    }
    if entry.contains('/') {
        return Ok(Rule { target: Target::Network(network(entry)?), port: None });
    }
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(Rule { target: single(ip), port: None });
    }
    if let Ok(addr) = entry.parse::<SocketAddr>() {
        return Ok(Rule { target: single(addr.ip()), port: Some(checked(addr.port())?) });
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) => (host, Some(checked(port.parse().map_err(|_| format!("'{port}' is no port"))?)?)),
        None => (entry, None),
    };
    Ok(Rule { target: named(host)?, port })
}

fn checked(port: u16) -> Result<u16, String> {
    if port == 0 { Err("'0' is no port".to_owned()) } else { Ok(port) }
}

fn network(entry: &str) -> Result<IpNet, String> {
    let net = entry.parse::<IpNet>().map_err(|_| "it is no network such as '10.1.0.0/16'".to_owned())?;
    let widest = if net.addr().is_ipv4() { WIDEST_V4 } else { WIDEST_V6 };
    if net.prefix_len() < widest {
        return Err(format!("it is too wide; the widest network is a /{widest}, never all"));
    }
    if net.addr() != net.addr().to_canonical() {
        return Err("write it as an IPv4 network".to_owned());
    }
    Ok(net.trunc())
}

fn single(ip: IpAddr) -> Target {
    Target::Network(match ip.to_canonical() {
        IpAddr::V4(ip) => IpNet::V4(Ipv4Net::from(ip)),
        IpAddr::V6(ip) => IpNet::V6(Ipv6Net::from(ip)),
    })
}

/// Reads a host as a URL's host is read, so that both are compared in one spelling.
fn named(host: &str) -> Result<Target, String> {
    let wrong = || "it is no host, 'host:port', address or network".to_owned();
    if host.is_empty() || host.contains(['@', ':', '?', '#', '\\']) || host.contains(char::is_whitespace) {
        return Err(wrong());
    }
    match Url::parse(&format!("http://{host}/")).map_err(|_| wrong())?.host() {
        Some(Host::Domain(name)) if names::is_well_formed(&names::normal(name)) => {
            Ok(Target::Host(names::normal(name)))
        }
        Some(Host::Ipv4(ip)) => Ok(single(ip.into())),
        _ => Err(wrong()),
    }
}
