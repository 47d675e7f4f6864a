//! The rows of a backup, read again and put into a database of either kind.

use super::{BackupError, Say, at, manifest::Manifest, rows_out::Head};
use crate::{
    db::{Conn, Val, chunks, values_list},
    schema::{self, Holds},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

/// Rows of one statement.
const BATCH: usize = 64;

/// A file of lines, each a piece of JSON.
pub(super) struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    line: String,
}

impl Lines {
    pub(super) fn open(folder: &Path, name: &str) -> Result<Self, BackupError> {
        let path = folder.join(name);
        let file = File::open(&path).map_err(at(&path))?;
        Ok(Self { path, file: BufReader::new(file), line: String::new() })
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> BackupError {
        BackupError::Damaged(self.path.clone(), what.into())
    }

    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, BackupError> {
        self.line.clear();
        if self.file.read_line(&mut self.line).map_err(at(&self.path))? == 0 {
            return Ok(None);
        }
        let parsed = serde_json::from_str(&self.line);
        parsed.map(Some).map_err(|error| self.damaged(format!("has a line that cannot be read: {error}")))
    }
}

/// One table's file.
pub(super) struct Reader {
    lines: Lines,
    head: Head,
}

impl Reader {
    pub(super) fn open(folder: &Path, name: &str) -> Result<Self, BackupError> {
        let mut lines = Lines::open(folder, name)?;
        let head = lines.next()?.ok_or_else(|| lines.damaged("is empty"))?;
        Ok(Self { lines, head })
    }

    pub(super) fn column(&self, name: &str) -> Result<usize, BackupError> {
        let found = self.head.columns.iter().position(|(column, _)| column == name);
        found.ok_or_else(|| self.lines.damaged(format!("lacks the column {name}")))
    }

    pub(super) fn next_row(&mut self) -> Result<Option<Vec<Value>>, BackupError> {
        let row: Option<Vec<Value>> = self.lines.next()?;
        match &row {
            Some(cells) if cells.len() != self.head.columns.len() => {
                Err(self.lines.damaged("has a row of the wrong length"))
            }
            _ => Ok(row),
        }
    }

    fn values(&self, row: Vec<Value>) -> Result<Vec<Val>, BackupError> {
        let value = |(cell, (name, kind)): (Value, &(String, String))| match (cell, kind.as_str()) {
            (Value::Null, "int") => Ok(Val::IntOpt(None)),
            (Value::Null, _) => Ok(Val::TextOpt(None)),
            (Value::String(text), "text") => Ok(Val::Text(text)),
            (cell, "int") => cell.as_i64().map(Val::Int).ok_or_else(|| self.wrong(name)),
            _ => Err(self.wrong(name)),
        };
        row.into_iter().zip(&self.head.columns).map(value).collect()
    }

    fn wrong(&self, column: &str) -> BackupError {
        self.lines.damaged(format!("has a row whose {column} is of the wrong kind"))
    }
}

pub(super) fn text(row: &[Value], at: usize) -> Result<&str, BackupError> {
    let text = row.get(at).and_then(Value::as_str);
    text.ok_or_else(|| crate::StoreError::Corrupt("a column that must be text is not".to_owned()).into())
}

/// Puts every table in, within the caller's transaction. What stood in them, such as the rows that
/// a migration makes, goes.
pub(super) async fn load(conn: &mut Conn, folder: &Path, manifest: &Manifest, say: Say<'_>) -> Result<(), BackupError> {
    for name in schema::tables(conn).await? {
        conn.rows(&format!("DELETE FROM {name}"), Vec::new()).await?;
    }
    for table in &manifest.tables {
        let reader = Reader::open(folder, &table.file.path)?;
        let rows = load_table(conn, reader, &table.name).await?;
        if rows != table.rows {
            let path = folder.join(&table.file.path);
            return Err(BackupError::Damaged(path, format!("has {rows} rows in place of {}", table.rows)));
        }
        say(format!("{}: {rows} rows", table.name));
    }
    Ok(())
}

async fn load_table(conn: &mut Conn, mut reader: Reader, name: &str) -> Result<u64, BackupError> {
    let columns = schema::columns(conn, name).await?;
    for (column, kind) in &reader.head.columns {
        let holds = if kind == "int" { Holds::Int } else { Holds::Text };
        if !columns.iter().any(|own| own.name == *column && own.holds == holds) {
            return Err(reader.lines.damaged(format!("has the column {column}, which the table {name} has not")));
        }
    }
    let names: Vec<&str> = reader.head.columns.iter().map(|(column, _)| column.as_str()).collect();
    let into = format!("INSERT INTO {name} ({}) VALUES ", names.join(", "));
    let (width, mut rows, mut batch) = (names.len(), 0, Vec::with_capacity(BATCH));
    while let Some(row) = reader.next_row()? {
        rows += 1;
        batch.push(reader.values(row)?);
        if batch.len() == BATCH {
            insert(conn, &into, width, std::mem::take(&mut batch)).await?;
        }
    }
    insert(conn, &into, width, batch).await?;
    Ok(rows)
}

async fn insert(conn: &mut Conn, into: &str, width: usize, rows: Vec<Vec<Val>>) -> Result<(), BackupError> {
    for chunk in chunks(rows) {
        let sql = format!("{into}{}", values_list(conn.dialect(), chunk.len(), width));
        conn.rows(&sql, chunk.into_iter().flatten().collect()).await?;
    }
    Ok(())
}
