//! `pixel backup`, `pixel restore`, `pixel pause` and `pixel resume`: what they do to a store, and
//! what they say about it.

use crate::{bucket, config::Settings, filesystem};
use pixel_store::{
    Backlog, Options,
    backup::{self, Manifest, MediaMode},
    blobs::Blobs,
    lift_pause, look_at_pause, set_pause,
};
use std::{
    error::Error,
    future::Future,
    io::{self, Write},
    path::Path,
};

type Failure = Box<dyn Error + Send + Sync>;

/// What one of the commands is to do.
#[derive(Clone, Copy, Debug)]
pub enum Work<'a> {
    Backup { to: &'a Path },
    Restore { from: &'a Path },
    Pause { in_doubt: bool },
    Resume { dry_run: bool },
}

/// Does it in this process; a server may run beside it.
pub fn run(settings: &Settings, work: Work<'_>) -> Result<(), Failure> {
    let options = Options {
        data: settings.data.clone(),
        database_url: settings.database.url.as_ref().map(|url| url.reveal().to_owned()),
        pool_size: 1,
        lease: settings.engine.lease,
    };
    match work {
        Work::Backup { to } => wait(back_up(settings, &options, to)),
        Work::Restore { from } => wait(restore(settings, &options, from)),
        Work::Pause { in_doubt } => wait(pause(&options, in_doubt)),
        Work::Resume { dry_run } => wait(resume(&options, dry_run)),
    }
}

fn wait(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Opens the blobs where the settings say, once the rows are known to be there.
async fn blobs_of(settings: &Settings) -> Result<impl FnOnce() -> std::io::Result<Blobs> + '_, Failure> {
    let options = match &settings.bucket {
        None => None,
        Some(bucket) => Some(bucket::checked(bucket).await?),
    };
    Ok(move || match options {
        None => Blobs::open(&settings.blobs),
        Some(options) => Blobs::open_bucket(&settings.blobs, options),
    })
}

async fn back_up(settings: &Settings, options: &Options, to: &Path) -> Result<(), Failure> {
    let blobs = blobs_of(settings).await?;
    let manifest = backup::take(options, blobs, to, &mut progress).await?;
    for missing in &manifest.media.missing {
        note(&format!("warning: {missing} is named by a task, but is not in the store or not whole"));
    }
    say(&format!("Backup of {} tasks and {} is complete: {}", tasks(&manifest), media(&manifest), to.display()))
}

async fn restore(settings: &Settings, options: &Options, from: &Path) -> Result<(), Failure> {
    filesystem::refuse_network_disk(settings)?;
    let blobs = blobs_of(settings).await?;
    let restored = backup::restore(from, options, blobs, &mut progress).await?;
    let manifest = &restored.manifest;
    say(&format!("Restored {} tasks and {}, as of {}.", tasks(manifest), media(manifest), manifest.taken_at))?;
    say(&format!(
        "Submissions are paused. {} Make sure that the old server is stopped for good, start this one, and when all \
         looks right run `pixel resume`.",
        doubt(restored.backlog)
    ))
}

async fn pause(options: &Options, in_doubt: bool) -> Result<(), Failure> {
    let backlog = set_pause(options, in_doubt).await?;
    match in_doubt {
        true => say(&format!("Submissions are paused. {}", doubt(backlog))),
        false => say(&format!("Submissions are paused. {}", waiting(backlog))),
    }
}

async fn resume(options: &Options, dry_run: bool) -> Result<(), Failure> {
    let (pause, backlog) = look_at_pause(options).await?;
    let Some(pause) = pause else { return say("Submissions are not paused.") };
    let since = pause.since.to_iso();
    if dry_run {
        return say(&format!("Submissions are paused since {since}. {}", waiting(backlog)));
    }
    lift_pause(options).await?;
    say(&format!("Submissions, paused since {since}, are resumed. {}", waiting(backlog)))
}

fn tasks(manifest: &Manifest) -> u64 {
    manifest.rows_of("tasks")
}

fn media(manifest: &Manifest) -> String {
    let media = &manifest.media;
    let files = format!("{} media files ({} MB)", media.blobs + media.staged, media.total_bytes >> 20);
    match media.mode {
        MediaMode::Copied => files,
        MediaMode::Referenced => format!("the names of {files}"),
    }
}

fn doubt(backlog: Backlog) -> String {
    format!(
        "{} live tasks may have been submitted by the server that went on after the backup: none of them is \
         submitted as if it were the first time.",
        backlog.in_doubt
    )
}

fn waiting(backlog: Backlog) -> String {
    let Backlog { queued, in_doubt, under_way } = backlog;
    format!(
        "{queued} tasks wait to be submitted; {in_doubt} are in doubt, to be looked up or held for a decision; \
         {under_way} are under way or held already."
    )
}

fn progress(text: String) {
    note(&text);
}

/// Progress is for a person, and nobody is left to tell when standard error is closed.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn say(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
