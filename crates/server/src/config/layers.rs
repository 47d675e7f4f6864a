//! Lays the sources over each other: defaults, file, `.env`, environment, flags. Each value keeps
//! where it came from. Only the types are judged here; the meaning is judged in `read`.

use super::{
    problem::{Problem, Wrong},
    table::{Origin, Setting},
    value,
};
use std::{collections::BTreeMap, fmt, path::PathBuf};
use toml::{Table, Value};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Default,
    Catalog,
    File(PathBuf),
    DotEnv(String),
    Environment(String),
    Flag(&'static str),
    /// Worked out from something else: the reason.
    Derived(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Catalog => f.write_str("catalogue"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::DotEnv(name) => write!(f, ".env {name}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Derived(why) => f.write_str(why),
        }
    }
}

/// A variable's text, from the environment or from `.env`.
pub type Variables = BTreeMap<String, (String, Source)>;

/// A setting with the value in effect.
#[derive(Clone, Debug)]
pub struct Entry {
    pub setting: Setting,
    pub value: Value,
    pub source: Source,
}

/// Every setting with its value, in the order of the table.
#[derive(Clone, Debug)]
pub struct Layers {
    pub entries: Vec<Entry>,
    pub problems: Vec<Problem>,
}

impl Layers {
    pub fn new(settings: Vec<Setting>) -> Self {
        let entry = |setting: Setting| Entry {
            value: setting.default.clone(),
            source: match setting.origin {
                Origin::DefaultFile => Source::Default,
                Origin::Catalog => Source::Catalog,
            },
            setting,
        };
        Self { entries: settings.into_iter().map(entry).collect(), problems: Vec::new() }
    }

    pub fn find(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.setting.key == key)
    }

    pub fn find_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.setting.key == key)
    }

    /// Lays a file over what is there. Every key must be known.
    pub fn add_file(&mut self, path: &std::path::Path, table: &Table) {
        self.add_table(&Source::File(path.to_owned()), "", table);
    }

    fn add_table(&mut self, source: &Source, prefix: &str, table: &Table) {
        for (name, given) in table {
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            let group = format!("{key}.");
            if let Some(entry) = self.find_mut(&key) {
                match value::like(given, &entry.setting.default) {
                    Ok(()) => (entry.value, entry.source) = (given.clone(), source.clone()),
                    Err(wrong) => self.complain(&key, source, wrong),
                }
            } else if let (Value::Table(inner), true) =
                (given, self.entries.iter().any(|entry| entry.setting.key.starts_with(&group)))
            {
                self.add_table(source, &key, inner);
            } else {
                let remedy = self.remedy_for_unknown(&key);
                self.problems.push(Problem::new(key, source, "there is no such setting", remedy));
            }
        }
    }

    fn remedy_for_unknown(&self, key: &str) -> String {
        let known = self.entries.iter().map(|entry| entry.setting.key.as_str());
        match nearest(key, known) {
            Some(near) => format!("Did you mean `{near}`"),
            None if key.starts_with("vendors.") => {
                "A vendor of the catalogue takes base_url, concurrency and rate_per_min; keys are read from the \
                 environment or .env only"
                    .to_owned()
            }
            None => "Remove it; `pixel config` lists every setting".to_owned(),
        }
    }

    /// Lays the variables over what is there. Blank ones count as not set.
    pub fn add_variables(&mut self, variables: &Variables) {
        for at in 0..self.entries.len() {
            let found = self.entries[at].setting.env.as_ref().and_then(|name| variables.get(name));
            if let Some((text, source)) = found.filter(|(text, _)| !text.trim().is_empty()) {
                self.set_text(at, text, source.clone());
            }
        }
    }

    pub fn add_flag(&mut self, key: &str, flag: &'static str, text: &str) {
        if let Some(at) = self.entries.iter().position(|entry| entry.setting.key == key) {
            self.set_text(at, text, Source::Flag(flag));
        }
    }

    fn set_text(&mut self, at: usize, text: &str, source: Source) {
        let entry = &mut self.entries[at];
        match value::from_text(text, &entry.setting.default) {
            Ok(value) => (entry.value, entry.source) = (value, source),
            Err(wrong) => {
                let key = entry.setting.key.clone();
                self.complain(&key, &source, wrong);
            }
        }
    }

    fn complain(&mut self, key: &str, source: &Source, wrong: Wrong) {
        self.problems.push(Problem::new(key, source, wrong.what, wrong.remedy));
    }
}

/// The known name that a mistyped one probably stands for.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|other| (strsim::osa_distance(name, other), other)).min_by_key(|(distance, _)| *distance);
    near.filter(|(distance, _)| (1..=2).contains(distance)).map(|(_, other)| other)
}
