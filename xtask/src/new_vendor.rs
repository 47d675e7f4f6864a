//! `cargo xtask new-vendor <id>`: the files of a vendor and its line in each list. What it writes
//! compiles; the trials that all vendors share fail until the vendor's documents are in it.

use std::{fs, io, path::Path, process::ExitCode};

/// A file of the skeleton, and its text. `acme` and `Acme` stand for the vendor.
const FILES: &[(&str, &str)] = &[
    ("catalog/acme.toml", include_str!("new_vendor/catalog.toml")),
    ("crates/vendors/src/acme.rs", include_str!("new_vendor/adapter.rs.txt")),
    ("crates/vendors/fixtures/acme/happy.json", include_str!("new_vendor/happy.json")),
    ("crates/vendors/fixtures/acme/errors.json", include_str!("new_vendor/errors.json")),
    ("crates/simulator/src/vendors/acme.rs", include_str!("new_vendor/simulator.rs.txt")),
];

/// A list, the text in it before which the vendor's line goes, and that line.
const LISTS: &[(&str, &str, &str)] = &[
    ("crates/vendors/src/lib.rs", "pub mod sandbox;\n", "mod acme;\n"),
    (
        "crates/vendors/src/lib.rs",
        "    (\"sandbox.toml\",",
        "    (\"acme.toml\", include_str!(\"../../../catalog/acme.toml\")),\n",
    ),
    ("crates/vendors/src/lib.rs", "        Arc::new(sandbox::Sandbox),", "        Arc::new(acme::Acme),\n"),
    ("crates/simulator/src/vendors/mod.rs", "pub(crate) mod lab;\n", "pub(crate) mod acme;\n"),
    ("crates/simulator/src/vendors/mod.rs", "    &lab::Lab,\n", "    &acme::Acme,\n"),
];

pub fn run(root: &Path, id: &str) -> ExitCode {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if id.is_empty() || !id.starts_with(|c: char| c.is_ascii_lowercase()) || !id.chars().all(plain) {
        eprintln!("A vendor's id is small letters and digits, such as acme; got: '{id}'.");
        return ExitCode::FAILURE;
    }
    match write(root, id) {
        Ok(()) => {
            println!("The trials fail until {id} is filled in: cargo nextest run -p pixel-vendors -p pixel-simulator");
            println!("CONTRIBUTING.md, 'A vendor', says in which order.");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn write(root: &Path, id: &str) -> Result<(), String> {
    let text = |template: &str| named(template, id);
    let at = |path: &str| root.join(text(path));
    if let Some((path, _)) = FILES.iter().find(|(path, _)| at(path).exists()) {
        return Err(format!("{} is there already.", text(path)));
    }
    // Every list first: nothing is written where one of them has changed its form.
    let mut lists: Vec<(&str, String)> = Vec::new();
    for (path, before, line) in LISTS {
        let known = lists.iter().position(|(known, _)| known == path);
        let old = match known {
            Some(at) => lists.swap_remove(at).1,
            None => fs::read_to_string(root.join(path)).map_err(|why| format!("{path}: {why}"))?,
        };
        if !old.contains(before) {
            return Err(format!("{path} has no '{}', before which the vendor's line goes.", before.trim()));
        }
        lists.push((path, old.replacen(before, &format!("{}{before}", text(line)), 1)));
    }
    let save = |path: &Path, text: &str| -> io::Result<()> {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)
    };
    for (path, template) in FILES {
        save(&at(path), &text(template)).map_err(|why| format!("{}: {why}", text(path)))?;
        println!("new     {}", text(path));
    }
    for (path, text) in lists {
        save(&root.join(path), &text).map_err(|why| format!("{path}: {why}"))?;
        println!("edited  {path}");
    }
    Ok(())
}

/// The template with the vendor's names in it.
fn named(template: &str, id: &str) -> String {
    let mut letters = id.chars();
    let title: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    template.replace("acme", id).replace("Acme", &title).replace("ACME", &id.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_take_a_line_each_and_a_vendor_is_made_once() {
        let root = tempfile::tempdir().expect("a folder");
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tree");
        for (path, _, _) in LISTS {
            fs::create_dir_all(root.path().join(path).parent().expect("a folder")).expect("it is made");
            fs::copy(tree.join(path), root.path().join(path)).expect("it is copied");
        }
        write(root.path(), "zeta").expect("it is written");
        for (path, before, line) in LISTS {
            let text = fs::read_to_string(root.path().join(path)).expect("it is there");
            assert!(text.contains(&format!("{}{before}", named(line, "zeta"))), "{path}: {text}");
        }
        for (path, _) in FILES {
            let text = fs::read_to_string(root.path().join(named(path, "zeta"))).expect("it is there");
            assert!(!text.to_lowercase().contains("acme"), "{path}: {text}");
        }
        assert!(write(root.path(), "zeta").is_err(), "it is there already");
    }
}
