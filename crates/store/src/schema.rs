//! What a database looks like: its version, its tables, their columns.

use crate::{
    StoreError,
    db::{Conn, DbResult, Dialect},
    open::{POSTGRES, SQLITE},
};
use std::collections::BTreeSet;

/// What a column holds; there are no other types here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Int,
    Text,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) holds: Holds,
}

/// The newest version that is known here.
pub(crate) fn newest() -> i64 {
    SQLITE.iter().chain(POSTGRES.iter()).map(|migration| migration.version).max().unwrap_or(0)
}

/// The tables that the migrations make, in that order. Whatever else a PostgreSQL database holds
/// is somebody else's.
pub(crate) fn own_tables(dialect: Dialect) -> Vec<String> {
    let migrator = match dialect {
        Dialect::Sqlite => &SQLITE,
        Dialect::Postgres => &POSTGRES,
    };
    let mut names: Vec<String> = Vec::new();
    for migration in migrator.iter() {
        let words: Vec<&str> = migration.sql.as_str().split_whitespace().collect();
        for at in 2..words.len() {
            if words[at - 2].eq_ignore_ascii_case("create") && words[at - 1].eq_ignore_ascii_case("table") {
                names.push(words[at].trim_end_matches('(').to_owned());
            }
        }
    }
    names
}

/// The tables of the database, whosever they are.
async fn present(conn: &mut Conn) -> DbResult<BTreeSet<String>> {
    const SQLITE: &str = "SELECT name FROM sqlite_schema WHERE type = 'table'";
    const POSTGRES: &str =
        "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = current_schema()";
    let sql = match conn.dialect() {
        Dialect::Sqlite => SQLITE,
        Dialect::Postgres => POSTGRES,
    };
    conn.rows(sql, Vec::new()).await?.iter().map(|row| row.text(0)).collect()
}

/// Our own tables that are there.
pub(crate) async fn tables(conn: &mut Conn) -> DbResult<Vec<String>> {
    let present = present(conn).await?;
    Ok(own_tables(conn.dialect()).into_iter().filter(|name| present.contains(name)).collect())
}

/// The schema's version; `None` where Pixel has never been, an error where a newer one has.
pub(crate) async fn version(conn: &mut Conn) -> Result<Option<i64>, StoreError> {
    if !present(conn).await?.contains("_sqlx_migrations") {
        return Ok(None);
    }
    let rows = conn.rows("SELECT MAX(version) FROM _sqlx_migrations", Vec::new()).await?;
    match rows.first().map(|row| row.int_opt(0)).transpose()?.flatten() {
        Some(version) if version > newest() => Err(StoreError::Newer(version)),
        version => Ok(version),
    }
}

/// The columns of one of our own tables, in their order.
pub(crate) async fn columns(conn: &mut Conn, table: &str) -> Result<Vec<Column>, StoreError> {
    const SQLITE: &str = "SELECT name, type FROM pragma_table_info($1) ORDER BY cid";
    const POSTGRES: &str = "SELECT CAST(column_name AS TEXT), CAST(data_type AS TEXT) FROM information_schema.columns \
                            WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position";
    let sql = match conn.dialect() {
        Dialect::Sqlite => SQLITE,
        Dialect::Postgres => POSTGRES,
    };
    let read = |name: String, kind: String| match kind.to_ascii_lowercase().as_str() {
        "bigint" => Ok(Column { name, holds: Holds::Int }),
        "text" => Ok(Column { name, holds: Holds::Text }),
        other => Err(StoreError::Corrupt(format!("{table}.{name} is of the type {other}, which is none of ours"))),
    };
    conn.rows(sql, vec![table.into()]).await?.iter().map(|row| read(row.text(0)?, row.text(1)?)).collect()
}

/// Whether any task or file stands in it.
pub(crate) async fn is_empty(conn: &mut Conn) -> DbResult<bool> {
    for table in tables(conn).await?.iter().filter(|name| *name != "meta") {
        if !conn.rows(&format!("SELECT 1 FROM {table} LIMIT 1"), Vec::new()).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a restore has begun there and not ended.
pub(crate) async fn is_restoring(conn: &mut Conn) -> DbResult<bool> {
    if !present(conn).await?.contains("meta") {
        return Ok(false);
    }
    Ok(!conn.rows("SELECT 1 FROM meta WHERE name = 'restore_begun'", Vec::new()).await?.is_empty())
}
