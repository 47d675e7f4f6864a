//! Local work: a vendor's own computing on a bounded blocking pool, with progress and an end.

use crate::{internal, run::Stop, step::Cursor};
use pixel_core::vendor::{Answer, Desk, LocalWork, Mark, Next, Reply, Staged};
use pixel_store::{
    blobs::{self, Blobs, BlockingStage},
    crash, now,
};
use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// One staged file of local work, at most.
const FILE_BYTES: u64 = 512 << 20;
/// An input that local work reads whole, at most.
const BLOB_BYTES: u64 = 64 << 20;
/// How often a caller sees new progress.
const SHOW_EVERY: Duration = Duration::from_millis(500);
/// Failures in a row before the slot fails.
const TRIES: u32 = 3;

impl Cursor<'_> {
    /// Runs local work and hands its files to the vendor. `None`: the slot has left.
    pub(crate) async fn compute(&mut self, work: LocalWork, mark: Mark) -> Result<Option<Next>, Stop> {
        // Without this, a task would look untouched until it is done.
        self.rest(mark.clone());
        self.write().await?;
        let engine = &self.run.engine.0;
        let cancel = engine.stopping.child_token();
        let Ok(permit) = engine.local.clone().acquire_owned().await else { return Err(Stop::Fenced) };
        let percent = Arc::new(AtomicU8::new(0));
        let mut bench = Bench { blobs: engine.blobs.clone(), files: Vec::new(), open: None, cancel, percent };
        // Dropping the guard, as a lost lease does, cancels the work on its thread.
        let _guard = bench.cancel.clone().drop_guard();
        let (cancelled, percent) = (bench.cancel.clone(), Arc::clone(&bench.percent));
        let mut job = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            crash::point!("local.begun");
            work.0.run(&mut bench)?;
            let files = bench.finish()?;
            crash::point!("local.made");
            Ok::<_, io::Error>(files)
        });
        let done = loop {
            tokio::select! {
                done = &mut job => break done,
                () = tokio::time::sleep(SHOW_EVERY) => {
                    self.run.show_percent(self.at, percent.load(Ordering::Relaxed)).await?;
                }
            }
        };
        match done {
            Ok(Ok(staged)) => self.computed(&mark, staged).await,
            // Cut short by a shutdown: it costs nothing to begin again.
            _ if cancelled.is_cancelled() => self.leave_until(now()).await.map(|_| None),
            // A disk of ours that is full says nothing about the work.
            Ok(Err(error)) if blobs::is_disk_unwilling(&error) && now() < self.run.patience_ends() => {
                tracing::warn!(%error, "local work cannot be stored yet");
                self.try_again(None).await.map(|_| None)
            }
            Ok(Err(error)) => self.compute_failed(error.to_string()).await,
            Err(error) => self.compute_failed(error.to_string()).await,
        }
    }

    async fn computed(&mut self, mark: &Mark, staged: Vec<Staged>) -> Result<Option<Next>, Stop> {
        let answer = Answer { status: 200, staged, ..Answer::default() };
        match self.ask_next(mark, &Reply::Answer(answer)) {
            Ok(next) => Ok(Some(next)),
            Err(error) => self.fail(error).await.map(|_| None),
        }
    }

    async fn compute_failed(&mut self, why: String) -> Result<Option<Next>, Stop> {
        tracing::error!(why, "local work failed");
        match self.slot.tries < TRIES {
            true => self.try_again(None).await.map(|_| None),
            false => self.fail(internal(why)).await.map(|_| None),
        }
    }
}

/// The desk of one job.
struct Bench {
    blobs: Blobs,
    files: Vec<Staged>,
    open: Option<BlockingStage>,
    cancel: CancellationToken,
    percent: Arc<AtomicU8>,
}

impl Bench {
    fn close(&mut self) -> io::Result<()> {
        if let Some(stage) = self.open.take() {
            self.files.push(stage.finish()?.handle);
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<Vec<Staged>> {
        self.close()?;
        Ok(self.files)
    }
}

impl Desk for Bench {
    fn begin(&mut self) -> io::Result<()> {
        self.close()?;
        self.open = Some(self.blobs.stage_blocking(FILE_BYTES));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.open {
            Some(stage) => stage.write_all(bytes),
            None => Err(io::Error::other("local work wrote before it began a file")),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn progress(&mut self, percent: u8) {
        self.percent.store(percent.min(99), Ordering::Relaxed);
    }

    fn blob(&mut self, sha256: &str) -> io::Result<Vec<u8>> {
        self.blobs.read(sha256, BLOB_BYTES)
    }
}
