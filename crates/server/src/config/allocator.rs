//! What the allocator is told before anything runs.
//!
//! mimalloc keeps freed memory for a second before the system gets it back. Large results pass
//! through buffers of many sizes on many threads, so that in this second gathers what a hundred of
//! them have used: 412 MiB instead of about 190 (`make bench`, section flat). The allocator reads
//! its settings from the environment while the process is set up, and its only other way in is an
//! unsafe call; so the process starts itself once more, in its own place.

use std::{env, os::unix::process::CommandExt, process::Command};

/// How long freed memory is kept, in milliseconds.
const PURGE_DELAY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "10");
/// What is smaller is kept all the same, in KiB: it will be used again soon, and giving it back
/// would cost more than it frees.
const PURGE_LEAST: (&str, &str) = ("MIMALLOC_MINIMAL_PURGE_SIZE", "512");

/// Replaces this process by itself with the allocator's settings. Returns if it has them already:
/// an operator's own settings stand. A system that refuses costs memory, nothing else.
pub fn settle() {
    #[expect(clippy::disallowed_methods, reason = "it is read before there are settings, and by the allocator itself")]
    let is_settled = env::var_os(PURGE_DELAY.0).is_some();
    if is_settled {
        return;
    }
    let mut args = env::args_os();
    let (Ok(program), Some(name)) = (env::current_exe(), args.next()) else { return };
    // Only comes back with an error.
    let _ = Command::new(program).arg0(name).args(args).envs([PURGE_DELAY, PURGE_LEAST]).exec();
}
