//! `ARCHITECTURE.md` is the map: what it names exists, and it names every room.

use super::{
    Finding,
    tree::{File, Tree},
};

const MAP: &str = "ARCHITECTURE.md";
const LINES_MAX: usize = 250;

pub fn check(tree: &Tree) -> Vec<Finding> {
    let Some(map) = tree.file(MAP) else { return vec![Finding::new(MAP, 1, "the map is missing")] };
    let named = names(map);
    let mut found: Vec<_> = named
        .iter()
        .filter(|(_, name)| !exists(tree, name))
        .map(|(line, name)| Finding::new(MAP, *line, format!("`{name}` does not exist: draw the map as the house is")))
        .collect();
    for room in tree.rooms() {
        if !named.iter().any(|(_, name)| name.trim_end_matches('/') == format!("crates/{room}")) {
            found.push(Finding::new(MAP, 1, format!("the room crates/{room} is not on the map")));
        }
    }
    let lines = map.text.lines().count();
    if lines > LINES_MAX {
        found.push(Finding::new(
            MAP,
            LINES_MAX + 1,
            format!("{lines} lines: a map of more than {LINES_MAX} is not read"),
        ));
    }
    found
}

/// Paths and packages that the text names in backticks, and what its tree blocks draw.
fn names(map: &File) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    // The kind of fenced block we are in, and the folders above the current line of a drawing.
    let mut fence: Option<&str> = None;
    let mut above: Vec<&str> = Vec::new();
    for (line, text) in map.lines() {
        if let Some(kind) = text.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(kind) };
            above.clear();
        } else if fence == Some("tree") {
            found.extend(drawn(text, &mut above).map(|name| (line, name)));
        } else if fence.is_none() {
            let quoted = text.split('`').skip(1).step_by(2).filter(|name| is_path(name));
            found.extend(quoted.map(|name| (line, name.to_owned())));
        }
    }
    found
}

/// The path that a line of a drawing stands for: two spaces in a level, the name, then words.
fn drawn<'a>(text: &'a str, above: &mut Vec<&'a str>) -> Option<String> {
    let name = text.split_whitespace().next()?.trim_end_matches('/');
    let depth = (text.len() - text.trim_start().len()) / 2;
    above.truncate(depth);
    above.push(name);
    Some(above.join("/"))
}

/// Whether a quoted word means a place in the tree: it has a slash and no sign of code or of a
/// route, or it is a root file or one of our packages.
fn is_path(name: &str) -> bool {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-'));
    let ends_like_file = [".md", ".toml", ".rs", ".sh"].iter().any(|end| name.ends_with(end));
    plain && !name.starts_with('/') && (name.contains('/') || ends_like_file || name.starts_with("pixel-"))
}

fn exists(tree: &Tree, name: &str) -> bool {
    match name.strip_prefix("pixel-") {
        Some("bench") => tree.has("bench/Cargo.toml"),
        Some(room) => tree.has(&format!("crates/{room}/Cargo.toml")),
        None => tree.has(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(map: &str) -> Vec<(usize, String)> {
        let files = [(MAP, map), ("crates/core/Cargo.toml", ""), ("crates/core/src/lib.rs", ""), ("deny.toml", "")];
        check(&Tree::of(&files)).into_iter().map(|finding| (finding.line, finding.reason)).collect()
    }

    #[test]
    fn what_exists_may_be_named() {
        let map = "Room `crates/core`, file `deny.toml`, package `pixel-core`, route `/api/v1`, code `a::b`, type `image/*`.\n```tree\ncrates/  x\n  core/  y\n    src/lib.rs  z\n```";
        assert_eq!(reasons(map), []);
    }

    #[test]
    fn what_does_not_exist_may_not() {
        let found = reasons(
            "`crates/core`\n`crates/gone`\n`gone.toml`\n`pixel-gone`\n```tree\ncrates/\n  core/\n    src/gone.rs  words\n```\n",
        );
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4, 8], "{found:?}");
        assert!(found[3].1.contains("crates/core/src/gone.rs"), "{found:?}");
    }

    #[test]
    fn a_room_off_the_map_is_told() {
        assert_eq!(reasons("nothing"), [(1, "the room crates/core is not on the map".to_owned())]);
    }

    #[test]
    fn a_long_map_is_told() {
        let map = format!("`crates/core`\n{}", "x\n".repeat(LINES_MAX));
        assert_eq!(reasons(&map).len(), 1);
        assert_eq!(reasons(map.trim_end_matches("x\n")).len(), 0);
    }
}
