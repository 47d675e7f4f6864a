//! Named places at which a test lets this process die, to see that nothing is lost or paid twice.
//!
//! [`point!`](crate::crash::point) is nothing at all unless the feature `crash-points` is on, which
//! only the server's own tests turn on: a released binary has no such place. With it, the process
//! ends the n-th time it comes by the one place that was [armed](arm), as abruptly as a kill does.

/// Whether this build has crash points.
pub const BUILT_IN: bool = cfg!(feature = "crash-points");

/// Ends the process here when a test has armed this name.
#[cfg(feature = "crash-points")]
#[doc(hidden)]
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        $crate::crash::hit($name)
    };
}

/// Nothing: this build has no crash points.
#[cfg(not(feature = "crash-points"))]
#[doc(hidden)]
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {};
}

pub use crate::crash_point as point;

#[cfg(feature = "crash-points")]
pub use built_in::{POINTS, arm, hit};

/// Refuses: this build has no crash points.
#[cfg(not(feature = "crash-points"))]
pub fn arm(_name: &str, _at_hit: u64) -> Result<(), String> {
    Err("this build of Pixel has no crash points".to_owned())
}

#[cfg(feature = "crash-points")]
mod built_in {
    use std::{
        io::Write,
        sync::{
            OnceLock,
            atomic::{AtomicU64, Ordering},
        },
    };

    /// Every point, and what it lies between. `cargo xtask tidy` holds the list against the code.
    pub const POINTS: &[(&str, &str)] = &[
        ("start.bound", "the port is taken, nothing is opened yet"),
        ("migrate.begun", "the data folder is locked, the schema is as the last life left it"),
        ("migrate.done", "the schema is new, older leases still stand"),
        ("epoch.raised", "older leases are ended in a transaction that is not committed"),
        ("start.opened", "the store is open, nothing is claimed"),
        ("start.claiming", "work goes on, the address is not announced"),
        ("create.checked", "a request is good, nothing of it is written"),
        ("create.stored", "a task is on stable storage, its caller does not know"),
        ("upload.staged", "a data URI's bytes are in staging, not examined"),
        ("upload.published", "they are a blob that no row names"),
        ("writer.received", "a batch of writes is taken, no transaction is begun"),
        ("writer.begun", "a transaction is begun, nothing is written in it"),
        ("writer.applied", "everything is written, nothing is committed"),
        ("writer.committed", "it is committed and flushed, nobody was told"),
        ("claim.taken", "a task is leased, its run has not begun"),
        ("input.fetched", "an input's bytes are in staging, not examined"),
        ("input.stored", "an input is a blob, the task's row does not name it"),
        ("inputs.written", "the row names its inputs, the vendor has not heard of them"),
        ("submit.begun", "a paid call is made up, its intent is not recorded"),
        ("submit.recorded", "the intent is on stable storage, nothing was sent"),
        ("submit.leased", "the lease was looked at again, the request leaves next"),
        ("door.answering", "an answer's head has come, its body has not been read"),
        ("answer.media", "part of an answer's embedded media is written to staging"),
        ("submit.answered", "a paid call's answer was read, nothing of it is recorded"),
        ("submit.refused", "a refusal was understood, it is not recorded"),
        ("fallback.writing", "a model refused, the write that makes the task another one's is not made"),
        ("fallback.written", "the task is another model's, nobody was told"),
        ("wait.writing", "the vendor has the job, the row that says so is not written"),
        ("wait.written", "the row says that the vendor has the job, and when to ask"),
        ("collect.recorded", "what the vendor made is recorded and copied, not settled"),
        ("poll.sending", "a free call is about to leave"),
        ("poll.answered", "a free call's answer was read, nothing of it is recorded"),
        ("fetch.begun", "a result's answer has begun, its file has no byte yet"),
        ("fetch.half", "part of a result is on its way into staging"),
        ("fetch.finished", "a result is whole in staging, not examined"),
        ("stage.written", "a staged file is written, not flushed"),
        ("stage.flushed", "a staged file is flushed, nobody knows of it"),
        ("admit.examined", "staged bytes were judged good, not published"),
        ("publish.renamed", "a blob has its name, the folder is not flushed"),
        ("publish.linked", "a blob has its name beside the staged one, the folder is not flushed"),
        ("admit.published", "a blob is published, no row names it"),
        ("result.writing", "the results are ours, the last write is not made"),
        ("result.written", "the last write is made, staged copies are still there"),
        ("result.discarding", "staged copies of a finished task are about to go"),
        ("run.ended", "a run is over, its lease is let go next"),
        ("local.begun", "local work is recorded, nothing is computed"),
        ("local.made", "local work has its files in staging, nothing of it is recorded"),
        ("hold.writing", "a submission is to be held, the row does not say so yet"),
        ("hold.written", "a submission is held"),
        ("resolve.claimed", "a held task is leased for a decision that is not written"),
        ("resolve.written", "a decision is written, its caller does not know"),
        ("search.sending", "a lost submission is about to be looked for"),
        ("search.answered", "the vendor has said whether it knows the submission, it is not recorded"),
        ("beat.begun", "leases are about to be renewed"),
        ("beat.renewed", "leases are renewed, this process does not count on it yet"),
        ("checkpoint.begun", "the log is about to be moved into the database"),
        ("checkpoint.done", "the log was moved into the database"),
        ("sweep.begun", "abandoned staged files are about to be looked for"),
        ("sweep.removed", "abandoned staged files are gone"),
        ("stop.begun", "the server was told to stop, everything still runs"),
        ("stop.drained", "requests and work are over, the database is open"),
        ("stop.closed", "the database is closed"),
    ];

    struct Armed {
        name: String,
        at_hit: u64,
        hits: AtomicU64,
    }

    static ARMED: OnceLock<Armed> = OnceLock::new();

    /// From now on the process ends at the `at_hit`-th time that it comes by this point.
    pub fn arm(name: &str, at_hit: u64) -> Result<(), String> {
        if !POINTS.iter().any(|(known, _)| *known == name) {
            return Err(format!("there is no crash point '{name}'"));
        }
        let armed = Armed { name: name.to_owned(), at_hit, hits: AtomicU64::new(0) };
        ARMED.set(armed).map_err(|_| "a crash point is armed already".to_owned())
    }

    /// What [`point!`](super::point) does.
    pub fn hit(name: &'static str) {
        let Some(armed) = ARMED.get().filter(|armed| armed.name == name) else { return };
        if armed.hits.fetch_add(1, Ordering::SeqCst) + 1 == armed.at_hit {
            // The test tells this end from any other by these words.
            let _ = writeln!(std::io::stderr(), "crash point {name} reached");
            std::process::abort();
        }
    }
}
