//! Opens either database: settings, migrations, the lock on a data folder, the epoch.

use crate::{
    StoreError, crash,
    db::{Conn, Pool},
    schema,
};
use sqlx::{
    ConnectOptions, PgPool, SqlitePool,
    migrate::{MigrateError, Migrator},
    pool::PoolOptions,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    fs::File,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

pub(crate) static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
pub(crate) static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Writers beside the one writer (the heartbeat, the checkpoint) wait this long for their turn.
const BUSY: Duration = Duration::from_secs(10);

/// How to reach the database: enough to open another connection to it.
#[derive(Clone)]
pub(crate) enum Source {
    Sqlite(SqliteConnectOptions, PathBuf),
    Postgres(PgConnectOptions),
}

impl Source {
    /// `url` is a PostgreSQL address, or absent for the SQLite file of the data folder.
    pub(crate) fn new(data: &Path, url: Option<&str>) -> Result<Self, StoreError> {
        if let Some(url) = url {
            let options = PgConnectOptions::from_str(url).map_err(|_| StoreError::Address)?;
            let options = options.application_name("pixel").options([("synchronous_commit", "on")]);
            return Ok(Self::Postgres(options.disable_statement_logging()));
        }
        let file = data.join("pixel.db");
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit is on stable storage before anyone is told of it.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .pragma("mmap_size", "0")
            // The checkpoint runs beside the writer; this is only the limit should it fall behind.
            .pragma("wal_autocheckpoint", "50000")
            .pragma("temp_store", "memory")
            .statement_cache_capacity(256)
            .disable_statement_logging();
        Ok(Self::Sqlite(options, file))
    }

    /// The same for a database that must be there already.
    pub(crate) fn existing(data: &Path, url: Option<&str>) -> Result<Self, StoreError> {
        match Self::new(data, url)? {
            _ if data.join(RESTORING).exists() => Err(unfinished(data)),
            Self::Sqlite(_, file) if !file.is_file() => Err(StoreError::NoDatabase(data.display().to_string())),
            source => Ok(source),
        }
    }

    /// Where it is, without a password.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Sqlite(_, file) => file.display().to_string(),
            Self::Postgres(options) => {
                format!("the database {} on {}", options.get_database().unwrap_or("postgres"), options.get_host())
            }
        }
    }

    pub(crate) async fn connect(&self) -> Result<Conn, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(options, _) => Conn::Sqlite(options.connect().await?),
            Self::Postgres(options) => Conn::Postgres(options.connect().await?),
        })
    }

    /// A pool for reads: on SQLite its connections cannot write.
    pub(crate) async fn pool(&self, size: u32) -> Result<Pool, sqlx::Error> {
        let wait = Duration::from_secs(10);
        Ok(match self {
            Self::Sqlite(options, _) => {
                let reads = options.clone().pragma("query_only", "on");
                let pool: PoolOptions<sqlx::Sqlite> = PoolOptions::new();
                Pool::Sqlite(pool.max_connections(size).acquire_timeout(wait).connect_with(reads).await?)
            }
            Self::Postgres(options) => {
                let pool: PoolOptions<sqlx::Postgres> = PoolOptions::new();
                Pool::Postgres(pool.max_connections(size).acquire_timeout(wait).connect_with(options.clone()).await?)
            }
        })
    }

    /// Brings the schema up to date; a schema of a newer version is refused.
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        self.migrate_to(i64::MAX).await
    }

    /// Brings the schema to a version, unless it is beyond it already.
    pub(crate) async fn migrate_to(&self, version: i64) -> Result<(), StoreError> {
        let done = match self {
            Self::Sqlite(options, _) => {
                let pool = SqlitePool::connect_with(options.clone()).await?;
                let done = SQLITE.run_to(version, &pool).await;
                pool.close().await;
                done
            }
            Self::Postgres(options) => {
                let pool = PgPool::connect_with(options.clone()).await?;
                let done = POSTGRES.run_to(version, &pool).await;
                pool.close().await;
                done
            }
        };
        done.map_err(|error| match error {
            MigrateError::VersionMissing(version) => StoreError::Newer(version),
            MigrateError::Execute(error) => error.into(),
            other => StoreError::Migration(other.to_string()),
        })
    }
}

/// Holds the data folder for this process: two servers on one SQLite file would share no budget.
pub(crate) fn lock(data: &Path) -> Result<File, StoreError> {
    let path = data.join("pixel.lock");
    let file = File::create(&path).map_err(StoreError::Io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Locked(data.to_owned())),
        Err(std::fs::TryLockError::Error(error)) => Err(StoreError::Io(error)),
    }
}

/// The folder in which a restore builds the database; while it is there, the restore is not done.
pub(crate) const RESTORING: &str = "restoring";

fn unfinished(data: &Path) -> StoreError {
    StoreError::Unfinished(format!("the data folder {}", data.display()))
}

/// A restore that was cut short has left something that only looks like a database.
pub(crate) async fn refuse_unfinished(data: &Path, source: &Source) -> Result<(), StoreError> {
    if data.join(RESTORING).exists() {
        return Err(unfinished(data));
    }
    if let Source::Postgres(_) = source {
        let mut conn = source.connect().await?;
        let unfinished = schema::is_restoring(&mut conn).await;
        conn.close().await;
        if unfinished? {
            return Err(StoreError::Unfinished("the database".to_owned()));
        }
    }
    Ok(())
}

/// On SQLite every older lease is dead, for its process is: due at once, no waiting.
pub(crate) async fn raise_epoch(conn: &mut Conn) -> Result<(), sqlx::Error> {
    // The second condition says what an index holds, so that the queue is not read.
    const FREE: &str = "UPDATE work SET due_at = 0, fence = fence + 1 WHERE stage = 2 AND stage > 0";
    const FREE_SWEEP: &str = "UPDATE meta SET value = 0 WHERE name = 'retention_lease'";
    const EPOCH: &str = "UPDATE meta SET value = value + 1 WHERE name = 'epoch'";
    conn.begin().await?;
    if matches!(conn, Conn::Sqlite(_)) {
        conn.rows(FREE, Vec::new()).await?;
        conn.rows(FREE_SWEEP, Vec::new()).await?;
    }
    conn.rows(EPOCH, Vec::new()).await?;
    crash::point!("epoch.raised");
    conn.commit().await
}

/// The bundled engine must have the fix for the WAL-reset corruption (3.51.3).
pub(crate) async fn check_engine(conn: &mut Conn) -> Result<(), StoreError> {
    if !matches!(conn, Conn::Sqlite(_)) {
        return Ok(());
    }
    let rows = conn.rows("SELECT sqlite_version()", Vec::new()).await?;
    let version = rows.first().map(|row| row.text(0)).transpose()?.unwrap_or_default();
    let parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    match parts.as_slice() >= [3, 51, 3].as_slice() {
        true => Ok(()),
        false => Err(StoreError::OldSqlite(version)),
    }
}

/// Whether the database of these options can be reached; changes nothing.
pub async fn check(options: &crate::Options) -> Result<(), StoreError> {
    let source = Source::new(&options.data, options.database_url.as_deref())?;
    if matches!(source, Source::Postgres(_)) {
        source.connect().await?.close().await;
    }
    Ok(())
}
