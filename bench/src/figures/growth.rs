//! The same figures on an empty database and on one that has grown, in the same run.

use super::{SYNCHRONOUS, accepted, block, create, task_id, watch};
use crate::{
    Result,
    arena::Arena,
    http, load,
    table::{Board, Figure, Unit, thousands},
    targets::{self, Goal},
};
use pixel_store::{Budget, Store, seed};
use pixel_testkit::{
    Script, Stub,
    server::{Launch, Server},
    stub::Submit,
};
use serde_json::json;
use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

const WIDTH: usize = 32;
const LISTERS: usize = 8;
/// Tasks that are read in turn.
const READ: usize = 1_000;
/// Of each kind of finished task: more than a page.
const TEMPLATES: usize = 24;
/// Rows of one claim, and claims of one run.
const CLAIM: u32 = 64;
const CLAIMS: usize = 64;

/// A page of each filter, and of several together.
const LISTS: [(&str, &str); 10] = [
    ("newest", ""),
    ("by type", "&type=image"),
    ("by model", "&model=openai/gpt-image-2"),
    ("completed", "&status=completed"),
    ("failed", "&status=failed"),
    ("pending", "&status=pending"),
    ("by project", "&projectId=bench"),
    ("by source", "&source=canvas&sourceId=node-1"),
    ("by project, failed images", "&projectId=bench&type=image&status=failed"),
    ("of a project that has none", "&projectId=nobody"),
];

const PROMPT: &str = "a quiet harbour at dawn, fishing boats, mist over the water, soft light, film grain";

/// Name, unit and value.
type Measured = Vec<(String, Unit, f64)>;

pub async fn measure(arena: &Arena<'_>, board: &mut Board) -> Result<()> {
    let stub = Stub::for_load();
    let launch = templates(arena, &stub).await?;
    let (server, launch) = super::blocked_at(&stub, launch).await;
    block(arena, &stub, &server).await?;
    let empty = all(arena, server, &launch).await?;
    let (ended, live) = (arena.args.ended(), arena.args.live());
    let begin = Instant::now();
    seed::multiply(&arena.options(&launch), ended, u32::try_from(live)?).await?;
    eprintln!("{:?}: {ended} ended and {live} live tasks added in {:.0?}", arena.rows, begin.elapsed());
    let server = launch.clone().start().await;
    accepted(&stub, 2, Duration::from_secs(30)).await;
    let grown = all(arena, server, &launch).await?;
    let size = format!("over {} ended and {} live tasks", thousands(f64::from(ended)), thousands(live as f64));
    for ((name, unit, empty), (_, _, value)) in empty.into_iter().zip(grown) {
        let goal = match unit {
            Unit::PerSecond => Goal::AtLeast(empty * targets::GROWTH),
            // A start counts the live tasks, of which the empty database has few.
            _ if name.starts_with("start") => targets::START,
            _ => Goal::Open,
        };
        board.put(arena.rows, Figure { name: format!("{name}, {size}"), unit, value, goal, probe: Some(empty) });
    }
    Ok(())
}

/// Finished tasks of several kinds, as a server makes them, for the copies.
async fn templates(arena: &Arena<'_>, stub: &Stub) -> Result<Launch> {
    let launch = arena.pixel(stub)?;
    let server = launch.clone().start().await;
    let client = server.client();
    let limit = Duration::from_secs(30);
    for (model, fails) in
        [(SYNCHRONOUS, false), (super::POLLED, false), (SYNCHRONOUS, true), ("sandbox/painter", false)]
    {
        let script = if fails { Script::submits(vec![Submit::Moderation; 1_000]) } else { Script::default() };
        stub.by_default(script);
        let filed = json!({ "model": model, "prompt": PROMPT, "resolution": "1K", "aspectRatio": "1:1",
                            "projectId": "bench", "source": "canvas", "sourceId": "node-1" });
        let mut ids = Vec::new();
        for _ in 0..TEMPLATES {
            ids.push(client.create("image", &filed).await);
        }
        for id in ids {
            client.end_of(&id, limit).await;
        }
    }
    drop(server);
    Ok(launch)
}

/// Everything that is compared, on a server that takes tasks and works on none; it is killed.
async fn all(arena: &Arena<'_>, server: Server, launch: &Launch) -> Result<Measured> {
    let mut figures = Measured::new();
    let request = create(SYNCHRONOUS);
    let creates =
        watch(arena, &server, ("creates", WIDTH), async |connection| connection.call(&request).await.map(drop)).await?;
    figures.push(("creates".to_owned(), Unit::PerSecond, creates.rate));
    figures.push(("creates, p99".to_owned(), Unit::Milliseconds, creates.p99));
    figures.push(("task reads".to_owned(), Unit::PerSecond, reads(arena, &server).await?));
    for (what, query) in LISTS {
        let request = http::get(&format!("/api/v1/tasks?limit=20{query}"));
        let name = format!("lists, {what}");
        let sample =
            watch(arena, &server, (&name, LISTERS), async |connection| connection.call(&request).await.map(drop));
        figures.push((name.clone(), Unit::PerSecond, sample.await?.rate));
    }
    let scrape = http::get("/metrics");
    let sample =
        watch(arena, &server, ("scrapes", 1), async |connection| connection.call(&scrape).await.map(drop)).await?;
    figures.push(("metrics, p99".to_owned(), Unit::Milliseconds, sample.p99));
    drop(server);
    figures.push(("start to ready".to_owned(), Unit::Seconds, starts(arena, launch).await));
    let (rate, p99) = claims(arena, launch).await?;
    figures.push(("claimed tasks".to_owned(), Unit::PerSecond, rate));
    figures.push((format!("claims of {CLAIM}, p99"), Unit::Milliseconds, p99));
    Ok(figures)
}

async fn reads(arena: &Arena<'_>, server: &Server) -> Result<f64> {
    let request = create(SYNCHRONOUS);
    let ids = RefCell::new(Vec::with_capacity(READ));
    let keep = async |connection: &mut http::Connection| {
        let id = task_id(connection.call(&request).await?)?;
        ids.borrow_mut().push(http::get(&format!("/api/v1/tasks/{id}")));
        Ok(())
    };
    arena.plan(server, WIDTH).fill(READ, keep).await?;
    let (ids, turn) = (ids.into_inner(), Cell::new(0));
    let sample = watch(arena, server, ("reads", WIDTH), async |connection| {
        let at = turn.replace(turn.get() + 1) % ids.len();
        connection.call(&ids[at]).await.map(drop)
    });
    Ok(sample.await?.rate)
}

async fn starts(arena: &Arena<'_>, launch: &Launch) -> f64 {
    let mut times = Vec::new();
    for _ in 0..arena.args.runs() {
        let begin = Instant::now();
        let server = launch.clone().start().await;
        times.push(begin.elapsed().as_secs_f64());
        drop(server);
    }
    load::median(times)
}

/// Claims as the engine makes them, straight at the store: rows a second, and the slowest claim.
pub(super) async fn claims(arena: &Arena<'_>, launch: &Launch) -> Result<(f64, f64)> {
    let store = Store::open(&arena.options(launch)).await?;
    let vendor = SYNCHRONOUS.split('/').next().unwrap_or_default();
    let (begin, mut times, mut rows) = (Instant::now(), Vec::new(), 0);
    for _ in 0..CLAIMS {
        let start = Instant::now();
        let taken = store.claim_queued(vendor, Budget::default(), CLAIM).await?.tasks;
        times.push(start.elapsed());
        rows += taken.len();
        taken.iter().for_each(|one| store.leases().forget(&one.lease));
    }
    let rate = rows as f64 / begin.elapsed().as_secs_f64();
    store.close().await;
    let sample = load::Sample::of(times, begin.elapsed())?;
    Ok((rate, sample.p99))
}
