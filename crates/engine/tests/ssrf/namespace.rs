//! A network that ends at its own loopback, and this test once more inside it.

use crate::forms::{CANARIES_V4, CANARIES_V6};
use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Set inside: the network namespace outside, which must be another one.
const OUTSIDE: &str = "PIXEL_TEST_NAMESPACE_OUTSIDE";
const RUN_SECONDS_MAX: u64 = 60;

/// The address that stands for the public internet, and the same in IPv6.
pub const GOOD_V4: &str = "93.184.215.14";
pub const GOOD_V6: &str = "2606:2800:21f::e";

/// Runs `work` in a network of its own, by starting the named test again in one.
#[expect(clippy::disallowed_methods, reason = "a note from the outer run of this test, no setting")]
pub fn isolated(test: &str, work: impl FnOnce()) {
    let Some(outside) = std::env::var_os(OUTSIDE) else { return rerun(test) };
    assert_ne!(outside.to_string_lossy(), namespace(), "this is the machine's own network; nothing was sent");
    prepare();
    work();
}

fn namespace() -> String {
    fs::read_link("/proc/self/ns/net").unwrap().display().to_string()
}

fn rerun(test: &str) {
    let flags = ["-nm", "-rnm"].into_iter().find(|flags| {
        let probe = Command::new("unshare").args([flags, "true"]).stderr(Stdio::null()).status();
        probe.is_ok_and(|status| status.success())
    });
    let flags = flags.expect(
        "No network namespace can be made here (unshare -n), and this test never runs on the machine's own network.",
    );
    let mut child = Command::new("unshare")
        // The child dies with its parent; it leaves nothing behind.
        .args([flags, "--fork", "--kill-child", "--pid", "--mount-proc"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(OUTSIDE, namespace())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(RUN_SECONDS_MAX);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > until {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the run in the namespace did not end within {RUN_SECONDS_MAX} s");
        }
        std::thread::park_timeout(Duration::from_millis(20));
    };
    assert!(status.success(), "the run in the namespace failed; its output is above");
}

fn prepare() {
    run("ip", &["link", "set", "lo", "up"]);
    for octets in CANARIES_V4.iter().filter(|octets| !matches!(octets[0], 0 | 127)) {
        run("ip", &["addr", "add", &format!("{}/32", Ipv4Addr::from(*octets)), "dev", "lo"]);
    }
    for ip in CANARIES_V6.iter().copied().filter(|ip| *ip != "::1").chain([GOOD_V6]) {
        run("ip", &["addr", "add", &format!("{ip}/128"), "dev", "lo", "nodad"]);
    }
    run("ip", &["addr", "add", &format!("{GOOD_V4}/32"), "dev", "lo"]);
    // Whatever else is addressed ends here too, so that no attempt is lost in "unreachable".
    run("ip", &["route", "add", "local", "0.0.0.0/0", "dev", "lo", "src", GOOD_V4]);
    run("ip", &["-6", "route", "add", "local", "::/0", "dev", "lo"]);
    use_own_resolver();
}

/// Puts the system resolver's files behind files of ours, for this process's view only.
fn use_own_resolver() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n"),
        ("nsswitch.conf", "hosts: files dns\n"),
        ("hosts", "127.0.0.1 localhost\n10.0.0.7 listed.example\n"),
    ];
    for (name, text) in files {
        let (ours, theirs) = (folder.path().join(name), Path::new("/etc").join(name));
        fs::write(&ours, text).unwrap();
        assert!(theirs.exists(), "the test needs {} to lay its own over it", theirs.display());
        run("mount", &["--bind", ours.to_str().unwrap(), theirs.to_str().unwrap()]);
    }
}

fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status();
    let status = status.unwrap_or_else(|why| panic!("install '{program}' (iproute2, mount): {why}"));
    assert!(status.success(), "{program} {}", args.join(" "));
}

/// Connections that any process of this network began, to whatever address: the kernel's own count.
pub fn connections_begun() -> u64 {
    let text = fs::read_to_string("/proc/net/snmp").unwrap();
    let mut rows = text.lines().filter_map(|line| line.strip_prefix("Tcp: ")).map(str::split_whitespace);
    let (mut names, mut values) = (rows.next().unwrap(), rows.next().unwrap());
    let at = names.position(|name| name == "ActiveOpens").unwrap();
    values.nth(at).unwrap().parse().unwrap()
}
