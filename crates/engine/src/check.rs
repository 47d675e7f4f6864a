//! Tries keys with the cheapest call that costs nothing: whether the vendor knows them.

use crate::{
    Account, Engine, Key,
    door::{Door, Sent},
    keys::KeyAt,
    lane::is_about_the_key,
};
use futures_util::{StreamExt, stream};
use pixel_core::{Error, ErrorKind, vendor::Vendor};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// One trial, at most.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Trials of one vendor at the same time.
const AT_ONCE: usize = 8;
/// A vendor's keys are not tried more often: whoever asks costs it calls.
const EVERY: Duration = Duration::from_secs(5);

/// What came of the trial of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub service: Option<String>,
    /// The name of the key: its first variable.
    pub key: String,
    pub verdict: Verdict,
    /// A full public sentence.
    pub message: String,
    /// Of the call, where one was made.
    pub latency: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Refused,
    /// No answer, or none that tells.
    Unreachable,
    /// The vendor has no call for it.
    Untestable,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Untestable => "cannot_be_checked",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckError {
    NoVendor,
    /// The last check was a moment ago; the next may begin after this.
    TooSoon(Duration),
}

/// Tries one key through the door.
pub async fn try_key(door: &Door, vendor: &dyn Vendor, account: &Account, key: &Key) -> Tried {
    let begun = Instant::now();
    if let Some(source) = &key.source {
        let (verdict, message) = source.check().await;
        let (service, latency) = (account.service.clone(), Some(begun.elapsed()));
        return Tried { service, key: key.name.clone(), verdict, message, latency };
    }
    let outcome = ask(door, vendor, account, key).await;
    let (verdict, message, latency) = match outcome {
        None => (
            Verdict::Untestable,
            "The vendor has no call that is free and tells a good key from a bad one.".to_owned(),
            None,
        ),
        Some(Ok(())) => (Verdict::Good, "The vendor accepts the key.".to_owned(), Some(begun.elapsed())),
        Some(Err(error)) => {
            let verdict = if is_about_the_key(&error) { Verdict::Refused } else { Verdict::Unreachable };
            (verdict, error.message, Some(begun.elapsed()))
        }
    };
    Tried { service: account.service.clone(), key: key.name.clone(), verdict, message, latency }
}

async fn ask(door: &Door, vendor: &dyn Vendor, account: &Account, key: &Key) -> Option<Result<(), Error>> {
    let call = vendor.check(&key.credential, &account.base_url, account.service.as_deref());
    // A check must never cost anything, whatever an adapter says.
    let mut call = call.filter(|call| !call.repeat.is_paid())?;
    call.timeout = call.timeout.min(TIMEOUT);
    Some(match door.send(&call).await {
        Sent::Answer(answer) => vendor.checked(&key.credential, &answer),
        Sent::Unsent { why } | Sent::Unclear { why } => {
            Err(Error::new(ErrorKind::Unclear, format!("The vendor gave no clear answer: {why}")))
        }
    })
}

impl Engine {
    /// Tries every key of a vendor. A good one is set aside no longer; one that is refused is.
    pub async fn check(&self, vendor: &str) -> Result<Vec<Tried>, CheckError> {
        let lane = self.0.lanes.get(vendor).ok_or(CheckError::NoVendor)?;
        lane.begin_check(EVERY).map_err(CheckError::TooSoon)?;
        let accounts = lane.options.accounts.iter().enumerate();
        let keys = accounts.flat_map(|(account, own)| (0..own.keys.len()).map(move |key| KeyAt { account, key }));
        let try_one = |at: KeyAt| async move {
            let (account, key) = lane.key(at)?;
            // One more of the calls that cost nothing.
            let _turn = lane.free_calls.acquire().await.ok();
            let vendor = lane.options.vendor.as_ref();
            let outcome = try_key(&self.0.door, vendor, account, key).await;
            match outcome.verdict {
                Verdict::Good => lane.admitted(at),
                Verdict::Refused if key.source.is_some() => {}
                Verdict::Refused => lane.note(at, &Error::new(ErrorKind::VendorAuth, outcome.message.clone())),
                Verdict::Unreachable | Verdict::Untestable => {}
            }
            Some(outcome)
        };
        let tried = stream::iter(keys.collect::<Vec<_>>()).map(try_one).buffered(AT_ONCE);
        let tried = tried.filter_map(|tried| async { tried }).collect().await;
        lane.pending.store(true, Ordering::Release);
        self.wake();
        Ok(tried)
    }
}
