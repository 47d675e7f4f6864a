//! A Rust file as the rules see it: its tokens without tests and comments, and its functions.

use super::{Finding, tree::Tree};
use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};
use std::ops::RangeInclusive;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Name,
    /// A literal, as it is written.
    Literal,
    /// Punctuation or a bracket.
    Mark,
}

#[derive(Clone, Debug)]
pub struct Token {
    pub kind: Kind,
    pub text: String,
    pub line: usize,
    /// Under an `#[expect(…)]` that admits panics and says why.
    pub may_panic: bool,
}

#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

#[derive(Debug, Default)]
pub struct Source {
    pub tokens: Vec<Token>,
    pub functions: Vec<Function>,
    tests: Vec<RangeInclusive<usize>>,
}

impl Source {
    pub fn parse(text: &str) -> Result<Self, String> {
        let stream: TokenStream = text.parse().map_err(|error| format!("{error}"))?;
        let mut source = Self::default();
        source.walk(stream, false);
        Ok(source)
    }

    pub fn is_test_line(&self, line: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&line))
    }

    /// Where a run of tokens stands: the line of each beginning.
    pub fn find<'a>(&'a self, run: &'a [&'a str]) -> impl Iterator<Item = &'a Token> {
        let windows = self.tokens.windows(run.len());
        windows
            .filter(move |window| window.iter().zip(run).all(|(token, text)| token.text == *text))
            .map(|window| &window[0])
    }

    fn walk(&mut self, stream: TokenStream, may_panic: bool) {
        let trees: Vec<_> = stream.into_iter().collect();
        // Up to where the `#[expect]` seen last reaches.
        let mut excused_to = if may_panic { trees.len() } else { 0 };
        let mut at = 0;
        while let Some(tree) = trees.get(at) {
            if let Some((attribute, inner, next)) = attribute_at(&trees, at) {
                let end = item_end(&trees, next);
                if is_test(attribute) && !inner {
                    self.tests.push(tree.span().start().line..=trees[end - 1].span().end().line);
                    at = end;
                    continue;
                }
                if admits_panics(attribute) {
                    excused_to = excused_to.max(if inner { trees.len() } else { end });
                }
                if starts_with(attribute, "doc") {
                    at = next;
                    continue;
                }
            }
            self.note_function(&trees, at);
            at += self.push(&trees, at, at < excused_to);
        }
    }

    /// Adds the token at a place; answers how many places it took.
    fn push(&mut self, trees: &[TokenTree], at: usize, may_panic: bool) -> usize {
        let line = trees[at].span().start().line;
        let mut add = |kind, text: String, line| self.tokens.push(Token { kind, text, line, may_panic });
        match &trees[at] {
            TokenTree::Ident(name) => add(Kind::Name, name.to_string(), line),
            TokenTree::Literal(literal) => add(Kind::Literal, literal.to_string(), line),
            TokenTree::Punct(mark) => {
                let pair = match (mark.as_char(), mark.spacing(), trees.get(at + 1)) {
                    (first @ (':' | '='), Spacing::Joint, Some(TokenTree::Punct(next))) => {
                        Some((first, next.as_char()))
                    }
                    _ => None,
                };
                if let Some((first, next)) = pair.filter(|pair| matches!(pair, (':', ':') | ('=', '>'))) {
                    add(Kind::Mark, format!("{first}{next}"), line);
                    return 2;
                }
                add(Kind::Mark, mark.as_char().to_string(), line);
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Parenthesis | Delimiter::None => ("(", ")"),
                };
                add(Kind::Mark, open.to_owned(), line);
                self.walk(group.stream(), may_panic);
                let line = group.span_close().start().line;
                self.tokens.push(Token { kind: Kind::Mark, text: close.to_owned(), line, may_panic });
            }
        }
        1
    }

    fn note_function(&mut self, trees: &[TokenTree], at: usize) {
        let (TokenTree::Ident(word), Some(TokenTree::Ident(name))) = (&trees[at], trees.get(at + 1)) else { return };
        if word != "fn" {
            return;
        }
        let end = item_end(trees, at);
        if let Some(TokenTree::Group(body)) = trees.get(end - 1) {
            let line = word.span().start().line;
            let lines = body.span_close().end().line + 1 - line;
            self.functions.push(Function { name: name.to_string(), line, lines });
        }
    }
}

/// The attribute that begins at a place, whether it is an inner one, and the place behind it.
fn attribute_at(trees: &[TokenTree], at: usize) -> Option<(&Group, bool, usize)> {
    let is = |at: usize, mark: char| matches!(trees.get(at), Some(TokenTree::Punct(found)) if found.as_char() == mark);
    let inner = is(at + 1, '!');
    let place = at + 1 + usize::from(inner);
    match (is(at, '#'), trees.get(place)) {
        (true, Some(TokenTree::Group(group))) if group.delimiter() == Delimiter::Bracket => {
            Some((group, inner, place + 1))
        }
        _ => None,
    }
}

/// The place behind the item or statement that goes on at a place.
fn item_end(trees: &[TokenTree], from: usize) -> usize {
    let ends = |tree: &TokenTree| match tree {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(mark) => mark.as_char() == ';',
        _ => false,
    };
    trees.iter().skip(from).position(ends).map_or(trees.len(), |found| from + found + 1)
}

fn starts_with(attribute: &Group, name: &str) -> bool {
    matches!(attribute.stream().into_iter().next(), Some(TokenTree::Ident(first)) if first == name)
}

fn names(stream: TokenStream) -> Vec<String> {
    let each = stream.into_iter().flat_map(|tree| match tree {
        TokenTree::Ident(name) => vec![name.to_string()],
        TokenTree::Group(group) => names(group.stream()),
        _ => Vec::new(),
    });
    each.collect()
}

/// `#[test]`, `#[tokio::test]`, `#[cfg(test)]`.
fn is_test(attribute: &Group) -> bool {
    let path: Vec<_> = attribute.stream().into_iter().take_while(|tree| !matches!(tree, TokenTree::Group(_))).collect();
    let is_path_of_test = matches!(path.last(), Some(TokenTree::Ident(last)) if last == "test");
    let names = names(attribute.stream());
    let has = |name: &str| names.iter().any(|found| found == name);
    is_path_of_test || (starts_with(attribute, "cfg") && has("test") && !has("not"))
}

fn admits_panics(attribute: &Group) -> bool {
    let names = names(attribute.stream());
    let has = |name: &str| names.iter().any(|found| found == name);
    starts_with(attribute, "expect") && has("reason") && (has("unwrap_used") || has("expect_used"))
}

/// The rule that every Rust file can be read at all, without which the others would be blind.
pub fn unreadable(tree: &Tree) -> Vec<Finding> {
    let broken = tree.files.iter().filter_map(|file| Some((file, file.source.as_ref()?.as_ref().err()?)));
    broken.map(|(file, error)| Finding::new(&file.path, 1, format!("cannot be read as Rust: {error}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let source = Source::parse(text).unwrap();
        source.tokens.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn tests_and_comments_are_left_out() {
        let text = "/// a doc\nfn a() { b(\"s\") } // c\n#[cfg(test)]\nmod tests {\n fn hidden() {}\n}\n#[tokio::test]\nasync fn t() {}\nfn z() {}";
        assert_eq!(words(text), "fn a ( ) { b ( \"s\" ) } fn z ( ) { }");
        let source = Source::parse(text).unwrap();
        let inside: Vec<_> = (1..=9).filter(|line| source.is_test_line(*line)).collect();
        assert_eq!(inside, [3, 4, 5, 6, 7, 8]);
        assert_eq!(words("#[cfg(not(test))] fn a() {}"), "# [ cfg ( not ( test ) ) ] fn a ( ) { }");
    }

    #[test]
    fn runs_of_tokens_are_found() {
        let source = Source::parse("use std::env;\nlet x = env :: var(\"A\");").unwrap();
        assert_eq!(source.find(&["env", "::", "var"]).map(|token| token.line).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn functions_are_measured() {
        let source = Source::parse(
            "impl A {\n fn long(\n a: [u8; 3],\n ) {\n }\n}\ntrait B { fn none(&self); }\ntype C = fn(u8);",
        )
        .unwrap();
        let found: Vec<_> = source.functions.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
        assert_eq!(found, [("long", 2, 4)]);
    }

    #[test]
    fn an_expectation_reaches_to_the_end_of_its_item() {
        let text = "#[expect(clippy::unwrap_used, reason = \"r\")] fn a() { one(); } fn b() { two(); }";
        let source = Source::parse(text).unwrap();
        let of = |name: &str| source.tokens.iter().find(|token| token.text == name).unwrap().may_panic;
        assert!(of("one") && !of("two"));
        let without_reason = Source::parse("#[expect(clippy::unwrap_used)] fn a() { one(); }").unwrap();
        assert!(without_reason.tokens.iter().all(|token| !token.may_panic));
    }

    #[test]
    fn a_file_that_is_not_rust_is_told() {
        assert_eq!(unreadable(&Tree::of(&[("a.rs", "fn a( {"), ("b.rs", "fn b() {}")])).len(), 1);
    }
}
