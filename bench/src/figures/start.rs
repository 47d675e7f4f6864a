//! A killed server's start over many live tasks, until it says that it is ready.

use super::{SYNCHRONOUS, blocked, create};
use crate::{
    Result,
    arena::Arena,
    load,
    table::{Board, Figure, Unit},
    targets::Goal,
};
use pixel_testkit::Stub;
use std::time::Instant;

const WIDTH: usize = 128;

pub async fn measure(arena: &Arena<'_>, board: &mut Board) -> Result<()> {
    let stub = Stub::for_load();
    let (server, launch) = blocked(arena, &stub).await?;
    let request = create(SYNCHRONOUS);
    let plan = arena.plan(&server, WIDTH);
    plan.fill(arena.args.live(), async |connection| connection.call(&request).await.map(drop)).await?;
    // A dropped server is killed; the next one finds what it left.
    drop(server);
    let mut times = Vec::new();
    for _ in 0..arena.args.runs() {
        let begin = Instant::now();
        let server = launch.clone().start().await;
        times.push(begin.elapsed().as_secs_f64());
        drop(server);
    }
    let name = format!("start to ready over {} live tasks", crate::table::thousands(arena.args.live() as f64));
    let (unit, value) = (Unit::Seconds, load::median(times));
    board.put(arena.rows, Figure { name, unit, value, goal: Goal::Open, probe: None });
    Ok(())
}
