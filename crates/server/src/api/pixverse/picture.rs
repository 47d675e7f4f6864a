//! The picture of a request: judged by its first bytes, then streamed to the disk, then measured.

use super::fields::unreadable;
use crate::api::{
    envelope::ApiError,
    inputs::{self, unstored},
    state::App,
};
use axum::http::StatusCode;
use multer::Field;
use pixel_core::request::Role;
use pixel_engine::media::{self, MediaLimits};
use pixel_store::{
    MediaRow,
    blobs::{Blobs, StagedBlob},
};
use std::io::{self, ErrorKind};

/// A picture has fewer bytes.
pub const BYTES_END: u64 = 20 << 20;
/// Pixels a side.
const SIDE_MAX: u32 = 4000;
/// Bytes by which a picture is known.
const HEAD_BYTES: usize = 12;

/// A picture that has arrived whole and is not published yet.
#[derive(Debug)]
pub struct Picture {
    /// The name of its part.
    field: String,
    /// Absent once it is handed on.
    staged: Option<StagedBlob>,
    blobs: Blobs,
}

/// Takes a part in. One that is no picture is refused before the rest of it is read; an empty one
/// is none: forms send every input, also those that nothing was chosen for.
pub async fn take_in(app: &App, field: &str, mut part: Field<'_>) -> Result<Option<Picture>, ApiError> {
    let mut stage = app.engine.blobs().stage(BYTES_END - 1);
    let (mut head, mut is_known) = (Vec::with_capacity(HEAD_BYTES), false);
    while let Some(piece) = part.chunk().await.map_err(|error| unreadable(error, true))? {
        if !is_known {
            let missing = HEAD_BYTES - head.len();
            head.extend_from_slice(&piece[..piece.len().min(missing)]);
            is_known = head.len() == HEAD_BYTES;
            if is_known && !is_picture(&head) {
                return Err(no_picture(field));
            }
        }
        stage.write(&piece).await.map_err(|error| match error.kind() {
            ErrorKind::FileTooLarge => too_large(),
            _ => unstored(error),
        })?;
    }
    match (head.is_empty(), is_known) {
        (true, _) => Ok(None),
        (_, false) => Err(no_picture(field)),
        (_, true) => {
            let staged = stage.finish().await.map_err(unstored)?;
            let blobs = app.engine.blobs().clone();
            Ok(Some(Picture { field: field.to_owned(), staged: Some(staged), blobs }))
        }
    }
}

impl Picture {
    /// Measures it by its header, before anything is published.
    pub async fn measure(&self) -> Result<(), ApiError> {
        let Some(staged) = self.staged.clone() else { return Ok(()) };
        let path = self.blobs.staged_path(&staged.handle);
        let examine = move || media::examine(&path, &staged.sha256, staged.bytes, &MediaLimits::default());
        let examined = tokio::task::spawn_blocking(examine).await.map_err(|error| unstored(io::Error::other(error)))?;
        let field = &self.field;
        let facts = examined.map_err(|why| ApiError::bad(format!("'{field}' cannot be used: {}", why.reason)))?;
        match facts.size {
            Some(size) if size.width.max(size.height) > SIDE_MAX => {
                let must = format!("at most {SIDE_MAX}x{SIDE_MAX} pixels, and has {}x{}", size.width, size.height);
                Err(ApiError::bad(format!("'{field}' must have {must}.")))
            }
            _ => Ok(()),
        }
    }

    /// Publishes it.
    pub async fn admit(mut self, app: &App) -> Result<MediaRow, ApiError> {
        let staged = self.staged.take().ok_or_else(|| no_picture(&self.field))?;
        inputs::admit(app, &self.field, Role::FirstFrame, staged).await
    }
}

/// What is not handed on goes: its request was refused, or its client hung up.
impl Drop for Picture {
    fn drop(&mut self) {
        let Some(staged) = self.staged.take() else { return };
        let blobs = self.blobs.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = blobs.discard_fresh(&staged.handle) {
                tracing::debug!(%error, "a refused picture is left to the sweep");
            }
        });
    }
}

fn is_picture(head: &[u8]) -> bool {
    matches!(
        head,
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..]
            | [0xff, 0xd8, 0xff, ..]
            | [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..]
    )
}

fn no_picture(field: &str) -> ApiError {
    ApiError::bad(format!("'{field}' must be a PNG, JPEG or WEBP picture."))
}

fn too_large() -> ApiError {
    let message = format!("The picture must be smaller than {} MB.", BYTES_END >> 20);
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}
