//! Takes staged bytes in: examined by what they are, then published under their hash.

use crate::{Engine, media};
use pixel_core::{task::Facts, vendor::Staged};
use pixel_store::blobs::{Blobs, StagedBlob};
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
}

impl Engine {
    /// Examines staged bytes and publishes them; `preview` asks for a thumbnail as well. Of a fresh
    /// file that is unusable nothing stays. One trip to a blocking thread does it all.
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
        let permit = self.0.decodes.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (blobs, limits) = (self.0.blobs.clone(), self.0.options.media.clone());
        let work = move || {
            let _permit = permit;
            take_in(&blobs, &limits, arrival, family, preview)
        };
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    }
}

fn take_in(
    blobs: &Blobs,
    limits: &media::MediaLimits,
    arrival: Arrival,
    family: &str,
    preview: bool,
) -> Result<Admitted, AdmitError> {
    let (staged, is_named) = match arrival {
        Arrival::Fresh(staged) => (staged, false),
        Arrival::Named(handle) => (blobs.staged(&handle)?, true),
    };
    let path = blobs.staged_path(&staged.handle);
    let facts = media::examine(&path, &staged.sha256, staged.bytes, limits);
    let facts = facts.and_then(|facts| of_family(facts, family)).map_err(|unusable| {
        if !is_named && let Err(error) = blobs.discard(&staged.handle) {
            tracing::warn!(%error, "an unusable file is left to the sweep");
        }
        unusable
    })?;
    let wanted = preview && media::needs_preview(&facts, limits);
    let bytes = wanted.then(|| media::preview(&path, &facts, limits)).flatten();
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
    Ok(Admitted { facts, preview })
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

fn take_in_preview(blobs: &Blobs, limits: &media::MediaLimits, bytes: &[u8]) -> Result<Facts, AdmitError> {
    let staged = blobs.stage_bytes(bytes)?;
    let facts = media::examine(&blobs.staged_path(&staged.handle), &staged.sha256, staged.bytes, limits)?;
    blobs.publish(&staged.handle, &staged.sha256)?;
    Ok(facts)
}
