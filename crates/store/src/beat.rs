//! Keeps leases alive from a thread of its own: a heartbeat on the event loop would stop with
//! the loop, and with it the leases of work that is well.

use crate::{
    crash,
    db::{Conn, Val, chunks, values_list},
    open::Source,
    rows::Lease,
};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// The leases that this process holds, and until when by its own clock.
#[derive(Clone, Default)]
pub struct Leases(Arc<Mutex<HashMap<Lease, Instant>>>);

impl Leases {
    fn held(&self) -> MutexGuard<'_, HashMap<Lease, Instant>> {
        // The map is whole after any panic: every change to it is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self, lease: Lease, until: Instant) {
        self.held().insert(lease, until);
    }

    /// Keeps a lease alive no longer: its holder has given it back, or has gone.
    pub fn forget(&self, lease: &Lease) {
        self.held().remove(lease);
    }

    /// How much of a lease is left by this process's clock; zero when it is lost.
    pub fn remaining(&self, lease: &Lease) -> Duration {
        let until = self.held().get(lease).copied();
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Those that have run out by this process's clock, though nobody has said that they are lost.
    pub(crate) fn late(&self) -> Vec<Lease> {
        let now = Instant::now();
        self.held().iter().filter(|(_, until)| **until <= now).map(|(lease, _)| lease.clone()).collect()
    }

    /// Counts on renewed leases until then.
    pub(crate) fn renewed(&self, leases: &[Lease], renewed: &HashSet<String>, until: Instant) {
        let mut held = self.held();
        for lease in leases.iter().filter(|lease| renewed.contains(lease.task.as_str())) {
            // Only if it is still held here: a task that has just ended is not taken back.
            held.entry(lease.clone()).and_modify(|old| *old = until);
        }
    }

    pub fn count(&self) -> usize {
        self.held().len()
    }
}

/// The heartbeat's thread; dropping it stops the thread.
pub(crate) struct Beat {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Beat {
    /// Beats three times a lease.
    pub(crate) fn start(source: Source, leases: Leases, lease: Duration) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let body = move || runtime.block_on(run(source, leases, lease, flag));
        let thread = std::thread::Builder::new().name("pixel-beat".to_owned()).spawn(body)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A beat that panicked has said so in the log already.
            let _ = thread.join();
        }
    }
}

async fn run(source: Source, leases: Leases, lease: Duration, stop: Arc<AtomicBool>) {
    let mut conn = None;
    while !stop.load(Ordering::Relaxed) {
        std::thread::park_timeout(lease / 3);
        if leases.count() == 0 {
            continue;
        }
        if conn.is_none() {
            conn = source.connect().await.inspect_err(|e| tracing::warn!(error = %e, "no heartbeat")).ok();
        }
        let Some(open) = conn.as_mut() else { continue };
        match tokio::time::timeout(lease / 3, beat(open, &leases, lease)).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => tracing::warn!(%error, "a heartbeat failed"),
            Err(_) => tracing::warn!("a heartbeat got no answer"),
        }
        conn = None;
    }
}

/// Renews every lease whose fence still holds; the others are lost from now on.
async fn beat(conn: &mut Conn, leases: &Leases, lease: Duration) -> Result<(), sqlx::Error> {
    let all: Vec<Lease> = leases.held().keys().cloned().collect();
    let lease_us = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX / 4);
    for chunk in chunks(all) {
        let begun = Instant::now();
        crash::point!("beat.begun");
        let renewed = renew(conn, &chunk, lease_us).await?;
        crash::point!("beat.renewed");
        let held = still_held(conn, &chunk).await?;
        let mut map = leases.held();
        for one in chunk {
            if renewed.contains(one.task.as_str()) {
                // Only if it is still held here: a task that has just ended is not taken back.
                map.entry(one).and_modify(|until| *until = begun + lease);
            } else if !held.contains(one.task.as_str()) {
                map.remove(&one);
            }
        }
    }
    Ok(())
}

/// Renews leases within the writer's transaction; says whose fence still holds.
pub(crate) async fn renew_all(
    conn: &mut Conn,
    leases: &[Lease],
    lease_us: i64,
) -> Result<HashSet<String>, sqlx::Error> {
    let mut renewed = HashSet::new();
    for chunk in chunks(leases.to_vec()) {
        renewed.extend(renew(conn, &chunk, lease_us).await?);
    }
    Ok(renewed)
}

/// Never waits for a row that the writer has locked, so that the two cannot block each other; that
/// row is renewed by the next beat.
async fn renew(conn: &mut Conn, chunk: &[Lease], lease_us: i64) -> Result<HashSet<String>, sqlx::Error> {
    let pairs = values_list(conn.dialect(), chunk.len(), 2);
    let sql = format!(
        "WITH chosen AS MATERIALIZED (\
         SELECT task_id FROM work WHERE (task_id, fence) IN (VALUES {pairs}) AND stage = 2 {{SKIP}}) \
         UPDATE work SET due_at = {{NOW}} + ${} WHERE task_id IN (SELECT task_id FROM chosen) RETURNING task_id",
        chunk.len() * 2 + 1
    );
    let mut values = bind(chunk);
    values.push(lease_us.into());
    conn.rows(&sql, values).await?.iter().map(|row| row.text(0)).collect()
}

async fn still_held(conn: &mut Conn, chunk: &[Lease]) -> Result<HashSet<String>, sqlx::Error> {
    let pairs = values_list(conn.dialect(), chunk.len(), 2);
    let sql = format!("SELECT task_id FROM work WHERE (task_id, fence) IN (VALUES {pairs}) AND stage = 2");
    conn.rows(&sql, bind(chunk)).await?.iter().map(|row| row.text(0)).collect()
}

fn bind(chunk: &[Lease]) -> Vec<Val> {
    chunk.iter().flat_map(|lease| [Val::from(lease.task.as_str()), Val::from(lease.fence)]).collect()
}
