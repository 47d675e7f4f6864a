//! The bucket of `blobs = "s3://…"`: how it is reached, and the keys to it.

use super::{
    layers::{Layers, Source, Variables},
    parse,
    problem::Problem,
    read::Reader,
    settings::Bucket,
    vendors,
};
use url::{Host, Url};

/// Secrets, so they are read from the environment or `.env` only; the last is for temporary keys.
pub const KEYS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// `None`: something is missing, which has been noted.
pub fn read(
    read: &mut Reader<'_>,
    variables: &Variables,
    name: String,
    prefix: String,
) -> Result<Option<Bucket>, Problem> {
    let endpoint = read.text("s3.endpoint", parse::optional_address)?;
    let region = read.text("s3.region", parse::s3_region)?;
    let path_style = read.text("s3.style", parse::s3_style)?.unwrap_or(endpoint.is_some());
    let allow_http = read.switch("s3.allow_http")?;
    if endpoint.as_deref().is_some_and(travels_openly) && !allow_http {
        let source = read.layers.find("s3.endpoint").map_or(Source::Default, |entry| entry.source.clone());
        let what = "the address is http:// and not on this machine, so media would travel unencrypted";
        let remedy = "Use https://, or set PIXEL_S3_ALLOW_HTTP=true where the network between is yours";
        read.layers.problems.push(Problem::new("s3.endpoint", source, what, remedy));
    }
    let [key_id, secret, token] = KEYS.map(|name| vendors::key(variables, name).transpose());
    let needed = [(KEYS[0], &key_id), (KEYS[1], &secret), (KEYS[2], &token)];
    for (name, value) in needed {
        match value {
            Ok(None) if name != KEYS[2] => {
                let source = read.layers.find("blobs").map_or(Source::Default, |entry| entry.source.clone());
                let what = format!("media is to go to a bucket, and {name} is not set");
                let remedy = format!("Set {name} in the environment or in .env");
                read.layers.problems.push(Problem::new("blobs", source, what, remedy));
            }
            Ok(_) => {}
            Err(problem) => read.layers.problems.push(problem.clone()),
        }
    }
    match (key_id, secret, token) {
        (Ok(Some(key_id)), Ok(Some(secret)), Ok(token)) => {
            Ok(Some(Bucket { name, prefix, endpoint, region, path_style, key_id, secret, token }))
        }
        _ => Ok(None),
    }
}

/// Settings of a bucket that have no effect, because there is none.
pub fn warning(layers: &Layers, has_bucket: bool) -> Option<String> {
    let is_set = |key: &str| layers.find(key).is_some_and(|entry| entry.source != Source::Default);
    let idle = ["s3.endpoint", "s3.region", "s3.style", "s3.allow_http"].into_iter().find(|key| is_set(key));
    idle.filter(|_| !has_bucket)
        .map(|key| format!("{key} is set and has no effect: blobs (PIXEL_BLOBS) does not begin with s3://."))
}

/// Whether the address is plain http to another machine.
fn travels_openly(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let is_here = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "http" && !is_here
}
