//! Child processes that cannot outlive the test: groups, signals, and what is left behind.

use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

/// Finds a program on the PATH.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The words that make a command die with the thread that started it, whatever ends the test.
pub fn leash(signal: &str) -> Vec<OsString> {
    match program("setpriv") {
        Some(setpriv) => vec![setpriv.into(), "--pdeathsig".into(), signal.into()],
        None => Vec::new(),
    }
}

/// A command from a list of words.
pub fn command(words: &[OsString]) -> Command {
    let (first, rest) = words.split_first().expect("a command has a first word");
    let mut command = Command::new(first);
    command.args(rest);
    command
}

/// The group that a child leads.
pub fn group_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// Sends a signal to a whole group; one that is gone already is no error.
pub fn signal_group(group: Pid, signal: Signal) {
    match kill_process_group(group, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("the signal {signal:?} to group {group:?} failed: {error}"),
    }
}

/// The command lines of the group's living members.
pub fn living(group: Pid) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| member(&entry.ok()?.path(), group)).collect()
}

/// A process below another one, as it is known to the kernel: its number may be given out again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    pub state: char,
    pub started: u64,
}

impl Process {
    /// What others may read of it: its words and its variables.
    pub fn shown(&self) -> Vec<u8> {
        let read = |name: &str| fs::read(format!("/proc/{}/{name}", self.pid)).unwrap_or_default();
        [read("cmdline"), vec![b'\n'], read("environ")].concat()
    }

    pub fn words(&self) -> String {
        let words = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        String::from_utf8_lossy(&words).replace('\0', " ")
    }

    /// Whether it is still there, were it only as a zombie.
    pub fn is_there(&self) -> bool {
        status(self.pid).is_some_and(|now| now.started == self.started)
    }

    pub fn kill9(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).expect("a process has a number");
        match rustix::process::kill_process(pid, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => panic!("the process {self:?} could not be killed: {error}"),
        }
    }
}

fn status(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let (state, parent) = (fields.first()?.chars().next()?, fields.get(1)?.parse().ok()?);
    Some(Process { pid, parent, state, started: fields.get(19)?.parse().ok()? })
}

/// All processes that descend from this one, zombies too.
pub fn descendants(of: u32) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let all: Vec<Process> = numbers.filter_map(status).collect();
    let (mut found, mut next) = (Vec::<Process>::new(), vec![of]);
    while let Some(parent) = next.pop() {
        let children = all.iter().filter(|one| one.parent == parent);
        children.for_each(|child| {
            next.push(child.pid);
            found.push(child.clone());
        });
    }
    found
}

fn member(folder: &Path, group: Pid) -> Option<String> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // The name in brackets may hold spaces; after it come the state, the parent and the group.
    let (name, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let its_group: i32 = fields.nth(1)?.parse().ok()?;
    (its_group == group.as_raw_nonzero().get() && !matches!(state, "Z" | "X")).then(|| format!("{name})"))
}

/// Kills the group and waits until nothing of it lives; says what stayed.
pub fn end_group(child: &mut Child) -> Result<(), String> {
    let group = group_of(child);
    signal_group(group, Signal::KILL);
    child.wait().map_err(|error| error.to_string())?;
    let gone = crate::wait::blocking(Duration::from_secs(5), || living(group).is_empty().then_some(()));
    gone.ok_or_else(|| format!("these processes were left behind: {:?}", living(group)))
}

/// The last lines of a file.
pub fn tail(file: &Path, lines: usize) -> String {
    let text = fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::process::CommandExt, process::Stdio};

    /// A shell that leaves a child of its own behind.
    fn group() -> Child {
        let mut words = leash("KILL");
        words.extend(["sh".into(), "-c".into(), "sleep 600 & sleep 600".into()]);
        let child = command(&words).process_group(0).stdout(Stdio::null()).spawn().expect("sh starts");
        let leader = group_of(&child);
        let grown = crate::wait::blocking(Duration::from_secs(5), || (living(leader).len() == 3).then_some(()));
        assert!(grown.is_some(), "{:?}", living(leader));
        child
    }

    #[test]
    fn a_group_ends_whole() {
        let mut child = group();
        let leader = group_of(&child);
        end_group(&mut child).expect("nothing stays");
        assert_eq!(living(leader), Vec::<String>::new());
    }

    #[test]
    fn a_leashed_child_ends_with_its_thread() {
        let mut child = std::thread::spawn(group).join().expect("it starts");
        let ended = crate::wait::blocking(Duration::from_secs(5), || child.try_wait().expect("a child can be asked"));
        assert!(ended.is_some(), "the child outlived its thread");
        end_group(&mut child).expect("nothing stays");
    }
}
