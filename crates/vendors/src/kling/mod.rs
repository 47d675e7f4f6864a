//! Kling's API in two generations side by side, which differ in paths, words and shapes: a file
//! each. The speech of the older one answers at once.

use crate::status::{is_plain, text, word};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    request::{Checked, Mode, Role, Warning},
    vendor::{Answer, Call, HttpCall, Job, Mark, Next, Output, Plan, Reply, Source, Vendor},
};
use serde_json::{Map, Value, json};
use std::{slice, time::Duration};
use words::DIALECT;

mod call;
mod current;
mod legacy;
mod speech;
mod words;

/// The vendor keeps results for 30 days.
const LINK_LIFETIME_S: u64 = 30 * 24 * 3600;
/// The vendor names no time after which a submission can be found by our id. This is a whole
/// submission's time-out once more, for a gateway that still holds the request; and should it come
/// later still, the vendor refuses the repeat, for an id must be unique in the account.
const SETTLE: Duration = Duration::from_secs(60);

const SIDE_MIN: u32 = 300;
/// These make sound at the higher level only, by either generation's name.
const SOUND_AT_1080P: [&str; 2] = ["kling-2.6", "kling-v2-6"];

/// What each has its own words for.
trait Wire: Sync {
    fn forms(&self) -> &'static [&'static str];

    /// What is asked and cannot be honoured together with the rest of the request.
    fn left_out(&self, request: &Checked, card: &Model) -> Vec<Warning>;

    fn first(&self, job: &Job<'_>) -> Result<(HttpCall, Mark), Error>;

    /// Where a task is asked for by the vendor's id; nothing when it cannot be.
    fn poll(&self, _mark: &Mark, _id: &str) -> Option<String> {
        None
    }

    /// Where it is looked for by ours, which may stand in the place of the vendor's.
    fn search(&self, mark: &Mark, reference: &str) -> Option<String> {
        self.poll(mark, reference)
    }

    /// The tasks that an answer shows.
    fn tasks<'a>(&self, data: &'a Value) -> &'a [Value] {
        slice::from_ref(data)
    }

    /// Where the vendor's id stands in a task, and ours.
    fn ids(&self) -> [&'static str; 2];

    fn standing<'a>(&self, task: &'a Value) -> Standing<'a>;
}

/// How a task stands.
enum Standing<'a> {
    /// It is worked on, or is in a state that no page names.
    Working,
    /// It brought nothing, with the reason.
    Failed(&'a str),
    /// The addresses of its results.
    Done(Vec<&'a str>),
}

const WIRES: [&dyn Wire; 3] = [&current::Current, &legacy::Legacy, &speech::Speech];

fn wire(card: &Model) -> Result<&'static dyn Wire, Error> {
    let unknown = || Error::new(ErrorKind::Internal, format!("Nobody speaks the form '{}'.", card.form));
    WIRES.into_iter().find(|wire| wire.forms().contains(&card.form.as_str())).ok_or_else(unknown)
}

pub struct Kling;

impl Vendor for Kling {
    fn id(&self) -> &'static str {
        "kling"
    }

    fn speaks(&self, card: &Model) -> bool {
        wire(card).is_ok()
    }

    fn plan(&self, request: &Checked, card: &Model) -> Result<Plan, Error> {
        if has(request, &[Role::LastFrame]) && !has(request, &[Role::FirstFrame, Role::Reference]) {
            let why = "'extraParams.lastFrame' needs a first frame beside it: put one into 'imageInputs'.";
            return Err(Error::new(ErrorKind::InvalidRequest, why));
        }
        Ok(Plan { warnings: wire(card)?.left_out(request, card), ..Plan::by_card(request, card) })
    }

    fn first(&self, job: &Job<'_>) -> Result<(Call, Mark), Error> {
        let (call, mark) = wire(job.card)?.first(job)?;
        Ok((Call::Http(Box::new(call)), mark))
    }

    fn next(&self, job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
        let (wire, id) = (wire(job.card)?, text(mark, "/id"));
        let Reply::Answer(answer) = reply else {
            let place = wire.poll(mark, id).filter(|_| !id.is_empty()).ok_or_else(|| DIALECT.gone())?;
            return Ok(Next::Send(Call::Http(Box::new(call::get(job, &place))), mark.clone()));
        };
        let data = data(answer).ok_or_else(|| words::refused(job, answer, !id.is_empty()))?;
        let is_ours = |found: &str| id.is_empty() || found == id;
        let known = wire.tasks(data).iter().find_map(|task| Some((task, id_of(wire, task).filter(|id| is_ours(id))?)));
        let (task, id) = known.ok_or_else(|| words::unclear(job, answer, NOT_SHOWN))?;
        let mark = with_id(mark, id);
        match wire.standing(task) {
            Standing::Working => Ok(Next::Wait(None, mark)),
            Standing::Failed(reason) => Err(words::failed(job, answer, reason)),
            Standing::Done(urls) if urls.is_empty() => Err(words::unclear(job, answer, "the answer holds no result")),
            Standing::Done(urls) => Ok(Next::Done(DIALECT.complete(job, outputs(&urls)), mark)),
        }
    }

    fn search(&self, job: &Job<'_>, mark: &Mark) -> Option<HttpCall> {
        Some(call::get(job, &wire(job.card).ok()?.search(mark, job.reference)?))
    }

    fn found(&self, job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Option<Mark>, Error> {
        let wire = wire(job.card)?;
        let tasks = match data(answer).map(|data| wire.tasks(data)) {
            None if words::is_absent(answer) => return Ok(None),
            None => return Err(words::refused(job, answer, false)),
            Some([]) => return Ok(None),
            Some(tasks) => tasks,
        };
        let [_, ours] = wire.ids();
        let id = tasks.iter().find(|task| text(task, ours) == job.reference).and_then(|task| id_of(wire, task));
        let id = id.ok_or_else(|| words::unclear(job, answer, NOT_SHOWN))?;
        Ok(Some(with_id(mark, id)))
    }
}

const NOT_SHOWN: &str = "it does not show the task that was asked for";

/// What an answer holds, where it reports success.
fn data(answer: &Answer) -> Option<&Value> {
    let accepted = answer.body.get("code").is_none_or(|code| *code == 0);
    answer.body.get("data").filter(|_| accepted && answer.is_success())
}

/// The vendor's id, where it can become a part of an address.
fn id_of(wire: &dyn Wire, task: &Value) -> Option<String> {
    let [theirs, _] = wire.ids();
    Some(word(task, theirs).into_owned()).filter(|id| is_plain(id))
}

fn with_id(mark: &Mark, id: String) -> Mark {
    let mut fields = mark.as_object().cloned().unwrap_or_default();
    fields.insert("id".to_owned(), json!(id));
    Value::Object(fields)
}

fn outputs(urls: &[&str]) -> Vec<Output> {
    let link = |url: &&str| Source::Link { url: (*url).to_owned(), lifetime_s: Some(LINK_LIFETIME_S) };
    (0..).zip(urls).map(|(index, url)| Output { index, media: link(url), poster: None, failed: None }).collect()
}

/// The addresses in a list of results.
fn urls<'a>(items: impl IntoIterator<Item = &'a Value>) -> Vec<&'a str> {
    items.into_iter().map(|item| text(item, "/url")).filter(|url| !url.is_empty()).collect()
}

/// A list in a body, or nothing.
fn list<'a>(body: &'a Value, pointer: &str) -> &'a [Value] {
    body.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The level and ratio, in the vendor's words, of which the card lists this size.
fn shape<'a>(request: &Checked, card: &'a Model) -> Option<(String, &'a str)> {
    let size = request.size?.to_string();
    card.resolutions.iter().find_map(|(level, ratios)| {
        let (ratio, _) = ratios.as_table()?.iter().find(|(_, listed)| listed.as_str() == Some(&size))?;
        Some((level.to_lowercase(), ratio.as_str()))
    })
}

fn has(request: &Checked, roles: &[Role]) -> bool {
    request.inputs.iter().any(|input| roles.contains(&input.role))
}

/// What either generation leaves out.
fn left_out(request: &Checked, card: &Model, first_frame: bool) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |field: &str, why: &str| warnings.push(Warning::new(field, format!("{why}; it was left out.")));
    let fits = match request.mode {
        None => true,
        Some(Mode::FirstLast) => has(request, &[Role::LastFrame]),
        Some(_) => has(request, &[Role::FirstFrame, Role::Reference]),
    };
    if !fits {
        warn("extraParams.mode", "There is no input for this mode");
    }
    if first_frame && request.aspect_ratio.is_some() {
        warn("aspectRatio", "The first frame decides the ratio");
    }
    let level = shape(request, card).map(|(level, _)| level);
    let is_mute = SOUND_AT_1080P.contains(&card.vendor_model.as_str()) && level.as_deref() != Some("1080p");
    let is_loud = |name: &&str| request.extra.get(*name).is_some_and(|value| value != "off");
    for name in ["audio", "sound"].iter().filter(|name| is_mute && is_loud(name)) {
        warn(&format!("extraParams.{name}"), "This model makes sound at 1080p only");
    }
    warnings
}

/// The parameters of the card's own list that were asked for and are honoured.
fn extras(request: &Checked, card: &Model, warned: &[Warning]) -> Map<String, Value> {
    let honoured = |name: &str| warned.iter().all(|warning| warning.field.strip_prefix("extraParams.") != Some(name));
    let listed = request.extra.iter().filter(|(name, _)| card.params.contains_key(*name) && honoured(name));
    listed.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Refuses pictures that the vendor would, before they are sent.
fn check_pictures(job: &Job<'_>, bytes_max: u64) -> Result<(), Error> {
    for facts in job.inputs.iter().map(|input| &input.facts) {
        let is_small = facts.size.is_some_and(|size| size.width.min(size.height) < SIDE_MIN);
        let why = match facts.content_type.as_str() {
            "image/png" | "image/jpeg" if facts.bytes > bytes_max => format!("of at most {} MB", bytes_max >> 20),
            "image/png" | "image/jpeg" if is_small => format!("of at least {SIDE_MIN} pixels a side"),
            "image/png" | "image/jpeg" => continue,
            other => format!("in PNG or JPEG, not {other}"),
        };
        return Err(Error::new(ErrorKind::InputRefused, format!("{} takes pictures {why}.", DIALECT.name)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixel_core::{
        Stamp,
        catalog::Catalog,
        id::ModelId,
        request::{Input, Kind, Origin},
        size::Size,
        task::{Facts, StoredInput},
        vendor::{Credential, Secret},
    };

    fn card(id: &str) -> Model {
        let catalog = Catalog::parse(crate::CATALOG).unwrap();
        catalog.model(&ModelId::parse(id).unwrap()).unwrap().clone()
    }

    /// Why the first call with this picture is not made; nothing when it is.
    fn refusal(id: &str, content_type: &str, bytes: u64, side: u32) -> String {
        let card = card(id);
        let (sha256, size) = ("cafe".repeat(16), Some(Size::new(side, 1000)));
        let facts =
            Facts { sha256, bytes, content_type: content_type.to_owned(), ext: String::new(), size, duration_ms: None };
        let job = Job {
            request: &Checked::plain(card.kind, ModelId::parse(id).unwrap(), "a cat"),
            card: &card,
            inputs: &[StoredInput { role: Role::FirstFrame, facts }],
            reference: "att_00000000000000000000000000000001",
            first: 0,
            outputs: 1,
            credential: &Credential(vec![Secret::new("k")]),
            base_url: "http://127.0.0.1:9",
            urls: &[],
            now: Stamp(0),
        };
        let error = Kling.first(&job).err();
        error.map_or_else(String::new, |error| {
            assert_eq!(error.kind, ErrorKind::InputRefused);
            error.message
        })
    }

    #[test]
    fn pictures_are_judged_before_they_are_sent() {
        const MIB: u64 = 1 << 20;
        for (id, max) in [("kling/kling-3.0", 50), ("kling/kling-v2-6", 10), ("kling/kling-image-o1", 10)] {
            assert_eq!(refusal(id, "image/jpeg", max * MIB, 300), "", "{id}");
            assert!(refusal(id, "image/png", max * MIB + 1, 300).contains(&format!("at most {max} MB")), "{id}");
            assert!(refusal(id, "image/png", 1, 299).contains("300 pixels"), "{id}");
            assert!(refusal(id, "image/webp", 1, 300).contains("image/webp"), "{id}");
        }
    }

    #[test]
    fn a_last_frame_alone_is_refused() {
        for id in ["kling/kling-3.0", "kling/kling-3.0-omni", "kling/kling-v2-6"] {
            let mut request = Checked::plain(Kind::Video, ModelId::parse(id).unwrap(), "a cat");
            let origin = Origin::Url("https://x.test/a.png".to_owned());
            let input = |role| Input { role, origin: origin.clone(), field: String::new() };
            request.inputs.push(input(Role::LastFrame));
            assert_eq!(Kling.plan(&request, &card(id)).unwrap_err().kind, ErrorKind::InvalidRequest, "{id}");
            request.inputs.push(input(Role::FirstFrame));
            assert!(Kling.plan(&request, &card(id)).is_ok(), "{id}");
        }
    }

    #[test]
    fn every_size_listed_has_a_name_for_the_vendor() {
        let catalog = Catalog::parse(crate::CATALOG).unwrap();
        for card in catalog.models.iter().filter(|card| card.provider == Kling.id() && card.kind != Kind::Audio) {
            let names = card.resolutions.iter().flat_map(|(level, ratios)| {
                ratios.as_table().unwrap().iter().map(move |(ratio, size)| (level, ratio, size.as_str().unwrap()))
            });
            for (level, ratio, size) in names {
                let size = Size::parse(size).unwrap();
                let mut request = Checked::plain(card.kind, ModelId::parse(&card.id()).unwrap(), "a cat");
                request.size = Some(card.makes.as_ref().unwrap().nearest(size));
                assert_eq!(shape(&request, card), Some((level.to_lowercase(), ratio.as_str())), "{}", card.id());
            }
        }
    }
}
