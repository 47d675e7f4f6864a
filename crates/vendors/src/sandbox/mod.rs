// tidy: a painter, an encoder and a speaker that make real media, not a wire mapping
//! A vendor without a network: it makes real pictures, clips and speech in this process, so that
//! everything can be tried before a key exists.
//!
//! It serves its own models, and stands in for any other when it is asked to: it looks at the
//! kind of the request only. The same request always brings the same bytes.
//!
//! [`compose`] turns a seed into a [`scene`]; [`painter`] and [`animator`] draw it with an
//! [`overlay`] that shows the prompt and says plainly that this is the sandbox.

use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    request::{Checked, Kind, Warning},
    size::Size,
    vendor::{Answer, Call, Job, Local, LocalWork, Mark, Next, Output, Plan, Reply, Source, Vendor},
};
use serde_json::json;
use std::{io, sync::Arc};

mod animator;
mod compose;
mod dice;
mod drift;
mod espeak;
mod film;
mod inset;
mod overlay;
mod painter;
mod palette;
mod scene;
mod sky;
mod speaker;
mod text;
mod tones;
mod writer;

/// The longest clip that it makes.
const CLIP_MS_MAX: u32 = 60_000;
const CLIP_MS: u32 = 5_000;

pub struct Sandbox;

/// What a drawing needs to know of its job.
pub struct Brief {
    /// The model that was asked, also when the sandbox only stands in for it.
    pub model: String,
    pub prompt: String,
    pub seed: u64,
    pub size: Size,
    /// Blobs of the reference pictures.
    pub pictures: Vec<String>,
}

impl Vendor for Sandbox {
    fn id(&self) -> &'static str {
        "sandbox"
    }

    fn speaks(&self, _card: &Model) -> bool {
        true
    }

    fn plan(&self, request: &Checked, _card: &Model) -> Result<Plan, Error> {
        let mut warnings = Vec::new();
        if request.kind == Kind::Video {
            let asked = size_of(request);
            let size = film::fitting(asked);
            if size != asked {
                let text = format!("The sandbox cannot make clips of {asked}; this one is {size}.");
                warnings.push(Warning::new("resolution", text));
            }
            if request.duration_ms.is_some_and(|ms| ms > CLIP_MS_MAX) {
                let text = format!("The sandbox makes clips of at most {} seconds.", CLIP_MS_MAX / 1000);
                return Err(Error::new(ErrorKind::InvalidRequest, text));
            }
        }
        // One result a slot, so that a caller sees them arrive; nothing is charged.
        Ok(Plan { slots: vec![1; request.n as usize], warnings, cost: None })
    }

    fn first(&self, job: &Job<'_>) -> Result<(Call, Mark), Error> {
        let work: Arc<dyn Local> = match job.request.kind {
            Kind::Image => Arc::new(painter::Painter(brief(job))),
            Kind::Video => {
                let mut brief = brief(job);
                brief.size = film::fitting(brief.size);
                let duration_ms = job.request.duration_ms.unwrap_or(CLIP_MS).clamp(1, CLIP_MS_MAX);
                Arc::new(animator::Animator { brief, duration_ms })
            }
            Kind::Audio => Arc::new(speaker::Speaker::new(job.request, job.card, seed(job))),
            Kind::Llm => {
                return Err(Error::new(ErrorKind::InvalidRequest, "Chat models answer chat requests, not tasks."));
            }
        };
        Ok((Call::Local(LocalWork(work)), json!({ "local": job.request.kind.as_str() })))
    }

    fn next(&self, job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
        match reply {
            // A restart: nothing of the work is left, and doing it again is free.
            Reply::Due => self.first(job).map(|(call, mark)| Next::Send(call, mark)),
            Reply::Answer(answer) => Ok(Next::Done(vec![output(answer)?], mark.clone())),
        }
    }
}

fn output(answer: &Answer) -> Result<Output, Error> {
    let mut staged = answer.staged.iter().cloned().map(Source::Staged);
    let media = staged.next().ok_or_else(|| Error::new(ErrorKind::VendorFailed, "The sandbox made nothing."))?;
    Ok(Output { index: 0, media, poster: staged.next(), failed: None })
}

fn size_of(request: &Checked) -> Size {
    let usual = match request.kind {
        Kind::Video => Size::new(1280, 720),
        _ => Size::new(1024, 1024),
    };
    request.size.unwrap_or(usual)
}

fn brief(job: &Job<'_>) -> Brief {
    let is_picture = |content_type: &str| content_type.starts_with("image/");
    let pictures = job.inputs.iter().filter(|input| is_picture(&input.facts.content_type));
    Brief {
        model: job.card.id(),
        prompt: job.request.prompt.clone(),
        seed: seed(job),
        size: size_of(job.request),
        pictures: pictures.map(|input| input.facts.sha256.clone()).collect(),
    }
}

/// One number for all that shall make a difference.
fn seed(job: &Job<'_>) -> u64 {
    let request = job.request;
    let negative = request.negative_prompt.as_deref().unwrap_or_default();
    // No seed and seed 0 are not the same wish.
    let seed = request.seed.map_or(0, |seed| seed.wrapping_add(1));
    dice::digest(&[
        job.card.id().as_bytes(),
        request.prompt.as_bytes(),
        negative.as_bytes(),
        &seed.to_le_bytes(),
        &job.first.to_le_bytes(),
    ])
}

/// What work ends with when it was told to stop.
fn cancelled() -> io::Error {
    io::Error::other("the work was cancelled")
}
