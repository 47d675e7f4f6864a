//! Every public error code has its page, and every page its code.

use super::{Finding, source::Kind, tree::Tree};

const CODES: &str = "crates/core/src/error.rs";
const PAGES: &str = "docs/errors/";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let Some(source) = tree.file(CODES).and_then(|file| file.rust()) else {
        return vec![Finding::new(CODES, 1, "the error codes cannot be read")];
    };
    // The arms of `code`: `=> "some_code"`.
    let arms = source.tokens.windows(2).filter(|pair| pair[0].text == "=>" && pair[1].kind == Kind::Literal);
    let codes: Vec<_> = arms.filter_map(|pair| Some((pair[1].line, code_of(&pair[1].text)?))).collect();
    let mut found = Vec::new();
    if codes.is_empty() {
        found.push(Finding::new(CODES, 1, "no error code found, so nothing is checked"));
    }
    for (line, code) in &codes {
        if !tree.has(&format!("{PAGES}{code}.md")) {
            found.push(Finding::new(CODES, *line, format!("the code {code} has no page {PAGES}{code}.md")));
        }
    }
    for page in tree.paths().filter_map(|path| path.strip_prefix(PAGES)?.strip_suffix(".md")) {
        if page != "README" && !codes.iter().any(|(_, code)| *code == page) {
            found.push(Finding::new(&format!("{PAGES}{page}.md"), 1, "a page about a code that does not exist"));
        }
    }
    found
}

fn code_of(literal: &str) -> Option<&str> {
    let text = literal.strip_prefix('"')?.strip_suffix('"')?;
    (!text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "fn code() { match self { A => \"a_code\", B => \"b_code\" } }";

    #[test]
    fn codes_and_pages_are_the_same_set() {
        let of = |pages: &[&str]| {
            let mut files = vec![(CODES, SOURCE)];
            files.extend(pages.iter().map(|path| (*path, "")));
            check(&Tree::of(&files)).into_iter().map(|finding| (finding.path, finding.line)).collect::<Vec<_>>()
        };
        assert_eq!(of(&["docs/errors/a_code.md", "docs/errors/b_code.md", "docs/errors/README.md"]), []);
        assert_eq!(of(&["docs/errors/a_code.md"]), [(CODES.to_owned(), 1)]);
        let extra = of(&["docs/errors/a_code.md", "docs/errors/b_code.md", "docs/errors/gone.md"]);
        assert_eq!(extra, [("docs/errors/gone.md".to_owned(), 1)]);
    }

    #[test]
    fn a_list_that_cannot_be_found_is_told() {
        assert_eq!(check(&Tree::of(&[(CODES, "fn a() {}")])).len(), 1);
        assert_eq!(check(&Tree::of(&[])).len(), 1);
    }
}
