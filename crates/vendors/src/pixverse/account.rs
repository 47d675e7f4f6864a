//! The clips of a person's own account, through the addresses of the web pages. None of it is
//! promised by anybody: it was seen in public code and may change on any day.
//!
//! A picture is laid into the pages' store in three free steps, then one paid submission names it,
//! then the list of the account's videos tells how it stands: one list serves all of its tasks.

use super::{
    account_calls::{self, Place},
    account_errors::{error, is_good, of_store},
    body,
    dialect::DIALECT,
    named, uuid,
};
use crate::{
    sign::sha256_hex,
    status::{text, word},
};
use pixel_core::{
    Error, ErrorKind, Stamp,
    catalog::Model,
    request::{Checked, Role, Warning},
    task::StoredInput,
    vendor::{Answer, Call, HttpCall, Job, Mark, Next, Output, Plan, Reply, Source},
};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) const FORM: &str = "account";

/// Pages of the list that are asked for a video which is not on the first.
const PAGES_MAX: u64 = 20;
/// A clip is not smaller: what is, is a notice that there is none.
const CLIP_BYTES_MIN: u64 = 512;
/// Stands where the clip will be.
const PLACEHOLDER: &str = "default.mp4";

/// The numbers of a video's state that end it without a result. Every other is "generating".
const ENDS: [(&str, ErrorKind, &str); 4] = [
    ("6", ErrorKind::VendorDeleted, "the video was deleted"),
    ("7", ErrorKind::ModerationBlocked, "the video did not pass the moderation of its contents"),
    ("8", ErrorKind::VendorFailed, "the generation failed"),
    ("9", ErrorKind::VendorFailed, "the generation failed"),
];

pub(super) fn plan(request: &Checked, card: &Model) -> Result<Plan, Error> {
    let mut plan = Plan::by_card(request, card);
    if picture_of(request.inputs.iter().map(|input| input.role)) && request.aspect_ratio.is_some() {
        let message = format!("{} takes the ratio of the picture; it was left out.", DIALECT.name);
        plan.warnings.push(Warning::new("aspectRatio", message));
    }
    if body::is_too_fast(request, card) {
        let message = format!("{} makes fast motion in 5 s below 1080p only; it was left out.", DIALECT.name);
        plan.warnings.push(Warning::new("extraParams.motion_mode", message));
    }
    Ok(plan)
}

fn picture_of(mut roles: impl Iterator<Item = Role>) -> bool {
    roles.any(|role| matches!(role, Role::Reference | Role::FirstFrame))
}

fn picture<'a>(job: &Job<'a>) -> Option<&'a StoredInput> {
    job.inputs.iter().find(|input| picture_of([input.role].into_iter()))
}

pub(super) fn first(job: &Job<'_>) -> Result<(Call, Mark), Error> {
    Ok(match picture(job) {
        Some(file) => {
            body::check(Role::FirstFrame, file)?;
            (http(account_calls::rights(job)), json!({ "step": "rights" }))
        }
        None => (http(account_calls::submit(job, None)), json!({})),
    })
}

pub(super) fn next(job: &Job<'_>, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
    let video = Video::of(mark);
    match (text(mark, "/step"), video, reply) {
        (_, Some(video), Reply::Due) => Ok(video.list(job, Place::default(), None)),
        (_, Some(video), Reply::Answer(answer)) if video.link.is_some() => Ok(video.probed(job, answer)),
        (_, Some(video), Reply::Answer(answer)) => video.listed(job, mark, answer),
        // Rights are not kept: whoever comes back asks for new ones.
        ("rights" | "put", None, Reply::Due) => Ok(send(account_calls::rights(job), json!({ "step": "rights" }))),
        ("rights", None, Reply::Answer(answer)) => given(job, answer),
        ("put", None, Reply::Answer(answer)) => {
            of_store(job, answer)?;
            Ok(register(job))
        }
        ("register", None, Reply::Due) => Ok(register(job)),
        ("register", None, Reply::Answer(answer)) => registered(job, answer),
        ("submit", None, Reply::Due) => Ok(submission(job, text(mark, "/url"))),
        // Without inputs the mark stands for a submission: that is made once.
        (_, None, Reply::Due) => Err(DIALECT.gone()),
        (_, None, Reply::Answer(answer)) => submitted(job, answer),
    }
}

fn http(call: HttpCall) -> Call {
    Call::Http(Box::new(call))
}

fn send(call: HttpCall, mark: Mark) -> Next {
    Next::Send(http(call), mark)
}

/// The same name whenever this slot lays its picture there, so that a repeat replaces it.
pub(super) fn file_name(job: &Job<'_>) -> String {
    let sha256 = picture(job).map_or("", |file| file.facts.sha256.as_str());
    format!("{}.jpg", uuid(&sha256_hex(format!("{} {sha256}", job.reference).as_bytes())))
}

fn given(job: &Job<'_>, answer: &Answer) -> Result<Next, Error> {
    if !is_good(answer) {
        return Err(error(job, answer));
    }
    let rights = ["Ak", "Sk", "Token"].map(|name| text(&answer.body, &format!("/Resp/{name}")));
    let Some(file) = picture(job).filter(|_| rights.iter().all(|one| !one.is_empty())) else {
        // What came of them is left out of every record.
        let empty = Answer { status: answer.status, ..Answer::default() };
        return Err(DIALECT.because(job, &empty, ErrorKind::Unclear, "the answer holds no rights to its store"));
    };
    Ok(send(account_calls::put(job, file, rights), json!({ "step": "put" })))
}

fn register(job: &Job<'_>) -> Next {
    let bytes = picture(job).map_or(0, |file| file.facts.bytes);
    send(account_calls::register(job, bytes), json!({ "step": "register" }))
}

fn registered(job: &Job<'_>, answer: &Answer) -> Result<Next, Error> {
    let said = text(&answer.body, "/Resp/result/0/err_msg");
    match text(&answer.body, "/Resp/result/0/url") {
        _ if !is_good(answer) => Err(error(job, answer)),
        _ if !said.is_empty() => Err(DIALECT.because(job, answer, ErrorKind::InputUnreachable, said)),
        "" => Err(DIALECT.because(job, answer, ErrorKind::Unclear, "the answer holds no address of the picture")),
        url => Ok(submission(job, url)),
    }
}

fn submission(job: &Job<'_>, url: &str) -> Next {
    send(account_calls::submit(job, Some(url)), json!({ "step": "submit", "url": url }))
}

fn submitted(job: &Job<'_>, answer: &Answer) -> Result<Next, Error> {
    let id = word(&answer.body, "/Resp/video_id");
    match id.parse::<u64>() {
        _ if !is_good(answer) => Err(error(job, answer)),
        Ok(id) if id > 0 => {
            let video = Video { id: id.to_string(), since: job.now, was_seen: false, page: 0, link: None };
            Ok(video.wait())
        }
        _ => Err(DIALECT.because(job, answer, ErrorKind::Unclear, "the answer holds no id")),
    }
}

/// A video of the account, and what is known of it.
struct Video<'a> {
    id: String,
    /// About when it was submitted.
    since: Stamp,
    /// It stood in a list.
    was_seen: bool,
    /// Pages of the list that came before the one that is being asked for.
    page: u64,
    /// Where it is said to be.
    link: Option<&'a str>,
}

impl<'a> Video<'a> {
    fn of(mark: &'a Mark) -> Option<Self> {
        Some(Self {
            id: mark.get("video_id")?.as_str()?.to_owned(),
            since: Stamp(mark.get("since").and_then(Value::as_i64).unwrap_or_default()),
            was_seen: mark.get("seen") == Some(&Value::Bool(true)),
            page: mark.get("page").and_then(Value::as_u64).unwrap_or_default(),
            link: mark.get("link").and_then(Value::as_str),
        })
    }

    fn mark(&self) -> Mark {
        let mut mark = named(&self.id);
        if let Some(fields) = mark.as_object_mut() {
            fields.insert("since".to_owned(), json!(self.since.0));
            if self.was_seen {
                fields.insert("seen".to_owned(), json!(true));
            }
        }
        mark
    }

    fn wait(&self) -> Next {
        Next::Wait(None, self.mark())
    }

    /// Asks for a page of the list, for all who wait for one of its videos.
    fn list(&self, job: &Job<'_>, place: Place, page: Option<u64>) -> Next {
        let mut mark = self.mark();
        if let (Some(fields), Some(page)) = (mark.as_object_mut(), page) {
            fields.insert("page".to_owned(), json!(page));
        }
        send(account_calls::list(job, place), mark)
    }

    fn listed(mut self, job: &Job<'_>, mark: &Mark, answer: &Answer) -> Result<Next, Error> {
        if !is_good(answer) {
            return Err(error(job, answer));
        }
        let unclear = || DIALECT.because(job, answer, ErrorKind::Unclear, "the answer holds no list of videos");
        let rows = answer.body.pointer("/Resp/data").and_then(Value::as_array).ok_or_else(unclear)?;
        let Some(row) = rows.iter().find(|row| word(row, "/video_id") == self.id) else {
            return self.missing(job, answer);
        };
        // Of an answer that holds more videos, only this one's row is kept for the record.
        let own = Answer { status: answer.status, body: row.clone(), ..Answer::default() };
        self.was_seen = true;
        let state = word(row, "/video_status");
        match (state.as_ref(), text(row, "/url")) {
            ("1", url) if is_real(url) => {
                let mut mark = self.mark();
                if let Some(fields) = mark.as_object_mut() {
                    fields.insert("link".to_owned(), json!(url));
                }
                Ok(Next::Send(Call::Probe(url.to_owned()), mark))
            }
            (state, _) => match ENDS.iter().find(|(known, ..)| *known == state) {
                Some((_, kind, reason)) => Err(DIALECT.because(job, &own, *kind, reason)),
                None if &self.mark() == mark => Ok(Next::Wait(None, mark.clone())),
                None => Ok(self.wait()),
            },
        }
    }

    /// A list shows some of the videos: one that it leaves out may be on the next page, and is not
    /// therefore gone. When its time is over, one that was there before was deleted.
    fn missing(&self, job: &Job<'_>, answer: &Answer) -> Result<Next, Error> {
        let more = |pointer: &str| answer.body.pointer(pointer) == Some(&Value::Bool(true));
        let place = Place::after(&answer.body);
        if (more("/Resp/has_more") || more("/Resp/web_has_more")) && self.page < PAGES_MAX && place != Place::default()
        {
            return Ok(self.list(job, place, Some(self.page + 1)));
        }
        if job.now <= self.since.plus(Duration::from_secs(job.card.times.deadline_s)) {
            return Ok(self.wait());
        }
        let (kind, reason) = match self.was_seen {
            true => (ErrorKind::VendorDeleted, "the video was deleted"),
            false => (ErrorKind::VendorFailed, "row_not_found: the video never stood in the account's list"),
        };
        let told = Answer { status: answer.status, ..Answer::default() };
        Err(DIALECT.because(job, &told, kind, reason))
    }

    /// The link may be given before there is a file behind it.
    fn probed(&self, job: &Job<'_>, answer: &Answer) -> Next {
        match self.link.filter(|_| is_clip(answer)) {
            Some(link) => {
                let media = Source::Link { url: link.to_owned(), lifetime_s: None };
                let clip = Output { index: 0, media, poster: None, failed: None };
                Next::Done(DIALECT.complete(job, vec![clip]), self.mark())
            }
            None => self.wait(),
        }
    }
}

fn is_real(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    !path.is_empty() && !path.ends_with(PLACEHOLDER)
}

/// Whether a link's head is that of a clip.
fn is_clip(answer: &Answer) -> bool {
    let is_video = answer.header("content-type").is_some_and(|kind| kind.trim_start().starts_with("video/"));
    let whole = answer.header("content-range").and_then(|range| range.rsplit('/').next()).and_then(|n| n.parse().ok());
    let bytes = match answer.status {
        206 => whole,
        _ => answer.header("content-length").and_then(|n| n.parse().ok()),
    };
    matches!(answer.status, 200 | 206) && is_video && bytes.is_none_or(|bytes: u64| bytes >= CLIP_BYTES_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixverse::PixVerse;
    use pixel_core::{
        SessionTrouble,
        catalog::Catalog,
        id::ModelId,
        request::Kind,
        vendor::{Credential, Vendor},
    };

    const SINCE: Stamp = Stamp(1_795_176_000_000_000);

    fn read(mark: &Mark, answer: Answer, later_s: u64) -> Result<Next, Error> {
        let catalog = Catalog::parse(crate::CATALOG).unwrap();
        let model = ModelId::parse("pixverse/account-v5").unwrap();
        let card = catalog.model(&model).unwrap();
        let request = Checked::plain(Kind::Video, model.clone(), "a kite");
        let job = Job {
            request: &request,
            card,
            inputs: &[],
            reference: "r",
            first: 0,
            outputs: 1,
            credential: &Credential::default(),
            base_url: "http://127.0.0.1:9",
            urls: &[],
            now: SINCE.plus(Duration::from_secs(later_s)),
        };
        PixVerse.next(&job, mark, &Reply::Answer(answer))
    }

    fn list(rows: Value) -> Answer {
        Answer { status: 200, body: json!({ "ErrCode": 0, "Resp": { "data": rows } }), ..Answer::default() }
    }

    #[test]
    fn a_row_that_stays_away_is_waited_for_until_the_deadline() {
        let never = json!({ "video_id": "7", "since": SINCE.0 });
        let seen = json!({ "video_id": "7", "since": SINCE.0, "seen": true });
        for mark in [&never, &seen] {
            assert!(matches!(read(mark, list(json!([])), 1200), Ok(Next::Wait(None, same)) if same == *mark));
        }
        let (lost, failed) = (read(&seen, list(json!([])), 1201), read(&never, list(json!([])), 1201));
        assert_eq!(lost.unwrap_err().kind, ErrorKind::VendorDeleted, "it was there, so it was deleted");
        let failed = failed.unwrap_err();
        assert!(failed.kind == ErrorKind::VendorFailed && failed.message.contains("row_not_found"), "{failed}");
        // A row that is there is believed, whatever the time.
        let row = json!([{ "video_id": 7, "video_status": 5 }]);
        assert!(matches!(read(&seen, list(row), 1201), Ok(Next::Wait(..))));
    }

    #[test]
    fn answers_tell_of_the_session() {
        let text = |status: u16, text: &str| Answer { status, text: Some(text.to_owned()), ..Answer::default() };
        let code = |code: u64| Answer { status: 200, body: json!({ "ErrCode": code }), ..Answer::default() };
        let page = " <!DOCTYPE HTML><html>Checking your browser</html>";
        for (answer, trouble) in [
            (code(10001), Some(SessionTrouble::Expired)),
            (code(10003), Some(SessionTrouble::Expired)),
            (code(10005), Some(SessionTrouble::Evicted)),
            (code(500_200), Some(SessionTrouble::Blocked)),
            (code(500_044), None),
            (text(403, page), Some(SessionTrouble::Blocked)),
            (text(503, page), Some(SessionTrouble::Blocked)),
            (text(200, "<html>please sign in</html>"), Some(SessionTrouble::Blocked)),
            (text(403, "error code: 1020"), Some(SessionTrouble::Blocked)),
            (text(200, "<!-- guard --><html>"), Some(SessionTrouble::Blocked)),
            (text(502, page), None),
            (text(502, "upstream is away"), None),
            (text(503, "upstream is away"), None),
        ] {
            let mark = json!({ "video_id": "7", "since": SINCE.0 });
            assert_eq!(read(&mark, answer.clone(), 0).unwrap_err().session, trouble, "{answer:?}");
            assert_eq!(PixVerse.checked(&Credential::default(), &answer).unwrap_err().session, trouble, "{answer:?}");
        }
    }

    #[test]
    fn a_job_has_one_name_however_far_it_is() {
        let mark = |seen: bool| json!({ "video_id": "7", "since": 1, "seen": seen });
        assert_eq!(PixVerse.job_name(&mark(true)), PixVerse.job_name(&mark(false)));
        assert_eq!(PixVerse.job_name(&json!({ "step": "rights" })), None);
    }
}
