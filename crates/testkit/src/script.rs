//! What the vendor does, as a test writes it down: the few things that most tests want, in words
//! that become a script of the simulator.

use pixel_simulator::{self as simulator, Fault, Rule, Stage};
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
    /// Results are pictures of about so many bytes, whatever was asked.
    pub bytes: Option<usize>,
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

    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = Some(bytes);
        self
    }

    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    pub fn polls(mut self, polls: u32) -> Self {
        self.polls = polls;
        self
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
    fn rule(&self) -> Option<Rule> {
        let kind = match self {
            Self::Accept => return None,
            Self::RateLimited(Some(_)) => Fault::RateLimitSeconds,
            Self::RateLimited(None) => Fault::RateLimitBare,
            Self::NoBalance => Fault::PaymentRequired,
            Self::BadKey => Fault::Unauthorized,
            Self::BadParameter => Fault::BadRequest,
            Self::Moderation => Fault::Moderation,
            Self::ErrorBeforeAccept => Fault::ErrorBeforeAccept,
            Self::ErrorAfterAccept => Fault::ErrorAfterAccept,
            Self::HangAfterAccept => Fault::NoAnswer,
            Self::ResetAfterAccept => Fault::Reset,
            Self::GarbageAfterAccept => Fault::GarbageJson,
        };
        let mut rule = Rule::new(kind, Stage::Submit);
        if let Self::RateLimited(Some(wait)) = self {
            rule.wait = Some((*wait).to_owned());
        }
        Some(rule)
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

impl End {
    fn rule(&self) -> Option<Rule> {
        let kind = match self {
            Self::Success => return None,
            Self::Failed => Fault::JobFailed,
            Self::Moderation => Fault::JobModerated,
            Self::Lost => Fault::JobLost,
            Self::UnknownState => Fault::UnknownStatus,
            Self::Never => Fault::RunningForEver,
            Self::WithoutResult(_) => Fault::MissingOutput,
        };
        let mut rule = Rule::new(kind, Stage::Poll).times(0);
        if let Self::WithoutResult(at) = self {
            rule.output = u32::try_from(*at).ok();
        }
        Some(rule)
    }
}

impl Media {
    fn rule(&self) -> Option<Rule> {
        let kind = match self {
            Self::Whole | Self::These(_) => return None,
            Self::CutWithLength => Fault::CutWithLength,
            Self::CutWithoutLength => Fault::CutWithoutLength,
            Self::Html => Fault::HtmlMedia,
            Self::Empty => Fault::EmptyMedia,
            Self::ExpiredLinks(_) => Fault::ExpiredLink,
            Self::Redirect(_) => Fault::PrivateRedirect,
        };
        let mut rule = Rule::new(kind, Stage::Fetch).times(match self {
            Self::ExpiredLinks(count) => *count,
            _ => 0,
        });
        if let Self::Redirect(to) = self {
            rule.to = Some(to.clone());
        }
        Some(rule)
    }
}

impl From<Script> for simulator::Script {
    fn from(script: Script) -> Self {
        let ends = (0..).zip(&script.ends).filter_map(|(at, end)| Some(end.rule()?.submission(at)));
        let mut faults = submits(&script.submits);
        faults.extend(ends);
        faults.extend(script.media.rule());
        let file = match &script.media {
            Media::These(bytes) => Some(bytes.clone()),
            _ => None,
        };
        let latency_ms = u64::try_from(script.latency.as_millis()).unwrap_or(u64::MAX);
        Self {
            latency_ms: latency_ms.into(),
            polls: u64::from(script.polls).into(),
            size: script.size.map(|(width, height)| simulator::Size(width, height)),
            bytes: script.bytes,
            file,
            faults,
            ..Self::default()
        }
    }
}

/// A rule for each run of equal fates: a bench writes a thousand.
fn submits(fates: &[Submit]) -> Vec<Rule> {
    let (mut rules, mut skip) = (Vec::new(), 0);
    for run in fates.chunk_by(PartialEq::eq) {
        let times = u32::try_from(run.len()).unwrap_or(u32::MAX);
        rules.extend(run[0].rule().map(|rule| rule.skip(skip).times(times)));
        skip += times;
    }
    rules
}
