//! Somebody's own account: signed in to by a real browser, renewed while its tasks run, parked when
//! somebody else wants it, and nothing of it ever shown.

use crate::support::{SOON, VIDEO, refusal, with};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use pixel_testkit::{
    Client, Rig, Script, Server, Stub, media, on_both, on_sqlite,
    server::{Db, Launch},
    stub::{self, Site},
    wait,
};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

on_both!(twenty_tasks_outlive_their_session, mobile_apps_reach_the_account);
on_sqlite!(
    a_browser_signs_in_once_and_a_picture_becomes_a_clip,
    a_sign_in_elsewhere_parks_the_account_until_its_holder_agrees,
    what_wants_to_see_a_person_parks_the_account,
    an_account_has_as_many_places_as_it_is_given,
    without_an_account_nothing_is_on,
);

const MODEL: &str = "pixverse/account-v4.5";
/// Of this test alone, so that whoever repeats it is found.
const SEAL: &str = "planted-secret-0123456789";

fn account(rig: &Rig, stub: &Stub) -> Launch {
    let urls = stub.account_urls().into_iter();
    let launch = urls.fold(rig.server(), |launch, (name, url)| launch.env(name, url));
    launch
        .env("PIXVERSE_BASE_URL", stub.base_url("PIXVERSE_BASE_URL"))
        .env("PIXEL_SECRET", SEAL)
        .env("PIXEL_FETCH_ALLOW", "127.0.0.1")
        .env("PIXEL_POLL_MIN_MS", "200")
}

fn with_password(launch: Launch) -> Launch {
    launch.env("PIXVERSE_EMAIL", stub::HOLDER).env("PIXVERSE_PASSWORD", stub::PASSWORD)
}

/// Signs in as somebody would by hand, and copies the token.
async fn signed_in(stub: &Stub) -> String {
    let client = Client::new(&stub.base_url("PIXVERSE_BASE_URL"));
    let body = json!({ "Username": stub::HOLDER, "Password": stub::PASSWORD }).to_string();
    let headers = [("x-platform", "Web"), ("content-type", "application/json")];
    let path = "/creative_platform/login";
    let answer = client.send(pixel_testkit::Method::POST, path, &headers, Some(body.into())).await.json();
    answer["Resp"]["Result"]["Token"].as_str().unwrap_or_else(|| panic!("no token in {answer}")).to_owned()
}

fn clip(mark: &str) -> Value {
    json!({ "model": MODEL, "prompt": format!("waves {mark}"), "duration": "5s" })
}

async fn standing(client: &Client) -> (String, String) {
    let data = client.get("/api/v1/providers").await.data();
    let all = data["items"].as_array().expect("a list").iter();
    let own = all.filter(|one| one["id"] == "pixverse").flat_map(|one| one["services"].as_array().expect("a list"));
    let key = own.map(|service| &service["keys"][0]).next().expect("an account").clone();
    let text = |field: &str| key[field].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

async fn stands(client: &Client, state: &str) -> String {
    let look = || async {
        let (now, why) = standing(client).await;
        (now == state).then_some(why)
    };
    wait::until(state, SOON, look).await
}

/// Everything that the database holds, and the logs.
fn kept(rig: &Rig, server: &Server) -> Vec<u8> {
    let mut all = server.logs().into_bytes();
    match rig.db() {
        Db::Sqlite => {
            for entry in std::fs::read_dir(server.data()).expect("the data folder") {
                let path = entry.expect("an entry").path();
                if path.is_file() {
                    all.extend(std::fs::read(path).expect("a file"));
                }
            }
        }
        Db::Postgres(url) => {
            let dump = Command::new("pg_dump").arg(url).stderr(Stdio::inherit()).output().expect("pg_dump runs");
            assert!(dump.status.success());
            all.extend(dump.stdout);
        }
    }
    all
}

fn nothing_shows(rig: &Rig, server: &Server, secrets: &[&str]) {
    let all = kept(rig, server);
    for secret in secrets {
        assert!(secret.len() > 8, "'{secret}' proves nothing");
        let found = all.windows(secret.len()).any(|piece| piece == secret.as_bytes());
        assert!(!found, "a secret of the account was written down");
    }
    assert!(all.windows(14).any(|piece| piece == b"PIXVERSE_EMAIL"), "nothing was looked at");
}

/// The words and the variables of every process that is not the test's own.
fn processes() -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("processes").flatten() {
        all.extend(std::fs::read(entry.path().join("cmdline")).unwrap_or_default());
    }
    all
}

async fn twenty_tasks_outlive_their_session(rig: Rig) {
    let stub = Stub::start();
    let token = signed_in(&stub).await;
    let server = with_password(account(&rig, &stub))
        .env("PIXVERSE_TOKEN", &token)
        .env("PIXVERSE_ACCOUNT_PARALLEL", 20)
        .env("PIXEL_PIXVERSE_CONCURRENCY", 20)
        .start()
        .await;
    let client = server.client();
    stands(&client, "ready").await;
    assert_eq!(stub.sign_ins(), 1, "a pasted token needs no browser");
    let mark = stub::marker();
    stub.script(&mark, Script::default().polls(12));
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(client.create("video", &clip(&mark)).await);
    }
    let all_run = || async { (stub.accepted(&mark) == 20).then_some(()) };
    wait::until("all twenty run", SOON, all_run).await;
    stub.simulator().expire_token(stub::HOLDER);
    for id in &ids {
        let task = client.end_of(id, SOON * 2).await;
        assert_eq!(task["status"], "completed", "{task:#}");
    }
    assert_eq!((stub.sign_ins(), stub.accepted(&mark), stub.received(&mark)), (2, 20, 20), "one sign-in for all");
    let (lists, rows) = (stub.lists(), stub.polls(&mark) as u64);
    assert!(lists * 5 < rows, "{lists} lists told {rows} times how a clip stands");
    assert_eq!(stub.violations(), Vec::<String>::new());
    nothing_shows(&rig, &server, &[stub::PASSWORD, SEAL, &token, token.rsplit('.').next().unwrap_or_default()]);
}

/// The key goes first, unless the app's setting says otherwise; without a key the account answers.
async fn mobile_apps_reach_the_account(rig: Rig) {
    let stub = Stub::start();
    let token = signed_in(&stub).await;
    let file = rig.folder().join("apps.toml");
    std::fs::write(&file, "[pixverse.apps.\"com.example.own\"]\nway = \"account\"\n").expect("a file");
    let launch = account(&rig, &stub).env("PIXVERSE_TOKEN", &token).env("PIXVERSE_API_KEY", stub::KEY);
    let mut server = launch.arg("--config").arg(&file).start().await;
    stands(&server.client(), "ready").await;
    let form_of = |mark: String| stub.simulator().entries(Some(&mark), None)[0].form.clone();
    let by_key = video(&server.client(), "com.example.any").await;
    let by_account = video(&server.client(), "com.example.own").await;
    assert_ne!(form_of(by_key), "t2v", "the platform's key goes first");
    assert_eq!(form_of(by_account), "t2v", "the app's setting says so");
    server.relaunch(|launch| launch.env("PIXVERSE_API_KEY", "")).await;
    stands(&server.client(), "ready").await;
    let by_account = video(&server.client(), "com.example.any").await;
    assert_eq!(form_of(by_account), "t2v", "there is no key");
    assert_eq!(stub.violations(), Vec::<String>::new());
}

/// A clip for a mobile app, until its address is told; the mark of its prompt.
async fn video(client: &Client, app: &str) -> String {
    let mark = stub::marker();
    let body = json!({ "prompt": format!("waves {mark}"), "app_bundle_id": app, "apphud_user_id": "u1" });
    let made = client.post("/text2video", &body).await.json();
    let number = made["video_id"].as_i64().unwrap_or_else(|| panic!("no number: {made}"));
    let path = format!("/get_status?video_id={number}&app_bundle_id={app}&apphud_user_id=u1");
    let url = wait::until("the clip's address", SOON * 2, || async {
        client.get(&path).await.json()["url"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(client.get(&url).await.bytes.get(4..8), Some(&b"ftyp"[..]));
    mark
}

async fn a_browser_signs_in_once_and_a_picture_becomes_a_clip(rig: Rig) {
    let stub = Stub::start();
    let mut server = with_password(account(&rig, &stub)).start().await;
    let client = server.client();
    let mut shown = Vec::new();
    let look = || {
        shown.extend(processes());
        let client = client.clone();
        async move { (standing(&client).await.0 == "ready").then_some(()) }
    };
    wait::until("the browser has signed in", SOON, look).await;
    let has = |what: &str| shown.windows(what.len()).any(|piece| piece == what.as_bytes());
    assert!(has("browser") && !has(stub::PASSWORD), "a list of processes shows the password");
    let mark = stub::marker();
    let picture = format!("data:image/png;base64,{}", STANDARD.encode(media::png(640, 360, "a wave")));
    let body = with(clip(&mark), &json!({ "imageInputs": [picture] }));
    let task = client.make("video", &body, SOON).await;
    assert_eq!(task["status"], "completed", "{task:#}");
    assert_eq!((stub.account().uploads.len(), stub.sign_ins()), (1, 1));
    // The session is kept over a restart.
    server.restart().await;
    let task = server.client().make("video", &clip(&stub::marker()), SOON).await;
    assert_eq!((&task["status"], stub.sign_ins()), (&json!("completed"), 1), "{task:#}");
    assert!(server.logs().contains("unofficial"), "the notice stands in the log");
    assert_eq!(stub.violations(), Vec::<String>::new());
    nothing_shows(&rig, &server, &[stub::PASSWORD, SEAL]);
}

async fn a_sign_in_elsewhere_parks_the_account_until_its_holder_agrees(rig: Rig) {
    let stub = Stub::start();
    let token = signed_in(&stub).await;
    let mut server = with_password(account(&rig, &stub)).env("PIXVERSE_TOKEN", &token).start().await;
    let client = server.client();
    stands(&client, "ready").await;
    let mark = stub::marker();
    stub.script(&mark, Script::default().polls(5));
    let id = client.create("video", &clip(&mark)).await;
    let runs = || async { (stub.accepted(&mark) == 1).then_some(()) };
    wait::until("it runs", SOON, runs).await;
    stub.simulator().sign_in_elsewhere(stub::HOLDER);
    let why = stands(&client, "parked").await;
    assert!(why.contains("signed in elsewhere"), "{why}");
    let refused = refusal(&client.post(VIDEO, &clip(&mark)).await, 503);
    assert!(refused.contains("parked"), "{refused}");
    server.restart().await;
    let client = server.client();
    stands(&client, "parked").await;
    let mut command = Command::new(rig.binary());
    let doctor = run_doctor(command.arg("doctor").arg("--data").arg(server.data()), &stub);
    assert!(doctor.contains("account PIXVERSE_EMAIL: parked (evicted)"), "{doctor}");
    assert_eq!((stub.sign_ins(), client.task(&id).await["status"].clone()), (1, json!("processing")), "not fought");
    let checked = client.post("/api/v1/providers/pixverse/check", &json!({})).await.data();
    assert_eq!(checked["keys"][0]["status"], "ok", "{checked:#}");
    let task = client.end_of(&id, SOON).await;
    assert_eq!((&task["status"], stub.sign_ins()), (&json!("completed"), 2), "{task:#}");
    nothing_shows(&rig, &server, &[stub::PASSWORD, SEAL, &token]);
}

fn run_doctor(command: &mut Command, stub: &Stub) -> String {
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("PIXVERSE_EMAIL", stub::HOLDER).env("PIXVERSE_PASSWORD", stub::PASSWORD);
    command.env("PIXVERSE_BASE_URL", stub.base_url("PIXVERSE_BASE_URL"));
    let output = command.output().expect("the doctor comes");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn what_wants_to_see_a_person_parks_the_account(rig: Rig) {
    let stub = Stub::start();
    stub.site(Site { verification: true, ..Site::default() });
    let server = with_password(account(&rig, &stub)).start().await;
    let why = stands(&server.client(), "parked").await;
    assert!(why.contains("needs its holder"), "{why}");
    assert_eq!(server.logs().matches("ACCOUNT PARKED").count(), 1, "said loudly, and once");
    assert_eq!(stub.sign_ins(), 0);
    nothing_shows(&rig, &server, &[stub::PASSWORD, SEAL]);
    drop(server);

    let edge = Stub::start();
    let token = signed_in(&edge).await;
    let server = account(&rig, &edge).env("PIXVERSE_TOKEN", &token).start().await;
    let client = server.client();
    stands(&client, "ready").await;
    edge.site(Site { edge: true, ..Site::default() });
    let id = client.create("video", &clip(&stub::marker())).await;
    let why = stands(&client, "parked").await;
    assert!(why.contains("wants to see a person"), "{why}");
    edge.site(Site::default());
    let checked = client.post("/api/v1/providers/pixverse/check", &json!({})).await.data();
    assert_eq!(checked["keys"][0]["status"], "ok", "{checked:#}");
    let task = client.end_of(&id, SOON).await;
    assert_eq!(task["status"], "completed", "{task:#}");
}

async fn an_account_has_as_many_places_as_it_is_given(rig: Rig) {
    let stub = Stub::start();
    let token = signed_in(&stub).await;
    let server = account(&rig, &stub).env("PIXVERSE_TOKEN", &token).env("PIXEL_PIXVERSE_CONCURRENCY", 9).start().await;
    let client = server.client();
    stands(&client, "ready").await;
    // One more at once would be refused.
    stub.site(Site { at_once: 2, ..Site::default() });
    let mark = stub::marker();
    stub.script(&mark, Script::default().polls(3));
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(client.create("video", &clip(&mark)).await);
    }
    for id in &ids {
        let task = client.end_of(id, SOON).await;
        assert_eq!(task["status"], "completed", "{task:#}");
    }
    assert_eq!((stub.received(&mark), stub.accepted(&mark)), (6, 6), "two at a time, by default");
}

async fn without_an_account_nothing_is_on(rig: Rig) {
    let stub = Stub::start();
    let server = account(&rig, &stub).env("PIXVERSE_API_KEY", stub::KEY).start().await;
    let client = server.client();
    let why = refusal(&client.post(VIDEO, &clip("x")).await, 503);
    assert!(why.contains("PIXVERSE_EMAIL and PIXVERSE_PASSWORD, or EMAIL and PASSWORD, or PIXVERSE_TOKEN"), "{why}");
    assert!(!server.data().join("accounts.key").exists() && !server.logs().contains("unofficial"));
    let id = client.create("video", &with(clip("x"), &json!({ "model": "pixverse/v4.5" }))).await;
    assert_eq!(client.end_of(&id, SOON).await["status"], "completed");
}
