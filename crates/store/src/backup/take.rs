//! Takes a backup beside a server that goes on working.

use super::{
    BackupError, Say,
    draft::Draft,
    manifest::{self, Manifest, Table},
    media_out, rows_out,
};
use crate::{
    StoreError,
    blobs::Blobs,
    db::{Conn, Dialect},
    now,
    open::Source,
    schema,
    store::Options,
};
use pixel_core::Stamp;
use std::{fs, io, path::Path};

/// Moments that are tried until one is found at which no staged file has gone.
const MOMENTS: usize = 20;

/// Copies every row, and the media that the rows name, into a new folder.
pub async fn take(
    options: &Options,
    open_blobs: impl FnOnce() -> io::Result<Blobs>,
    to: &Path,
    say: Say<'_>,
) -> Result<Manifest, BackupError> {
    let source = Source::existing(&options.data, options.database_url.as_deref())?;
    crate::open::refuse_unfinished(&options.data, &source).await?;
    let mut conn = source.connect().await?;
    let schema = schema::version(&mut conn).await?.ok_or_else(|| StoreError::NoDatabase(source.name()))?;
    let blobs = open_blobs().map_err(StoreError::Io)?;
    let draft = Draft::begin(to)?;
    let moment = write_moment(&mut conn, &blobs, draft.folder(), &mut *say).await;
    let database = if conn.dialect() == Dialect::Sqlite { "sqlite" } else { "postgres" };
    conn.close().await;
    // The moment has passed and its rows are in the backup: what they name is copied without haste.
    let Moment { at, epoch, tables, lost } = moment?;
    let media = media_out::write_media(&blobs, draft.folder(), &tables, lost, say)?;
    let manifest = Manifest {
        format: manifest::FORMAT,
        pixel: env!("CARGO_PKG_VERSION").to_owned(),
        schema,
        database: database.to_owned(),
        taken_at: at.to_iso(),
        epoch,
        tables,
        media,
    };
    manifest.write(draft.folder())?;
    draft.finish()?;
    Ok(manifest)
}

struct Moment {
    at: Stamp,
    epoch: i64,
    tables: Vec<Table>,
    /// Staged files that could not be held.
    lost: Vec<String>,
}

/// Writes the rows of one moment, and holds the staged files that they name.
async fn write_moment(conn: &mut Conn, blobs: &Blobs, folder: &Path, say: Say<'_>) -> Result<Moment, BackupError> {
    for left in (0..MOMENTS).rev() {
        conn.begin_snapshot().await?;
        let at = now();
        let epoch = epoch(conn).await?;
        let handles = rows_out::staged(conn).await?;
        let gone = media_out::hold_staged(blobs, folder, &handles)?;
        // The server has published one meanwhile and told the rows, which this moment cannot see. With
        // an object store it may as well be another server's, which has left it there.
        let gone = if blobs.is_shared() { Vec::new() } else { gone };
        if !gone.is_empty() && left > 0 {
            conn.rollback().await?;
            release(&folder.join("staging")).map_err(StoreError::Io)?;
            continue;
        }
        let tables = rows_out::write_tables(conn, folder, say).await?;
        conn.rollback().await?;
        return Ok(Moment { at, epoch, tables, lost: gone });
    }
    Err(StoreError::Closed.into())
}

async fn epoch(conn: &mut Conn) -> Result<i64, BackupError> {
    let rows = conn.rows("SELECT value FROM meta WHERE name = 'epoch'", Vec::new()).await?;
    Ok(rows.first().map(|row| row.int(0)).transpose()?.unwrap_or(0))
}

/// Lets go of the files of a moment that was not taken.
fn release(staging: &Path) -> io::Result<()> {
    for entry in fs::read_dir(staging)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}
