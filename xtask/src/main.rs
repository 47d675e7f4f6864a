//! The project's own chores: `cargo xtask tidy`, `cargo xtask new-vendor <id>`.

mod new_vendor;
mod tidy;

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next().as_deref(), arguments.next()) {
        (Some("tidy"), None, None) => tidy::run(&root()),
        (Some("new-vendor"), Some(id), None) => new_vendor::run(&root(), id),
        _ => {
            eprintln!("usage: cargo xtask tidy | cargo xtask new-vendor <id>");
            ExitCode::FAILURE
        }
    }
}

/// The tree that this package was built in.
fn root() -> std::path::PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}
