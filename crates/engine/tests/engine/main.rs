//! The engine against a vendor of every class: what is certain is repeated, what is not falls
//! under the money rule. Everything is real but the vendor.

mod lab;
mod restored;

use lab::{CATALOG, Lab, LabServer};
use pixel_core::{
    Stamp,
    catalog::Catalog,
    id::{ModelId, TaskId},
    request::{Checked, Kind},
    task::{Choice, Status, Work},
    vendor::{Credential, Secret, Vendor},
};
use pixel_engine::{door::Door, fetch::Fetcher, guard::Guard, *};
use pixel_store::{Budget, NewTask, Options, Store, TaskRow, blobs::Blobs, new_task_id, now};
use std::{sync::Arc, time::Duration};

const LIMIT: Duration = Duration::from_secs(20);

struct Rig {
    folder: tempfile::TempDir,
    lab: LabServer,
    engine: Engine,
    catalog: Arc<Catalog>,
}

/// What a test changes of the usual set-up.
#[derive(Clone)]
struct Set {
    hold: Duration,
    policy: HoldPolicy,
    runs_max: usize,
    base: Option<String>,
    keys: &'static [&'static str],
}

impl Default for Set {
    fn default() -> Self {
        Self { hold: Duration::from_secs(60), policy: HoldPolicy::Hold, runs_max: 100, base: None, keys: &["LAB_KEY"] }
    }
}

impl Rig {
    async fn new(set: Set) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lab = LabServer::start().await;
        let catalog = Arc::new(Catalog::parse(&[("lab.toml", CATALOG)]).unwrap());
        let engine = open(folder.path(), &lab, &catalog, set).await;
        engine.start();
        Self { folder, lab, engine, catalog }
    }

    async fn create(&self, model: &str, prompt: &str, n: u32, project: Option<&str>) -> TaskId {
        self.create_at(now(), model, prompt, n, project).await
    }

    async fn create_at(&self, created_at: Stamp, model: &str, prompt: &str, n: u32, project: Option<&str>) -> TaskId {
        let model = ModelId::parse(&format!("lab/{model}")).unwrap();
        let card = self.catalog.model(&model).unwrap();
        let request = Checked { n, ..Checked::plain(Kind::Image, model.clone(), prompt) };
        let plan = Lab.plan(&request, card).unwrap();
        let mut work = Work::planned(&plan.slots);
        work.cost = plan.cost.clone();
        let task = NewTask {
            id: new_task_id(),
            kind: Kind::Image,
            model: card.id(),
            served_by: None,
            fallback: None,
            vendor: "lab".to_owned(),
            sandbox: false,
            project_id: project.map(str::to_owned),
            source: None,
            source_id: None,
            params: serde_json::json!({}),
            request,
            work,
            warnings: Vec::new(),
            cost: plan.cost,
            rank: 0,
            leased: false,
            media: Vec::new(),
            clip: None,
            created_at,
        };
        self.engine.create(task).await.unwrap()
    }

    async fn end(&self, id: &TaskId) -> TaskRow {
        let row = self.engine.wait(id, LIMIT).await.unwrap().unwrap();
        assert!(row.status.is_terminal(), "{row:?}");
        row
    }

    async fn held(&self, id: &TaskId) -> TaskRow {
        let look = || async {
            let row = self.engine.store().task(id).await.unwrap().unwrap();
            row.attention.is_some().then_some(row)
        };
        pixel_testkit::wait::until("the task is held", LIMIT, look).await
    }

    async fn outcomes(&self, id: &TaskId) -> Vec<String> {
        let attempts = self.engine.store().attempts(id).await.unwrap();
        attempts.into_iter().map(|one| one.outcome.unwrap_or_default()).collect()
    }
}

async fn open(data: &std::path::Path, lab: &LabServer, catalog: &Arc<Catalog>, set: Set) -> Engine {
    let options = Options { data: data.to_owned(), database_url: None, pool_size: 4, lease: Duration::from_secs(10) };
    let store = Store::open(&options).await.unwrap();
    let blobs = Blobs::open(data).unwrap();
    let fetcher = Fetcher::new(Guard::new(&["127.0.0.1".to_owned()]).unwrap(), blobs.clone()).unwrap();
    let door = Door::new(blobs.clone(), door::DoorLimits::default()).unwrap();
    let lane = LaneOptions {
        id: "lab".to_owned(),
        vendor: Arc::new(Lab),
        accounts: vec![Account {
            service: None,
            base_url: set.base.unwrap_or_else(|| lab.base.clone()),
            primary: set.keys[0].to_owned(),
            urls: Vec::new(),
            keys: set.keys.iter().map(|name| key(name)).collect(),
        }],
        budget: Budget::default(),
        runs_max: set.runs_max,
    };
    let options = EngineOptions {
        calls_max: 100,
        chats_max: 10,
        chat: pixel_engine::ChatLimits::default(),
        local_jobs: 1,
        decodes: 2,
        poll_min: None,
        hold: HoldRules { length: set.hold, policy: set.policy, projects: Default::default() },
        patience: Duration::from_secs(600),
        retention: None,
        media: media::MediaLimits::default(),
        ffmpeg: None,
    };
    Engine::new(store, blobs, Arc::clone(catalog), door, fetcher, vec![lane], options).await.unwrap()
}

/// A key whose name is its value.
fn key(name: &str) -> Key {
    let credential = Credential(vec![Secret::new(name)]);
    let variables = vec![name.to_owned()];
    Key { name: name.to_owned(), variables, weight: 1, credential, source: None, parallel: 0 }
}

fn code(row: &TaskRow) -> &str {
    row.failure.as_ref().map_or("", |failure| failure.code.as_str())
}

/// A vendor that wants to be left alone for years may still be asked once by the deadline.
#[tokio::test(flavor = "multi_thread")]
async fn no_wait_that_a_vendor_asks_for_outlasts_the_deadline() {
    let rig = Rig::new(Set::default()).await;
    let id = rig.create("neither", "patience: for years", 1, None).await;
    let row = rig.end(&id).await;
    assert_eq!((row.status, rig.lab.accepted(id.as_str())), (Status::Completed, 1), "{row:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_task_of_each_class_is_sent_once() {
    let rig = Rig::new(Set::default()).await;
    for model in ["keyed", "searchable", "neither"] {
        let id = rig.create(model, &format!("fine:{model}"), 1, None).await;
        let row = rig.end(&id).await;
        assert_eq!((row.status, row.made.len(), row.progress), (Status::Completed, 1, 100), "{row:?}");
        assert_eq!(row.made[0].facts.size.map(|s| (s.width, s.height)), Some((64, 48)));
        assert_eq!((rig.lab.submits(&format!("fine:{model}")), rig.outcomes(&id).await), (1, vec!["accepted".into()]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lets_an_unclear_submission_be_repeated() {
    let rig = Rig::new(Set::default()).await;
    for how in ["cut after", "500 after"] {
        let id = rig.create("keyed", how, 1, None).await;
        assert_eq!(rig.end(&id).await.status, Status::Completed);
        assert_eq!((rig.lab.submits(how), rig.lab.accepted(id.as_str())), (2, 1));
        assert_eq!(rig.outcomes(&id).await, ["unknown", "accepted"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_submission_is_searched_before_it_is_repeated() {
    let rig = Rig::new(Set::default()).await;
    let found = rig.create("searchable", "cut after", 1, None).await;
    assert_eq!(rig.end(&found).await.status, Status::Completed);
    assert_eq!((rig.lab.submits("cut after"), rig.outcomes(&found).await), (1, vec!["found".into()]));
    let lost = rig.create("searchable", "cut before", 1, None).await;
    assert_eq!(rig.end(&lost).await.status, Status::Completed);
    assert_eq!((rig.lab.submits("cut before"), rig.lab.accepted(lost.as_str())), (2, 1));
    assert_eq!(rig.outcomes(&lost).await, ["lost", "accepted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unclear_submission_is_held_and_never_repeated_by_itself() {
    let rig = Rig::new(Set { hold: Duration::from_millis(1500), ..Set::default() }).await;
    for how in ["cut after", "500 after", "hang after"] {
        let id = rig.create("neither", how, 1, None).await;
        let row = rig.held(&id).await;
        let attention = row.attention.clone().unwrap();
        assert_eq!((row.status, attention.choices), (Status::Processing, Choice::ALL.to_vec()));
        let row = rig.end(&id).await;
        assert_eq!((row.status, code(&row)), (Status::Failed, "submit_outcome_unknown"));
        assert_eq!((rig.lab.submits(how), row.attention), (1, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides_about_a_held_submission() {
    let rig = Rig::new(Set::default()).await;
    let lost = rig.create("neither", "cut after:a", 1, None).await;
    rig.held(&lost).await;
    assert!(matches!(rig.engine.resolve(&lost, Choice::Search).await, Err(ResolveError::CannotSearch)));
    rig.held(&lost).await;
    rig.engine.resolve(&lost, Choice::Lost).await.unwrap();
    let row = rig.end(&lost).await;
    assert_eq!((code(&row), rig.lab.submits("cut after:a")), ("submit_lost", 1));
    assert!(matches!(rig.engine.resolve(&lost, Choice::Lost).await, Err(ResolveError::NotHeld)));

    let again = rig.create("neither", "cut after:b", 1, None).await;
    rig.held(&again).await;
    rig.engine.resolve(&again, Choice::PayAgain).await.unwrap();
    let row = rig.end(&again).await;
    assert_eq!((row.status, rig.lab.accepted(again.as_str())), (Status::Completed, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_may_decide_in_advance() {
    let lost = Rig::new(Set { policy: HoldPolicy::Lost, ..Set::default() }).await;
    let id = lost.create("neither", "cut after", 1, None).await;
    assert_eq!((code(&lost.end(&id).await), lost.lab.submits("cut after")), ("submit_lost", 1));
    let again = Rig::new(Set { policy: HoldPolicy::PayAgain, ..Set::default() }).await;
    let id = again.create("neither", "cut after", 1, None).await;
    assert_eq!((again.end(&id).await.status, again.lab.accepted(id.as_str())), (Status::Completed, 2));
    let stuck = again.create("neither", "500 always", 1, None).await;
    again.held(&stuck).await;
    assert_eq!(again.lab.submits("500 always"), 2, "paid again once, then a person is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_in_the_middle_of_a_submission_resends_only_by_key() {
    for (model, submits) in [("keyed", 2), ("neither", 1)] {
        let rig = Rig::new(Set::default()).await;
        let prompt = format!("hang after:{model}");
        let id = rig.create(model, &prompt, 1, None).await;
        let sent = || async { (rig.lab.submits(&prompt) == 1).then_some(()) };
        pixel_testkit::wait::until("the submission arrives", LIMIT, sent).await;
        // No time to wait for the call: what is left of it is the recorded attempt.
        rig.engine.stop(Duration::ZERO).await;
        rig.engine.store().close().await;
        let Rig { folder, lab, engine, catalog } = rig;
        let leases = engine.store().leases().count();
        drop(engine);
        let reopened = || async { reopen(folder.path(), &lab, &catalog).await };
        let engine = pixel_testkit::wait::until("the data folder is free", LIMIT, reopened).await;
        engine.start();
        let rig = Rig { folder, lab, engine, catalog };
        match model {
            "keyed" => assert_eq!(rig.end(&id).await.status, Status::Completed),
            _ => assert!(rig.held(&id).await.attention.is_some()),
        }
        assert_eq!((leases, rig.lab.submits(&prompt), rig.lab.accepted(id.as_str())), (1, submits, 1), "{model}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_ended_while_we_were_down_is_asked_for_before_it_is_given_up() {
    let rig = Rig::new(Set::default()).await;
    let id = rig.create("late", "at once", 1, None).await;
    let accepted = || async { rig.outcomes(&id).await.contains(&"accepted".to_owned()).then_some(()) };
    pixel_testkit::wait::until("the vendor accepts", LIMIT, accepted).await;
    let created = rig.engine.store().task(&id).await.unwrap().unwrap().created_at;
    rig.engine.stop(LIMIT).await;
    rig.engine.store().close().await;
    let Rig { folder, lab, engine, catalog } = rig;
    drop(engine);
    let past = || async { (now().since(created) > Duration::from_millis(2200)).then_some(()) };
    pixel_testkit::wait::until("the deadline has passed", LIMIT, past).await;
    let reopened = || async { reopen(folder.path(), &lab, &catalog).await };
    let engine = pixel_testkit::wait::until("the data folder is free", LIMIT, reopened).await;
    engine.start();
    let rig = Rig { folder, lab, engine, catalog };
    assert_eq!(rig.end(&id).await.status, Status::Completed);
}

/// A stopped engine's last calls keep the folder's lock until they are dropped.
async fn reopen(data: &std::path::Path, lab: &LabServer, catalog: &Arc<Catalog>) -> Option<Engine> {
    let free = std::fs::File::open(data.join("pixel.lock")).unwrap();
    free.try_lock().ok()?;
    free.unlock().unwrap();
    drop(free);
    Some(open(data, lab, catalog, Set::default()).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_surely_did_not_leave_is_sent_later() {
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let rig = Rig::new(Set { base: Some(format!("http://127.0.0.1:{port}")), ..Set::default() }).await;
    let id = rig.create("neither", "fine", 1, None).await;
    let tried = || async { rig.outcomes(&id).await.contains(&"unsent".to_owned()).then_some(()) };
    pixel_testkit::wait::until("the connection is refused", LIMIT, tried).await;
    let row = rig.engine.store().task(&id).await.unwrap().unwrap();
    assert_eq!((row.status, row.attention), (Status::Processing, None), "nothing is held, for nothing left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_costs_no_slot() {
    let rig = Rig::new(Set::default()).await;
    let id = rig.create("neither", "slow down", 1, None).await;
    let begun = std::time::Instant::now();
    let row = rig.end(&id).await;
    assert_eq!((row.status, rig.outcomes(&id).await), (Status::Completed, vec!["refused".into(), "accepted".into()]));
    assert!(begun.elapsed() >= Duration::from_secs(1), "the vendor's hint was honoured");
    assert_eq!(rig.lab.accepted(id.as_str()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_slot_is_a_submission_and_partial_success_is_told() {
    let rig = Rig::new(Set::default()).await;
    let id = rig.create("neither", "refuse second", 3, None).await;
    let row = rig.end(&id).await;
    let indexes: Vec<_> = row.made.iter().map(|one| one.index).collect();
    assert_eq!((row.status, indexes), (Status::Completed, vec![0, 2]));
    assert!(row.warnings.iter().any(|w| w.message.contains("Result 2")), "{:?}", row.warnings);
    assert_eq!((rig.lab.submits("refuse second"), rig.lab.accepted(id.as_str())), (3, 2));
    let cost = row.cost.unwrap();
    assert_eq!((cost.estimate_micros, cost.settled_micros), (3000, Some(2000)));
    let none = rig.create("neither", "refuse", 2, None).await;
    assert_eq!(code(&rig.end(&none).await), "vendor_refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_states_are_borne_until_the_deadline() {
    let rig = Rig::new(Set::default()).await;
    let id = rig.create("neither", "never ends", 1, None).await;
    assert_eq!(code(&rig.end(&id).await), "deadline_exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_ours_and_whole_before_they_are_announced() {
    let rig = Rig::new(Set::default()).await;
    let id = rig.create("neither", "expired link", 1, None).await;
    assert_eq!((rig.end(&id).await.status, rig.lab.submits("expired link")), (Status::Completed, 1));
    for bad in ["short media", "page as media"] {
        let id = rig.create("neither", bad, 1, None).await;
        let row = rig.end(&id).await;
        assert_eq!((row.status, code(&row)), (Status::Failed, "result_unusable"), "{bad}: {row:?}");
    }
    let made = rig.engine.store().task(&id).await.unwrap().unwrap().made.pop().unwrap();
    let bytes = rig.engine.blobs().read(&made.facts.sha256, u64::MAX).unwrap();
    assert_eq!(bytes.len() as u64, made.facts.bytes);
    assert!(rig.folder.path().join("pixel.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_does_not_delay_a_quiet_project() {
    let rig = Rig::new(Set { runs_max: 1, ..Set::default() }).await;
    let mut flood = Vec::new();
    for at in 0..60 {
        flood.push(rig.create("neither", &format!("fine:flood {at}"), 1, Some("flood")).await);
    }
    let quiet = rig.create("neither", "fine:quiet", 1, Some("quiet")).await;
    rig.end(&quiet).await;
    let place = {
        let ledger = rig.lab.ledger.lock().unwrap();
        ledger.submits.iter().position(|(_, prompt)| prompt == "fine:quiet").unwrap()
    };
    // Those that the vendor had taken already, and its own turn; not the sixty.
    assert!(place < 50, "the quiet project was {place}th");
    rig.engine.stop(Duration::from_secs(5)).await;
}
