//! Five thousand tasks in flight and five hundred creates a second, for as long as one likes.

use super::{POLLED, create, memory};
use crate::{
    Result,
    arena::Arena,
    http::Connection,
    load::Sample,
    machine::Process,
    table::{Board, Figure, Unit},
    targets::{self, Goal},
};
use pixel_testkit::{Script, Stub};
use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

const CREATES_PER_SECOND: u32 = 500;
/// Connections; each takes the next create that is due.
const WIDTH: usize = 64;
/// A task's first poll finds it running, the second, half as long again later, done.
const POLL_MS: u32 = 4_000;

pub async fn measure(arena: &Arena<'_>, board: &mut Board, length: Duration) -> Result<()> {
    let stub = Stub::for_load();
    stub.by_default(Script::default().polls(1));
    let server = arena.pixel(&stub)?.env("PIXEL_POLL_MIN_MS", POLL_MS).start().await;
    let address = server.url().trim_start_matches("http://").to_owned();
    let (request, next, times) = (create(POLLED), Cell::new(0_u32), RefCell::new(Vec::new()));
    let count = u32::try_from(length.as_secs())? * CREATES_PER_SECOND;
    let begin = tokio::time::Instant::now() + Duration::from_millis(100);
    let work = (0..WIDTH).map(|_| async {
        let mut connection = Connection::open(&address).await?;
        loop {
            let at = next.replace(next.get() + 1);
            if at >= count {
                return Ok::<_, crate::Failure>(());
            }
            // Counted from when it was due: a server that is late makes the next ones late as well.
            let due = begin + Duration::from_secs(1) * at / CREATES_PER_SECOND;
            tokio::time::sleep_until(due).await;
            connection.call(&request).await?;
            times.borrow_mut().push(due.elapsed());
        }
    });
    let (in_flight, busy, started) = (Cell::new(0), Process(server.pid()).busy()?, Instant::now());
    let look = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let metrics = server.client().get("/metrics").await.text();
            let live = metrics.lines().filter(|line| line.starts_with("pixel_tasks_live"));
            let live: f64 = live.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
            in_flight.set(in_flight.get().max(live as u64));
        }
    };
    tokio::select! {
        done = futures_util::future::try_join_all(work) => drop(done?),
        () = look => {}
    }
    let share = (Process(server.pid()).busy()? - busy).as_secs_f64() / started.elapsed().as_secs_f64() * 100.0;
    let sample = Sample::of(times.into_inner(), length)?;
    let seconds = length.as_secs();
    eprintln!(
        "{:?}: {:.0} creates/s for {seconds} s: p50 {:.2} ms, p99 {:.2} ms; up to {} tasks live; server busy {share:.0} %",
        arena.rows,
        sample.rate,
        sample.p50,
        sample.p99,
        in_flight.get()
    );
    let name = |what: &str| format!("500 creates/s for {seconds} s with {} tasks live, {what}", in_flight.get());
    let figure = |what: &str, unit, value, goal| Figure { name: name(what), unit, value, goal, probe: None };
    board.put(arena.rows, figure("p50", Unit::Milliseconds, sample.p50, Goal::Open));
    board.put(arena.rows, figure("p99", Unit::Milliseconds, sample.p99, targets::SUSTAINED));
    let peak = Process(server.pid()).memory()?.1;
    board.put(arena.rows, memory(&name("most memory"), peak, targets::MEMORY_BACKLOG, None));
    Ok(())
}
