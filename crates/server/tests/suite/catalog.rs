//! The operator's own catalogue files: what they add, change and switch off, and what is said of
//! a mistake in one.

use crate::support::{IMAGE, SOON, VIDEO, picture, refusal, with};
use pixel_testkit::{Rig, Script, Stub, on_both, on_sqlite, stub};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

on_both!(a_vendor_of_ones_own_works_with_an_adapter_that_is_there);
on_sqlite!(
    entries_are_changed_and_switched_off,
    a_vendor_without_an_adapter_is_listed_and_disabled,
    a_named_folder_must_be_there,
    a_mistake_stops_the_start_and_says_where_it_is,
);

/// Writes a file where it is looked for when nobody says where.
fn write(rig: &Rig, name: &str, text: &str) {
    let folder = rig.folder().join("data/catalog");
    fs::create_dir_all(&folder).expect("the test's folder can be written");
    fs::write(folder.join(name), text).expect("the test's folder can be written");
}

/// A server of one's own that speaks the form of another vendor; without a key variable it needs none.
fn house(stub: &Stub, key_env: &str) -> String {
    format!(
        r#"
        [vendor]
        id = "house"
        name = "Our own server"
        adapter = "openai"
        base_url = "{}/"
        chat_path = "/chat/completions"
        key_env = [{key_env}]

        [[model]]
        key = "painter"
        name = "House Painter"
        type = "image"
        form = "images"
        vendor_model = "gpt-image-2"
        default = true
        n_per_call = 10
        params = {{ quality = {{ type = "string", enum = ["low", "high"] }} }}
        price = {{ per = "image", micros = 7, currency = "EUR", source = "ours", date = "2026-11-20" }}

        [[model]]
        key = "talker"
        name = "House Talker"
        type = "llm"
        form = "chat-completions"
        vendor_model = "gpt-5"
        "#,
        stub.openai_base_url()
    )
}

async fn a_vendor_of_ones_own_works_with_an_adapter_that_is_there(rig: Rig) {
    let stub = Stub::start();
    write(&rig, "house.toml", &house(&stub, "\"HOUSE_KEY\""));
    write(&rig, "notes.txt", "no catalogue file");
    let server = rig.server().env("PIXEL_FETCH_ALLOW", "127.0.0.1").env("HOUSE_KEY", stub::KEY);
    let server = server.env("PIXEL_HOUSE_CONCURRENCY", 2).start().await;
    let client = server.client();
    let models = client.get("/api/v1/models").await.data();
    assert_eq!(
        models["image"].as_object().and_then(|all| all.keys().next()).map(String::as_str),
        Some("house/painter")
    );
    assert_eq!(models["image"]["openai/gpt-image-2"]["enabled"], false, "its key is another");
    let schema = client.get("/api/v1/models/house/painter/schema").await.json();
    assert_eq!(schema["properties"]["extraParams"]["properties"]["quality"]["enum"], json!(["low", "high"]));

    let mark = stub::marker();
    stub.script(&mark, Script::default());
    let body = with(picture("house/painter", &mark), &json!({ "n": 2, "extraParams": { "quality": "low" } }));
    let task = client.end_of(&client.create("image", &body).await, SOON).await;
    assert_eq!((&task["status"], &task["model"]), (&json!("completed"), &json!("house/painter")), "{task:#}");
    assert_eq!((&task["cost"]["currency"], &task["cost"]["final_micros"]), (&json!("EUR"), &json!(14)));
    assert_eq!((stub.received(&mark), stub.accepted(&mark)), (1, 1));
    assert_eq!(stub.violations(), Vec::<String>::new());
    let talk = json!({ "model": "house/talker", "messages": [{ "role": "user", "content": "Hello" }] });
    let said = client.post("/v1/chat/completions", &talk).await;
    assert!(said.status == 200 && said.json()["model"] == "house/talker", "{}", said.text());
    let figures = client.get("/metrics").await.text();
    assert!(figures.contains("pixel_tasks_live{vendor=\"house\""), "{figures}");
}

async fn entries_are_changed_and_switched_off(rig: Rig) {
    // A later file wins over an earlier one.
    write(&rig, "1.toml", "[vendor]\nid = 'sandbox'\n[[model]]\nkey = 'painter'\nprompt_chars_max = 3\nname = 'Ours'");
    write(
        &rig,
        "2.toml",
        "[vendor]\nid = 'sandbox'\n[[model]]\nkey = 'painter'\nprompt_chars_max = 5\n[[model]]\nkey = 'animator'\nenabled = false",
    );
    write(&rig, "3.toml", "[vendor]\nid = 'volcengine'\nenabled = false\nkey_env = ['OUR_KEY']");
    let server = rig.server().start().await;
    let client = server.client();
    let painter = client.get("/api/v1/models/sandbox/painter").await.data();
    assert_eq!((&painter["name"], &painter["enabled"]), (&json!("Ours"), &json!(true)));
    assert_eq!(painter["resolutions"]["1K"]["16:9"], "1280*720", "what is not given stays");
    assert_eq!(client.post(IMAGE, &picture("sandbox/painter", "12345")).await.status, 200);
    let message = refusal(&client.post(IMAGE, &picture("sandbox/painter", "123456")).await, 400);
    assert!(message.contains("takes at most 5"), "{message}");
    for id in ["sandbox/animator", "volcengine/doubao-tts"] {
        let entry = client.get(&format!("/api/v1/models/{id}")).await.data();
        let why = entry["disabled_reason"].as_str().unwrap_or_default();
        assert!(entry["enabled"] == false && why.contains("switched off"), "{entry}");
    }
    let message = refusal(&client.post(VIDEO, &picture("sandbox/animator", "x")).await, 503);
    assert!(message.contains("'sandbox/animator' is switched off"), "{message}");
}

async fn a_vendor_without_an_adapter_is_listed_and_disabled(rig: Rig) {
    let stub = Stub::start();
    let file = "[vendor]\nid = 'elsewhere'\nname = 'Elsewhere'\nbase_url = 'https://elsewhere.example'\nkey_env = ['ELSE_KEY']\n\
                [[model]]\nkey = 'a'\nname = 'A'\ntype = 'image'\nform = 'theirs'";
    write(&rig, "elsewhere.toml", file);
    // A server of one's own may need no key: nothing else is configured, and yet this is no sandbox.
    write(&rig, "house.toml", &house(&stub, ""));
    let server = rig.server().env("ELSE_KEY", "k").env("PIXEL_FETCH_ALLOW", "127.0.0.1").start().await;
    let client = server.client();
    let models = client.get("/api/v1/models").await.data();
    let entry = &models["image"]["elsewhere/a"];
    let why = entry["disabled_reason"].as_str().unwrap_or_default();
    assert!(entry["enabled"] == false && why.contains("not served by this version"), "{entry}");
    assert_eq!(
        (&models["image"]["house/painter"]["enabled"], &client.get("/healthz").await.json()["sandbox"]),
        (&json!(true), &json!(false))
    );
}

/// Runs the binary with these words and variables over the test's data folder.
fn pixel(rig: &Rig, words: &[&str], variables: &[(&str, &Path)]) -> (bool, String) {
    let mut command = Command::new(rig.binary());
    command.env_clear().current_dir(rig.folder()).args(words).arg("--data").arg(rig.folder().join("data"));
    let output = command.envs(variables.iter().copied()).output().expect("the binary starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

async fn a_named_folder_must_be_there(rig: Rig) {
    let folder = rig.folder().join("mine");
    let named: &[(&str, &Path)] = &[("PIXEL_CATALOG", &folder)];
    let (ok, said) = pixel(&rig, &["config"], named);
    assert!(
        !ok && said.contains("catalog (from environment PIXEL_CATALOG)") && said.contains("can't be read"),
        "{said}"
    );
    fs::create_dir_all(&folder).expect("the test's folder can be written");
    fs::write(folder.join("a.toml"), "[vendor]\nid = 'acme'\nname = 'Acme'\nconcurrency = 7")
        .expect("it can be written");
    let (ok, said) = pixel(&rig, &["config", "--json"], named);
    let shown: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    let value = |name: &str| {
        let rows = shown["settings"].as_array().expect("a list");
        rows.iter().find(|row| row["setting"] == name).map(|row| row["value"].clone()).unwrap_or_default()
    };
    assert!(ok && value("vendors.acme.concurrency") == 7 && value("catalog") == json!(folder), "{said}");
    let (_, said) = pixel(&rig, &["doctor"], named);
    assert!(said.contains("1 file of your own"), "{said}");
}

async fn a_mistake_stops_the_start_and_says_where_it_is(rig: Rig) {
    let vendor = "[vendor]\nid = 'acme'\nname = 'Acme'\n";
    let cases = [
        ("adapter = 'opnai'", "bad.toml: acme", "no adapter 'opnai'", "Use one of"),
        ("base_url = 'https://u:p@x.example'", "bad.toml: acme", "user name or password", "Leave out"),
        ("base_url = 'ftp://x.example'", "bad.toml: acme", "not an http or https address", "Write it like"),
        ("adapter = 'openai'", "bad.toml: acme", "has no base_url", "Say where its server is"),
        ("adapter = 'sandbox'", "bad.toml: acme", "no adapter 'sandbox'", "Use one of"),
        ("[[model]]\nkey = 'a'\nnme = 'A'", "bad.toml: acme/a", "unknown field `nme`", "README"),
        ("key_env = ['sk-123']", "bad.toml: acme", "is no name of a variable", "README"),
    ];
    for (more, place, wrong, remedy) in cases {
        write(&rig, "bad.toml", &format!("{vendor}{more}"));
        for words in [["serve"], ["config"], ["doctor"], ["pause"]] {
            let (ok, said) = pixel(&rig, &words, &[]);
            let says_all = [place, wrong, remedy].iter().all(|part| said.contains(part));
            assert!(!ok && says_all, "{words:?} with {more}: {said}");
        }
    }
}
