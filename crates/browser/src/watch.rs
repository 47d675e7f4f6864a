//! Keeps Chromium in bounds and ends it: its process group is counted, killed and reaped whole.

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, getpid, getppid, kill_process, kill_process_group, wait, waitpgid, waitpid},
};
use std::{fs, os::unix::ffi::OsStrExt, path::Path, time::Duration};
use tokio::time::{Instant, sleep};

const LOOK_EVERY: Duration = Duration::from_millis(250);
const REAP_EVERY: Duration = Duration::from_millis(10);
const REAP_LIMIT: Duration = Duration::from_secs(5);

/// A process as `/proc` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub id: i32,
    pub parent: i32,
    pub group: i32,
    /// A part of Chromium that nobody reaped yet.
    pub is_dead_browser: bool,
}

/// Returns why Chromium has to go, when it has to.
pub async fn over(group: Pid, memory_bytes_max: u64, deadline: Instant) -> String {
    let parent = getppid();
    loop {
        if Instant::now() >= deadline {
            return "the time was up and the page hung".to_owned();
        }
        if getppid() != parent {
            return "the process that asked for the sign-in is gone".to_owned();
        }
        let bytes: u64 = members(group).iter().map(|process| memory_bytes(process.id)).sum();
        if bytes > memory_bytes_max {
            let [held, most] = [bytes, memory_bytes_max].map(|bytes| bytes / 1024 / 1024);
            return format!("Chromium held {held} MiB of memory, more than the {most} MiB it may");
        }
        sleep(LOOK_EVERY.min(deadline.saturating_duration_since(Instant::now()))).await;
    }
}

/// The processes of a group; the dead that nobody reaped yet are among them.
pub fn members(group: Pid) -> Vec<Process> {
    all().filter(|process| process.group == group.as_raw_nonzero().get()).collect()
}

/// Processes that left the group and came to us: our children whose command names the profile. Of
/// the dead there is only the name.
pub fn strays(group: Pid, profile: &Path) -> Vec<Pid> {
    let (own, profile) = (getpid().as_raw_nonzero().get(), profile.as_os_str().as_bytes());
    let is_stray = |process: &Process| {
        let command = fs::read(format!("/proc/{}/cmdline", process.id)).unwrap_or_default();
        process.parent == own
            && process.group != group.as_raw_nonzero().get()
            && (command.windows(profile.len()).any(|part| part == profile) || process.is_dead_browser)
    };
    all().filter(is_stray).filter_map(|process| Pid::from_raw(process.id)).collect()
}

fn all() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    ids.filter_map(|id| parse_stat(id, &fs::read_to_string(format!("/proc/{id}/stat")).ok()?))
}

/// `id (name) state parent group …`; the name may hold anything.
fn parse_stat(id: i32, stat: &str) -> Option<Process> {
    let (name, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let is_dead_browser = fields.next()? == "Z" && name.split_once('(')?.1.starts_with("chrom");
    let mut number = || fields.next()?.parse().ok();
    Some(Process { id, parent: number()?, group: number()?, is_dead_browser })
}

/// What is the process's own: pages of files are shared by all of Chromium's processes, and would
/// be counted for each.
fn memory_bytes(id: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let own = status.lines().filter(|line| line.starts_with("RssAnon:") || line.starts_with("RssShmem:"));
    own.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum::<u64>() * 1024
}

/// Kills a group and what left it. None of them was reaped, or their ids could be others' by now.
pub fn kill(group: Pid, strays: &[Pid]) {
    // What is gone already needs no killing.
    let _ = kill_process_group(group, Signal::KILL);
    for stray in strays {
        let _ = kill_process(*stray, Signal::KILL);
    }
}

/// Reaps what was killed, until nothing of it stands in `/proc`. Its orphans come to us, since the
/// process is their reaper.
pub async fn reap(group: Pid, strays: &[Pid]) {
    let until = Instant::now() + REAP_LIMIT;
    for stray in strays {
        while Instant::now() < until && is_unreaped(waitpid(Some(*stray), WaitOptions::NOHANG)) {
            sleep(REAP_EVERY).await;
        }
    }
    while Instant::now() < until {
        if !is_unreaped(waitpgid(group, WaitOptions::NOHANG)) && members(group).is_empty() {
            return;
        }
        sleep(REAP_EVERY).await;
    }
    tracing::warn!(left = members(group).len(), "processes of Chromium are still there");
}

/// Whether there may be more to wait for: only an error says that no such child is left.
fn is_unreaped<T>(answer: Result<Option<T>, Errno>) -> bool {
    matches!(answer, Ok(_) | Err(Errno::INTR))
}

/// Reaps whatever else came to this process, such as helpers that left Chromium's group.
pub async fn reap_all() {
    let until = Instant::now() + REAP_LIMIT;
    while Instant::now() < until {
        if !is_unreaped(wait(WaitOptions::NOHANG)) {
            return;
        }
        sleep(REAP_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_hide_a_group() {
        let process = parse_stat(7, "7 (a) Z 1 (b)) S 3 42 7 0 -1").unwrap();
        assert_eq!(process, Process { id: 7, parent: 3, group: 42, is_dead_browser: false });
        assert!(parse_stat(7, "7 (chrome_crashpad) Z 3 42 7").unwrap().is_dead_browser);
        assert_eq!(parse_stat(7, "7 (a"), None);
    }

    #[test]
    fn this_process_is_seen_with_its_memory() {
        let block = vec![1_u8; 64 << 20];
        let group = rustix::process::getpgrp();
        let id = rustix::process::getpid().as_raw_nonzero().get();
        assert!(members(group).iter().any(|process| process.id == id));
        assert!(memory_bytes(id) >= block.len() as u64, "{} of {}", memory_bytes(id), block.len());
    }
}
