//! Pausing submissions from outside the server, and telling a database that it went back in time.
//!
//! Both are rows that another process may write while the server runs: it looks at them.

use crate::{
    StoreError,
    db::{Conn, DbResult},
    now,
    open::{self, Source},
    read,
    rows::Pause,
    schema,
    store::Options,
};
use pixel_core::{
    Stamp,
    task::{SlotState, Work},
};

/// Added to every fence, and to the epoch, of a database that went back in time: more than the
/// life that is lost can have counted.
const LEAP: i64 = 1 << 32;

/// Live tasks that cost money, by what a resume means for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Their vendors may have been sent something that is not recorded here.
    pub in_doubt: u64,
    /// Nothing of them has been sent.
    pub queued: u64,
    /// Their vendors are at work, or a person's decision is awaited.
    pub under_way: u64,
}

/// Pauses submissions. With `in_doubt` the database is also told that it went back in time: as
/// after a fail-over to a replica that lagged behind.
pub async fn set_pause(options: &Options, in_doubt: bool) -> Result<Backlog, StoreError> {
    let mut conn = connect(options).await?;
    let done = write_pause(&mut conn, in_doubt).await;
    conn.close().await;
    done
}

/// The pause as it stands, and what waits behind it.
pub async fn look_at_pause(options: &Options) -> Result<(Option<Pause>, Backlog), StoreError> {
    let mut conn = connect(options).await?;
    let seen = look(&mut conn).await;
    conn.close().await;
    seen
}

/// Lets submissions leave again.
pub async fn lift_pause(options: &Options) -> Result<(), StoreError> {
    let mut conn = connect(options).await?;
    let done = conn.rows("DELETE FROM meta WHERE name = 'paused_since'", Vec::new()).await;
    conn.close().await;
    done.map(drop).map_err(StoreError::from)
}

async fn connect(options: &Options) -> Result<Conn, StoreError> {
    let source = Source::existing(&options.data, options.database_url.as_deref())?;
    open::refuse_unfinished(&options.data, &source).await?;
    let mut conn = source.connect().await?;
    match schema::version(&mut conn).await {
        Ok(Some(_)) => Ok(conn),
        Ok(None) => Err(StoreError::NoDatabase(source.name())),
        Err(error) => Err(error),
    }
}

async fn write_pause(conn: &mut Conn, in_doubt: bool) -> Result<Backlog, StoreError> {
    conn.begin().await?;
    let moment = now();
    set(conn, "paused_since", moment.0).await?;
    if in_doubt {
        put_in_doubt(conn, moment).await?;
    }
    let seen = look(conn).await?;
    conn.commit().await?;
    Ok(seen.1)
}

async fn look(conn: &mut Conn) -> Result<(Option<Pause>, Backlog), StoreError> {
    let pause = read::pause_from(&conn.rows(read::PAUSE, Vec::new()).await?)?;
    Ok((pause, backlog(conn).await?))
}

async fn set(conn: &mut Conn, name: &str, value: i64) -> DbResult<()> {
    const SET: &str = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2";
    conn.rows(SET, vec![name.into(), value.into()]).await.map(drop)
}

/// Tells the database, within the caller's transaction, that it went back in time and that nothing
/// may be submitted until somebody says so.
pub(crate) async fn went_back(conn: &mut Conn, moment: Stamp) -> DbResult<()> {
    set(conn, "paused_since", moment.0).await?;
    put_in_doubt(conn, moment).await
}

/// Every live task may have been submitted since, and nobody who holds a lease holds it still.
async fn put_in_doubt(conn: &mut Conn, moment: Stamp) -> DbResult<()> {
    // A task that was put in doubt before and not looked at since stays as it is.
    const DOUBT: &str = "UPDATE work SET state = '{\"in_doubt\":' || $1 || ',' || substr(state, 2) \
                         WHERE state NOT LIKE '{\"in_doubt\":%'";
    const FENCES: &str = "UPDATE work SET fence = fence + $1, due_at = CASE WHEN stage = 2 THEN 0 ELSE due_at END";
    conn.rows(DOUBT, vec![moment.0.to_string().into()]).await?;
    conn.rows(FENCES, vec![LEAP.into()]).await?;
    conn.rows("UPDATE meta SET value = value + $1 WHERE name = 'epoch'", vec![LEAP.into()]).await?;
    set(conn, "restored_at", moment.0).await
}

/// Counts one by one: a hundred thousand live tasks do not stand in memory.
pub(crate) async fn backlog(conn: &mut Conn) -> Result<Backlog, StoreError> {
    const PAID: &str = "SELECT work.state FROM work JOIN tasks ON tasks.id = work.task_id WHERE tasks.sandbox = 0";
    let mut counts = Backlog::default();
    conn.each(PAID, |row| {
        let work: Work = read::parse(&row.text(0)?, "state")?;
        let is_unsent = work.slots.iter().all(|slot| matches!(slot.state, SlotState::Ready { .. }));
        let count = match (work.is_in_doubt(), is_unsent) {
            (true, _) => &mut counts.in_doubt,
            (false, true) => &mut counts.queued,
            (false, false) => &mut counts.under_way,
        };
        *count += 1;
        Ok::<(), StoreError>(())
    })
    .await?;
    Ok(counts)
}
