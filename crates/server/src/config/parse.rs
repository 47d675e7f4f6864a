//! Reads single values that are more than text or a number. Each refusal says what to write.

use super::{
    problem::{Wrong, wrong},
    settings::{HoldPolicy, LogFormat},
    value::masked,
};
use pixel_core::vendor::Secret;
use pixel_engine::guard::Guard;
use std::{net::SocketAddr, path::PathBuf};
use tracing_subscriber::EnvFilter;
use url::Url;

pub fn listen(text: &str) -> Result<SocketAddr, Wrong> {
    let address = match text.rsplit_once(':') {
        Some((host, port)) if host.eq_ignore_ascii_case("localhost") => format!("127.0.0.1:{port}"),
        _ => text.to_owned(),
    };
    let Ok(address) = address.parse::<SocketAddr>() else {
        return wrong(
            format!("'{text}' is not an IP address and a port (host names are not looked up)"),
            "Write it like 127.0.0.1:8000, [::1]:8000 or localhost:8000",
        );
    };
    Ok(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

pub fn folder(text: &str) -> Result<PathBuf, Wrong> {
    match text {
        "" => wrong("the path of the folder is empty", "Name a folder, such as ./data"),
        _ if text.starts_with("~/") || text == "~" => {
            wrong(format!("'{text}' starts with ~, which only a shell replaces"), "Write the whole path")
        }
        _ if text.contains("://") => {
            wrong(format!("'{}' is an address", masked(text)), "Name a folder on this machine, such as ./data")
        }
        _ => Ok(PathBuf::from(text)),
    }
}

/// A folder that may be left out.
pub fn optional_folder(text: &str) -> Result<Option<PathBuf>, Wrong> {
    if text.is_empty() { Ok(None) } else { folder(text).map(Some) }
}

/// Where media is kept.
pub enum MediaAt {
    /// In the data folder.
    Data,
    Folder(PathBuf),
    Bucket {
        name: String,
        /// Without slashes around it.
        prefix: String,
    },
}

pub fn blobs(text: &str) -> Result<MediaAt, Wrong> {
    if text.is_empty() {
        return Ok(MediaAt::Data);
    }
    let Some(rest) = text.strip_prefix("s3://") else { return folder(text).map(MediaAt::Folder) };
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    let is_part = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !matches!(part, "" | "." | "..") && part.bytes().all(fits)
    };
    let is_name = (3..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte));
    match is_name && (prefix.is_empty() || prefix.split('/').all(is_part)) {
        true => Ok(MediaAt::Bucket { name: name.to_owned(), prefix: prefix.to_owned() }),
        false => wrong(
            "what follows s3:// is not a bucket's name and, after a slash, a prefix of letters, digits, . _ - and /",
            "Write it like s3://my-bucket/pixel; keys belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
    }
}

pub fn s3_region(text: &str) -> Result<String, Wrong> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    match !text.is_empty() && text.len() <= 64 && text.bytes().all(fits) {
        true => Ok(text.to_owned()),
        false => wrong("it is no name of a region", "Write it like us-east-1; most servers other than AWS take any"),
    }
}

/// Whether the bucket stands in the path; `None` where the endpoint decides.
pub fn s3_style(text: &str) -> Result<Option<bool>, Wrong> {
    match text {
        "auto" => Ok(None),
        "path" => Ok(Some(true)),
        "host" => Ok(Some(false)),
        _ => wrong(format!("'{text}' is no style of addresses"), "Use auto, path or host"),
    }
}

/// An http or https address without anything after the path, and without a slash at its end.
pub fn web_address(text: &str) -> Result<String, Wrong> {
    let remedy = "Write it like https://api.example.com";
    let shown = masked(text);
    let Ok(url) = Url::parse(text) else {
        return wrong(format!("'{shown}' is not an address"), remedy);
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return wrong(format!("'{shown}' is not an http or https address with a host"), remedy);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("the address holds a user name or password", "Leave out what stands before the @");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("the address goes on after its path with ? or #", "Leave that part out");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// An address that may be left out.
pub fn optional_address(text: &str) -> Result<Option<String>, Wrong> {
    if text.is_empty() { Ok(None) } else { web_address(text).map(Some) }
}

/// A PostgreSQL address. It may hold a password, so no refusal repeats any of it.
pub fn database_url(text: &str) -> Result<Option<Secret>, Wrong> {
    if text.is_empty() {
        return Ok(None);
    }
    let remedy = "Write postgres://user:password@host:5432/database, or leave it out to use SQLite in the data folder";
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return wrong("it does not start with postgres:// or postgresql://", remedy);
    }
    let Ok(url) = Url::parse(text) else {
        return wrong("it is not a readable address", remedy);
    };
    let after_host = url.path().contains('@') || url.query().is_some_and(|query| query.contains('@'));
    if after_host || url.fragment().is_some() {
        return wrong(
            "a character of the password ends the address early",
            "Write such characters of the password percent-encoded: / as %2F, ? as %3F, # as %23, @ as %40",
        );
    }
    Ok(Some(Secret::new(text)))
}

/// One origin as browsers send it: scheme, host and port.
pub fn web_origin(text: &str) -> Result<String, Wrong> {
    let remedy = "Write scheme, host and port only, like https://app.example.com, or \"*\" alone for every page";
    let shown = masked(text);
    let url = Url::parse(text).ok().filter(|url| url.host_str().is_some_and(|host| !host.contains('*')));
    let bare = |url: &Url| {
        matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    match url.filter(bare) {
        Some(url) => Ok(url.as_str().trim_end_matches('/').to_owned()),
        None => wrong(format!("'{shown}' is not the origin of a web page"), remedy),
    }
}

/// Hosts, host:port pairs, addresses and networks, in the words of the guard that obeys them.
pub fn fetch_allow(entries: &[String]) -> Result<(), Wrong> {
    let remedy = "Write hosts (nas.lan), hosts with port (nas.lan:8080) or networks (10.0.0.0/8)";
    Guard::new(entries).map(|_| ()).or_else(|sentence| wrong(sentence.trim_end_matches('.'), remedy))
}

pub fn hold_policy(text: &str) -> Result<HoldPolicy, Wrong> {
    match text {
        "hold" => Ok(HoldPolicy::Hold),
        "lost" => Ok(HoldPolicy::Lost),
        "pay_again" => Ok(HoldPolicy::PayAgain),
        _ => wrong(format!("'{text}' is no policy"), "Use hold, lost or pay_again"),
    }
}

pub fn log_format(text: &str) -> Result<LogFormat, Wrong> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => wrong(format!("'{text}' is no log format"), "Use auto, text or json"),
    }
}

pub fn log_filter(text: &str) -> Result<String, Wrong> {
    match EnvFilter::try_new(text) {
        Ok(_) if !text.is_empty() => Ok(text.to_owned()),
        _ => wrong(
            format!("'{text}' is no log filter"),
            "Use error, warn, info, debug or trace, or single ones such as info,pixel_engine=debug",
        ),
    }
}
