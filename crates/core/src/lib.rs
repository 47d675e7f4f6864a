//! The words of the domain: requests, models, tasks, and what a vendor is.
//!
//! This crate is pure. It opens no file and no socket, runs no SQL, spawns nothing and does not
//! know the time: whoever calls it passes the time in. Start with [`vendor`], the seam that the
//! whole product hangs on, then [`task`], the state that survives a restart.

pub mod capability;
pub mod catalog;
pub mod chat;
pub mod error;
pub mod fallback;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod id;
mod local;
pub mod overlay;
pub mod param;
pub mod price;
pub mod request;
pub mod schema;
mod secret;
pub mod size;
pub mod stamp;
pub mod task;
pub mod vendor;

pub use error::{Error, ErrorKind, SessionTrouble};
pub use stamp::Stamp;
