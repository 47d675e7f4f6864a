//! `pixel simulate`: the vendors' simulator as a process of its own.

use crate::cli::Outcome;
use clap::Args;
use pixel_simulator::{Fault, Options, Script, Simulator};
use std::{
    error::Error,
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// How to start the simulator.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9900")]
    listen: SocketAddr,
    /// File of the ledger, a line of JSON for each accepted submission, flushed before it is
    /// answered; continued when it is there. Without one the ledger is in memory
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// File with the script to begin with, the same JSON as POST /_script takes
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Seed of what is left to chance; the same seed strikes the same submissions
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Share of submissions that a fault strikes by chance, 0 to 1
    #[arg(long, value_name = "SHARE")]
    rate: Option<f64>,
    /// Faults that chance takes from, such as reset-after-accept,expired-link; all, when left out
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kind)]
    faults: Vec<Fault>,
}

const AFTER_HELP: &str = "\
Point Pixel, or any client, at it with the variables that it prints when it starts; the only key it knows is test-key.
GET / on its port lists its pages: /_ledger says what was accepted, /_script sets how it behaves, /_faults names every
way in which it can misbehave. A word mk-… in a prompt marks a submission, so that a script can be set for it alone.

  pixel simulate --ledger ledger.jsonl --seed 7 --rate 0.3
  curl -s http://127.0.0.1:9900/_script -d '{\"faults\":[{\"kind\":\"reset-after-accept\",\"stage\":\"submit\"}]}'
  curl -s http://127.0.0.1:9900/_ledger

docs/simulator.md has the rest, with an example for a CI job.";

fn kind(name: &str) -> Result<Fault, String> {
    let known = || Fault::ALL.iter().map(|fault| fault.name()).collect::<Vec<_>>().join(", ");
    Fault::named(name).ok_or_else(|| format!("there is no such fault; there are {}", known()))
}

type Failure = Box<dyn Error + Send + Sync>;

/// Runs until the process is told to stop.
pub fn run(arguments: Arguments) -> Outcome {
    let (listen, options) = (arguments.listen, options(arguments)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let simulator = Simulator::new(options)?;
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            format!("cannot listen on {listen}: {error}. Is another simulator running there? Choose with --listen.")
        })?;
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        announce(listener.local_addr()?)?;
        tokio::select! {
            () = simulator.serve(listener) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok::<_, Failure>(())
    })?;
    // Answers that are slow on purpose are not waited for.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

fn options(arguments: Arguments) -> Result<Options, Failure> {
    let mut script = Script::default();
    if let Some(path) = &arguments.script {
        let text = std::fs::read(path).map_err(|error| format!("the script {}: {error}", path.display()))?;
        script = match Script::parse(&text).map_err(|why| format!("the script {}: {why}", path.display()))? {
            (None, script) => script,
            (Some(_), _) => return Err("marker: a script for the start is for all; set others by POST /_script".into()),
        };
    }
    script.seed = arguments.seed.unwrap_or(script.seed);
    script.rate = arguments.rate.unwrap_or(script.rate);
    if !arguments.faults.is_empty() {
        script.kinds = arguments.faults;
    }
    script.check()?;
    Ok(Options { ledger: arguments.ledger, script, ..Options::default() })
}

/// The first line is for programs, the others are for whoever sets variables by hand.
fn announce(address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "Pixel's simulator is ready on http://{address}")?;
    for (name, url) in Simulator::account_variables(address).into_iter().chain(Simulator::variables(address)) {
        writeln!(out, "{name}={url}")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(words: &[&str]) -> Result<Arguments, clap::Error> {
        Line::try_parse_from([&["simulate"], words].concat()).map(|line| line.arguments)
    }

    #[test]
    fn flags_stand_over_the_script() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("script.json");
        std::fs::write(&path, r#"{"seed": 1, "polls": 2}"#).expect("written");
        let path = path.to_str().expect("plain");
        let words = ["--script", path, "--seed", "7", "--rate", "0.5", "--faults", "moderation,expired-link"];
        let options = options(parse(&words).expect("well formed")).expect("it fits");
        assert_eq!((options.script.seed, options.script.rate, options.script.polls.most), (7, 0.5, 2));
        assert_eq!(options.script.kinds, [Fault::Moderation, Fault::ExpiredLink]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = parse(&["--faults", "late"]).expect_err("no such fault").to_string();
        assert!(error.contains("expired-link"), "{error}");
        for words in [["--rate", "2"], ["--faults", "black-hole"], ["--script", "nowhere.json"]] {
            let error = options(parse(&words).expect("well formed")).expect_err("it does not fit").to_string();
            assert!(
                error.contains(words[0].trim_start_matches("--").trim_end_matches('s')) || error.contains("kinds"),
                "{error}"
            );
        }
    }
}
