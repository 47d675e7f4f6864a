//! What is around Pixel: its database, its address, its vendors.

use super::{Check, Status};
use crate::{
    bucket,
    config::{AccountSettings, Settings, show},
};
use pixel_core::{
    catalog::{Catalog, Model, VendorCard},
    vendor::Secret,
};
use std::{io, net::TcpListener, time::Duration};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

pub fn database(settings: &Settings) -> Check {
    let subject = "database";
    let Some(url) = &settings.database.url else {
        let path = settings.data.display();
        return Check::fine(subject, format!("SQLite in {path} (one server; several need PostgreSQL)"));
    };
    let shown = show::database_url(url);
    match connect(settings, url) {
        Ok(()) => Check::fine(subject, format!("{shown} lets us in")),
        Err(e) => Check::new(Status::Failure, subject, format!("{shown} cannot be used: {e}"))
            .with_remedy("Start PostgreSQL, or correct DATABASE_URL; without it, Pixel uses SQLite"),
    }
}

/// Signs in, and changes nothing.
fn connect(settings: &Settings, url: &Secret) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let options = pixel_store::Options {
        data: settings.data.clone(),
        database_url: Some(url.reveal().to_owned()),
        pool_size: 1,
        lease: settings.engine.lease,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { tokio::time::timeout(CONNECT_TIMEOUT, pixel_store::check(&options)).await })??;
    Ok(())
}

pub fn bucket(settings: &Settings) -> Option<Check> {
    let (subject, bucket) = ("media bucket", settings.bucket.as_ref()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Some(Check::new(Status::Failure, subject, error.to_string())),
    };
    Some(match runtime.block_on(bucket::check(bucket)) {
        Ok(_) => Check::fine(subject, format!("{} can be written, read and cleaned", bucket::shown(bucket))),
        Err(unusable) => Check::new(Status::Failure, subject, unusable.finding).with_remedy(unusable.remedy),
    })
}

pub fn address(settings: &Settings) -> Check {
    let subject = "address";
    let listen = settings.listen;
    match TcpListener::bind(listen) {
        Ok(_) => Check::fine(subject, format!("{listen} is free")),
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            Check::new(Status::Failure, subject, format!("{listen} is taken, perhaps by a Pixel that already runs"))
                .with_remedy("Stop that program, or choose another port with --listen")
        }
        Err(e) => {
            let check = Check::new(Status::Failure, subject, format!("{listen} cannot be listened on: {e}"));
            check.with_remedy("Choose an address of this machine and a port from 1024 up with --listen")
        }
    }
}

pub fn catalog(catalog: &Catalog) -> Check {
    let (models, vendors) = (catalog.models.len(), catalog.vendors.len());
    let own = match catalog.laid_over {
        0 => "no file of your own".to_owned(),
        1 => "1 file of your own".to_owned(),
        more => format!("{more} files of your own"),
    };
    Check::fine("catalogue", format!("{models} models of {vendors} vendors; {own}"))
}

pub fn vendors(settings: &Settings, catalog: &Catalog) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(reason) = &settings.sandbox_reason {
        let finding = format!("every model is answered by the sandbox: {reason}");
        let remedy = "To make real media, set the key of a vendor below in the environment or in .env";
        checks.push(Check::new(Status::Note, "sandbox", finding).with_remedy(remedy));
    }
    let remote = catalog.vendors.iter().filter(|card| card.is_remote());
    checks.extend(remote.flat_map(|card| vendor(settings, catalog, card)));
    checks
}

/// One finding for the vendor, or for each of its services.
fn vendor(settings: &Settings, catalog: &Catalog, card: &VendorCard) -> Vec<Check> {
    let Some(vendor) = settings.vendors.get(&card.id) else { return Vec::new() };
    vendor.accounts.iter().map(|own| account(settings, catalog, card, own)).collect()
}

fn account(settings: &Settings, catalog: &Catalog, card: &VendorCard, own: &AccountSettings) -> Check {
    let adapters = pixel_vendors::adapters();
    let service = own.account.service.as_deref();
    let is_mine = |model: &&Model| model.provider == card.id && model.service.as_deref() == service;
    let mine = || catalog.models.iter().filter(is_mine);
    let served = mine()
        .filter(|model| {
            adapters.iter().any(|a| a.id() == card.adapter() && (a.speaks(model) || a.chat(model).is_some()))
        })
        .count();
    let models = format!("{served} of {} models served by this version", mine().count());
    let without = if settings.sandbox { "answered by the sandbox" } else { "disabled" };
    let subject = match service {
        Some(service) => format!("vendor {}, service {service}", card.id),
        None => format!("vendor {}", card.id),
    };
    let keys = match own.account.keys.len() {
        1 if own.account.primary.is_empty() => "no key needed".to_owned(),
        1 => "key set".to_owned(),
        more => format!("{more} keys set"),
    };
    if !card.enabled {
        return Check::new(Status::Note, &subject, format!("{}: switched off by {}", card.name, card.origin));
    }
    if own.is_usable() {
        return Check::fine(&subject, format!("{}: {keys}, {models}, {}", card.name, own.account.base_url));
    }
    let card_sets = catalog.accounts(card).into_iter().filter(|account| account.service == service);
    let lengths: Vec<usize> = card_sets.flat_map(|account| account.key_env).map(<[String]>::len).collect();
    let some_set = own.missing.iter().zip(lengths).any(|(missing, length)| missing.len() < length);
    let status = if some_set { Status::Warning } else { Status::Note };
    let finding = format!("{}: no complete key; {models}, all {without}", card.name);
    Check::new(status, &subject, finding).with_remedy(format!("Set {}", own.wanted()))
}
