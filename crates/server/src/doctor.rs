//! `pixel doctor`: looks at everything that Pixel needs, and says what is missing and what to do.
//!
//! It changes nothing: no folder is made, no table. In a bucket, a small object is written and
//! deleted; with each vendor key, one call is made that costs nothing.

mod accounts;
mod keys;
mod machine;
mod surroundings;

use crate::config::{Environment, Loaded, Problems};
use pixel_core::catalog::Catalog;

/// How one check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Fine,
    /// Optional, and not there.
    Note,
    /// Works, and deserves a second look.
    Warning,
    /// Pixel would not start, or would lose data.
    Failure,
}

/// One finding: what was looked at, what was found and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub status: Status,
    pub subject: String,
    pub finding: String,
    pub remedy: Option<String>,
}

impl Check {
    fn new(status: Status, subject: &str, finding: impl Into<String>) -> Self {
        Self { status, subject: subject.to_owned(), finding: finding.into(), remedy: None }
    }

    fn fine(subject: &str, finding: impl Into<String>) -> Self {
        Self::new(Status::Fine, subject, finding)
    }

    fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Looks at everything. Settings that cannot be used are findings too.
pub fn examine(loaded: Result<(&Loaded, &Catalog), &Problems>, environment: &Environment) -> Vec<Check> {
    let mut checks = Vec::new();
    match loaded {
        Err(problems) => checks.extend(problems.0.iter().map(|problem| {
            let subject = format!("setting {}", problem.setting);
            let finding = format!("{} (from {})", problem.wrong, problem.source);
            Check::new(Status::Failure, &subject, finding).with_remedy(&problem.remedy)
        })),
        Ok((Loaded { settings, warnings, .. }, catalog)) => {
            checks.push(Check::fine("settings", "complete and consistent"));
            checks.extend(warnings.iter().map(|text| Check::new(Status::Warning, "settings", text)));
            checks.push(surroundings::catalog(catalog));
            checks.extend(machine::folders(settings));
            checks.push(surroundings::database(settings));
            checks.extend(surroundings::bucket(settings));
            checks.push(surroundings::address(settings));
            checks.extend(surroundings::vendors(settings, catalog));
            checks.extend(accounts::standing(settings));
            checks.extend(keys::tried(settings, catalog));
        }
    }
    checks.extend(machine::programs(environment));
    checks
}

/// Whether Pixel could run.
pub fn is_fit(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.status != Status::Failure)
}

/// The findings as text, worst visible at a glance.
pub fn report(checks: &[Check], color: bool) -> String {
    let mut lines = Vec::with_capacity(checks.len() + 1);
    for check in checks {
        let (word, code) = match check.status {
            Status::Fine => ("ok  ", "32"),
            Status::Note => ("note", "36"),
            Status::Warning => ("warn", "33"),
            Status::Failure => ("FAIL", "31"),
        };
        let mark = painted(word, code, color);
        lines.push(format!("{mark}  {}: {}", check.subject, check.finding));
        lines.extend(check.remedy.iter().map(|remedy| format!("      → {remedy}")));
    }
    let failures = checks.iter().filter(|check| check.status == Status::Failure).count();
    let verdict = match failures {
        0 => painted("Pixel can run.", "1;32", color),
        1 => painted("1 thing keeps Pixel from running.", "1;31", color),
        more => painted(&format!("{more} things keep Pixel from running."), "1;31", color),
    };
    format!("{}\n\n{verdict}\n", lines.join("\n"))
}

fn painted(text: &str, code: &str, color: bool) -> String {
    if color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests;
