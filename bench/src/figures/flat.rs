//! Many large results at once: the server's memory must not follow them.

use super::{POLLED, SYNCHRONOUS, idle, memory};
use crate::{Result, arena::Arena, machine::Process, table::Board, targets};
use pixel_testkit::{Script, Stub};
use serde_json::json;
use std::time::Duration;

const BYTES: usize = 30 << 20;
const LIMIT: Duration = Duration::from_secs(600);

pub async fn measure(arena: &Arena<'_>, board: &mut Board) -> Result<()> {
    for (how, model) in [("base64 in the answer", SYNCHRONOUS), ("links", POLLED)] {
        let count = arena.args.results();
        let stub = Stub::start();
        // Long enough for all of them to be under way.
        stub.by_default(Script::default().bytes(BYTES).latency(Duration::from_secs(5)));
        let server = arena.pixel(&stub)?.start().await;
        let (empty, client) = (idle(&server).await?, server.client());
        let mut ids = Vec::new();
        for at in 0..count {
            let body = json!({ "model": model, "prompt": format!("large {at}") });
            ids.push(client.create("image", &body).await);
        }
        for id in &ids {
            let task = client.end_of(id, LIMIT).await;
            if task["status"] != "completed" {
                return Err(format!("a large result did not arrive: {task:#}").into());
            }
        }
        let peak = Process(server.pid()).memory()?.1;
        eprintln!(
            "{:?}: {count} results of 30 MiB as {how}: {empty:.0} MiB before, {peak:.0} MiB at the most",
            arena.rows
        );
        let name = format!("{count} results of 30 MiB at once as {how}, most memory");
        board.put(arena.rows, memory(&name, peak, targets::MEMORY_FLAT, None));
    }
    Ok(())
}
