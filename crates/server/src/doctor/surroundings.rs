//! What is around Pixel: its database, its address, its vendors.

use super::{Check, Status};
use crate::{
    bucket,
    config::{Settings, show},
};
use pixel_core::{
    catalog::{Catalog, VendorCard},
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
    checks.extend(remote.filter_map(|card| vendor(settings, catalog, card)));
    checks
}

fn vendor(settings: &Settings, catalog: &Catalog, card: &VendorCard) -> Option<Check> {
    let vendor = settings.vendors.get(&card.id)?;
    let adapters = pixel_vendors::adapters();
    let mine = || catalog.models.iter().filter(|model| model.provider == card.id);
    let served = mine().filter(|model| adapters.iter().any(|a| a.id() == card.adapter() && a.speaks(model))).count();
    let models = format!("{served} of {} models served by this version", mine().count());
    let key = if card.key_env.is_empty() { "no key needed" } else { "key set" };
    let without = if settings.sandbox { "answered by the sandbox" } else { "disabled" };
    let subject = format!("vendor {}", card.id);
    Some(match vendor.missing.as_slice() {
        [] if !card.enabled => {
            Check::new(Status::Note, &subject, format!("{}: switched off by {}", card.name, card.origin))
        }
        [] => Check::fine(&subject, format!("{}: {key}, {models}, {}", card.name, vendor.base_url)),
        missing => {
            let some_set = missing.len() < card.key_env.len();
            let status = if some_set { Status::Warning } else { Status::Note };
            let finding = format!("{}: no complete key; {models}, all {without}", card.name);
            Check::new(status, &subject, finding).with_remedy(format!("Set {}", missing.join(" and ")))
        }
    })
}
