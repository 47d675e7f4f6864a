//! What a piece of the gate counted, with its seed; `make soak` keeps it as a record.
//!
//! - `PIXEL_TEST_SEED` repeats a run.
//! - `PIXEL_SOAK` is the count of the piece that runs, in place of the gate's.
//! - `PIXEL_SOAK_RECORD` names the file that the piece is written into, and `PIXEL_SOAK_REVISION`
//!   the state of the tree.

use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

pub struct Tally {
    piece: &'static str,
    seed: u64,
    begun: Instant,
    figures: Mutex<Figures>,
}

#[derive(Default)]
struct Figures {
    /// Invariant → times that it was looked at. One that does not hold ends the run.
    checks: BTreeMap<&'static str, u64>,
    counts: BTreeMap<String, u64>,
}

impl Tally {
    pub fn begin(piece: &'static str) -> Self {
        Self { piece, seed: pixel_testkit::seed(piece), begun: Instant::now(), figures: Mutex::default() }
    }

    /// Randomness of one part of the run: the same for the same seed.
    pub fn rng(&self, part: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed.wrapping_add(part))
    }

    /// How often this piece is done: the gate's count, unless a soak says another.
    pub fn count(&self, gate: usize) -> usize {
        number("PIXEL_SOAK").map_or(gate, |count| usize::try_from(count).unwrap_or(gate))
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        // A broken run still says what it had counted.
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn checked(&self, invariant: &'static str, times: usize) {
        *self.figures().checks.entry(invariant).or_default() += times as u64;
    }

    pub fn add(&self, what: &str, count: usize) {
        *self.figures().counts.entry(what.to_owned()).or_default() += count as u64;
    }

    /// Keeps the longest time of a kind.
    pub fn most(&self, what: &str, figure: Duration) {
        let mut figures = self.figures();
        let entry = figures.counts.entry(format!("{what}_ms_most")).or_default();
        *entry = (*entry).max(u64::try_from(figure.as_millis()).unwrap_or(u64::MAX));
    }

    pub fn of(&self, what: &str) -> u64 {
        self.figures().counts.get(what).copied().unwrap_or(0)
    }

    /// Says how far a long run is.
    pub fn progress(&self, done: usize, all: usize) {
        eprintln!("{}: {done} of {all}, {} s", self.piece, self.begun.elapsed().as_secs());
    }

    fn lines(&self) -> String {
        let (mut text, figures) = (String::new(), self.figures());
        for (invariant, times) in &figures.checks {
            let _ = write!(text, " {invariant} {times}");
        }
        for (what, count) in &figures.counts {
            let _ = write!(text, ", {what} {count}");
        }
        text
    }

    fn record(&self, passed: bool) -> Value {
        let held_share = self.of("held") as f64 / self.of("acknowledged").max(1) as f64;
        let figures = self.figures();
        json!({
            "date": date(since_1970().as_secs()),
            "revision": std::env::var("PIXEL_SOAK_REVISION").unwrap_or_default(),
            "passed": passed,
            "seed": self.seed,
            "seconds": self.begun.elapsed().as_secs(),
            "held_share": held_share,
            "counts": figures.counts,
            "checks": figures.checks,
        })
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let passed = !thread::panicking();
        let verdict = if passed { "held" } else { "BROKEN" };
        eprintln!("{}: {verdict} in {} s;{}", self.piece, self.begun.elapsed().as_secs(), self.lines());
        if !passed {
            eprintln!("{}: repeat with PIXEL_TEST_SEED={}", self.piece, self.seed);
        }
        if let Some(file) = std::env::var_os("PIXEL_SOAK_RECORD") {
            write(Path::new(&file), self.piece, self.record(passed));
        }
    }
}

/// Puts one piece into the record and leaves the others: pieces run one at a time.
fn write(file: &Path, piece: &str, record: Value) {
    let old = fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let mut all = old.filter(Value::is_object).unwrap_or_else(|| json!({}));
    all[piece] = record;
    let text = format!("{all:#}\n");
    let part = file.with_extension("part");
    let written = fs::write(&part, text).and_then(|()| fs::rename(&part, file));
    if let Err(error) = written {
        eprintln!("the record {} could not be written: {error}", file.display());
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no whole number: {text}")))
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The day of a time since 1970, UTC.
fn date(seconds: u64) -> String {
    let is_leap = |year: u64| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let (mut days, mut year, mut month) = (seconds / 86_400, 1970, 1);
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[test]
fn days_are_told() {
    assert_eq!(date(0), "1970-01-01");
    assert_eq!(date(951_782_400), "2000-02-29");
    assert_eq!(date(1_795_132_800), "2026-11-20");
}
