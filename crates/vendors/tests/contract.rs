//! The same trials for every adapter that speaks over a network. What differs is data: a folder
//! `fixtures/<vendor>` with recorded exchanges and documented errors. Each wire form has a pair
//! `happy_<form>.json` and `errors_<form>.json` (or `happy.json` and `errors.json` for the first);
//! any other file is one more exchange. A new vendor adds only that folder.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use pixel_core::{
    Error, ErrorKind, Stamp,
    catalog::{Catalog, Model},
    id::ModelId,
    request::{Checked, Role},
    task::StoredInput,
    vendor::{
        Answer, Body, Call, Credential, Field, FormValue, HttpCall, Job, Leaving, Mark, Next, Part, Plan, Repeat,
        Reply, Staged,
    },
    vendor::{Secret, Vendor},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

/// Where vendors put their reason.
const SAID_AT: [&str; 7] = [
    "/body/message",
    "/body/error/message",
    "/body/errors/message",
    "/body/base_resp/status_msg",
    "/body/ErrMsg",
    "/body/0/message",
    "/body/ResponseMetadata/Error/Message",
];

const BASE: &str = "http://127.0.0.1:9";
const KEY: &str = "key-2f9c41d7";
/// 20 Nov 2026, 12:00:00 UTC.
const NOW: Stamp = Stamp(1_795_176_000_000_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trial {
    /// What the trial shows; for its reader.
    #[serde(rename = "about")]
    _about: String,
    model: String,
    request: Map<String, Value>,
    /// Facts of stored inputs, each with its `role` (`reference` when it is left out).
    #[serde(default)]
    inputs: Vec<Value>,
    /// How many values the credential has.
    #[serde(default = "one")]
    keys: usize,
    /// The first call costs nothing: an upload, say.
    #[serde(default)]
    first_is_free: bool,
    /// Which slot of the plan is carried out.
    #[serde(default)]
    slot: usize,
    /// Results of the slot, in place of what the plan says.
    outputs: Option<u32>,
    plan: Option<Value>,
    #[serde(default)]
    steps: Vec<Step>,
    /// `errors.json`: a mark of a job that the vendor has accepted, where it can be polled.
    poll_mark: Option<Mark>,
    /// `errors.json`: the wait after HTTP 429 where the vendor's documents name one.
    limit_wait_s: Option<u64>,
    #[serde(default)]
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Absent for the first call, `"due"`, or an answer.
    reply: Option<Value>,
    /// The answer to a search by our reference, in place of a reply.
    search: Option<Value>,
    then: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(default)]
    poll: bool,
    reply: Value,
    kind: ErrorKind,
    retry_after_s: Option<u64>,
}

fn one() -> usize {
    1
}

fn catalog() -> Catalog {
    Catalog::parse(pixel_vendors::CATALOG).expect("the catalogue parses")
}

/// Every adapter that calls out, with its trials by name.
fn networked() -> Vec<(Arc<dyn Vendor>, BTreeMap<String, Trial>)> {
    let catalog = catalog();
    let calls_out = |vendor: &Arc<dyn Vendor>| {
        let card = catalog.vendor(vendor.id()).unwrap_or_else(|| panic!("'{}' has no catalogue file", vendor.id()));
        !card.base_url.is_empty() || !card.services.is_empty()
    };
    let all: Vec<_> = pixel_vendors::all().into_iter().filter(calls_out).map(|v| (v.clone(), trials(v.id()))).collect();
    assert!(!all.is_empty(), "no adapter was tried");
    all
}

fn trials(vendor: &str) -> BTreeMap<String, Trial> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(vendor);
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("fixtures/{vendor}: {e}"));
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let trial = serde_json::from_slice(&fs::read(&path).unwrap());
        (name.clone(), trial.unwrap_or_else(|e| panic!("fixtures/{vendor}/{name}.json: {e}")))
    };
    let trials: BTreeMap<String, Trial> = files.map(|file| read(file.unwrap().path())).collect();
    let paired =
        |of: &str| trials.keys().filter_map(|name| Some(name.strip_prefix(of)?.to_owned())).collect::<Vec<_>>();
    assert!(!paired("happy").is_empty(), "fixtures/{vendor}/happy.json is missing");
    assert_eq!(paired("happy"), paired("errors"), "fixtures/{vendor}: each happy*.json needs its errors*.json");
    trials
}

/// One wire form of a vendor.
struct Form {
    happy: Trial,
    errors: Trial,
}

/// Every form of every adapter.
fn each_form() -> Vec<(Arc<dyn Vendor>, Form)> {
    let of = |(vendor, mut trials): (Arc<dyn Vendor>, BTreeMap<String, Trial>)| {
        let suffixes: Vec<_> = trials.keys().filter_map(|name| Some(name.strip_prefix("happy")?.to_owned())).collect();
        let mut take = move |name: String| trials.remove(&name).expect("it was there");
        let pairs = suffixes
            .into_iter()
            .map(move |suffix| Form { happy: take(format!("happy{suffix}")), errors: take(format!("errors{suffix}")) });
        pairs.map(move |form| (vendor.clone(), form)).collect::<Vec<_>>()
    };
    networked().into_iter().flat_map(of).collect()
}

/// What a job borrows from.
struct Stage {
    vendor: Arc<dyn Vendor>,
    card: Model,
    request: Checked,
    inputs: Vec<StoredInput>,
    credential: Credential,
    plan: Plan,
    slot: usize,
    outputs: Option<u32>,
    urls: Vec<String>,
}

impl Stage {
    fn new(vendor: &Arc<dyn Vendor>, trial: &Trial) -> Self {
        let catalog = catalog();
        let card = catalog.model(&ModelId::parse(&trial.model).unwrap()).expect("the model is listed").clone();
        assert!(vendor.speaks(&card), "{} does not speak the form of {}", vendor.id(), trial.model);
        let mut request = json!({ "kind": card.kind, "model": trial.model, "n": 1 });
        request.as_object_mut().unwrap().extend(trial.request.clone());
        let request: Checked = serde_json::from_value(request).unwrap();
        let input = |facts: &Value| {
            let mut facts = facts.clone();
            let role = facts.as_object_mut().unwrap().remove("role");
            let role = role.map_or(Role::Reference, |role| serde_json::from_value(role).unwrap());
            StoredInput { role, facts: serde_json::from_value(facts).unwrap() }
        };
        let plan = vendor.plan(&request, &card).unwrap();
        Self {
            vendor: vendor.clone(),
            inputs: trial.inputs.iter().map(input).collect(),
            credential: Credential(vec![Secret::new(KEY); trial.keys]),
            plan,
            slot: trial.slot,
            outputs: trial.outputs,
            // Such as a service with further addresses of its own has them.
            urls: ["web", "store"].map(|place| format!("{BASE}/{place}")).into(),
            card,
            request,
        }
    }

    fn job(&self) -> Job<'_> {
        Job {
            request: &self.request,
            card: &self.card,
            inputs: &self.inputs,
            reference: "att_00000000000000000000000000000001",
            first: self.plan.slots[..self.slot].iter().sum(),
            outputs: self.outputs.unwrap_or(self.plan.slots[self.slot]),
            credential: &self.credential,
            base_url: BASE,
            urls: &self.urls,
            now: NOW,
        }
    }

    fn first(&self) -> (HttpCall, Mark) {
        match self.vendor.first(&self.job()).unwrap() {
            (Call::Http(call), mark) => (*call, mark),
            (Call::Local(_) | Call::Probe(_), _) => panic!("a networked vendor begins with a call"),
        }
    }

    fn next(&self, mark: &Mark, reply: &Reply) -> Result<Next, Error> {
        self.vendor.next(&self.job(), mark, reply)
    }
}

fn answer(status: u16, body: Value) -> Reply {
    Reply::Answer(Answer { status, body, ..Answer::default() })
}

/// `"due"`, or `{status, headers, body, text, staged}`.
fn reply(recorded: &Value) -> Reply {
    if recorded == "due" {
        return Reply::Due;
    }
    let headers = recorded["headers"].as_object().cloned().unwrap_or_default();
    Reply::Answer(Answer {
        status: recorded["status"].as_u64().and_then(|status| status.try_into().ok()).expect("a status"),
        headers: headers.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect(),
        body: recorded["body"].clone(),
        text: recorded["text"].as_str().map(str::to_owned),
        staged: recorded["staged"].as_array().into_iter().flatten().map(staged).collect(),
    })
}

fn staged(handle: &Value) -> Staged {
    Staged(handle.as_str().expect("a handle").to_owned())
}

fn shown(call: &HttpCall) -> Value {
    let header = |(name, field): &(String, Field)| match field {
        Field::Plain(text) => (name.clone(), json!(text)),
        Field::Secret(secret) => (name.clone(), json!(secret.reveal().replace(KEY, "***"))),
    };
    let signed = call.sign.as_ref().map_or_else(Vec::new, |signer| (signer.sign)(&leaving(call, &signer.credential)));
    json!({
        "method": format!("{:?}", call.method).to_uppercase(),
        "path": call.url.strip_prefix(BASE).expect("the call goes to the base URL"),
        "headers": call.headers.iter().chain(&signed).map(header).collect::<Map<_, _>>(),
        "body": shown_body(&call.body),
        "repeat": format!("{:?}", call.repeat),
        "media": call.media.iter().map(|media| json!(format!("{media:?}"))).collect::<Vec<_>>(),
        "timeout_s": call.timeout.as_secs(),
    })
}

fn leaving<'a>(call: &'a HttpCall, credential: &'a Credential) -> Leaving<'a> {
    let content_type = match &call.body {
        Body::Empty => "",
        Body::Parts(content_type, _) => content_type,
        Body::Multipart(_) => "multipart/form-data",
    };
    Leaving {
        method: call.method,
        url: &call.url,
        content_type,
        body_sha256: "<sha256 of the body>",
        credential,
        now: NOW,
        nonce: "000102030405060708090a0b0c0d0e0f",
    }
}

/// The body as the vendor reads it, with `<base64 of NAME>` in the place of a streamed blob.
fn shown_body(body: &Body) -> Value {
    match body {
        Body::Empty => Value::Null,
        Body::Parts(content_type, parts) => {
            if let [Part::Blob { sha256, bytes, form }] = parts.as_slice() {
                return json!({ "file": sha256, "type": content_type, "bytes": bytes, "form": format!("{form:?}") });
            }
            assert_eq!(content_type, "application/json");
            let text = parts.iter().map(|part| match part {
                Part::Bytes(bytes) => String::from_utf8(bytes.clone()).unwrap(),
                Part::Blob { sha256, form, .. } => format!("<{} of {sha256}>", format!("{form:?}").to_lowercase()),
            });
            serde_json::from_str(&text.collect::<String>()).expect("the parts make JSON")
        }
        Body::Multipart(fields) => {
            let field = |value: &FormValue| match value {
                FormValue::Text(text) => json!(text),
                FormValue::File { file_name, content_type, sha256, bytes } => {
                    json!({ "file": file_name, "type": content_type, "sha256": sha256, "bytes": bytes })
                }
            };
            fields.iter().map(|f| json!([f.name, field(&f.value)])).collect()
        }
    }
}

fn shown_error(error: &Error) -> Value {
    let wait = error.retry_after.map(|wait| wait.as_secs());
    json!({ "error": error.kind, "message": error.message, "retry_after_s": wait })
}

fn shown_next(next: Result<Next, Error>) -> (Value, Option<Mark>) {
    match next {
        Ok(Next::Send(Call::Http(call), mark)) => (json!({ "sends": shown(&call), "mark": mark }), Some(mark)),
        Ok(Next::Send(Call::Probe(link), mark)) => (json!({ "probes": link, "mark": mark }), Some(mark)),
        Ok(Next::Send(Call::Local(_), _)) => panic!("a networked vendor does local work"),
        Ok(Next::Wait(wait, mark)) => {
            let wait = wait.map(|wait| json!(wait.as_secs()));
            (json!({ "waits": wait, "mark": mark }), Some(mark))
        }
        Ok(Next::Done(outputs, mark)) => (json!({ "done": outputs, "mark": mark }), Some(mark)),
        Err(error) => (shown_error(&error), None),
    }
}

/// What a search asks, and the mark that its answer leads to; null when there is no such job.
fn shown_search(stage: &Stage, mark: &Mark, recorded: &Value) -> (Value, Option<Mark>) {
    let (vendor, job) = (&stage.vendor, stage.job());
    let call = vendor.search(&job, mark).expect("the vendor can be searched");
    assert_eq!(call.repeat, Repeat::Safe, "{}: a search costs nothing", vendor.id());
    let Reply::Answer(answer) = reply(recorded) else { panic!("a search is answered") };
    match vendor.found(&job, mark, &answer) {
        Ok(found) => (json!({ "asks": shown(&call), "found": found }), found),
        Err(error) => (json!({ "asks": shown(&call), "error": error.kind, "message": error.message }), None),
    }
}

#[test]
fn recorded_exchanges_are_spoken_exactly() {
    for (vendor, trials) in networked() {
        for (name, trial) in trials.iter().filter(|(name, _)| !name.starts_with("errors")) {
            let stage = Stage::new(&vendor, trial);
            let at = format!("fixtures/{}/{name}.json", vendor.id());
            assert!(!trial.steps.is_empty(), "{at} has no steps");
            if let Some(plan) = &trial.plan {
                let warned: Vec<_> = stage.plan.warnings.iter().map(|warning| warning.field.as_str()).collect();
                assert_eq!(json!({ "slots": stage.plan.slots, "warnings": warned }), *plan, "{at}: plan");
            }
            let mut mark = Mark::Null;
            for (number, step) in trial.steps.iter().enumerate() {
                let (came, after) = match (&step.search, &step.reply) {
                    (Some(recorded), _) => shown_search(&stage, &mark, recorded),
                    (None, Some(recorded)) => shown_next(stage.next(&mark, &reply(recorded))),
                    (None, None) => shown_next(vendor.first(&stage.job()).map(|(call, mark)| Next::Send(call, mark))),
                };
                assert_eq!(came, step.then, "{at}, step {number}: came {came:#}");
                mark = after.unwrap_or(mark);
            }
        }
    }
}

#[test]
fn documented_errors_have_their_kinds() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let forms = each_form();
    for (vendor, form) in &forms {
        let trial = &form.errors;
        let stage = Stage::new(vendor, trial);
        *counts.entry(vendor.id()).or_default() += trial.cases.len();
        for Case { poll, reply: recorded, kind, retry_after_s } in &trial.cases {
            let mark = if *poll { trial.poll_mark.clone().expect("a poll mark") } else { stage.first().1 };
            let error = stage.next(&mark, &reply(recorded)).expect_err("an error was expected");
            let wait = error.retry_after.map(|wait| wait.as_secs());
            assert_eq!((error.kind, wait), (*kind, *retry_after_s), "{}: {recorded}", vendor.id());
            let said = SAID_AT.iter().find_map(|at| recorded.pointer(at)).and_then(Value::as_str).unwrap_or_default();
            assert!(error.message.contains(said), "'{}' leaves out '{said}'", error.message);
            assert!(error.detail.is_some(), "{}: {recorded} leaves no detail", vendor.id());
        }
    }
    for (vendor, count) in counts {
        assert!(count >= 10, "{vendor} documents more errors than {count}");
    }
}

#[test]
fn a_status_speaks_where_no_code_does() {
    let expected = [
        (400, ErrorKind::VendorRefused),
        (401, ErrorKind::VendorAuth),
        (402, ErrorKind::VendorBalance),
        (403, ErrorKind::VendorAuth),
        (404, ErrorKind::VendorRefused),
        (408, ErrorKind::Unclear),
        (409, ErrorKind::VendorRefused),
        (413, ErrorKind::VendorRefused),
        (422, ErrorKind::VendorRefused),
        (429, ErrorKind::RateLimited),
        (302, ErrorKind::Unclear),
        (500, ErrorKind::Unclear),
        (502, ErrorKind::Unclear),
        (503, ErrorKind::Unclear),
        (504, ErrorKind::Unclear),
    ];
    for (vendor, form) in each_form() {
        let stage = Stage::new(&vendor, &form.happy);
        let (_, mark) = stage.first();
        for (status, kind) in expected {
            let error = stage.next(&mark, &answer(status, Value::Null)).unwrap_err();
            let wait = form.errors.limit_wait_s.filter(|_| kind == ErrorKind::RateLimited).map(Duration::from_secs);
            assert_eq!((error.kind, error.retry_after), (kind, wait), "{}: {status}", vendor.id());
        }
    }
}

#[test]
fn retry_after_is_read_and_capped() {
    let waits = [("7", 7), ("Fri, 20 Nov 2026 12:02:00 GMT", 120), ("315360000", 3600)];
    for (vendor, form) in each_form() {
        let stage = Stage::new(&vendor, &form.happy);
        let (_, mark) = stage.first();
        for (text, seconds) in waits {
            let headers = vec![("retry-after".to_owned(), text.to_owned())];
            let reply = Reply::Answer(Answer { status: 429, headers, ..Answer::default() });
            let error = stage.next(&mark, &reply).unwrap_err();
            let expected = (ErrorKind::RateLimited, Some(Duration::from_secs(seconds)));
            assert_eq!((error.kind, error.retry_after), expected, "{}: {text}", vendor.id());
        }
    }
}

#[test]
fn a_success_that_cannot_be_read_is_unclear() {
    let mut garbage: Vec<Reply> = ["null", "{}", "[]", "3", "\"ok\"", r#"{"data":[]}"#, r#"{"data":[{}]}"#]
        .iter()
        .chain(&[
            r#"{"output":{}}"#,
            r#"{"output":{"task_id":"../a?b"}}"#,
            r#"{"output":{"task_id":7}}"#,
            r#"{"data":{}}"#,
        ])
        .map(|text| answer(200, serde_json::from_str(text).unwrap()))
        .collect();
    let page = Some("<html>please log in</html>".to_owned());
    garbage.push(Reply::Answer(Answer { status: 200, text: page, ..Answer::default() }));
    for (vendor, form) in each_form() {
        let stage = Stage::new(&vendor, &form.happy);
        let marks = [Some(stage.first().1), form.errors.poll_mark.clone()];
        for (mark, reply) in marks.iter().flatten().flat_map(|mark| garbage.iter().map(move |reply| (mark, reply))) {
            let kind = stage.next(mark, reply).map_err(|error| error.kind);
            assert!(matches!(kind, Err(ErrorKind::Unclear)), "{}: {reply:?} is {kind:?}", vendor.id());
        }
    }
}

#[test]
fn submissions_are_paid_and_polls_are_free() {
    for (vendor, trials) in networked() {
        for (name, trial) in &trials {
            let stage = Stage::new(&vendor, trial);
            let (call, mark) = stage.first();
            assert_eq!(call.repeat.is_paid(), !trial.first_is_free, "{}/{name}", vendor.id());
            assert_eq!(shown(&stage.first().0), shown(&call), "{}/{name}: the same job, another call", vendor.id());
            // A result whose link has died is asked for again by its own mark, or is given up.
            let ends = trial.steps.iter().filter(|step| step.then.get("done").is_some());
            for mark in ends.map(|step| &step.then["mark"]).chain([&mark]) {
                match stage.next(mark, &Reply::Due) {
                    Ok(Next::Send(Call::Http(call), _)) => {
                        assert_eq!(call.repeat, Repeat::Safe, "{}/{name}", vendor.id());
                    }
                    Err(error) => assert_eq!(error.kind, ErrorKind::ResultUnusable, "{}/{name}", vendor.id()),
                    other => panic!("{}/{name}: {other:?}", vendor.id()),
                }
            }
        }
    }
}

#[test]
fn secrets_and_addresses_stay_inside() {
    for (vendor, form) in each_form() {
        let stage = Stage::new(&vendor, &form.happy);
        let (call, mark) = stage.first();
        assert!(!call.url.contains(KEY), "{}: the key stands in an address", vendor.id());
        for printed in [format!("{call:?}"), format!("{:?}", stage.job()), format!("{:?}", stage.credential)] {
            assert!(!printed.contains(KEY), "{printed}");
        }
        let words =
            format!("Key {KEY} or 'sk-abc' of task-7 is bad, see https://vendor.test/keys?k=1 {}", "x".repeat(9000));
        let body = json!({ "message": words, "errors": { "message": words }, "error": { "message": words } });
        let error = stage.next(&mark, &answer(401, body)).unwrap_err();
        let detail = error.detail.clone().unwrap_or_default();
        for hidden in [KEY, "sk-abc", "://"] {
            assert!(!error.message.contains(hidden), "{}", error.message);
        }
        assert!(error.message.contains("of task-7 is bad"), "{}", error.message);
        assert!(!detail.contains(KEY) && detail.len() <= 2048 && error.message.len() < 500, "{detail}");
    }
}
