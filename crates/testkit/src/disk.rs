//! Disks that fill up or become read-only, and system calls that fail: for a test inside a
//! namespace of its own (see [`crate::isolation`]).

use crate::{
    isolation::assert_inside,
    process::{command, end_group, group_of, leash, signal_group},
    wait,
};
use rustix::process::Signal;
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{ErrorKind, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// How long the tracer may take to come and to go.
const TRACER_LIMIT: Duration = Duration::from_secs(20);

/// A small disk in memory. It goes with the value.
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts an empty disk of this size on a folder, which is made.
    pub fn mount(folder: &Path, bytes: u64) -> Self {
        assert_inside("disks are mounted");
        fs::create_dir_all(folder).expect("the test's folder can be written");
        let options = format!("size={bytes},mode=0755");
        run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs"], folder);
        Self { folder: folder.to_path_buf() }
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    /// Takes every byte that is free.
    pub fn fill(&self) {
        let mut file =
            File::options().create(true).append(true).open(self.ballast()).expect("a disk has room for a name");
        let full = loop {
            if let Err(error) = file.write_all(&[0; 4096]) {
                break error.kind();
            }
        };
        assert_eq!(full, ErrorKind::StorageFull);
    }

    /// Gives back what [`fill`](Self::fill) took.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    /// Refuses every write from now on. Nobody may have a file open for writing.
    pub fn make_read_only(&self) {
        // Somebody may just be closing one.
        let done = wait::blocking(Duration::from_secs(10), || remount(&self.folder, "remount,ro").then_some(()));
        assert!(done.is_some(), "{} cannot be made read-only", self.folder.display());
    }

    pub fn make_writable(&self) {
        assert!(remount(&self.folder, "remount,rw"), "{} cannot be made writable", self.folder.display());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whatever still has a file open there is being ended.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

fn remount(folder: &Path, how: &str) -> bool {
    let answer = Command::new("mount").args(["-o", how]).arg(folder).output().expect("mount starts");
    answer.status.success()
}

fn run(program: &str, args: &[&str], folder: &Path) {
    let answer = Command::new(program).args(args).arg(folder).output().expect("mount starts");
    assert!(answer.status.success(), "{program}: {}", String::from_utf8_lossy(&answer.stderr));
}

/// System calls of a running process that fail as long as this lives.
pub struct Failing {
    tracer: Child,
    trace: PathBuf,
}

impl Failing {
    /// `calls` are names with commas between them, `error` is a name such as `EIO`. With a path
    /// only calls on that file fail. `home` is a folder for the trace.
    pub fn begin(pid: u32, calls: &str, error: &str, path: Option<&Path>, home: &Path) -> Self {
        let (trace, said) = (home.join("trace"), home.join("strace"));
        let mut words = leash("KILL");
        words.extend(["strace", "-f", "-e", &format!("trace={calls}")].map(OsString::from));
        words
            .extend(["-e", &format!("inject={calls}:error={error}"), "-p", &pid.to_string(), "-o"].map(OsString::from));
        words.push(trace.clone().into());
        if let Some(path) = path {
            words.extend(["-P".into(), path.into()]);
        }
        let out = File::create(&said).expect("the test's folder can be written");
        let mut strace = command(&words);
        strace.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(out);
        let tracer = strace.spawn().expect("install strace (Debian: strace): it lets system calls fail");
        let mut failing = Self { tracer, trace };
        failing.wait_attached(&said);
        failing
    }

    fn wait_attached(&mut self, said: &Path) {
        let attached = wait::blocking(TRACER_LIMIT, || {
            let text = fs::read_to_string(said).unwrap_or_default();
            let ended = self.tracer.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "strace ended: {text}");
            // One line for the process and all its threads.
            text.contains(" attached").then_some(())
        });
        assert!(attached.is_some(), "strace did not attach: {}", fs::read_to_string(said).unwrap_or_default());
    }

    /// Calls that were made to fail so far.
    pub fn count(&self) -> usize {
        fs::read_to_string(&self.trace).map_or(0, |text| text.matches("(INJECTED)").count())
    }

    /// From here on everything works again.
    pub fn end(mut self) -> usize {
        signal_group(group_of(&self.tracer), Signal::INT);
        let ended = wait::blocking(TRACER_LIMIT, || self.tracer.try_wait().expect("a child can be asked"));
        assert!(ended.is_some(), "strace does not let go");
        self.count()
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        // After `end` it is gone already.
        let _ = end_group(&mut self.tracer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isolation;

    #[test]
    fn a_disk_fills_up_and_becomes_read_only() {
        isolation::run("pixel_testkit::disk::tests::a_disk_fills_up_and_becomes_read_only", || {
            let home = tempfile::tempdir().expect("a folder");
            let folder = home.path().join("disk");
            let disk = Disk::mount(&folder, 1 << 20);
            let write = || fs::write(folder.join("file"), [1; 8192]).map_err(|error| error.kind());
            assert_eq!(write(), Ok(()));
            disk.fill();
            assert_eq!(
                fs::write(folder.join("other"), [1; 8192]).map_err(|error| error.kind()),
                Err(ErrorKind::StorageFull)
            );
            disk.free();
            assert_eq!(write(), Ok(()));
            disk.make_read_only();
            assert_eq!(write(), Err(ErrorKind::ReadOnlyFilesystem));
            disk.make_writable();
            assert_eq!(write(), Ok(()));
            drop(disk);
            assert!(!folder.join("file").exists(), "the disk is still there");
        });
    }

    #[test]
    fn calls_fail_until_they_are_let_go() {
        let home = tempfile::tempdir().expect("a folder");
        let mut words = leash("KILL");
        let script = "while true; do mv a b 2>/dev/null && echo ok >>ok; mv b a 2>/dev/null; sleep 0.02; done";
        words.extend(["sh", "-c", script].map(OsString::from));
        fs::write(home.path().join("a"), "").expect("written");
        let mut shell = command(&words);
        let mut child = shell.current_dir(home.path()).process_group(0).spawn().expect("sh starts");
        let failing = Failing::begin(child.id(), "?rename,?renameat,?renameat2", "EIO", None, home.path());
        let hit = wait::blocking(Duration::from_secs(10), || (failing.count() > 3).then_some(()));
        assert!(hit.is_some(), "nothing failed");
        assert!(failing.end() > 3);
        let _ = fs::remove_file(home.path().join("ok"));
        let works = wait::blocking(Duration::from_secs(10), || home.path().join("ok").exists().then_some(()));
        assert!(works.is_some(), "it still fails");
        end_group(&mut child).expect("nothing stays");
    }
}
