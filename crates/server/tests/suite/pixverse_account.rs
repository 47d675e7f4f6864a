//! PixVerse by a person's own account: the real server, a real Chromium, the simulator's pages.

use crate::{
    inputs::data_uri,
    support::{SOON, VIDEO, refusal, with},
};
use pixel_testkit::{
    Client, Rig, Screen, Script, Stub, media, on_both, on_sqlite,
    process::{Process, descendants},
    server::{Db, Launch},
    stub::{self, HOLDER, PASSWORD, Site},
    wait,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

on_both!(a_session_is_signed_in_to_and_its_secrets_stay_where_they_belong, a_token_that_expires_is_renewed_once);
on_sqlite!(
    a_page_in_another_language_waits_for_a_hand,
    a_verification_parks_the_account,
    an_eviction_is_not_fought,
    a_killed_browser_leaves_nothing_and_is_followed_by_another,
);

/// Of this test alone, so that whoever repeats them is found.
const PLANTED_KEY: &str = "planted-key-7f31c9e0a4";
const PLANTED_SEAL: &str = "planted-seal-5b02d8e61f";
const MODEL: &str = "pixverse/account-v4.5";
/// Two sign-ins are a minute apart, and a list is asked for once in ten seconds.
const LIMIT: Duration = Duration::from_secs(240);

/// Points the account way at the simulator.
fn at(launch: Launch, stub: &Stub) -> Launch {
    let launch = stub.account_urls().into_iter().fold(launch, |launch, (name, url)| launch.env(name, url));
    launch
        .env("PIXVERSE_BASE_URL", stub.base_url("PIXVERSE_BASE_URL"))
        .env("PIXVERSE_EMAIL", HOLDER)
        .env("PIXVERSE_PASSWORD", PASSWORD)
        .env("PIXEL_FETCH_ALLOW", "127.0.0.1")
        .env("PIXEL_POLL_MIN_MS", 50)
}

fn clip(prompt: &str) -> Value {
    json!({ "model": MODEL, "prompt": prompt, "duration": "5s", "resolution": "360p" })
}

/// The account's only key, as anyone may see it.
async fn key(client: &Client) -> Value {
    let data = client.get("/api/v1/providers").await.data();
    let items = data["items"].as_array().expect("a list");
    let pixverse =
        items.iter().find(|one| one["id"] == "pixverse").unwrap_or_else(|| panic!("no pixverse in {data:#}"));
    let services = pixverse["services"].as_array().expect("a list");
    let account = services.iter().find(|one| one["id"] == "account").unwrap_or_else(|| panic!("{pixverse:#}"));
    account["keys"][0].clone()
}

async fn key_that_is(client: &Client, state: &str) -> Value {
    wait::until(&format!("key that is {state}"), LIMIT, || async {
        let key = key(client).await;
        (key["state"] == state).then_some(key)
    })
    .await
}

/// Nothing is taken in for an account that waits for its holder.
async fn refused(client: &Client, body: &Value) {
    let answer = client.post(VIDEO, body).await;
    assert!(refusal(&answer, 503).contains("parked"), "{}", answer.text());
}

/// Its holder asks for a sign-in.
async fn check(client: &Client) -> Value {
    client.post("/api/v1/providers/pixverse/check", &json!({})).await.data()
}

fn why(key: &Value) -> &str {
    key["reason"].as_str().unwrap_or_else(|| panic!("no reason in {key}"))
}

/// What must stand nowhere: what the server was told, and whatever the vendor gave out.
fn secrets(stub: &Stub) -> Vec<String> {
    let mut all = stub.simulator().secrets();
    all.extend([PASSWORD, PLANTED_KEY, PLANTED_SEAL].map(str::to_owned));
    all
}

fn found<'a>(bytes: &[u8], secrets: &'a [String]) -> Vec<&'a str> {
    let holds = |secret: &&String| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
    secrets.iter().filter(holds).map(|secret| &secret[..secret.len().min(24)]).collect()
}

/// Every file below a folder: rows, sealed tokens, logs, media.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Looks at a server's children as anyone on the machine may, until it is told to stop.
struct Onlooker {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(BTreeSet<Process>, Vec<u8>)>,
}

impl Onlooker {
    fn start(server: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let own = stop.clone();
        let thread = std::thread::spawn(move || {
            let (mut known, mut shown) = (BTreeSet::new(), Vec::new());
            let words = |pid: u32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            while !own.load(Ordering::Relaxed) {
                for process in descendants(server) {
                    // Before its `exec` a child is the server itself, whose variables are its own affair.
                    if words(process.pid) == words(server) {
                        continue;
                    }
                    // A process may become another one by `exec`: its words are read each time.
                    shown.extend(process.shown());
                    known.insert(Process { state: ' ', parent: 0, ..process });
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            (known, shown)
        });
        Self { stop, thread }
    }

    fn end(self) -> (BTreeSet<Process>, Vec<u8>) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it only looks")
    }
}

async fn a_session_is_signed_in_to_and_its_secrets_stay_where_they_belong(rig: Rig) {
    let stub = Stub::start();
    let server =
        at(rig.server(), &stub).env("PIXVERSE_API_KEY", PLANTED_KEY).env("PIXEL_SECRET", PLANTED_SEAL).launch();
    let onlooker = Onlooker::start(server.pid());
    let mut server = server;
    server.wait_ready().await.unwrap_or_else(|why| panic!("{why}"));
    let client = server.client();
    let mark = stub::marker();
    let task = client.make("video", &clip(&format!("a kite {mark}")), LIMIT).await;
    let file = client.get(task["result"]["videos"][0]["url"].as_str().expect("a link")).await;
    assert_eq!(file.bytes.get(4..8), Some(&b"ftyp"[..]));
    let entry = stub.simulator().entries(Some(&mark), None)[0].clone();
    assert_eq!((entry.form.as_str(), entry.account.as_deref()), ("t2v", Some(HOLDER)));
    // With a picture: three steps, and the very bytes.
    let (pictured, picture) = (stub::marker(), media::png(640, 360, "input"));
    let more = json!({ "imageInputs": [data_uri("image/png", &picture)] });
    client.make("video", &with(clip(&pictured), &more), LIMIT).await;
    let entry = stub.simulator().entries(Some(&pictured), None)[0].clone();
    let uploads = stub.account().uploads;
    assert_eq!((entry.form.as_str(), entry.picture.as_ref()), ("i2v", uploads.first().map(|upload| &upload.path)));
    assert_eq!((uploads[0].size, uploads.len()), (picture.len(), 1));
    assert_eq!(key(&client).await["state"], "ready");
    assert_eq!((stub.sign_ins(), stub.simulator().refused_sign_ins()), (1, 0));
    // A session that ends, with a sentence that is kept.
    stub.simulator().sign_in_elsewhere(HOLDER);
    let body = clip(&stub::marker());
    client.create("video", &body).await;
    key_that_is(&client, "parked").await;
    let (seen, shown) = onlooker.end();
    assert!(seen.len() > 3, "Chromium was not seen: {seen:?}");
    let secrets = secrets(&stub);
    assert!(secrets.len() >= 6, "two tokens, rights to upload, a password, a key, a seal");
    let chromium = ["--remote-debugging-pipe".to_owned()];
    assert_eq!(found(&shown, &chromium).len(), 1, "nothing was seen of the browser");
    assert_eq!(found(&shown, &secrets), Vec::<&str>::new(), "in the list of processes");
    for path in ["/api/v1/providers", "/api/v1/tasks?limit=100", "/api/v1/models"] {
        assert_eq!(found(&client.get(path).await.bytes, &secrets), Vec::<&str>::new(), "in {path}");
    }
    assert_eq!(found(server.logs().as_bytes(), &secrets), Vec::<&str>::new(), "in the log");
    if let (Some(cluster), Db::Postgres(url)) = (&rig.cluster, rig.db()) {
        let dump = cluster.dump(url);
        assert!(dump.windows(mark.len()).any(|window| window == mark.as_bytes()), "the dump holds no task");
        assert_eq!(found(&dump, &secrets), Vec::<&str>::new(), "in the database");
    }
    server.sigterm().await;
    let files = files(rig.folder());
    assert!(files.len() > 3, "{files:?}");
    let (mut holds_task, marks) = (false, [mark]);
    for path in files {
        let bytes = std::fs::read(&path).expect("a file that is there");
        holds_task |= !found(&bytes, &marks).is_empty();
        assert_eq!(found(&bytes, &secrets), Vec::<&str>::new(), "in {}", path.display());
    }
    assert!(holds_task, "no file holds anything of the task");
    let left: Vec<_> = seen.iter().filter(|process| process.is_there()).map(Process::words).collect();
    assert_eq!(left, Vec::<String>::new(), "processes were left behind");
    assert_eq!(stub.violations(), Vec::<String>::new());
}

async fn a_token_that_expires_is_renewed_once(rig: Rig) {
    const TASKS: usize = 20;
    let stub = Stub::start();
    let server = at(rig.server(), &stub)
        .env("PIXVERSE_ACCOUNT_PARALLEL", TASKS)
        .env("PIXEL_PIXVERSE_CONCURRENCY", TASKS)
        .start()
        .await;
    let client = server.client();
    key_that_is(&client, "ready").await;
    let mark = stub::marker();
    stub.script(&mark, Script::default().polls(1_000_000));
    let mut ids = Vec::new();
    for at in 0..TASKS {
        ids.push(client.create("video", &clip(&format!("a kite {at} {mark}"))).await);
    }
    wait::until("acceptance of all", LIMIT, || async { (stub.accepted(&mark) == TASKS).then_some(()) }).await;
    let (before, begin) = (stub.lists(), Instant::now());
    wait::until("list", LIMIT, || async { (stub.lists() > before + 1).then_some(()) }).await;
    stub.simulator().expire_token(HOLDER);
    wait::until("second sign-in", LIMIT, || async { (stub.sign_ins() == 2).then_some(()) }).await;
    for job in stub.simulator().entries(Some(&mark), None) {
        stub.simulator().finish(&job.job);
    }
    for id in &ids {
        let task = client.end_of(id, LIMIT).await;
        assert_eq!(task["status"], "completed", "{task:#}");
    }
    assert_eq!((stub.sign_ins(), stub.accepted(&mark), stub.received(&mark)), (2, TASKS, TASKS));
    // One list in ten seconds serves all of them; the renewal begins a new one, and so do the ends.
    let (lists, most) = (stub.lists() - before, begin.elapsed().as_secs() / 10 + 4);
    assert!(lists <= most, "{lists} lists in {:?} for {TASKS} tasks", begin.elapsed());
}

async fn a_page_in_another_language_waits_for_a_hand(rig: Rig) {
    let stub = Stub::start();
    stub.site(Site { language: Some("ru".to_owned()), ..Site::default() });
    let mut server = at(rig.server(), &stub).start().await;
    let parked = key_that_is(&server.client(), "parked").await;
    assert!(why(&parked).contains("button") && why(&parked).contains("by hand"), "{parked}");
    let mark = stub::marker();
    refused(&server.client(), &clip(&mark)).await;
    assert_eq!((stub.sign_ins(), stub.received(&mark)), (0, 0));
    // With a window, and somebody who presses what cannot be read.
    let screen = Screen::start(rig.folder()).await;
    server.relaunch(|launch| launch.env("PIXVERSE_HEADLESS", false).env("DISPLAY", screen.display())).await;
    wait::until("sign-in", LIMIT, || async {
        // It takes no press before both fields are filled in.
        screen.press("PixVerse", 50, 75).await;
        (stub.sign_ins() == 1).then_some(())
    })
    .await;
    key_that_is(&server.client(), "ready").await;
    server.client().make("video", &clip(&mark), LIMIT).await;
    assert_eq!((stub.sign_ins(), stub.simulator().refused_sign_ins(), stub.accepted(&mark)), (1, 0, 1));
}

async fn a_verification_parks_the_account(rig: Rig) {
    let stub = Stub::start();
    stub.site(Site { verification: true, ..Site::default() });
    let server = at(rig.server(), &stub).start().await;
    let client = server.client();
    let parked = key_that_is(&client, "parked").await;
    assert!(why(&parked).contains("verification"), "{parked}");
    let mark = stub::marker();
    refused(&client, &clip(&mark)).await;
    // Nothing tries again by itself.
    assert_eq!((stub.simulator().page_loads("login"), stub.received(&mark), stub.sign_ins()), (1, 0, 0));
    // Its holder has done what was asked.
    stub.site(Site::default());
    wait::until("key that is ready after the check", LIMIT, || async {
        check(&client).await;
        (key(&client).await["state"] == "ready").then_some(())
    })
    .await;
    client.make("video", &clip(&mark), LIMIT).await;
    assert_eq!((stub.accepted(&mark), stub.sign_ins()), (1, 1));
}

async fn an_eviction_is_not_fought(rig: Rig) {
    let stub = Stub::start();
    let mut server = at(rig.server(), &stub).start().await;
    let mark = stub::marker();
    stub.script(&mark, Script::default().polls(1_000_000));
    let id = server.client().create("video", &clip(&mark)).await;
    wait::until("acceptance", LIMIT, || async { (stub.accepted(&mark) == 1).then_some(()) }).await;
    stub.simulator().sign_in_elsewhere(HOLDER);
    let parked = key_that_is(&server.client(), "parked").await;
    assert!(why(&parked).contains("elsewhere"), "{parked}");
    // Not even a new life takes it back.
    server.restart().await;
    let parked = key_that_is(&server.client(), "parked").await;
    assert!(why(&parked).contains("elsewhere"), "{parked}");
    assert_eq!(stub.sign_ins(), 1);
    stub.simulator().finish(&stub.simulator().entries(Some(&mark), None)[0].job);
    let client = server.client();
    wait::until("key that is ready after the check", LIMIT, || async {
        check(&client).await;
        (key(&client).await["state"] == "ready").then_some(())
    })
    .await;
    let task = client.end_of(&id, LIMIT).await;
    assert_eq!((&task["status"], stub.accepted(&mark)), (&json!("completed"), 1), "{task:#}");
    assert_eq!((stub.sign_ins(), stub.received(&mark)), (2, 1));
}

async fn a_killed_browser_leaves_nothing_and_is_followed_by_another(rig: Rig) {
    let stub = Stub::start();
    stub.site(Site { slow_ms: 30_000, ..Site::default() });
    let server = at(rig.server(), &stub).start().await;
    // It is at the page, which does not come.
    wait::until("load of the page", LIMIT, || async { (stub.simulator().page_loads("login") == 1).then_some(()) })
        .await;
    let below = descendants(server.pid());
    let is_main = |words: &str| words.contains("--remote-debugging-pipe") && !words.contains("--type=");
    let mut browsers = below.iter().filter(|one| is_main(&one.words()) && !one.words().contains("profile=$1"));
    browsers.next().unwrap_or_else(|| panic!("no Chromium below the server: {below:?}")).kill9();
    gone(&below).await;
    stub.site(Site { slow_ms: 30_000, ..Site::default() });
    wait::until("second load of the page", LIMIT, || async {
        (stub.simulator().page_loads("login") == 2).then_some(())
    })
    .await;
    let below = descendants(server.pid());
    // This time the process that drives it, which can tidy up nothing.
    let driver = below.iter().find(|one| one.parent == server.pid()).expect("the server has a child");
    driver.kill9();
    gone(&below).await;
    stub.site(Site::default());
    let mark = stub::marker();
    let task = server.client().make("video", &clip(&mark), LIMIT).await;
    assert_eq!((stub.accepted(&mark), stub.sign_ins()), (1, 1), "{task:#}");
    wait::until("end of all browsers", SOON, || async { descendants(server.pid()).is_empty().then_some(()) }).await;
}

/// Waits until none of them is there, not even as a zombie.
async fn gone(all: &[Process]) {
    wait::until("end of the browser's processes", SOON, || async {
        (!all.iter().any(Process::is_there)).then_some(())
    })
    .await;
}
