//! The same trials for every vendor and every model of the catalogue, through the public API. What
//! was tried is written as a table beside the build, which the test command prints.

use crate::support::{failure, warned, with};
use futures_util::{StreamExt, stream};
use pixel_simulator::{Entry, Fault, Rule, Script, Size, Stage};
use pixel_testkit::{Client, Rig, Server, Stub, client::is_terminal, on_both, on_sqlite, stub};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

on_both!(every_model_of_every_vendor_makes_what_it_offers);
on_sqlite!(
    every_model_stands_every_trial,
    nothing_that_was_asked_is_dropped_silently,
    a_crash_after_each_send_costs_nothing_twice,
    mixed_faults_of_every_vendor_lose_and_repeat_nothing,
);

/// A picture of 512 by 512: large enough for every vendor.
fn png() -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("data:image/png;base64,{}", STANDARD.encode(pixel_simulator::media::png(512, 512, "an input")))
}

/// One model, as `/models` tells of it.
#[derive(Clone)]
struct Offer {
    id: String,
    vendor: String,
    kind: String,
    entry: Value,
    /// What every request for it needs besides its prompt.
    needs: Value,
}

impl Offer {
    fn body(&self, mark: &str, more: &Value) -> Value {
        let mut body = json!({ "model": self.id, "prompt": format!("a kite {mark}") });
        for fields in [&self.needs, more] {
            let mut extra = body["extraParams"].as_object().cloned().unwrap_or_default();
            extra.extend(fields["extraParams"].as_object().cloned().unwrap_or_default());
            body = with(with(body, fields), &json!({ "extraParams": extra }));
        }
        body
    }
}

/// Every enabled model of a vendor that has a network. A model that lives on pictures alone says so
/// when it gets none.
async fn offers(client: &Client) -> Vec<Offer> {
    let models = client.get("/api/v1/models").await.data();
    let mut found = Vec::new();
    for kind in ["image", "video", "audio"] {
        for (id, entry) in models[kind].as_object().expect("a group") {
            let vendor = entry["provider"].as_str().expect("a vendor").to_owned();
            // Accounts that are signed in to have trials of their own.
            if vendor == "sandbox" || id.contains("/account-") {
                continue;
            }
            assert_eq!((&entry["enabled"], &entry["sandbox"]), (&json!(true), &json!(false)), "{entry:#}");
            let (id, kind, entry) = (id.clone(), kind.to_owned(), entry.clone());
            found.push(Offer { id, vendor, kind, entry, needs: json!({}) });
        }
    }
    let asked = stream::iter(found).map(|offer| async move {
        let needs = needs(client, &offer).await;
        Offer { needs, ..offer }
    });
    let mut found: Vec<Offer> = asked.buffer_unordered(AT_ONCE).collect().await;
    found.sort_by(|a, b| a.id.cmp(&b.id));
    assert!(found.len() > 20, "only {} models were found", found.len());
    found
}

/// Learned from its refusals, each of which names the field that is missing.
async fn needs(client: &Client, offer: &Offer) -> Value {
    let path = format!("/api/v1/generations/{}", offer.kind);
    let known = [
        ("imageInputs", json!({ "imageInputs": [png()] })),
        ("lastFrame", json!({ "extraParams": { "lastFrame": png() } })),
        ("voice", json!({ "voice": "S_own1" })),
    ];
    let mut offer = Offer { needs: json!({}), ..offer.clone() };
    for _ in 0..=known.len() {
        let answer = client.post(&path, &offer.body("probe", &json!({}))).await;
        if answer.status == 200 {
            return offer.needs;
        }
        let is_missing = |field: &str, value: &Value| {
            answer.text().contains(field)
                && value.as_object().is_some_and(|map| map.keys().any(|key| offer.needs[key].is_null()))
        };
        let missing = known.iter().find(|(field, value)| is_missing(field, value));
        let (_, value) = missing.unwrap_or_else(|| panic!("{}: {}", offer.id, answer.text()));
        offer.needs = with(offer.needs, value);
    }
    panic!("{} is never content", offer.id)
}

/// What was tried: vendor → trial → how often.
#[derive(Default)]
struct Table(BTreeMap<String, BTreeMap<&'static str, u32>>);

impl Table {
    fn add(&mut self, vendor: &str, trial: &'static str) {
        *self.0.entry(vendor.to_owned()).or_default().entry(trial).or_default() += 1;
    }

    /// Beside the build, where the test command finds it.
    fn write(&self, name: &str) {
        let trials: std::collections::BTreeSet<_> = self.0.values().flat_map(BTreeMap::keys).collect();
        let width = trials.iter().map(|trial| trial.len()).max().unwrap_or(0);
        let vendors: Vec<_> = self.0.keys().collect();
        let mut text = format!("{name:width$}");
        vendors.iter().for_each(|vendor| text.push_str(&format!("  {vendor:>10}")));
        for trial in trials {
            text.push_str(&format!("\n{trial:width$}"));
            for vendor in &vendors {
                let count = self.0[*vendor].get(trial).map_or("–".to_owned(), u32::to_string);
                text.push_str(&format!("  {count:>10}"));
            }
        }
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("trials");
        std::fs::create_dir_all(&folder).expect("the build's folder can be written");
        std::fs::write(folder.join(format!("{name}.txt")), text + "\n").expect("the table can be written");
    }
}

struct World {
    stub: Stub,
    server: Server,
    offers: Vec<Offer>,
}

async fn world(rig: &Rig) -> World {
    let stub = Stub::start();
    let server = rig.server().every_vendor(&stub).env("PIXEL_HOLD_S", 3_600).start().await;
    let offers = offers(&server.client()).await;
    World { stub, server, offers }
}

/// Answers after one poll, with pictures that cost no time to look at: their sizes are another trial.
fn small() -> Script {
    Script { polls: 1.into(), size: Some(Size(64, 64)), ..Script::default() }
}

fn strike(kind: Fault, stage: Stage) -> Script {
    Script { faults: vec![Rule::new(kind, stage)], ..small() }
}

impl World {
    async fn run(&self, offer: &Offer, script: Script, more: &Value) -> (String, Value) {
        let (client, mark) = (self.server.client(), stub::marker());
        self.stub.simulator().script(Some(&mark), script);
        let id = client.create(&offer.kind, &offer.body(&mark, more)).await;
        (mark, client.rest_of(&id, LIMIT).await)
    }

    fn entry(&self, mark: &str) -> Option<Entry> {
        self.stub.simulator().entries(Some(mark), None).pop()
    }

    fn accepted(&self, mark: &str) -> usize {
        self.stub.accepted(mark)
    }

    /// No key stands in what was logged or answered.
    fn keeps_secrets(&self) {
        let logs = self.server.logs();
        for secret in [stub::KEY, stub::SECRET] {
            assert!(!logs.contains(secret), "a key stands in the log");
        }
        let violations = self.stub.simulator().violations();
        assert!(violations.is_empty(), "{violations:?}");
    }
}

/// Rate limits and breakers rest a lane for up to half a minute.
const LIMIT: Duration = Duration::from_secs(180);
const AT_ONCE: usize = 48;

/// The results are there, are ours, and are of the kind that was asked.
async fn is_made(world: &World, offer: &Offer, task: &Value) {
    assert_eq!(task["status"], "completed", "{}: {task:#}", offer.id);
    let (list, prefix) = match offer.kind.as_str() {
        "image" => ("images", "image/"),
        "video" => ("videos", "video/"),
        _ => ("audios", "audio/"),
    };
    let results = task["result"][list].as_array().unwrap_or_else(|| panic!("{}: {task:#}", offer.id));
    assert!(!results.is_empty(), "{}: {task:#}", offer.id);
    let port = format!(":{}/", world.stub.address().port());
    for result in results {
        let url = result["url"].as_str().expect("a link");
        assert!(url.contains("/media/") && !url.contains(&port), "{url} is the vendor's");
        let file = world.server.client().get(url).await;
        let kind = file.header("content-type").unwrap_or_default().to_owned();
        assert!(file.status == 200 && kind.starts_with(prefix), "{}: {} {kind}", offer.id, file.status);
    }
    if !offer.entry["price"].is_null() {
        assert!(task["cost"]["final_micros"].is_u64(), "{}: {task:#}", offer.id);
    }
}

async fn every_model_of_every_vendor_makes_what_it_offers(rig: Rig) {
    let world = world(&rig).await;
    let mut table = Table::default();
    let tried = stream::iter(&world.offers).map(|offer| {
        let world = &world;
        async move {
            let (mark, task) = world.run(offer, Script { polls: 1.into(), ..Script::default() }, &json!({})).await;
            is_made(world, offer, &task).await;
            assert_eq!(world.accepted(&mark), 1, "{}: {task:#}", offer.id);
            offer
        }
    });
    for offer in tried.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        table.add(
            &offer.vendor,
            match offer.kind.as_str() {
                "image" => "images made",
                "video" => "clips made",
                _ => "speech made",
            },
        );
    }
    world.keeps_secrets();
    table.write(if rig.is_sqlite() { "made-sqlite" } else { "made-postgres" });
}

/// A trial of one model; says what it is called in the table, where it applies.
async fn trial(world: &World, offer: &Offer, which: usize) -> Option<&'static str> {
    let (stage, kind, name) = TRIALS[which];
    let (mark, task) = world.run(offer, strike(kind, stage), &json!({})).await;
    let entry = world.entry(&mark);
    let (polled, inline) = entry.as_ref().map_or((false, false), |entry| (!entry.blocking, entry.inline));
    let accepted = world.accepted(&mark);
    let at = format!("{}: {name}: {task:#}", offer.id);
    match (stage, kind) {
        (Stage::Submit, Fault::RateLimitSeconds | Fault::RateLimitBare) => {
            assert!(task["status"] == "completed" && accepted == 1, "{at}");
        }
        (Stage::Submit, Fault::Moderation) => assert!(failure(&task) == "moderation_blocked" && accepted == 0, "{at}"),
        (Stage::Submit, Fault::BadRequest) => assert!(failure(&task) == "vendor_refused" && accepted == 0, "{at}"),
        (Stage::Submit, _) => {
            assert_eq!(accepted, 1, "{at}");
            // Looked up, or held for a person: never sent again on a guess.
            match task["status"].as_str() {
                Some("completed") => assert!(world.stub.simulator().counts(Some(&mark), None).searches > 0, "{at}"),
                _ => assert!(!is_terminal(&task) && world.stub.received(&mark) == 1, "{at}"),
            }
        }
        (Stage::Poll, Fault::JobModerated) => {
            assert!(failure(&task) == "moderation_blocked" && accepted <= 1, "{at}");
        }
        (Stage::Poll, _) if !polled => return None,
        (Stage::Poll, _) => assert!(task["status"] == "completed" && accepted == 1, "{at}"),
        (Stage::Fetch, _) if inline => return None,
        (Stage::Fetch, _) if polled => assert!(task["status"] == "completed" && accepted == 1, "{at}"),
        // A blocking answer cannot be asked again; what is gone is said, and not paid for twice.
        (Stage::Fetch | Stage::Connect, _) => assert!(is_terminal(&task) && accepted == 1, "{at}"),
    }
    Some(name)
}

const TRIALS: [(Stage, Fault, &str); 9] = [
    (Stage::Submit, Fault::RateLimitSeconds, "429 with Retry-After"),
    (Stage::Submit, Fault::RateLimitBare, "429 without"),
    (Stage::Submit, Fault::Moderation, "moderation at submit"),
    (Stage::Submit, Fault::BadRequest, "a wrong parameter"),
    (Stage::Submit, Fault::Reset, "an unknown outcome"),
    (Stage::Poll, Fault::JobModerated, "moderation at the end"),
    (Stage::Poll, Fault::UnknownStatus, "an unknown state"),
    (Stage::Poll, Fault::ErrorBeforeAccept, "an error at a poll"),
    (Stage::Fetch, Fault::ExpiredLink, "an expired link"),
];

async fn every_model_stands_every_trial(rig: Rig) {
    let world = world(&rig).await;
    let mut table = Table::default();
    let cases = world.offers.iter().flat_map(|offer| (0..TRIALS.len()).map(move |which| (offer, which)));
    let tried = stream::iter(cases).map(|(offer, which)| {
        let world = &world;
        async move { (offer, trial(world, offer, which).await) }
    });
    for (offer, name) in tried.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        name.into_iter().for_each(|name| table.add(&offer.vendor, name));
    }
    world.keeps_secrets();
    table.write("trials");
}

/// Asks for everything at once: each wish stands in what the vendor was sent, or in a warning.
async fn nothing_that_was_asked_is_dropped_silently(rig: Rig) {
    let world = world(&rig).await;
    let mut table = Table::default();
    for offer in &world.offers {
        let wishes = json!({
            "negativePrompt": "no umbrellas",
            "seed": 4242,
            "extraParams": { "zoomLevel": 7, "loras": [{ "model": "acme/sketch", "weight": 1.0 }] },
        });
        let (mark, task) = world.run(offer, small(), &wishes).await;
        let sent = world.stub.submissions(&mark).pop().map(|one| one.body.to_string()).unwrap_or_default();
        let warned = warned(&task);
        let told = |field: &str| warned.iter().any(|warning| warning == field);
        for (field, word) in
            [("negativePrompt", "no umbrellas"), ("seed", "4242"), ("extraParams.loras", "acme/sketch")]
        {
            assert!(told(field) || sent.contains(word), "{}: {field} is lost: {warned:?} {sent}", offer.id);
        }
        assert!(told("extraParams.zoomLevel"), "{}: {warned:?}", offer.id);
        table.add(&offer.vendor, "wishes honoured or warned of");
    }
    table.write("wishes");
}

/// Dies after each kind of send, for a model of each vendor and of each way in which it answers.
async fn a_crash_after_each_send_costs_nothing_twice(rig: Rig) {
    let world = world(&rig).await;
    let mut chosen: BTreeMap<(String, String, bool), Offer> = BTreeMap::new();
    for offer in &world.offers {
        let (mark, _) = world.run(offer, small(), &json!({})).await;
        let blocking = world.entry(&mark).is_some_and(|entry| entry.blocking);
        chosen.entry((offer.vendor.clone(), offer.kind.clone(), blocking)).or_insert_with(|| offer.clone());
    }
    let World { stub, mut server, .. } = world;
    let mut table = Table::default();
    for ((vendor, _, blocking), offer) in &chosen {
        let points = ["submit.answered:1", "poll.sending:1"];
        for point in &points[..if *blocking { 1 } else { 2 }] {
            server.relaunch(|launch| launch.env("PIXEL_CRASH_AT", point)).await;
            let (client, mark) = (server.client(), stub::marker());
            stub.simulator().script(Some(&mark), small());
            let id = client.create(&offer.kind, &offer.body(&mark, &json!({}))).await;
            assert!(server.ended(Duration::from_secs(60)).await.is_some(), "{} never came by {point}", offer.id);
            server.relaunch(|launch| launch.env("PIXEL_CRASH_AT", "")).await;
            let task = server.client().rest_of(&id, LIMIT).await;
            let at = format!("{} at {point}: {task:#}", offer.id);
            assert_eq!(stub.accepted(&mark), 1, "{at}");
            assert!(task["status"] == "completed" || !task["attention"].is_null(), "{at}");
            table.add(vendor, "crashes after a send");
        }
    }
    table.write("crashes");
}

/// Tasks of all vendors at once, 30 % of their submissions struck.
async fn mixed_faults_of_every_vendor_lose_and_repeat_nothing(rig: Rig) {
    const TASKS: usize = 2_000;
    const KINDS: [Fault; 14] = [
        Fault::RateLimitSeconds,
        Fault::RateLimitBare,
        Fault::BadRequest,
        Fault::Moderation,
        Fault::ErrorAfterAccept,
        Fault::Reset,
        Fault::GarbageJson,
        Fault::WrongSchema,
        Fault::JobFailed,
        Fault::UnknownStatus,
        Fault::StatusBackwards,
        Fault::NotYetKnown,
        Fault::ExpiredLink,
        Fault::CutWithLength,
    ];
    let world = world(&rig).await;
    let script = Script { seed: 20_261_125, rate: 0.3, kinds: KINDS.to_vec(), ..small() };
    world.stub.simulator().script(None, script);
    let client = world.server.client();
    let mut table = Table::default();
    let tasks = stream::iter(0..TASKS).map(|at| {
        let (world, client) = (&world, &client);
        async move {
            let (offer, mark) = (&world.offers[at % world.offers.len()], stub::marker());
            let id = client.create(&offer.kind, &offer.body(&mark, &json!({}))).await;
            (offer, mark, client.rest_of(&id, Duration::from_secs(600)).await)
        }
    });
    for (offer, mark, task) in tasks.buffer_unordered(160).collect::<Vec<_>>().await {
        let (counts, at) = (world.stub.simulator().counts(Some(&mark), None), format!("{}: {task:#}", offer.id));
        assert!(counts.accepted <= 1, "paid {} times: {at}", counts.accepted);
        match task["status"].as_str() {
            Some("completed") => assert_eq!(counts.accepted, 1, "{at}"),
            // Whatever ends or rests without a result has a fault to show for it.
            _ => assert!(counts.struck > 0, "{at}"),
        }
        table.add(
            &offer.vendor,
            match task["status"].as_str() {
                Some("completed") => "mixed faults: completed",
                Some("failed") => "mixed faults: failed",
                _ => "mixed faults: held",
            },
        );
    }
    world.keeps_secrets();
    table.write("mixed");
}
