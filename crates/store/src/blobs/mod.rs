//! Media bytes, kept under the hash of their content.
//!
//! A blob is born in `staging/` under a random handle: hashed while it is written, flushed, and
//! not yet anyone's. Publishing moves it to `blobs/ab/<sha256>`, where it never changes again, so
//! equal bytes are stored once and publishing twice is harmless. A half-written file is therefore
//! never visible under a hash. What a crash leaves in `staging/` is removed by [`Blobs::sweep`].

mod disk;
mod stage;
#[cfg(test)]
mod tests;

pub use disk::Blobs;
pub use stage::{BlockingStage, StageWriter};

use pixel_core::vendor::Staged;
use std::io;

/// Whether the disk takes nothing more for now: it is full or read-only, and may be mended.
pub fn is_disk_unwilling(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
}

/// A finished file in `staging/`, with the facts that were taken while it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedBlob {
    pub handle: Staged,
    /// Lower-case hex.
    pub sha256: String,
    pub bytes: u64,
}
