//! Tells the other servers on the same database which tasks have ended, so that whoever waits there
//! hears of it at once.
//!
//! These are hints and nothing more: one that is lost costs a waiting caller a moment, because rows
//! are looked at in any case. They are gathered and sent a few times a second, outside every other
//! transaction, since PostgreSQL takes a lock of the whole instance when one with NOTIFY commits.

use crate::{
    db::{Conn, Val},
    open::Source,
};
use pixel_core::id::TaskId;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use std::time::Duration;
use tokio::{sync::mpsc, task::JoinHandle};

const CHANNEL: &str = "pixel_ended";
/// What stands for more tasks than one message holds.
const MANY: &str = "*";
/// A message has at most 8,000 bytes.
const IDS_MAX: usize = 200;
const EVERY: Duration = Duration::from_millis(150);
const TROUBLE_PAUSE: Duration = Duration::from_secs(2);
/// Beyond it hints are dropped.
const INBOX: usize = 4096;

/// What another server has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    Ended(TaskId),
    /// Too many to name.
    Many,
}

/// Sends hints, and stops listening when it is dropped.
pub(crate) struct Hints {
    outbox: mpsc::Sender<TaskId>,
    tasks: [JoinHandle<()>; 2],
}

impl Hints {
    /// `None` where no other server can be: on SQLite.
    pub(crate) fn start(source: &Source) -> Option<(Self, mpsc::Receiver<Hint>)> {
        let Source::Postgres(options) = source else { return None };
        let (outbox, mail) = mpsc::channel(INBOX);
        let (heard, hints) = mpsc::channel(INBOX);
        let tasks = [tokio::spawn(send(source.clone(), mail)), tokio::spawn(listen(options.clone(), heard))];
        Some((Self { outbox, tasks }, hints))
    }

    pub(crate) fn ended(&self, task: &TaskId) {
        // A full box means that the database is slow; the hint is not worth waiting for.
        let _ = self.outbox.try_send(task.clone());
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn send(source: Source, mut mail: mpsc::Receiver<TaskId>) {
    let mut conn: Option<Conn> = None;
    let mut batch = Vec::new();
    while mail.recv_many(&mut batch, INBOX).await > 0 {
        let text = message(&batch);
        batch.clear();
        if conn.is_none() {
            conn = source.connect().await.ok();
        }
        let sent = match conn.as_mut() {
            Some(open) => {
                open.rows("SELECT CAST(pg_notify($1, $2) AS TEXT)", vec![CHANNEL.into(), Val::from(text)]).await
            }
            None => Err(sqlx::Error::PoolTimedOut),
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "a hint was not sent");
            conn = None;
            tokio::time::sleep(TROUBLE_PAUSE).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn message(ended: &[TaskId]) -> String {
    match ended.len() {
        0..=IDS_MAX => ended.iter().map(TaskId::as_str).collect::<Vec<_>>().join(","),
        _ => MANY.to_owned(),
    }
}

/// Runs until nobody wants to hear any more.
async fn listen(options: PgConnectOptions, heard: mpsc::Sender<Hint>) {
    loop {
        if let Err(error) = relay(&options, &heard).await {
            tracing::debug!(%error, "hints of other servers are not heard");
        }
        if heard.is_closed() {
            return;
        }
        tokio::time::sleep(TROUBLE_PAUSE).await;
    }
}

async fn relay(options: &PgConnectOptions, heard: &mpsc::Sender<Hint>) -> Result<(), sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    while let Some(message) = listener.try_recv().await? {
        for hint in read(message.payload()) {
            if heard.send(hint).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn read(payload: &str) -> Vec<Hint> {
    match payload {
        MANY => vec![Hint::Many],
        ids => ids.split(',').filter_map(TaskId::parse).map(Hint::Ended).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_it_was_made_of() {
        let ids: Vec<TaskId> = (0..IDS_MAX).map(|_| crate::new_task_id()).collect();
        let text = message(&ids);
        assert!(text.len() < 8_000, "{} bytes", text.len());
        assert_eq!(read(&text), ids.iter().cloned().map(Hint::Ended).collect::<Vec<_>>());
        let more = [ids, vec![crate::new_task_id()]].concat();
        assert_eq!(read(&message(&more)), [Hint::Many]);
        assert_eq!(read("nonsense,task_"), []);
    }
}
