//! Kills, freezes and a database that goes away, all under load.

use crate::{
    judge,
    load::{Asked, Refusals, caller},
    tally::Tally,
    world::World,
};
use pixel_testkit::{Rig, Server, on_postgres, on_sqlite, postgres::Cluster};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

on_sqlite!(forty_kills_lose_and_repeat_nothing);
on_postgres!(
    ten_kills_of_three_replicas_lose_and_repeat_nothing,
    ten_frozen_replicas_write_nothing,
    five_deaths_of_the_database_lose_nothing,
);

/// Callers at the same time, and the most that each asks for in one round.
const CALLERS: usize = 6;
const ASKED_MAX: usize = 10;
/// Faults that one world suffers before it is judged.
const WORLD: usize = 10;
/// After the database is back, within this long a task is taken again.
const RECOVERY: Duration = Duration::from_secs(10);

/// One world's servers, and what was asked of them.
struct Fleet {
    world: World,
    servers: Vec<Server>,
    asked: Vec<Asked>,
    callers: JoinSet<Vec<Asked>>,
}

impl Fleet {
    async fn start(rig: &Rig, name: &str, replicas: usize) -> Self {
        let world = World::new(rig, name);
        let mut servers = Vec::new();
        for at in 0..replicas {
            servers.push(world.launch(&format!("replica-{at}")).start().await);
        }
        Self { world, servers, asked: Vec::new(), callers: JoinSet::new() }
    }

    /// Sets callers on every server, before a vendor that takes another time in each round.
    fn load(&mut self, rng: &mut fastrand::Rng, refusals: Refusals) {
        self.world.vendors.by_default(Duration::from_millis(rng.u64(5..120)), rng.u32(0..4));
        for at in 0..CALLERS {
            let client = self.servers[at % self.servers.len()].client();
            self.callers.spawn(caller(client, rng.fork(), ASKED_MAX, refusals));
        }
    }

    async fn callers_end(&mut self) {
        while let Some(asked) = self.callers.join_next().await {
            self.asked.extend(asked.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())));
        }
    }

    /// Judges, and judges again after everything was started anew.
    async fn judge(mut self, rig: &Rig, tally: &Tally) {
        let rested = judge::judge(rig, &self.world, &self.servers, &self.asked, tally).await;
        for server in &mut self.servers {
            server.restart().await;
        }
        for server in &self.servers {
            judge::unchanged(&server.client(), &rested, "I5", tally).await;
        }
        let completed = rested.values().filter(|task| task["status"] == "completed").count();
        assert!(completed > 0, "nothing was completed, so nothing was proven");
        drop(self.servers);
        std::fs::remove_dir_all(&self.world.folder).expect("a world's folder can go");
    }
}

/// How many faults each world suffers.
fn worlds(faults: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..faults.div_ceil(WORLD)).map(move |at| (at, WORLD.min(faults - at * WORLD)))
}

async fn kills(piece: &'static str, rig: &Rig, replicas: usize, gate: usize) {
    let tally = Tally::begin(piece);
    let all = tally.count(gate);
    for (at, faults) in worlds(all) {
        let mut rng = tally.rng(at as u64);
        let mut fleet = Fleet::start(rig, &format!("kills-{at}"), replicas).await;
        for _ in 0..faults {
            fleet.load(&mut rng, Refusals::Never);
            let victim = rng.usize(0..replicas);
            tokio::time::sleep(Duration::from_millis(rng.u64(10..500))).await;
            fleet.servers[victim].kill9();
            fleet.callers_end().await;
            let begun = Instant::now();
            fleet.servers[victim].restart().await;
            tally.most("restart", begun.elapsed());
            tally.add("kills", 1);
        }
        fleet.judge(rig, &tally).await;
        tally.progress(at * WORLD + faults, all);
    }
    let (asked, faults) = (tally.of("acknowledged"), tally.of("kills"));
    assert!(asked > faults * 5, "the load was too small to prove anything: {asked} tasks for {faults} kills");
}

async fn forty_kills_lose_and_repeat_nothing(rig: Rig) {
    kills("kills", &rig, 1, 40).await;
}

async fn ten_kills_of_three_replicas_lose_and_repeat_nothing(rig: Rig) {
    kills("replica_kills", &rig, 3, 10).await;
}

/// A replica is stopped for longer than its lease; another takes its tasks over; then it goes on.
async fn ten_frozen_replicas_write_nothing(rig: Rig) {
    let tally = Tally::begin("zombies");
    let all = tally.count(10);
    for (at, faults) in worlds(all) {
        let mut rng = tally.rng(at as u64);
        let mut fleet = Fleet::start(&rig, &format!("zombies-{at}"), 3).await;
        for _ in 0..faults {
            let victim = rng.usize(0..3);
            fleet.load(&mut rng, Refusals::Never);
            tokio::time::sleep(Duration::from_millis(rng.u64(10..300))).await;
            fleet.servers[victim].freeze();
            tokio::time::sleep(Duration::from_millis(rng.u64(1500..2500))).await;
            let witness = fleet.servers[(victim + 1) % 3].client();
            let tasks = crate::witness::tasks(&witness).await;
            let rested = tasks.into_iter().filter(|(_, task)| judge::rests(task)).collect();
            fleet.servers[victim].thaw();
            fleet.callers_end().await;
            // It has answered its callers, so it runs; its late answers are in or refused by now.
            judge::unchanged(&witness, &rested, "I9", &tally).await;
            tally.add("freezes", 1);
        }
        fleet.judge(&rig, &tally).await;
        tally.progress(at * WORLD + faults, all);
    }
    assert!(tally.of("held") + tally.of("completed") > 50, "the load was too small to prove anything");
}

/// PostgreSQL is killed, or every connection to it is cut, while tasks are written.
async fn five_deaths_of_the_database_lose_nothing(mut rig: Rig) {
    let tally = Tally::begin("database_kills");
    let all = tally.count(5);
    for (at, faults) in worlds(all) {
        let mut rng = tally.rng(at as u64);
        let mut fleet = Fleet::start(&rig, &format!("database-{at}"), 2).await;
        for fault in 0..faults {
            fleet.load(&mut rng, Refusals::Wait);
            tokio::time::sleep(Duration::from_millis(rng.u64(10..300))).await;
            let cluster = rig.cluster.as_mut().expect("a test on PostgreSQL has a cluster");
            if fault % 2 == 0 {
                cluster.kill9();
                tokio::time::sleep(Duration::from_millis(rng.u64(0..1500))).await;
                cluster.restart();
            } else {
                cut(cluster, fleet.world.database().expect("it is on PostgreSQL"));
            }
            let back = Instant::now();
            fleet.recovers().await;
            tally.most("recovery", back.elapsed());
            fleet.callers_end().await;
            tally.add("faults", 1);
        }
        fleet.judge(&rig, &tally).await;
        tally.progress(at * WORLD + faults, all);
    }
    assert!(tally.of("completed") > 20, "the load was too small to prove anything");
}

/// Cuts every server's connections, whatever they are in the middle of.
fn cut(cluster: &Cluster, database: &str) {
    let ours = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'pixel'";
    let count: usize = cluster.query(database, ours).parse().expect("a number");
    assert!(count > 0, "no server was connected");
}

impl Fleet {
    /// Every server takes a task again, soon.
    async fn recovers(&mut self) {
        for server in &self.servers {
            let (client, begun) = (server.client(), Instant::now());
            loop {
                let mut asked = Asked { may_hold: true, ..Asked::one(crate::vendors::SANDBOX) };
                let body = asked.body();
                let answered = asked.post(&client, &body).await;
                self.asked.push(asked);
                assert!(begun.elapsed() < RECOVERY, "no task was taken {RECOVERY:?} after the database was back");
                if answered.is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
