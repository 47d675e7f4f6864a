//! Reads `.env` and the settings file. What is broken in them is named by its line and never shown,
//! because the line may hold a key.

use super::{
    layers::{Source, Variables},
    problem::Problem,
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};
use toml::Table;

/// How files are read; trials hand in their own.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// The environment over `.env`. A blank variable hides the one of `.env`: it switches that off.
pub fn variables(environment: &BTreeMap<String, String>, read_file: ReadFile<'_>) -> Result<Variables, Problem> {
    let mut all = Variables::new();
    let text = match read_file(Path::new(".env")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(unreadable(".env", "the working folder", &e)),
        Ok(text) => text,
    };
    for item in dotenvy::from_read_iter(text.trim_start_matches('\u{feff}').as_bytes()) {
        let (name, value) = item.map_err(|e| broken_dotenv(&text, &e))?;
        all.insert(name.clone(), (value, Source::DotEnv(name)));
    }
    let set = environment.iter();
    all.extend(set.map(|(name, value)| (name.clone(), (value.clone(), Source::Environment(name.clone())))));
    Ok(all)
}

/// Names the line and never shows it: it may hold a key.
fn broken_dotenv(text: &str, error: &dotenvy::Error) -> Problem {
    let line = match error {
        dotenvy::Error::LineParse(line, _) => text.find(line.as_str()).map(|at| line_at(text, at)),
        _ => None,
    };
    let place = line.map_or_else(|| "a line".to_owned(), |line| format!("line {line}"));
    let what = format!("{place} is not of the form NAME=value");
    Problem::new(
        ".env",
        "the working folder",
        what,
        "Put values with blanks or # in single quotes, and close each quote",
    )
}

/// The settings file: the one that was named, which must be there, or `pixel.toml` if it is.
pub fn settings(
    flag: Option<&Path>,
    variables: &Variables,
    read_file: ReadFile<'_>,
) -> Result<Option<(PathBuf, Table)>, Problem> {
    let variable = variables.get("PIXEL_CONFIG").filter(|(text, _)| !text.trim().is_empty());
    let (path, source) = match (flag, variable) {
        (Some(path), _) => (path.to_owned(), Some(Source::Flag("--config"))),
        (None, Some((text, source))) => (PathBuf::from(text.trim()), Some(source.clone())),
        (None, None) => (PathBuf::from("pixel.toml"), None),
    };
    let name = path.display().to_string();
    match (read_file(&path), source) {
        (Ok(text), _) => match toml::from_str(&text) {
            Ok(table) => Ok(Some((path, table))),
            Err(e) => Err(broken_toml(&name, &text, &e)),
        },
        (Err(e), None) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        (Err(e), source) => Err(unreadable(&name, source.map_or_else(String::new, |s| s.to_string()), &e)),
    }
}

/// Names the place and never shows the line, which the error's own text would do.
fn broken_toml(name: &str, text: &str, error: &toml::de::Error) -> Problem {
    let line = error.span().map_or(1, |span| line_at(text, span.start));
    let what = format!("line {line} is not TOML: {}", error.message());
    Problem::new(name, "the settings file", what, "Compare it with config.default.toml")
}

fn unreadable(name: &str, source: impl Into<String>, error: &io::Error) -> Problem {
    let source = source.into();
    let source = if source.is_empty() { "the working folder".to_owned() } else { source };
    let remedy = "Check that the file is there, is text, and may be read by this user";
    Problem::new(name, source, format!("the file can't be read: {error}"), remedy)
}

fn line_at(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}
