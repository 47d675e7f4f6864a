//! The harness of the end-to-end tests and of the bench: the real binary, a real database, and a
//! vendor that counts what it was asked and misbehaves on command.
//!
//! It shares no code with the product but for the simulator, which imports nothing of it either:
//! an adapter is judged by somebody else.
//!
//! - [`stub`]: the simulator. It lives in the test's process and so survives the server's.
//! - [`server`]: starts, kills and restarts the binary; [`simulation`] does so with the simulator.
//! - [`postgres`]: a cluster that lives as long as the test.
//! - [`s3`]: a bucket on a real S3-compatible server.
//! - [`rig`]: the three together, and [`on_both`], which runs a test on each database.
//! - [`isolation`]: a network without a way out.
//! - [`screen`]: a screen that nobody sees, and a hand.
//! - [`disk`]: disks that fill up, and system calls that fail.
//! - [`client`], [`media`], [`canary`]: the public API, small files, an address nobody may touch.

#![expect(clippy::expect_used, reason = "a harness that cannot go on fails its test, loudly")]
#![expect(clippy::disallowed_methods, reason = "the product's settings are not read here")]

pub mod canary;
pub mod client;
pub mod disk;
pub mod isolation;
pub mod media;
pub mod postgres;
pub mod process;
pub mod rig;
pub mod s3;
pub mod screen;
pub mod script;
mod seed;
pub mod server;
pub mod simulation;
pub mod stub;
pub mod wait;

pub use client::Client;
pub use http::Method;
pub use rig::Rig;
pub use rustix::process::Signal;
pub use s3::S3;
pub use screen::Screen;
pub use script::Script;
pub use seed::seed;
pub use server::{Db, Launch, Server};
pub use simulation::Simulation;
pub use stub::Stub;
