//! Crash points: the list and the code name the same ones, once each, and no build but that of the
//! tests can hold any.

use super::{
    Finding,
    source::{Kind, Source},
    tree::Tree,
};
use toml::{Table, Value};

const LIST: &str = "crates/store/src/crash.rs";
const FEATURE: &str = "crash-points";
/// Fewer cannot stand for every stage of a task.
const POINTS_MIN: usize = 30;

pub fn points(tree: &Tree) -> Vec<Finding> {
    let Some(list) = tree.file(LIST).and_then(|file| file.rust()) else {
        return vec![Finding::new(LIST, 1, "the list of crash points cannot be read")];
    };
    let listed = listed(list);
    let mut found = Vec::new();
    if listed.len() < POINTS_MIN {
        let reason = format!("{} crash points; fewer than {POINTS_MIN} leave stages out", listed.len());
        found.push(Finding::new(LIST, 1, reason));
    }
    let used: Vec<_> = tree
        .code()
        .flat_map(|(file, source)| used(source).into_iter().map(|(line, name)| (file.path.clone(), line, name)))
        .collect();
    for (path, line, name) in &used {
        if !listed.iter().any(|(_, known)| known == name) {
            found.push(Finding::new(path, *line, format!("the crash point {name} is not in the list of {LIST}")));
        }
    }
    for (line, name) in &listed {
        let times = used.iter().filter(|(_, _, other)| other == name).count();
        if times != 1 {
            found.push(Finding::new(
                LIST,
                *line,
                format!("the crash point {name} stands in {times} places, not in one"),
            ));
        }
    }
    found
}

/// Pairs of texts: a name and what it lies between.
fn listed(source: &Source) -> Vec<(usize, String)> {
    let pairs = source.tokens.windows(5).filter(|run| {
        let texts: Vec<_> = run.iter().map(|token| token.text.as_str()).collect();
        run[1].kind == Kind::Literal && run[3].kind == Kind::Literal && (texts[0], texts[2]) == ("(", ",")
    });
    pairs.filter(|run| is_name(&run[1].text)).map(|run| (run[1].line, unquoted(&run[1].text))).collect()
}

/// `point!("name")`.
fn used(source: &Source) -> Vec<(usize, String)> {
    let calls = source.tokens.windows(4).filter(|run| {
        let texts: Vec<_> = run[..3].iter().map(|token| token.text.as_str()).collect();
        texts == ["point", "!", "("] && run[3].kind == Kind::Literal
    });
    calls.map(|run| (run[3].line, unquoted(&run[3].text))).collect()
}

fn unquoted(literal: &str) -> String {
    literal.trim_matches('"').to_owned()
}

/// `stage.moment`.
fn is_name(literal: &str) -> bool {
    let words: Vec<&str> = literal.trim_matches('"').split('.').collect();
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    words.len() == 2 && words.iter().all(is_word)
}

/// The feature is off by itself, and only development dependencies turn it on: cargo leaves those
/// out of everything but tests.
pub fn feature(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut is_there = false;
    for file in tree.files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let Ok(manifest) = file.text.parse::<Table>() else { continue };
        is_there |= manifest.get("features").and_then(|all| all.get(FEATURE)).is_some();
        let shipped = manifest.iter().filter(|(name, _)| *name != "dev-dependencies");
        for (name, _) in shipped.filter(|(_, value)| turns_on(value)) {
            let line = file.lines().find(|(_, text)| text.contains(FEATURE)).map_or(1, |(line, _)| line);
            let reason = format!("[{name}] turns {FEATURE} on: a released binary could be made to die by a variable");
            found.push(Finding::new(&file.path, line, reason));
        }
    }
    let is_script = |path: &str| path == "Makefile" || path.starts_with("scripts/") || path.starts_with(".c");
    for file in tree.files.iter().filter(|file| is_script(&file.path)) {
        let bad = file.lines().filter(|(_, text)| text.contains("--all-features") || text.contains(FEATURE));
        found.extend(bad.map(|(line, _)| Finding::new(&file.path, line, format!("no script may turn {FEATURE} on"))));
    }
    if !is_there {
        found.push(Finding::new(LIST, 1, format!("no manifest has the feature {FEATURE}, so nothing is checked")));
    }
    found
}

/// Whether the feature is named as a value anywhere below; as a key it is only declared.
fn turns_on(value: &Value) -> bool {
    match value {
        Value::String(text) => text == FEATURE || text.ends_with(&format!("/{FEATURE}")),
        Value::Array(items) => items.iter().any(turns_on),
        Value::Table(table) => table.values().any(turns_on),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(code: &str) -> Tree {
        let names: Vec<String> = (0..29)
            .map(|at| format!("a.{}", char::from(b'a' + at % 26).to_string().repeat(1 + usize::from(at / 26))))
            .collect();
        let list: String =
            names.iter().chain([&"b.last".to_owned()]).map(|name| format!("(\"{name}\", \"words\"),")).collect();
        let uses: String = names.iter().map(|name| format!("crash::point!(\"{name}\");")).collect();
        let list = format!("const POINTS: &[(&str, &str)] = &[{list}];");
        Tree::of(&[
            (LIST, &list),
            ("crates/engine/src/a.rs", &format!("fn a() {{ {uses} }}")),
            ("crates/engine/src/b.rs", code),
        ])
    }

    #[test]
    fn the_list_and_the_code_agree() {
        assert_eq!(points(&tree("fn b() { point!(\"b.last\"); }")), []);
        let unused = points(&tree("fn b() {}"));
        assert!(unused.len() == 1 && unused[0].reason.contains("0 places"), "{unused:?}");
        let twice = points(&tree("fn b() { point!(\"b.last\"); point!(\"b.last\"); }"));
        assert!(twice.len() == 1 && twice[0].reason.contains("2 places"), "{twice:?}");
        let unlisted = points(&tree("fn b() { point!(\"b.last\"); point!(\"b.other\"); }"));
        assert!(unlisted.len() == 1 && unlisted[0].path.ends_with("b.rs"), "{unlisted:?}");
        assert_eq!(points(&Tree::of(&[])).len(), 1);
        assert_eq!(points(&Tree::of(&[(LIST, "")])).len(), 1, "an empty list checks nothing");
    }

    #[test]
    fn only_tests_turn_the_feature_on() {
        let of = |path: &str, text: &str| {
            let store = ("crates/store/Cargo.toml", "[features]\ncrash-points = []");
            feature(&Tree::of(&[store, (path, text)])).len()
        };
        let line = "pixel-store = { workspace = true, features = [\"crash-points\"] }";
        assert_eq!(of("crates/server/Cargo.toml", &format!("[dev-dependencies]\n{line}")), 0);
        assert_eq!(of("crates/server/Cargo.toml", &format!("[dependencies]\n{line}")), 1);
        assert_eq!(of("crates/server/Cargo.toml", "[features]\ndefault = [\"pixel-store/crash-points\"]"), 1);
        assert_eq!(of("Cargo.toml", &format!("[workspace.dependencies]\n{line}")), 1);
        assert_eq!(of("Makefile", "\tcargo build --all-features"), 1);
        assert_eq!(feature(&Tree::of(&[])).len(), 1);
    }
}
