//! The harness of the end-to-end tests and of the bench: the real binary, a real database, and a
//! vendor that counts what it was asked and misbehaves on command.
//!
//! It shares no code with the product. Whatever it says of a vendor's wire form was written from
//! the vendor's documents, so that an adapter is judged by somebody else.
//!
//! - [`stub`]: the counting vendor. It lives in the test's process and so survives the server's.
//! - [`server`]: starts, kills and restarts the binary.
//! - [`postgres`]: a cluster that lives as long as the test.
//! - [`rig`]: the three together, and [`on_both`], which runs a test on each database.
//! - [`isolation`]: a network without a way out.
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
mod process;
pub mod rig;
pub mod server;
pub mod stub;
pub mod wait;

pub use client::Client;
pub use http::Method;
pub use rig::Rig;
pub use server::{Db, Server};
pub use stub::{Script, Stub};
