//! A real S3-compatible server on loopback, over a folder of the test's own.
//!
//! It is `s3s-fs`, which `scripts/tools.sh` installs. It honours single and multipart puts, ranges
//! and `If-None-Match: *`, and an object appears by a rename, so it is never seen half-written. It
//! cannot list uploads in progress, forgets nothing by itself, and answers an abort of an upload
//! that it does not know with `AccessDenied`; tests of such things look into its folder.

use crate::{
    Launch, media,
    process::{command, end_group, leash, tail},
    wait,
};
use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};
use tempfile::TempDir;

pub const BUCKET: &str = "media";
pub const PREFIX: &str = "pixel/test";
pub const KEY_ID: &str = "test-key-id";
pub const SECRET: &str = "test-secret";
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running server with one empty bucket. Dropping it kills it and removes its folder.
pub struct S3 {
    folder: TempDir,
    address: SocketAddr,
    child: Child,
}

impl S3 {
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("pixel-s3-").tempdir().expect("a temporary folder can be made");
        fs::create_dir_all(folder.path().join("root").join(BUCKET)).expect("the folder can be written");
        for _ in 0..5 {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
            let address = free.expect("loopback has free ports");
            let mut child = launch(folder.path(), address);
            if is_ready(&mut child, address) {
                return Self { folder, address, child };
            }
            end_group(&mut child).expect("nothing stays");
        }
        panic!("s3s-fs does not start:\n{}", tail(&folder.path().join("log"), 20));
    }

    /// The value of `PIXEL_S3_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The value of `PIXEL_BLOBS`.
    pub fn url() -> String {
        format!("s3://{BUCKET}/{PREFIX}")
    }

    /// Ends the server at once; its folder stays.
    pub fn kill9(&mut self) {
        end_group(&mut self.child).unwrap_or_else(|why| panic!("{why}"));
    }

    /// Starts it again on the same port, after [`S3::kill9`].
    pub fn restart(&mut self) {
        self.child = launch(self.folder.path(), self.address);
        let ready = is_ready(&mut self.child, self.address);
        assert!(ready, "s3s-fs did not come back:\n{}", tail(&self.folder.path().join("log"), 20));
    }

    /// The files of all objects whose key begins so, after the prefix.
    pub fn objects(&self, kind: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.folder.path().join("root").join(BUCKET).join(PREFIX).join(kind), &mut files);
        files.sort();
        files
    }

    /// Makes the server refuse new blobs, and nothing else, until the guard goes: a file stands where
    /// their folder would be.
    pub fn refuse_blobs(&self) -> Refusal {
        let file = self.folder.path().join("root").join(BUCKET).join(PREFIX).join("blobs");
        fs::create_dir_all(file.parent().expect("it is in a folder")).expect("the folder can be written");
        fs::write(&file, "").expect("no blob is stored yet");
        Refusal(file)
    }

    /// Uploads in parts that were begun and neither completed nor aborted.
    pub fn uploads(&self) -> usize {
        let entries = fs::read_dir(self.folder.path().join("root")).expect("the folder can be read");
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| name.starts_with(".upload-") || name.starts_with(".upload_id-")).count()
    }

    /// Asserts that every blob equals its name; returns how many there are.
    pub fn check_blobs(&self) -> usize {
        let files = self.objects("blobs");
        for file in &files {
            let bytes = fs::read(file).expect("a stored object can be read");
            let name = file.file_name().and_then(|name| name.to_str()).expect("a key is text");
            assert_eq!(media::sha256_hex(&bytes), name, "{} is not what its name says", file.display());
        }
        files.len()
    }
}

/// See [`S3::refuse_blobs`].
pub struct Refusal(PathBuf);

impl Drop for Refusal {
    fn drop(&mut self) {
        fs::remove_file(&self.0).expect("it is still a file");
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Err(why) = end_group(&mut self.child) {
            assert!(std::thread::panicking(), "{why}");
        }
    }
}

impl Launch {
    /// Keeps media in the bucket of this server.
    pub fn bucket(self, s3: &S3) -> Self {
        self.env("PIXEL_BLOBS", S3::url())
            .env("PIXEL_S3_ENDPOINT", s3.endpoint())
            .env("AWS_ACCESS_KEY_ID", KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
    }
}

fn launch(folder: &Path, address: SocketAddr) -> Child {
    let log = fs::File::create(folder.join("log")).expect("the log can be written");
    let mut words = leash("KILL");
    words.push(program().into());
    words.extend(["--host", "127.0.0.1", "--access-key", KEY_ID, "--secret-key", SECRET].map(Into::into));
    words.extend(["--port".into(), address.port().to_string().into(), folder.join("root").into()]);
    let mut command = command(&words);
    command.env("RUST_LOG", "s3s_fs=warn,s3s=warn").stdin(Stdio::null());
    command.stdout(log.try_clone().expect("a file can be opened twice")).stderr(log);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().expect("s3s-fs starts")
}

/// Where `scripts/tools.sh` puts it.
fn program() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from).or_else(home);
    let program = cache.expect("HOME is set").join("pixel-tools/bin/s3s-fs");
    assert!(program.is_file(), "{} is missing: run scripts/tools.sh", program.display());
    program
}

/// Whether it answers; `false` when it ended instead.
fn is_ready(child: &mut Child, address: SocketAddr) -> bool {
    let ask = || match child.try_wait() {
        Ok(None) => TcpStream::connect(address).is_ok().then_some(true),
        _ => Some(false),
    };
    wait::blocking(START_LIMIT, ask).unwrap_or(false)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        match entry.path() {
            path if path.is_dir() => collect(&path, files),
            path => files.push(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_a_kill_and_leaves_nothing() {
        let mut s3 = S3::start();
        let (folder, address) = (s3.folder.path().to_path_buf(), s3.address);
        s3.kill9();
        assert!(TcpStream::connect(address).is_err());
        s3.restart();
        assert!(TcpStream::connect(address).is_ok());
        drop(s3);
        assert!(!folder.exists() && TcpStream::connect(address).is_err());
    }
}
