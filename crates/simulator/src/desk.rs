//! Takes a vendor's requests: who asks, what for, and what they are told.

use crate::{
    answer::{Answer, Whole},
    chat,
    fault::{Fault, Group, Stage},
    host,
    script::Rule,
    spoil,
    state::{Job, Shared, Taken},
    vendor::{Ask, Asked, Made, Order, Refusal, State, Vendor},
};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long a submission stays invisible to a search by reference.
const SETTLE: Duration = Duration::from_millis(300);

/// A request below a vendor's prefix.
pub(crate) async fn answer(vendor: &'static dyn Vendor, asked: &Asked, shared: &Shared) -> Answer {
    let vendor = vendor.service(&asked.path).unwrap_or(vendor);
    if let Some(answer) = vendor.takes(asked, shared) {
        return answer.await;
    }
    let is_chat = chat::is_for(vendor, asked);
    if asked.is_empty() {
        return match vendor.read(asked) {
            Ok(Ask::Said(whole)) if !is_chat => whole.into(),
            _ if is_chat => vendor.chat_refused(Refusal::PaymentRequired).into(),
            _ => vendor.refused_to(asked, Refusal::PaymentRequired).into(),
        };
    }
    if !vendor.admits(asked) {
        shared.state().ledger.turn_away(vendor.id(), "unknown key");
        let refusal = Refusal::Unauthorized;
        return if is_chat { vendor.chat_refused(refusal) } else { vendor.refused_to(asked, refusal) }.into();
    }
    if is_chat {
        return chat::answer(vendor, asked, shared).await;
    }
    let Some(name) = vendor.replays(asked) else { return fresh(vendor, asked, shared).await };
    let first = shared.state().replays.of(vendor.id(), name);
    if let Some(first) = first {
        return first.into();
    }
    let answer = fresh(vendor, asked, shared).await;
    if let Answer::Whole(whole) = &answer {
        shared.state().replays.keep(vendor.id(), name, whole);
    }
    answer
}

/// An answer to a request that was not answered before.
async fn fresh(vendor: &'static dyn Vendor, asked: &Asked, shared: &Shared) -> Answer {
    match vendor.read(asked) {
        Ok(Ask::Submit(order)) => submit(vendor, asked, *order, shared).await,
        Ok(Ask::Poll(id)) => poll(vendor, asked, &id, shared).await,
        Ok(Ask::Search(reference)) => search(vendor, asked, &reference, shared).into(),
        Ok(Ask::Retrieve(id)) => retrieve(vendor, asked, &id, shared).await.into(),
        Ok(Ask::Said(whole)) => whole.into(),
        Ok(Ask::Nothing) => {
            shared.state().ledger.turn_away(vendor.id(), "unknown path");
            Whole::new(404, "text/plain", "there is nothing here").into()
        }
        Err(answer) => {
            shared.state().ledger.turn_away(vendor.id(), "malformed");
            answer.into()
        }
    }
}

pub(crate) async fn submit(vendor: &'static dyn Vendor, asked: &Asked, order: Order, shared: &Shared) -> Answer {
    let blocking = order.blocking;
    let mut taken = shared.take(vendor, asked, order);
    let _running = blocking.then(|| Running::begin(shared));
    if let Err(broken) = shared.flushed(&mut taken).await {
        return broken.into();
    }
    // Even an empty sleep lasts until the timer's next millisecond.
    if !taken.latency.is_zero() {
        tokio::time::sleep(taken.latency).await;
    }
    if taken.conflict {
        return vendor.refused_to(asked, Refusal::Unprocessable).into();
    }
    if taken.used {
        return vendor.used_reference().into();
    }
    let pace = Duration::from_millis(taken.script.pace_ms);
    let Some(id) = &taken.job else { return turned_down(vendor, asked, &taken, pace) };
    let good = if blocking { outcome(vendor, id, asked, shared).await } else { acceptance(vendor, id, asked, shared) };
    match &taken.rule {
        None => good.into(),
        Some(rule) => match rule.kind {
            Fault::MissingId => without_id(vendor, id, good, blocking, shared).into(),
            Fault::ReusedId => with_earlier_id(vendor, id, good, shared).into(),
            _ => spoiled(vendor, asked, rule, pace, || good),
        },
    }
}

/// Not accepted.
fn turned_down(vendor: &'static dyn Vendor, asked: &Asked, taken: &Taken, pace: Duration) -> Answer {
    let error = || vendor.refused_to(asked, Refusal::Error);
    match &taken.rule {
        Some(rule) => spoiled(vendor, asked, rule, pace, error),
        None => error().into(),
    }
}

/// What a fault makes of an answer, in the vendor's words.
pub(crate) fn spoiled(
    vendor: &'static dyn Vendor,
    asked: &Asked,
    rule: &Rule,
    pace: Duration,
    good: impl FnOnce() -> Whole,
) -> Answer {
    match (rule.kind, rule.code) {
        (Fault::Code | Fault::CodeAfterAccept, Some(code)) => vendor.coded(code).into(),
        _ => spoil::api(rule, |refusal| vendor.refused_to(asked, refusal), pace, good),
    }
}

fn acceptance(vendor: &'static dyn Vendor, id: &str, asked: &Asked, shared: &Shared) -> Whole {
    match shared.state().jobs.get(id) {
        Some(job) => vendor.accepted(&job.facts()),
        None => vendor.refused_to(asked, Refusal::Error),
    }
}

/// A blocking call ends with its answer.
async fn outcome(vendor: &'static dyn Vendor, id: &str, asked: &Asked, shared: &Shared) -> Whole {
    let end = {
        let mut state = shared.state();
        let state = &mut *state;
        let Some(job) = state.jobs.get(id) else { return vendor.refused_to(asked, Refusal::Error) };
        let end = job.rule(Stage::Poll, 0).map(|rule| rule.kind).filter(|kind| kind.group() == Group::End);
        state.ledger.counts(vendor.id(), &job.entry.marker).struck += u64::from(end.is_some());
        end
    };
    match end {
        Some(Fault::JobModerated) => vendor.refused_to(asked, Refusal::Moderation),
        Some(_) => vendor.refused_to(asked, Refusal::Error),
        None => {
            let results = results(id, asked, shared).await;
            match shared.state().jobs.get(id) {
                Some(job) => vendor.made(&job.facts(), &results),
                None => vendor.refused_to(asked, Refusal::Error),
            }
        }
    }
}

async fn poll(vendor: &'static dyn Vendor, asked: &Asked, id: &str, shared: &Shared) -> Answer {
    let (rule, progress, pace) = {
        let mut state = shared.state();
        let state = &mut *state;
        let known = state.jobs.get_mut(id).filter(|job| job.vendor.id() == vendor.id());
        if known.as_ref().is_some_and(|job| job.entry.account.as_deref() != asked.account()) {
            state.ledger.violate(format!("{}: the job {id} was asked for with another account's key", vendor.id()));
        }
        let is_known =
            |job: &&mut Job| job.entry.account.as_deref() == asked.account() && vendor.knows(&job.facts(), asked);
        let Some(job) = known.filter(is_known) else {
            let entry = crate::Entry { job: id.to_owned(), ..crate::Entry::default() };
            return vendor.polled(&crate::vendor::Facts { entry: &entry, prompt: "" }, &State::Lost).into();
        };
        let rule = job.rule(Stage::Poll, job.polls).cloned();
        let rule = rule.filter(|rule| rule.kind != Fault::ClosedOnReuse || asked.reused);
        let counts = state.ledger.counts(vendor.id(), &job.entry.marker);
        counts.polls += 1;
        counts.struck += u64::from(rule.is_some());
        let progress = progress(job, rule.as_ref().map(|rule| rule.kind));
        job.polls = job.polls.saturating_add(1);
        (rule, progress, job.pace())
    };
    let standing = match progress {
        Some(standing) => standing,
        None => State::Done(results(id, asked, shared).await),
    };
    let good = match shared.state().jobs.get(id) {
        Some(job) => vendor.polled(&job.facts(), &standing),
        None => vendor.refused_to(asked, Refusal::Error),
    };
    match &rule {
        Some(rule) => spoiled(vendor, asked, rule, pace, || good),
        None => good.into(),
    }
}

/// Links only: what a poll would have said of the job is known to the client.
async fn retrieve(vendor: &'static dyn Vendor, asked: &Asked, id: &str, shared: &Shared) -> Whole {
    let is_own = |job: &&Job| job.vendor.id() == vendor.id();
    if shared.state().jobs.get(id).filter(is_own).is_none() {
        return vendor.refused_to(asked, Refusal::NotFound);
    }
    let results = results(id, asked, shared).await;
    match shared.state().jobs.get(id) {
        Some(job) => vendor.retrieved(&job.facts(), &results),
        None => vendor.refused_to(asked, Refusal::NotFound),
    }
}

/// How a job stands at its next poll; `None` is done.
pub(crate) fn progress(job: &Job, kind: Option<Fault>) -> Option<State> {
    let early = if job.polls == 0 { State::Waiting } else { State::Running };
    match kind {
        Some(Fault::UnknownStatus) => Some(State::Strange),
        Some(Fault::StatusBackwards) => Some(if job.polls.is_multiple_of(2) { State::Running } else { State::Waiting }),
        Some(Fault::RunningForEver) => Some(early),
        _ if job.polls < job.patience => Some(early),
        _ if job.entry.flawed => Some(State::Failed),
        Some(Fault::JobFailed) => Some(State::Failed),
        Some(Fault::JobModerated) => Some(State::Moderated),
        Some(Fault::JobLost) => Some(State::Lost),
        _ => None,
    }
}

/// What a job made: links, or the media itself.
pub(crate) async fn results(id: &str, asked: &Asked, shared: &Shared) -> Vec<Made> {
    // Links to a host that cannot be reached need that host.
    let is_nowhere = |job: &Job, at| host::strikes(job, at).is_some_and(|rule| rule.kind.group() == Group::Before);
    let any_nowhere = |job: &Job| (0..job.entry.outputs).any(|at| is_nowhere(job, at));
    let is_wanted = shared.state().jobs.get(id).is_some_and(any_nowhere);
    let addresses = if is_wanted { shared.addresses().await.ok() } else { None };
    let mut state = shared.state();
    let state = &mut *state;
    let Some(job) = state.jobs.get_mut(id) else { return Vec::new() };
    let missing = job.rule(Stage::Poll, job.polls.saturating_sub(1)).filter(|rule| rule.kind == Fault::MissingOutput);
    let missing = missing.map(|rule| rule.output.unwrap_or(job.entry.outputs.saturating_sub(1)));
    // A blocking answer without its only result would be no answer at all.
    let missing = missing.filter(|_| !job.entry.blocking || job.entry.outputs > 1);
    let made = |at: u32| match (missing == Some(at), job.entry.inline) {
        (true, _) => Made::Failed,
        (false, true) => {
            let file = shared.file(job, at);
            Made::Inline(
                host::strikes(job, at).map_or_else(|| file.clone(), |rule| spoil::inline(rule.kind, file.clone())),
            )
        }
        (false, false) => Made::Link(host::link(job, at, asked, addresses)),
    };
    let all = (0..job.entry.outputs).map(made).collect();
    // A link to nowhere is never fetched here, so handing it out is what counts.
    for at in 0..job.entry.outputs {
        let (is_struck, is_over) = (host::strikes(job, at).is_some(), job.entry.inline || is_nowhere(job, at));
        if let Some(fetches) = job.fetches.get_mut(at as usize).filter(|_| is_over) {
            *fetches += 1;
            state.ledger.counts(job.vendor.id(), &job.entry.marker).struck += u64::from(is_struck);
        }
    }
    all
}

fn search(vendor: &'static dyn Vendor, asked: &Asked, reference: &str, shared: &Shared) -> Whole {
    let mut state = shared.state();
    let state = &mut *state;
    let job = state.referred(vendor.id(), asked.account(), reference).filter(|job| vendor.knows(&job.facts(), asked));
    let (marker, visible) = match job {
        Some(job) => (job.entry.marker.clone(), job.age() >= SETTLE),
        None => (String::new(), false),
    };
    let answer = vendor.found(job.filter(|_| visible).map(Job::facts).as_ref());
    state.ledger.counts(vendor.id(), &marker).searches += 1;
    answer
}

/// The good answer without what the client needs to go on.
fn without_id(vendor: &'static dyn Vendor, id: &str, good: Whole, blocking: bool, shared: &Shared) -> Whole {
    if blocking {
        return match shared.state().jobs.get(id) {
            Some(job) => vendor.made(&job.facts(), &[]),
            None => good,
        };
    }
    let at = shared.state().jobs.get(id).map_or(vendor.id_at(), |job| vendor.id_of(&job.facts()));
    edited(good, at, None)
}

fn with_earlier_id(vendor: &'static dyn Vendor, id: &str, good: Whole, shared: &Shared) -> Whole {
    let state = shared.state();
    let job = state.jobs.get(id);
    let at = job.map_or("", |job| vendor.id_of(&job.facts()));
    match job.and_then(|job| state.earlier(job)) {
        Some(earlier) if !at.is_empty() => edited(good, at, Some(json!(earlier))),
        _ => good,
    }
}

/// The JSON with the value at a pointer put in place, or taken away.
fn edited(whole: Whole, pointer: &str, value: Option<Value>) -> Whole {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return whole };
    let Ok(mut body) = serde_json::from_slice::<Value>(&whole.bytes) else { return whole };
    let fields: Option<&mut Map<String, Value>> = body.pointer_mut(parent).and_then(Value::as_object_mut);
    if let Some(fields) = fields {
        match value {
            Some(value) => drop(fields.insert(name.to_owned(), value)),
            None => drop(fields.remove(name)),
        }
    }
    Whole { bytes: body.to_string().into(), ..whole }
}

/// A blocking call, open until this goes; it also goes when the client hangs up.
pub(crate) struct Running<'a>(&'a Shared);

impl<'a> Running<'a> {
    pub(crate) fn begin(shared: &'a Shared) -> Self {
        let mut state = shared.state();
        state.running += 1;
        state.most_at_once = state.most_at_once.max(state.running);
        Self(shared)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running = state.running.saturating_sub(1);
    }
}
