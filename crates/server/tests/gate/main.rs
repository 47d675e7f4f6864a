//! The gate: the server is made to die, freeze and lose its disk, and is judged from outside.
//!
//! Each test is a piece with a count: what `make test` runs is the default, `make soak` runs the
//! same with larger counts (see [`tally`]). A seed that is printed repeats any run. The witnesses
//! are the vendor's own ledger, the public API, the stored files and what was logged; the server's
//! database is never its own witness (see [`judge`]).

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "seeds and counts of a run are no settings of the product")]

mod disk;
mod judge;
mod kills;
mod leaks;
mod load;
mod mixed;
mod points;
mod proof;
mod tally;
mod vendors;
mod witness;
mod world;
