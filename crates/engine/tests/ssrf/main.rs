//! The address guard: what it refuses by the text, and that nothing behind it is ever reached.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot set up its world has failed")]

mod canary;
mod forms;
mod limits;
mod names;
mod namespace;
mod reach;
mod text;
