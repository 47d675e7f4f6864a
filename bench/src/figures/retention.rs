//! Creates while a hundred thousand tasks lose their media and details.

use super::{SYNCHRONOUS, block, create, watch};
use crate::{
    Result,
    arena::Arena,
    table::{Board, Figure, Unit, thousands},
    targets::Goal,
};
use pixel_store::seed;
use pixel_testkit::{Script, Stub};
use serde_json::json;
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

const WIDTH: usize = 32;
const LIMIT: Duration = Duration::from_secs(900);

pub async fn measure(arena: &Arena<'_>, board: &mut Board) -> Result<()> {
    let (stub, count) = (Stub::for_load(), arena.args.expired());
    let (server, launch) = {
        stub.by_default(Script::default());
        let launch = arena.pixel(&stub)?;
        let server = launch.clone().start().await;
        let body = json!({ "model": SYNCHRONOUS, "prompt": "one" });
        server.client().make("image", &body, Duration::from_secs(30)).await;
        drop(server);
        super::blocked_at(&stub, launch).await
    };
    drop(server);
    seed::multiply(&arena.options(&launch), count, 0).await?;
    let data = arena.options(&launch).data;
    for at in 0..count {
        let name = seed::sha256(at);
        let folder = data.join("blobs").join(&name[..2]);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), [0_u8; 64])?;
    }
    let request = create(SYNCHRONOUS);
    let mut samples = Vec::new();
    for days in ["0", "0.001"] {
        let server = launch.clone().env("PIXEL_RETENTION_DAYS", days).start().await;
        if days == "0" {
            block(arena, &stub, &server).await?;
        }
        let (begin, before) = (Instant::now(), files(&data));
        let what = format!("creates, retention of {days} days");
        let sample =
            watch(arena, &server, (&what, WIDTH), async |connection| connection.call(&request).await.map(drop));
        samples.push(sample.await?);
        let (after, took) = (files(&data), begin.elapsed());
        eprintln!("{:?}: {} files removed in {took:.0?}", arena.rows, before - after);
        if days != "0" && before == after {
            return Err("nothing was removed while creates were measured".into());
        }
        while days != "0" && files(&data) > 1 && begin.elapsed() < LIMIT {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        if days != "0" {
            let (name, unit) = (format!("removing {} expired tasks", thousands(f64::from(count))), Unit::Seconds);
            let value = begin.elapsed().as_secs_f64();
            board.put(arena.rows, Figure { name, unit, value, goal: Goal::Open, probe: None });
        }
    }
    let name = format!("creates while {} expired tasks are removed", thousands(f64::from(count)));
    board.sample(arena.rows, &name, samples[1], [Goal::Open; 3], samples[0].parts());
    Ok(())
}

fn files(data: &Path) -> usize {
    let folders = fs::read_dir(data.join("blobs")).into_iter().flatten().flatten();
    folders.map(|folder| fs::read_dir(folder.path()).map_or(0, Iterator::count)).sum()
}
