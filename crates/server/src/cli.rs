//! The command line: the server, and what is done to its store and its settings without it.

use crate::{
    backup::{self, Work},
    config::{self, Environment, Flags, Loaded, Problems},
    doctor, logs, run, simulate,
};
use clap::{Args, Parser, Subcommand};
use pixel_core::catalog::Catalog;
use std::{
    error::Error,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

/// Pixel, a self-hosted server for generating pictures, clips and speech.
#[derive(Parser, Debug)]
#[command(name = "pixel", version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Settings come from the defaults, a file, .env in the working folder, environment variables and flags; later ones win.
`pixel config` lists them all. Without any vendor key, everything is answered by the built-in sandbox.";

#[derive(Subcommand, Debug)]
enum Command {
    /// Starts the server
    Serve(SettingsArgs),
    /// Prints every setting, its value and where it came from; secrets are stars
    Config {
        #[command(flatten)]
        settings: SettingsArgs,
        /// Prints JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Says what is missing and what to do about it; ends with 1 when Pixel could not run
    Doctor(SettingsArgs),
    /// Copies every row and its media into a new folder, beside a running server
    Backup {
        #[command(flatten)]
        settings: SettingsArgs,
        /// Folder to make; it must not be there yet
        #[arg(long, value_name = "PATH")]
        to: PathBuf,
    },
    /// Puts a backup into an empty place and leaves submissions paused
    Restore {
        #[command(flatten)]
        settings: SettingsArgs,
        /// Folder that `pixel backup` made
        #[arg(long, value_name = "PATH")]
        from: PathBuf,
    },
    /// Pauses submissions, on every server that shares the database; what is free goes on
    Pause {
        #[command(flatten)]
        settings: SettingsArgs,
        /// Treats every live task as one that may have been submitted already: for a database that
        /// went back in time, as after a fail-over to a replica that lagged behind
        #[arg(long)]
        in_doubt: bool,
    },
    /// Lifts a pause of submissions, also while the server runs, and says what it sets free
    Resume {
        #[command(flatten)]
        settings: SettingsArgs,
        /// Only says what would be set free
        #[arg(long)]
        dry_run: bool,
    },
    /// Signs in to a web page: the server's child, a line of JSON in and one out
    #[cfg(feature = "browser")]
    #[command(hide = true)]
    Browser,
    /// Plays the vendors, for tests: counts what it accepts and misbehaves on command
    Simulate(simulate::Arguments),
}

#[derive(Args, Debug)]
struct SettingsArgs {
    /// Address and port to listen on [default: 127.0.0.1:8000] [env: PIXEL_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Folder of the database and the media [default: ./data] [env: PIXEL_DATA]
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
    /// Settings file [default: ./pixel.toml, if it is there] [env: PIXEL_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answers every model with the built-in sandbox: no key, no network, no cost [env: PIXEL_SANDBOX]
    #[arg(long)]
    sandbox: bool,
}

impl From<SettingsArgs> for Flags {
    fn from(args: SettingsArgs) -> Self {
        Self { listen: args.listen, data: args.data, config: args.config, sandbox: args.sandbox }
    }
}

/// Runs the command that the process was started with. The environment is read before any thread.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    let environment = Environment::read();
    execute(command, &environment).unwrap_or_else(|error| {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(io::stderr(), "{error}");
        ExitCode::FAILURE
    })
}

pub type Outcome = Result<ExitCode, Box<dyn Error + Send + Sync>>;

fn execute(command: Command, environment: &Environment) -> Outcome {
    match command {
        Command::Serve(args) => serve(load(&args.into(), environment)?, environment),
        Command::Config { settings, json } => {
            let (loaded, _) = load(&settings.into(), environment)?;
            print_config(&loaded, json)
        }
        Command::Backup { settings, to } => work(&settings.into(), environment, Work::Backup { to: &to }),
        Command::Restore { settings, from } => work(&settings.into(), environment, Work::Restore { from: &from }),
        Command::Pause { settings, in_doubt } => work(&settings.into(), environment, Work::Pause { in_doubt }),
        Command::Resume { settings, dry_run } => work(&settings.into(), environment, Work::Resume { dry_run }),
        Command::Doctor(args) => {
            let loaded = load(&args.into(), environment);
            let checks = doctor::examine(loaded.as_ref().map(|(loaded, catalog)| (loaded, catalog)), environment);
            let color = io::stdout().is_terminal() && environment.wants_color();
            print(&doctor::report(&checks, color))?;
            Ok(if doctor::is_fit(&checks) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        #[cfg(feature = "browser")]
        Command::Browser => Ok(pixel_browser::main(&environment.surroundings())),
        Command::Simulate(arguments) => simulate::run(arguments),
    }
}

/// The settings, and the catalogue that they stand on.
fn load(flags: &Flags, environment: &Environment) -> Result<(Loaded, Catalog), Problems> {
    let catalog = config::catalog(flags, environment, &pixel_vendors::catalog(|name| environment.has(name)))?;
    Ok((config::load(flags, environment, &catalog)?, catalog))
}

/// Threads for file work, beside those that local jobs fill: enough to keep a disk's queue busy.
const BLOCKING_THREADS: usize = 32;

fn serve((loaded, catalog): (Loaded, Catalog), environment: &Environment) -> Outcome {
    let Loaded { settings, warnings, .. } = loaded;
    logs::init(&settings.log, io::stderr().is_terminal() && environment.wants_color())?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    // Whole huge pages for the few kilobytes that a thread needs would multiply the memory; without
    // them everything works as well, so a kernel that refuses is no failure.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.workers)
        .max_blocking_threads(settings.engine.local_jobs + BLOCKING_THREADS)
        .enable_all()
        .build()?;
    let programs = run::Programs { ffmpeg: environment.find_program("ffmpeg"), browser: environment.for_browser() };
    let result = runtime.block_on(run::serve(settings, catalog, programs));
    // Work that still computes on the blocking pool is free to repeat, so it does not delay the end.
    runtime.shutdown_timeout(Duration::from_millis(500));
    result.map(|()| ExitCode::SUCCESS)
}

/// Work on the store that needs no server.
fn work(flags: &Flags, environment: &Environment, work: Work<'_>) -> Outcome {
    let (loaded, _) = load(flags, environment)?;
    backup::run(&loaded.settings, work).map(|()| ExitCode::SUCCESS)
}

fn print_config(loaded: &Loaded, json: bool) -> Outcome {
    if json {
        let document = config::show::document(&loaded.rows, &loaded.warnings);
        print(&format!("{document:#}\n"))?;
    } else {
        print(&config::show::table(&loaded.rows))?;
        for warning in &loaded.warnings {
            writeln!(io::stderr(), "warning: {warning}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A reader that left early, such as `head`, is no failure.
fn print(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_reach_the_settings() {
        let cli = Cli::try_parse_from([
            "pixel",
            "serve",
            "--listen",
            "[::1]:1",
            "--data",
            "/d",
            "--config",
            "c.toml",
            "--sandbox",
        ]);
        let Command::Serve(args) = cli.unwrap().command else { panic!("not serve") };
        let flags = Flags::from(args);
        assert_eq!(flags.listen.as_deref(), Some("[::1]:1"));
        assert_eq!(flags.data.as_deref(), Some("/d"));
        assert_eq!(flags.config, Some(PathBuf::from("c.toml")));
        assert!(flags.sandbox);
    }

    #[test]
    fn unknown_flags_are_refused() {
        assert!(Cli::try_parse_from(["pixel", "serve", "--port", "1"]).is_err());
    }
}
