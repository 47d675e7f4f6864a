//! Several keys of a vendor, each an account that knows nothing of the others; services with
//! credentials of their own; the list of providers and the trial of their keys.

use crate::support::{IMAGE, SOON, failure, picture, refusal, with};
use pixel_testkit::{
    Client, Rig, Script, Stub, media, on_both, on_sqlite,
    server::Launch,
    stub::{self, End, Submit},
    wait,
};
use serde_json::{Value, json};
use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

on_both!(
    submissions_are_shared_by_weight,
    what_a_key_is_refused_for_another_is_spared,
    an_unclear_outcome_stays_with_its_key,
    a_service_has_a_credential_of_its_own,
    a_pair_of_keys_signs_every_call,
    providers_say_how_they_are_doing,
    a_check_tells_good_keys_from_bad_ones,
    every_vendor_tells_good_keys_from_bad_ones,
);
on_sqlite!(
    when_every_key_is_refused_the_task_ends,
    a_job_waits_for_the_key_that_submitted_it,
    a_job_whose_key_is_gone_ends_and_names_it,
    a_check_of_a_vendor_that_is_away_says_so,
    the_doctor_tries_every_key,
);

const SECOND: &str = "test-key-2";
const PLAIN: &str = "lab/plain";

/// The lab with two good keys.
fn two_keys(rig: &Rig, stub: &Stub) -> Launch {
    rig.server().lab(stub).env("LAB_API_KEY_2", SECOND)
}

/// The accounts that paid for a marker, in order; the first one has no name.
fn paid(stub: &Stub, mark: &str) -> Vec<Option<String>> {
    stub.simulator().entries(Some(mark), None).into_iter().map(|entry| entry.account).collect()
}

async fn run(client: &Client, stub: &Stub, model: &str, script: Script) -> (String, Value) {
    let mark = stub::marker();
    stub.script(&mark, script);
    let id = client.create("image", &picture(model, &mark)).await;
    let task = client.end_of(&id, SOON).await;
    (mark, task)
}

pub async fn provider(client: &Client, id: &str) -> Value {
    let data = client.get("/api/v1/providers").await.data();
    let items = data["items"].as_array().expect("a list").clone();
    items.into_iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("no {id} in {data:#}"))
}

fn states(provider: &Value) -> Vec<(String, String)> {
    let keys = provider["keys"].as_array().expect("a list").iter();
    let text = |key: &Value, field: &str| key[field].as_str().expect("text").to_owned();
    keys.map(|key| (text(key, "id"), text(key, "state"))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(id, state)| ((*id).to_owned(), (*state).to_owned())).collect()
}

async fn submissions_are_shared_by_weight(rig: Rig) {
    let stub = Stub::start();
    let server = two_keys(&rig, &stub).env("LAB_API_KEY_WEIGHT", 3).start().await;
    let client = server.client();
    let mut seconds = 0;
    for _ in 0..8 {
        let (mark, task) = run(&client, &stub, PLAIN, Script::default().polls(1)).await;
        assert_eq!(task["status"], "completed", "{task:#}");
        seconds += usize::from(paid(&stub, &mark) == [Some(SECOND.to_owned())]);
    }
    assert_eq!(seconds, 2, "three of four go to the first");
    // Each job was asked for with the key that submitted it.
    assert_eq!(stub.violations(), Vec::<String>::new());
    assert!(!server.logs().contains("test-key"), "a key stands in the log");
}

async fn what_a_key_is_refused_for_another_is_spared(rig: Rig) {
    let stub = Stub::start();
    for (submit, state) in
        [(Submit::BadKey, "parked"), (Submit::NoBalance, "parked"), (Submit::RateLimited(Some("600")), "limited")]
    {
        let home = format!("{submit:?}").chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        let server = rig.replica(&home).lab(&stub).env("LAB_API_KEY_2", SECOND).start().await;
        let client = server.client();
        let begin = Instant::now();
        let (mark, task) = run(&client, &stub, PLAIN, Script::submits([submit.clone()])).await;
        assert_eq!(task["status"], "completed", "{submit:?}: {task:#}");
        assert!(begin.elapsed() < Duration::from_secs(60), "the other key was not used at once");
        assert_eq!((stub.received(&mark), paid(&stub, &mark)), (2, vec![Some(SECOND.to_owned())]), "{submit:?}");
        let lab = provider(&client, "lab").await;
        assert_eq!(states(&lab), pairs(&[("LAB_API_KEY", state), ("LAB_API_KEY_2", "ready")]), "{lab:#}");
        let first = &lab["keys"][0];
        assert!(first["reason"].is_string() && first["until"].as_str().is_some_and(|at| at.ends_with('Z')), "{lab:#}");
        assert_eq!((&lab["enabled"], lab["last_error"]["message"].is_string()), (&json!(true), true), "{lab:#}");
        // The next one is not sent into the refusal.
        let (mark, _) = run(&client, &stub, PLAIN, Script::default()).await;
        assert_eq!((stub.received(&mark), paid(&stub, &mark)), (1, vec![Some(SECOND.to_owned())]));
        drop(server);
    }
}

async fn when_every_key_is_refused_the_task_ends(rig: Rig) {
    let stub = Stub::start();
    let server = two_keys(&rig, &stub).start().await;
    let client = server.client();
    let (mark, task) = run(&client, &stub, PLAIN, Script::submits([Submit::BadKey, Submit::BadKey])).await;
    assert_eq!(failure(&task), "vendor_auth");
    assert_eq!((stub.received(&mark), stub.accepted(&mark)), (2, 0), "each key was tried once");
    let why = refusal(&client.post(IMAGE, &picture(PLAIN, "a cat")).await, 503);
    assert!(why.contains("LAB_API_KEY, LAB_API_KEY_2"), "{why}");
    let lab = provider(&client, "lab").await;
    assert_eq!((&lab["enabled"], lab["disabled_reason"].is_string()), (&json!(false), true), "{lab:#}");
}

/// With any other key, an idempotency key would absorb nothing and a search would find nothing.
async fn an_unclear_outcome_stays_with_its_key(rig: Rig) {
    let stub = Stub::start();
    let server = two_keys(&rig, &stub).start().await;
    let client = server.client();
    for model in ["lab/keyed", "lab/searchable"] {
        for submit in [Submit::ErrorAfterAccept, Submit::ResetAfterAccept, Submit::GarbageAfterAccept] {
            let (mark, task) = run(&client, &stub, model, Script::submits([submit.clone()])).await;
            assert_eq!(task["status"], "completed", "{model} {submit:?}: {task:#}");
            assert_eq!(stub.accepted(&mark), 1, "{model} {submit:?}: paid for twice");
        }
    }
    // Refused when it is repeated: that says nothing about the first time, so it waits for its key.
    for refusal in [Submit::BadKey, Submit::NoBalance] {
        let mark = stub::marker();
        stub.script(&mark, Script::submits([Submit::ErrorAfterAccept, refusal.clone()]));
        let id = client.create("image", &picture("lab/keyed", &mark)).await;
        let name = wait::until("a key set aside", SOON, || async {
            let keys = states(&provider(&client, "lab").await);
            keys.into_iter().find(|(_, state)| state == "parked").map(|(name, _)| name)
        });
        let (name, task) = (name.await, client.task(&id).await);
        assert!(task["error"].is_null() && task["attention"].is_null(), "{refusal:?}: {task:#}");
        assert_eq!((stub.received(&mark), stub.accepted(&mark)), (2, 1), "{refusal:?}");
        // Its keys were tried a moment ago.
        let try_all = || async { client.post("/api/v1/providers/lab/check", &json!({})).await.status == 200 };
        wait::until("trial of the keys", SOON, || async { try_all().await.then_some(()) }).await;
        let task = client.end_of(&id, SOON).await;
        assert_eq!(task["status"], "completed", "{refusal:?}: {task:#}");
        let account = (name == "LAB_API_KEY_2").then(|| SECOND.to_owned());
        assert_eq!(
            (stub.received(&mark), paid(&stub, &mark)),
            (3, vec![account]),
            "{refusal:?}: another key was tried"
        );
    }
    let mark = stub::marker();
    stub.script(&mark, Script::submits([Submit::ResetAfterAccept]));
    let id = client.create("image", &picture(PLAIN, &mark)).await;
    client.attention_of(&id, SOON).await;
    assert_eq!(stub.received(&mark), 1, "what may have been accepted went out with another key");
    assert_eq!(stub.violations(), Vec::<String>::new());
}

/// Starts a job with the first key and takes that key away.
async fn orphan(rig: &Rig, stub: &Stub, script: Script) -> (pixel_testkit::Server, String, String) {
    let mut server = two_keys(rig, stub).start().await;
    let (client, mark) = (server.client(), stub::marker());
    stub.script(&mark, script);
    let id = client.create("image", &picture(PLAIN, &mark)).await;
    wait::until("acceptance", SOON, || async { (stub.polls(&mark) > 0).then_some(()) }).await;
    server.relaunch(|launch| launch.env("LAB_API_KEY", "")).await;
    let waits = || async { server.logs().contains("the task waits for the key").then_some(()) };
    wait::until("word of the missing key", SOON, waits).await;
    (server, id, mark)
}

async fn a_job_waits_for_the_key_that_submitted_it(rig: Rig) {
    let stub = Stub::start();
    let (mut server, id, mark) = orphan(&rig, &stub, Script::default().polls(3)).await;
    let polls = stub.polls(&mark);
    server.relaunch(|launch| launch.env("LAB_API_KEY", stub::KEY)).await;
    let task = server.client().end_of(&id, SOON).await;
    assert_eq!(task["status"], "completed", "{task:#}");
    assert!(stub.polls(&mark) > polls && stub.accepted(&mark) == 1);
    assert_eq!(stub.violations(), Vec::<String>::new());
}

async fn a_job_whose_key_is_gone_ends_and_names_it(rig: Rig) {
    let stub = Stub::start();
    let (server, id, mark) = orphan(&rig, &stub, Script::ends([End::Never])).await;
    let task = server.client().end_of(&id, SOON).await;
    assert_eq!(failure(&task), "deadline_exceeded");
    let why = task["error"]["message"].as_str().unwrap_or_default();
    assert!(why.contains("the key in LAB_API_KEY, which is not set"), "{why}");
    assert_eq!((stub.received(&mark), stub.violations()), (1, Vec::new()), "no other key was asked");
}

async fn a_service_has_a_credential_of_its_own(rig: Rig) {
    let (stub, model) = (Stub::start(), "lab/annex");
    let mut server = rig.server().lab(&stub).start().await;
    let why = refusal(&server.client().post(IMAGE, &picture(model, "a cat")).await, 503);
    assert_eq!(why, "Set LAB_ANNEX_KEY, or LAB_ANNEX_ID and LAB_ANNEX_SECRET to enable 'lab/annex'");
    let lab = provider(&server.client(), "lab").await;
    let annex = &lab["services"][0];
    let missing = json!([["LAB_ANNEX_KEY"], ["LAB_ANNEX_ID", "LAB_ANNEX_SECRET"]]);
    assert_eq!((&annex["id"], &annex["enabled"], &annex["missing"]), (&json!("annex"), &json!(false), &missing));
    assert_eq!((&lab["enabled"], &lab["missing"]), (&json!(true), &json!([])));

    let set = |launch: Launch| launch.env("LAB_ANNEX_ID", "test-key-3").env("LAB_ANNEX_SECRET", "hunter2");
    server.relaunch(|launch| set(launch).env("LAB_API_KEY", "")).await;
    let client = server.client();
    let models = client.get("/api/v1/models").await.data();
    assert_eq!((&models["image"][model]["enabled"], &models["image"][PLAIN]["enabled"]), (&json!(true), &json!(false)));
    let (mark, task) = run(&client, &stub, model, Script::default().polls(1)).await;
    assert_eq!(task["status"], "completed", "{task:#}");
    assert_eq!((paid(&stub, &mark), stub.violations()), (vec![Some("test-key-3".to_owned())], Vec::new()));
    let annex = provider(&client, "lab").await["services"][0].clone();
    assert_eq!(annex["keys"][0]["variables"], json!(["LAB_ANNEX_ID", "LAB_ANNEX_SECRET"]), "{annex:#}");
    // A service that is refused takes no other with it.
    server.relaunch(|launch| set(launch).env("LAB_API_KEY", stub::KEY)).await;
    let client = server.client();
    let (_, task) = run(&client, &stub, model, Script::submits([Submit::BadKey])).await;
    assert_eq!(failure(&task), "vendor_auth");
    let models = client.get("/api/v1/models").await.data();
    assert_eq!((&models["image"][model]["enabled"], &models["image"][PLAIN]["enabled"]), (&json!(false), &json!(true)));
    let (_, task) = run(&client, &stub, PLAIN, Script::default()).await;
    assert_eq!(task["status"], "completed", "{task:#}");
}

/// The vendor gets a token that was made with the pair, and only its older service takes one.
async fn a_pair_of_keys_signs_every_call(rig: Rig) {
    let stub = Stub::start();
    let pair = |home: &str, secret: &str| {
        let launch = rig.replica(home).env("KLING_BASE_URL", stub.base_url("KLING_BASE_URL"));
        let launch = launch.env("PIXEL_FETCH_ALLOW", "127.0.0.1").env("PIXEL_POLL_MIN_MS", 50);
        launch.env("KLING_ACCESS_KEY", stub::KEY).env("KLING_SECRET_KEY", secret)
    };
    let server = pair("right", stub::SECRET).start().await;
    let client = server.client();
    assert_eq!(check(&client, "kling").await, pairs(&[("KLING_ACCESS_KEY", "ok")]));
    for (kind, model, list) in [("image", "kling/kling-image-v3", "images"), ("video", "kling/kling-v2-6", "videos")] {
        // Submitted, polled and fetched; then with a lost answer, which is looked up.
        for (submit, searches) in [(Submit::Accept, 0), (Submit::ResetAfterAccept, 1)] {
            let mark = stub::marker();
            stub.script(&mark, Script::submits([submit.clone()]).polls(1));
            let task = client.make(kind, &picture(model, &mark), SOON).await;
            assert_eq!(task["status"], "completed", "{model} {submit:?}: {task:#}");
            let url = task["result"][list][0]["url"].as_str().expect("a link");
            assert!(client.get(url).await.status == 200 && stub.polls(&mark) >= 2, "{model} {submit:?}");
            assert_eq!((stub.received(&mark), stub.accepted(&mark)), (1, 1), "{model} {submit:?}");
            assert!(stub.simulator().counts(Some(&mark), None).searches >= searches, "{model} {submit:?}");
        }
    }
    let models = client.get("/api/v1/models").await.data();
    assert_eq!(models["video"]["kling/kling-3.0"]["enabled"], false, "the newer service takes no token");
    assert_eq!(stub.violations(), Vec::<String>::new());
    assert!(!server.logs().contains(stub::SECRET), "the secret stands in the log");
    drop(server);

    // The access key alone is no proof: with another secret nothing is accepted.
    let server = pair("wrong", "another-secret").start().await;
    let client = server.client();
    let mark = stub::marker();
    let id = client.create("image", &picture("kling/kling-image-v3", &mark)).await;
    let task = client.end_of(&id, SOON).await;
    assert_eq!((failure(&task).as_str(), stub.accepted(&mark)), ("vendor_auth", 0), "{task:#}");
    assert_eq!(check(&client, "kling").await, pairs(&[("KLING_ACCESS_KEY", "refused")]));
    assert!(!server.logs().contains("another-secret"), "the secret stands in the log");
}

async fn providers_say_how_they_are_doing(rig: Rig) {
    let stub = Stub::start();
    let server = two_keys(&rig, &stub).vendors(&stub).env("PIXEL_LAB_CONCURRENCY", 1).start().await;
    let client = server.client();
    let host = stub.address().to_string();
    let openai = provider(&client, "openai").await;
    assert_eq!((&openai["name"], &openai["enabled"], &openai["host"]), (&json!("OpenAI"), &json!(true), &json!(host)));
    assert_eq!(openai["key_count"], 1, "{openai:#}");
    let modalities = openai["modalities"].as_array().expect("a list");
    assert!(modalities.contains(&json!("image")), "{openai:#}");
    assert_eq!((&openai["breaker"]["state"], &openai["last_error"]), (&json!("closed"), &Value::Null));
    let modelscope = provider(&client, "modelscope").await;
    assert_eq!((&modelscope["enabled"], &modelscope["missing"]), (&json!(false), &json!([["MODELSCOPE_API_KEY"]])));
    assert_eq!(modelscope["disabled_reason"], "Set MODELSCOPE_API_KEY to enable it");
    let sandbox = provider(&client, "sandbox").await;
    assert_eq!((&sandbox["enabled"], &sandbox["keys"], &sandbox["host"]), (&json!(true), &json!([]), &Value::Null));
    assert_eq!(sandbox["services"], json!([]));

    // One runs, one waits for its place.
    let mark = stub::marker();
    stub.script(&mark, Script::ends([End::Never, End::Never]));
    for _ in 0..2 {
        client.create("image", &picture(PLAIN, &mark)).await;
    }
    let queue = || async {
        let lab = provider(&client, "lab").await;
        (lab["queue"] == json!({ "pending": 1, "in_flight": 1 })).then_some(())
    };
    wait::until("one pending and one in flight", SOON, queue).await;
    let whole = client.get("/api/v1/providers").await.text();
    assert!(!whole.contains("test-key"), "a key is shown: {whole}");
}

async fn check(client: &Client, id: &str) -> Vec<(String, String)> {
    let data = client.post(&format!("/api/v1/providers/{id}/check"), &json!({})).await.data();
    let keys = data["keys"].as_array().expect("a list").clone();
    let text = |key: &Value, field: &str| key[field].as_str().expect("text").to_owned();
    assert!(keys.iter().all(|key| !text(key, "message").is_empty()), "{data:#}");
    assert!(keys.iter().all(|key| key["latency_ms"].is_u64() != (key["status"] == "cannot_be_checked")), "{data:#}");
    assert!(!data.to_string().contains("-key-"), "a key is shown: {data:#}");
    keys.iter().map(|key| (text(key, "key"), text(key, "status"))).collect()
}

async fn a_check_tells_good_keys_from_bad_ones(rig: Rig) {
    let stub = Stub::start();
    let launch = two_keys(&rig, &stub).vendors(&stub);
    let bad = ["OPENAI_API_KEY_2", "DASHSCOPE_API_KEY_2", "LAB_API_KEY_3"];
    let launch = bad.iter().fold(launch, |launch, name| launch.env(name, "no-key-at-all"));
    let server = launch.start().await;
    let client = server.client();
    for id in ["openai", "dashscope"] {
        let name = format!("{}_API_KEY", id.to_uppercase());
        let expected = [(name.clone(), "ok".to_owned()), (format!("{name}_2"), "refused".to_owned())];
        assert_eq!(check(&client, id).await, expected);
        let answer = client.post(&format!("/api/v1/providers/{id}/check"), &json!({})).await;
        refusal(&answer, 429);
        assert!(answer.header("retry-after").is_some_and(|wait| wait.parse::<u64>().is_ok_and(|wait| wait <= 5)));
        let shown = provider(&client, id).await;
        assert_eq!((&shown["keys"][1]["state"], &shown["enabled"]), (&json!("parked"), &json!(true)), "{shown:#}");
    }
    assert_eq!(check(&client, "sandbox").await, []);
    refusal(&client.post("/api/v1/providers/nobody/check", &json!({})).await, 404);
    assert_eq!(stub.received_in_all(), 0, "a trial submitted something");

    // A good key that was set aside is used again after its trial.
    let (_, task) = run(&client, &stub, PLAIN, Script::submits([Submit::BadKey])).await;
    assert_eq!(task["status"], "completed", "{task:#}");
    assert_eq!(states(&provider(&client, "lab").await)[0].1, "parked");
    let expected = [("LAB_API_KEY", "ok"), ("LAB_API_KEY_2", "ok"), ("LAB_API_KEY_3", "refused")];
    assert_eq!(check(&client, "lab").await, pairs(&expected));
    assert_eq!(states(&provider(&client, "lab").await)[0].1, "ready");
    let stored = with(picture(PLAIN, "a kite"), &json!({ "n": 1 }));
    let task = client.make("image", &stored, SOON).await;
    let url = task["result"]["images"][0]["url"].as_str().expect("a link").to_owned();
    assert!(media::png_size(&client.get(&url).await.bytes).is_some());
}

async fn every_vendor_tells_good_keys_from_bad_ones(rig: Rig) {
    let stub = Stub::start();
    let launch = rig.server().every_vendor(&stub).wrong_keys().env("PIXVERSE_API_KEY_3", stub::EMPTY_KEY);
    let server = launch.start().await;
    let client = server.client();
    let providers = client.get("/api/v1/providers").await.data();
    let ids = providers["items"].as_array().expect("a list").iter().map(|one| one["id"].as_str().expect("an id"));
    let mut tried = 0;
    for id in ids.filter(|id| *id != "sandbox") {
        let data = client.post(&format!("/api/v1/providers/{id}/check"), &json!({})).await.data();
        let keys = data["keys"].as_array().expect("a list");
        assert!(keys.len() >= 2, "{id} has a good key and a bad one: {data:#}");
        for key in keys {
            let (name, why) = (key["key"].as_str().expect("a name"), key["message"].as_str().expect("a sentence"));
            let expected = match (key["service"].as_str(), name) {
                (Some("speech"), _) => ("cannot_be_checked", "no page of the vendor says"),
                (_, "PIXVERSE_API_KEY_3") => ("refused", "has no balance or quota left"),
                (_, name) if name.ends_with("_2") => ("refused", "does not accept the configured credential"),
                _ => ("ok", "accepts the key"),
            };
            assert!(key["status"] == expected.0 && why.contains(expected.1), "{id}: {key:#}");
            tried += 1;
        }
        let shown = provider(&client, id).await;
        assert!(shown["enabled"] == true || shown["services"][0]["enabled"] == true, "{shown:#}");
    }
    assert!(tried >= 20, "only {tried} keys were tried");
    assert_eq!((stub.received_in_all(), stub.violations()), (0, Vec::new()), "a trial submitted something");
    assert!(!server.logs().contains("no-key-at-all") && !server.logs().contains(stub::KEY), "a key stands in the log");
}

async fn a_check_of_a_vendor_that_is_away_says_so(rig: Rig) {
    let stub = Stub::start();
    let server = rig.server().vendors(&stub).env("OPENAI_BASE_URL", "http://127.0.0.1:1/v1").start().await;
    let client = server.client();
    assert_eq!(check(&client, "openai").await, pairs(&[("OPENAI_API_KEY", "unreachable")]));
    let openai = provider(&client, "openai").await;
    assert_eq!((&openai["enabled"], &openai["keys"][0]["state"]), (&json!(true), &json!("ready")), "{openai:#}");
}

async fn the_doctor_tries_every_key(rig: Rig) {
    let stub = Stub::start();
    let mut command = Command::new(rig.binary());
    command.arg("doctor").env_clear().env("HOME", rig.folder()).current_dir(rig.folder()).stdin(Stdio::null());
    command.env("OPENAI_BASE_URL", stub.openai_base_url()).env("OPENAI_API_KEY", stub::KEY);
    command.env("OPENAI_API_KEY_2", "no-key-at-all").env("DASHSCOPE_API_KEY", stub::KEY);
    command.env("DASHSCOPE_BASE_URL", "http://127.0.0.1:1").env("PIXEL_LISTEN", "127.0.0.1:0");
    let output = command.output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in [
        "vendor openai: OpenAI: 2 keys set",
        "ok    key OPENAI_API_KEY: The vendor accepts the key.",
        "warn  key OPENAI_API_KEY_2: OpenAI does not accept the configured credential",
        "warn  key DASHSCOPE_API_KEY: The vendor gave no clear answer",
    ] {
        assert!(said.contains(line), "'{line}' is missing:\n{said}");
    }
    assert!(output.status.success() && !said.contains("test-key") && !said.contains("no-key-at-all"), "{said}");
}
