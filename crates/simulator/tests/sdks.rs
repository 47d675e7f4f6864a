//! Vendors' own SDKs against the simulator: each completes its happy paths and raises its own typed
//! error for each refusal. What speaks to them was written from documents; they were written by
//! those who wrote the documents.

use pixel_testkit::Stub;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// How many things a script has to see: one that ends early sees fewer.
fn run(script: &str, things: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdks");
    let (program, missing) = match script.ends_with(".py") {
        true => (folder.join("venv/bin/python"), !folder.join("venv/bin/python").exists()),
        false => (PathBuf::from("node"), !folder.join("node_modules").exists()),
    };
    assert!(!missing, "the SDKs are not installed: run `bash scripts/sdks.sh` and `make assets`");
    let stub = Stub::start();
    let mut command = Command::new(program);
    command.arg(folder.join(script)).arg(format!("http://{}", stub.address())).current_dir(&folder);
    // No proxy and no key of this machine may come into it.
    for (name, _) in std::env::vars() {
        if name.to_lowercase().ends_with("_proxy") || name.contains("API_KEY") || name.contains("BASE_URL") {
            command.env_remove(name);
        }
    }
    let output = command.env("NO_PROXY", "*").env("PYTHONDONTWRITEBYTECODE", "1").output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let seen = said.lines().filter(|line| line.starts_with("saw ")).count();
    let all = format!("{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && seen == things, "{script} saw {seen} of {things}:\n{all}");
    assert_eq!(stub.simulator().violations(), [""; 0], "{script}");
}

macro_rules! sdks {
    ($($name:ident: $script:literal sees $things:literal;)*) => {
        $(#[test] fn $name() { run($script, $things); })*
    };
}

sdks! {
    openai_for_python: "openai_sdk.py" sees 14;
    openai_for_javascript: "openai_sdk.mjs" sees 13;
    dashscope_for_python: "dashscope_sdk.py" sees 13;
    ark_for_python: "ark_sdk.py" sees 12;
    minimax_mcp_for_python: "minimax_sdk.py" sees 9;
    ai_sdk_providers: "ai_sdk.mjs" sees 17;
}
