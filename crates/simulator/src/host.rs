//! The media host: links that expire, on the same port, and what is served behind them. In truth
//! it is another host than the API; the key has no business here.

use crate::{
    address::Addresses,
    answer::{Answer, Whole},
    fault::{Fault, Group, Stage},
    script::Rule,
    spoil::{self, store_error},
    state::{Job, Shared, hex},
    vendor::{Asked, Unit},
};
use http::Method;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

pub(crate) const PREFIX: &str = "/media/";

/// What strikes the next fetch of a result.
pub(crate) fn strikes(job: &Job, index: u32) -> Option<&Rule> {
    job.rule(Stage::Fetch, job.fetches.get(index as usize).copied().unwrap_or(0))
}

/// A link to a result, on the host by which the client came here.
pub(crate) fn link(job: &Job, index: u32, asked: &Asked, addresses: Option<&Addresses>) -> String {
    let nowhere = strikes(job, index).map(|rule| rule.kind).filter(|kind| kind.group() == Group::Before);
    let root = match nowhere.zip(addresses).and_then(|(kind, addresses)| addresses.of(kind)) {
        Some(root) => root,
        None => format!("http://{}", asked.header("host").unwrap_or("127.0.0.1")),
    };
    let extension = Unit::named(&job.entry.unit).extension();
    let path = format!("{PREFIX}{}/{index}.{extension}", job.entry.job);
    let expires = OffsetDateTime::now_utc().unix_timestamp().saturating_add_unsigned(job.script.link_s);
    format!("{root}{path}?Expires={expires}&Signature={}", signature(&path, expires))
}

/// Enough to tell a link of ours from one that was made up.
fn signature(path: &str, expires: i64) -> String {
    hex(&Sha256::digest(format!("{path} {expires} {}", crate::SECRET)))[..16].to_owned()
}

/// `GET /media/<job>/<index>.<extension>`, and `HEAD`, which is no fetch unless it is refused.
pub(crate) fn answer(asked: &Asked, shared: &Shared) -> Answer {
    let mut state = shared.state();
    let state = &mut *state;
    if ["authorization", "token"].iter().any(|name| asked.header(name).is_some()) {
        state.ledger.violate(format!("the key was sent to the media host: {}", asked.path));
    }
    let Some((id, index)) = place(&asked.path) else { return store_error(404, "NoSuchKey").into() };
    let expires: i64 = asked.parameter("Expires").and_then(|text| text.parse().ok()).unwrap_or(0);
    if asked.parameter("Signature") != Some(&signature(&asked.path, expires)) {
        return store_error(403, "SignatureDoesNotMatch").into();
    }
    let Some(job) = state.jobs.get_mut(id).filter(|job| index < job.entry.outputs) else {
        return store_error(404, "NoSuchKey").into();
    };
    let rule = strikes(job, index).cloned().filter(|rule| rule.kind != Fault::ClosedOnReuse || asked.reused);
    let content_type = Unit::named(&job.entry.unit).content_type();
    let is_look = asked.method == Method::HEAD;
    if is_look && !rule.as_ref().is_some_and(|rule| rule.kind.group() == Group::Refusal) {
        return Whole::new(200, content_type, shared.file(job, index)).into();
    }
    let counts = state.ledger.counts(job.vendor.id(), &job.entry.marker);
    counts.fetches += u64::from(!is_look);
    counts.struck += u64::from(rule.is_some());
    if let Some(count) = job.fetches.get_mut(index as usize) {
        *count = count.saturating_add(1);
    }
    if OffsetDateTime::now_utc().unix_timestamp() >= expires {
        return store_error(403, "AccessDenied").into();
    }
    let good = Whole::new(200, content_type, shared.file(job, index));
    match rule {
        Some(rule) => spoil::media(&rule, job.pace(), good),
        None => good.into(),
    }
}

fn place(path: &str) -> Option<(&str, u32)> {
    let (id, file) = path.strip_prefix(PREFIX)?.split_once('/')?;
    Some((id, file.split_once('.')?.0.parse().ok()?))
}
