//! The page about what is proven says what the record of the longest runs says, and no more.

use serde_json::Value;
use std::{fs, path::Path};

/// The row of one piece in the page.
fn row(piece: &str, record: &Value) -> String {
    let numbers = |field: &str| {
        let map = record[field].as_object().expect("a piece has its figures");
        map.iter().map(|(name, count)| format!("{} {count}", name.replace('_', " "))).collect::<Vec<_>>().join(", ")
    };
    let text = |field: &str| record[field].as_str().expect("a text").to_owned();
    let verdict = if record["passed"] == true { "held" } else { "BROKEN" };
    let revision: String = text("revision").chars().take(12).collect();
    let (date, seed, seconds) = (text("date"), &record["seed"], &record["seconds"]);
    format!(
        "| `{piece}` | {verdict} | {} | {} | {seed} | {seconds} | {date}, {revision} |",
        numbers("counts"),
        numbers("checks")
    )
}

#[test]
fn the_page_says_what_the_record_says() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let read = |name: &str| fs::read_to_string(docs.join(name)).unwrap_or_else(|error| panic!("docs/{name}: {error}"));
    let record: Value = serde_json::from_str(&read("proof/soak.json")).expect("a record");
    let (page, record) = (read("proof.md"), record.as_object().expect("pieces").clone());
    assert!(!record.is_empty(), "nothing was ever soaked");
    let rows: Vec<String> = record.iter().map(|(piece, one)| row(piece, one)).collect();
    let missing: Vec<_> = rows.iter().filter(|row| !page.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "docs/proof.md lacks these rows of docs/proof/soak.json:\n{missing:#?}");
    let told = page.lines().filter(|line| line.starts_with("| `") && line.contains(" | held | ")).count();
    assert_eq!(told, rows.len(), "docs/proof.md has rows that no record stands for");
}
