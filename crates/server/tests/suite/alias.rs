//! Aliases: one name for several models. A model that certainly accepted nothing gives way to the
//! next; after an acceptance, or an outcome that nobody knows, none does.

use crate::{
    backup::{Place, done},
    support::{IMAGE, SOON, failure, picture, refusal, refused_naming, warned, with},
};
use pixel_testkit::{
    Client, Rig, Script, Stub, on_both, on_sqlite,
    server::Launch,
    stub::{self, End, Submit},
    wait,
};
use serde_json::{Value, json};
use std::{fs, process::Command, time::Instant};

on_both!(
    a_refusal_leads_to_the_next_model,
    moderation_leads_on_only_where_it_is_named,
    a_long_rate_limit_is_passed_over,
    refused_keys_are_passed_over,
    an_unknown_outcome_stays_with_its_vendor,
    an_accepted_job_stays_with_its_vendor,
    a_death_around_the_move_pays_once,
    a_restored_task_that_may_have_moved_is_held,
    what_vanished_from_the_catalogue_ends_clearly,
);
on_sqlite!(
    an_alias_is_listed_and_has_a_schema,
    who_cannot_take_a_request_is_left_out,
    several_submissions_move_together_or_not_at_all,
    a_vendor_that_is_away_is_passed_over,
    nobody_moves_to_a_vendor_that_is_closed_itself,
    weights_decide_among_equals,
    a_sample_is_no_member,
);

const ALIAS: &str = "pixel/best-image";
const FIRST: &str = "openai/gpt-image-2";
const SECOND: &str = "dashscope/qwen-image";
const KEYED: &str = "lab/keyed";
const SEARCHABLE: &str = "lab/searchable";

/// Two vendors, each with a ledger of its own.
struct World {
    first: Stub,
    second: Stub,
}

impl World {
    fn new() -> Self {
        Self { first: Stub::start(), second: Stub::start() }
    }

    /// The lab, and the vendor of [`FIRST`], are at the first; that of [`SECOND`] is at the second.
    fn attach(&self, launch: Launch) -> Launch {
        let launch = launch.vendors(&self.first).lab(&self.first);
        launch.env("DASHSCOPE_BASE_URL", self.second.dashscope_base_url())
    }

    /// A task of the alias; its first vendor does so with its submissions.
    async fn ask(&self, client: &Client, submits: impl Into<Vec<Submit>>) -> (String, String) {
        let mark = stub::marker();
        self.first.script(&mark, small(Script::submits(submits)));
        self.second.script(&mark, small(Script::default()));
        (client.create("image", &picture(ALIAS, &mark)).await, mark)
    }

    /// What each has accepted.
    fn accepted(&self, mark: &str) -> (usize, usize) {
        (self.first.accepted(mark), self.second.accepted(mark))
    }

    fn received(&self, mark: &str) -> (usize, usize) {
        (self.first.received(mark), self.second.received(mark))
    }
}

fn small(script: Script) -> Script {
    Script { size: Some((64, 64)), ..script }
}

fn write(rig: &Rig, text: &str) {
    let folder = rig.folder().join("data/catalog");
    fs::create_dir_all(&folder).expect("the test's folder can be written");
    fs::write(folder.join("aliases.toml"), text).expect("the test's folder can be written");
}

/// The alias over two models, one after the other.
fn alias(members: [&str; 2], more: &str) -> String {
    let [first, second] = members;
    format!(
        "[[alias]]\nid = '{ALIAS}'\nname = 'Best image'\n{more}\n\
         members = [{{ model = '{second}', order = 2 }}, {{ model = '{first}' }}]\n"
    )
}

fn served(task: &Value) -> (&str, &str) {
    (task["status"].as_str().unwrap_or_default(), task["served_by"].as_str().unwrap_or_default())
}

/// What the caller is told about the models.
fn told(task: &Value) -> Vec<String> {
    let warnings = task["warnings"].as_array().cloned().unwrap_or_default();
    let about_models = warnings.iter().filter(|warning| warning["field"] == "model");
    about_models.map(|warning| warning["message"].as_str().unwrap_or_default().to_owned()).collect()
}

async fn a_refusal_leads_to_the_next_model(rig: Rig) {
    let world = World::new();
    write(&rig, &alias([FIRST, SECOND], ""));
    let server = world.attach(rig.server()).start().await;
    let client = server.client();
    let (id, mark) = world.ask(&client, [Submit::BadParameter]).await;
    let task = client.end_of(&id, SOON).await;
    assert_eq!((served(&task), &task["model"]), (("completed", SECOND), &json!(ALIAS)), "{task:#}");
    let told = told(&task);
    assert!(told.len() == 1 && told[0].starts_with(&format!("'{FIRST}' did not serve")), "{task:#}");
    assert_eq!((world.received(&mark), world.accepted(&mark)), ((1, 1), (0, 1)));
    assert_eq!(task["cost"]["currency"], "CNY", "the cost is that of the model that served");
    assert_eq!(task["cost"]["final_micros"], task["cost"]["estimate_micros"], "{task:#}");
    let listed = client.get(&format!("/api/v1/tasks?model={ALIAS}")).await.data();
    assert_eq!(listed["items"][0]["id"].as_str(), Some(id.as_str()));
    // What one model cannot honour is no warning of a task that another serves.
    let mark = stub::marker();
    world.first.script(&mark, Script::submits([Submit::BadParameter]));
    let seeded = with(picture(ALIAS, &mark), &json!({ "seed": 7 }));
    let id = client.create("image", &seeded).await;
    assert!(warned(&client.task(&id).await).contains(&"seed".to_owned()) || world.received(&mark).0 == 1);
    let task = client.end_of(&id, SOON).await;
    assert!(served(&task).1 == SECOND && !warned(&task).contains(&"seed".to_owned()), "{task:#}");
    // The first serves when it does not refuse; another refusal at the second ends the task.
    let (id, mark) = world.ask(&client, []).await;
    let task = client.end_of(&id, SOON).await;
    assert_eq!((served(&task), world.received(&mark)), (("completed", FIRST), (1, 0)), "{task:#}");
    assert!(told_nothing(&task), "{task:#}");
    let (id, mark) = world.ask(&client, [Submit::BadParameter]).await;
    world.second.script(&mark, Script::submits([Submit::BadParameter]));
    let task = client.end_of(&id, SOON).await;
    assert_eq!((failure(&task).as_str(), served(&task).1), ("vendor_refused", SECOND), "{task:#}");
    // A model that was asked for by its own name has no other.
    let mark = stub::marker();
    world.first.script(&mark, Script::submits([Submit::BadParameter]));
    let task = client.end_of(&client.create("image", &picture(FIRST, &mark)).await, SOON).await;
    assert_eq!((failure(&task).as_str(), task.get("served_by")), ("vendor_refused", None), "{task:#}");
}

fn told_nothing(task: &Value) -> bool {
    told(task).is_empty()
}

async fn moderation_leads_on_only_where_it_is_named(rig: Rig) {
    let world = World::new();
    write(&rig, &alias([FIRST, SECOND], ""));
    let mut server = world.attach(rig.server()).start().await;
    let (id, mark) = world.ask(&server.client(), [Submit::Moderation]).await;
    let task = server.client().end_of(&id, SOON).await;
    assert_eq!((failure(&task).as_str(), world.received(&mark)), ("moderation_blocked", (1, 0)), "{task:#}");
    write(&rig, &alias([FIRST, SECOND], "fallback = ['moderation_blocked']"));
    server.restart().await;
    let client = server.client();
    let (id, mark) = world.ask(&client, [Submit::Moderation]).await;
    let task = client.end_of(&id, SOON).await;
    assert_eq!((served(&task), world.accepted(&mark)), (("completed", SECOND), (0, 1)), "{task:#}");
    let (id, mark) = world.ask(&client, [Submit::BadParameter]).await;
    let task = client.end_of(&id, SOON).await;
    assert_eq!((failure(&task).as_str(), world.received(&mark)), ("vendor_refused", (1, 0)), "it is not named");
}

async fn a_long_rate_limit_is_passed_over(rig: Rig) {
    let world = World::new();
    write(&rig, &alias([FIRST, SECOND], ""));
    let server = world.attach(rig.server()).env("PIXEL_OPENAI_CONCURRENCY", 1).start().await;
    let client = server.client();
    let (id, mark) = world.ask(&client, [Submit::RateLimited(Some("1"))]).await;
    let task = client.end_of(&id, SOON).await;
    assert_eq!((served(&task), world.received(&mark)), (("completed", FIRST), (2, 0)), "a short wait is waited for");

    let mark = stub::marker();
    let slow = Script::submits([Submit::RateLimited(Some("3000"))]).latency(std::time::Duration::from_secs(2));
    world.first.script(&mark, slow);
    world.second.script(&mark, small(Script::default()));
    let begun = Instant::now();
    let limited = client.create("image", &picture(ALIAS, &mark)).await;
    wait::until("submission", SOON, || async { (world.first.most_at_once() > 0).then_some(()) }).await;
    // These queue behind it, and are moved when the vendor closes.
    let queued = [world.ask(&client, []).await, world.ask(&client, []).await];
    let task = client.end_of(&limited, SOON).await;
    assert_eq!((served(&task), world.accepted(&mark)), (("completed", SECOND), (0, 1)), "{task:#}");
    // Asked now, it is not even tried.
    let late = world.ask(&client, []).await;
    for (id, mark) in queued.iter().chain([&late]) {
        let task = client.end_of(id, SOON).await;
        assert_eq!((served(&task), world.received(mark)), (("completed", SECOND), (0, 1)), "{task:#}");
        assert!(told(&task)[0].contains("takes no more requests for now"), "{task:#}");
    }
    assert!(begun.elapsed().as_secs() < 50, "nobody waited for the vendor: {:?}", begun.elapsed());
}

async fn refused_keys_are_passed_over(rig: Rig) {
    let world = World::new();
    write(&rig, &alias([FIRST, SECOND], ""));
    let server = world.attach(rig.server()).start().await;
    let client = server.client();
    let (id, mark) = world.ask(&client, [Submit::BadKey]).await;
    let task = client.end_of(&id, SOON).await;
    assert_eq!((served(&task), world.received(&mark)), (("completed", SECOND), (1, 1)), "{task:#}");
    let (id, mark) = world.ask(&client, []).await;
    let task = client.end_of(&id, SOON).await;
    assert_eq!((served(&task), world.received(&mark)), (("completed", SECOND), (0, 1)), "{task:#}");
    let entry = client.get(&format!("/api/v1/models/{ALIAS}")).await.data();
    assert_eq!(entry["enabled"], true, "one of its models can be used");
}

async fn an_unknown_outcome_stays_with_its_vendor(rig: Rig) {
    let world = World::new();
    write(&rig, &alias([FIRST, SECOND], ""));
    let mut server = world.attach(rig.server()).start().await;
    let client = server.client();
    let mut held = Vec::new();
    for unclear in [Submit::ResetAfterAccept, Submit::ErrorBeforeAccept] {
        let (id, mark) = world.ask(&client, [unclear]).await;
        let task = client.attention_of(&id, SOON).await;
        assert_eq!((served(&task), world.received(&mark)), (("processing", FIRST), (1, 0)), "{task:#}");
        held.push((id, mark));
    }
    for (id, mark) in held {
        assert_eq!(client.resolve(&id, "lost").await.status, 200);
        let task = client.end_of(&id, SOON).await;
        assert_eq!((failure(&task).as_str(), world.received(&mark)), ("submit_lost", (1, 0)), "{task:#}");
    }
    // A vendor that absorbs a repeat, and one that can be asked: a refusal that follows is certain of
    // itself only.
    for model in [KEYED, SEARCHABLE] {
        write(&rig, &alias([model, SECOND], ""));
        server.restart().await;
        let client = server.client();
        let (id, mark) = world.ask(&client, [Submit::ErrorBeforeAccept, Submit::BadParameter]).await;
        let task = client.end_of(&id, SOON).await;
        assert_eq!((failure(&task).as_str(), world.received(&mark)), ("vendor_refused", (2, 0)), "{model} {task:#}");
    }
    // Nor does the decision of a policy lead on.
    write(&rig, &alias([FIRST, SECOND], ""));
    server.relaunch(|launch| launch.env("PIXEL_HOLD_POLICY", "pay_again")).await;
    let client = server.client();
    let (id, mark) = world.ask(&client, [Submit::ErrorAfterAccept, Submit::BadParameter]).await;
    let task = client.end_of(&id, SOON).await;
    assert_eq!((failure(&task).as_str(), world.received(&mark)), ("vendor_refused", (2, 0)), "{task:#}");
}

async fn an_accepted_job_stays_with_its_vendor(rig: Rig) {
    let world = World::new();
    write(&rig, &alias([KEYED, SECOND], "fallback = ['vendor_refused', 'moderation_blocked', 'vendor_unavailable']"));
    let server = world.attach(rig.server()).start().await;
    let client = server.client();
    for (end, code) in [(End::Failed, "vendor_failed"), (End::Moderation, "moderation_blocked")] {
        let mark = stub::marker();
        world.first.script(&mark, Script::ends([end]).polls(1));
        let id = client.create("image", &picture(ALIAS, &mark)).await;
        let task = client.end_of(&id, SOON).await;
        assert_eq!((failure(&task).as_str(), world.accepted(&mark)), (code, (1, 0)), "{task:#}");
        assert_eq!(world.second.received(&mark), 0);
    }
}

async fn a_death_around_the_move_pays_once(rig: Rig) {
    let world = World::new();
    let mut server = world.attach(rig.server()).env("PIXEL_LEASE_S", 3).start().await;
    for (point, model, accepted) in [
        // The refusal is not on disk: what became of the submission is unknown.
        ("fallback.writing", FIRST, (0, 0)),
        ("fallback.writing", KEYED, (1, 0)),
        ("fallback.written", FIRST, (0, 1)),
        ("fallback.written", KEYED, (0, 1)),
    ] {
        write(&rig, &alias([model, SECOND], ""));
        server.relaunch(|launch| launch.env("PIXEL_CRASH_AT", format!("{point}:1"))).await;
        let (id, mark) = world.ask(&server.client(), [Submit::BadParameter]).await;
        assert!(server.ended(SOON).await.is_some(), "the server never came by {point}");
        server.relaunch(|launch| launch.env("PIXEL_CRASH_AT", "")).await;
        let task = server.client().rest_of(&id, SOON).await;
        assert_eq!(world.accepted(&mark), accepted, "{point} with {model}: {task:#}");
        match accepted {
            (0, 0) => assert!(task["attention"].is_object() && world.received(&mark) == (1, 0), "{task:#}"),
            (1, 0) => assert_eq!(served(&task), ("completed", KEYED), "{task:#}"),
            _ => assert_eq!((served(&task), told(&task).len()), (("completed", SECOND), 1), "{task:#}"),
        }
    }
}

/// The backup shows a task at the first model; the life after it went on with the second.
async fn a_restored_task_that_may_have_moved_is_held(rig: Rig) {
    let world = World::new();
    write(&rig, &alias([SEARCHABLE, SECOND], ""));
    let (before, after) = (Place::first(&rig), Place::fresh(&rig, "restored"));
    let backup = rig.folder().join("backup");
    let mut server = world.attach(rig.server()).start().await;
    let command = |place: &Place, words: &[&str]| {
        let mut command = place.command(&rig, words);
        // The lab is there for whoever has its address.
        command.env("LAB_BASE_URL", world.first.lab_base_url()).env("PIXEL_CATALOG", rig.folder().join("data/catalog"));
        done(command)
    };
    command(&before, &["pause"]);
    wait::until("pause", SOON, || async {
        (server.client().get("/readyz").await.json()["submissions"] == "paused").then_some(())
    })
    .await;
    let (id, mark) = world.ask(&server.client(), [Submit::BadParameter]).await;
    let folder = backup.to_str().expect("a path of ours");
    command(&before, &["backup", "--to", folder]);
    command(&before, &["resume"]);
    let task = server.client().end_of(&id, SOON).await;
    assert_eq!((served(&task), world.received(&mark)), (("completed", SECOND), (1, 1)), "{task:#}");
    server.kill9();

    command(&after, &["restore", "--from", folder]);
    let catalog = rig.folder().join("data/catalog");
    let server = world.attach(after.serve(&rig, "after")).env("PIXEL_CATALOG", catalog.display()).start().await;
    command(&after, &["resume"]);
    let client = server.client();
    let task = client.attention_of(&id, SOON).await;
    assert!(task["attention"]["reason"].as_str().is_some_and(|why| why.contains("restored")), "{task:#}");
    // A look-up at the first finds nothing, and says nothing of the second.
    refusal(&client.resolve(&id, "search").await, 409);
    assert_eq!((world.received(&mark), world.accepted(&mark)), ((1, 1), (0, 1)));
}

async fn what_vanished_from_the_catalogue_ends_clearly(rig: Rig) {
    const HOUSE: &str = "[vendor]\nid = 'house'\nname = 'House'\nadapter = 'openai'\n\
                         base_url = 'http://127.0.0.1:9/v1'\n[[model]]\nkey = 'painter'\nname = 'Painter'\n\
                         type = 'image'\nform = 'images'\nvendor_model = 'x'\n";
    let world = World::new();
    write(&rig, &format!("{HOUSE}{}", alias([FIRST, "house/painter"], "")));
    let mut server = world.attach(rig.server()).start().await;
    let (refused, first) = world.ask(&server.client(), [Submit::RateLimited(Some("5")), Submit::BadParameter]).await;
    let (served_late, second) = world.ask(&server.client(), [Submit::RateLimited(Some("5"))]).await;
    wait::until("first submission", SOON, || async { (world.first.received(&first) == 1).then_some(()) }).await;
    server.sigterm().await;
    fs::remove_dir_all(rig.folder().join("data/catalog")).expect("the test's folder can be written");
    server.restart().await;
    let client = server.client();
    let task = client.end_of(&refused, SOON).await;
    let told = told(&task).join(" ");
    assert_eq!((failure(&task).as_str(), &task["model"]), ("vendor_refused", &json!(ALIAS)), "{task:#}");
    assert!(told.contains("'house/painter' could not take over: it cannot be used on this server"), "{task:#}");
    let task = client.end_of(&served_late, SOON).await;
    assert_eq!((served(&task), world.accepted(&second)), (("completed", FIRST), (1, 0)), "{task:#}");
    let missing = refusal(&client.post(IMAGE, &picture(ALIAS, "x")).await, 404);
    assert!(missing.contains(ALIAS), "{missing}");
}

async fn an_alias_is_listed_and_has_a_schema(rig: Rig) {
    write(&rig, &alias([FIRST, SECOND], "default = true"));
    let world = World::new();
    let mut server = world.attach(rig.server()).start().await;
    let client = server.client();
    let models = client.get("/api/v1/models").await.data();
    let first = models["image"].as_object().and_then(|all| all.keys().next().cloned());
    assert_eq!(first.as_deref(), Some(ALIAS), "it is the default");
    let entry = &models["image"][ALIAS];
    assert_eq!((&entry["is_default"], &entry["provider"]), (&json!(true), &json!("pixel")), "{entry:#}");
    assert_eq!(entry["members"], json!([SECOND, FIRST]));
    assert_eq!(entry["capabilities"]["maxRefImages"], 3, "what every member takes");
    assert_eq!(*entry, client.get(&format!("/api/v1/models/{ALIAS}")).await.data());
    let schema = client.get(&format!("/api/v1/models/{ALIAS}/schema")).await.json();
    assert_eq!(schema["properties"]["model"]["const"], ALIAS);
    assert_eq!(schema["properties"]["prompt"]["maxLength"], 800);
    let message = refusal(&client.post("/api/v1/generations/video", &picture(ALIAS, "x")).await, 400);
    assert!(message.contains("must be of type video"), "{message}");
    // Without a key nobody of it can be used; in the sandbox's hands it works as any model.
    server.relaunch(|launch| launch.env("OPENAI_API_KEY", "").env("DASHSCOPE_API_KEY", "")).await;
    let message = refusal(&server.client().post(IMAGE, &picture(ALIAS, "x")).await, 503);
    assert!(message.contains(&format!("No model of '{ALIAS}' can be used here. Set DASHSCOPE_API_KEY")), "{message}");
    server.relaunch(|launch| launch.arg("--sandbox")).await;
    let body = with(picture(ALIAS, "x"), &json!({ "resolution": "64x64" }));
    let task = server.client().make("image", &body, SOON).await;
    assert_eq!((&task["sandbox"], &task["served_by"]), (&json!(true), &json!(FIRST)), "{task:#}");
}

async fn who_cannot_take_a_request_is_left_out(rig: Rig) {
    let world = World::new();
    write(&rig, &alias([SECOND, FIRST], ""));
    let server = world.attach(rig.server()).start().await;
    let client = server.client();
    let mark = stub::marker();
    // The first takes 800 characters only.
    let long = with(picture(ALIAS, &mark), &json!({ "prompt": format!("{mark} {}", "x".repeat(900)) }));
    let task = client.make("image", &long, SOON).await;
    assert_eq!((served(&task), world.received(&mark)), (("completed", FIRST), (1, 0)), "{task:#}");
    let told = told(&task);
    assert!(told.len() == 1 && told[0].starts_with(&format!("'{SECOND}' was left out: 'prompt' has")), "{told:?}");
    let nobody = with(picture(ALIAS, "x"), &json!({ "prompt": "x".repeat(40_000) }));
    refused_naming(&client, IMAGE, &nobody, "'prompt'").await;
}

async fn several_submissions_move_together_or_not_at_all(rig: Rig) {
    let world = World::new();
    write(&rig, &alias([SECOND, FIRST], ""));
    let server = world.attach(rig.server()).start().await;
    let client = server.client();
    // The vendor makes one picture at a time.
    let ask = |submits: Vec<Submit>| {
        let mark = stub::marker();
        world.second.script(&mark, small(Script::submits(submits)));
        world.first.script(&mark, small(Script::default()));
        (with(picture(ALIAS, &mark), &json!({ "n": 3 })), mark)
    };
    let (body, mark) = ask(vec![Submit::BadParameter; 3]);
    let task = client.make("image", &body, SOON).await;
    let images = task["result"]["images"].as_array().map(Vec::len);
    assert_eq!((served(&task).1, images, world.received(&mark)), (FIRST, Some(3), (1, 3)), "{task:#}");
    // One was accepted: the others fail alone.
    let (body, mark) = ask(vec![Submit::BadParameter, Submit::Accept, Submit::BadParameter]);
    let task = client.make("image", &body, SOON).await;
    let images = task["result"]["images"].as_array().map(Vec::len);
    assert_eq!((served(&task).1, images, world.received(&mark)), (SECOND, Some(1), (0, 3)), "{task:#}");
    let (body, mark) = ask(vec![Submit::RateLimited(Some("3000")); 9]);
    let task = client.make("image", &body, SOON).await;
    let images = task["result"]["images"].as_array().map(Vec::len);
    assert_eq!((served(&task).1, images, world.accepted(&mark)), (FIRST, Some(3), (1, 0)), "{task:#}");
}

async fn a_vendor_that_is_away_is_passed_over(rig: Rig) {
    let world = World::new();
    write(&rig, &alias([FIRST, SECOND], ""));
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr());
    let nowhere = format!("http://{}/v1", nowhere.expect("loopback has free ports"));
    let server = world.attach(rig.server()).env("OPENAI_BASE_URL", nowhere).start().await;
    let client = server.client();
    let (id, mark) = world.ask(&client, []).await;
    let task = client.end_of(&id, SOON).await;
    assert_eq!((served(&task), world.accepted(&mark)), (("completed", SECOND), (0, 1)), "{task:#}");
    assert!(told(&task)[0].contains("could not be reached"), "{task:#}");
}

async fn nobody_moves_to_a_vendor_that_is_closed_itself(rig: Rig) {
    let world = World::new();
    write(&rig, &alias([FIRST, SECOND], ""));
    let server = world.attach(rig.server()).start().await;
    let client = server.client();
    let mark = stub::marker();
    world.second.script(&mark, small(Script::submits([Submit::BadKey])));
    let id = client.create("image", &picture(SECOND, &mark)).await;
    assert_eq!(failure(&client.end_of(&id, SOON).await), "vendor_auth");
    // Its only key is set aside, and there is no way back: the task waits where it is.
    let (id, mark) = world.ask(&client, [Submit::RateLimited(Some("12"))]).await;
    let task = client.end_of(&id, SOON).await;
    assert_eq!((served(&task), world.received(&mark)), (("completed", FIRST), (2, 0)), "{task:#}");
}

async fn weights_decide_among_equals(rig: Rig) {
    const COUNT: usize = 200;
    let world = World::new();
    for stub in [&world.first, &world.second] {
        stub.by_default(small(Script::default()));
    }
    let members = format!("members = [{{ model = '{FIRST}', weight = 3 }}, {{ model = '{SECOND}' }}]");
    write(&rig, &format!("[[alias]]\nid = '{ALIAS}'\nname = 'Any'\n{members}"));
    let server = world.attach(rig.server()).start().await;
    let client = server.client();
    let mut firsts = 0;
    for _ in 0..COUNT {
        let id = client.create("image", &picture(ALIAS, "a kite")).await;
        firsts += usize::from(client.task(&id).await["served_by"] == FIRST);
    }
    // 150 are expected; beyond six deviations is no chance.
    assert!((113..=187).contains(&firsts), "{firsts} of {COUNT} went to the heavier");
}

async fn a_sample_is_no_member(rig: Rig) {
    write(&rig, &alias(["sandbox/painter", FIRST], ""));
    let mut command = Command::new(rig.binary());
    command.env_clear().current_dir(rig.folder()).args(["config", "--data"]).arg(rig.folder().join("data"));
    let output = command.output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    let place = said.contains(&format!("aliases.toml: {ALIAS} "));
    assert!(!output.status.success() && place && said.contains("members: 'sandbox/painter' makes samples"), "{said}");
}
