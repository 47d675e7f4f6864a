//! Whole tasks, from the create to the caller's seeing `completed`, at a vendor that answers at once.

use super::{Durable, POLLED, SYNCHRONOUS, create, memory, task_id, watch};
use crate::{
    Result,
    arena::Arena,
    http::{self, Connection},
    machine::Process,
    table::Board,
    targets,
};
use pixel_testkit::Stub;

/// Callers at the same time, each with one task. A polled task mostly waits for its poll.
const IMAGES: usize = 64;
const POLLERS: usize = 256;
/// The first poll's wait, the shortest that can be set.
const POLL_MS: u32 = 10;

pub async fn measure(arena: &Arena<'_>, board: &mut Board, bare: &Durable) -> Result<()> {
    let stub = Stub::for_load();
    let server = arena.pixel(&stub)?.env("PIXEL_POLL_MIN_MS", POLL_MS).start().await;
    let (images, pollers) = (arena.args.width(IMAGES), arena.args.width(POLLERS));
    let image = create(SYNCHRONOUS);
    let one = watch(arena, &server, ("images, one at a time", 1), async |connection| see(connection, &image).await);
    let name = "image, create to completed, one at a time";
    board.sample(arena.rows, name, one.await?, targets::ONE_IMAGE, bare.creates(1));
    let [bare_creates, ..] = bare.creates(32);
    let probe = [bare_creates, None, None];

    let all = watch(arena, &server, ("images", images), async |connection| see(connection, &image).await).await?;
    let name = format!("image tasks end to end, {images} at a time");
    board.sample(arena.rows, &name, all, targets::IMAGES, probe);

    let polled = create(POLLED);
    let all = watch(arena, &server, ("polled", pollers), async |connection| see(connection, &polled).await).await?;
    let name = format!("polled tasks end to end, {pollers} at a time");
    board.sample(arena.rows, &name, all, targets::POLLED, probe);

    let peak = Process(server.pid()).memory()?.1;
    board.put(arena.rows, memory("memory, most under tasks", peak, targets::MEMORY_LOAD, None));
    Ok(())
}

/// Creates a task and waits until it is seen completed.
async fn see(connection: &mut Connection, request: &[u8]) -> Result<()> {
    let id = task_id(connection.call(request).await?)?;
    let end = connection.call(&http::get(&format!("/api/v1/tasks/{id}?wait=30"))).await?;
    match end.windows(DONE.len()).any(|window| window == DONE) {
        true => Ok(()),
        false => Err(format!("the task did not complete: {}", String::from_utf8_lossy(end)).into()),
    }
}

const DONE: &[u8] = b"\"status\":\"completed\"";
