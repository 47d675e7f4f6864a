//! Takes staged bytes in: examined by what they are, then published under their hash.

use crate::{Engine, media};
use pixel_core::{task::Facts, vendor::Staged};
use pixel_store::blobs::{Blobs, StagedBlob};
use std::io;
use tokio::sync::OwnedSemaphorePermit;

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

/// Bytes on their way in.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// A finished file that nobody names yet.
    Fresh(StagedBlob),
    /// A file that a stored row names: it stays in staging until that row is written anew.
    Named(Staged),
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Admitted {
    pub facts: Facts,
    /// The thumbnail of a picture that is large enough to need one.
    pub preview: Option<Facts>,
    /// The generation of blobs before they were published, for the rows that name them.
    pub seen: i64,
}

impl Engine {
    /// Examines staged bytes and publishes them; `preview` asks for a thumbnail as well. What is
    /// unusable is left to the sweep. One trip to a blocking thread does it all, but for a picture
    /// that has to be decoded: such ones wait until there is room for their pixels.
    pub async fn admit(&self, arrival: Arrival, preview: bool) -> Result<Admitted, AdmitError> {
        let seen = self.0.store.blob_generation();
        let bench = self.bench(seen).await?;
        let work = move || {
            let (staged, is_named) = match arrival {
                Arrival::Fresh(staged) => (staged, false),
                Arrival::Named(handle) => (bench.blobs.staged(&handle)?, true),
            };
            bench.examine(staged, is_named, preview)
        };
        match blocking(work).await? {
            Examined::Done(admitted) => Ok(admitted),
            Examined::Large(staged, is_named, facts) => {
                let _room = self.room_for(&facts).await?;
                let bench = self.bench(seen).await?;
                blocking(move || bench.take_in(&staged, is_named, facts, true)).await
            }
        }
    }

    async fn bench(&self, seen: i64) -> Result<Bench, AdmitError> {
        let permit = self.0.decodes.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (blobs, limits) = (self.0.blobs.clone(), self.0.options.media.clone());
        Ok(Bench { blobs, limits, seen, _permit: permit })
    }

    /// Room for a picture's pixels while it is decoded; one that is larger than all takes all.
    async fn room_for(&self, facts: &Facts) -> Result<OwnedSemaphorePermit, AdmitError> {
        let bytes = facts.size.map_or(0, |size| size.pixels() * PIXEL_BYTES);
        let mebibytes = u32::try_from(bytes >> 20).unwrap_or(u32::MAX).clamp(1, DECODED_MIB as u32);
        Ok(self.0.decoded.clone().acquire_many_owned(mebibytes).await.map_err(io::Error::other)?)
    }
}

/// Pixels that are decoded at the same time, in MiB, and what one takes.
pub(crate) const DECODED_MIB: usize = 64;
const PIXEL_BYTES: u64 = 4;

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AdmitError> + Send + 'static,
) -> Result<T, AdmitError> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

enum Examined {
    Done(Admitted),
    /// It is to have a preview and needs room to be decoded.
    Large(StagedBlob, bool, Facts),
}

/// What one admission works with, on a blocking thread.
struct Bench {
    blobs: Blobs,
    limits: media::MediaLimits,
    seen: i64,
    _permit: OwnedSemaphorePermit,
}

impl Bench {
    fn examine(self, staged: StagedBlob, is_named: bool, preview: bool) -> Result<Examined, AdmitError> {
        let path = self.blobs.staged_path(&staged.handle);
        let facts = media::examine(&path, &staged.sha256, staged.bytes, &self.limits)?;
        match preview && media::needs_preview(&facts, &self.limits) {
            true => Ok(Examined::Large(staged, is_named, facts)),
            false => self.take_in(&staged, is_named, facts, false).map(Examined::Done),
        }
    }

    fn take_in(self, staged: &StagedBlob, is_named: bool, facts: Facts, preview: bool) -> Result<Admitted, AdmitError> {
        let (blobs, limits) = (&self.blobs, &self.limits);
        let path = blobs.staged_path(&staged.handle);
        let bytes = preview.then(|| media::preview(&path, &facts, limits)).flatten();
        match is_named {
            true => blobs.publish_keeping(&staged.handle, &staged.sha256)?,
            false => blobs.publish(&staged.handle, &staged.sha256)?,
        }
        let preview = bytes.and_then(|bytes| match take_in_preview(blobs, limits, &bytes) {
            Ok(facts) => Some(facts),
            Err(error) => {
                // A result without a thumbnail is whole all the same.
                tracing::warn!(%error, "a preview could not be stored");
                None
            }
        });
        Ok(Admitted { facts, preview, seen: self.seen })
    }
}

fn take_in_preview(blobs: &Blobs, limits: &media::MediaLimits, bytes: &[u8]) -> Result<Facts, AdmitError> {
    let staged = blobs.stage_bytes(bytes)?;
    let facts = media::examine(&blobs.staged_path(&staged.handle), &staged.sha256, staged.bytes, limits)?;
    blobs.publish(&staged.handle, &staged.sha256)?;
    Ok(facts)
}
