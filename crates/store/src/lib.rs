//! Everything that survives a restart: the rows, and the blobs. The only SQL of the tree.
//!
//! Writes go through one writer ([`writer`]) that groups them into flushed commits; reads go
//! through a pool. No caller ever holds a transaction, so a caller that is cancelled cannot
//! leave one open.

mod apply;
mod beat;
pub mod blobs;
mod checkpoint;
mod db;
mod error;
mod open;
mod read;
mod render;
mod retire;
mod rows;
#[cfg(feature = "seed")]
pub mod seed;
mod store;
mod sweep;
mod writer;

pub use beat::Leases;
pub use error::StoreError;
pub use rows::*;
pub use store::{Options, Store, check, new_attempt_id, new_media_id, new_task_id, now};
pub use sweep::{Sweep, Swept};
