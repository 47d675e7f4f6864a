//! People's accounts that are signed in to: one row each, for all servers that share the database.
//! It holds the session's token, sealed by whoever writes it, and the right to sign in, which one
//! server has at a time and seldom.

use crate::{
    Store, StoreError,
    apply::{Op, Out},
    db::{Conn, DbResult, Pool, Row, Val},
    open::Source,
    schema,
    store::Options,
};
use pixel_core::Stamp;
use std::time::Duration;

const COLUMNS: &str = "id, vendor, name, token, serial, parked, message, \
                       CASE WHEN lease_until > {NOW} THEN CAST(1 AS BIGINT) ELSE 0 END, updated_at";
const DAY_US: i64 = 86_400_000_000;

/// An account as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountRow {
    pub id: String,
    pub vendor: String,
    /// The first of its variables.
    pub name: String,
    /// Sealed.
    pub token: Option<String>,
    /// Raised with each new token.
    pub serial: i64,
    /// Why nothing is sent with it, in a word, until its holder has acted.
    pub parked: Option<String>,
    /// The same in a sentence.
    pub message: Option<String>,
    /// Somebody is signing in.
    pub is_signing_in: bool,
    pub updated_at: Stamp,
}

/// How often may be signed in.
#[derive(Clone, Copy, Debug)]
pub struct SignInLimits {
    pub gap: Duration,
    pub a_day: u32,
    /// How long the right is held at most.
    pub lease: Duration,
}

/// Whether a sign-in may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    Granted,
    /// Another server signs in at this moment.
    Elsewhere(Duration),
    /// There were enough of them for now.
    Later(Duration),
}

/// What can be written of accounts.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Enrol {
        vendor: String,
        name: String,
        config: String,
    },
    Seek {
        lease_us: i64,
        gap_us: i64,
        a_day: i64,
    },
    Token(String),
    Park {
        serial: i64,
        word: String,
        message: String,
    },
    Lift,
    Release,
    /// Released, and not counted.
    Unused,
}

/// What came of a change.
#[derive(Clone, Debug)]
pub(crate) enum Changed {
    Row(Box<AccountRow>, bool),
    Turn(Turn),
}

pub(crate) async fn apply(conn: &mut Conn, id: &str, change: &Change) -> DbResult<Out> {
    let done = match change {
        Change::Enrol { vendor, name, config } => enrol(conn, id, vendor, name, config).await?,
        Change::Seek { lease_us, gap_us, a_day } => Changed::Turn(seek(conn, id, *lease_us, *gap_us, *a_day).await?),
        Change::Token(token) => {
            const SET: &str = "token = $2, serial = serial + 1, parked = NULL, message = NULL, lease_until = 0";
            Changed::Row(Box::new(set(conn, id, SET, vec![token.as_str().into()]).await?), false)
        }
        Change::Park { serial, word, message } => {
            // What was renewed meanwhile is not parked for what its predecessor did.
            const SET: &str = "parked = CASE WHEN serial = $2 THEN $3 ELSE parked END, \
                               message = CASE WHEN serial = $2 THEN $4 ELSE message END, lease_until = 0";
            let values = vec![Val::from(*serial), word.as_str().into(), message.as_str().into()];
            Changed::Row(Box::new(set(conn, id, SET, values).await?), false)
        }
        Change::Lift => Changed::Row(Box::new(set(conn, id, "parked = NULL, message = NULL", vec![]).await?), false),
        Change::Release => Changed::Row(Box::new(set(conn, id, "lease_until = 0", vec![]).await?), false),
        Change::Unused => {
            // Of another day than the count's, it changes nothing: that begins anew.
            const SET: &str = "sign_ins = CASE WHEN sign_ins > 0 THEN sign_ins - 1 ELSE 0 END, lease_until = 0";
            Changed::Row(Box::new(set(conn, id, SET, vec![]).await?), false)
        }
    };
    Ok(Out::Account(done))
}

async fn set(conn: &mut Conn, id: &str, what: &str, values: Vec<Val>) -> DbResult<AccountRow> {
    let sql = format!("UPDATE accounts SET {what}, updated_at = {{NOW}} WHERE id = $1 RETURNING {COLUMNS}");
    let values = [vec![Val::from(id)], values].concat();
    first(&conn.rows(&sql, values).await?)
}

fn first(rows: &[Row]) -> DbResult<AccountRow> {
    rows.first().map(read).ok_or(sqlx::Error::RowNotFound)?
}

/// Makes the row; with other settings than before, what was parked for the old ones is so no more.
async fn enrol(conn: &mut Conn, id: &str, vendor: &str, name: &str, config: &str) -> DbResult<Changed> {
    const NEW: &str = "INSERT INTO accounts (id, vendor, name, config, serial, day, sign_ins, signed_at, lease_until, \
                       updated_at) VALUES ($1, $2, $3, $4, 0, 0, 0, 0, 0, {NOW}) ON CONFLICT DO NOTHING RETURNING id";
    const OTHER: &str = "UPDATE accounts SET config = $2, parked = NULL, message = NULL WHERE id = $1 AND config <> $2 \
                         RETURNING id";
    let values = [id, vendor, name, config].map(Val::from).into();
    let is_new = !conn.rows(NEW, values).await?.is_empty();
    let is_other = !conn.rows(OTHER, vec![id.into(), config.into()]).await?.is_empty();
    let row = set(conn, id, "name = $2", vec![name.into()]).await?;
    Ok(Changed::Row(Box::new(row), is_new || is_other))
}

async fn seek(conn: &mut Conn, id: &str, lease_us: i64, gap_us: i64, a_day: i64) -> DbResult<Turn> {
    const TAKE: &str = "UPDATE accounts SET lease_until = {NOW} + $2, signed_at = {NOW}, day = {NOW} / $5, \
                        sign_ins = CASE WHEN day = {NOW} / $5 THEN sign_ins + 1 ELSE 1 END \
                        WHERE id = $1 AND lease_until <= {NOW} AND signed_at <= {NOW} - $3 \
                        AND (day <> {NOW} / $5 OR sign_ins < $4) RETURNING serial";
    const WHY: &str = "SELECT lease_until - {NOW}, signed_at + $2 - {NOW}, \
                       CASE WHEN day = {NOW} / $4 AND sign_ins >= $3 THEN (day + 1) * $4 - {NOW} ELSE 0 END \
                       FROM accounts WHERE id = $1";
    let values = vec![id.into(), lease_us.into(), gap_us.into(), a_day.into(), DAY_US.into()];
    if !conn.rows(TAKE, values).await?.is_empty() {
        return Ok(Turn::Granted);
    }
    let rows = conn.rows(WHY, vec![id.into(), gap_us.into(), a_day.into(), DAY_US.into()]).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let wait = |us: i64| Duration::from_micros(us.max(1).unsigned_abs());
    let (lease, gap, day) = (row.int(0)?, row.int(1)?, row.int(2)?);
    Ok(if lease > 0 { Turn::Elsewhere(wait(lease)) } else { Turn::Later(wait(gap.max(day))) })
}

fn read(row: &Row) -> DbResult<AccountRow> {
    Ok(AccountRow {
        id: row.text(0)?,
        vendor: row.text(1)?,
        name: row.text(2)?,
        token: row.text_opt(3)?,
        serial: row.int(4)?,
        parked: row.text_opt(5)?,
        message: row.text_opt(6)?,
        is_signing_in: row.int(7)? != 0,
        updated_at: Stamp(row.int(8)?),
    })
}

async fn one(pool: &Pool, id: &str) -> DbResult<Option<AccountRow>> {
    let sql = format!("SELECT {COLUMNS} FROM accounts WHERE id = $1");
    pool.rows(&sql, vec![id.into()]).await?.first().map(read).transpose()
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX / 4)
}

impl Store {
    async fn change(&self, id: &str, change: Change) -> Result<Changed, StoreError> {
        match self.ask(Op::Account(id.to_owned(), change)).await? {
            Out::Account(changed) => Ok(changed),
            _ => Err(StoreError::Closed),
        }
    }

    async fn changed(&self, id: &str, change: Change) -> Result<AccountRow, StoreError> {
        match self.change(id, change).await? {
            Changed::Row(row, _) => Ok(*row),
            Changed::Turn(_) => Err(StoreError::Closed),
        }
    }

    /// The account's row, which is made where there is none; and whether its settings, told by a
    /// fingerprint, are others than before.
    pub async fn enrol_account(
        &self,
        id: &str,
        vendor: &str,
        name: &str,
        config: &str,
    ) -> Result<(AccountRow, bool), StoreError> {
        let (vendor, name, config) = (vendor.to_owned(), name.to_owned(), config.to_owned());
        match self.change(id, Change::Enrol { vendor, name, config }).await? {
            Changed::Row(row, is_other) => Ok((*row, is_other)),
            Changed::Turn(_) => Err(StoreError::Closed),
        }
    }

    pub async fn account(&self, id: &str) -> Result<Option<AccountRow>, StoreError> {
        Ok(one(self.pool(), id).await?)
    }

    /// Takes the right to sign in, which counts as a sign-in unless it is given back unused.
    pub async fn seek_sign_in(&self, id: &str, limits: SignInLimits) -> Result<Turn, StoreError> {
        let (lease_us, gap_us) = (micros(limits.lease), micros(limits.gap));
        match self.change(id, Change::Seek { lease_us, gap_us, a_day: limits.a_day.into() }).await? {
            Changed::Turn(turn) => Ok(turn),
            Changed::Row(..) => Err(StoreError::Closed),
        }
    }

    /// Keeps a new token, sealed, and gives the right to sign in back.
    pub async fn keep_token(&self, id: &str, sealed: &str) -> Result<AccountRow, StoreError> {
        self.changed(id, Change::Token(sealed.to_owned())).await
    }

    /// Parks the account, unless it has another token by now.
    pub async fn park_account(&self, id: &str, serial: i64, word: &str, why: &str) -> Result<AccountRow, StoreError> {
        let (word, message) = (word.to_owned(), why.to_owned());
        self.changed(id, Change::Park { serial, word, message }).await
    }

    pub async fn lift_account(&self, id: &str) -> Result<AccountRow, StoreError> {
        self.changed(id, Change::Lift).await
    }

    /// Gives the right to sign in back; nothing came of it.
    pub async fn release_account(&self, id: &str) -> Result<AccountRow, StoreError> {
        self.changed(id, Change::Release).await
    }

    /// Gives the right to sign in back: nothing was asked for with it, so only the gap counts.
    pub async fn return_sign_in(&self, id: &str) -> Result<AccountRow, StoreError> {
        self.changed(id, Change::Unused).await
    }
}

/// Every account of a database, beside a running server; none where there is no database yet, or an
/// older one.
pub async fn look_at_accounts(options: &Options) -> Result<Vec<AccountRow>, StoreError> {
    let Ok(source) = Source::existing(&options.data, options.database_url.as_deref()) else { return Ok(Vec::new()) };
    let mut conn = source.connect().await?;
    let seen = every(&mut conn).await;
    conn.close().await;
    seen
}

async fn every(conn: &mut Conn) -> Result<Vec<AccountRow>, StoreError> {
    if !schema::tables(conn).await?.iter().any(|name| name == "accounts") {
        return Ok(Vec::new());
    }
    let rows = conn.rows(&format!("SELECT {COLUMNS} FROM accounts ORDER BY id"), Vec::new()).await?;
    Ok(rows.iter().map(read).collect::<DbResult<_>>()?)
}
