//! What every case must hold, and how it is looked at.

use crate::support::{SOON, picture, with};
use pixel_testkit::{Client, Method, Rig, Server, Stub, client::Answer};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// What a refusal may take.
const IN_TIME: Duration = Duration::from_millis(100);
/// The same where media is examined.
const IN_TIME_MEDIA: Duration = Duration::from_secs(2);
/// A body from this size on is sent and parsed many times as slowly by debug builds, and takes some
/// 0.3 s for ten megabytes on an idle machine; the tests beside this one take their share too.
const LARGE_BYTES: usize = 1 << 20;
const LARGE_FACTOR: u32 = if cfg!(debug_assertions) { 10 } else { 1 };
/// One that was too slow is tried again: the machine may have been busy, the server slow it is not.
const TRIES: usize = 5;
/// What the whole corpus may add to the server's memory at its peak.
const GROWTH_KIB_MAX: u64 = 64 << 10;
/// A sentence repeats a part of what was sent, never all of it.
const MESSAGE_CHARS_MAX: usize = 1_000;

type Make = Arc<dyn Fn() -> Vec<u8> + Send + Sync>;

/// One request and what must come of it.
#[derive(Clone)]
pub struct Case {
    pub name: String,
    method: Method,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Make>,
    is_media: bool,
    /// One of these.
    statuses: &'static [u16],
    /// Words of the sentence.
    says: Option<String>,
    /// Why it is not refused.
    taken: Option<&'static str>,
}

impl Case {
    pub fn get(name: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            method: Method::GET,
            target: target.into(),
            headers: Vec::new(),
            body: None,
            is_media: false,
            statuses: &[400],
            says: None,
            taken: None,
        }
    }

    pub fn post(name: impl Into<String>, target: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self::made(name, target, move || body.clone())
    }

    /// A body that is made when its turn comes: large ones are not kept.
    pub fn made(name: impl Into<String>, target: &str, body: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self { method: Method::POST, body: Some(Arc::new(body)), ..Self::get(name, target) }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn media(self) -> Self {
        Self { is_media: true, ..self }
    }

    pub fn status(self, statuses: &'static [u16]) -> Self {
        Self { statuses, ..self }
    }

    pub fn says(self, words: impl Into<String>) -> Self {
        Self { says: Some(words.into()), ..self }
    }

    /// The contract, or the standard, wants it to be taken.
    pub fn taken(self, why: &'static str, statuses: &'static [u16]) -> Self {
        Self { taken: Some(why), statuses, ..self }
    }

    fn fault(&self, answer: &Answer) -> Option<String> {
        match self.taken {
            Some(why) if !self.statuses.contains(&answer.status) => Some(format!("{} although {why}", answer.status)),
            Some(_) => None,
            None => misshapen(answer, self.statuses, self.says.as_deref()),
        }
    }
}

/// What is wrong with a refusal.
pub fn misshapen(answer: &Answer, statuses: &[u16], says: Option<&str>) -> Option<String> {
    let text: String = answer.text().chars().take(300).collect();
    if !statuses.contains(&answer.status) {
        return Some(format!("{} and not {statuses:?}: {text}", answer.status));
    }
    let Ok(body) = serde_json::from_slice::<Value>(&answer.bytes) else { return Some(format!("no JSON: {text}")) };
    let field = |name: &str| body[name].as_str().unwrap_or_default();
    let (message, id) = (field("message"), field("request_id"));
    let is_sentence = message.ends_with(['.', '\'']) || message.ends_with("/api/v1/models");
    if field("code") != answer.status.to_string()
        || !id.starts_with("req_")
        || answer.header("x-request-id") != Some(id)
    {
        return Some(format!("not the envelope: {text}"));
    }
    if !is_sentence || message.chars().count() > MESSAGE_CHARS_MAX {
        return Some(format!("no sentence of a fit length: {text}"));
    }
    says.filter(|says| !message.contains(*says)).map(|says| format!("does not say {says}: {text}"))
}

/// A server with both vendors at a counting stub, and what it looked like before.
pub struct Lab {
    pub server: Server,
    pub client: Client,
    stub: Stub,
    /// A task that is completed, and its picture.
    pub task: String,
    pub media: String,
    before: Traces,
    resident_kib: u64,
}

/// What a refused request must not add to.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    tasks: BTreeSet<String>,
    created: u64,
    calls: u64,
    files: BTreeSet<String>,
}

impl Lab {
    pub async fn open(rig: &Rig) -> Self {
        let stub = Stub::start();
        // No private address is allowed here, not even the stub's: nothing fetches from it.
        let server = rig.server().vendors(&stub).env("PIXEL_FETCH_ALLOW", "").start().await;
        let client = server.client();
        let small = with(picture("sandbox/painter", "a cat"), &json!({ "resolution": "64x64" }));
        let task = client.make("image", &small, SOON).await;
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let url = text(&task["result"]["images"][0]["url"]);
        let media = url.split_once("/media/").map(|(_, file)| format!("/media/{file}")).expect("an address of ours");
        // Whatever is made once, at the first of its kind, is no growth.
        for path in ["/api/v1/models", "/api/v1/tasks", "/metrics", &media] {
            client.get(path).await;
        }
        let before = traces(&server, &client, &stub).await;
        let resident_kib = reset_peak(server.pid());
        Self { task: text(&task["id"]), media, server, client, stub, before, resident_kib }
    }

    /// Refuses every case that must be refused, looks for traces, and then takes what is taken.
    pub async fn try_all(self, cases: Vec<Case>, least: usize) {
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len(), "two cases have one name");
        let wanted = wanted();
        let chosen = |case: &&Case| wanted.as_ref().is_none_or(|part| case.name.contains(part.as_str()));
        let (refused, taken): (Vec<&Case>, Vec<&Case>) =
            cases.iter().filter(chosen).partition(|case| case.taken.is_none());
        let mut clock = Vec::new();
        let mut faults = self.run(&refused, &mut clock).await;
        faults.extend(self.look_for_traces().await);
        let clock_of_refused = clock.clone();
        faults.extend(self.run(&taken, &mut clock).await);
        report(&refused, taken.len(), clock_of_refused);
        let log = self.server.logs();
        if let Some(at) = log.find("panicked") {
            faults.push(format!("the server panicked: {}", log[at..].chars().take(400).collect::<String>()));
        }
        let shown = faults.iter().take(60).cloned().collect::<Vec<_>>().join("\n");
        assert!(faults.is_empty(), "{} of {} cases are not as they must be:\n{shown}", faults.len(), cases.len());
        assert!(wanted.is_some() || refused.len() >= least, "only {} cases", refused.len());
    }

    async fn run(&self, cases: &[&Case], clock: &mut Vec<(Duration, String)>) -> Vec<String> {
        let mut faults = Vec::new();
        for case in cases {
            match self.one(case).await {
                Ok(took) => clock.push((took, case.name.clone())),
                Err(fault) => faults.push(format!("{}: {fault}", case.name)),
            }
        }
        faults
    }

    /// How long the best try took.
    async fn one(&self, case: &Case) -> Result<Duration, String> {
        let mut best = Duration::MAX;
        for _ in 0..TRIES {
            let body = case.body.as_ref().map(|make| make());
            let in_time = match (case.is_media, body.as_ref().map_or(0, Vec::len)) {
                (true, _) => IN_TIME_MEDIA,
                (false, LARGE_BYTES..) => IN_TIME * LARGE_FACTOR,
                _ => IN_TIME,
            };
            let headers: Vec<(&str, &str)> = case.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let begun = Instant::now();
            let answer = self.client.try_send(case.method.clone(), &case.target, &headers, body).await;
            best = best.min(begun.elapsed());
            let answer = answer.map_err(|error| format!("no answer: {error:?}"))?;
            if let Some(fault) = case.fault(&answer) {
                return Err(fault);
            }
            // What is taken is taken once; it may make a picture first.
            if best <= in_time || case.taken.is_some() {
                return Ok(best);
            }
        }
        Err(format!("took {best:?} at best"))
    }

    async fn look_for_traces(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.client.get("/healthz").await.status != 200 {
            faults.push("the server is not well any more".to_owned());
        }
        let after = traces(&self.server, &self.client, &self.stub).await;
        if after != self.before {
            faults.push(format!("traces were left: {after:#?} and not {:#?}", self.before));
        }
        let grown = status_kib(self.server.pid(), "VmHWM").saturating_sub(self.resident_kib);
        println!("memory grew by {} MiB at its peak", grown >> 10);
        if grown > GROWTH_KIB_MAX {
            faults.push(format!("memory grew by {grown} KiB"));
        }
        faults
    }
}

/// A part of the names of the cases to run.
pub fn wanted() -> Option<String> {
    std::env::var("BAD_INPUT").ok().filter(|part| !part.is_empty())
}

fn report(refused: &[&Case], taken: usize, mut clock: Vec<(Duration, String)>) {
    let mut groups = std::collections::BTreeMap::<&str, usize>::new();
    for case in refused {
        *groups.entry(case.name.split('/').nth(1).unwrap_or_default()).or_default() += 1;
    }
    println!("{} refused, {taken} taken; {groups:?}", refused.len());
    clock.sort();
    for (took, name) in clock.iter().rev().take(5) {
        println!("{took:>10.1?} {name}");
    }
}

async fn traces(server: &Server, client: &Client, stub: &Stub) -> Traces {
    let page = client.get("/api/v1/tasks?limit=100").await.data();
    let items = page["items"].as_array().expect("a list");
    let metrics = client.get("/metrics").await.text();
    let created = metrics.lines().filter(|line| line.starts_with("pixel_tasks_created_total"));
    let created = created.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
    let mut files = BTreeSet::new();
    list(server.data(), &mut files);
    Traces {
        tasks: items.iter().filter_map(|task| task["id"].as_str().map(str::to_owned)).collect(),
        created,
        calls: stub.received_in_all(),
        files,
    }
}

/// Every file below, but for the database, which keeps books of its own.
fn list(folder: &Path, files: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        match path.is_dir() {
            true => list(&path, files),
            false if name.contains(".db") => {}
            false => drop(files.insert(path.display().to_string())),
        }
    }
}

/// Makes the peak begin anew; what is resident now.
fn reset_peak(pid: u32) -> u64 {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("one's own child can be told to forget its peak");
    status_kib(pid, "VmRSS")
}

fn status_kib(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the server lives");
    let line = text.lines().find(|line| line.starts_with(name)).expect("Linux counts memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}
