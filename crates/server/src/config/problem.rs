//! What is wrong with the settings, in sentences that a person can act on.

use std::fmt;

/// One thing that is wrong: which setting, where it came from, what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub setting: String,
    pub source: String,
    pub wrong: String,
    pub remedy: String,
}

impl Problem {
    pub fn new(
        setting: impl Into<String>,
        source: impl fmt::Display,
        wrong: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { setting: setting.into(), source: source.to_string(), wrong: wrong.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (from {}): {}. {}.", self.setting, self.source, self.wrong, self.remedy)
    }
}

/// Everything that is wrong at once, so that nobody has to mend one setting a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|problem| format!("  {problem}")).collect();
        write!(f, "Pixel can't start with these settings:\n{}", lines.join("\n"))
    }
}

impl std::error::Error for Problems {}

/// What a parser says of a value: what is wrong, and the remedy. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub what: String,
    pub remedy: String,
}

pub fn wrong<T>(what: impl Into<String>, remedy: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { what: what.into(), remedy: remedy.into() })
}
