//! Disks that are full, read-only or broken, at every place that writes: while a task is taken, and
//! while one is worked on. The server says so, loses nothing, pays nothing twice, and goes on by
//! itself when the disk is well again.

use crate::{
    judge,
    load::Asked,
    tally::Tally,
    vendors::{Model, Outcome, PAID, SANDBOX},
    witness,
    world::World,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use pixel_testkit::{
    Client, Rig, Server,
    disk::{Disk, Failing},
    media, on_sqlite, wait,
};
use serde_json::json;
use std::time::{Duration, Instant};

on_sqlite!(
    disk_faults_while_a_task_is_taken,
    disk_faults_while_a_task_is_worked_on,
    a_start_on_a_read_only_disk_is_refused,
);

const DATA_BYTES: u64 = 24 << 20;
const BLOBS_BYTES: u64 = 8 << 20;
/// How long an effect, and a recovery, may take.
const SOON: Duration = Duration::from_secs(20);

/// What is wrong with the disk.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// No room for the database.
    DataFull,
    /// No room for media.
    BlobsFull,
    BlobsReadOnly,
    /// These calls fail with this error; with `true` only those on the database's log.
    Calls(&'static str, &'static str, bool),
}

const RENAME: &str = "?rename,?renameat,?renameat2";
const FLUSH: &str = "fdatasync,fsync";

/// Each write site of a create, and what it must answer.
const TAKING: &[(Fault, bool, u16)] = &[
    (Fault::DataFull, false, 507),
    (Fault::Calls("pwrite64", "ENOSPC", true), false, 507),
    (Fault::Calls("pwrite64", "EIO", true), false, 503),
    (Fault::Calls("pwrite64", "EROFS", true), false, 503),
    (Fault::Calls(FLUSH, "EIO", true), false, 503),
    // Those with an input inside the request write it into staging first.
    (Fault::BlobsFull, true, 507),
    (Fault::BlobsReadOnly, true, 503),
    (Fault::Calls(FLUSH, "EIO", false), true, 503),
    (Fault::Calls(RENAME, "EIO", false), true, 503),
];

/// Each write site of work, for every way in which results come.
const WORKING: &[Fault] = &[
    Fault::DataFull,
    Fault::BlobsFull,
    Fault::BlobsReadOnly,
    Fault::Calls("pwrite64", "EIO", true),
    Fault::Calls(FLUSH, "EIO", true),
    Fault::Calls("fsync", "EIO", false),
    Fault::Calls("?rename,?renameat,?renameat2,linkat,?link", "EIO", false),
];

/// A server whose database and media lie on small disks of their own.
struct Bench {
    data: Disk,
    blobs: Disk,
    server: Server,
    world: World,
    asked: Vec<Asked>,
    failing: Option<Failing>,
}

impl Bench {
    async fn start(rig: &Rig, name: &str) -> Self {
        let mut world = World::new(rig, name);
        world.blobs = world.folder.join("media");
        let (data, blobs) = (Disk::mount(&world.data(), DATA_BYTES), Disk::mount(&world.blobs, BLOBS_BYTES));
        let server = world.launch("server").start().await;
        let mut bench = Self { data, blobs, server, world, asked: Vec::new(), failing: None };
        for model in PAID.iter().chain([SANDBOX]) {
            let id = bench.ask(model, Duration::ZERO).await;
            bench.server.client().end_of(&id, SOON).await;
        }
        bench
    }

    async fn ask(&mut self, model: &'static Model, latency: Duration) -> String {
        let mut asked = Asked::one(model);
        self.world.vendors.script(&asked.mark, Outcome::Accepts, latency, 1);
        let body = asked.body();
        asked.post(&self.server.client(), &body).await.expect("it is taken");
        let id = asked.id.clone().expect("it was acknowledged");
        self.asked.push(asked);
        id
    }

    fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::DataFull => self.data.fill(),
            Fault::BlobsFull => self.blobs.fill(),
            Fault::BlobsReadOnly => self.blobs.make_read_only(),
            Fault::Calls(calls, error, on_log) => {
                let log = self.world.data().join("pixel.db-wal");
                let path = on_log.then_some(log.as_path());
                self.failing = Some(Failing::begin(self.server.pid(), calls, error, path, &self.world.folder));
            }
        }
    }

    fn end(&mut self, fault: Fault) {
        match fault {
            Fault::DataFull => self.data.free(),
            Fault::BlobsFull => self.blobs.free(),
            Fault::BlobsReadOnly => self.blobs.make_writable(),
            Fault::Calls(..) => {
                let failed = self.failing.take().map_or(0, Failing::end);
                assert!(failed > 0, "no call was made to fail, so nothing was proven");
            }
        }
    }

    /// Whether the fault has bitten: calls that failed, or a complaint in the log since `before`.
    fn has_bitten(&self, before: usize) -> bool {
        match &self.failing {
            Some(failing) => failing.count() > 0,
            None => {
                let log = self.server.stderr();
                let new = &log[before.min(log.len())..];
                ["No space left", "is full", "Read-only file system"].iter().any(|words| new.contains(words))
            }
        }
    }

    /// The same process takes a task again.
    async fn recovers(&mut self, tally: &Tally) {
        let begun = Instant::now();
        loop {
            let mut asked = Asked::one(SANDBOX);
            let body = asked.body();
            let answered = asked.post(&self.server.client(), &body).await;
            self.asked.push(asked);
            if answered.is_ok() {
                return tally.most("recovery", begun.elapsed());
            }
            assert!(begun.elapsed() < SOON, "the disk is well again, and nothing is taken: {answered:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Judges, twice with a restart between, and lets another program look at the database.
    async fn judge(self, rig: &Rig, tally: &Tally) {
        let Self { world, server, asked, data, blobs, .. } = self;
        let mut servers = [server];
        let rested = judge::judge(rig, &world, &servers, &asked, tally).await;
        servers[0].restart().await;
        judge::unchanged(&servers[0].client(), &rested, "I5", tally).await;
        servers[0].sigterm().await;
        witness::is_sound(&world.data().join("pixel.db"));
        tally.add("faults", 1);
        drop((servers, data, blobs));
        std::fs::remove_dir_all(&world.folder).expect("a world's folder can go");
    }
}

/// Asks while the disk is at fault, until it is refused as it should be.
async fn refused(bench: &mut Bench, with_input: bool, status: u16) {
    let client = bench.server.client();
    let begun = Instant::now();
    loop {
        let mut asked = Asked::one(SANDBOX);
        let mut body = asked.body();
        if with_input {
            let file = media::png(96, 64, &asked.mark);
            body["imageInputs"] = json!([format!("data:image/png;base64,{}", STANDARD.encode(file))]);
        }
        let answered = asked.post(&client, &body).await;
        bench.asked.push(asked);
        match answered {
            // A last page may still have room.
            Ok(()) => assert!(begun.elapsed() < SOON, "the disk is at fault, and tasks are taken all the same"),
            Err(given) => return assert_eq!(given, status, "another status than promised"),
        }
    }
}

/// What was taken before can be read whatever the disk does.
async fn still_reads(bench: &Bench, client: &Client) {
    let id = bench.asked[0].id.as_deref().expect("it was acknowledged");
    assert_eq!(client.get(&format!("/api/v1/tasks/{id}")).await.status, 200);
    assert_eq!(client.get("/healthz").await.status, 200);
}

async fn disk_faults_while_a_task_is_taken(rig: Rig) {
    let tally = Tally::begin("disk_faults_taking");
    let all = tally.count(TAKING.len());
    for at in 0..all {
        let (fault, with_input, status) = TAKING[at % TAKING.len()];
        eprintln!("a task is taken with {fault:?}");
        let mut bench = Bench::start(&rig, &format!("taking-{at}")).await;
        bench.begin(fault);
        for _ in 0..2 {
            refused(&mut bench, with_input, status).await;
        }
        still_reads(&bench, &bench.server.client()).await;
        bench.end(fault);
        bench.recovers(&tally).await;
        bench.judge(&rig, &tally).await;
        tally.progress(at + 1, all);
    }
}

async fn disk_faults_while_a_task_is_worked_on(rig: Rig) {
    let tally = Tally::begin("disk_faults_working");
    let of = |model: &'static Model| WORKING.iter().map(move |fault| (*fault, model));
    // Local work is over before its writes could be made to fail one by one.
    let computed = [(Fault::BlobsFull, SANDBOX), (Fault::BlobsReadOnly, SANDBOX)];
    let cases: Vec<(Fault, &Model)> = PAID.iter().flat_map(of).chain(computed).collect();
    let all = tally.count(cases.len());
    for at in 0..all {
        let (fault, model) = cases[at % cases.len()];
        eprintln!("a task of {} is worked on with {fault:?}", model.id);
        let mut bench = Bench::start(&rig, &format!("working-{at}")).await;
        work(&mut bench, fault, model).await;
        bench.recovers(&tally).await;
        bench.judge(&rig, &tally).await;
        tally.progress(at + 1, all);
    }
}

async fn work(bench: &mut Bench, fault: Fault, model: &'static Model) {
    let before = bench.server.stderr().len();
    if model.is_paid() {
        bench.ask(model, Duration::from_millis(800)).await;
        let mark = bench.asked.last().expect("it was asked").mark.clone();
        let vendors = &bench.world.vendors;
        wait::until("submission", SOON, || async { (vendors.received(&mark) > 0).then_some(()) }).await;
        bench.begin(fault);
    } else {
        bench.begin(fault);
        bench.ask(model, Duration::ZERO).await;
    }
    wait::until("effect of the fault", SOON, || async { bench.has_bitten(before).then_some(()) }).await;
    if matches!(fault, Fault::DataFull) {
        // Three beats are a lease: the fault outlasts it, and no answer may be lost to that.
        let beats = || bench.server.stderr()[before..].matches("a heartbeat failed").count();
        wait::until("lease that ran out", SOON, || async { (beats() > 4).then_some(()) }).await;
    }
    still_reads(bench, &bench.server.client()).await;
    bench.end(fault);
}

/// A database that cannot be written is told at the start, before anything is promised.
async fn a_start_on_a_read_only_disk_is_refused(rig: Rig) {
    let tally = Tally::begin("disk_faults_starting");
    let mut bench = Bench::start(&rig, "starting").await;
    bench.server.kill9();
    bench.data.make_read_only();
    let (status, said) = bench.world.launch("second").start_refused().await;
    assert!(!status.success() && said.to_lowercase().contains("read-only"), "{status}: {said}");
    bench.data.make_writable();
    bench.server.restart().await;
    bench.judge(&rig, &tally).await;
}
