//! `pixel browser` as the server runs it: a line in, a line out, and nothing left behind.

use crate::support::SOON;
use axum::{Json, Router, response::Html, routing};
use pixel_testkit::{Rig, on_sqlite, wait::until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpListener,
    process::{Child, Command},
    time::timeout,
};

on_sqlite!(a_line_goes_in_and_a_line_comes_out, a_bad_line_is_refused, it_goes_with_whoever_started_it);

const PASSWORD: &str = "hunter2-hunter2";
const TOKEN: &str = "eyJ.secret.token";

const PAGE: &str = r#"<input id="Username"><input id="Password" type="password"><button><span>Login</span></button>
<script>
  document.querySelector('button').addEventListener('click', async () => {
    const body = JSON.stringify({ Username: Username.value, Password: Password.value });
    const answer = await (await fetch('/creative_platform/login', { method: 'POST', body })).json();
    document.body.textContent = 'Home';
    fetch('/creative_platform/user/credits', { headers: { token: answer.Resp.Result.Token } });
  });
</script>"#;

/// The child, with a folder of its own for what it leaves, and a variable that is none of its business.
fn command(rig: &Rig, folder: &Path) -> Command {
    fs::create_dir_all(folder).expect("a folder");
    let mut command = Command::new(rig.binary());
    command.arg("browser").env("TMPDIR", folder).env("OPENAI_API_KEY", "sk-of-the-server");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn ask(child: &mut Child, line: &str) {
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(format!("{line}\n").as_bytes()).await.expect("the line is taken");
}

fn request(url: &str) -> String {
    json!({"login_url": url, "username": "holder@example.org", "password": PASSWORD, "headless": true,
        "chromium": null, "timeout_s": SOON.as_secs()})
    .to_string()
}

/// The one line, and that nothing else was told.
async fn answer(child: Child) -> Value {
    let output = timeout(SOON, child.wait_with_output()).await.expect("an end").expect("an output");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.ends_with('\n') && out.lines().count() == 1, "{out}\n{err}");
    assert!(!err.contains(PASSWORD) && !err.contains(TOKEN) && !out.contains(PASSWORD), "{err}");
    serde_json::from_str(&out).expect("JSON")
}

/// Living processes whose command or environment names the folder.
fn naming(folder: &Path) -> Vec<(i32, String)> {
    let of = |path: PathBuf| {
        let id = path.file_name()?.to_str()?.parse().ok()?;
        let [words, variables] = ["cmdline", "environ"].map(|name| fs::read(path.join(name)).unwrap_or_default());
        let [words, variables] = [words, variables].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let mark = folder.to_string_lossy();
        (words.contains(&*mark) || variables.contains(&*mark)).then(|| (id, words + &variables))
    };
    fs::read_dir("/proc").expect("processes").filter_map(|entry| of(entry.ok()?.path())).collect()
}

async fn nothing_is_left(folder: &Path) {
    until("end of Chromium and its profile", SOON, || async {
        let is_empty = fs::read_dir(folder).expect("the folder").next().is_none();
        (naming(folder).is_empty() && is_empty).then_some(())
    })
    .await;
}

async fn a_line_goes_in_and_a_line_comes_out(rig: Rig) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/login", listener.local_addr().expect("an address"));
    let sign_in = || async { Json(json!({"ErrCode": 0, "Resp": {"Result": {"Token": TOKEN}}})) };
    let router = Router::new()
        .route("/login", routing::get(|| async { Html(PAGE) }))
        .route("/creative_platform/login", routing::post(sign_in))
        .route("/creative_platform/user/credits", routing::get(|| async { Json(json!({"ErrCode": 0})) }));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = rig.folder().join("leftovers");
    let mut child = command(&rig, &folder).spawn().expect("it starts");
    ask(&mut child, &request(&url)).await;
    let id = child.id().and_then(|id| i32::try_from(id).ok()).expect("an id");
    let told = until("Chromium", SOON, || async {
        let words: Vec<_> = naming(&folder).into_iter().filter(|(other, _)| *other != id).collect();
        words.iter().any(|(_, words)| words.contains("--type=renderer")).then_some(words)
    })
    .await;
    assert!(told.iter().all(|(_, words)| !words.contains("sk-of-the-server") && !words.contains(PASSWORD)));
    assert_eq!(answer(child).await, json!({"outcome": "signed_in", "token": TOKEN}));
    nothing_is_left(&folder).await;
    server.abort();
}

async fn a_bad_line_is_refused(rig: Rig) {
    let folder = rig.folder().join("leftovers");
    for (line, words) in [
        ("", "no request"),
        (r#"{"password":"hunter2-hunter2"}"#, "cannot be read"),
        (&request("http://example.org/login"), "login_url"),
    ] {
        let mut child = command(&rig, &folder).spawn().expect("it starts");
        match line {
            "" => drop(child.stdin.take()),
            line => ask(&mut child, line).await,
        }
        let answer = answer(child).await;
        assert_eq!(answer["outcome"], "failed", "{answer}");
        assert!(answer["message"].as_str().is_some_and(|message| message.contains(words)), "{answer}");
    }
}

async fn it_goes_with_whoever_started_it(rig: Rig) {
    // A page that never comes, so that a signal always finds the sign-in under way.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/login", listener.local_addr().expect("an address"));
    let folder = rig.folder().join("leftovers");
    for signal in [Signal::TERM, Signal::KILL] {
        let mut child = command(&rig, &folder).spawn().expect("it starts");
        ask(&mut child, &request(&url)).await;
        let _open = timeout(SOON, listener.accept()).await.expect("Chromium comes").expect("a connection");
        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).expect("an id");
        kill_process(id, signal).expect("it is there");
        if signal == Signal::TERM {
            let answer = answer(child).await;
            assert!(answer["message"].as_str().is_some_and(|message| message.contains("told to stop")), "{answer}");
        }
        nothing_is_left(&folder).await;
    }
    // The one who asked dies: a shell between us and the child.
    let input = rig.folder().join("request.json");
    fs::write(&input, request(&url)).expect("written");
    let mut shell = Command::new("sh");
    shell.args(["-c", r#""$0" browser <"$1" & wait"#]).arg(rig.binary()).arg(&input).env("TMPDIR", &folder);
    let mut shell = shell.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().expect("it starts");
    let _open = timeout(SOON, listener.accept()).await.expect("Chromium comes").expect("a connection");
    shell.kill().await.expect("it is there");
    nothing_is_left(&folder).await;
}
