//! A network namespace whose only interface is its own loopback, and mounts that nobody else sees.
//!
//! A test that hands the server foreign, private or metadata addresses must not be able to reach
//! them, least of all when the guard is broken on purpose. [`run`] starts the test's own program
//! once more inside such a namespace, with this one test chosen.

use crate::process::program;
use std::{fs, path::Path, process::Command};

const INSIDE: &str = "PIXEL_TEST_ISOLATED";

/// Runs the body of the test called `name` where there is no way out.
pub fn run(name: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        assert_no_way_out();
        return body();
    }
    let test = std::env::current_exe().expect("a running program has a path");
    // The crate's own name is no part of a test's name.
    let name = name.split_once("::").map_or(name, |(_, rest)| rest);
    let status = namespace()
        .args(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"])
        .arg(test)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare starts");
    assert!(
        status.success(),
        "'{name}' failed in its own network (see above), or no network namespace can be made here: {status}"
    );
}

fn namespace() -> Command {
    for tool in ["unshare", "ip"] {
        assert!(
            program(tool).is_some(),
            "install '{tool}' (Debian: util-linux, iproute2): this test needs a network of its own"
        );
    }
    let mut command = Command::new("unshare");
    match owner_of_self() {
        0 => command.args(["--net", "--mount", "--"]),
        uid => command.args(["--user", "--net", "--mount", &format!("--map-user={uid}"), "--keep-caps", "--"]),
    };
    command
}

/// The user that this process runs as.
pub(crate) fn owner_of_self() -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").map(|entry| entry.uid()).expect("Linux shows the process to itself")
}

/// The namespace may not hold more than loopback: a test here may hand out any address.
fn assert_no_way_out() {
    let table = fs::read_to_string("/proc/net/dev").expect("Linux lists its interfaces");
    let names: Vec<&str> = table.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    assert_eq!(names, ["lo"], "the test's network has more than its own loopback");
    assert!(Path::new("/proc/self/ns/net").exists());
}

/// Mounts are only made where they vanish with the test.
pub(crate) fn assert_inside(what: &str) {
    assert!(std::env::var_os(INSIDE).is_some(), "{what} only inside a namespace of the test's own");
}

/// Gives an address to this namespace's loopback, so that a canary can listen on it.
pub fn own_address(address: &str) {
    assert_inside("addresses are given out");
    let status = Command::new("ip").args(["address", "replace", address, "dev", "lo"]).status().expect("ip starts");
    assert!(status.success(), "the address {address} could not be given to loopback");
}
