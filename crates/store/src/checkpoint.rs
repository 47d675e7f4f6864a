//! Moves the write-ahead log into the database beside the writer: done in line by a commit, it
//! would be the slowest commit of all.

use crate::{crash, db::Conn, open::Source};
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(500);
/// A log shorter than this is left alone.
const WORTH_BYTES: u64 = 4 << 20;

/// Runs until it is aborted. PostgreSQL keeps its own log, so there it ends at once.
pub(crate) async fn run(source: Source) {
    let Source::Sqlite(_, file) = &source else { return };
    let log = file.with_extension("db-wal");
    let mut conn: Option<Conn> = None;
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tick.tick().await;
        let size = tokio::fs::metadata(&log).await.map_or(0, |meta| meta.len());
        if size < WORTH_BYTES {
            continue;
        }
        if conn.is_none() {
            conn = source.connect().await.ok();
        }
        let Some(open) = conn.as_mut() else { continue };
        crash::point!("checkpoint.begun");
        // Passive: it never waits for the writer or a reader, and moves what it can.
        if let Err(error) = open.rows("PRAGMA wal_checkpoint(PASSIVE)", Vec::new()).await {
            tracing::warn!(%error, "a checkpoint failed");
            conn = None;
        }
        crash::point!("checkpoint.done");
    }
}
