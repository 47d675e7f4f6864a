//! What can be asked of the bench.

use crate::Result;
use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use pixel_testkit::rig::Rows;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Measures Pixel on both databases, beside bare servers that do the least work for the same requests.
#[derive(Debug, Parser)]
#[command(name = "pixel-bench")]
pub struct Args {
    /// The server binary under test; otherwise the one beside this program
    #[arg(long, value_name = "FILE")]
    pixel: Option<PathBuf>,
    /// Where the table goes; otherwise bench.md in the target folder
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Seconds of one run
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    seconds: f64,
    /// Runs of each figure, of which the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// One short run of each figure with few tasks: shows that the bench works, measures nothing
    #[arg(long)]
    quick: bool,
    /// Measure on this database alone
    #[arg(long)]
    only: Option<Database>,
    /// Measure these sections alone
    #[arg(long, value_delimiter = ',')]
    section: Vec<Section>,
    /// Instead: 500 creates a second with 5,000 tasks in flight, for so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    sustain: Option<u64>,
    /// Folder for the databases and media, on the disk that is to be measured
    #[arg(long, value_name = "FOLDER", default_value_os_t = std::env::temp_dir())]
    pub folder: PathBuf,
    #[command(subcommand)]
    pub action: Option<Action>,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Run a bare server; the bench starts it the way it starts Pixel
    #[command(hide = true)]
    Serve(Probe),
}

#[derive(Debug, Group)]
pub struct Probe {
    #[arg(long)]
    pub listen: String,
    #[arg(long)]
    pub data: PathBuf,
    /// A postgres:// address; without it the rows are in SQLite in the data folder
    #[arg(long)]
    pub database: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
}

/// What is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Section {
    /// Creates, reads, memory
    Durable,
    /// Whole tasks
    Tasks,
    InFlight,
    Start,
    /// Everything again over a million ended tasks; a backlog of a million
    Growth,
    Retention,
    /// A hundred large results at once
    Flat,
}

fn positive(text: &str) -> std::result::Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| *seconds > 0.0 && seconds.is_finite());
    seconds.ok_or_else(|| format!("'{text}' is not a number of seconds above 0"))
}

impl Args {
    pub fn pixel(&self) -> Result<PathBuf> {
        let path = match &self.pixel {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("pixel"),
        };
        // Servers run in folders of their own.
        path.canonicalize().map_err(|error| {
            let path = path.display();
            format!("{path}: {error}. Build it (cargo build --release -p pixel-server) or name it with --pixel").into()
        })
    }

    pub fn out(&self) -> Result<PathBuf> {
        let own = std::env::current_exe()?;
        let target = own.ancestors().nth(2).unwrap_or(Path::new("."));
        Ok(self.out.clone().unwrap_or_else(|| target.join("bench.md")))
    }

    pub fn wants(&self, rows: Rows) -> bool {
        match self.only {
            None => true,
            Some(Database::Sqlite) => rows == Rows::Sqlite,
            Some(Database::Postgres) => rows == Rows::Postgres,
        }
    }

    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(if self.quick { self.seconds.min(1.0) } else { self.seconds })
    }

    pub fn runs(&self) -> u32 {
        if self.quick { 1 } else { self.runs }
    }

    pub fn is_quick(&self) -> bool {
        self.quick
    }

    /// So many tasks at the same time; fewer where one run is too short for so many.
    pub fn width(&self, full: usize) -> usize {
        if self.quick { full.min(8) } else { full }
    }

    /// Live tasks over which a server starts.
    pub fn live(&self) -> usize {
        if self.quick { 2_000 } else { 100_000 }
    }

    pub fn wants_section(&self, section: Section) -> bool {
        self.section.is_empty() || self.section.contains(&section)
    }

    pub fn sustain(&self) -> Option<Duration> {
        self.sustain.map(Duration::from_secs)
    }

    /// Ended tasks of a database that has grown.
    pub fn ended(&self) -> u32 {
        if self.quick { 10_000 } else { 1_000_000 }
    }

    /// Queued tasks of a backlog.
    pub fn backlog(&self) -> u32 {
        if self.quick { 10_000 } else { 1_000_000 }
    }

    /// Tasks whose time is over.
    pub fn expired(&self) -> u32 {
        if self.quick { 2_000 } else { 100_000 }
    }

    /// Large results at once.
    pub fn results(&self) -> usize {
        if self.quick { 4 } else { 100 }
    }

    /// Polled tasks in flight.
    pub fn in_flight(&self) -> usize {
        if self.quick { 500 } else { 10_000 }
    }

    /// The wait before a first poll while tasks are in flight.
    pub fn poll(&self) -> Duration {
        Duration::from_secs(if self.quick { 1 } else { 5 })
    }
}
