//! Removes what crashes left in the bucket. Any number of servers may do so at the same time.

use super::{
    ASK_TIME, Objects,
    failure::{failed, within},
    upload::Begun,
};
use futures_util::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, path::Path};
use std::{
    io,
    time::{Duration, SystemTime},
};
use tokio::io::AsyncReadExt;

/// Objects looked at in one pass, and removed in one pass: the next goes on.
const LISTED_MAX: usize = 10_000;
const REMOVED_MAX: usize = 1_000;
/// For a listing.
const LIST_TIME: Duration = Duration::from_secs(120);
/// A note of an upload is far shorter.
const NOTE_BYTES: u64 = 64 << 10;

impl Objects {
    /// Removes probes and uploads of the first age, and staged objects of the second; says how many.
    pub async fn sweep(&self, older_than: Duration, named_for: Duration) -> io::Result<u32> {
        let mut removed = 0;
        for (kind, age) in [("staging", named_for), ("probe", older_than)] {
            for key in self.older(kind, age).await? {
                self.delete(&key).await?;
                removed += 1;
            }
        }
        for note in self.older("uploads", older_than).await? {
            removed += u32::from(self.give_up(&note).await?);
        }
        Ok(removed)
    }

    async fn older(&self, kind: &str, age: Duration) -> io::Result<Vec<Path>> {
        let Some(limit) = SystemTime::now().checked_sub(age) else { return Ok(Vec::new()) };
        let folder = self.key(kind, "");
        let is_old = |meta: &ObjectMeta| SystemTime::from(meta.last_modified) <= limit;
        let list = self.0.store.list(Some(&folder)).take(LISTED_MAX).try_filter_map(|meta| {
            let old = is_old(&meta).then_some(meta.location);
            async move { Ok(old) }
        });
        let old = tokio::time::timeout(LIST_TIME, list.take(REMOVED_MAX).try_collect()).await;
        old.map_err(|_| super::failure::silent(LIST_TIME))?.map_err(|error| failed(&error).into())
    }

    /// Aborts the upload of a note. It stays noted when that fails, unless its object is there: then
    /// it was completed, and some servers say no more than that they do not know it.
    async fn give_up(&self, note: &Path) -> io::Result<bool> {
        let text = match self.open(note, None).await {
            // Another server was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?.0,
        };
        let mut bytes = Vec::new();
        text.take(NOTE_BYTES).read_to_end(&mut bytes).await?;
        if let Ok(begun) = serde_json::from_slice::<Begun>(&bytes)
            && let Err(error) = self.abort(&begun).await
            && within(ASK_TIME, self.0.store.head(&begun.key())).await.is_err()
        {
            return Err(error.into());
        }
        self.delete(note).await?;
        Ok(true)
    }
}
