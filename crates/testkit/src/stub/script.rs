//! What the vendor does, as a test writes it down.

use std::time::Duration;

/// The behaviour towards one marker. The default accepts, is done at once and serves good media.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Between a submission and its answer; the submission counts from its arrival.
    pub latency: Duration,
    /// What becomes of the first, the second, … submission; those beyond the list are accepted.
    pub submits: Vec<Submit>,
    /// Polls of a job that say it still runs.
    pub polls: u32,
    /// How the first, the second, … accepted submission ends; those beyond the list succeed.
    pub ends: Vec<End>,
    /// How results are served.
    pub media: Media,
    /// Results have this size, whatever was asked.
    pub size: Option<(u32, u32)>,
}

impl Script {
    /// Everything as by default except these submissions.
    pub fn submits(submits: impl Into<Vec<Submit>>) -> Self {
        Self { submits: submits.into(), ..Self::default() }
    }

    /// Everything as by default except these ends.
    pub fn ends(ends: impl Into<Vec<End>>) -> Self {
        Self { ends: ends.into(), ..Self::default() }
    }

    /// Everything as by default except the media.
    pub fn media(media: Media) -> Self {
        Self { media, ..Self::default() }
    }

    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    pub fn polls(mut self, polls: u32) -> Self {
        self.polls = polls;
        self
    }

    /// Passes the latency. Without one it takes no time at all: even an empty sleep lasts until the
    /// timer's next millisecond.
    pub(super) async fn delay(&self) {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
    }

    pub(super) fn submit(&self, at: usize) -> Submit {
        self.submits.get(at).cloned().unwrap_or_default()
    }

    pub(super) fn end(&self, at: usize) -> End {
        self.ends.get(at).cloned().unwrap_or_default()
    }
}

/// What becomes of a submission.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Submit {
    #[default]
    Accept,
    /// 429 with this `Retry-After`, if any.
    RateLimited(Option<&'static str>),
    /// The account is empty: a 429 that no patience helps against.
    NoBalance,
    /// 401, whatever key was sent.
    BadKey,
    /// 400 that names a parameter.
    BadParameter,
    /// 400 of the safety system.
    Moderation,
    /// 500 although nothing was accepted. The client cannot know.
    ErrorBeforeAccept,
    /// 500 although the job was accepted.
    ErrorAfterAccept,
    /// Accepted, and never answered.
    HangAfterAccept,
    /// Accepted, and the connection is reset.
    ResetAfterAccept,
    /// Accepted, and answered 200 with something that is no JSON.
    GarbageAfterAccept,
}

impl Submit {
    pub(super) fn is_accepted(&self) -> bool {
        matches!(
            self,
            Self::Accept
                | Self::ErrorAfterAccept
                | Self::HangAfterAccept
                | Self::ResetAfterAccept
                | Self::GarbageAfterAccept
        )
    }
}

/// How an accepted job ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum End {
    #[default]
    Success,
    Failed,
    /// The safety system refuses the result.
    Moderation,
    /// The vendor no longer knows the job.
    Lost,
    /// A state that no document names, for ever.
    UnknownState,
    /// It runs for ever.
    Never,
    /// Succeeded, but the result at this position is an error instead.
    WithoutResult(usize),
}

/// How a result is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Media {
    #[default]
    Whole,
    /// `Content-Length` says more than arrives.
    CutWithLength,
    /// The connection's end is the only end, and it comes early.
    CutWithoutLength,
    /// These bytes, called a picture.
    These(bytes::Bytes),
    /// A web page, called a picture.
    Html,
    /// Nothing, called a picture.
    Empty,
    /// The first so many links that are handed out for a job are expired already.
    ExpiredLinks(u32),
    /// Sends the fetcher to this address.
    Redirect(String),
}
