//! Everything that survives a restart: the rows, and the blobs. The only SQL of the tree.
//!
//! Writes go through one writer ([`writer`]) that groups them into flushed commits; reads go
//! through a pool. No caller ever holds a transaction, so a caller that is cancelled cannot
//! leave one open.

mod accounts;
mod apply;
pub mod backup;
mod beat;
pub mod blobs;
mod checkpoint;
mod claim;
mod clips;
pub mod crash;
mod db;
mod error;
mod hints;
mod jobs;
mod open;
mod pause;
mod purse;
mod read;
mod render;
mod retire;
mod rows;
mod schema;
#[cfg(feature = "seed")]
pub mod seed;
mod store;
mod sweep;
mod writer;

pub use accounts::{AccountRow, SignInLimits, Turn, look_at_accounts};
pub use beat::Leases;
pub use error::StoreError;
pub use hints::Hint;
pub use open::check;
pub use pause::{Backlog, lift_pause, look_at_pause, set_pause};
pub use rows::*;
pub use store::{Options, Store, new_attempt_id, new_clip_number, new_media_id, new_task_id, now};
pub use sweep::{Sweep, Swept};
