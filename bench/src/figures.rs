//! What is measured, on one database: first the bare server, then Pixel.

mod backlog;
mod durable;
mod flat;
mod growth;
mod in_flight;
mod retention;
mod start;
mod sustained;
mod tasks;

use crate::{
    Result,
    arena::Arena,
    args::Section,
    http::{self, Connection},
    load::Sample,
    machine::Process,
    table::{Board, Unit},
};
use durable::Durable;
use pixel_testkit::{
    Script, Stub,
    server::{Launch, Server},
    stub::Submit,
    wait,
};
use serde_json::json;
use std::{
    process,
    time::{Duration, Instant},
};

const SYNCHRONOUS: &str = "openai/gpt-image-2";
const POLLED: &str = "dashscope/qwen-image";

pub async fn all(arena: &Arena<'_>, board: &mut Board) -> Result<()> {
    let wants = |section| arena.args.wants_section(section);
    if let Some(length) = arena.args.sustain() {
        return sustained::measure(arena, board, length).await;
    }
    if wants(Section::Durable) || wants(Section::Tasks) {
        let bare = durable::bare(arena, board).await?;
        if wants(Section::Durable) {
            durable::pixel(arena, board, &bare).await?;
        }
        if wants(Section::Tasks) {
            tasks::measure(arena, board, &bare).await?;
        }
    }
    if wants(Section::InFlight) {
        in_flight::measure(arena, board).await?;
    }
    if wants(Section::Start) {
        start::measure(arena, board).await?;
    }
    if wants(Section::Growth) {
        growth::measure(arena, board).await?;
        backlog::measure(arena, board).await?;
    }
    if wants(Section::Retention) {
        retention::measure(arena, board).await?;
    }
    if wants(Section::Flat) {
        flat::measure(arena, board).await?;
    }
    Ok(())
}

/// Measures one thing and says on the way how it went, and who was the busier side.
async fn watch(
    arena: &Arena<'_>,
    server: &Server,
    (what, connections): (&str, usize),
    act: impl AsyncFn(&mut Connection) -> Result<()>,
) -> Result<Sample> {
    let sides = [Process(server.pid()), Process(process::id())];
    let (begin, before) = (Instant::now(), [sides[0].busy()?, sides[1].busy()?]);
    let plan = arena.plan(server, connections);
    let sample = plan.run(act).await.map_err(|error| format!("{what}: {error}"))?;
    let whole = begin.elapsed();
    let share =
        |at: usize| -> Result<f64> { Ok((sides[at].busy()? - before[at]).as_secs_f64() / whole.as_secs_f64() * 100.0) };
    eprintln!(
        "{:?}: {what}: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms; server busy {:.0} %, load and stub {:.0} %",
        arena.rows,
        sample.rate,
        sample.p50,
        sample.p99,
        share(0)?,
        share(1)?
    );
    Ok(sample)
}

/// A request for one picture, as long as real ones.
fn create(model: &str) -> Vec<u8> {
    let prompt = "a quiet harbour at dawn, fishing boats, mist over the water, soft light, film grain. ".repeat(5);
    let body = json!({
        "model": model, "prompt": prompt, "resolution": "1K", "aspectRatio": "1:1", "n": 1,
        "projectId": "bench", "source": "canvas", "sourceId": "node-1",
    });
    http::post("/api/v1/generations/image", &body)
}

/// The id in the answer to a create.
fn task_id(body: &[u8]) -> Result<String> {
    let text = str::from_utf8(body)?;
    let id = text.split_once("\"task_id\":\"").and_then(|(_, rest)| rest.split_once('"'));
    id.map(|(id, _)| id.to_owned()).ok_or_else(|| format!("no task_id in: {text}").into())
}

/// A Pixel that accepts tasks and works on none: its one place for a call is taken by a call that
/// is never answered. So creates are measured alone, for as long as one likes, and what they leave
/// is live tasks. (A paused lane would open again, and a budget would be asked at every create.)
async fn blocked(arena: &Arena<'_>, stub: &Stub) -> Result<(Server, Launch)> {
    Ok(blocked_at(stub, arena.pixel(stub)?).await)
}

/// The same over the data of another server.
async fn blocked_at(stub: &Stub, launch: Launch) -> (Server, Launch) {
    // One for each life of the server.
    stub.by_default(Script::submits(vec![Submit::HangAfterAccept; 1_000]));
    let launch = launch.env("PIXEL_CALLS_MAX", 1);
    (launch.clone().start().await, launch)
}

/// Takes the one place.
async fn block(arena: &Arena<'_>, stub: &Stub, server: &Server) -> Result<()> {
    let request = create(SYNCHRONOUS);
    let before = usize::try_from(stub.accepted_in_all())?;
    arena.plan(server, 1).fill(1, async |connection| connection.call(&request).await.map(drop)).await?;
    accepted(stub, before + 1, Duration::from_secs(30)).await;
    Ok(())
}

async fn accepted(stub: &Stub, count: usize, limit: Duration) {
    wait::until("submission of every task", limit, || async { (stub.accepted_in_all() >= count as u64).then_some(()) })
        .await;
}

/// Memory of a server that has nothing to do.
async fn idle(server: &Server) -> Result<f64> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(Process(server.pid()).memory()?.0)
}

fn memory(name: &str, value: f64, goal: crate::targets::Goal, probe: Option<f64>) -> crate::table::Figure {
    crate::table::Figure { name: name.to_owned(), unit: Unit::MiB, value, goal, probe }
}
