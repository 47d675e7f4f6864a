//! What the simulator does, as its user writes it down: for everybody, or for one marker.

use crate::{
    fault::{Fault, Group, Stage},
    site::Site,
};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// The behaviour towards one marker. The default accepts, is done at once and serves good media.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Milliseconds between a submission and its answer: a number, or the least and the most.
    pub latency_ms: Span,
    /// Polls of a job that say it still runs: a number, or the least and the most.
    pub polls: Span,
    /// Results have this size, whatever was asked: `"64x64"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Results are pictures of about so many bytes, whatever was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
    /// Results are this file, called a picture; for programs only.
    #[serde(skip)]
    pub file: Option<bytes::Bytes>,
    /// Milliseconds between the bytes of a slow answer.
    pub pace_ms: u64,
    /// Seconds for which a handed-out link works.
    pub link_s: u64,
    /// Faults that strike as they are written.
    pub faults: Vec<Rule>,
    /// Decides what is left to chance; the same seed decides the same for the same submission number.
    pub seed: u64,
    /// The share of submissions that a fault strikes by chance, 0 to 1.
    pub rate: f64,
    /// The faults that chance takes from; empty is all that need no address of their own.
    pub kinds: Vec<Fault>,
    /// How sites behave where somebody signs in; in the script for all only.
    pub site: Site,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            latency_ms: Span::default(),
            polls: Span::default(),
            size: None,
            bytes: None,
            file: None,
            pace_ms: 1_000,
            link_s: 3_600,
            faults: Vec::new(),
            seed: 0,
            rate: 0.0,
            kinds: Vec::new(),
            site: Site::default(),
        }
    }
}

/// A number, or a range of which each submission takes one by chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SpanForm", into = "SpanForm")]
pub struct Span {
    pub least: u64,
    pub most: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "a whole number, or two as [least, most]")]
enum SpanForm {
    One(u64),
    Two(u64, u64),
}

impl From<SpanForm> for Span {
    fn from(form: SpanForm) -> Self {
        match form {
            SpanForm::One(one) => Self { least: one, most: one },
            SpanForm::Two(least, most) => Self { least, most },
        }
    }
}

impl From<Span> for SpanForm {
    fn from(span: Span) -> Self {
        if span.least == span.most { Self::One(span.least) } else { Self::Two(span.least, span.most) }
    }
}

impl From<u64> for Span {
    fn from(one: u64) -> Self {
        Self { least: one, most: one }
    }
}

impl Span {
    fn take(self, chance: &mut fastrand::Rng) -> u64 {
        if self.least >= self.most { self.least } else { chance.u64(self.least..=self.most) }
    }
}

/// Width and height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub u32, pub u32);

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = |text: &str| Some(text.split_once(['x', '*'])).flatten().map(|(w, h)| (w.parse(), h.parse()));
        match read(&text) {
            Some((Ok(width @ 1..=16_384), Ok(height @ 1..=16_384))) => Ok(Self(width, height)),
            _ => Err(format!("size '{text}' is not such as 64x64, each side 1 to 16384")),
        }
    }
}

impl From<Size> for String {
    fn from(Size(width, height): Size) -> Self {
        format!("{width}x{height}")
    }
}

/// One fault and when it strikes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub kind: Fault,
    /// May be left out for a fault that has one stage only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Submissions of the marker (or polls of the job, or fetches of the result) that it spares first.
    #[serde(default)]
    pub skip: u32,
    /// How many it strikes; 0 is all; left out, it is what the fault usually does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// For polls and fetches: only of the marker's so-manyeth accepted submission, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission: Option<u64>,
    /// `Retry-After` of a rate limit with seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// Where a redirect leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Which result is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<u32>,
    /// The number of an error, or of a state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
}

impl Rule {
    pub fn new(kind: Fault, stage: Stage) -> Self {
        let (wait, to, output, code) = (None, None, None, None);
        Self { kind, stage: Some(stage), skip: 0, times: None, submission: None, wait, to, output, code }
    }

    pub fn code(mut self, code: i64) -> Self {
        self.code = Some(code);
        self
    }

    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// 0 is always.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    pub fn submission(mut self, at: u64) -> Self {
        self.submission = Some(at);
        self
    }

    /// Where it strikes; a checked rule has a stage.
    pub fn at(&self) -> Option<Stage> {
        self.stage.or(match self.kind.stages() {
            [one] => Some(*one),
            _ => None,
        })
    }

    /// Whether it strikes the so-manyeth request of its stage, from 0.
    pub(crate) fn strikes(&self, stage: Stage, count: u32) -> bool {
        let times = self.times.unwrap_or(self.kind.usual_times());
        self.at() == Some(stage) && count >= self.skip && (times == 0 || count - self.skip < times)
    }

    fn check(&self, at: usize) -> Result<(), String> {
        let (name, stages) = (self.kind.name(), self.kind.stages());
        let listed = || stages.iter().map(|stage| stage.name()).collect::<Vec<_>>().join(", ");
        match self.at() {
            None => Err(format!("faults[{at}].stage: '{name}' needs one of {}", listed())),
            Some(Stage::Connect) => {
                Err(format!("faults[{at}]: '{name}' is an address; GET /_faults names it, point the base URL there"))
            }
            Some(stage) if !self.kind.strikes_at(stage) => {
                Err(format!("faults[{at}].stage: '{name}' strikes at {} only", listed()))
            }
            Some(_) if self.kind.needs_code() && self.code.is_none() => {
                Err(format!("faults[{at}].code: '{name}' needs the number"))
            }
            Some(_) => Ok(()),
        }
    }
}

impl Script {
    /// Reads a script; the error is a sentence that names the field.
    pub fn parse(text: &[u8]) -> Result<(Option<String>, Self), String> {
        let mut value: serde_json::Value =
            serde_json::from_slice(text).map_err(|error| format!("the script is not JSON: {error}"))?;
        let fields = value.as_object_mut().ok_or("the script is not a JSON object")?;
        let marker = match fields.remove("marker") {
            None => None,
            Some(serde_json::Value::String(marker)) if crate::marker::is_marker(&marker) => Some(marker),
            Some(other) => return Err(format!("marker: {other} is not a word such as \"mk-a1\"")),
        };
        let script: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        script.check()?;
        if marker.is_some() && script.site != Site::default() {
            return Err("site: it belongs in the script for all, the one without a marker".to_owned());
        }
        Ok((marker, script))
    }

    pub fn check(&self) -> Result<(), String> {
        for (name, span) in [("latency_ms", self.latency_ms), ("polls", self.polls)] {
            if span.least > span.most {
                return Err(format!("{name}: the least, {}, is more than the most, {}", span.least, span.most));
            }
        }
        if !(0.0..=1.0).contains(&self.rate) {
            return Err(format!("rate: {} is not between 0 and 1", self.rate));
        }
        if let Some(kind) = self.kinds.iter().find(|kind| chances(**kind).is_empty()) {
            return Err(format!("kinds: '{}' cannot strike by chance", kind.name()));
        }
        self.site.check()?;
        self.faults.iter().enumerate().try_for_each(|(at, rule)| rule.check(at))
    }

    /// What chance has in store for the submission with this number.
    pub(crate) fn draw(&self, number: u64) -> Draw {
        let mut chance = fastrand::Rng::with_seed(self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let latency = Duration::from_millis(self.latency_ms.take(&mut chance));
        let polls = u32::try_from(self.polls.take(&mut chance)).unwrap_or(u32::MAX);
        let struck = self.rate > 0.0 && chance.f64() < self.rate;
        let fault = struck.then(|| self.pick(&mut chance)).flatten();
        Draw { latency, polls, fault }
    }

    fn pick(&self, chance: &mut fastrand::Rng) -> Option<Rule> {
        let all: Vec<Fault>;
        let kinds = match self.kinds.as_slice() {
            [] => {
                all = Fault::ALL.iter().copied().filter(|kind| !chances(*kind).is_empty()).collect();
                &all
            }
            kinds => kinds,
        };
        let kind = kinds[chance.usize(..kinds.len())];
        let stages = chances(kind);
        Some(Rule::new(kind, *stages.get(chance.usize(..stages.len().max(1)))?))
    }
}

/// The stages at which a fault may strike by chance.
fn chances(kind: Fault) -> Vec<Stage> {
    let stages = kind.stages().iter().copied().filter(|stage| *stage != Stage::Connect);
    if matches!(kind.group(), Group::Before | Group::Account) { Vec::new() } else { stages.collect() }
}

/// What a submission is given on its way.
pub(crate) struct Draw {
    pub latency: Duration,
    pub polls: u32,
    pub fault: Option<Rule>,
}

/// The scripts in effect.
#[derive(Default)]
pub(crate) struct Scripts {
    default: Arc<Script>,
    of_marker: HashMap<String, Arc<Script>>,
}

impl Scripts {
    pub fn of(&self, marker: &str) -> Arc<Script> {
        self.of_marker.get(marker).unwrap_or(&self.default).clone()
    }

    /// How sites behave; they know no markers.
    pub fn site(&self) -> Site {
        self.default.site.clone()
    }

    pub fn set(&mut self, marker: Option<String>, script: Script) {
        match marker {
            None => self.default = Arc::new(script),
            Some(marker) => drop(self.of_marker.insert(marker, Arc::new(script))),
        }
    }

    pub fn to_json(&self) -> serde_json::Value {
        let of_marker: std::collections::BTreeMap<_, _> =
            self.of_marker.iter().map(|(marker, script)| (marker, &**script)).collect();
        serde_json::json!({ "default": &*self.default, "markers": of_marker })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(Option<String>, Script), String> {
        Script::parse(text.as_bytes())
    }

    #[test]
    fn a_script_is_read_as_documented() {
        let text = r#"{ "marker": "mk-a1", "latency_ms": [5, 20], "polls": 3, "size": "64x64",
                        "faults": [{ "kind": "reset-after-accept", "stage": "submit" },
                                   { "kind": "expired-link", "times": 2 }] }"#;
        let (marker, script) = parse(text).expect("it is well formed");
        assert_eq!((marker.as_deref(), script.polls, script.size), (Some("mk-a1"), 3.into(), Some(Size(64, 64))));
        assert!(script.faults[0].strikes(Stage::Submit, 0) && !script.faults[0].strikes(Stage::Submit, 1));
        assert!(script.faults[1].strikes(Stage::Fetch, 1) && !script.faults[1].strikes(Stage::Fetch, 2));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            ("[]", "object"),
            ("{", "JSON"),
            (r#"{"latency": 5}"#, "latency"),
            (r#"{"marker": "x"}"#, "marker"),
            (r#"{"polls": [5, 1]}"#, "polls"),
            (r#"{"polls": "5"}"#, "whole number"),
            (r#"{"rate": 2}"#, "rate"),
            (r#"{"size": "0x9"}"#, "size"),
            (r#"{"kinds": ["black-hole"]}"#, "black-hole"),
            (r#"{"faults": [{"kind": "late"}]}"#, "'late'"),
            (r#"{"faults": [{"kind": "not-found"}]}"#, "submit, poll, fetch"),
            (r#"{"faults": [{"kind": "missing-id", "stage": "poll"}]}"#, "submit only"),
            (r#"{"faults": [{"kind": "http2-goaway"}]}"#, "address"),
            (r#"{"faults": [{"kind": "status-number"}]}"#, "faults[0].code"),
            (r#"{"kinds": ["missing-row"]}"#, "by chance"),
            (r#"{"site": {"language": "xx"}}"#, "en, ru, zh"),
            (r#"{"marker": "mk-a1", "site": {"edge": true}}"#, "without a marker"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn chance_repeats_itself() {
        let script = Script { seed: 7, rate: 0.3, polls: Span { least: 0, most: 9 }, ..Script::default() };
        let draw = |number| {
            let Draw { latency, polls, fault } = script.draw(number);
            (latency, polls, fault)
        };
        let first: Vec<_> = (0..2_000).map(draw).collect();
        assert_eq!(first, (0..2_000).map(draw).collect::<Vec<_>>());
        let struck = first.iter().filter(|(_, _, fault)| fault.is_some()).count();
        assert!((450..750).contains(&struck), "{struck} of 2000 at 30 %");
        let other = Script { seed: 8, ..script };
        assert_ne!(
            first[..50],
            (0..50)
                .map(|n| {
                    let d = other.draw(n);
                    (d.latency, d.polls, d.fault)
                })
                .collect::<Vec<_>>()[..]
        );
        assert!(first.iter().flat_map(|(_, _, fault)| fault).all(|rule| rule.check(0).is_ok()));
    }
}
