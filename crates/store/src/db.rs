//! One face for two databases, so that every statement is written once.
//!
//! Statements use `$1` placeholders, BIGINT and TEXT only, and two words that are filled in per
//! database when the statement is made: `{NOW}` (the database's clock in microseconds, which
//! decides leases when replicas share one; the same all through a statement, so that indexes serve) and `{SKIP}` (skip rows that another replica claims).

use crate::retire::Names;
use futures_util::TryStreamExt;
use sqlx::{
    Arguments, AssertSqlSafe, Connection, Executor, PgConnection, PgPool, Row as _, SqliteConnection, SqlitePool,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    sqlite::{SqliteArguments, SqliteRow},
};

pub(crate) type DbResult<T> = Result<T, sqlx::Error>;

/// A value to bind; the optional kinds carry their type for NULL.
#[derive(Clone, Debug)]
pub(crate) enum Val {
    Int(i64),
    IntOpt(Option<i64>),
    Text(String),
    TextOpt(Option<String>),
}

impl From<i64> for Val {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<&str> for Val {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for Val {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<Option<String>> for Val {
    fn from(value: Option<String>) -> Self {
        Self::TextOpt(value)
    }
}
impl From<Option<i64>> for Val {
    fn from(value: Option<i64>) -> Self {
        Self::IntOpt(value)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// Fills `{NOW}` and `{SKIP}` in.
    pub(crate) fn fill(self, sql: &str) -> String {
        let (now, skip) = match self {
            Self::Sqlite => ("CAST(unixepoch('subsec') * 1000000 AS INTEGER)", ""),
            Self::Postgres => {
                ("CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000 AS BIGINT)", "FOR UPDATE SKIP LOCKED")
            }
        };
        sql.replace("{NOW}", now).replace("{SKIP}", skip)
    }
}

/// A connection of its own, for the writer and the heartbeat.
pub(crate) enum Conn {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// A pool, for reads.
#[derive(Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! getter {
    ($name:ident, $type:ty) => {
        pub(crate) fn $name(&self, at: usize) -> DbResult<$type> {
            match self {
                Self::Sqlite(row) => row.try_get(at),
                Self::Postgres(row) => row.try_get(at),
            }
        }
    };
}

impl Row {
    getter!(int, i64);
    getter!(int_opt, Option<i64>);
    getter!(text, String);
    getter!(text_opt, Option<String>);
}

/// Binds values into the arguments of either database; the types cannot fail to encode, but the
/// trait says that they could.
macro_rules! arguments {
    ($kind:ty, $values:expr) => {{
        let mut all = <$kind>::default();
        for value in $values {
            match value {
                Val::Int(v) => all.add(v),
                Val::IntOpt(v) => all.add(v),
                Val::Text(v) => all.add(without_nul(v)),
                Val::TextOpt(v) => all.add(v.map(without_nul)),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        all
    }};
}

/// PostgreSQL keeps no NUL in text; one in a vendor's answer must not cost us the row.
fn without_nul(text: String) -> String {
    match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}"),
        false => text,
    }
}

macro_rules! fetch_all {
    ($on:expr, $kind:ty, $row:path, $sql:expr, $values:expr) => {{
        let query = sqlx::query_with(AssertSqlSafe($sql), arguments!($kind, $values));
        $on.fetch_all(query).await?.into_iter().map($row).collect()
    }};
}

impl Conn {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement made of our own constants and returns its rows.
    pub(crate) async fn rows(&mut self, sql: &str, values: Vec<Val>) -> DbResult<Vec<Row>> {
        let sql = self.dialect().fill(sql);
        Ok(match self {
            Self::Sqlite(c) => fetch_all!(c, SqliteArguments, Row::Sqlite, sql, values),
            Self::Postgres(c) => fetch_all!(c, PgArguments, Row::Postgres, sql, values),
        })
    }

    /// Runs a statement and hands its rows out one by one, so that no table stands in memory.
    pub(crate) async fn each<E: From<sqlx::Error>>(
        &mut self,
        sql: &str,
        mut take: impl FnMut(&Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = AssertSqlSafe(self.dialect().fill(sql));
        match self {
            Self::Sqlite(c) => {
                let mut rows = sqlx::query(sql).fetch(c);
                while let Some(row) = rows.try_next().await? {
                    take(&Row::Sqlite(row))?;
                }
            }
            Self::Postgres(c) => {
                let mut rows = sqlx::query(sql).fetch(c);
                while let Some(row) = rows.try_next().await? {
                    take(&Row::Postgres(row))?;
                }
            }
        }
        Ok(())
    }

    /// Begins a transaction that sees one moment of the database, and waits for no writer.
    pub(crate) async fn begin_snapshot(&mut self) -> DbResult<()> {
        match self {
            Self::Sqlite(_) => self.plain("BEGIN").await,
            Self::Postgres(_) => self.plain("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await,
        }
    }

    /// Begins a transaction that may write at once: a deferred one on SQLite fails when it first
    /// reads and then writes, and no busy time-out covers that.
    pub(crate) async fn begin(&mut self) -> DbResult<()> {
        self.begin_with(Names::Untouched).await
    }

    /// The same for a transaction that gives or takes names of blobs, see [`crate::retire`]: the
    /// lock comes first, so that every statement sees what the one before committed.
    pub(crate) async fn begin_with(&mut self, names: Names) -> DbResult<()> {
        let sql = match (&self, names) {
            (Self::Sqlite(_), _) => "BEGIN IMMEDIATE",
            (Self::Postgres(_), Names::Untouched) => "BEGIN",
            (Self::Postgres(_), Names::Given) => "BEGIN; SELECT pg_advisory_xact_lock_shared(7593017)",
            (Self::Postgres(_), Names::Taken) => "BEGIN; SELECT pg_advisory_xact_lock(7593017)",
        };
        self.plain(sql).await
    }

    pub(crate) async fn commit(&mut self) -> DbResult<()> {
        self.plain("COMMIT").await
    }

    /// Best effort: a connection whose roll-back fails is thrown away by the caller.
    pub(crate) async fn rollback(&mut self) -> DbResult<()> {
        self.plain("ROLLBACK").await
    }

    pub(crate) async fn plain(&mut self, sql: &'static str) -> DbResult<()> {
        match self {
            Self::Sqlite(c) => c.execute(sql).await.map(drop),
            Self::Postgres(c) => c.execute(sql).await.map(drop),
        }
    }

    pub(crate) async fn close(self) {
        let closed = match self {
            Self::Sqlite(c) => c.close().await,
            Self::Postgres(c) => c.close().await,
        };
        if let Err(error) = closed {
            tracing::debug!(%error, "a database connection did not close cleanly");
        }
    }
}

impl Pool {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    pub(crate) async fn rows(&self, sql: &str, values: Vec<Val>) -> DbResult<Vec<Row>> {
        let sql = self.dialect().fill(sql);
        Ok(match self {
            Self::Sqlite(pool) => {
                let mut c: PoolConnection<sqlx::Sqlite> = pool.acquire().await?;
                fetch_all!(c, SqliteArguments, Row::Sqlite, sql, values)
            }
            Self::Postgres(pool) => {
                let mut c: PoolConnection<sqlx::Postgres> = pool.acquire().await?;
                fetch_all!(c, PgArguments, Row::Postgres, sql, values)
            }
        })
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// `($1,$2),($3,$4)` for rows of `columns` values; both databases name the columns `column1` ….
/// The first of a statement's placeholders, in the order of their values: SQLite gets them without
/// numbers, for it looks a numbered one up by walking along all of them.
pub(crate) fn values_list(dialect: Dialect, rows: usize, columns: usize) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(rows * columns * 5);
    for row in 0..rows {
        out.push_str(if row == 0 { "(" } else { ",(" });
        for column in 0..columns {
            out.push_str(if column == 0 { "" } else { "," });
            match dialect {
                Dialect::Sqlite => out.push('?'),
                // Writing into a String cannot fail.
                Dialect::Postgres => drop(write!(out, "${}", row * columns + column + 1)),
            }
        }
        out.push(')');
    }
    out
}

/// Splits rows into chunks of powers of two up to 64, so that few distinct statements are prepared.
pub(crate) fn chunks<T>(mut rows: Vec<T>) -> Vec<Vec<T>> {
    let mut out = Vec::new();
    while !rows.is_empty() {
        let size = (1_usize << rows.len().ilog2()).min(64);
        let rest = rows.split_off(size);
        out.push(std::mem::replace(&mut rows, rest));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_chunks() {
        assert_eq!(values_list(Dialect::Postgres, 2, 2), "($1,$2),($3,$4)");
        assert_eq!(values_list(Dialect::Sqlite, 2, 2), "(?,?),(?,?)");
        let sizes: Vec<_> = chunks((0..203).collect::<Vec<_>>()).iter().map(Vec::len).collect();
        assert_eq!(sizes, [64, 64, 64, 8, 2, 1]);
        assert!(chunks(Vec::<u8>::new()).is_empty());
    }
}
