//! Packs the scripts of the API pages, which come from the npm registry and are not in the tree,
//! so that the binary serves `/docs` and `/redoc` without a network.

use flate2::{Compression, Crc, write::GzEncoder};
use std::{fmt::Write as _, fs, io::Write as _, path::Path, process::ExitCode};

/// Served name, and where it comes from.
const ASSETS: &[(&str, &str)] = &[
    ("docs.js", "web/docs.js"),
    ("redoc.js", "web/redoc.js"),
    ("redoc.css", "web/redoc.css"),
    ("swagger-ui.css", "web/node_modules/swagger-ui-dist/swagger-ui.css"),
    ("swagger-ui-bundle.js", "web/node_modules/swagger-ui-dist/swagger-ui-bundle.js"),
    ("favicon-32x32.png", "web/node_modules/swagger-ui-dist/favicon-32x32.png"),
    ("redoc.standalone.js", "web/node_modules/redoc/bundles/redoc.standalone.js"),
];

/// What the licences of those scripts ask to be passed on with them, as one text.
const NOTICES: &[&str] = &[
    "web/node_modules/swagger-ui-dist/NOTICE",
    "web/node_modules/swagger-ui-dist/LICENSE",
    "web/node_modules/swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt",
    "web/node_modules/redoc/LICENSE",
    "web/node_modules/redoc/bundles/redoc.standalone.js.LICENSE.txt",
];

fn main() -> ExitCode {
    match pack() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("cargo::error={reason}");
            ExitCode::FAILURE
        }
    }
}

fn pack() -> Result<(), String> {
    #[expect(clippy::disallowed_methods, reason = "cargo tells a build script its folder this way only")]
    let out = std::env::var("OUT_DIR").map_err(|error| error.to_string())?;
    let out = Path::new(&out);
    let mut list = String::from("&[\n");
    let mut add = |name: &str, bytes: &[u8]| -> Result<(), String> {
        fs::write(out.join(name), gzip(bytes)?).map_err(|error| format!("cannot write {name}: {error}"))?;
        let mut sum = Crc::new();
        sum.update(bytes);
        writeln!(
            list,
            "    Asset {{ name: {name:?}, tag: \"W/\\\"{:08x}-{:x}\\\"\", gzip: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\")) }},",
            sum.sum(),
            bytes.len(),
        )
        .map_err(|error| error.to_string())
    };
    for (name, path) in ASSETS {
        add(name, &without_foreign_pictures(name, read(path)?)?)?;
    }
    let notices: Vec<_> = NOTICES.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    add("licenses.txt", &notices.join(&b"\n\n"[..]))?;
    list.push(']');
    fs::write(out.join("assets.rs"), list).map_err(|error| format!("cannot write the list of assets: {error}"))
}

/// ReDoc's badge loads its picture from a foreign host and has no option against it. An empty one
/// takes its place, so that the page asks nobody but this server.
fn without_foreign_pictures(name: &str, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    const BADGE: &str = "https://cdn.redoc.ly/redoc/logo-mini.svg";
    if name != "redoc.standalone.js" {
        return Ok(bytes);
    }
    let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    match text.contains(BADGE) {
        true => Ok(text.replace(BADGE, "data:,").into_bytes()),
        false => Err(format!("{name} no longer has {BADGE}: see what it loads now, and mend build.rs.")),
    }
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    println!("cargo::rerun-if-changed={path}");
    fs::read(path).map_err(|_| {
        format!("crates/server/{path} is missing: run `make assets` once, it fetches the scripts of the API pages.")
    })
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes).and_then(|()| packer.finish()).map_err(|error| error.to_string())
}
