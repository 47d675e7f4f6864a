//! What of a task survives a restart: its slots, each a small state machine stored as JSON.

use crate::{
    ErrorKind, Stamp,
    price::Cost,
    request::{Role, Warning},
    size::Size,
    vendor::{Mark, Output, Repeat},
};
use serde::{Deserialize, Serialize};

/// The four words that a caller ever sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Pending,
    Processing,
    Completed,
    Failed,
}

impl Status {
    pub const ALL: [Self; 4] = [Self::Pending, Self::Processing, Self::Completed, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// Where a live task waits. Each stage has an index of its own; ended tasks have no such row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Ready for its first call; taken in order of rank as its vendor's budget admits.
    Queued,
    /// Nothing to do before its due time.
    Waiting,
    /// Leased to a worker until its due time.
    Leased,
}

impl Stage {
    pub fn number(self) -> i64 {
        match self {
            Self::Queued => 0,
            Self::Waiting => 1,
            Self::Leased => 2,
        }
    }
}

/// The live part of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// The database went back in time at this moment, and no slot has heard of it yet. Stands
    /// first, so that the store can write it without reading the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_doubt: Option<Stamp>,
    /// Inputs as stored, once they have been fetched and judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Vec<StoredInput>>,
    /// How often the fetching of inputs has failed in a row.
    #[serde(default)]
    pub input_tries: u32,
    pub slots: Vec<Slot>,
    /// The request that asked for it, for the log's lines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// What the caller is warned of, so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// What the public row says at this moment, so that it is written only when it changes.
    #[serde(default)]
    pub shown: Shown,
}

/// The part of a live task's public row that the engine changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub started: bool,
    pub progress: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<Attention>,
}

impl Work {
    /// Work that nobody has begun: a slot for each entry of `outputs`.
    pub fn planned(outputs: &[u32]) -> Self {
        let mut first = 0;
        let slots = outputs.iter().map(|outputs| {
            let slot = Slot::new(first, *outputs);
            first += outputs;
            slot
        });
        Self { slots: slots.collect(), ..Self::default() }
    }

    /// Slots that a vendor may be working on, or may have accepted.
    pub fn in_flight(&self) -> u32 {
        let busy = |slot: &&Slot| {
            use SlotState::{Accepted, Searching, Sending};
            matches!(slot.state, Sending { .. } | Searching { .. } | Accepted { .. })
        };
        u32::try_from(self.slots.iter().filter(busy).count()).unwrap_or(u32::MAX)
    }

    pub fn is_over(&self) -> bool {
        self.slots.iter().all(|slot| slot.state.is_over())
    }

    /// Tells every open slot that the database went back in time. What was held then gets a new
    /// time for its decision, for that may have been made by the life that is lost.
    pub fn spread_doubt(&mut self, hold_until: Stamp) {
        let Some(since) = self.in_doubt.take() else { return };
        for slot in self.slots.iter_mut().filter(|slot| !slot.state.is_over()) {
            slot.doubt = Some(since);
            if let SlotState::Held { until, .. } = &mut slot.state {
                *until = (*until).max(hold_until);
                slot.due = *until;
            }
        }
    }

    /// Whether a paid call that is not recorded here may have left.
    pub fn is_in_doubt(&self) -> bool {
        self.slots.iter().any(|slot| slot.doubt.or(self.in_doubt).is_some() && slot.is_unsent())
    }
}

/// One allowed submission of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// Results that this slot is to bring.
    pub outputs: u32,
    /// Position of its first result among the task's results.
    pub first: u32,
    /// Which submission this is: raised only when a person or policy decides to pay again.
    #[serde(default)]
    pub round: u32,
    /// Failures in a row of free calls, for the growth of the wait.
    #[serde(default)]
    pub tries: u32,
    /// Polls so far, for the growth of the wait.
    #[serde(default)]
    pub polls: u32,
    /// How often its results were copied in vain.
    #[serde(default)]
    pub copies: u32,
    /// Not before this moment.
    #[serde(default)]
    pub due: Stamp,
    /// The vendor's key that this slot goes on with, by the name of its first variable. What one key
    /// has uploaded or submitted no other may know of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The first submission of this round whose outcome is unknown, while its key may absorb a repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Sent>,
    /// The database went back to a backup at this moment: a paid call of this slot may have left
    /// that is not recorded here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Stamp>,
    /// When the vendor accepted; the model's deadline counts from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Stamp>,
    /// Nobody could say once whether a paid call of it was accepted, whatever was found out later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_unclear: bool,
    pub state: SlotState,
}

impl Slot {
    /// A slot that nothing has been done for.
    pub fn new(first: u32, outputs: u32) -> Self {
        Self {
            outputs,
            first,
            round: 0,
            tries: 0,
            polls: 0,
            copies: 0,
            due: Stamp::default(),
            key: None,
            open: None,
            doubt: None,
            accepted_at: None,
            was_unclear: false,
            state: SlotState::Ready { mark: None },
        }
    }

    /// No vendor is known to have accepted it, and nobody has been asked about it.
    fn is_unsent(&self) -> bool {
        use SlotState::{Ready, Searching, Sending};
        matches!(self.state, Ready { .. } | Sending { .. } | Searching { .. })
    }

    /// Whether certainly nothing of it was accepted and no paid call of it is open, now or in a life
    /// that is not known here.
    pub fn is_clear(&self) -> bool {
        let is_free = self.accepted_at.is_none() && self.open.is_none() && self.doubt.is_none();
        let is_first = self.round == 0 && !self.was_unclear;
        is_free && is_first && matches!(self.state, SlotState::Ready { .. } | SlotState::Failed { .. })
    }

    /// Whether only the key that it went out with may go on: the vendor has accepted something of it,
    /// or may have.
    pub fn is_bound(&self) -> bool {
        self.accepted_at.is_some() || self.open.is_some()
    }

    /// Puts the mark where a restart finds it: with the job, once the vendor has accepted one.
    pub fn rest(&mut self, mark: Mark) {
        self.state = match self.accepted_at {
            Some(_) => SlotState::Accepted { mark },
            None => SlotState::Ready { mark: Some(mark) },
        };
    }
}

/// Where one slot stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum SlotState {
    /// No paid call is open. `mark` is set when free calls (an upload) have come before.
    Ready {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mark: Option<Mark>,
    },
    /// A paid call was recorded and may have left; its outcome is not recorded.
    Sending {
        sent: Sent,
        mark: Mark,
    },
    /// The outcome of a paid call is unknown and the vendor is asked for it until then.
    Searching {
        sent: Sent,
        mark: Mark,
        until: Stamp,
    },
    /// The vendor has the job.
    Accepted {
        mark: Mark,
    },
    /// The vendor is done; the results are being copied.
    Fetching {
        mark: Mark,
        outputs: Vec<Output>,
    },
    /// Nobody knows whether the vendor accepted. A person, a policy or the time decides.
    Held {
        sent: Sent,
        mark: Mark,
        reason: String,
        until: Stamp,
    },
    Done {
        media: Vec<Made>,
    },
    Failed {
        failure: Failure,
    },
}

/// A paid call as it was recorded before it left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The attempt's id.
    pub attempt: String,
    pub at: Stamp,
    pub repeat: Repeat,
    /// What the slot goes back to when the call is to be made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Mark>,
}

impl SlotState {
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Failed { .. })
    }
}

/// Why a task or slot failed, as the caller reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub code: String,
    pub message: String,
}

impl Failure {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { code: kind.code().to_owned(), message: message.into() }
    }
}

/// A person's decision is awaited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    pub reason: String,
    pub choices: Vec<Choice>,
    /// ISO 8601; what happens then is `failed` with `submit_outcome_unknown`.
    pub until: String,
}

/// What to do about a submission whose outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Take it for not accepted and give up on it.
    Lost,
    /// Ask the vendor, where it can be asked.
    Search,
    /// Submit once more, at the risk of paying twice.
    PayAgain,
}

impl Choice {
    pub const ALL: [Self; 3] = [Self::Lost, Self::Search, Self::PayAgain];

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "lost" => Some(Self::Lost),
            "search" => Some(Self::Search),
            "pay_again" => Some(Self::PayAgain),
            _ => None,
        }
    }
}

/// A stored blob with the facts that were read from its bytes, not from what anyone said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Lower-case hex; also the blob's name.
    pub sha256: String,
    pub bytes: u64,
    pub content_type: String,
    /// File extension without the dot.
    pub ext: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// One stored result of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// Position among the task's results.
    pub index: u32,
    pub media_id: String,
    pub facts: Facts,
    /// A smaller picture of it: the thumbnail of a picture, the poster of a clip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    pub media_id: String,
    pub facts: Facts,
}

/// An input as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredInput {
    pub role: Role,
    pub facts: Facts,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(until: i64) -> SlotState {
        let sent = Sent { attempt: String::new(), at: Stamp(0), repeat: Repeat::Never, back: None };
        SlotState::Held { sent, mark: Mark::Null, reason: String::new(), until: Stamp(until) }
    }

    #[test]
    fn doubt_reaches_every_open_slot() {
        let mut work = Work::planned(&[1, 1, 1]);
        work.slots[1].state = SlotState::Done { media: Vec::new() };
        work.slots[2].state = held(5);
        work.in_doubt = Some(Stamp(7));
        let text = serde_json::to_string(&work).unwrap();
        assert!(text.starts_with("{\"in_doubt\":7,"), "the store writes it at the front: {text}");
        assert!(work.is_in_doubt());
        work.spread_doubt(Stamp(9));
        assert_eq!(work.in_doubt, None);
        let doubts: Vec<_> = work.slots.iter().map(|slot| slot.doubt).collect();
        assert_eq!(doubts, [Some(Stamp(7)), None, Some(Stamp(7))]);
        assert_eq!((work.slots[2].due, &work.slots[2].state), (Stamp(9), &held(9)));
        assert!(work.is_in_doubt(), "the first slot is undecided");
        work.slots[0].state = SlotState::Accepted { mark: Mark::Null };
        assert!(!work.is_in_doubt(), "one is accepted, one is done, one is held");
    }
}
