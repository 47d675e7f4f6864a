//! Who may import whom: the table of `ARCHITECTURE.md` against every `Cargo.toml`, and the
//! crates that some room, or the whole product, does without.

use super::{Finding, tree::Tree};
use std::collections::BTreeMap;
use toml::{Table, Value};

const MAP: &str = "ARCHITECTURE.md";

/// Crates that open connections: an adapter that has none cannot send.
const HTTP_CLIENTS: &[&str] =
    &["reqwest", "hyper", "hyper-util", "ureq", "isahc", "curl", "attohttpc", "minreq", "surf", "awc"];
/// The store has one for the bucket of the media, whose address is the operator's.
const WITHOUT_HTTP: &[&str] = &["core", "vendors"];

const DATABASES: &[&str] = &["sqlx", "rusqlite", "libsqlite3-sys", "tokio-postgres", "postgres", "diesel", "sea-orm"];

/// Names under which a room's `Cargo.toml` takes crates into the product, with their lines.
fn product_dependencies(text: &str) -> Vec<(usize, String)> {
    let Ok(manifest) = text.parse::<Table>() else { return Vec::new() };
    let own = ["dependencies", "build-dependencies"].map(|name| manifest.get(name));
    let targets = manifest.get("target").and_then(Value::as_table);
    let of_targets = targets.into_iter().flat_map(|all| all.values().map(|target| target.get("dependencies")));
    let tables = own.into_iter().chain(of_targets).flatten().filter_map(Value::as_table);
    let line_of = |name: &str| text.lines().position(|line| line.starts_with(name)).map_or(1, |at| at + 1);
    tables.flat_map(Table::keys).map(|name| (line_of(name), name.clone())).collect()
}

/// The rows of the table whose first heading is "imports": room, then the rooms that it may import.
fn allowed(map: &str) -> BTreeMap<String, Vec<String>> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut lines = map.lines().skip_while(|line| !line.starts_with("| imports |"));
    let Some(head) = lines.next().map(cells) else { return BTreeMap::new() };
    let rows = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells);
    rows.map(|row| {
        let marked = head.iter().zip(&row).skip(1).filter(|(_, cell)| cell.starts_with('✓'));
        (row[0].clone(), marked.map(|(room, _)| room.clone()).collect())
    })
    .collect()
}

pub fn rooms(tree: &Tree) -> Vec<Finding> {
    let Some(map) = tree.file(MAP) else { return Vec::new() };
    let table = allowed(&map.text);
    let mut found = Vec::new();
    for room in tree.rooms() {
        let path = format!("crates/{room}/Cargo.toml");
        let Some(manifest) = tree.file(&path) else { continue };
        let Some(may) = table.get(room) else {
            found.push(Finding::new(MAP, 1, format!("the import table has no row for crates/{room}")));
            continue;
        };
        for (line, name) in product_dependencies(&manifest.text) {
            if let Some(other) = name.strip_prefix("pixel-").filter(|other| !may.iter().any(|ok| ok == other)) {
                found.push(Finding::new(
                    &path,
                    line,
                    format!("{room} may not import {other} ({MAP}, the import table)"),
                ));
            }
        }
    }
    found
}

pub fn outside_crates(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for room in tree.rooms() {
        let path = format!("crates/{room}/Cargo.toml");
        let Some(manifest) = tree.file(&path) else { continue };
        for (line, name) in product_dependencies(&manifest.text) {
            let name = name.as_str();
            if WITHOUT_HTTP.contains(&room) && HTTP_CLIENTS.contains(&name) {
                found.push(Finding::new(
                    &path,
                    line,
                    format!("{name} can open connections; only the engine's door sends"),
                ));
            }
            if DATABASES.contains(&name) && !matches!(room, "store" | "testkit") {
                found.push(Finding::new(&path, line, format!("{name} talks to databases; only the store does")));
            }
        }
    }
    found
}

/// The bans of `deny.toml` against `Cargo.lock`, so that each run of tidy sees them.
pub fn banned_crates(tree: &Tree) -> Vec<Finding> {
    let (Some(rules), Some(lock)) = (tree.file("deny.toml"), tree.file("Cargo.lock")) else {
        return vec![Finding::new("deny.toml", 1, "deny.toml and Cargo.lock must both be in the tree")];
    };
    let (Ok(rules), Ok(locked)) = (rules.text.parse::<Table>(), lock.text.parse::<Table>()) else {
        return vec![Finding::new("deny.toml", 1, "deny.toml or Cargo.lock cannot be read as TOML")];
    };
    let list = |table: &Table, key: &str| table.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let packages = list(&locked, "package");
    let bans = rules.get("bans").and_then(Value::as_table).map(|bans| list(bans, "deny")).unwrap_or_default();
    let mut found = Vec::new();
    for ban in &bans {
        let text = |key: &str| ban.get(key).and_then(Value::as_str).unwrap_or_default();
        let (name, reason) = (text("crate"), text("reason"));
        let at_most = usize::from(ban.get("deny-multiple-versions").and_then(Value::as_bool) == Some(true));
        let count = packages.iter().filter(|package| package.get("name").and_then(Value::as_str) == Some(name)).count();
        if count > at_most {
            let line = lock.lines().find(|(_, line)| *line == format!("name = \"{name}\"")).map_or(1, |(at, _)| at);
            found.push(Finding::new("Cargo.lock", line, format!("{name} ({count} times): {reason}")));
        }
    }
    if bans.is_empty() {
        found.push(Finding::new("deny.toml", 1, "the list of banned crates is empty, so nothing is checked"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| imports | core | store |\n|---|---|---|\n| core | – | |\n| store | ✓ | – |\n\nend";

    fn with(room: &str, manifest: &str) -> Tree {
        Tree::of(&[(MAP, TABLE), (&format!("crates/{room}/Cargo.toml"), manifest)])
    }

    #[test]
    fn the_table_is_kept() {
        let store = with(
            "store",
            "[dependencies]\npixel-core.workspace = true\n[dev-dependencies]\npixel-engine.workspace = true",
        );
        assert_eq!(rooms(&store), []);
        let core = rooms(&with("core", "[dependencies]\nserde = \"1\"\npixel-store.workspace = true"));
        assert_eq!(core.iter().map(|finding| finding.line).collect::<Vec<_>>(), [3], "{core:?}");
        assert_eq!(rooms(&with("core", "[target.'cfg(unix)'.dependencies]\npixel-store = {}")).len(), 1);
        assert_eq!(rooms(&with("other", "")).len(), 1);
    }

    #[test]
    fn adapters_have_no_http_client_and_only_the_store_a_database() {
        assert_eq!(outside_crates(&with("vendors", "[dependencies]\nhttp = \"1\"")), []);
        assert_eq!(outside_crates(&with("vendors", "[dependencies]\nreqwest = \"1\"")).len(), 1);
        assert_eq!(outside_crates(&with("engine", "[dependencies]\nreqwest = \"1\"")), []);
        assert_eq!(outside_crates(&with("server", "[dependencies]\nsqlx = \"1\"")).len(), 1);
        assert_eq!(outside_crates(&with("store", "[dependencies]\nsqlx = \"1\"")), []);
    }

    #[test]
    fn bans_are_looked_up_in_the_lock() {
        let deny = "[bans]\ndeny = [{ crate = \"rsa\", reason = \"r\" }, { crate = \"sq\", deny-multiple-versions = true, reason = \"s\" }]";
        let of = |lock: &str| banned_crates(&Tree::of(&[("deny.toml", deny), ("Cargo.lock", lock)])).len();
        let package = |name: &str| format!("[[package]]\nname = \"{name}\"\n");
        assert_eq!(of(&(package("sq") + &package("fine"))), 0);
        assert_eq!(of(&package("rsa")), 1);
        assert_eq!(of(&(package("sq") + &package("sq"))), 1);
        assert_eq!(banned_crates(&Tree::of(&[("deny.toml", "[bans]"), ("Cargo.lock", "")])).len(), 1);
    }
}
