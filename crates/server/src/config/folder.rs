//! The operator's own catalogue files: where they are, and what they may say.
//!
//! The settings of vendors follow from the catalogue, so the folder is found before the settings
//! are read: by the same sources, of which only the two lines that matter here are looked at.

use super::{
    Environment, Flags, files,
    layers::{Layers, Source, Variables},
    parse,
    problem::{Problem, Problems, Wrong},
    table,
};
use pixel_core::{
    catalog::{Catalog, Member},
    overlay::Fault,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where the files are when nobody says so: in the data folder.
pub const NAME: &str = "catalog";

/// The built-in files with those of the operator's folder over them.
pub fn catalog(flags: &Flags, environment: &Environment, own: &[(&str, &str)]) -> Result<Catalog, Problems> {
    let variables = files::variables(&environment.0, &|path| fs::read_to_string(path))?;
    let (folder, source) = place(flags, &variables)?;
    let over = match read(&folder) {
        Ok(over) => over,
        Err(error) if error.kind() == io::ErrorKind::NotFound && source.is_none() => Vec::new(),
        Err(error) => {
            let what = format!("the files of {} can't be read: {error}", folder.display());
            let remedy = "Name a folder that this user may read, or leave the setting out";
            return Err(Problem::new("catalog", source.unwrap_or(Source::Default), what, remedy).into());
        }
    };
    let texts: Vec<(&str, &str)> = over.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let source = source.unwrap_or(Source::Default);
    let problem = |fault: Fault| Problem::new(fault.place, &source, fault.wrong, fault.remedy);
    let mut catalog = Catalog::layered(own, &texts).map_err(problem)?;
    check(&mut catalog).map_err(problem)?;
    Ok(catalog)
}

/// The folder, and where its name came from when somebody gave one.
fn place(flags: &Flags, variables: &Variables) -> Result<(PathBuf, Option<Source>), Problem> {
    let mut layers = Layers::new(table::settings(&Catalog::default())?);
    if let Some((path, table)) = files::settings(flags.config.as_deref(), variables, &|path| fs::read_to_string(path))?
    {
        layers.add_file(&path, &table);
    }
    layers.add_variables(variables);
    if let Some(data) = &flags.data {
        layers.add_flag("data", "--data", data);
    }
    // What is wrong with other settings is said when they are read.
    let text = |key: &str| layers.find(key).and_then(|entry| Some((entry.value.as_str()?, entry.source.clone())));
    match text(NAME).filter(|(text, _)| !text.is_empty()) {
        Some((text, source)) => match parse::folder(text) {
            Ok(folder) => Ok((folder, Some(source))),
            Err(Wrong { what, remedy }) => Err(Problem::new(NAME, source, what, remedy)),
        },
        None => Ok((Path::new(text("data").map_or("", |(text, _)| text)).join(NAME), None)),
    }
}

/// Every `*.toml` of the folder by its path, in the order of the names.
fn read(folder: &Path) -> io::Result<Vec<(String, String)>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.extension().is_some_and(|ext| ext == "toml") && !is_hidden {
            paths.push(path);
        }
    }
    paths.sort();
    let named = |path: PathBuf| {
        let name = path.display().to_string();
        let text = fs::read_to_string(&path).map_err(|error| io::Error::other(format!("{name}: {error}")))?;
        Ok((name, text))
    };
    paths.into_iter().map(named).collect()
}

/// What needs more than the files themselves: adapters, and addresses that calls may go to.
fn check(catalog: &mut Catalog) -> Result<(), Fault> {
    let adapters = pixel_vendors::adapters();
    let known: Vec<_> =
        adapters.iter().map(|adapter| adapter.id()).filter(|id| *id != pixel_vendors::SANDBOX).collect();
    for card in &mut catalog.vendors {
        if let Some(id) = card.speaks_as.as_deref().filter(|id| !known.contains(id)) {
            let wrong = format!("there is no adapter '{id}'");
            let remedy = format!("Use one of {}", known.join(", "));
            return Err(Fault { remedy, ..Fault::new(&card.origin, &card.id, wrong) });
        }
        if card.speaks_as.is_some() && !card.is_remote() {
            let remedy = "Say where its server is, such as base_url = \"https://api.example.com/v1\"".to_owned();
            return Err(Fault {
                remedy,
                ..Fault::new(&card.origin, &card.id, "it names an adapter and has no base_url")
            });
        }
        let services = card.services.iter_mut().map(|service| &mut service.base_url);
        for address in services.chain([&mut card.base_url]).filter(|address| !address.is_empty()) {
            *address = parse::web_address(address).map_err(|Wrong { what, remedy }| Fault {
                remedy,
                ..Fault::new(&card.origin, &card.id, format!("base_url: {what}"))
            })?;
        }
    }
    for alias in &catalog.aliases {
        let is_sample = |member: &&Member| member.model.provider() == pixel_vendors::SANDBOX;
        if let Some(member) = alias.members.iter().find(is_sample) {
            let wrong = format!("members: '{}' makes samples, which stand in for nothing", member.model);
            return Err(Fault::new(&alias.card.origin, &alias.card.id(), wrong));
        }
    }
    Ok(())
}
