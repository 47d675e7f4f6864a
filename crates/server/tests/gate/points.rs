//! Every named crash point, for every class of vendor and every outcome that comes by it: the
//! server dies there, is started again, and is judged.
//!
//! A case posts one task after another until the server is dead. One whose point is never reached
//! fails: it would prove nothing.

use crate::{
    judge::{self, Rested},
    load::Asked,
    tally::Tally,
    vendors::{ALIAS, Class, LAB, Model, OUTCOMES, Outcome, PAID, SANDBOX, Way},
    world::World,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{FutureExt, StreamExt, stream};
use pixel_store::crash::POINTS;
use pixel_testkit::{Client, Rig, Server, client::is_terminal, media, on_postgres, on_sqlite};
use serde_json::json;
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    panic::{AssertUnwindSafe, resume_unwind},
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

on_sqlite!(
    every_crash_point_embedded,
    every_crash_point_polled,
    every_crash_point_of_every_class,
    every_crash_point_of_the_server
);
on_postgres!(every_crash_point_once);

/// Cases at the same time; most of a case is waiting.
const AT_ONCE: usize = 4;
/// Tasks of one case before its point counts as never reached.
const TASKS_MAX: usize = 5;
const DEATH_LIMIT: Duration = Duration::from_secs(30);

/// What the server is doing when it is to die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    /// Tasks without anything special.
    Plain,
    /// The vendor takes so long that leases have to be renewed.
    Slow,
    /// An input behind an address.
    Link,
    /// An input inside the request.
    Data,
    /// A decision about a held task.
    Lost,
    PayAgain,
    /// So much is written that the log is moved into the database.
    Bulk,
    /// A start over a live task.
    Start,
    /// The first start of all.
    First,
    /// SIGTERM with a call under way.
    Stop,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    point: &'static str,
    hit: u64,
    model: &'static Model,
    outcome: Outcome,
    scene: Scene,
    /// Whether a death here leaves open what became of a paid call.
    is_open: bool,
}

/// Which cases come by a point.
struct Reach {
    point: &'static str,
    hits: &'static [u64],
    scenes: &'static [Scene],
    fits: fn(&Model, Outcome) -> bool,
    is_open: fn(&Model) -> bool,
}

const ONCE: &[u64] = &[1];
const TWICE: &[u64] = &[1, 2];
const PLAIN: &[Scene] = &[Scene::Plain];

fn all(_: &Model, _: Outcome) -> bool {
    true
}
fn paid(model: &Model, _: Outcome) -> bool {
    model.is_paid()
}
fn accepted(model: &Model, outcome: Outcome) -> bool {
    model.is_paid() && outcome == Outcome::Accepts
}
fn with_input(model: &Model, outcome: Outcome) -> bool {
    model.inputs && outcome == Outcome::Accepts
}
fn made(_: &Model, outcome: Outcome) -> bool {
    outcome == Outcome::Accepts
}
fn embedded(model: &Model, outcome: Outcome) -> bool {
    model.way == Way::Embedded && outcome == Outcome::Accepts
}
fn in_staging(model: &Model, outcome: Outcome) -> bool {
    model.way != Way::Polled && outcome == Outcome::Accepts
}
fn polled(model: &Model, outcome: Outcome) -> bool {
    model.way == Way::Polled && outcome == Outcome::Accepts
}
fn refused(model: &Model, outcome: Outcome) -> bool {
    model.is_paid() && outcome != Outcome::Accepts
}
fn held(model: &Model, outcome: Outcome) -> bool {
    model.class == Class::Neither && outcome == Outcome::Unclear
}
fn searched(model: &Model, outcome: Outcome) -> bool {
    model.class == Class::Searchable && outcome == Outcome::Unclear
}
fn local(model: &Model, _: Outcome) -> bool {
    model.class == Class::Local
}
fn moved(model: &Model, outcome: Outcome) -> bool {
    model == ALIAS && outcome == Outcome::Refuses
}
fn one_paid(model: &Model, outcome: Outcome) -> bool {
    *model == PAID[0] && outcome == Outcome::Accepts
}

fn never(_: &Model) -> bool {
    false
}
fn always(_: &Model) -> bool {
    true
}
/// What a paid call itself brings is taken in while its acceptance is written.
fn if_embedded(model: &Model) -> bool {
    model.way == Way::Embedded
}

const fn reach(
    point: &'static str,
    hits: &'static [u64],
    scenes: &'static [Scene],
    fits: fn(&Model, Outcome) -> bool,
    is_open: fn(&Model) -> bool,
) -> Reach {
    Reach { point, hits, scenes, fits, is_open }
}

const REACHES: &[Reach] = &[
    reach("start.bound", ONCE, &[Scene::Start, Scene::First], one_paid, never),
    reach("migrate.begun", ONCE, &[Scene::Start, Scene::First], one_paid, never),
    reach("migrate.done", ONCE, &[Scene::Start, Scene::First], one_paid, never),
    reach("epoch.raised", ONCE, &[Scene::Start, Scene::First], one_paid, never),
    reach("start.opened", ONCE, &[Scene::Start], accepted, never),
    reach("start.claiming", ONCE, &[Scene::Start], accepted, always),
    reach("create.checked", TWICE, PLAIN, all, never),
    reach("create.stored", TWICE, PLAIN, all, always),
    reach("upload.staged", ONCE, &[Scene::Data], with_input, never),
    reach("upload.published", ONCE, &[Scene::Data], with_input, never),
    // The first writes are the claims of a start.
    reach("writer.received", &[1, 3, 5, 6, 7, 8], PLAIN, made, always),
    reach("writer.begun", &[1, 3, 5, 6, 7, 8], PLAIN, made, always),
    reach("writer.applied", &[1, 3, 5, 6, 7, 8], PLAIN, made, always),
    reach("writer.committed", &[1, 3, 5, 6, 7, 8], PLAIN, made, always),
    reach("claim.taken", TWICE, PLAIN, all, never),
    reach("input.fetched", ONCE, &[Scene::Link], in_staging, never),
    reach("input.stored", ONCE, &[Scene::Link], in_staging, never),
    reach("inputs.written", ONCE, &[Scene::Link], in_staging, never),
    reach("submit.begun", TWICE, PLAIN, paid, never),
    reach("submit.recorded", TWICE, PLAIN, paid, always),
    reach("submit.leased", TWICE, PLAIN, paid, always),
    reach("door.answering", TWICE, PLAIN, paid, always),
    reach("answer.media", TWICE, PLAIN, embedded, always),
    reach("submit.answered", TWICE, PLAIN, paid, always),
    reach("submit.refused", TWICE, PLAIN, refused, always),
    reach("fallback.writing", TWICE, PLAIN, moved, always),
    reach("fallback.written", TWICE, PLAIN, moved, always),
    reach("wait.writing", &[1, 2, 3], PLAIN, polled, always),
    reach("wait.written", &[1, 2, 3], PLAIN, polled, never),
    reach("collect.recorded", TWICE, PLAIN, made, never),
    reach("poll.sending", &[1, 2, 3], PLAIN, polled, never),
    reach("poll.answered", &[1, 2, 3], PLAIN, polled, never),
    reach("fetch.begun", TWICE, PLAIN, polled, never),
    reach("fetch.half", TWICE, PLAIN, polled, never),
    reach("fetch.finished", TWICE, PLAIN, polled, never),
    reach("stage.written", TWICE, PLAIN, made, if_embedded),
    reach("stage.flushed", TWICE, PLAIN, made, if_embedded),
    reach("admit.examined", TWICE, PLAIN, made, if_embedded),
    reach("publish.renamed", TWICE, PLAIN, polled, never),
    reach("publish.linked", TWICE, PLAIN, in_staging, if_embedded),
    reach("admit.published", TWICE, PLAIN, made, if_embedded),
    reach("result.writing", TWICE, PLAIN, made, never),
    reach("result.written", TWICE, PLAIN, made, never),
    reach("result.discarding", ONCE, PLAIN, in_staging, never),
    reach("run.ended", TWICE, PLAIN, all, never),
    reach("local.begun", TWICE, PLAIN, local, never),
    reach("local.made", TWICE, PLAIN, local, never),
    reach("hold.writing", TWICE, PLAIN, held, always),
    reach("hold.written", TWICE, PLAIN, held, always),
    reach("resolve.claimed", ONCE, &[Scene::Lost, Scene::PayAgain], held, always),
    reach("resolve.written", ONCE, &[Scene::Lost, Scene::PayAgain], held, always),
    reach("search.sending", TWICE, PLAIN, searched, always),
    reach("search.answered", TWICE, PLAIN, searched, always),
    reach("beat.begun", TWICE, &[Scene::Slow], accepted, always),
    reach("beat.renewed", TWICE, &[Scene::Slow], accepted, always),
    reach("checkpoint.begun", ONCE, &[Scene::Bulk], one_paid, always),
    reach("checkpoint.done", ONCE, &[Scene::Bulk], one_paid, always),
    reach("sweep.begun", TWICE, &[Scene::Slow], one_paid, always),
    reach("sweep.removed", TWICE, &[Scene::Slow], one_paid, always),
    reach("stop.begun", ONCE, &[Scene::Stop], accepted, always),
    reach("stop.drained", ONCE, &[Scene::Stop], made, always),
    reach("stop.closed", ONCE, &[Scene::Stop], made, always),
];

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for Reach { point, hits, scenes, fits, is_open } in REACHES {
        // An alias is its models but where it moves a task.
        let models = if point.starts_with("fallback.") { vec![ALIAS] } else { PAID.iter().chain([SANDBOX]).collect() };
        for model in models {
            // Local work has one outcome.
            let outcomes = if model.is_paid() { &OUTCOMES[..] } else { &OUTCOMES[..1] };
            for outcome in outcomes.iter().copied().filter(|outcome| fits(model, *outcome)) {
                for scene in scenes.iter().copied() {
                    let case = |hit| Case { point, hit, model, outcome, scene, is_open: is_open(model) };
                    all.extend(hits.iter().copied().map(case));
                }
            }
        }
    }
    all
}

#[test]
fn every_point_has_its_cases() {
    let listed: BTreeSet<&str> = POINTS.iter().map(|(name, _)| *name).collect();
    let planned: BTreeSet<&str> = REACHES.iter().map(|reach| reach.point).collect();
    assert_eq!(listed, planned, "the plan and the list of crash points differ");
    let cases = cases();
    let reached: BTreeSet<&str> = cases.iter().map(|case| case.point).collect();
    let missing: Vec<_> = listed.difference(&reached).collect();
    assert!(missing.is_empty(), "no case comes by {missing:?}");
    assert!(cases.len() >= 120, "{} cases are too few", cases.len());
}

async fn every_crash_point_embedded(rig: Rig) {
    pass("crash_points_embedded", &rig, |case| case.model.way == Way::Embedded).await;
}

async fn every_crash_point_polled(rig: Rig) {
    pass("crash_points_polled", &rig, |case| case.model.way == Way::Polled && !is_lab(case.model)).await;
}

/// One vendor for each promise about a repeat.
async fn every_crash_point_of_every_class(rig: Rig) {
    pass("crash_points_classes", &rig, |case| is_lab(case.model)).await;
}

fn is_lab(model: &Model) -> bool {
    model == ALIAS || LAB.contains(model)
}

async fn every_crash_point_of_the_server(rig: Rig) {
    pass("crash_points_computed", &rig, |case| case.model.way == Way::Computed).await;
}

/// On PostgreSQL each point is tried with the first case that comes by; SQLite has them all.
async fn every_crash_point_once(rig: Rig) {
    let mut seen = BTreeSet::new();
    let firsts = cases().into_iter().filter(|case| !case.point.starts_with("checkpoint.") && seen.insert(case.point));
    let firsts: Vec<(&str, u64)> = firsts.map(|case| (case.point, case.hit)).collect();
    let mut left: BTreeSet<(&str, u64)> = firsts.into_iter().collect();
    let mut chosen = Vec::new();
    for case in cases() {
        if left.remove(&(case.point, case.hit)) {
            chosen.push(case);
        }
    }
    run("crash_points_postgres", &rig, chosen).await;
}

async fn pass(piece: &'static str, rig: &Rig, fits: impl Fn(&Case) -> bool) {
    run(piece, rig, cases().into_iter().filter(fits).collect()).await;
}

/// Runs every case as often as the soak says.
async fn run(piece: &'static str, rig: &Rig, cases: Vec<Case>) {
    let tally = Tally::begin(piece);
    let passes = tally.count(1);
    for at in 0..passes {
        let worlds =
            cases.iter().enumerate().map(|(number, case)| named(rig, *case, at * cases.len() + number, &tally));
        stream::iter(worlds).buffer_unordered(AT_ONCE).collect::<()>().await;
        tally.add("cases", cases.len());
        tally.progress(at + 1, passes);
    }
}

/// One case, which says its name when it fails: others run at the same time.
async fn named(rig: &Rig, case: Case, number: usize, tally: &Tally) {
    if let Err(panic) = AssertUnwindSafe(one(rig, case, number, tally)).catch_unwind().await {
        eprintln!("\nthis case failed: {case:?}\n");
        resume_unwind(panic);
    }
}

/// One case in a world of its own.
async fn one(rig: &Rig, case: Case, number: usize, tally: &Tally) {
    let world = World::new(rig, &format!("case-{number}"));
    let mut stage = Stage { world: &world, case, asked: Vec::new() };
    let mut server = stage.die().await;
    server.relaunch(|launch| launch.env("PIXEL_CRASH_AT", "")).await;
    stage.ask_again(&server.client()).await;
    let mut servers = [server];
    let rested = judge::judge(rig, &world, &servers, &stage.asked, tally).await;
    stage.judge_decision(&rested);
    servers[0].restart().await;
    judge::unchanged(&servers[0].client(), &rested, "I5", tally).await;
    drop(servers);
    std::fs::remove_dir_all(&world.folder).expect("a case's folder can go");
}

/// A case on its way to death.
struct Stage<'a> {
    world: &'a World,
    case: Case,
    asked: Vec<Asked>,
}

impl Stage<'_> {
    /// Lives until the server has died at its point.
    async fn die(&mut self) -> Server {
        if self.case.scene == Scene::Start {
            let mut first = self.world.launch("first").start().await;
            self.ask(&first.client(), None).await;
            first.kill9();
        }
        let armed = format!("{}:{}", self.case.point, self.case.hit);
        let mut server = self.world.launch("server").env("PIXEL_CRASH_AT", armed).launch();
        if server.wait_ready().await.is_ok() {
            self.act(&mut server).await;
        }
        let status = server.ended(DEATH_LIMIT).await;
        let Case { point, .. } = self.case;
        let said = server.stderr().contains(&format!("crash point {point} reached"));
        assert!(said, "the point {point} was never reached: the server ended as {status:?}\n{}", server.stderr());
        self.explain();
        server
    }

    async fn act(&mut self, server: &mut Server) {
        let client = server.client();
        match self.case.scene {
            Scene::First | Scene::Start => {}
            Scene::Plain | Scene::Slow | Scene::Data => self.ask_until_dead(server, None).await,
            Scene::Link => {
                let file = serve_picture().await;
                self.ask_until_dead(server, Some(file)).await;
            }
            Scene::Lost | Scene::PayAgain => {
                self.ask(&client, None).await;
                let id = self.asked[0].id.clone().expect("it was acknowledged");
                client.attention_of(&id, DEATH_LIMIT).await;
                let choice = if self.case.scene == Scene::Lost { "lost" } else { "pay_again" };
                let path = format!("/api/v1/tasks/{id}/resolve");
                let body = json!({ "choice": choice }).to_string().into_bytes();
                let answer = client.try_send(pixel_testkit::Method::POST, &path, &[], Some(body)).await;
                assert!(answer.is_err(), "the server answered and should be dead: {answer:?}");
            }
            Scene::Bulk => self.write_much(server).await,
            Scene::Stop => {
                self.ask(&client, None).await;
                server.sigterm().await;
            }
        }
    }

    /// Posts one task; a server that dies meanwhile does not answer.
    async fn ask(&mut self, client: &Client, link: Option<SocketAddr>) {
        let Case { model, outcome, scene, .. } = self.case;
        let mut asked = Asked::one(model);
        let latency = match scene {
            Scene::Slow => Duration::from_millis(1500),
            Scene::Stop | Scene::Start => Duration::from_millis(200),
            _ => Duration::ZERO,
        };
        self.world.vendors.script(&asked.mark, outcome, latency, 2);
        let mut body = asked.body();
        let picture = || media::png(96, 64, &asked.mark);
        match (scene, link) {
            (Scene::Data, _) => {
                body["imageInputs"] = json!([format!("data:image/png;base64,{}", STANDARD.encode(picture()))]);
            }
            (_, Some(address)) => body["imageInputs"] = json!([format!("http://{address}/input.png")]),
            (Scene::Bulk, None) => body["prompt"] = json!(format!("{} {}", asked.mark, "x".repeat(30_000))),
            _ => {}
        }
        let answered = asked.post(client, &body).await;
        assert!(matches!(answered, Ok(()) | Err(0)), "the server refused with {answered:?}");
        self.asked.push(asked);
    }

    async fn ask_until_dead(&mut self, server: &mut Server, link: Option<SocketAddr>) {
        let client = server.client();
        for _ in 0..TASKS_MAX {
            self.ask(&client, link).await;
            let Some(id) = self.asked.last().and_then(|asked| asked.id.clone()) else { return };
            let end = Instant::now() + DEATH_LIMIT;
            while !is_at_rest(&client, &id).await {
                if server.ended(Duration::ZERO).await.is_some() {
                    return;
                }
                assert!(Instant::now() < end, "the task {id} neither ends nor kills");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    /// Writes until the log is worth a checkpoint, and is gone.
    async fn write_much(&mut self, server: &mut Server) {
        let client = server.client();
        for _ in 0..400 {
            if server.ended(Duration::ZERO).await.is_some() {
                return;
            }
            self.ask(&client, None).await;
        }
    }

    /// What this death explains. A vendor that absorbs or finds a repeat needs nobody to decide.
    fn explain(&mut self) {
        let Case { model, outcome, scene, is_open, .. } = self.case;
        let is_blind = model.class == Class::Neither;
        let last = self.asked.len().saturating_sub(1);
        for (at, asked) in self.asked.iter_mut().enumerate() {
            let was_open = is_open && (at == last || scene == Scene::Bulk) || scene == Scene::Start;
            asked.may_hold = is_blind && (outcome == Outcome::Unclear || was_open);
            asked.may_fail = model.is_paid() && outcome == Outcome::Refuses;
            asked.decided = matches!(scene, Scene::Lost | Scene::PayAgain);
            asked.allowed += usize::from(scene == Scene::PayAgain);
        }
    }

    /// Who got no answer asks again, and gets what was asked.
    async fn ask_again(&mut self, client: &Client) {
        if self.asked.iter().all(|asked| asked.id.is_none()) {
            let before = self.asked.len();
            self.case.outcome = Outcome::Accepts;
            self.ask(client, None).await;
            assert!(self.asked[before].id.is_some(), "the next life does not take a task");
        }
    }

    /// A decision that was written stands.
    fn judge_decision(&self, rested: &Rested) {
        if self.case.point != "resolve.written" {
            return;
        }
        let asked = &self.asked[0];
        let task = &rested[&asked.mark];
        let accepted = self.world.vendors.accepted(&asked.mark);
        match self.case.scene {
            Scene::Lost => assert_eq!((&task["error"]["code"], accepted), (&json!("submit_lost"), 1), "{task:#}"),
            _ => assert_eq!((&task["status"], accepted), (&json!("completed"), 2), "{task:#}"),
        }
    }
}

async fn is_at_rest(client: &Client, id: &str) -> bool {
    let path = format!("/api/v1/tasks/{id}");
    match client.try_send(pixel_testkit::Method::GET, &path, &[], None).await {
        Ok(answer) => {
            let task = answer.data();
            is_terminal(&task) || task["attention"].is_object()
        }
        Err(_) => false,
    }
}

/// A picture behind an address, for as long as the test runs.
async fn serve_picture() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let address = listener.local_addr().expect("a bound listener has an address");
    let file = media::png(96, 64, "an input behind an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: {}\r\n\r\n", file.len());
            // Whoever hangs up early does not want the rest.
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&file).await;
        }
    });
    address
}
