//! Work of a vendor inside this process.

use std::{fmt, io, sync::Arc};

/// Computing that needs no network: it runs on the engine's bounded blocking pool, can be
/// cancelled, costs nothing and may be repeated.
#[derive(Clone)]
pub struct LocalWork(pub Arc<dyn Local>);

impl fmt::Debug for LocalWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalWork")
    }
}

pub trait Local: Send + Sync {
    /// Writes each result into a file of its own on the desk. Returns early when cancelled.
    fn run(&self, desk: &mut dyn Desk) -> io::Result<()>;
}

/// Where local work puts its results and hears of the world.
pub trait Desk {
    /// Begins the next staged file; what is written after it belongs to it.
    fn begin(&mut self) -> io::Result<()>;
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn is_cancelled(&self) -> bool;
    /// Percent done, for the caller to see.
    fn progress(&mut self, percent: u8);
    /// Reads a whole stored blob, at most 64 MiB.
    fn blob(&mut self, sha256: &str) -> io::Result<Vec<u8>>;
}
