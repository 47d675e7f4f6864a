//! What code may reach for, room by room: SQL, the environment, the clock, sockets, the terminal,
//! and the vendors' names.

use super::{
    Finding,
    source::{Kind, Source},
    tree::Tree,
};

/// Lines on which a file reaches for something.
type Find = fn(&Source) -> Vec<usize>;

struct Reach {
    forbidden_in: fn(&str) -> bool,
    find: Find,
    reason: &'static str,
}

const REACHES: &[Reach] = &[
    Reach {
        forbidden_in: |path| !path.starts_with("crates/store/") && !path.starts_with("xtask/"),
        find: sql,
        reason: "SQL lives in crates/store only",
    },
    Reach {
        forbidden_in: |path| {
            let is_config = path == "crates/server/src/config.rs" || path.starts_with("crates/server/src/config/");
            !is_config && !path.ends_with("/build.rs") && !path.starts_with("xtask/")
        },
        find: environment,
        reason: "the environment is read in crates/server/src/config only, so that every setting has one place",
    },
    Reach {
        forbidden_in: is_pure,
        find: |source| {
            runs(
                source,
                &[&["SystemTime", "::", "now"], &["Instant", "::", "now"], &["OffsetDateTime", "::", "now_utc"]],
            )
        },
        reason: "this room does not know the time: the caller passes it in",
    },
    Reach {
        forbidden_in: is_pure,
        find: |source| runs(source, &[&["TcpStream"], &["TcpListener"], &["UdpSocket"], &["UnixStream"]]),
        reason: "this room opens no connection: a call is data that the engine's door carries out",
    },
    Reach {
        forbidden_in: |path| ["core", "vendors", "store", "engine"].iter().any(|room| in_room(path, room)),
        find: |source| runs(source, &[&["println", "!"], &["print", "!"], &["eprintln", "!"], &["eprint", "!"]]),
        reason: "a library does not write to the terminal: use tracing",
    },
    Reach {
        forbidden_in: |path| path != "crates/server/src/simulate.rs" && !in_room(path, "simulator"),
        find: |source| runs(source, &[&["pixel_simulator"]]),
        reason: "the simulator judges the product, which must not lean on it: only `pixel simulate` runs it",
    },
    Reach {
        forbidden_in: |_| true,
        find: |source| runs(source, &[&["unsafe"]]),
        reason: "unsafe code is not needed here",
    },
];

fn in_room(path: &str, room: &str) -> bool {
    path.strip_prefix("crates/").and_then(|path| path.strip_prefix(room)).is_some_and(|rest| rest.starts_with('/'))
}

fn is_pure(path: &str) -> bool {
    in_room(path, "core") || in_room(path, "vendors")
}

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, source) in tree.code() {
        for reach in REACHES.iter().filter(|reach| (reach.forbidden_in)(&file.path)) {
            found.extend((reach.find)(source).into_iter().map(|line| Finding::new(&file.path, line, reach.reason)));
        }
    }
    found
}

fn runs(source: &Source, each: &[&[&str]]) -> Vec<usize> {
    each.iter().flat_map(|run| source.find(run).map(|token| token.line).collect::<Vec<_>>()).collect()
}

fn sql(source: &Source) -> Vec<usize> {
    let literals = source.tokens.iter().filter(|token| token.kind == Kind::Literal);
    literals.filter(|token| is_sql(&token.text)).map(|token| token.line).collect()
}

/// Statements as they are written in SQL's usual capitals, or whole in any letters.
fn is_sql(literal: &str) -> bool {
    let text = literal.split_whitespace().collect::<Vec<_>>().join(" ");
    let capitals = ["INSERT INTO ", "DELETE FROM ", "CREATE TABLE ", "ALTER TABLE ", "DROP TABLE ", "BEGIN IMMEDIATE"];
    let small = text.to_ascii_lowercase();
    let begins = |word: &str| small.trim_start_matches(['r', 'b', '#', '"']).starts_with(word);
    capitals.iter().any(|words| text.contains(words))
        || (text.contains("SELECT ") && !text.contains("<SELECT "))
        || (text.contains("UPDATE ") && text.contains(" SET "))
        || begins("insert into ")
        || begins("delete from ")
        || (begins("update ") && small.contains(" set ") && small.contains(" where "))
        || (begins("select ") && small.contains(" from ") && small.contains(" where "))
}

const VARIABLES: &[&str] = &["var", "var_os", "vars", "vars_os", "set_var", "remove_var"];

fn environment(source: &Source) -> Vec<usize> {
    let mut lines = runs(source, &[&["dotenvy", "::"]]);
    for window in source.tokens.windows(3).enumerate().filter(|(_, w)| w[0].text == "env" && w[1].text == "::") {
        let (at, [_, _, next]) = window else { continue };
        // `env::var`, or `env::{…, var, …}`.
        let names = source.tokens[at + 2..].iter().take_while(|token| token.text != "}" && token.text != ";");
        let several = next.text == "{" && names.into_iter().any(|token| VARIABLES.contains(&token.text.as_str()));
        if VARIABLES.contains(&next.text.as_str()) || several {
            lines.push(next.line);
        }
    }
    lines
}

/// Files outside the rooms that know vendors.
fn must_not_know_vendors(path: &str) -> bool {
    let is_code = [".rs", ".sh", ".html", ".js"].iter().any(|end| path.ends_with(end)) || path == "config.default.toml";
    let is_their_room = in_room(path, "vendors") || in_room(path, "simulator") || path.starts_with("xtask/");
    is_code && !is_their_room && !path.contains("/fixtures/")
}

/// The service that bears a vendor's name by its contract, and where it may: its routes and settings.
const SERVICE: &str = "pixverse";
const OF_SERVICE: &[&str] = &[
    "crates/server/src/api/pixverse/",
    "crates/server/src/api/mod.rs",
    "crates/server/src/config/apps.rs",
    "config.default.toml",
];

fn is_of_service(path: &str, vendor: &str) -> bool {
    vendor == SERVICE && OF_SERVICE.iter().any(|own| path.starts_with(own))
}

/// One rule for names, quotes and comments alike: whoever mentions a vendor depends on it.
pub fn vendor_names(tree: &Tree) -> Vec<Finding> {
    let vendors: Vec<_> = tree.vendors().into_iter().filter(|id| id != "sandbox").collect();
    let files = tree.files.iter().filter(|file| !file.is_test() && must_not_know_vendors(&file.path));
    let mut found = Vec::new();
    for file in files {
        let is_test = |line| file.rust().is_some_and(|source| source.is_test_line(line));
        for (line, text) in file.lines().filter(|(line, _)| !is_test(*line)) {
            if let Some(vendor) =
                vendors.iter().find(|vendor| mentions(text, vendor) && !is_of_service(&file.path, vendor))
            {
                let reason = format!("names the vendor {vendor}: only vendors, the catalogue, fixtures and tests may");
                found.push(Finding::new(&file.path, line, reason));
            }
        }
    }
    found
}

/// Whether a word, or the first part of a camel-case name, is the vendor's id. A word in capitals
/// has no parts.
fn mentions(text: &str, vendor: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        let Some((head, rest)) = word.split_at_checked(vendor.len()) else { return false };
        let is_camel = || word.chars().any(|c| c.is_ascii_lowercase());
        let ends_here = rest.chars().next().is_none_or(|c| c.is_ascii_uppercase() && is_camel());
        head.eq_ignore_ascii_case(vendor) && ends_here
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn sql_stays_in_the_store() {
        let code = "fn a() {\n q(\"SELECT id FROM task\");\n q(\"update task\\n set a = 1 where b\");\n q(r\"insert into t values (1)\"); }";
        let code = code.replace("\\n", "");
        assert_eq!(lines("crates/engine/src/a.rs", &code), [2, 3, 4]);
        assert_eq!(lines("crates/store/src/a.rs", &code), []);
        assert_eq!(lines("crates/engine/tests/a.rs", &code), []);
        let words = "fn a() { say(\"Select a model from the list\"); say(\"Update the setting\"); say(\"SELECTED\") }";
        assert_eq!(lines("crates/engine/src/a.rs", words), []);
    }

    #[test]
    fn the_environment_is_read_in_one_place() {
        let code = "use std::env::{self,\n var};\nfn a() { std::env::var(\"A\");\n env::vars_os(); }";
        assert_eq!(lines("crates/server/src/main.rs", code), [1, 3, 4]);
        for path in ["crates/server/src/config.rs", "crates/server/src/config/env.rs", "crates/server/build.rs"] {
            assert_eq!(lines(path, code), [], "{path}");
        }
        assert_eq!(lines("crates/server/src/main.rs", "fn a() { std::env::args(); env!(\"X\"); }"), []);
    }

    #[test]
    fn pure_rooms_have_no_clock_and_no_socket() {
        let code = "fn a() { Instant::now();\n TcpStream::connect(x); }";
        assert_eq!(lines("crates/vendors/src/a.rs", code), [1, 2]);
        assert_eq!(lines("crates/core/src/a.rs", code), [1, 2]);
        assert_eq!(lines("crates/engine/src/a.rs", code), []);
    }

    #[test]
    fn libraries_do_not_print_and_nothing_is_unsafe() {
        let code = "fn a() { println!(\"x\");\n unsafe { b() } }";
        assert_eq!(lines("crates/store/src/a.rs", code), [1, 2]);
        assert_eq!(lines("crates/server/src/main.rs", code), [2]);
    }

    #[test]
    fn only_the_subcommand_knows_the_simulator() {
        let code = "use pixel_simulator::Simulator;";
        assert_eq!(lines("crates/server/src/run.rs", code), [1]);
        for path in ["crates/server/src/simulate.rs", "crates/testkit/src/stub.rs", "crates/server/tests/a.rs"] {
            assert_eq!(lines(path, code), [], "{path}");
        }
    }

    fn vendor_lines(path: &str, text: &str) -> Vec<usize> {
        let files = [
            ("catalog/acme.toml", "[vendor]\nid = \"acme\""),
            ("catalog/s.toml", "[vendor]\nid = \"sandbox\""),
            (path, text),
        ];
        vendor_names(&Tree::of(&files)).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn the_service_bears_its_vendors_name_in_its_own_places_only() {
        let lines = |path: &str, text: &str| {
            let files = [("catalog/pixverse.toml", "[vendor]"), ("catalog/acme.toml", "[vendor]"), (path, text)];
            vendor_names(&Tree::of(&files)).len()
        };
        assert_eq!(lines("crates/server/src/api/pixverse/ways.rs", "// pixverse"), 0);
        assert_eq!(lines("crates/server/src/api/pixverse/ways.rs", "// acme"), 1);
        assert_eq!(lines("crates/server/src/api/tasks.rs", "// pixverse"), 1);
    }

    #[test]
    fn vendors_are_named_in_their_rooms_only() {
        let code = "// Acme does it so\nlet a = \"acme/model\";\nlet b = ACME_KEY;\nstruct AcmeClient;\nlet sandbox = acmeology + ACMES_MAX;\n#[cfg(test)]\nmod tests { use acme; }";
        assert_eq!(vendor_lines("crates/engine/src/a.rs", code), [1, 2, 3, 4]);
        for path in
            ["crates/vendors/src/acme.rs", "crates/engine/tests/a.rs", "docs/acme.md", "crates/testkit/src/a.rs"]
        {
            assert_eq!(vendor_lines(path, code), [], "{path}");
        }
    }
}
