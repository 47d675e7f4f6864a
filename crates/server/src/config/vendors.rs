//! Settings of each vendor. Which variables hold its keys and its address is catalogue data.

use super::{
    layers::{Layers, Source, Variables},
    parse,
    problem::{Problem, wrong},
    read::Reader,
    settings::VendorSettings,
    table::vendor_key,
};
use pixel_core::{
    catalog::{Catalog, VendorCard},
    vendor::{Credential, Secret},
};
use std::collections::BTreeMap;

pub type Vendors = BTreeMap<String, VendorSettings>;

pub fn read(layers: &mut Layers, variables: &Variables, catalog: &Catalog) -> Result<Vendors, Problem> {
    let each = catalog.vendors.iter().map(|card| Ok((card.id.clone(), vendor(layers, variables, card)?)));
    each.collect()
}

fn vendor(layers: &mut Layers, variables: &Variables, card: &VendorCard) -> Result<VendorSettings, Problem> {
    let mut values = Vec::with_capacity(card.key_env.len());
    let mut missing = Vec::new();
    for name in &card.key_env {
        match key(variables, name).transpose() {
            Ok(Some(value)) => values.push(value),
            Ok(None) => missing.push(name.clone()),
            Err(problem) => layers.problems.push(problem),
        }
    }
    let mut read = Reader { layers };
    let limit = 0..=i64::from(u32::MAX);
    let mut base_url = String::new();
    if card.is_remote() {
        base_url = read.text(&vendor_key(&card.id, "base_url"), |text| match text {
            "" if card.base_url.is_empty() => Ok(String::new()),
            "" => wrong("the address is empty", "Remove the line to use the vendor's own"),
            _ => parse::web_address(text),
        })?;
        missing.extend(card.base_url_env.clone().filter(|_| base_url.is_empty()));
    }
    Ok(VendorSettings {
        credential: missing.is_empty().then_some(Credential(values)),
        missing,
        base_url,
        concurrency: read.whole(&vendor_key(&card.id, "concurrency"), limit.clone())?,
        rate_per_min: read.whole(&vendor_key(&card.id, "rate_per_min"), limit)?,
    })
}

/// A key that is set, without the blanks that copying leaves around it.
pub fn key(variables: &Variables, name: &str) -> Option<Result<Secret, Problem>> {
    let (text, source) = variables.get(name)?;
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let readable = !text.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER);
    Some(readable.then(|| Secret::new(text)).ok_or_else(|| {
        let what = "the key holds a line break or another character that cannot be sent";
        Problem::new(name, source, what, "Copy the key once more, on one line")
    }))
}

/// Each key variable, whether it is set, and where: for showing. No value is in it.
pub fn keys(variables: &Variables, catalog: &Catalog) -> Vec<(String, Option<Source>)> {
    let names = catalog.vendors.iter().flat_map(|card| &card.key_env);
    names.map(|name| (name.clone(), source(variables, name))).collect()
}

/// Where a variable is set, if it is.
pub fn source(variables: &Variables, name: &str) -> Option<Source> {
    let (text, source) = variables.get(name)?;
    (!text.trim().is_empty()).then(|| source.clone())
}
