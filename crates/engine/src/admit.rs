//! Takes staged bytes in: examined by what they are, then published under their hash.

use crate::{Engine, media};
use futures_util::future;
use pixel_core::{task::Facts, vendor::Staged};
use pixel_store::{
    blobs::{Blobs, Publication, StagedBlob},
    crash,
};
use std::{io, path::PathBuf};

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
    /// file that is unusable nothing stays. One trip to a blocking thread does it all on a disk; to
    /// an object store the bytes go afterwards.
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

    pub(crate) async fn examine(
        &self,
        arrival: Arrival,
        family: &'static str,
        preview: bool,
    ) -> Result<Examined, AdmitError> {
        if let Arrival::Named(handle) = &arrival {
            self.0.blobs.bring(handle).await?;
        }
        let permit = self.0.decodes.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (blobs, limits) = (self.0.blobs.clone(), self.0.options.media.clone());
        // Before anybody looks whether the blob is there already, on the disk or in the bucket.
        let seen = self.0.store.blob_generation();
        let work = move || {
            let _permit = permit;
            take_in(&blobs, &limits, arrival, Wanted { family, preview, seen })
        };
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    }
}

/// What the bytes must be, and what is wanted of them.
struct Wanted {
    family: &'static str,
    preview: bool,
    seen: i64,
}

fn take_in(
    blobs: &Blobs,
    limits: &media::MediaLimits,
    arrival: Arrival,
    Wanted { family, preview, seen }: Wanted,
) -> Result<Examined, AdmitError> {
    let (staged, is_named) = match arrival {
        Arrival::Fresh(staged) => (staged, false),
        Arrival::Named(handle) => (blobs.staged(&handle)?, true),
    };
    let path = blobs.staged_path(&staged.handle);
    let facts = media::examine(&path, &staged.sha256, staged.bytes, limits);
    let facts = facts.and_then(|facts| of_family(facts, family)).map_err(|unusable| {
        if !is_named && let Err(error) = blobs.discard_fresh(&staged.handle) {
            tracing::warn!(%error, "an unusable file is left to the sweep");
        }
        unusable
    })?;
    let wanted = preview && media::needs_preview(&facts, limits);
    let bytes = wanted.then(|| media::preview(&path, &facts, limits)).flatten();
    crash::point!("admit.examined");
    let publication = blobs.publish(&staged, is_named)?;
    let preview = bytes.and_then(|bytes| take_in_preview(blobs, limits, &bytes).inspect_err(without_preview).ok());
    Ok(Examined { facts, publication, preview, seen })
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

fn take_in_preview(
    blobs: &Blobs,
    limits: &media::MediaLimits,
    bytes: &[u8],
) -> Result<(Facts, Publication), AdmitError> {
    let staged = blobs.stage_bytes(bytes)?;
    let facts = media::examine(&blobs.staged_path(&staged.handle), &staged.sha256, staged.bytes, limits)?;
    Ok((facts, blobs.publish(&staged, false)?))
}

/// A result without a thumbnail is whole all the same.
fn without_preview(error: &impl std::fmt::Display) {
    tracing::warn!(%error, "a preview could not be stored");
}
