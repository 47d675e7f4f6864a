//! What kind of file system a folder is on. SQLite's locks and shared memory do not hold on
//! network file systems, where they lose data silently.

use crate::config::Settings;
use std::path::{Path, PathBuf};

/// Kinds that are shared over a network, as the mount table names them.
const NETWORK: &[&str] = &[
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gfs2", "ocfs2", "beegfs", "gpfs", "ncpfs",
    "coda",
];

/// The kind of file system that holds the path; `None` where the system does not tell.
pub fn kind_of(path: &Path) -> Option<String> {
    let path = existing(path).canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    kind_in(&mounts, &path)
}

/// [`kind_of`] for a mount table and an absolute path: the deepest mount point above it decides,
/// and of equal ones the later, which covers the earlier.
fn kind_in(mounts: &str, path: &Path) -> Option<String> {
    let mount = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let point = PathBuf::from(unescaped(words.next()?));
        let kind = words.next()?.to_owned();
        path.starts_with(&point).then(|| (point.components().count(), kind))
    };
    mounts.lines().filter_map(mount).max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}

/// The table writes blanks, tabs, line breaks and backslashes as three octal digits.
fn unescaped(text: &str) -> String {
    let pairs = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    pairs.iter().fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

pub fn is_network(kind: &str) -> bool {
    NETWORK.contains(&kind) || kind.starts_with("fuse.")
}

/// SQLite's locks and flushes do not hold on a network file system.
pub fn refuse_network_disk(settings: &Settings) -> Result<(), String> {
    let kind = kind_of(existing(&settings.data)).filter(|kind| is_network(kind));
    match kind {
        Some(kind) if settings.database.url.is_none() => Err(format!(
            "the data folder {} lies on a network file system ({kind}), where SQLite can lose what it has promised. \
             Choose a local folder with --data, or set DATABASE_URL to a PostgreSQL.",
            settings.data.display()
        )),
        _ => Ok(()),
    }
}

/// The path itself or the nearest folder above it that is there.
pub fn existing(path: &Path) -> &Path {
    let above = path.ancestors().find(|path| path.exists());
    above.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Bytes that this user may still write where the path is or would be.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(existing(path)).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "/dev/vda1 / ext4 rw 0 0\n\
        proc /proc proc rw 0 0\n\
        nas:/share /mnt/my\\040share nfs4 rw 0 0\n\
        /dev/vdb /srv ext4 rw 0 0\n\
        user@host: /srv/remote fuse.sshfs rw 0 0\n\
        tmpfs /srv tmpfs rw 0 0\n";

    #[test]
    fn the_deepest_mount_decides_and_the_later_covers() {
        let kind = |path: &str| kind_in(MOUNTS, Path::new(path)).unwrap();
        assert_eq!(kind("/home/pixel"), "ext4");
        assert_eq!(kind("/mnt/my share/data"), "nfs4");
        assert_eq!(kind("/mnt/my sharex"), "ext4");
        assert_eq!(kind("/srv/data"), "tmpfs");
        assert_eq!(kind("/srv/remote/data"), "fuse.sshfs");
    }

    #[test]
    fn network_kinds_are_known() {
        for kind in ["nfs4", "cifs", "fuse.sshfs", "9p"] {
            assert!(is_network(kind), "{kind}");
        }
        for kind in ["ext4", "xfs", "overlay", "tmpfs", "fuseblk", "btrfs"] {
            assert!(!is_network(kind), "{kind}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_judged_by_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(existing(&folder.path().join("a/b")), folder.path());
        assert_eq!(existing(Path::new("not-there/at-all")), Path::new("."));
        assert!(free_bytes(&folder.path().join("a")).unwrap() > 0);
    }
}
