//! A server over a million queued tasks: its memory, and how fast it still takes some.

use super::{SYNCHRONOUS, block, blocked, create, growth, memory, watch};
use crate::{
    Result,
    arena::Arena,
    machine::Process,
    table::{Board, Figure, Unit, thousands},
    targets,
};
use pixel_store::seed;
use pixel_testkit::Stub;
use std::time::Instant;

const WIDTH: usize = 32;

pub async fn measure(arena: &Arena<'_>, board: &mut Board) -> Result<()> {
    let stub = Stub::for_load();
    let (server, launch) = blocked(arena, &stub).await?;
    block(arena, &stub, &server).await?;
    let request = create(SYNCHRONOUS);
    arena.plan(&server, WIDTH).fill(8, async |connection| connection.call(&request).await.map(drop)).await?;
    drop(server);
    let count = arena.args.backlog();
    seed::multiply(&arena.options(&launch), 0, count).await?;
    let begin = Instant::now();
    let server = launch.clone().start().await;
    let ready = begin.elapsed().as_secs_f64();
    watch(arena, &server, ("creates over a backlog", WIDTH), async |connection| {
        connection.call(&request).await.map(drop)
    })
    .await?;
    let peak = Process(server.pid()).memory()?.1;
    drop(server);
    let (_, p99) = growth::claims(arena, &launch).await?;
    let size = format!("backlog of {} queued tasks", thousands(f64::from(count)));
    board.put(arena.rows, memory(&format!("{size}, most memory"), peak, targets::MEMORY_BACKLOG, None));
    let figure =
        |what: &str, unit, value, goal| Figure { name: format!("{size}, {what}"), unit, value, goal, probe: None };
    board.put(arena.rows, figure("start to ready", Unit::Seconds, ready, targets::START));
    board.put(arena.rows, figure("claims of 64, p99", Unit::Milliseconds, p99, targets::CLAIM));
    Ok(())
}
