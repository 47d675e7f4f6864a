//! Uploads in parts: streamed from the staged file, one part in memory.

use super::{
    ASK_TIME, Objects, PUT_TIME,
    failure::{Failed, within},
};
use crate::blobs::stage::blocking;
use object_store::{
    ObjectStoreExt,
    multipart::{MultipartStore, PartId},
    path::Path,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};
use uuid::Uuid;

/// All parts but the last have this length, which every server takes.
pub(in crate::blobs) const PART_BYTES: u64 = 8 << 20;

/// An upload that has begun, as its note in the bucket tells of it.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::blobs) struct Begun {
    key: String,
    pub upload: String,
}

impl Begun {
    pub fn key(&self) -> Path {
        Path::parse(&self.key).unwrap_or_default()
    }
}

impl Objects {
    pub(super) async fn put_in_parts(&self, key: &Path, file: &std::path::Path, bytes: u64) -> io::Result<()> {
        let (begun, note) = self.begin(key).await?;
        match self.send(key, &begun.upload, file, bytes).await {
            Ok(()) => {}
            Err(error) => {
                // What cannot be tidied up now is found by its note.
                if self.abort(&begun).await.is_ok() {
                    let _ = self.delete(&note).await;
                }
                return Err(error);
            }
        }
        if let Err(error) = self.delete(&note).await {
            tracing::debug!(%error, "the note of a completed upload stays until the sweep");
        }
        Ok(())
    }

    /// Begins an upload and notes it.
    pub(in crate::blobs) async fn begin(&self, key: &Path) -> io::Result<(Begun, Path)> {
        let upload = within(ASK_TIME, self.0.store.create_multipart(key)).await?;
        let begun = Begun { key: key.to_string(), upload };
        let note = self.key("uploads", &Uuid::new_v4().simple().to_string());
        let text = serde_json::to_vec(&begun).map_err(io::Error::other)?;
        within(ASK_TIME, self.0.store.put(&note, text.into())).await?;
        Ok((begun, note))
    }

    pub(in crate::blobs) async fn send(
        &self,
        key: &Path,
        upload: &str,
        file: &std::path::Path,
        bytes: u64,
    ) -> io::Result<()> {
        let mut parts = Vec::new();
        for at in 0..bytes.div_ceil(PART_BYTES) {
            parts.push(self.send_part(key, upload, file, at, bytes).await?);
        }
        within(PUT_TIME, self.0.store.complete_multipart(key, &upload.to_owned(), parts)).await?;
        match self.is_stored(key, bytes).await? {
            true => Ok(()),
            false => Err(io::Error::other("the object store has put the parts together wrongly")),
        }
    }

    pub(in crate::blobs) async fn send_part(
        &self,
        key: &Path,
        upload: &str,
        file: &std::path::Path,
        at: u64,
        bytes: u64,
    ) -> io::Result<PartId> {
        let start = at * PART_BYTES;
        let part = read_part(file, start, PART_BYTES.min(bytes - start)).await?;
        let number = usize::try_from(at).map_err(io::Error::other)?;
        Ok(within(PUT_TIME, self.0.store.put_part(key, &upload.to_owned(), number, part.into())).await?)
    }

    pub(super) async fn abort(&self, begun: &Begun) -> Result<(), Failed> {
        match within(ASK_TIME, self.0.store.abort_multipart(&begun.key(), &begun.upload)).await {
            Err(error) if error.kind != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

pub(super) async fn read_part(file: &std::path::Path, start: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let file = file.to_path_buf();
    blocking(move || {
        let mut part = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        let mut file = File::open(file)?;
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut part)?;
        Ok(part)
    })
    .await
}
