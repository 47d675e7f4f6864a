//! Takes staged bytes in: examined by what they are, then published under their hash.

use crate::{Engine, media};
use pixel_core::task::Facts;
use pixel_store::blobs::StagedBlob;
use std::io;

/// Why staged bytes did not become a blob.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// They are not media that we take.
    #[error(transparent)]
    Unusable(#[from] media::Unusable),
    /// Our own disk failed; the bytes may be fine.
    #[error("could not be stored: {0}")]
    Ours(#[from] io::Error),
}

/// Whether a stored row still names the staged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Yes,
    No,
}

impl Engine {
    /// Examines a staged file by its bytes and publishes it; what is unusable is left to the sweep.
    pub async fn admit(&self, staged: &StagedBlob, keep: Keep) -> Result<Facts, AdmitError> {
        let inner = &self.0;
        let permit = inner.decodes.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (path, limits) = (inner.blobs.staged_path(&staged.handle), inner.options.media.clone());
        let (sha256, bytes) = (staged.sha256.clone(), staged.bytes);
        let examined = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            media::examine(&path, &sha256, bytes, &limits)
        });
        let facts = examined.await.map_err(io::Error::other)??;
        match keep {
            Keep::Yes => inner.blobs.publish_keeping(&staged.handle, &staged.sha256).await?,
            Keep::No => inner.blobs.publish(&staged.handle, &staged.sha256).await?,
        }
        Ok(facts)
    }
}
