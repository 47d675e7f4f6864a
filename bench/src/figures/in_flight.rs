//! Tasks that a vendor works on for ever: what each costs while it waits for its next poll.

use super::{POLLED, accepted, create, idle, memory};
use crate::{
    Result,
    arena::Arena,
    machine::Process,
    table::{Board, Figure, Unit},
    targets::{self, Goal},
};
use pixel_testkit::{Script, Stub};
use std::time::{Duration, Instant};

/// Ten thousand tasks at a poll every five seconds.
const POLLS_PER_SECOND: f64 = 2_000.0;
const WIDTH: usize = 64;

pub async fn measure(arena: &Arena<'_>, board: &mut Board) -> Result<()> {
    let (count, poll) = (arena.args.in_flight(), arena.args.poll());
    let stub = Stub::for_load();
    stub.by_default(Script::default().polls(u32::MAX));
    let server = arena.pixel(&stub)?.env("PIXEL_POLL_MIN_MS", poll.as_millis()).start().await;
    let process = Process(server.pid());
    let request = create(POLLED);
    let fill = async |in_all: usize| -> Result<()> {
        let plan = arena.plan(&server, WIDTH);
        plan.fill(count, async |connection| connection.call(&request).await.map(drop)).await?;
        accepted(&stub, in_all, Duration::from_secs(60) + Duration::from_millis(count as u64)).await;
        // What the burst needed may go back before it is weighed.
        tokio::time::sleep(poll).await;
        Ok(())
    };
    let empty = idle(&server).await?;
    fill(count).await?;
    let full = process.memory()?.0;

    let (begin, busy, polls) = (Instant::now(), process.busy()?, stub.polls(""));
    tokio::time::sleep(poll * 2).await;
    let seconds = begin.elapsed().as_secs_f64();
    let share = (process.busy()? - busy).as_secs_f64() / seconds * 100.0;
    let rate = (stub.polls("") - polls) as f64 / seconds;
    eprintln!("{:?}: {count} polled tasks in flight: {share:.1} % of a core at {rate:.0} polls/s", arena.rows);
    if rate == 0.0 {
        return Err(format!("of {count} tasks in flight none was polled within {seconds:.0} s").into());
    }

    fill(count * 2).await?;
    let fuller = process.memory()?.0;
    let per_10_000 = 10_000.0 / count as f64;
    let name = "memory, 10,000 polled tasks in flight, more than idle";
    board.put(arena.rows, memory(name, (full - empty) * per_10_000, targets::MEMORY_IN_FLIGHT, None));
    let name = "memory, each 10,000 polled tasks more";
    board.put(arena.rows, memory(name, (fuller - full) * per_10_000, Goal::Open, None));
    // The waits between polls grow, so that what was measured is scaled to the rate that is meant.
    let name = "core busy with 10,000 polled tasks in flight, 2,000 polls a second".to_owned();
    let value = share * POLLS_PER_SECOND / rate;
    board.put(arena.rows, Figure { name, unit: Unit::Percent, value, goal: targets::BUSY_IN_FLIGHT, probe: None });
    Ok(())
}
