//! I11: what a load takes, it gives back.

use crate::{
    judge,
    load::{Refusals, caller},
    tally::Tally,
    world::World,
};
use pixel_testkit::{Rig, Server, on_sqlite};
use std::{
    fs,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

on_sqlite!(after_the_load_everything_is_given_back);

const CALLERS: usize = 8;
/// How long the last connections may idle before they are closed.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(60);

/// What a process holds, from the kernel.
#[derive(Clone, Copy, Debug)]
struct Held {
    memory_kib: u64,
    files: u64,
    sockets: u64,
}

impl Held {
    fn by(server: &Server) -> Self {
        let process = format!("/proc/{}", server.pid());
        let status = fs::read_to_string(format!("{process}/status")).expect("the server runs");
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells the memory");
        let number = memory.trim().trim_end_matches(" kB").trim().parse().expect("a number");
        let open = fs::read_dir(format!("{process}/fd")).expect("the server runs");
        let targets: Vec<_> = open.filter_map(|file| fs::read_link(file.ok()?.path()).ok()).collect();
        let is_socket = |target: &&std::path::PathBuf| target.to_string_lossy().starts_with("socket:");
        let sockets = targets.iter().filter(is_socket).count() as u64;
        Self { memory_kib: number, files: targets.len() as u64, sockets }
    }

    /// Within a tenth, and a few handles that come and go with single requests.
    fn is_back_at(&self, before: &Self) -> bool {
        let near = |now: u64, then: u64, some: u64| now <= then + then / 10 + some;
        near(self.memory_kib, before.memory_kib, 0)
            && near(self.files, before.files, 4)
            && near(self.sockets, before.sockets, 4)
    }
}

async fn load(world: &World, server: &Server, rng: &mut fastrand::Rng, most: usize) -> Vec<crate::load::Asked> {
    world.vendors.by_default(Duration::from_millis(20), 1);
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(caller(server.client(), rng.fork(), most, Refusals::Never));
    }
    callers.join_all().await.into_iter().flatten().collect()
}

async fn after_the_load_everything_is_given_back(rig: Rig) {
    let tally = Tally::begin("leaks");
    let mut rng = tally.rng(0);
    let world = World::new(&rig, "leaks");
    let servers = [world.launch("server").start().await];
    // The first load fills what is kept on purpose: pools, the database's caches, the allocator's
    // stock. The next must take nothing more.
    let mut asked = load(&world, &servers[0], &mut rng, 200).await;
    judge::rest(&servers[0].client(), &asked, &tally).await;
    let before = Held::by(&servers[0]);
    for _ in 0..tally.count(1) {
        asked.extend(load(&world, &servers[0], &mut rng, 80).await);
        judge::rest(&servers[0].client(), &asked, &tally).await;
    }
    let begun = Instant::now();
    loop {
        let now = Held::by(&servers[0]);
        if now.is_back_at(&before) {
            eprintln!("before the load {before:?}, after it {now:?}");
            tally.checked("I11", 3);
            break;
        }
        let waited = begun.elapsed();
        assert!(waited < GIVEN_BACK_WITHIN, "I11: the server held {before:?}, and after the load {now:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    judge::judge(&rig, &world, &servers, &asked, &tally).await;
}
