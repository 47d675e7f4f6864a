//! Takes staged bytes in: examined by what they are, then published under their hash.

use crate::{Engine, media};
use futures_util::future;
use pixel_core::{task::Facts, vendor::Staged};
use pixel_store::{
    blobs::{Blobs, Publication, StagedBlob},
    crash,
};
use std::{io, path::PathBuf};
use tokio::sync::OwnedSemaphorePermit;

/// Pixels that are decoded at the same time, in MiB, and what one takes.
pub(crate) const DECODED_MIB: usize = 64;
const PIXEL_BYTES: u64 = 4;

/// Why staged bytes did not become a blob.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// They are not media that we take.
    #[error(transparent)]
    Unusable(#[from] media::Unusable),
    /// Our own disk or object store failed; the bytes may be fine.
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

/// What was found out, before its publication is completed.
pub(crate) struct Examined {
    pub facts: Facts,
    publication: Publication,
    preview: Option<(Facts, Publication)>,
    seen: i64,
}

impl Examined {
    pub fn has_preview(&self) -> bool {
        self.preview.is_some()
    }
}

impl Engine {
    /// Examines staged bytes and publishes them; `preview` asks for a thumbnail as well. Of a fresh
    /// file that is unusable nothing stays.
    pub async fn admit(&self, arrival: Arrival, preview: bool) -> Result<Admitted, AdmitError> {
        self.admit_as(arrival, "", preview).await
    }

    /// The same for media whose type must begin with `family`, such as `image/`.
    pub async fn admit_as(
        &self,
        arrival: Arrival,
        family: &'static str,
        preview: bool,
    ) -> Result<Admitted, AdmitError> {
        let examined = self.examine(arrival, family, preview).await?;
        self.complete(examined).await
    }

    /// A file with the bytes that were examined, until they are completed.
    pub(crate) fn file_of(&self, examined: &Examined) -> PathBuf {
        self.0.blobs.path_of(&examined.publication)
    }

    /// Ends what [`examine`](Self::examine) began.
    pub(crate) async fn complete(&self, examined: Examined) -> Result<Admitted, AdmitError> {
        let Examined { facts, publication, preview, seen } = examined;
        let preview = async {
            let (facts, publication) = preview?;
            self.0.blobs.complete(publication).await.inspect_err(without_preview).ok().map(|()| facts)
        };
        let (completed, preview) = future::join(self.0.blobs.complete(publication), preview).await;
        completed?;
        crash::point!("admit.published");
        Ok(Admitted { facts, preview, seen })
    }

    /// One trip to a blocking thread does it all on a disk (to an object store the bytes go
    /// afterwards), but for a picture that has to be decoded: such ones wait for room.
    pub(crate) async fn examine(
        &self,
        arrival: Arrival,
        family: &'static str,
        preview: bool,
    ) -> Result<Examined, AdmitError> {
        if let Arrival::Named(handle) = &arrival {
            self.0.blobs.bring(handle).await?;
        }
        // Before anybody looks whether the blob is there already, on the disk or in the bucket.
        let seen = self.0.store.blob_generation();
        let bench = self.bench(seen).await?;
        match blocking(move || bench.judge(arrival, family, preview)).await? {
            Step::Done(examined) => Ok(examined),
            Step::Large(judged) => {
                let _room = self.room_for(&judged.facts).await?;
                let bench = self.bench(seen).await?;
                blocking(move || bench.publish(judged, true)).await
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

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AdmitError> + Send + 'static,
) -> Result<T, AdmitError> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// A staged file that was judged good.
struct Judged {
    staged: StagedBlob,
    is_named: bool,
    facts: Facts,
}

enum Step {
    Done(Examined),
    /// It is to have a preview and needs room to be decoded.
    Large(Judged),
}

/// What one admission works with, on a blocking thread.
struct Bench {
    blobs: Blobs,
    limits: media::MediaLimits,
    seen: i64,
    _permit: OwnedSemaphorePermit,
}

impl Bench {
    fn judge(self, arrival: Arrival, family: &str, preview: bool) -> Result<Step, AdmitError> {
        let (staged, is_named) = match arrival {
            Arrival::Fresh(staged) => (staged, false),
            Arrival::Named(handle) => (self.blobs.staged(&handle)?, true),
        };
        let path = self.blobs.staged_path(&staged.handle);
        let facts = media::examine(&path, &staged.sha256, staged.bytes, &self.limits);
        let facts = facts.and_then(|facts| of_family(facts, family)).inspect_err(|_| {
            if !is_named && let Err(error) = self.blobs.discard_fresh(&staged.handle) {
                tracing::warn!(%error, "an unusable file is left to the sweep");
            }
        })?;
        crash::point!("admit.examined");
        let is_large = preview && media::needs_preview(&facts, &self.limits);
        let judged = Judged { staged, is_named, facts };
        match is_large {
            true => Ok(Step::Large(judged)),
            false => self.publish(judged, false).map(Step::Done),
        }
    }

    fn publish(self, judged: Judged, preview: bool) -> Result<Examined, AdmitError> {
        let Judged { staged, is_named, facts } = judged;
        let path = self.blobs.staged_path(&staged.handle);
        let bytes = preview.then(|| media::preview(&path, &facts, &self.limits)).flatten();
        let publication = self.blobs.publish(&staged, is_named)?;
        let preview = bytes.and_then(|bytes| self.take_in_preview(&bytes).inspect_err(without_preview).ok());
        Ok(Examined { facts, publication, preview, seen: self.seen })
    }

    fn take_in_preview(&self, bytes: &[u8]) -> Result<(Facts, Publication), AdmitError> {
        let staged = self.blobs.stage_bytes(bytes)?;
        let path = self.blobs.staged_path(&staged.handle);
        let facts = media::examine(&path, &staged.sha256, staged.bytes, &self.limits)?;
        Ok((facts, self.blobs.publish(&staged, false)?))
    }
}

fn of_family(facts: Facts, family: &str) -> Result<Facts, media::Unusable> {
    match facts.content_type.starts_with(family) {
        true => Ok(facts),
        false => {
            let noun = family.trim_end_matches('/');
            Err(media::Unusable { reason: format!("It must be {noun} data, but is {}.", facts.content_type) })
        }
    }
}

/// A result without a thumbnail is whole all the same.
fn without_preview(error: &impl std::fmt::Display) {
    tracing::warn!(%error, "a preview could not be stored");
}
