//! Backups beside a server that goes on paying, and what a restored server then pays for. The
//! vendor's ledger is the witness: it has seen both lives.

use crate::support::{IMAGE, SOON, picture, with};
use pixel_testkit::{
    Client, Db, Method, Rig, Script, Server, Stub, media, on_both, on_postgres, on_sqlite, seed, stub, wait,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

on_both!(
    a_restored_server_pays_for_nothing_again,
    a_backup_that_is_cut_short_is_none,
    a_restore_that_is_cut_short_is_refused_and_repeated,
    a_damaged_backup_is_refused_by_name,
    only_an_empty_place_is_restored_into,
    a_newer_schema_is_refused_by_every_command,
);
on_sqlite!(there_is_nothing_to_back_up);
on_postgres!(
    either_database_takes_the_others_backup,
    a_pause_is_seen_by_every_replica,
    a_database_that_lost_its_last_minutes_is_put_in_doubt,
);

const DASHSCOPE: &str = "dashscope/qwen-image";
const OPENAI: &str = "openai/gpt-image-2";

/// The binary with a clean environment, for a command that ends by itself.
fn pixel(rig: &Rig, db: &Db, words: &[&str]) -> Command {
    let mut command = Command::new(rig.binary());
    command.args(words).env_clear().env("HOME", rig.folder()).current_dir(rig.folder()).stdin(Stdio::null());
    if let Db::Postgres(url) = db {
        command.env("DATABASE_URL", url);
    }
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn done(mut command: Command) -> String {
    let output = command.output().expect("the binary starts");
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    text(&output)
}

fn refused(mut command: Command) -> String {
    let output = command.output().expect("the binary starts");
    assert!(!output.status.success(), "{command:?} went through: {}", text(&output));
    let said = text(&output);
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// A place for a database and its media.
pub struct Place {
    db: Db,
    data: PathBuf,
}

impl Place {
    /// Where the rig's own server works.
    pub fn first(rig: &Rig) -> Self {
        Self { db: rig.db().clone(), data: rig.folder().join("data") }
    }

    /// Another, of the same kind, with nothing in it.
    pub fn fresh(rig: &Rig, name: &str) -> Self {
        let db = rig.cluster.as_ref().map_or(Db::Sqlite, |cluster| Db::Postgres(cluster.database()));
        Self { db, data: rig.folder().join(name) }
    }

    pub fn command(&self, rig: &Rig, words: &[&str]) -> Command {
        let data = self.data.to_str().expect("a path of ours");
        pixel(rig, &self.db, &[words, &["--data", data]].concat())
    }

    pub fn backup(&self, rig: &Rig, to: &Path) -> Command {
        self.command(rig, &["backup", "--to", to.to_str().expect("a path of ours")])
    }

    pub fn restore(&self, rig: &Rig, from: &Path) -> Command {
        self.command(rig, &["restore", "--from", from.to_str().expect("a path of ours")])
    }

    pub fn serve(&self, rig: &Rig, name: &str) -> pixel_testkit::server::Launch {
        rig.replica(name).db(self.db.clone()).data(&self.data)
    }
}

/// A task, its marker, and how many submissions it may cost.
struct Asked {
    id: String,
    mark: String,
    n: usize,
}

async fn ask(client: &Client, rng: &mut fastrand::Rng) -> Option<Asked> {
    let mark = stub::marker();
    let (model, n) = match rng.u8(0..6) {
        0 => ("sandbox/painter", 1),
        1..=3 => (DASHSCOPE, rng.usize(1..3)),
        _ => (OPENAI, 1),
    };
    let mut body = json!({ "model": model, "prompt": mark, "n": n });
    if model != DASHSCOPE {
        body["resolution"] = json!("64x64");
    }
    let answer = client.try_send(Method::POST, IMAGE, &[], Some(body.to_string().into_bytes())).await.ok()?;
    Some(Asked { id: answer.data()["task_id"].as_str()?.to_owned(), mark, n })
}

async fn until_accepted(stub: &Stub, count: u64) {
    wait::until("submissions", SOON, || async { (stub.accepted_in_all() >= count).then_some(()) }).await;
}

async fn submissions(client: &Client) -> String {
    let answer = client.get("/readyz").await;
    assert_eq!(answer.status, 200, "a paused server still takes tasks");
    answer.json()["submissions"].as_str().unwrap_or_default().to_owned()
}

async fn until_submissions(client: &Client, are: &str) {
    wait::until(are, Duration::from_secs(10), || async { (submissions(client).await == are).then_some(()) }).await;
}

async fn a_restored_server_pays_for_nothing_again(rig: Rig) {
    let mut rng = fastrand::Rng::with_seed(seed("restores under load"));
    for round in 0..3 {
        restore_under_load(&rig, &mut rng, round).await;
    }
}

/// A server with a backlog is backed up, goes on, and dies; its backup comes to life elsewhere.
async fn restore_under_load(rig: &Rig, rng: &mut fastrand::Rng, round: u32) {
    let stub = Stub::start();
    let latency = Duration::from_millis(rng.u64(30..150));
    stub.by_default(Script { size: Some((64, 64)), ..Script::default().latency(latency).polls(rng.u32(0..4)) });
    let first = Place::fresh(rig, &format!("first-{round}"));
    let slow = |launch: pixel_testkit::server::Launch| {
        launch.vendors(&stub).env("PIXEL_DASHSCOPE_CONCURRENCY", 3).env("PIXEL_OPENAI_CONCURRENCY", 2)
    };
    let mut old = slow(first.serve(rig, "old")).start().await;
    let mut asked = Vec::new();
    for _ in 0..40 {
        asked.push(ask(&old.client(), rng).await.expect("the old server takes tasks"));
    }
    until_accepted(&stub, rng.u64(3..12)).await;

    let to = rig.folder().join(format!("backup-{round}"));
    let said = done(first.backup(rig, &to));
    assert!(said.contains("is complete"), "{said}");
    // The old server goes on paying, and then it is gone.
    let seen = stub.accepted_in_all();
    let late = ask(&old.client(), rng).await.expect("the old server takes tasks");
    until_accepted(&stub, seen + rng.u64(5..12)).await;
    old.kill9();
    let (paid, before) = (stub.accepted_in_all(), asked.iter().map(|one| stub.accepted(&one.mark)).collect::<Vec<_>>());

    let second = Place::fresh(rig, &format!("second-{round}"));
    let said = done(second.restore(rig, &to));
    assert!(said.contains("Submissions are paused"), "{said}");
    let new = slow(second.serve(rig, "new")).start().await;
    let client = new.client();
    is_paused(&new, &stub, rng).await;
    assert_eq!(stub.accepted_in_all(), paid, "a paused server paid");
    assert_eq!(client.get(&format!("/api/v1/tasks/{}", late.id)).await.status, 404, "it came after the backup");

    let said = done(second.command(rig, &["resume"]));
    assert!(said.contains("are resumed"), "{said}");
    until_submissions(&client, "open").await;
    let ended = judge(&client, &stub, &asked).await;
    assert!(stub.accepted(&late.mark) <= late.n, "{}", late.mark);
    let held = ended.iter().filter(|task| task["attention"].is_object()).count();
    assert!(held > 0, "nothing was in doubt: the load was too small to prove anything");
    assert!(media::check_objects(&second.data.join("blobs")) > 0);
    // Both answers of a person are still to be had, and new tasks are as ever.
    decide(&client, &stub, &asked, &before, &ended).await;
    client.make("image", &with(picture(OPENAI, "afterwards"), &json!({ "resolution": "64x64" })), SOON).await;
}

/// What is free goes on, what costs waits, and everybody can see it.
async fn is_paused(server: &Server, stub: &Stub, rng: &mut fastrand::Rng) {
    let client = server.client();
    assert_eq!(submissions(&client).await, "paused");
    let since = client.get("/readyz").await.json()["paused_since"].as_str().map(str::to_owned);
    assert!(since.is_some_and(|since| since.ends_with('Z')));
    assert!(server.stderr().contains("SUBMISSIONS ARE PAUSED"), "the log is silent");
    assert!(client.get("/metrics").await.text().contains("pixel_submissions_paused 1"), "the gauge is silent");
    let mark = stub::marker();
    let waits = client.create("image", &picture(DASHSCOPE, &mark)).await;
    for _ in 0..3 {
        client.make("image", &with(picture("sandbox/painter", "free"), &json!({ "seed": rng.u32(..) })), SOON).await;
    }
    let task = client.task(&waits).await;
    assert_eq!((&task["status"], stub.received(&mark)), (&json!("pending"), 0), "{task:#}");
    let says = |task: &Value| task["warnings"].to_string().contains("paused");
    assert!(says(&task), "the task does not say what it waits for: {task:#}");
    let list = client.get("/api/v1/tasks?status=pending&limit=1").await.data();
    assert!(says(&list["items"][0]), "{list:#}");
}

/// Every task of the snapshot ends or is held, none was paid more often than it may, and what is
/// stored is what was announced.
async fn judge(client: &Client, stub: &Stub, asked: &[Asked]) -> Vec<Value> {
    let mut ended = Vec::new();
    for Asked { id, mark, n } in asked {
        let task = client.rest_of(id, SOON).await;
        assert!(!task["warnings"].to_string().contains("paused"), "{task:#}");
        if task["attention"].is_object() {
            let reason = task["attention"]["reason"].as_str().unwrap_or_default();
            let is_explained = reason.contains("restored from a backup") || reason.contains("on its way");
            assert!(is_explained, "{task:#}");
        }
        assert_ne!(task["status"], "failed", "nothing here may fail: {task:#}");
        for image in task["result"]["images"].as_array().into_iter().flatten() {
            let file = client.get(image["url"].as_str().expect("an address")).await;
            let hash = image["sha256"].as_str().expect("a hash");
            assert_eq!((file.status, media::sha256_hex(&file.bytes).as_str()), (200, hash));
        }
        assert!(stub.accepted(mark) <= *n, "{mark} was paid {} times for {n} results ({id})", stub.accepted(mark));
        ended.push(task);
    }
    // Once all is at rest, so is the ledger.
    for Asked { id, mark, n } in asked {
        assert!(stub.accepted(mark) <= *n, "{mark} was paid {} times for {n} results ({id})", stub.accepted(mark));
    }
    let held = ended.iter().filter(|task| task["attention"].is_object()).count();
    eprintln!("{} tasks: {} held, the others completed", ended.len(), held);
    ended
}

/// One that the old server never sent is sent by whoever decides so, and another is given up.
async fn decide(client: &Client, stub: &Stub, asked: &[Asked], before: &[usize], ended: &[Value]) {
    let held = |at: &usize| ended[*at]["attention"].is_object() && asked[*at].n == 1;
    let mut held = (0..asked.len()).filter(held);
    if let Some(at) = held.next() {
        client.resolve(&asked[at].id, "pay_again").await;
        assert_eq!(client.end_of(&asked[at].id, SOON).await["status"], "completed");
        assert_eq!(stub.accepted(&asked[at].mark), before[at] + 1);
    }
    if let Some(at) = held.next() {
        client.resolve(&asked[at].id, "lost").await;
        assert_eq!(client.end_of(&asked[at].id, SOON).await["error"]["code"], "submit_lost");
    }
}

/// A server with a few finished tasks, stopped in good order.
async fn filled(rig: &Rig) -> (Place, Vec<Value>) {
    let place = Place::first(rig);
    let mut server = rig.server().start().await;
    let mut made = Vec::new();
    for seed in 0..4 {
        let body = with(picture("sandbox/painter", "a cat"), &json!({ "resolution": "64x64", "seed": seed }));
        made.push(server.client().make("image", &body, SOON).await);
    }
    server.sigterm().await;
    (place, made)
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts")
}

async fn a_backup_that_is_cut_short_is_none(rig: Rig) {
    let (place, _) = filled(&rig).await;
    let (to, partial) = (rig.folder().join("backup"), rig.folder().join("backup.partial"));
    let mut cut = 0;
    // A backup of so little takes milliseconds: now and then the kill comes too late.
    for _ in 0..50 {
        let mut child = start(place.backup(&rig, &to));
        // Without a pause between looks: there are milliseconds to meet.
        while !partial.join("rows").exists() && !to.exists() {
            assert!(child.try_wait().expect("a child can be asked").is_none_or(|status| status.success()));
        }
        child.kill().expect("a child can be killed");
        child.wait().expect("a killed child ends");
        if to.exists() {
            fs::remove_dir_all(&to).expect("a backup can be removed");
            continue;
        }
        cut += 1;
        let said = refused(Place::fresh(&rig, "other").restore(&rig, &partial));
        assert!(said.contains("is not a whole backup"), "{said}");
        if cut == 3 {
            break;
        }
    }
    assert_eq!(cut, 3, "no backup was cut short");
    done(place.backup(&rig, &to));
    assert!(!partial.exists(), "what was left behind is taken over");
    let said = refused(place.backup(&rig, &to));
    assert!(said.contains("is there already") && said.contains("--to"), "{said}");
}

/// Puts a pipe in the place of one file of a backup: whoever reads it waits.
fn block(file: &Path) {
    fs::remove_file(file).expect("the file is there");
    let made = Command::new("mkfifo").arg(file).status().expect("mkfifo starts");
    assert!(made.success());
}

fn a_blob(backup: &Path) -> PathBuf {
    let mut folders = fs::read_dir(backup.join("blobs")).expect("a backup has media");
    let folder = folders.next().expect("a backup has media").expect("a folder can be read").path();
    fs::read_dir(folder).expect("a folder").next().expect("a file").expect("a folder can be read").path()
}

async fn a_restore_that_is_cut_short_is_refused_and_repeated(rig: Rig) {
    let (place, made) = filled(&rig).await;
    let (to, second) = (rig.folder().join("backup"), Place::fresh(&rig, "second"));
    done(place.backup(&rig, &to));
    let blob = a_blob(&to);
    let bytes = fs::read(&blob).expect("a file can be read");
    block(&blob);
    let mut child = start(second.restore(&rig, &to));
    let begun = wait::blocking(SOON, || second.data.join("restoring").exists().then_some(()));
    assert!(begun.is_some(), "the restore has not begun");
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child ends");

    for said in [
        second.serve(&rig, "early").start_refused().await.1,
        refused(second.command(&rig, &["resume"])),
        refused(second.backup(&rig, &rig.folder().join("never"))),
    ] {
        assert!(said.contains("did not finish") && said.contains("pixel restore"), "{said}");
    }
    fs::remove_file(&blob).expect("the pipe is there");
    fs::write(&blob, bytes).expect("a file can be written");
    done(second.restore(&rig, &to));
    let server = second.serve(&rig, "late").start().await;
    for task in made {
        let again = server.client().task(task["id"].as_str().expect("an id")).await;
        assert_eq!(again["result"]["images"][0]["sha256"], task["result"]["images"][0]["sha256"]);
        let hash = again["result"]["images"][0]["sha256"].as_str().expect("a hash").to_owned();
        let file = server.client().get(again["result"]["images"][0]["url"].as_str().expect("an address")).await;
        assert_eq!(media::sha256_hex(&file.bytes), hash);
    }
}

async fn a_damaged_backup_is_refused_by_name(rig: Rig) {
    let (place, _) = filled(&rig).await;
    let to = rig.folder().join("backup");
    done(place.backup(&rig, &to));
    let blob = a_blob(&to);
    for (at, file) in [blob, to.join("rows/tasks.jsonl"), to.join("media.jsonl")].iter().enumerate() {
        let whole = fs::read(file).expect("a file can be read");
        let mut bad = whole.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        // A file of the store may be the same file as the backup's: it is replaced, not changed.
        for (case, bytes) in [Some(bad), Some(whole[..middle].to_vec()), None].into_iter().enumerate() {
            fs::remove_file(file).expect("the file is there");
            if let Some(bytes) = &bytes {
                fs::write(file, bytes).expect("a file can be written");
            }
            let second = Place::fresh(&rig, &format!("second-{at}-{case}"));
            let said = refused(second.restore(&rig, &to));
            assert!(said.contains("damaged") && said.contains(&name), "{said}");
            if second.data.join("restoring").exists() {
                let (_, said) = second.serve(&rig, "early").start_refused().await;
                assert!(said.contains("did not finish"), "{said}");
            }
            if bytes.is_none() {
                fs::write(file, &whole).expect("a file can be written");
            }
        }
    }
    fs::remove_file(to.join("backup.json")).expect("the file is there");
    let said = refused(Place::fresh(&rig, "third").restore(&rig, &to));
    assert!(said.contains("is not a whole backup"), "{said}");
}

async fn only_an_empty_place_is_restored_into(rig: Rig) {
    let (place, _) = filled(&rig).await;
    let to = rig.folder().join("backup");
    done(place.backup(&rig, &to));
    let said = refused(place.restore(&rig, &to));
    assert!(said.contains("is not empty") && said.contains("--data"), "{said}");
    let second = Place::fresh(&rig, "second");
    fs::create_dir(&second.data).expect("a folder can be made");
    fs::write(second.data.join("notes.txt"), "mine").expect("a file can be written");
    let said = refused(second.restore(&rig, &to));
    assert!(said.contains("is not empty"), "{said}");
    assert_eq!(fs::read(second.data.join("notes.txt")).expect("it is untouched"), b"mine");
    if !rig.is_sqlite() {
        let other = Place { db: place.db, data: rig.folder().join("third") };
        let said = refused(other.restore(&rig, &to));
        assert!(said.contains("holds tasks or media already") && said.contains("DATABASE_URL"), "{said}");
    }
    fs::remove_file(second.data.join("notes.txt")).expect("the file is there");
    done(second.restore(&rig, &to));
    let said = refused(second.restore(&rig, &to));
    assert!(said.contains("is not empty"), "a restore that is done is not repeated: {said}");
}

/// What a later version leaves behind when it has changed the schema.
const LATER: &str = "INSERT INTO _sqlx_migrations (version, description, success, execution_time, checksum) VALUES ";

async fn make_newer(rig: &Rig, place: &Place) {
    match (&place.db, &rig.cluster) {
        (Db::Postgres(url), Some(cluster)) => {
            cluster.query(url, &format!("{LATER} (9999, 'later', true, 0, '\\x00')"));
        }
        _ => {
            let url = format!("sqlite://{}", place.data.join("pixel.db").display());
            let mut conn = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.expect("the file opens");
            let sql = sqlx::AssertSqlSafe(format!("{LATER} (9999, 'later', true, 0, x'00')"));
            sqlx::query(sql).execute(&mut conn).await.expect("the row is written");
            sqlx::Connection::close(conn).await.expect("the file closes");
        }
    }
}

async fn a_newer_schema_is_refused_by_every_command(rig: Rig) {
    let (place, _) = filled(&rig).await;
    let to = rig.folder().join("backup");
    done(place.backup(&rig, &to));
    make_newer(&rig, &place).await;
    for said in [
        rig.replica("older").start_refused().await.1,
        refused(place.backup(&rig, &rig.folder().join("never"))),
        refused(place.command(&rig, &["resume"])),
        refused(place.command(&rig, &["pause"])),
    ] {
        assert!(said.contains("newer version of Pixel") && said.contains("9999"), "{said}");
    }
    assert!(!rig.folder().join("never").exists());
    let manifest = fs::read_to_string(to.join("backup.json")).expect("a manifest");
    let schema = serde_json::from_str::<Value>(&manifest).expect("JSON")["schema"].to_string();
    let later = manifest.replace(&format!("\"schema\": {schema}"), "\"schema\": 9999");
    assert_ne!(later, manifest);
    fs::write(to.join("backup.json"), later).expect("a file can be written");
    let said = refused(Place::fresh(&rig, "second").restore(&rig, &to));
    assert!(said.contains("newer version of Pixel") && said.contains("9999"), "{said}");
}

async fn there_is_nothing_to_back_up(rig: Rig) {
    let nowhere = Place { db: Db::Sqlite, data: rig.folder().join("nowhere") };
    for command in [nowhere.backup(&rig, &rig.folder().join("backup")), nowhere.command(&rig, &["resume"])] {
        let said = refused(command);
        assert!(said.contains("no Pixel database") && said.contains("--data"), "{said}");
    }
    assert!(!nowhere.data.exists() && !rig.folder().join("backup").exists());
    let said = refused(nowhere.restore(&rig, &rig.folder().join("backup")));
    assert!(said.contains("there is no such folder"), "{said}");
}

async fn either_database_takes_the_others_backup(rig: Rig) {
    let (postgres, made) = filled(&rig).await;
    let sqlite = Place { db: Db::Sqlite, data: rig.folder().join("sqlite") };
    let (out, back) = (rig.folder().join("out"), rig.folder().join("back"));
    done(postgres.backup(&rig, &out));
    done(sqlite.restore(&rig, &out));
    done(sqlite.backup(&rig, &back));
    let third = Place::fresh(&rig, "third");
    done(third.restore(&rig, &back));
    // Only what a restore changes has changed on the way there and back.
    for table in ["tasks", "media", "attempts"] {
        let sorted = |folder: &Path| {
            let text = fs::read_to_string(folder.join(format!("rows/{table}.jsonl"))).expect("rows");
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&out), sorted(&back), "{table}");
    }
    for place in [sqlite, third] {
        let server = place.serve(&rig, "server").start().await;
        for task in &made {
            let again = server.client().task(task["id"].as_str().expect("an id")).await;
            assert_eq!(again["result"]["images"][0]["sha256"], task["result"]["images"][0]["sha256"]);
        }
    }
}

async fn a_pause_is_seen_by_every_replica(rig: Rig) {
    let stub = Stub::start();
    let place = Place::first(&rig);
    let replica = |name: &str| rig.replica(name).vendors(&stub).start();
    let (first, second) = (replica("first").await, replica("second").await);
    let said = done(place.command(&rig, &["resume"]));
    assert!(said.contains("not paused"), "{said}");
    done(place.command(&rig, &["pause"]));
    let mut waiting = Vec::new();
    for server in [&first, &second] {
        let mark = stub::marker();
        // At once: the database itself admits nothing, whatever a replica has seen of it.
        waiting.push((server.client().create("image", &picture(DASHSCOPE, &mark)).await, mark));
        until_submissions(&server.client(), "paused").await;
    }
    let said = done(place.command(&rig, &["resume", "--dry-run"]));
    assert!(said.contains("2 tasks wait to be submitted; 0 are in doubt"), "{said}");
    assert_eq!((submissions(&first.client()).await.as_str(), stub.accepted_in_all()), ("paused", 0));
    done(place.command(&rig, &["resume"]));
    for (id, mark) in waiting {
        assert_eq!(first.client().end_of(&id, SOON).await["status"], "completed");
        assert_eq!(stub.received(&mark), 1);
    }
    until_submissions(&second.client(), "open").await;
}

/// A replica that took over without the last writes looks as a restored backup does.
async fn a_database_that_lost_its_last_minutes_is_put_in_doubt(rig: Rig) {
    let stub = Stub::start();
    let place = Place::first(&rig);
    let cluster = rig.cluster.as_ref().expect("a test on PostgreSQL has a cluster");
    done_serving_once(&rig).await;
    let (Db::Postgres(url), lagging) = (&place.db, cluster.database()) else { panic!("a test on PostgreSQL") };
    let copied = |from: &str, to: &str| {
        let name = |url: &str| url.rsplit('/').next().unwrap_or_default().to_owned();
        // A template copy is what a replica is: every byte of another moment.
        cluster.query(to.replace(&name(to), "postgres").as_str(), &format!("drop database {}", name(to)));
        cluster.query(
            to.replace(&name(to), "postgres").as_str(),
            &format!("create database {} template {}", name(to), name(from)),
        );
    };
    done(place.command(&rig, &["pause"]));
    let mut server = rig.server().vendors(&stub).start().await;
    let mark = stub::marker();
    let id = server.client().create("image", &picture(DASHSCOPE, &mark)).await;
    server.sigterm().await;
    copied(url, &lagging);
    done(place.command(&rig, &["resume"]));
    server.restart().await;
    assert_eq!(server.client().end_of(&id, SOON).await["status"], "completed");
    server.sigterm().await;

    let after = Place { db: Db::Postgres(lagging), data: place.data.clone() };
    let said = done(after.command(&rig, &["pause", "--in-doubt"]));
    assert!(said.contains("1 live tasks may have been submitted"), "{said}");
    let server = after.serve(&rig, "after").vendors(&stub).start().await;
    done(after.command(&rig, &["resume"]));
    let task = server.client().attention_of(&id, SOON).await;
    assert!(task["attention"]["reason"].as_str().is_some_and(|why| why.contains("restored")), "{task:#}");
    assert_eq!(stub.received(&mark), 1);
}

/// A database that has its tables.
async fn done_serving_once(rig: &Rig) {
    let mut server = rig.server().start().await;
    server.sigterm().await;
}
