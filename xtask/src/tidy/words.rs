//! Words that do not belong: hidden panics, work left over, a machine's paths, registries' hosts.

use super::{Finding, tree::Tree};

/// `unwrap` and `expect` outside tests, where no `#[expect(…, reason)]` admits them.
pub fn panics(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, source) in tree.code() {
        for name in ["unwrap", "expect"] {
            for dot in source.find(&[".", name, "("]).filter(|token| !token.may_panic) {
                let reason = format!("{name} can end the process: return the error, or say why it cannot happen");
                found.push(Finding::new(&file.path, dot.line, reason));
            }
        }
    }
    found
}

/// Marks of work that was put off; written in two so that this file does not match itself.
const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

pub fn left_overs(tree: &Tree) -> Vec<Finding> {
    const CODE: &[&str] = &[".rs", ".toml", ".sh", ".sql", ".html", ".js", ".ts", ".tsx", "Makefile"];
    const REASON: &str = "work left over: do it now, or write an issue";
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| CODE.iter().any(|end| file.path.ends_with(end))) {
        let marked = file.lines().filter(|(_, text)| MARKS.iter().any(|mark| has_word(text, mark)));
        found.extend(marked.map(|(line, _)| Finding::new(&file.path, line, REASON)));
        let Some(source) = file.rust() else { continue };
        for run in [["todo", "!"], ["unimplemented", "!"]] {
            found.extend(source.find(&run).map(|token| Finding::new(&file.path, token.line, REASON)));
        }
        let ignored = source.find(&["#", "[", "ignore"]).map(|token| token.line);
        found.extend(ignored.map(|line| Finding::new(&file.path, line, "a test that is ignored shows nothing")));
    }
    found
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|found| found == word)
}

/// Folders of a machine, at the start of a path.
const FOLDERS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

const HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("registry.", "npmjs.org"),
    concat!("registry.", "yarnpkg.com"),
    concat!("pypi", ".org"),
    concat!("files.", "pythonhosted.org"),
    concat!("proxy.", "golang.org"),
    concat!("deb.", "debian.org"),
];

/// How `Cargo.lock` names the public index, wherever the crates really came from.
const LOCKED_SOURCE: &str = concat!("source = \"registry+https://github.com/rust-lang/crates", ".io-index\"");

pub fn machine_and_registry(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in &tree.files {
        let locked = file.path.ends_with("Cargo.lock");
        for (line, text) in file.lines() {
            if let Some(folder) = FOLDERS.iter().find(|folder| begins_a_path(text, folder)) {
                found.push(Finding::new(&file.path, line, format!("{folder} is a path of one machine")));
            }
            let is_source = locked && text.starts_with("source = ");
            let foreign_source = is_source && text != LOCKED_SOURCE;
            let resolved = file.path.ends_with("package-lock.json") && text.trim_start().starts_with("\"resolved\"");
            let named = !is_source && HOSTS.iter().any(|host| text.contains(host));
            if foreign_source || resolved || named {
                let reason = "names a package registry: which one is used is each builder's own choice";
                found.push(Finding::new(&file.path, line, reason));
            }
        }
    }
    found
}

fn begins_a_path(text: &str, folder: &str) -> bool {
    let is_inside = |before: &str| {
        before.ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '/'))
    };
    text.match_indices(folder).any(|(at, _)| !is_inside(&text[..at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rule: fn(&Tree) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
        rule(&Tree::of(&[(path, text)])).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn panics_are_told_outside_tests() {
        let code = "fn a() {\n b.unwrap();\n c.expect(\"d\");\n e.unwrap_or(1);\n}\n#[expect(clippy::expect_used, reason = \"r\")]\nfn f() { g.expect(\"h\"); }\n#[test]\nfn t() { i.unwrap(); }";
        assert_eq!(lines(panics, "crates/core/src/a.rs", code), [2, 3]);
        assert_eq!(lines(panics, "crates/core/tests/a.rs", code), []);
    }

    #[test]
    fn left_overs_are_told() {
        let text = format!("// {}: later\n// XXL\nfn a() {{ todo!() }}\n#[ignore]\nfn b() {{}}", MARKS[0]);
        assert_eq!(lines(left_overs, "crates/core/src/a.rs", &text), [1, 3, 4]);
        assert_eq!(lines(left_overs, "scripts/a.sh", &format!("# {}", MARKS[1])), [1]);
        assert_eq!(lines(left_overs, "README.md", MARKS[0]), []);
    }

    #[test]
    fn paths_of_a_machine_are_told() {
        let text = format!("a = \"{0}main\"\nb = \"x{0}main\"\nc = $HOME{1}", FOLDERS[0], FOLDERS[1]);
        assert_eq!(lines(machine_and_registry, "a.md", &text), [1]);
    }

    #[test]
    fn registries_are_told() {
        assert_eq!(lines(machine_and_registry, "a.md", &format!("see https://{}/x", HOSTS[1])), [1]);
        assert_eq!(lines(machine_and_registry, "package-lock.json", "{\n  \"resolved\": \"x\"\n}"), [2]);
        let lock = format!("name = \"a\"\n{LOCKED_SOURCE}\nsource = \"registry+https://mirror/\"");
        assert_eq!(lines(machine_and_registry, "Cargo.lock", &lock), [3]);
    }
}
