//! What is around Pixel: its database, its address, its vendors.

use super::{Check, Status};
use crate::config::{Settings, show};
use pixel_core::{
    catalog::{Catalog, VendorCard},
    vendor::Secret,
};
use std::{
    io,
    net::{TcpListener, TcpStream, ToSocketAddrs},
    time::Duration,
};
use url::Url;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const POSTGRES_PORT: u16 = 5432;

pub fn database(settings: &Settings) -> Check {
    let subject = "database";
    let Some(url) = &settings.database.url else {
        let path = settings.data.display();
        return Check::fine(subject, format!("SQLite in {path} (one server; several need PostgreSQL)"));
    };
    let shown = show::database_url(url);
    match connect(url) {
        Ok(true) => Check::fine(subject, format!("something listens at {shown}")),
        Ok(false) => Check::new(Status::Note, subject, format!("{shown} is not a network address; not tried")),
        Err(e) => Check::new(Status::Failure, subject, format!("{shown} cannot be reached: {e}"))
            .with_remedy("Start PostgreSQL, or correct DATABASE_URL; without it, Pixel uses SQLite"),
    }
}

/// Whether the host takes connections; false when the address names a socket file.
fn connect(secret: &Secret) -> io::Result<bool> {
    let url = Url::parse(secret.reveal()).map_err(io::Error::other)?;
    let Some(host) = url.host_str().filter(|host| !host.is_empty() && !host.starts_with("%2F")) else {
        return Ok(false);
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, url.port().unwrap_or(POSTGRES_PORT)).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(_) => return Ok(true),
            Err(e) => last = e,
        }
    }
    Err(last)
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

pub fn vendors(settings: &Settings, catalog: &Catalog) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(reason) = &settings.sandbox_reason {
        let finding = format!("every model is answered by the sandbox: {reason}");
        let remedy = "To make real media, set the key of a vendor below in the environment or in .env";
        checks.push(Check::new(Status::Note, "sandbox", finding).with_remedy(remedy));
    }
    let with_key = catalog.vendors.iter().filter(|card| !card.key_env.is_empty());
    checks.extend(with_key.filter_map(|card| vendor(settings, catalog, card)));
    checks
}

fn vendor(settings: &Settings, catalog: &Catalog, card: &VendorCard) -> Option<Check> {
    let vendor = settings.vendors.get(&card.id)?;
    let models = match catalog.models.iter().filter(|model| model.provider == card.id).count() {
        1 => "1 model".to_owned(),
        more => format!("{more} models"),
    };
    let without = if settings.sandbox { "answered by the sandbox" } else { "disabled" };
    let subject = format!("vendor {}", card.id);
    Some(match vendor.missing.as_slice() {
        [] => Check::fine(&subject, format!("{}: key set, {models}, {}", card.name, vendor.base_url)),
        missing => {
            let some_set = missing.len() < card.key_env.len();
            let status = if some_set { Status::Warning } else { Status::Note };
            let finding = format!("{}: no complete key; {models} {without}", card.name);
            Check::new(status, &subject, finding).with_remedy(format!("Set {}", missing.join(" and ")))
        }
    })
}
