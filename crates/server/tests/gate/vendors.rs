//! The vendors of the gate: which models there are, of which class, and how they are made to behave.

use pixel_testkit::{Script, Stub, server::Launch, stub, stub::Submit};
use std::time::Duration;

/// What a vendor offers against paying twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It knows a repeated key again.
    Keyed,
    /// It can be asked for a lost submission by our reference.
    Searchable,
    Neither,
    /// It works inside this process and costs nothing.
    Local,
}

/// How results come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In the answer of the paid call itself.
    Embedded,
    /// By polls, then behind a link.
    Polled,
    /// Computed here.
    Computed,
}

/// A model that the gate uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    pub id: &'static str,
    pub class: Class,
    pub way: Way,
    /// Asked for; absent where the model has sizes of its own.
    pub resolution: Option<&'static str>,
    /// Results of one paid call.
    pub per_call: usize,
    /// Whether it takes pictures as inputs.
    pub inputs: bool,
}

impl Model {
    pub fn is_paid(&self) -> bool {
        self.class != Class::Local
    }
}

pub const SANDBOX: &Model = &Model {
    id: "sandbox/painter",
    class: Class::Local,
    way: Way::Computed,
    resolution: Some("64x64"),
    per_call: 1,
    inputs: true,
};

/// Every paid model. A model of another class is one more entry here; all cases follow from it.
pub const PAID: &[Model] = &[
    Model {
        id: "openai/gpt-image-2",
        class: Class::Neither,
        way: Way::Embedded,
        resolution: Some("64x64"),
        per_call: 10,
        inputs: true,
    },
    Model {
        id: "dashscope/qwen-image",
        class: Class::Neither,
        way: Way::Polled,
        resolution: None,
        per_call: 1,
        inputs: true,
    },
    LAB[0],
    LAB[1],
    LAB[2],
];

/// One model for each promise that a vendor may give about a repeat.
pub const LAB: [Model; 3] =
    [lab("lab/keyed", Class::Keyed), lab("lab/searchable", Class::Searchable), lab("lab/plain", Class::Neither)];

const fn lab(id: &'static str, class: Class) -> Model {
    Model { id, class, way: Way::Polled, resolution: None, per_call: 4, inputs: false }
}

/// A name for two models of one vendor, which therefore refuses one submission and takes the next.
pub const ALIAS: &Model = &lab("pixel/gate", Class::Neither);

/// The catalogue file that says so.
pub const ALIASES: &str = "[[alias]]\nid = 'pixel/gate'\nname = 'Gate'\n\
                           members = [{ model = 'lab/plain' }, { model = 'lab/keyed', order = 2 }]\n";

/// What the vendor does with a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepts,
    /// Says no, clearly and for good.
    Refuses,
    /// Accepts, and answers so that nobody can know.
    Unclear,
}

pub const OUTCOMES: [Outcome; 3] = [Outcome::Accepts, Outcome::Refuses, Outcome::Unclear];

/// The vendors of one run. They live in the test's process, so they outlive every server.
pub struct Vendors(Stub);

impl Vendors {
    pub fn start() -> Self {
        let vendors = Self(Stub::start());
        vendors.by_default(Duration::ZERO, 1);
        vendors
    }

    /// Points a server at them.
    pub fn attach(&self, launch: Launch) -> Launch {
        launch.vendors(&self.0).lab(&self.0)
    }

    /// What no script says: small pictures after so long and so many polls.
    pub fn by_default(&self, latency: Duration, polls: u32) {
        self.0.by_default(script(&[], latency, polls));
    }

    /// How the submissions with this mark go.
    pub fn script(&self, mark: &str, outcome: Outcome, latency: Duration, polls: u32) {
        let submits: &[Submit] = match outcome {
            Outcome::Accepts => &[],
            Outcome::Refuses => &[Submit::BadParameter],
            Outcome::Unclear => &[Submit::ErrorAfterAccept],
        };
        self.0.script(mark, script(submits, latency, polls));
    }

    /// Submissions that the vendor would charge for.
    pub fn accepted(&self, mark: &str) -> usize {
        self.0.accepted(mark)
    }

    /// Results that the vendor would charge for.
    pub fn charged(&self, mark: &str) -> u64 {
        self.0.simulator().entries(Some(mark), None).iter().map(|entry| u64::from(entry.outputs)).sum()
    }

    /// Submissions that arrived.
    pub fn received(&self, mark: &str) -> usize {
        self.0.received(mark)
    }

    /// All that the vendor would charge for.
    pub fn accepted_in_all(&self) -> usize {
        usize::try_from(self.0.accepted_in_all()).expect("a number of submissions")
    }

    /// What a well-behaved client never does.
    pub fn violations(&self) -> Vec<String> {
        self.0.violations()
    }
}

fn script(submits: &[Submit], latency: Duration, polls: u32) -> Script {
    let size = Some((64, 64));
    Script { size, ..Script::submits(submits).latency(latency).polls(polls) }
}

/// A word that tells one task's submissions from all others.
pub fn mark() -> String {
    stub::marker()
}

/// The mark at the beginning of a prompt.
pub fn mark_of(prompt: &str) -> &str {
    prompt.split(' ').next().unwrap_or_default()
}
