//! The settings in effect, for people and for programs. Secrets are stars before they get here.

use super::{
    layers::{Layers, Source},
    settings::Settings,
    table::DATABASE_URL,
};
use pixel_core::vendor::Secret;
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use url::Url;

/// One line: a setting, its value, where it came from and the variable that sets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub setting: String,
    pub value: Json,
    pub source: String,
    pub env: Option<String>,
}

/// A variable that is no setting: a key, or what belongs to one.
#[derive(Clone, Debug)]
pub struct Named {
    pub name: String,
    /// Where it is set, if it is.
    pub source: Option<Source>,
    /// What may be shown of it; a key shows nothing.
    pub value: Option<String>,
}

const STARS: &str = "***";

/// Every setting in the order of the table, then the keys of the vendors.
pub fn rows(layers: &Layers, settings: &Settings, keys: &[Named]) -> Vec<Row> {
    let mut rows: Vec<Row> = layers
        .entries
        .iter()
        .map(|entry| Row {
            setting: entry.setting.key.clone(),
            value: json!(entry.value),
            source: entry.source.to_string(),
            env: entry.setting.env.clone(),
        })
        .collect();
    let mut derive = |key: &str, value: Json, why: Option<&str>| {
        if let Some(row) = rows.iter_mut().find(|row| row.setting == key) {
            row.value = value;
            row.source = why.map_or_else(|| row.source.clone(), ToOwned::to_owned);
        }
    };
    match &settings.database.url {
        Some(url) => derive(DATABASE_URL, Json::String(database_url(url)), None),
        None => derive(DATABASE_URL, Json::Null, Some("default, SQLite in the data folder")),
    }
    if layers.find("blobs").is_some_and(|entry| entry.value.as_str() == Some("")) {
        derive("blobs", json!(settings.data), Some("default, the data folder"));
    }
    if settings.catalog.is_none() {
        derive("catalog", json!(settings.data.join(super::folder::NAME)), Some("default, if it is there"));
    }
    if settings.public_url.is_none() {
        derive("public_url", Json::Null, Some("default, from each request"));
    }
    if let Some(why) = settings.sandbox_reason.as_deref().filter(|why| !why.starts_with("asked")) {
        derive("sandbox", Json::Bool(true), Some(why));
    }
    rows.extend(keys.iter().map(|Named { name, source, value }| Row {
        setting: name.clone(),
        value: source.as_ref().map_or(Json::Null, |_| json!(value.as_deref().unwrap_or(STARS))),
        source: source.as_ref().map_or_else(|| "not set".to_owned(), ToString::to_string),
        env: Some(name.clone()),
    }));
    rows
}

/// The address without its password. Of the parameters only harmless ones are shown.
pub fn database_url(secret: &Secret) -> String {
    let Ok(mut url) = Url::parse(secret.reveal()) else { return STARS.to_owned() };
    let masked = url.password().is_none() || url.set_password(Some(STARS)).is_ok();
    if !masked {
        return STARS.to_owned();
    }
    let shown = |name: &str| matches!(name, "sslmode" | "application_name");
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if !pairs.is_empty() {
        let pairs = pairs.iter().map(|(name, value)| (name, if shown(name) { value } else { STARS }));
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    url.to_string()
}

/// The table of `pixel config`.
pub fn table(rows: &[Row]) -> String {
    let texts: Vec<[String; 3]> =
        rows.iter().map(|row| [row.setting.clone(), plain(&row.value), row.source.clone()]).collect();
    let head = ["SETTING", "VALUE", "SOURCE"].map(ToOwned::to_owned);
    let width = |at: usize| {
        let cells = std::iter::once(&head).chain(&texts).map(|row| row[at].chars().count());
        cells.max().unwrap_or_default().min(60)
    };
    let (first, second) = (width(0), width(1));
    let mut out = String::new();
    for [setting, value, source] in std::iter::once(&head).chain(&texts) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{setting:first$}  {value:second$}  {source}");
    }
    out
}

/// The document of `pixel config --json`.
pub fn document(rows: &[Row], warnings: &[String]) -> Json {
    let row = |row: &Row| json!({ "setting": row.setting, "value": row.value, "source": row.source, "env": row.env });
    json!({ "settings": rows.iter().map(row).collect::<Vec<_>>(), "warnings": warnings })
}

fn plain(value: &Json) -> String {
    match value {
        Json::Null => "-".to_owned(),
        Json::String(text) => text.clone(),
        Json::Array(items) if items.is_empty() => "-".to_owned(),
        Json::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        Json::Object(map) if map.is_empty() => "-".to_owned(),
        Json::Object(map) => {
            map.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}
