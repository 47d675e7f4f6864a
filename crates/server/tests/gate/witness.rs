//! The witnesses beside the vendor's ledger: the public API, the stored files, and every word that
//! the server let out.

use crate::{
    vendors::mark_of,
    world::{PASSWORD, World},
};
use pixel_testkit::{Client, Rig, Server, stub};
use serde_json::Value;
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Every task that the server shows, by its mark.
pub async fn tasks(client: &Client) -> HashMap<String, Value> {
    let (mut all, mut cursor) = (HashMap::new(), String::new());
    loop {
        let page = client.get(&format!("/api/v1/tasks?limit=100{cursor}")).await.data();
        for task in page["items"].as_array().expect("a page has items") {
            let mark = mark_of(task["params"]["prompt"].as_str().expect("a prompt")).to_owned();
            let twice = all.insert(mark.clone(), task.clone());
            assert!(twice.is_none(), "I1: two tasks stand for one request {mark}: {task:#}");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

/// What an image of each model costs, as the catalogue says.
pub async fn prices(client: &Client) -> HashMap<String, u64> {
    let groups = client.get("/api/v1/models").await.data();
    let models = groups["image"].as_object().expect("a group of models").clone();
    let price = |(id, entry): (String, Value)| Some((id, entry["price"]["micros"].as_u64()?));
    models.into_iter().filter_map(price).collect()
}

/// SQLite's own judgement of a database that nobody has open, by another program than ours.
pub fn is_sound(database: &Path) {
    let script =
        "import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone()[0])";
    let answer = Command::new("python3").args(["-c", script]).arg(database).output();
    let answer = answer.expect("install python3 (Debian: python3): it judges the database");
    let said = String::from_utf8_lossy(&answer.stdout);
    let why = String::from_utf8_lossy(&answer.stderr);
    assert_eq!(said.trim(), "ok", "{} is corrupt: {why}", database.display());
}

/// The files of a folder and of all below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Temporary files that are there now.
pub fn staged(blobs: &Path) -> Vec<PathBuf> {
    files(&blobs.join("staging"))
}

/// No secret stands in what the servers wrote, answered or keep. Returns how many places were read.
pub async fn secrets(rig: &Rig, world: &World, servers: &[Server], answers: &HashMap<String, Value>) -> usize {
    let mut places: Vec<(String, Vec<u8>)> = Vec::new();
    for server in servers {
        places.push((format!("the log of {}", server.url()), server.logs().into_bytes()));
        for path in ["/metrics", "/api/v1/models", "/api/v1/no-such-path"] {
            places.push((path.to_owned(), server.client().get(path).await.bytes.to_vec()));
        }
    }
    places.extend(answers.values().map(|task| ("a task's answer".to_owned(), task.to_string().into_bytes())));
    for path in files(&world.data()) {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pixel")) {
            places.push((path.display().to_string(), fs::read(&path).expect("a database file can be read")));
        }
    }
    if let (Some(url), Some(cluster)) = (world.database(), &rig.cluster) {
        for table in ["tasks", "work", "attempts", "media", "meta", "budgets"] {
            let rows = cluster.query(url, &format!("select t::text from {table} t"));
            places.push((format!("the table {table}"), rows.into_bytes()));
        }
    }
    for (place, bytes) in &places {
        for secret in [stub::KEY, PASSWORD] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "I10: the secret '{secret}' stands in {place}");
        }
    }
    places.len()
}
