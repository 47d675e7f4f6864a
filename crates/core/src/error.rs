//! What can go wrong with a task, in one small list: a kind with advice, a sentence for the
//! caller and a detail that stays private.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Why a call, a slot or a task could not go on. The kind decides what the engine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The caller's parameters cannot be used.
    InvalidRequest,
    /// An input address or file that we refuse to touch.
    InputRefused,
    /// An input that should be there and is not.
    InputUnreachable,
    /// The vendor's safety system refused the prompt, an input or the result.
    ModerationBlocked,
    /// The vendor does not accept our credential.
    VendorAuth,
    /// The vendor's account has no balance or quota left.
    VendorBalance,
    /// The vendor asks us to slow down; nothing was accepted.
    RateLimited,
    /// The vendor said clearly that it did not accept, and that a later try may succeed.
    VendorUnavailable,
    /// The vendor refused the request for good.
    VendorRefused,
    /// The vendor accepted the work and then failed at it.
    VendorFailed,
    /// The answer does not tell whether the vendor accepted.
    Unclear,
    /// The vendor no longer knows the job that it accepted.
    VendorLost,
    /// The vendor removed what it had made, or had it removed.
    VendorDeleted,
    /// A result could not be copied, or is not what it claims to be.
    ResultUnusable,
    /// The task did not end in the time that its model is given.
    DeadlineExceeded,
    /// Nobody could say whether a submission was accepted, and the hold has run out.
    SubmitOutcomeUnknown,
    /// A person or a policy declared an unclear submission lost.
    SubmitLost,
    /// A fault of ours.
    Internal,
}

/// What the engine does about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The slot ends.
    Fail,
    /// Certainly not accepted: wait, then send again.
    Repeat,
    /// Perhaps accepted: a paid call falls under the money rule, a free one is repeated.
    Unclear,
}

impl ErrorKind {
    /// The public code: stable, snake case, one page each in `docs/errors`.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InputRefused => "input_refused",
            Self::InputUnreachable => "input_unreachable",
            Self::ModerationBlocked => "moderation_blocked",
            Self::VendorAuth => "vendor_auth",
            Self::VendorBalance => "vendor_balance",
            Self::RateLimited => "rate_limited",
            Self::VendorUnavailable => "vendor_unavailable",
            Self::VendorRefused => "vendor_refused",
            Self::VendorFailed => "vendor_failed",
            Self::Unclear => "vendor_unclear",
            Self::VendorLost => "vendor_lost",
            Self::VendorDeleted => "vendor_deleted",
            Self::ResultUnusable => "result_unusable",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::SubmitOutcomeUnknown => "submit_outcome_unknown",
            Self::SubmitLost => "submit_lost",
            Self::Internal => "internal",
        }
    }

    pub fn advice(self) -> Advice {
        match self {
            Self::RateLimited | Self::VendorUnavailable => Advice::Repeat,
            Self::Unclear => Advice::Unclear,
            _ => Advice::Fail,
        }
    }

    /// Every kind, for the check that each has its page.
    pub const ALL: [Self; 18] = [
        Self::InvalidRequest,
        Self::InputRefused,
        Self::InputUnreachable,
        Self::ModerationBlocked,
        Self::VendorAuth,
        Self::VendorBalance,
        Self::RateLimited,
        Self::VendorUnavailable,
        Self::VendorRefused,
        Self::VendorFailed,
        Self::Unclear,
        Self::VendorLost,
        Self::VendorDeleted,
        Self::ResultUnusable,
        Self::DeadlineExceeded,
        Self::SubmitOutcomeUnknown,
        Self::SubmitLost,
        Self::Internal,
    ];
}

/// An error with a public sentence; `detail` is for the attempt's private record only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub kind: ErrorKind,
    /// A full sentence for the caller; never holds a secret or a vendor's address.
    pub message: String,
    /// What the vendor really said, for the operator.
    pub detail: Option<String>,
    /// The vendor's own hint when to try again.
    pub retry_after: Option<Duration>,
    /// What it says of the session that the credential stands for.
    pub session: Option<SessionTrouble>,
}

/// Why a session is no longer what it was, where a credential is one: see `KeySource` of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionTrouble {
    /// It is over, and may be renewed.
    Expired,
    /// Somebody else signed in, which ended it. Its holder decides.
    Evicted,
    /// The vendor wants to see a person. Its holder has to act.
    Blocked,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        // Vendors' words come in here too: nothing of them may steer a terminal.
        let message: String = message.into().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self { kind, message, detail: None, retry_after: None, session: None }
    }

    /// What the status of a key's trial says against the key, where nothing else tells.
    pub fn of_key(status: u16) -> Option<Self> {
        let (kind, said) = match status {
            200..=299 => return None,
            401 | 403 => (ErrorKind::VendorAuth, "The vendor does not accept this key"),
            402 => (ErrorKind::VendorBalance, "The account has no balance or quota left"),
            _ => (ErrorKind::Unclear, "The answer does not tell"),
        };
        Some(Self::new(kind, format!("{said}: HTTP {status}.")))
    }

    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn with_session(mut self, trouble: Option<SessionTrouble>) -> Self {
        self.session = trouble;
        self
    }

    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_complete() {
        let codes: std::collections::BTreeSet<_> = ErrorKind::ALL.iter().map(|k| k.code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
    }
}
