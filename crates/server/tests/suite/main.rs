//! The server from outside: the real binary, on each database, against a vendor that counts.
//!
//! Every test runs in a network of its own (see `pixel_testkit::isolation`), starts its own
//! server over its own data, and waits for conditions only. `name::sqlite` and `name::postgres`
//! are the same test on the two databases.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod alias;
mod backup;
mod bad_input;
mod bounds;
mod browser;
mod catalog;
mod chat;
mod contract;
mod docs;
mod examples;
mod faults;
mod flat;
mod flush;
mod held;
mod inputs;
mod keys;
mod leftover;
mod lifecycle;
mod media;
mod models;
mod objects;
#[cfg(feature = "browser")]
mod people;
#[cfg(feature = "browser")]
mod pixverse_account;
mod pixverse_service;
mod replicas;
mod retention;
mod rolling;
#[cfg(feature = "browser")]
mod sign_in;
mod simulate;
mod support;
mod tasks;
mod trials;
mod vendors;
