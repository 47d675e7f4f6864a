//! Keeps the house true to its map: what may stand where, who may import whom, how big a thing
//! may grow. Each rule is a function from the tree to findings, each finding says its reason.
//!
//! A rule on code gives way to a written reason: a comment `// tidy: <reason>` on the line or
//! just above it, or at the file's top for the file as a whole. Such waivers are listed by each
//! run, and one that waives nothing is a finding itself.

mod codes;
mod crash;
mod imports;
mod map;
mod reaches;
mod sizes;
mod source;
mod tree;
mod waivers;
mod words;

use std::{fmt, path::Path, process::ExitCode};
use tree::Tree;

/// Something that is not as the rules say.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub path: String,
    /// From 1.
    pub line: usize,
    pub reason: String,
}

impl Finding {
    pub fn new(path: &str, line: usize, reason: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, reason: reason.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.reason)
    }
}

type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[Rule] = &[
    source::unreadable,
    map::check,
    imports::rooms,
    imports::outside_crates,
    imports::banned_crates,
    reaches::check,
    reaches::vendor_names,
    sizes::files_and_functions,
    sizes::vendors,
    words::panics,
    words::left_overs,
    words::machine_and_registry,
    codes::check,
    crash::points,
    crash::feature,
];

pub fn run(root: &Path) -> ExitCode {
    let tree = match Tree::read(root) {
        Ok(tree) => tree,
        Err(reason) => {
            eprintln!("tidy: {reason}");
            return ExitCode::FAILURE;
        }
    };
    let found = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    let (mut findings, waived) = waivers::apply(&tree, found);
    findings.sort();
    for waiver in &waived {
        println!("waived: {waiver}");
    }
    for finding in &findings {
        println!("{finding}");
    }
    let (files, rules, bad) = (tree.files.len(), RULES.len(), findings.len());
    println!("tidy: {files} files, {rules} rules, {} waived, {bad} findings", waived.len());
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
