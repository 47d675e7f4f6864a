//! How big things may grow before someone must write down why.

use super::{Finding, tree::Tree};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const VENDOR_LINES_MAX: usize = 700;

/// Lines outside tests, by file and by function.
pub fn files_and_functions(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, source) in tree.code() {
        let lines = file.lines().filter(|(line, _)| !source.is_test_line(*line)).count();
        if lines > FILE_LINES_MAX {
            let reason =
                format!("{lines} lines without tests, more than {FILE_LINES_MAX}: cut the file, or write why not");
            found.push(Finding::new(&file.path, 1, reason));
        }
        for function in source.functions.iter().filter(|function| function.lines > FUNCTION_LINES_MAX) {
            let (name, lines) = (&function.name, function.lines);
            let reason = format!("{name} has {lines} lines, more than {FUNCTION_LINES_MAX}: cut it, or write why not");
            found.push(Finding::new(&file.path, function.line, reason));
        }
    }
    found
}

/// All files of a vendor together.
pub fn vendors(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for vendor in tree.vendors() {
        let (single, folder) = (format!("crates/vendors/src/{vendor}.rs"), format!("crates/vendors/src/{vendor}/"));
        let own = || tree.code().filter(|(file, _)| file.path == single || file.path.starts_with(&folder));
        let lines: usize =
            own().map(|(file, source)| file.lines().filter(|(line, _)| !source.is_test_line(*line)).count()).sum();
        let head = own().map(|(file, _)| file.path.as_str()).find(|path| *path == single || path.ends_with("/mod.rs"));
        if lines > VENDOR_LINES_MAX {
            let reason = format!(
                "the vendor {vendor} has {lines} lines in all, more than {VENDOR_LINES_MAX}: write why at the top"
            );
            found.push(Finding::new(head.unwrap_or(&single), 1, reason));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_are_told_and_tests_do_not_count() {
        let of = |text: &str| files_and_functions(&Tree::of(&[("crates/core/src/a.rs", text)])).len();
        let code = "const A: u8 = 1;\n".repeat(FILE_LINES_MAX);
        assert_eq!(of(&code), 0);
        assert_eq!(of(&format!("{code}const B: u8 = 1;\n")), 1);
        assert_eq!(of(&format!("{code}#[cfg(test)]\nmod tests {{\n}}\n")), 0);
    }

    #[test]
    fn long_functions_are_told() {
        let of = |path: &str, lines: usize| {
            let text = format!("fn a() {{\n{}}}", "b();\n".repeat(lines - 2));
            files_and_functions(&Tree::of(&[(path, &text)])).len()
        };
        assert_eq!(of("crates/core/src/a.rs", FUNCTION_LINES_MAX), 0);
        assert_eq!(of("crates/core/src/a.rs", FUNCTION_LINES_MAX + 1), 1);
        assert_eq!(of("crates/core/tests/a.rs", FUNCTION_LINES_MAX + 1), 0);
    }

    #[test]
    fn a_vendor_is_measured_in_all_its_files() {
        let half = "const A: u8 = 1;\n".repeat(VENDOR_LINES_MAX / 2);
        let of = |extra: &str| {
            vendors(&Tree::of(&[
                ("catalog/acme.toml", "[vendor]\nid = \"acme\""),
                ("crates/vendors/src/acme/mod.rs", &half),
                ("crates/vendors/src/acme/b.rs", &format!("{half}{extra}")),
            ]))
        };
        assert_eq!(of(""), []);
        let found = of("const B: u8 = 1;\n");
        assert_eq!(
            found.iter().map(|finding| finding.path.as_str()).collect::<Vec<_>>(),
            ["crates/vendors/src/acme/mod.rs"]
        );
    }
}
