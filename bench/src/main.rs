//! `make bench`: one run, both databases, one table.
//!
//! The server under test (and PostgreSQL, when it is used) gets one processor core, the load and
//! the vendor stub get the others. Beside Pixel the run measures *probes*: bare servers that do
//! nothing but the database's least work for the same requests. Absolute figures differ between
//! machines and hours; the ratio to the probe of the same run does not so much.
//!
//! - [`args`]: what can be asked of it. [`machine`]: cores, memory, processor time, flushes.
//! - [`arena`]: starts servers, each on a fresh database. [`probe`]: the bare servers.
//! - [`http`], [`load`]: a light client, and many of them for a while.
//! - [`figures`]: what is measured. [`targets`], [`table`]: what is aimed at, and the result.

mod arena;
mod args;
mod figures;
mod http;
mod load;
mod machine;
mod probe;
mod table;
mod targets;

use arena::Arena;
use args::{Action, Args};
use machine::Cores;
use pixel_testkit::rig::Rows;
use std::{error::Error, fs, process::ExitCode};
use table::Board;
use tokio::signal::unix::{SignalKind, signal};

/// The allocator of the server under test, so that probes and Pixel have the same.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

fn main() -> ExitCode {
    let args = <Args as clap::Parser>::parse();
    let done = match &args.action {
        Some(Action::Serve(options)) => probe::serve(options),
        None => bench(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pixel-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(args: &Args) -> Result<()> {
    let pixel = args.pixel()?;
    let out = args.out()?;
    let cores = Cores::find()?;
    let mut facts = machine::facts(args, &pixel, &cores)?;
    facts.push(machine::flushes(&args.folder, args.length())?);
    let mut board = Board::new(facts);
    // Whatever is started from here on inherits this.
    cores.take_load()?;
    // One thread: the load must stay lighter than what it measures, and every child process ends
    // with the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        // Dropping the measurement ends its servers and removes their folders.
        tokio::select! {
            done = measure(args, &cores, &mut board) => done,
            _ = terminate.recv() => Err("stopped; nothing was written".into()),
            _ = interrupt.recv() => Err("stopped; nothing was written".into()),
        }
    })?;
    board.binary(fs::metadata(&pixel)?.len());
    let text = board.render();
    fs::write(&out, &text).map_err(|error| format!("{} cannot be written: {error}", out.display()))?;
    println!("{text}");
    eprintln!("The table is also in {}", out.display());
    Ok(())
}

async fn measure(args: &Args, cores: &Cores, board: &mut Board) -> Result<()> {
    for rows in [Rows::Sqlite, Rows::Postgres].into_iter().filter(|rows| args.wants(*rows)) {
        let arena = Arena::new(args, cores, rows)?;
        figures::all(&arena, board).await?;
    }
    Ok(())
}
