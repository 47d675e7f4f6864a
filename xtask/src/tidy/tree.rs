//! The files that the rules look at: those that git tracks or would track.

use super::source::Source;
use std::{collections::BTreeSet, fs, path::Path, process::Command};

pub struct File {
    /// From the root, with `/`.
    pub path: String,
    pub text: String,
    /// Of a Rust file: its tokens, or why it has none.
    pub source: Option<Result<Source, String>>,
}

impl File {
    fn new(path: &str, text: String) -> Self {
        let source = path.ends_with(".rs").then(|| Source::parse(&text));
        Self { path: path.to_owned(), text, source }
    }

    pub fn rust(&self) -> Option<&Source> {
        self.source.as_ref()?.as_ref().ok()
    }

    /// Whether the whole file serves tests or measurements only.
    pub fn is_test(&self) -> bool {
        let folder =
            self.path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples" | "testkit" | "bench"));
        let name = self.path.rsplit('/').next().unwrap_or_default();
        folder || name == "tests.rs" || name.starts_with("tests_") || name.ends_with("_tests.rs")
    }

    /// Lines with their numbers, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }
}

pub struct Tree {
    /// Text files only.
    pub files: Vec<File>,
    /// All files.
    paths: BTreeSet<String>,
}

impl Tree {
    pub fn read(root: &Path) -> Result<Self, String> {
        let list = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .map_err(|error| format!("cannot run git, which knows the project's files: {error}"))?;
        if !list.status.success() {
            return Err(format!("git does not list the files: {}", String::from_utf8_lossy(&list.stderr).trim()));
        }
        let mut tree = Self { files: Vec::new(), paths: BTreeSet::new() };
        for path in String::from_utf8_lossy(&list.stdout).split('\0').filter(|path| !path.is_empty()) {
            let Ok(bytes) = fs::read(root.join(path)) else { continue };
            tree.paths.insert(path.to_owned());
            if let Ok(text) = String::from_utf8(bytes) {
                tree.files.push(File::new(path, text));
            }
        }
        Ok(tree)
    }

    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self {
            files: files.iter().map(|(path, text)| File::new(path, (*text).to_owned())).collect(),
            paths: files.iter().map(|(path, _)| (*path).to_owned()).collect(),
        }
    }

    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether there is such a file or folder.
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        self.paths.contains(path)
            || self.paths.range(folder.clone()..).next().is_some_and(|next| next.starts_with(&folder))
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// The folders of `crates/`.
    pub fn rooms(&self) -> BTreeSet<&str> {
        let inner = self.paths().filter_map(|path| path.strip_prefix("crates/"));
        inner.filter_map(|path| path.split_once('/')).map(|(room, _)| room).collect()
    }

    /// Rust files, with their tokens, that are not tests.
    pub fn code(&self) -> impl Iterator<Item = (&File, &Source)> {
        self.files.iter().filter(|file| !file.is_test()).filter_map(|file| Some((file, file.rust()?)))
    }

    /// The ids of the catalogue's vendors.
    pub fn vendors(&self) -> Vec<String> {
        let cards = self.files.iter().filter(|file| file.path.starts_with("catalog/") && file.path.ends_with(".toml"));
        cards
            .filter_map(|file| {
                let card: toml::Table = file.text.parse().ok()?;
                Some(card.get("vendor")?.get("id")?.as_str()?.to_owned())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_known_by_their_files() {
        let tree = Tree::of(&[("crates/store/src/lib.rs", ""), ("crates/store-x/src/lib.rs", "")]);
        assert!(tree.has("crates/store") && tree.has("crates/store/src/") && tree.has("crates/store/src/lib.rs"));
        assert!(!tree.has("crates/sto") && !tree.has("crates/store/src/lib.rs/x"));
        assert_eq!(tree.rooms().into_iter().collect::<Vec<_>>(), ["store", "store-x"]);
    }

    #[test]
    fn tests_are_told_from_code() {
        let tree = Tree::of(&[
            ("crates/store/tests/a.rs", ""),
            ("crates/store/src/b/tests.rs", ""),
            ("crates/store/src/b/tests_more.rs", ""),
            ("crates/testkit/src/lib.rs", ""),
            ("crates/store/src/contests.rs", ""),
        ]);
        assert_eq!(
            tree.code().map(|(file, _)| file.path.as_str()).collect::<Vec<_>>(),
            ["crates/store/src/contests.rs"]
        );
    }
}
