//! How the clips of mobile apps are made: the section `[pixverse]`, and what single apps have of their own.

use super::{
    layers::Layers,
    problem::{Problem, Wrong, wrong},
    read::Reader,
};
use pixel_core::{
    catalog::{Catalog, Model},
    id::ModelId,
    request::Kind,
};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// The vendor that makes them.
pub const VENDOR: &str = "pixverse";
/// What stands before a model's key in the catalogue when the consumer account makes it.
pub const ACCOUNT: &str = "account-";

/// Key in the file, variable in the environment.
pub const SETTINGS: &[(&str, &str)] = &[
    ("pixverse.model", "PIXEL_PIXVERSE_MODEL"),
    ("pixverse.duration", "PIXEL_PIXVERSE_DURATION"),
    ("pixverse.quality", "PIXEL_PIXVERSE_QUALITY"),
    ("pixverse.aspect_ratio", "PIXEL_PIXVERSE_ASPECT_RATIO"),
    ("pixverse.way", "PIXEL_PIXVERSE_WAY"),
    ("pixverse.generations_per_min", "PIXEL_PIXVERSE_GENERATIONS_PER_MIN"),
    ("pixverse.apps", "PIXEL_PIXVERSE_APPS"),
];

/// The rules for every app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apps {
    pub usual: AppRules,
    /// By bundle id; what an app's own section leaves out is as usual.
    pub own: BTreeMap<String, AppRules>,
}

/// What a request gets that does not say, and how many of them there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRules {
    pub model: String,
    pub duration_s: u32,
    pub quality: String,
    pub aspect_ratio: String,
    pub way: Way,
    /// For each user; 0 is no limit.
    pub per_min: u32,
}

/// Who pays: the platform's key or the consumer account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The key where there is one, else the account.
    Auto,
    Key,
    Account,
}

impl Apps {
    pub fn of(&self, app: &str) -> &AppRules {
        self.own.get(app).unwrap_or(&self.usual)
    }
}

pub fn read(layers: &mut Layers, catalog: &Catalog) -> Result<Apps, Problem> {
    let mut read = Reader { layers };
    let usual = AppRules {
        model: read.text("pixverse.model", |text| known_model(catalog, text))?,
        duration_s: read.whole("pixverse.duration", 1..=60)?,
        quality: read.text("pixverse.quality", |text| Ok(text.to_owned()))?,
        aspect_ratio: read.text("pixverse.aspect_ratio", |text| Ok(text.to_owned()))?,
        way: read.text("pixverse.way", way)?,
        per_min: read.whole("pixverse.generations_per_min", 0..=1_000_000)?,
    };
    let own = read.value("pixverse.apps", |value| {
        let apps = value.as_table().into_iter().flatten();
        apps.map(|(id, given)| match own(catalog, &usual, given) {
            Ok(rules) => Ok((id.clone(), rules)),
            Err(Wrong { what, remedy }) => wrong(format!("app '{id}': {what}"), remedy),
        })
        .collect()
    })?;
    if let Some((field, must)) = unfit_rules(catalog, &usual) {
        let key = format!("pixverse.{field}");
        let source = layers.find(&key).map(|entry| entry.source.to_string()).unwrap_or_default();
        layers.problems.push(Problem::new(key, source, "the model does not make it", capital(&must)));
    }
    Ok(Apps { usual, own })
}

/// The rules of one app: a group of names with values, or in a variable the same as one text,
/// `model:v6 quality:720p`.
fn own(catalog: &Catalog, usual: &AppRules, given: &Value) -> Result<AppRules, Wrong> {
    let mut rules = usual.clone();
    let table = match given {
        Value::Table(table) => table.clone(),
        other => pairs(other.as_str().unwrap_or_default())?,
    };
    for (name, value) in &table {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match name.as_str() {
            "model" => rules.model = known_model(catalog, &text)?,
            "duration" => rules.duration_s = whole(name, &text)?,
            "quality" => rules.quality = text,
            "aspect_ratio" => rules.aspect_ratio = text,
            "way" => rules.way = way(&text)?,
            "generations_per_min" => rules.per_min = whole(name, &text)?,
            _ => return wrong(format!("there is no '{name}'"), format!("Use one of {}", names())),
        }
    }
    match unfit_rules(catalog, &rules) {
        Some((field, must)) => wrong(format!("the model does not make its {field}"), capital(&must)),
        None => Ok(rules),
    }
}

fn pairs(text: &str) -> Result<Table, Wrong> {
    let pair = |word: &str| match word.split_once(':') {
        Some((name, value)) => Ok((name.to_owned(), Value::from(value))),
        None => wrong(format!("'{word}' is no name:value"), "Write it like com.example.app=model:v6 quality:720p"),
    };
    text.split_whitespace().map(pair).collect()
}

fn names() -> String {
    let last = |(key, _): &(&'static str, &str)| key.trim_start_matches("pixverse.");
    SETTINGS.iter().map(last).filter(|name| *name != "apps").collect::<Vec<_>>().join(", ")
}

fn whole(name: &str, text: &str) -> Result<u32, Wrong> {
    text.parse().or_else(|_| wrong(format!("'{name}' is not a whole number"), "Use digits only, such as 5"))
}

fn way(text: &str) -> Result<Way, Wrong> {
    match text {
        "auto" => Ok(Way::Auto),
        "key" => Ok(Way::Key),
        "account" => Ok(Way::Account),
        _ => wrong(format!("'{text}' is no way"), "Use auto, key or account"),
    }
}

/// A catalogue without the vendor makes nothing, and refuses nothing here.
fn known_model(catalog: &Catalog, text: &str) -> Result<String, Wrong> {
    let models = models(catalog);
    match models.is_empty() || models.contains(&text) {
        true => Ok(text.to_owned()),
        false => wrong(format!("'{text}' is no model of it"), format!("Use one of {}", models.join(", "))),
    }
}

/// The models that requests may name, in the order of the catalogue.
pub fn models(catalog: &Catalog) -> Vec<&str> {
    let mut all: Vec<&str> = Vec::new();
    for card in catalog.models.iter().filter(|card| card.provider == VENDOR && card.kind == Kind::Video) {
        let key = card.key.strip_prefix(ACCOUNT).unwrap_or(&card.key);
        if !all.contains(&key) {
            all.push(key);
        }
    }
    all
}

/// The two cards of a model: by the key and by the account.
pub fn cards<'a>(catalog: &'a Catalog, model: &str) -> [Option<&'a Model>; 2] {
    [String::new(), ACCOUNT.to_owned()].map(|prefix| {
        let id = ModelId::parse(&format!("{VENDOR}/{prefix}{model}"))?;
        catalog.model(&id).filter(|card| card.kind == Kind::Video)
    })
}

/// Where either way may make a clip, both must make it.
fn unfit_rules(catalog: &Catalog, rules: &AppRules) -> Option<(&'static str, String)> {
    let [key, account] = cards(catalog, &rules.model);
    let judged = match rules.way {
        Way::Auto => [key, account],
        Way::Key => [key.or(account), None],
        Way::Account => [account.or(key), None],
    };
    judged.into_iter().flatten().find_map(|card| {
        let (field, must) = unfit(card, rules.duration_s, &rules.quality, &rules.aspect_ratio)?;
        let is_second = judged.iter().flatten().count() == 2 && card.key.starts_with(ACCOUNT);
        let why = if is_second { " for the account, or set the way to 'key'" } else { "" };
        Some((field, must + why))
    })
}

/// The field that a model cannot honour, and what it must be.
pub fn unfit(card: &Model, duration_s: u32, quality: &str, ratio: &str) -> Option<(&'static str, String)> {
    let list = |all: Vec<String>| all.join(", ");
    let Some(ratios) = card.resolutions.get(quality).and_then(Value::as_table) else {
        return Some(("quality", format!("must be one of {}", list(card.resolutions.keys().cloned().collect()))));
    };
    if !ratios.contains_key(ratio) {
        return Some(("aspect_ratio", format!("must be one of {}", list(ratios.keys().cloned().collect()))));
    }
    let offered = card.durations_at(card.listed_size(quality, ratio));
    let is_offered = duration_s.checked_mul(1000).is_some_and(|ms| offered.contains(&ms));
    (!is_offered).then(|| {
        let seconds = offered.iter().map(|ms| (ms / 1000).to_string()).collect();
        ("duration", format!("must be one of {} at {quality}", list(seconds)))
    })
}

fn capital(must: &str) -> String {
    must.replacen("must be", "Use", 1)
}
