//! Written reasons: `// tidy: <reason>`.

use super::{
    Finding,
    tree::{File, Tree},
};
use std::collections::BTreeSet;

const SIGN: &str = "// tidy:";

/// Shorter ones say nothing.
const REASON_CHARS_MIN: usize = 15;

/// Parts what is waived from what stays; the waived ones carry the reason that was written.
pub fn apply(tree: &Tree, found: Vec<Finding>) -> (Vec<Finding>, Vec<Finding>) {
    let (mut stay, mut waived, mut used) = (Vec::new(), Vec::new(), BTreeSet::new());
    for finding in found {
        let waiver = tree.file(&finding.path).and_then(|file| waiver_of(file, finding.line));
        match waiver {
            Some((line, reason)) => {
                waived.push(Finding::new(&finding.path, finding.line, format!("{} | {reason}", finding.reason)));
                used.insert((finding.path, line));
            }
            None => stay.push(finding),
        }
    }
    // This package's own sources quote the sign.
    for file in tree.files.iter().filter(|file| file.rust().is_some() && !file.path.starts_with("xtask/")) {
        for (line, text) in file.lines() {
            let idle = text.contains(SIGN) && !used.contains(&(file.path.clone(), line));
            if idle {
                stay.push(Finding::new(
                    &file.path,
                    line,
                    "a waiver without a reason, or one that nothing needs: remove it",
                ));
            }
        }
    }
    (stay, waived)
}

/// The waiver on the line itself, or among the comments and attributes just above it.
fn waiver_of(file: &File, line: usize) -> Option<(usize, &str)> {
    file.rust()?;
    let lines: Vec<_> = file.text.lines().collect();
    let is_lead = |text: &&str| text.trim_start().starts_with("//") || text.trim_start().starts_with("#[");
    // A finding on the first line is about the whole file: its head follows rather than precedes.
    let head = if line == 1 { lines.iter().take_while(|text| is_lead(text)).count() } else { line };
    let above = lines[..line.saturating_sub(1).min(lines.len())].iter().rev().take_while(|text| is_lead(text)).count();
    let places = line.saturating_sub(above)..=head.max(line);
    places.filter_map(|at| Some((at, reason(lines.get(at.checked_sub(1)?)?)?))).next()
}

fn reason(line: &str) -> Option<&str> {
    let text = line.split_once(SIGN)?.1.trim();
    (text.chars().count() >= REASON_CHARS_MIN).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, line: usize) -> (usize, usize) {
        let tree = Tree::of(&[("crates/core/src/a.rs", text)]);
        let (stay, waived) = apply(&tree, vec![Finding::new("crates/core/src/a.rs", line, "bad")]);
        (stay.len(), waived.len())
    }

    #[test]
    fn a_reason_on_the_line_or_above_waives() {
        assert_eq!(split("\nfn a() {} // tidy: one table of the standard", 2), (0, 1));
        assert_eq!(split("\n// tidy: one table of the standard\n/// Doc.\n#[inline]\nfn a() {}", 5), (0, 1));
        assert_eq!(split("//! Head.\n// tidy: one table of the standard\n\nfn a() {}", 1), (0, 1));
    }

    #[test]
    fn a_reason_elsewhere_or_none_does_not() {
        assert_eq!(split("// tidy: one table of the standard\nfn a() {}\nfn b() {}", 3), (2, 0));
        assert_eq!(split("\n// tidy: short\nfn a() {}", 3), (2, 0));
        assert_eq!(split("fn a() {}\nfn b() {}", 2), (1, 0));
    }
}
