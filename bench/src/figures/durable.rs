//! Creates and reads, at Pixel and at the bare server by the same requests.

use super::{SYNCHRONOUS, block, blocked, create, idle, memory, task_id, watch};
use crate::{Result, arena::Arena, http, load::Sample, machine::Process, table::Board, targets};
use pixel_testkit::{Stub, server::Server};
use std::cell::{Cell, RefCell};

const CREATES: [usize; 3] = [1, 32, 128];
const READERS: usize = 32;
/// Tasks that are read in turn.
const READ: usize = 1_000;

/// What one server showed.
pub struct Durable {
    creates: Vec<(usize, Sample)>,
    reads: Sample,
    /// Resident memory in MiB, at rest and at its most.
    idle: f64,
    peak: f64,
}

impl Durable {
    /// Its creates at so many connections.
    pub fn creates(&self, connections: usize) -> [Option<f64>; 3] {
        self.creates.iter().find(|(at, _)| *at == connections).map_or([None; 3], |(_, sample)| sample.parts())
    }
}

pub async fn bare(arena: &Arena<'_>, board: &mut Board) -> Result<Durable> {
    let server = arena.probe()?.start().await;
    let rest = idle(&server).await?;
    let request = http::get("/hello");
    let hello =
        watch(arena, &server, ("bare hello", READERS), async |connection| connection.call(&request).await.map(drop));
    board.sample_probe(arena.rows, &format!("axum hello, {READERS} connections"), hello.await?);
    let bare = drive(arena, &server, "bare", rest).await?;
    for (connections, sample) in &bare.creates {
        let name = format!("axum and group commit, creates, {}", plural(*connections));
        board.sample_probe(arena.rows, &name, *sample);
    }
    board.sample_probe(arena.rows, &format!("axum and one read by key, {READERS} connections"), bare.reads);
    board.put_probe(arena.rows, "memory idle", crate::table::Unit::MiB, bare.idle);
    board.put_probe(arena.rows, "memory, most under creates and reads", crate::table::Unit::MiB, bare.peak);
    Ok(bare)
}

pub async fn pixel(arena: &Arena<'_>, board: &mut Board, bare: &Durable) -> Result<()> {
    let stub = Stub::for_load();
    let (server, _) = blocked(arena, &stub).await?;
    let rest = idle(&server).await?;
    block(arena, &stub, &server).await?;
    let own = drive(arena, &server, "Pixel", rest).await?;
    for (connections, sample) in &own.creates {
        let goals = targets::creates(arena.rows, *connections);
        let name = format!("durable creates, {}", plural(*connections));
        board.sample(arena.rows, &name, *sample, goals, bare.creates(*connections));
    }
    let name = format!("task reads, {READERS} connections");
    board.sample(arena.rows, &name, own.reads, targets::reads(arena.rows), bare.reads.parts());
    board.put(arena.rows, memory("memory idle", own.idle, targets::MEMORY_IDLE, Some(bare.idle)));
    let name = "memory, most under creates and reads";
    board.put(arena.rows, memory(name, own.peak, targets::MEMORY_LOAD, Some(bare.peak)));
    Ok(())
}

async fn drive(arena: &Arena<'_>, server: &Server, who: &str, idle: f64) -> Result<Durable> {
    let request = create(SYNCHRONOUS);
    let mut creates = Vec::new();
    for connections in CREATES {
        let what = format!("{who} creates, {}", plural(connections));
        let sample =
            watch(arena, server, (&what, connections), async |connection| connection.call(&request).await.map(drop));
        creates.push((connections, sample.await?));
    }
    let ids = RefCell::new(Vec::with_capacity(READ));
    let keep = async |connection: &mut http::Connection| {
        let id = task_id(connection.call(&request).await?)?;
        ids.borrow_mut().push(http::get(&format!("/api/v1/tasks/{id}")));
        Ok(())
    };
    arena.plan(server, READERS).fill(READ, keep).await?;
    let (ids, turn) = (ids.into_inner(), Cell::new(0));
    let what = format!("{who} reads");
    let reads = watch(arena, server, (&what, READERS), async |connection| {
        let at = turn.replace(turn.get() + 1) % ids.len();
        connection.call(&ids[at]).await.map(drop)
    });
    let reads = reads.await?;
    Ok(Durable { creates, reads, idle, peak: Process(server.pid()).memory()?.1 })
}

fn plural(connections: usize) -> String {
    format!("{connections} connection{}", if connections == 1 { "" } else { "s" })
}
