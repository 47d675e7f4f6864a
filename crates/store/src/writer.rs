//! The one writer: it drains whatever waits into one transaction, so that a flushed commit is
//! shared by everything that was waiting for one (group commit).

use crate::{
    StoreError,
    apply::{Op, Out, apply},
    crash,
    db::{Conn, Dialect},
    open::Source,
    retire::Names,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// Operations of one transaction, at most.
const BATCH_MAX: usize = 512;
/// How long a batch is retried while the database cannot be reached.
const RETRY_FOR: Duration = Duration::from_secs(15);

pub(crate) struct Pending {
    pub(crate) op: Op,
    pub(crate) reply: oneshot::Sender<Result<Out, StoreError>>,
}

/// Runs until every sender is gone and everything sent has been written.
pub(crate) async fn run(source: Source, first: Conn, generation: Arc<AtomicI64>, mut inbox: mpsc::Receiver<Pending>) {
    let mut link = Link { source, conn: Some(first), generation };
    let mut waiting = Vec::with_capacity(BATCH_MAX);
    while inbox.recv_many(&mut waiting, BATCH_MAX).await > 0 {
        let (ops, replies): (Vec<_>, Vec<_>) = waiting.drain(..).map(|p| (p.op, p.reply)).unzip();
        crash::point!("writer.received");
        let results = link.write(&ops).await;
        crash::point!("writer.committed");
        for (reply, result) in replies.into_iter().zip(results) {
            // A caller that hung up does not want its answer; what it asked is written all the same.
            let _ = reply.send(result);
        }
    }
    if let Some(conn) = link.conn {
        conn.close().await;
    }
}

/// The connection, reopened when it breaks.
struct Link {
    source: Source,
    conn: Option<Conn>,
    generation: Arc<AtomicI64>,
}

impl Link {
    async fn write(&mut self, ops: &[Op]) -> Vec<Result<Out, StoreError>> {
        match self.write_together(ops).await {
            Ok(outs) => outs.into_iter().map(Ok).collect(),
            Err(error) if ops.len() == 1 => vec![Err(error)],
            // Away for each alone as well: nobody is kept waiting to hear it.
            Err(StoreError::Away(why)) => ops.iter().map(|_| Err(StoreError::Away(why.clone()))).collect(),
            // One bad operation must not fail its neighbours: each gets a transaction of its own.
            Err(_) => {
                let mut results = Vec::with_capacity(ops.len());
                for op in ops {
                    let one = self.write_together(std::slice::from_ref(op)).await;
                    results.push(one.and_then(|outs| outs.into_iter().next().ok_or(StoreError::Closed)));
                }
                results
            }
        }
    }

    /// One transaction, retried while the database is away. Repeating it is safe: new rows have
    /// ids of their own, and every other write is conditional on a fence.
    async fn write_together(&mut self, ops: &[Op]) -> Result<Vec<Out>, StoreError> {
        let until = Instant::now() + RETRY_FOR;
        let mut pause = Duration::from_millis(50);
        loop {
            // A peer that has gone silent would hold the writer for as long as TCP is patient.
            let error = match tokio::time::timeout(RETRY_FOR, self.try_once(ops)).await {
                Ok(Ok(outs)) => return Ok(outs),
                Ok(Err(error)) => error,
                Err(_) => sqlx::Error::Io(std::io::Error::from(std::io::ErrorKind::TimedOut)),
            };
            if !StoreError::is_away(&error) || Instant::now() >= until {
                return Err(error.into());
            }
            tracing::warn!(%error, "the database is away; trying again");
            self.conn = None;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    async fn try_once(&mut self, ops: &[Op]) -> Result<Vec<Out>, sqlx::Error> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.source.connect().await?,
        };
        let names = Names::of(ops);
        conn.begin_with(names).await?;
        crash::point!("writer.begun");
        // On SQLite nobody else removes anything, so that it is known whether a sweep ever was.
        let has_removed = names != Names::Untouched
            && (conn.dialect() == Dialect::Postgres || self.generation.load(Ordering::Acquire) > 0);
        let done = match apply(&mut conn, ops, has_removed).await {
            Ok(outs) => {
                crash::point!("writer.applied");
                conn.commit().await.map(|()| outs)
            }
            Err(error) => Err(error),
        };
        // A connection whose transaction cannot be ended is dropped, and the next batch opens one.
        let clean = done.is_ok() || conn.rollback().await.is_ok();
        self.conn = clean.then_some(conn);
        done
    }
}
