//! What can go wrong in the store, by what a caller can do about it.

use std::{io, path::PathBuf, time::Duration};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("The disk that holds the database is full. Free some space; nothing was lost.")]
    Full,
    #[error("The database cannot be reached or is read-only: {0}")]
    Away(String),
    #[error("The server is shutting down.")]
    Closed,
    #[error("A new clip was given a number that another has.")]
    Taken,
    #[error("The caller has asked for too many clips in the last minute.")]
    Limited(Duration),
    #[error("A stored file was being removed while it was asked for again.")]
    Removed,
    #[error("DATABASE_URL is no PostgreSQL address such as postgres://user:password@host:5432/name.")]
    Address,
    #[error(
        "The database was written by a newer version of Pixel (its migration {0} is unknown here). \
         Start that version, or restore a backup made by this one."
    )]
    Newer(i64),
    #[error("There is no Pixel database in {0}. Name its folder with --data, or its server with DATABASE_URL.")]
    NoDatabase(String),
    #[error(
        "A restore into {0} did not finish, so that what lies there is not whole. Run the same `pixel restore` again."
    )]
    Unfinished(String),
    #[error("The database could not be brought up to date: {0}")]
    Migration(String),
    #[error("The data folder {} is in use by another Pixel. Stop it, or give this one its own --data.", .0.display())]
    Locked(PathBuf),
    #[error("SQLite {0} has a known corruption fault; 3.51.3 or newer is needed.")]
    OldSqlite(String),
    #[error("A stored row cannot be read: {0}")]
    Corrupt(String),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("The database refused a statement: {0}")]
    Database(sqlx::Error),
}

impl StoreError {
    /// Whether the same statement may succeed later: the connection broke, or the server is away.
    pub(crate) fn is_away(error: &sqlx::Error) -> bool {
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => true,
            sqlx::Error::Database(db) => {
                let code = db.code().unwrap_or_default();
                // 57P0x: shutting down or starting; 08xxx: connection; 5 and 6: SQLite busy, locked.
                code.starts_with("57P") || code.starts_with("08") || matches!(code.as_ref(), "5" | "6" | "517")
            }
            _ => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::Database(db) = &error {
            match Trouble::of(&db.code().unwrap_or_default()) {
                Trouble::Full => return Self::Full,
                Trouble::Away => return Self::Away(db.message().to_owned()),
                Trouble::Taken => return Self::Taken,
                Trouble::Other => {}
            }
        }
        match Self::is_away(&error) {
            true => Self::Away(error.to_string()),
            false => Self::Database(error),
        }
    }
}

/// What a database's code says about its disk.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    Full,
    /// Read-only, or a read or write that failed.
    Away,
    /// A key that is there already: only numbers of clips are written without room for that.
    Taken,
    Other,
}

impl Trouble {
    /// PostgreSQL's codes have five characters. SQLite's are numbers of which the last byte is the
    /// kind, and the rest says where it happened.
    fn of(code: &str) -> Self {
        let kind = code.parse::<u32>().ok().filter(|_| code.len() < 5).map(|number| number & 0xFF);
        match (kind, code) {
            // SQLITE_CONSTRAINT_PRIMARYKEY and _UNIQUE; unique_violation
            (_, "1555" | "2067" | "23505") => Self::Taken,
            // SQLITE_FULL; disk_full
            (Some(13), _) | (None, "53100") => Self::Full,
            // SQLITE_READONLY, SQLITE_IOERR, SQLITE_CANTOPEN; read_only_sql_transaction, io_error
            (Some(8 | 10 | 14), _) | (None, "25006" | "58030") => Self::Away,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Trouble;

    #[test]
    fn codes_are_told_by_their_kind() {
        for (code, trouble) in [
            ("13", Trouble::Full),
            ("53100", Trouble::Full),
            ("10", Trouble::Away),
            // The log cannot be flushed, its index cannot grow, the folder is read-only.
            ("1034", Trouble::Away),
            ("4874", Trouble::Away),
            ("1544", Trouble::Away),
            ("25006", Trouble::Away),
            // A key that is there already.
            ("1555", Trouble::Taken),
            ("23505", Trouble::Taken),
            ("", Trouble::Other),
        ] {
            assert_eq!(Trouble::of(code), trouble, "{code}");
        }
    }
}
