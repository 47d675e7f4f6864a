//! Fetches and judges a task's inputs before its vendor hears of it.

use crate::{
    admit::{AdmitError, Arrival},
    fetch::FetchError,
    internal,
    run::{Run, Stop},
    waits,
};
use pixel_core::{
    Error, ErrorKind,
    request::{Input, Origin, Role},
    task::{Facts, Failure, SlotState, StoredInput, Work},
};
use pixel_store::{MediaRow, Stored, crash, new_media_id, now};

/// Fetches of one task's inputs that may fail before the task does.
const TRIES: u32 = 4;

enum Trouble {
    /// The address may answer later.
    Again(String),
    /// A disk or database of ours failed, which is no fault of the input.
    Ours(String),
    Final(Error),
}

impl Run {
    /// Makes every input ours. `false`: the task waits, or has failed, and has been written.
    pub(crate) async fn ready_inputs(&self) -> Result<bool, Stop> {
        let wanted = &self.claimed.request.inputs;
        let stored = self.live().work.inputs.clone();
        let list = match stored {
            Some(list) => list,
            None if wanted.is_empty() => Vec::new(),
            None => match self.fetch_inputs(wanted).await {
                Ok((list, media)) => match self.write_inputs(list.clone(), media).await {
                    Ok(()) => {
                        crash::point!("inputs.written");
                        list
                    }
                    Err(Stop::Removed) => {
                        let trouble = Trouble::Ours("an equal file was being removed".to_owned());
                        return self.inputs_failed(trouble).await.map(|()| false);
                    }
                    Err(stop) => return Err(stop),
                },
                Err(trouble) => return self.inputs_failed(trouble).await.map(|()| false),
            },
        };
        // Set once a run; a second setting would be the same list.
        let _ = self.inputs.set(list);
        Ok(true)
    }

    /// The inputs, and rows that keep what was fetched for them as long as the task is kept.
    async fn fetch_inputs(&self, wanted: &[Input]) -> Result<(Vec<StoredInput>, Vec<MediaRow>), Trouble> {
        let (mut list, mut rows) = (Vec::with_capacity(wanted.len()), Vec::new());
        for input in wanted {
            let (facts, fetched) = self.fetch_input(input).await?;
            let task = Some(self.claimed.lease.task.clone());
            let row = |seen| MediaRow { id: new_media_id(), task, facts: facts.clone(), created_at: now(), seen };
            rows.extend(fetched.map(row));
            list.push(StoredInput { role: input.role, facts });
        }
        Ok((list, rows))
    }

    /// Its facts; of one that was fetched now also the generation of blobs before it was published.
    async fn fetch_input(&self, input: &Input) -> Result<(Facts, Option<i64>), Trouble> {
        let inner = &self.engine.0;
        let (facts, fetched) = match &input.origin {
            Origin::Media(id) => match inner.store.media(id).await {
                Ok(Some(Stored::Here(row))) => (row.facts, None),
                Ok(Some(Stored::Removed) | None) => return Err(Trouble::Final(gone(input))),
                Err(error) => return Err(Trouble::Ours(error.to_string())),
            },
            Origin::Url(url) => {
                let limits = &inner.options.media;
                let cap = match input.role {
                    Role::Video => limits.video_bytes,
                    Role::Audio => limits.audio_bytes,
                    Role::Reference | Role::FirstFrame | Role::LastFrame => limits.image_bytes,
                };
                let staged = inner.fetcher.fetch(url, cap).await.map_err(|error| trouble(input, error))?;
                crash::point!("input.fetched");
                let admitted = self.engine.admit(Arrival::Fresh(staged), false).await;
                crash::point!("input.stored");
                let admitted = admitted.map_err(|error| match error {
                    AdmitError::Unusable(why) => Trouble::Final(Error::new(
                        ErrorKind::InputRefused,
                        format!("'{}' cannot be used: {}", input.field, why.reason),
                    )),
                    AdmitError::Ours(error) => Trouble::Ours(error.to_string()),
                })?;
                (admitted.facts, Some(admitted.seen))
            }
        };
        let family = match input.role {
            Role::Video => "video/",
            Role::Audio => "audio/",
            Role::Reference | Role::FirstFrame | Role::LastFrame => "image/",
        };
        if !facts.content_type.starts_with(family) {
            let noun = family.trim_end_matches('/');
            let message = format!("'{}' must be {noun} data, but is {}.", input.field, facts.content_type);
            return Err(Trouble::Final(Error::new(ErrorKind::InputRefused, message)));
        }
        Ok((facts, fetched))
    }

    async fn inputs_failed(&self, trouble: Trouble) -> Result<(), Stop> {
        let tries = self.claimed.work.input_tries + 1;
        let too_late = now() > self.patience_ends();
        let error = match trouble {
            Trouble::Again(why) if tries < TRIES => return self.fetch_inputs_later(tries, &why).await,
            Trouble::Ours(why) if !too_late => return self.fetch_inputs_later(tries, &why).await,
            Trouble::Ours(why) => internal(why),
            Trouble::Again(why) => Error::new(ErrorKind::InputUnreachable, why),
            Trouble::Final(error) => error,
        };
        let failure = Failure::new(error.kind, error.message);
        let fail = |work: &mut Work| {
            work.slots.iter_mut().for_each(|slot| slot.state = SlotState::Failed { failure: failure.clone() });
        };
        self.write_work(fail).await
    }
}

impl Run {
    async fn fetch_inputs_later(&self, tries: u32, why: &str) -> Result<(), Stop> {
        tracing::info!(why, tries, "an input cannot be fetched yet");
        let due = now().plus(waits::retry(tries));
        let later = |work: &mut Work| {
            work.input_tries = tries;
            work.slots.iter_mut().for_each(|slot| slot.due = due);
        };
        self.write_work(later).await
    }
}

fn gone(input: &Input) -> Error {
    Error::new(ErrorKind::InputUnreachable, format!("'{}' names media that is no longer stored.", input.field))
}

fn trouble(input: &Input, error: FetchError) -> Trouble {
    let field = &input.field;
    match error {
        FetchError::Refused(reason) => {
            Trouble::Final(Error::new(ErrorKind::InputRefused, format!("'{field}' was refused: {reason}")))
        }
        FetchError::TooLarge { cap_bytes } => {
            let message = format!("'{field}' is larger than the {} MB that an input may have.", cap_bytes >> 20);
            Trouble::Final(Error::new(ErrorKind::InputRefused, message))
        }
        FetchError::Gone { status } => {
            let message = format!("'{field}' is not there: its server answered {status}.");
            Trouble::Final(Error::new(ErrorKind::InputUnreachable, message))
        }
        FetchError::Store(error) => Trouble::Ours(error.to_string()),
        FetchError::Unreachable(why) | FetchError::Broken(why) => {
            Trouble::Again(format!("'{field}' could not be fetched: {why}"))
        }
    }
}
