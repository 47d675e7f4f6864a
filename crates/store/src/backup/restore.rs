//! Restores a backup into an empty place, all or nothing.
//!
//! Until the last step a folder `restoring` stands in the data folder, and on PostgreSQL a row in
//! `meta`: a server refuses both, and the same restore may be run again over them.

use super::{
    BackupError, Say, at,
    draft::{above, flush, make},
    manifest::Manifest,
    media_in, rows_in,
};
use crate::{
    StoreError,
    blobs::Blobs,
    db::Conn,
    now,
    open::{RESTORING, Source, lock},
    pause::{self, Backlog},
    schema,
    store::Options,
};
use std::{
    fs::{self, File},
    io,
    path::Path,
};

/// What has been restored.
#[derive(Clone, Debug)]
pub struct Restored {
    pub manifest: Manifest,
    pub backlog: Backlog,
}

/// Restores the backup `from`; the options say where to.
pub async fn restore(
    from: &Path,
    options: &Options,
    open_blobs: impl FnOnce() -> io::Result<Blobs>,
    say: Say<'_>,
) -> Result<Restored, BackupError> {
    let manifest = read_checked(from)?;
    say(format!("the backup of {} by Pixel {} is whole", manifest.taken_at, manifest.pixel));
    let data = &options.data;
    make(data)?;
    let _lock = lock(data)?;
    let place = Place::of(options)?;
    let is_repeat = data.join(RESTORING).exists();
    if !is_repeat {
        refuse_used(data)?;
    }
    place.refuse_used(&manifest).await?;
    clear(data, is_repeat)?;
    flush(data)?;
    flush(above(data))?;
    place.prepare(&manifest).await?;
    let blobs = open_blobs().map_err(StoreError::Io)?;
    media_in::read_media(from, &manifest, &blobs, &mut *say).await?;
    let mut conn = place.source.connect().await?;
    let filled = fill(&mut conn, from, &manifest, say).await;
    let settled = match (&filled, place.is_file) {
        (Ok(_), true) => conn.rows("PRAGMA wal_checkpoint(TRUNCATE)", Vec::new()).await.map(drop),
        _ => Ok(()),
    };
    conn.close().await;
    let backlog = filled?;
    settled?;
    if place.is_file {
        let (built, named) = (data.join(RESTORING).join("pixel.db"), data.join("pixel.db"));
        File::open(&built).and_then(|file| file.sync_all()).map_err(at(&built))?;
        fs::rename(&built, &named).map_err(at(&named))?;
        flush(data)?;
    }
    fs::remove_dir_all(data.join(RESTORING)).map_err(at(data))?;
    flush(data)?;
    Ok(Restored { manifest, backlog })
}

/// Everything but the media, which is checked while it is copied.
fn read_checked(from: &Path) -> Result<Manifest, BackupError> {
    if !from.is_dir() {
        return Err(BackupError::NotABackup(from.to_owned(), "there is no such folder".to_owned()));
    }
    let manifest = Manifest::read(from)?;
    if manifest.schema > schema::newest() {
        return Err(StoreError::Newer(manifest.schema).into());
    }
    for table in &manifest.tables {
        table.file.verify(from)?;
    }
    manifest.media.list.verify(from)?;
    Ok(manifest)
}

fn refuse_used(data: &Path) -> Result<(), BackupError> {
    for entry in fs::read_dir(data).map_err(at(data))? {
        if entry.map_err(at(data))?.file_name() != "pixel.lock" {
            return Err(BackupError::FolderInUse(data.to_owned()));
        }
    }
    Ok(())
}

/// Makes the folder that says that a restore is under way, and removes what an earlier one of the
/// same kind has left of a database. Its media stays: it is looked at again.
fn clear(data: &Path, is_repeat: bool) -> Result<(), BackupError> {
    let folder = data.join(RESTORING);
    if is_repeat {
        for name in ["pixel.db", "pixel.db-wal", "pixel.db-shm"] {
            match fs::remove_file(data.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&data.join(name))(error)),
                _ => {}
            }
        }
        fs::remove_dir_all(&folder).map_err(at(&folder))?;
    }
    make(&folder)
}

/// Where the rows go.
struct Place {
    source: Source,
    is_file: bool,
}

impl Place {
    fn of(options: &Options) -> Result<Self, StoreError> {
        // SQLite's file is built aside, and named when it is whole.
        let source = Source::new(&options.data.join(RESTORING), options.database_url.as_deref())?;
        Ok(Self { is_file: matches!(source, Source::Sqlite(..)), source })
    }

    /// A file that is built aside is new; a database of a server may be somebody's.
    async fn refuse_used(&self, manifest: &Manifest) -> Result<(), BackupError> {
        if self.is_file {
            return Ok(());
        }
        let mut conn = self.source.connect().await?;
        let used = self.is_used(&mut conn, manifest).await;
        conn.close().await;
        used
    }

    async fn is_used(&self, conn: &mut Conn, manifest: &Manifest) -> Result<(), BackupError> {
        let name = self.source.name();
        let Some(there) = schema::version(conn).await? else { return Ok(()) };
        if !schema::is_restoring(conn).await? && !schema::is_empty(conn).await? {
            return Err(BackupError::DatabaseInUse(name));
        }
        match there > manifest.schema {
            true => Err(BackupError::OtherSchema { name, there, wanted: manifest.schema }),
            false => Ok(()),
        }
    }

    /// Makes the schema that the rows are of. A newer one is made at the server's start.
    async fn prepare(&self, manifest: &Manifest) -> Result<(), BackupError> {
        const BEGUN: &str = "INSERT INTO meta (name, value) VALUES ('restore_begun', $1) ON CONFLICT DO NOTHING";
        self.source.migrate_to(manifest.schema).await?;
        let mut conn = self.source.connect().await?;
        let marked = conn.rows(BEGUN, vec![now().0.into()]).await;
        conn.close().await;
        marked?;
        Ok(())
    }
}

/// One transaction: all the rows, the pause, and the doubt.
async fn fill(conn: &mut Conn, from: &Path, manifest: &Manifest, say: Say<'_>) -> Result<Backlog, BackupError> {
    conn.begin().await?;
    rows_in::load(conn, from, manifest, say).await?;
    pause::went_back(conn, now()).await?;
    let backlog = pause::backlog(conn).await?;
    conn.commit().await?;
    Ok(backlog)
}
