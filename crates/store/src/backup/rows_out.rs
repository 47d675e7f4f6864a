//! The rows of one moment, written as text: a file for each table.

use super::{
    BackupError, Say, at,
    manifest::{Table, Tally},
};
use crate::{
    db::{Conn, Row},
    read::parse,
    schema::{self, Column, Holds},
};
use pixel_core::{
    task::{SlotState, Work},
    vendor::{Mark, Output, Source, Staged},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{io::Write, path::Path};

/// The first line of a table's file; a line for each row follows, an array in this order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub table: String,
    /// Name and kind, `int` or `text`.
    pub columns: Vec<(String, String)>,
}

/// Writes every table of ours, within the caller's transaction.
pub(super) async fn write_tables(conn: &mut Conn, folder: &Path, say: Say<'_>) -> Result<Vec<Table>, BackupError> {
    let mut tables = Vec::new();
    for name in schema::tables(conn).await? {
        let table = write_table(conn, folder, &name).await?;
        say(format!("{}: {} rows", table.name, table.rows));
        tables.push(table);
    }
    Ok(tables)
}

async fn write_table(conn: &mut Conn, folder: &Path, name: &str) -> Result<Table, BackupError> {
    let columns = schema::columns(conn, name).await?;
    let mut file = Tally::create(folder, &format!("rows/{name}.jsonl"))?;
    let path = file.path().to_owned();
    let word = |holds| if holds == Holds::Int { "int" } else { "text" }.to_owned();
    let head = Head {
        table: name.to_owned(),
        columns: columns.iter().map(|column| (column.name.clone(), word(column.holds))).collect(),
    };
    write_line(&mut file, &head).map_err(at(&path))?;
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let mut rows = 0;
    conn.each(&format!("SELECT {} FROM {name}", names.join(", ")), |row| {
        rows += 1;
        write_line(&mut file, &cells(row, &columns)?).map_err(at(&path))
    })
    .await?;
    Ok(Table { name: name.to_owned(), rows, file: file.finish()? })
}

pub(super) fn write_line<T: Serialize>(file: &mut Tally, line: &T) -> std::io::Result<()> {
    serde_json::to_writer(&mut *file, line)?;
    file.write_all(b"\n")
}

fn cells(row: &Row, columns: &[Column]) -> Result<Vec<Value>, BackupError> {
    let cell = |(at, column): (usize, &Column)| {
        Ok(match column.holds {
            Holds::Int => row.int_opt(at)?.map_or(Value::Null, Value::from),
            Holds::Text => row.text_opt(at)?.map_or(Value::Null, Value::from),
        })
    };
    columns.iter().enumerate().map(cell).collect()
}

/// The staged files that live rows name: results that are paid for and not yet published.
pub(super) async fn staged(conn: &mut Conn) -> Result<Vec<Staged>, BackupError> {
    let mut handles = Vec::new();
    conn.each("SELECT state FROM work", |row| {
        let work: Work = parse(&row.text(0)?, "state")?;
        work.slots.iter().for_each(|slot| staged_of(&slot.state, &mut handles));
        Ok::<(), BackupError>(())
    })
    .await?;
    // A vendor's mark may name what an output names.
    handles.sort_by(|one, other| one.0.cmp(&other.0));
    handles.dedup();
    Ok(handles)
}

fn staged_of(state: &SlotState, handles: &mut Vec<Staged>) {
    let mark = match state {
        SlotState::Ready { mark } => mark.as_ref(),
        SlotState::Fetching { mark, outputs } => {
            outputs.iter().for_each(|output| staged_of_output(output, handles));
            Some(mark)
        }
        SlotState::Sending { mark, .. }
        | SlotState::Searching { mark, .. }
        | SlotState::Accepted { mark }
        | SlotState::Held { mark, .. } => Some(mark),
        SlotState::Done { .. } | SlotState::Failed { .. } => None,
    };
    if let Some(mark) = mark {
        staged_in(mark, handles);
    }
}

fn staged_of_output(output: &Output, handles: &mut Vec<Staged>) {
    for source in [Some(&output.media), output.poster.as_ref()].into_iter().flatten() {
        if let Source::Staged(handle) = source {
            handles.push(handle.clone());
        }
    }
}

/// A vendor may keep an answer, with its handles, in its mark.
fn staged_in(mark: &Mark, handles: &mut Vec<Staged>) {
    handles.extend(Staged::from_json(mark));
    match mark {
        Value::Array(items) => items.iter().for_each(|item| staged_in(item, handles)),
        Value::Object(fields) => fields.values().for_each(|value| staged_in(value, handles)),
        _ => {}
    }
}
