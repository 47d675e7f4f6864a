//! A real browser: the clip plays, and the documentation shows itself without a network.

use crate::support::{SOON, picture, with};
use pixel_testkit::{Rig, on_sqlite};
use serde_json::{Value, json};
use std::{path::PathBuf, process::Stdio};

on_sqlite!(a_clip_plays_in_a_browser, documentation_shows_itself_offline);

/// Where the scripts and their pinned packages are.
pub fn scripts() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/js")
}

/// Runs a script with Node and returns the JSON that it prints.
pub async fn node(rig: &Rig, script: &str, args: &[&str]) -> Value {
    let folder = scripts();
    let mut node = tokio::process::Command::new("node");
    node.arg(folder.join(script)).args(args).current_dir(&folder).env("TMPDIR", rig.folder()).env("HOME", rig.folder());
    node.stdin(Stdio::null()).kill_on_drop(true);
    let answer = tokio::time::timeout(SOON * 2, node.output()).await.expect("the script ends");
    let answer = answer.expect("install Node (Debian: nodejs): it runs the browser's scripts");
    let (out, err) = (String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr));
    assert!(answer.status.success(), "{script}: {err}\n{out}");
    serde_json::from_str(out.trim()).unwrap_or_else(|error| panic!("{script}: {error}: {out}"))
}

async fn browser(rig: &Rig, script: &str, args: &[&str]) -> Value {
    let packages = scripts().join("node_modules/playwright-core");
    assert!(packages.exists(), "run 'npm ci' in crates/server/tests/js: the browser is driven by its packages");
    node(rig, script, args).await
}

async fn a_clip_plays_in_a_browser(rig: Rig) {
    let server = rig.server().start().await;
    let client = server.client();
    let asked = json!({ "duration": "2s", "resolution": "480p", "aspectRatio": "16:9" });
    let task = client.make("video", &with(picture("sandbox/animator", "a bouncing ball"), &asked), SOON * 2).await;
    let url = client.address(task["result"]["videos"][0]["url"].as_str().expect("an address"));
    let seen = browser(&rig, "play.mjs", &[&client.address("/healthz"), &url]).await;
    assert_eq!((&seen["width"], &seen["height"], &seen["error"]), (&json!(854), &json!(480), &Value::Null), "{seen}");
    assert!(seen["duration"].as_f64().is_some_and(|seconds| (seconds - 2.0).abs() < 0.05), "{seen}");
    assert!(seen["time"].as_f64().is_some_and(|seconds| seconds > 0.5), "{seen}");
    assert_eq!((&seen["moves"], &seen["seeks"]), (&json!(true), &json!(true)), "{seen}");
}

async fn documentation_shows_itself_offline(rig: Rig) {
    let server = rig.server().start().await;
    for page in ["/docs", "/redoc"] {
        let seen = browser(&rig, "read.mjs", &[&server.client().address(page), "generations/image"]).await;
        assert_eq!(
            (&seen["found"], &seen["failed"], &seen["foreign"], &seen["errors"]),
            (&json!(true), &json!([]), &json!([]), &json!([])),
            "{page}: {seen}"
        );
    }
}
