//! A real Chromium signs in to a page of the test's own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod page;

use page::{PASSWORD, Page, TOKEN, USERNAME};
use pixel_browser::{Outcome, Reason, Request, Secret, Surroundings, sign_in};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Enough for a machine that is busy with other tests.
const TIMEOUT_S: u64 = 60;

fn surroundings() -> Surroundings {
    #[expect(clippy::disallowed_methods, reason = "a test finds the machine's Chromium itself")]
    let path = std::env::var_os("PATH").unwrap();
    Surroundings { path, ..Surroundings::default() }
}

fn request(url: &str, change: &Value) -> Request {
    let mut value = json!({"login_url": url, "username": USERNAME, "password": PASSWORD, "headless": true,
        "chromium": null, "timeout_s": TIMEOUT_S});
    value.as_object_mut().unwrap().extend(change.as_object().cloned().unwrap_or_default());
    Request::parse(value.to_string().as_bytes()).unwrap()
}

/// Signs in and checks what holds for every outcome: nothing is left, and nothing was told.
async fn attempt(page: &Page, kind: &str, change: Value) -> Outcome {
    attempt_in(&surroundings(), page, kind, change).await
}

async fn attempt_in(surroundings: &Surroundings, page: &Page, kind: &str, change: Value) -> Outcome {
    let outcome = sign_in(request(&page.url(kind), &change), surroundings).await;
    assert_eq!(children(), Vec::<String>::new(), "processes of Chromium are left");
    assert_eq!(profiles(), Vec::<PathBuf>::new(), "the profile is left");
    let shown = format!("{outcome:?}");
    assert!(!shown.contains(PASSWORD) && !shown.contains(TOKEN), "{shown}");
    outcome
}

/// Processes whose parent is this one, the dead among them. All of Chromium's come here when their
/// own parents end, since a sign-in makes the process their reaper.
fn children() -> Vec<String> {
    let of = |path: PathBuf| {
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.to_owned();
        (parent == std::process::id().to_string()).then_some(stat)
    };
    fs::read_dir("/proc").unwrap().filter_map(|entry| of(entry.ok()?.path())).collect()
}

fn profiles() -> Vec<PathBuf> {
    let prefix = format!("pixel-browser-{}-", std::process::id());
    let entries = fs::read_dir(std::env::temp_dir()).unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&prefix)).collect()
}

fn signed_in() -> Outcome {
    Outcome::SignedIn { token: Secret::new(TOKEN) }
}

#[track_caller]
fn assert_attention(outcome: &Outcome, expected: Reason) {
    assert!(matches!(outcome, Outcome::NeedsAttention { reason, .. } if *reason == expected), "{outcome:?}");
}

#[track_caller]
fn assert_failed(outcome: &Outcome, words: &str) {
    let is_so = matches!(outcome, Outcome::Failed { message, never_began: false } if message.contains(words));
    assert!(is_so, "{outcome:?}");
}

#[track_caller]
fn assert_never_began(outcome: &Outcome, words: &str) {
    let is_so = matches!(outcome, Outcome::Failed { message, never_began: true } if message.contains(words));
    assert!(is_so, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_in_like_a_person_in_english() {
    let page = Page::open().await;
    assert_eq!(attempt(&page, "english", json!({})).await, signed_in());
    let lines = page.lines();
    assert_eq!(
        lines[0], "sign-in right=true Password:true Username:true button:true",
        "both fields and the button, by mouse and keys"
    );
    assert_eq!(lines[2], "credits good=true");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_builds_itself_is_waited_for() {
    let page = Page::open().await;
    assert_eq!(attempt(&page, "late", json!({})).await, signed_in());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_found_wherever_it_is() {
    let page = Page::open().await;
    for kind in ["answer", "cookie", "header", "dialog"] {
        assert_eq!(attempt(&page, kind, json!({})).await, signed_in(), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_language_is_signed_in_to_only_without_a_doubt() {
    let page = Page::open().await;
    assert_eq!(attempt(&page, "foreign", json!({})).await, signed_in());
    let count = page.lines().len();
    for kind in ["ambiguous", "nameless"] {
        assert_attention(&attempt(&page, kind, json!({})).await, Reason::NoLoginButton);
    }
    assert_eq!(page.lines().len(), count, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_is_left_to_the_holder() {
    let page = Page::open().await;
    for kind in ["captcha", "frame", "bare"] {
        assert_attention(&attempt(&page, kind, json!({})).await, Reason::Verification);
        assert_eq!(page.lines(), Vec::<String>::new(), "{kind}: nothing was sent");
    }
    assert_attention(&attempt(&page, "verification", json!({})).await, Reason::Verification);
    assert_eq!(page.lines().len(), 2, "one sign-in and no further try");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_is_left_alone() {
    let page = Page::open().await;
    for kind in ["edge", "busy", "guarded"] {
        assert_attention(&attempt(&page, kind, json!({})).await, Reason::Edge);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_apart() {
    let page = Page::open().await;
    assert_attention(&attempt(&page, "wrong", json!({})).await, Reason::WrongPassword);
    assert_failed(&attempt(&page, "refused", json!({})).await, "ErrCode 77");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_given_up() {
    let page = Page::open().await;
    let short = json!({"timeout_s": 4});
    for (kind, words) in [
        ("slow", "did not load within"),
        ("elsewhere", "another host"),
        ("veil", "lies over it"),
        ("hang", "the time was up"),
    ] {
        let begin = Instant::now();
        assert_failed(&attempt(&page, kind, short.clone()).await, words);
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(8), "{kind}: {took:?}");
    }
    assert_eq!(page.lines(), Vec::<String>::new(), "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greedy_page_is_ended_by_its_memory() {
    let page = Page::open().await;
    assert_failed(&attempt(&page, "greedy", json!({"memory_mib": 900})).await, "more than the 900 MiB it may");
}

/// Calls something with every process that descends from this one, until told to stop.
fn look_at_children(stop: &AtomicBool, mut see: impl FnMut(&Path)) {
    while !stop.load(Ordering::Relaxed) {
        let entries = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
        for process in entries.filter(|path| path.join("stat").exists()) {
            see(&process);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chromium_that_dies_leaves_nothing() {
    let page = Page::open().await;
    let stop = Arc::new(AtomicBool::new(false));
    let watcher = thread::spawn({
        let (stop, is_asked) = (Arc::clone(&stop), Arc::clone(&page.is_asked));
        let mark = format!("pixel-browser-{}-", std::process::id());
        move || {
            look_at_children(&stop, |process| {
                let words = fs::read(process.join("cmdline")).unwrap_or_default();
                let words = String::from_utf8_lossy(&words).into_owned();
                // Chromium itself, once it opens the page: neither the shell before it nor a helper.
                let is_browser = words.contains("--remote-debugging-pipe") && !words.starts_with("/bin/sh");
                let is_browser = is_browser && words.contains(&mark) && !words.contains("--type=");
                if is_browser && is_asked.load(Ordering::Relaxed) {
                    let id = process.file_name().unwrap().to_str().unwrap().parse().unwrap();
                    let id = rustix::process::Pid::from_raw(id).unwrap();
                    let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
                }
            });
        }
    });
    let outcome = attempt(&page, "slow", json!({})).await;
    stop.store(true, Ordering::Relaxed);
    watcher.join().unwrap();
    assert_failed(&outcome, "Chromium ended before the sign-in did");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_line_and_no_variable_holds_a_secret() {
    let page = Page::open().await;
    let stop = Arc::new(AtomicBool::new(false));
    let watcher = thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let (mut count, mut told, mut modes) = (0, Vec::new(), Vec::new());
            look_at_children(&stop, |process| {
                for file in ["cmdline", "environ"] {
                    let text = fs::read(process.join(file)).unwrap_or_default();
                    let text = String::from_utf8_lossy(&text);
                    count += usize::from(text.contains("--remote-debugging-pipe"));
                    if [USERNAME, PASSWORD, TOKEN].iter().any(|secret| text.contains(secret)) {
                        told.push(text.into_owned());
                    }
                }
                modes.extend(profiles().iter().filter_map(|path| Some(fs::metadata(path).ok()?.permissions())));
            });
            (count, told, modes)
        }
    });
    let outcome = attempt(&page, "english", json!({})).await;
    stop.store(true, Ordering::Relaxed);
    let (count, told, modes) = watcher.join().unwrap();
    assert_eq!((outcome, told), (signed_in(), Vec::<String>::new()));
    assert!(count > 0, "Chromium was seen");
    use std::os::unix::fs::PermissionsExt;
    let modes: BTreeSet<u32> = modes.iter().map(|mode| mode.mode() & 0o777).collect();
    assert_eq!(modes, BTreeSet::from([0o700]));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_window_the_holder_presses() {
    let page = Page::open().await;
    let shown = json!({"headless": false});
    let outcome = sign_in(request(&page.url("holder"), &shown), &surroundings()).await;
    assert_never_began(&outcome, "needs a display");

    let mut screen = Command::new("Xvfb");
    screen.args(["-displayfd", "1", "-screen", "0", "1400x1000x24", "-nolisten", "tcp"]);
    let mut screen = screen.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("install Xvfb (Debian: xvfb)");
    let mut number = String::new();
    BufReader::new(screen.stdout.take().unwrap()).read_line(&mut number).unwrap();
    let display = vec![("DISPLAY".to_owned(), format!(":{}", number.trim()).into())];
    let surroundings = Surroundings { display, ..surroundings() };
    let pressed = sign_in(request(&page.url("holder"), &shown), &surroundings).await;
    // Nobody presses here, so nothing is sent.
    let idle = sign_in(request(&page.url("english"), &json!({"headless": false, "timeout_s": 4})), &surroundings).await;
    // What is asked is the holder's to answer, for as long as there is time.
    let begin = Instant::now();
    let asked =
        sign_in(request(&page.url("captcha"), &json!({"headless": false, "timeout_s": 4})), &surroundings).await;
    assert!(begin.elapsed() >= Duration::from_secs(4), "the holder had the time");
    screen.kill().unwrap();
    screen.wait().unwrap();
    assert_eq!(pressed, signed_in());
    assert_failed(&idle, "was not pressed");
    assert_attention(&asked, Reason::Verification);
    let lines = page.lines();
    assert_eq!(lines[0], "sign-in right=true Password:true Username:true", "filled, and pressed by the holder alone");
    assert!(!lines[1].contains("Headless"), "{}", lines[1]);
    assert_eq!(lines.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_begin_says_why() {
    let page = Page::open().await;
    let nowhere = Surroundings::default();
    let outcome = attempt_in(&nowhere, &page, "english", json!({})).await;
    assert_never_began(&outcome, "install the package chromium");
    assert_never_began(&attempt(&page, "english", json!({"chromium": "/bin/false"})).await, "does not start");
    assert_never_began(&attempt(&page, "english", json!({"timeout_s": 0})).await, "timeout_s");
    let outcome = sign_in(request("http://127.0.0.1:1/login", &json!({})), &surroundings()).await;
    assert_failed(&outcome, "cannot be opened: net::ERR_");
}
