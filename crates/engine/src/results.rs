//! Copies what a vendor made into our store: fetched, hashed, examined, published, and only then
//! announced.

use crate::{
    AdmitError, Admitted, Arrival, Engine,
    admit::Examined,
    fetch::FetchError,
    media,
    run::Stop,
    step::{Cursor, Left},
};
use futures_util::future;
use pixel_core::{
    Error, ErrorKind,
    request::{Kind, Warning},
    task::{Facts, Failure, Made, Preview, SlotState},
    vendor::{Mark, Output, Source, Staged},
};
use pixel_store::{MediaRow, blobs::StagedBlob, crash, new_media_id, now};
use std::io;

/// Links of one slot that may expire, or bring bytes that are no whole file, before the slot fails.
const TRIES: u32 = 6;

enum Trouble {
    /// The link has expired: the vendor may give a fresh one.
    Expired,
    /// What came is not whole; another fetch may bring the rest.
    Broken(String),
    /// The way there failed: what was paid for is not given up for a while.
    Again(String),
    /// Our own disk or object store failed, which the vendor's deadline has nothing to do with.
    Ours(String),
    Final(Error),
}

struct Copied {
    made: Made,
    rows: Vec<MediaRow>,
    /// Staged files that the slot's row still names.
    staged: Vec<Staged>,
}

impl Cursor<'_> {
    /// Copies the results, or leaves to try again, or fails.
    pub(crate) async fn collect(&mut self, mark: Mark, outputs: Vec<Output>) -> Result<Left, Stop> {
        let fetching = SlotState::Fetching { mark: mark.clone(), outputs: outputs.clone() };
        let copies =
            future::join_all(outputs.iter().map(|output| self.run.engine.copy(self.run.claimed.request.kind, output)));
        let copied = match self.slot.state == fetching {
            true => copies.await,
            // What the vendor made is recorded while it is copied: a crash resumes at the copy.
            false => {
                self.secure(&outputs).await;
                let mut slot = self.slot.clone();
                slot.state = fetching;
                let extras = std::mem::take(&mut self.extras);
                let (written, copied) =
                    future::join(self.run.write(self.at, slot.clone(), extras, false), copies).await;
                written?;
                self.slot = slot;
                crash::point!("collect.recorded");
                copied
            }
        };
        self.settle(mark, copied).await
    }

    /// Media that came inside an answer comes only once: before a row names it, it must outlive
    /// this server's disk.
    async fn secure(&self, outputs: &[Output]) {
        let staged: Vec<Staged> = outputs.iter().flat_map(staged_of).collect();
        if let Err(error) = self.run.engine.0.blobs.secure(&staged).await {
            tracing::warn!(%error, "a result is on this server's disk alone");
        }
    }

    async fn settle(&mut self, mark: Mark, copied: Vec<Result<Copied, Trouble>>) -> Result<Left, Stop> {
        let mut good = Vec::new();
        let mut bad = Vec::new();
        let mut retry = None;
        for (at, one) in copied.into_iter().enumerate() {
            match one {
                Ok(copied) => good.push(copied),
                Err(Trouble::Final(error)) => bad.push((at, error)),
                Err(trouble) => retry = Some(trouble),
            }
        }
        if let Some(trouble) = retry {
            return self.copy_again(mark, trouble).await;
        }
        let Some(first) = good.first() else {
            let none = || Error::new(ErrorKind::ResultUnusable, "The vendor reported success without a result.");
            return self.fail(bad.into_iter().next().map_or_else(none, |(_, error)| error)).await;
        };
        tracing::info!(results = good.len(), content_type = first.made.facts.content_type, "results are stored");
        self.finish(mark, good, bad).await
    }

    async fn finish(&mut self, mark: Mark, good: Vec<Copied>, bad: Vec<(usize, Error)>) -> Result<Left, Stop> {
        let first = self.slot.first;
        self.extras.warnings.extend(bad.into_iter().map(|(at, error)| {
            let which = first as usize + at + 1;
            Warning::new("n", format!("Result {which} was not made: {}", error.message))
        }));
        let task = &self.run.claimed.lease.task;
        let (mut media, mut staged) = (Vec::with_capacity(good.len()), Vec::new());
        for mut one in good {
            one.made.index += first;
            self.extras.media.extend(one.rows.into_iter().map(|row| MediaRow { task: Some(task.clone()), ..row }));
            media.push(one.made);
            staged.extend(one.staged);
        }
        let fetching = std::mem::replace(&mut self.slot.state, SlotState::Done { media });
        crash::point!("result.writing");
        let left = match self.leave().await {
            Err(Stop::Removed) => {
                // An equal file, that nobody named any more, was being removed.
                self.slot.state = fetching;
                return self.copy_again(mark, Trouble::Again("an equal file was being removed".to_owned())).await;
            }
            left => left?,
        };
        crash::point!("result.written");
        if !staged.is_empty() {
            let blobs = self.run.engine.0.blobs.clone();
            // Nobody waits for it, and what is missed is left to the sweep.
            drop(tokio::spawn(async move {
                crash::point!("result.discarding");
                for handle in staged {
                    if let Err(error) = blobs.discard(handle).await {
                        tracing::debug!(%error, "a staged file stays until the sweep");
                    }
                }
            }));
        }
        Ok(left)
    }

    /// A fresh link is asked for with the mark of the job; a fetch that failed is repeated.
    async fn copy_again(&mut self, mark: Mark, trouble: Trouble) -> Result<Left, Stop> {
        let (why, counts) = match &trouble {
            Trouble::Broken(why) => (why.clone(), true),
            Trouble::Again(why) | Trouble::Ours(why) => (why.clone(), false),
            Trouble::Expired | Trouble::Final(_) => ("its link has expired".to_owned(), true),
        };
        self.slot.copies += u32::from(counts);
        self.slot.tries += 1;
        let is_late = match trouble {
            Trouble::Ours(_) => now() > self.run.patience_ends(),
            _ => self.is_past_deadline(),
        };
        // What was paid for is not given up for a short trouble of the network, however late it comes.
        if self.slot.copies >= TRIES || (is_late && self.slot.tries >= TRIES) {
            let message = format!("The vendor's result could not be copied: {}.", why.trim_end_matches('.'));
            return self.fail(Error::new(ErrorKind::ResultUnusable, message)).await;
        }
        tracing::info!(why, "a result will be copied again");
        let wait = crate::waits::retry(if counts { self.slot.copies } else { self.slot.tries });
        if matches!(trouble, Trouble::Expired) {
            self.slot.state = SlotState::Accepted { mark };
        }
        self.leave_until(now().plus(wait)).await
    }
}

impl Engine {
    async fn copy(&self, kind: Kind, output: &Output) -> Result<Copied, Trouble> {
        if let Some(Failure { message, .. }) = &output.failed {
            return Err(Trouble::Final(Error::new(ErrorKind::VendorFailed, message.clone())));
        }
        let examined = self.take(kind, &output.media, output.poster.is_none()).await?;
        let facts = &examined.facts;
        if !facts.content_type.starts_with(family(kind)) {
            let message = format!("The vendor's result is {}, which is not {}.", facts.content_type, kind.as_str());
            return Err(Trouble::Final(Error::new(ErrorKind::ResultUnusable, message)));
        }
        let poster = match &output.poster {
            _ if examined.has_preview() => None,
            Some(poster) => self.take_poster(poster).await,
            None => self.poster(&examined).await,
        };
        let Admitted { facts, preview, seen } = self.complete(examined).await.map_err(|error| unstored(&error))?;
        let preview = preview.map(|facts| (facts, seen)).or(poster.map(|own| (own.facts, own.seen)));
        let mut rows = vec![row(&facts, seen)];
        let preview = preview.map(|(facts, seen)| {
            let row = row(&facts, seen);
            let preview = Preview { media_id: row.id.as_str().to_owned(), facts };
            rows.push(row);
            preview
        });
        let staged = staged_of(output).collect();
        let made = Made { index: output.index, media_id: rows[0].id.as_str().to_owned(), facts, preview };
        Ok(Copied { made, rows, staged })
    }

    /// Brings one source here and says what its bytes are.
    async fn take(&self, kind: Kind, source: &Source, preview: bool) -> Result<Examined, Trouble> {
        let unusable = |why: String| Trouble::Final(Error::new(ErrorKind::ResultUnusable, why));
        let (arrival, is_link) = match source {
            Source::Missing => return Err(unusable("The vendor did not make this result.".to_owned())),
            Source::Staged(handle) => (Arrival::Named(handle.clone()), false),
            Source::Link { url, .. } => (Arrival::Fresh(self.fetch_result(kind, url).await?), true),
        };
        self.examine(arrival, "", preview).await.map_err(|error| match error {
            AdmitError::Ours(error) if !is_link && error.kind() == io::ErrorKind::NotFound => {
                match self.0.blobs.is_shared() {
                    // The server that received it may come back and bring it along.
                    true => Trouble::Again("it is not in the object store yet".to_owned()),
                    false => unusable("The vendor's result was lost before it was stored.".to_owned()),
                }
            }
            error @ AdmitError::Ours(_) => unstored(&error),
            // A link may have been cut short on its way; what the vendor sent in its answer was not.
            AdmitError::Unusable(why) if is_link => Trouble::Broken(why.reason),
            AdmitError::Unusable(why) => unusable(format!("The vendor's result cannot be used: {}", why.reason)),
        })
    }

    async fn fetch_result(&self, kind: Kind, url: &str) -> Result<StagedBlob, Trouble> {
        let limits = &self.0.options.media;
        let cap = match kind {
            Kind::Image | Kind::Llm => limits.image_bytes,
            Kind::Video => limits.video_bytes,
            Kind::Audio => limits.audio_bytes,
        };
        self.0.fetcher.fetch(url, cap).await.map_err(|error| match error {
            FetchError::Gone { .. } => Trouble::Expired,
            FetchError::Unreachable(why) => Trouble::Again(why),
            FetchError::Broken(why) => Trouble::Broken(why),
            FetchError::Store(error) => unstored(&error),
            FetchError::Refused(why) => {
                let message = format!("The vendor's result lies at an address that Pixel does not fetch: {why}");
                Trouble::Final(Error::new(ErrorKind::ResultUnusable, message))
            }
            FetchError::TooLarge { cap_bytes } => {
                let message = format!("The vendor's result is larger than the limit of {} MB.", cap_bytes >> 20);
                Trouble::Final(Error::new(ErrorKind::ResultUnusable, message))
            }
        })
    }

    /// The vendor's own picture of a clip; a result without it is whole all the same.
    async fn take_poster(&self, poster: &Source) -> Option<Admitted> {
        let examined = self.take(Kind::Image, poster, false).await.ok()?;
        self.complete(examined).await.ok()
    }

    /// A picture of a clip that came without one.
    async fn poster(&self, examined: &Examined) -> Option<Admitted> {
        let facts = &examined.facts;
        let program = self.0.options.ffmpeg.as_deref().filter(|_| facts.content_type.starts_with("video/"))?;
        let bytes = media::poster(program, &self.file_of(examined), facts).await?;
        let blobs = self.0.blobs.clone();
        let staged = tokio::task::spawn_blocking(move || blobs.stage_bytes(&bytes)).await.ok()?.ok()?;
        self.admit(Arrival::Fresh(staged), false).await.ok()
    }
}

/// The staged files that a row with this output names.
fn staged_of(output: &Output) -> impl Iterator<Item = Staged> {
    let sources = [Some(&output.media), output.poster.as_ref()].into_iter().flatten();
    sources.filter_map(|source| match source {
        Source::Staged(handle) => Some(handle.clone()),
        Source::Link { .. } | Source::Missing => None,
    })
}

fn unstored(error: &impl std::fmt::Display) -> Trouble {
    Trouble::Ours(format!("it could not be stored: {error}"))
}

fn family(kind: Kind) -> &'static str {
    match kind {
        Kind::Image | Kind::Llm => "image/",
        Kind::Video => "video/",
        Kind::Audio => "audio/",
    }
}

fn row(facts: &Facts, seen: i64) -> MediaRow {
    MediaRow { id: new_media_id(), task: None, facts: facts.clone(), created_at: now(), seen }
}
