//! The hidden subcommand `pixel browser`: signs in to a web page once, in a real Chromium, and
//! prints the session token. One line of JSON comes in on standard input, one goes out on standard
//! output; logs go to standard error and hold neither the password nor the token.
//!
//! A bot check, a verification code or a barrier at the edge ends the attempt and is told; nothing
//! here tries to get past one. It is a process of its own so that the server carries no browser:
//! Chromium gets its own process group, which is watched and killed whole.

mod cdp;
mod find;
mod launch;
mod page;
mod protocol;
mod traffic;
mod watch;

pub use find::Surroundings;
pub use protocol::{Outcome, Reason, Request, Secret};

use launch::Chromium;
use rustix::process::{Resource, Rlimit, setpgid, setrlimit};
use std::{
    future::{Future, pending},
    io::{self, BufRead, Read, Write},
    process::ExitCode,
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, timeout},
};
use url::Url;

/// Longer is no request.
const REQUEST_BYTES_MAX: u64 = 64 * 1024;
const REQUEST_WAIT: Duration = Duration::from_secs(10);
/// The page is given up at the request's time; whatever hangs past that is killed this much later.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// Signs in once and leaves nothing behind: no process, no profile.
pub async fn sign_in(request: Request, surroundings: &Surroundings) -> Outcome {
    attempt(&request, surroundings, pending()).await.unwrap_or_else(Outcome::failed)
}

async fn attempt(
    request: &Request,
    surroundings: &Surroundings,
    interrupted: impl Future<Output = String>,
) -> Result<Outcome, String> {
    let (url, mut chromium) = match begin(request, surroundings) {
        Ok(begun) => begun,
        Err(why) => return Ok(Outcome::never_began(why)),
    };
    let deadline = Instant::now() + Duration::from_secs(request.timeout_s);
    let group = chromium.group();
    let result = tokio::select! {
        result = page::sign_in(&mut chromium, request, &url, deadline) => result,
        why = watch::over(group, request.memory_bytes_max(), deadline + KILL_GRACE) => Err(why),
        why = interrupted => Err(why),
    };
    chromium.end().await;
    result
}

fn begin(request: &Request, surroundings: &Surroundings) -> Result<(Url, Chromium), String> {
    let url = request.check()?;
    let program = find::chromium(request.chromium.as_deref(), surroundings)?;
    Ok((url, Chromium::launch(&program, request.headless, surroundings)?))
}

/// The whole life of the process.
pub fn main(surroundings: &Surroundings) -> ExitCode {
    // A second start of logging, or a group that is there already, changes nothing.
    let _ = tracing_subscriber::fmt().with_ansi(false).with_writer(io::stderr).try_init();
    let _ = setpgid(None, None);
    // A dump of this process would hold the password.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let outcome = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Err(error) => Outcome::never_began(format!("no threads to work with: {error}")),
        Ok(runtime) => {
            let outcome = runtime.block_on(serve(surroundings));
            // A standard input that never ends is not waited for.
            runtime.shutdown_background();
            outcome
        }
    };
    let printed = writeln!(io::stdout(), "{}", outcome.line()).and_then(|()| io::stdout().flush());
    if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn serve(surroundings: &Surroundings) -> Outcome {
    let result = async {
        let (mut terminate, mut interrupt) = signal(SignalKind::terminate())
            .and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)))
            .map_err(|error| format!("cannot listen for signals: {error}"))?;
        let request = match read().await {
            Ok(request) => request,
            Err(why) => return Ok(Outcome::never_began(why)),
        };
        let stopped = async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            "the process was told to stop".to_owned()
        };
        attempt(&request, surroundings, stopped).await
    };
    let outcome = result.await.unwrap_or_else(Outcome::failed);
    watch::reap_all().await;
    outcome
}

async fn read() -> Result<Request, String> {
    let line = tokio::task::spawn_blocking(|| {
        let mut line = Vec::new();
        io::stdin().lock().take(REQUEST_BYTES_MAX).read_until(b'\n', &mut line).map(|_| line)
    });
    match timeout(REQUEST_WAIT, line).await {
        Err(_) => Err(format!("no request came on standard input within {} s", REQUEST_WAIT.as_secs())),
        Ok(Ok(Ok(line))) => Request::parse(&line),
        Ok(Ok(Err(error))) => Err(format!("standard input cannot be read: {error}")),
        Ok(Err(error)) => Err(format!("standard input was not read: {error}")),
    }
}
