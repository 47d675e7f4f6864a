//! Tries the vendors' keys with calls that cost nothing, as the running server does on request.

use super::{Check, Status};
use crate::config::Settings;
use futures_util::{StreamExt, stream};
use pixel_core::{catalog::Catalog, vendor::Vendor};
use pixel_engine::{
    Account, Key, Tried, Verdict,
    door::{Door, DoorLimits},
    try_key,
};
use pixel_store::blobs::Blobs;
use std::{error::Error, sync::Arc};

/// Keys tried at the same time.
const AT_ONCE: usize = 16;

struct Trial {
    vendor: Arc<dyn Vendor>,
    account: Account,
    key: Key,
}

/// One finding for each key; none where the sandbox answers for everything.
pub fn tried(settings: &Settings, catalog: &Catalog) -> Vec<Check> {
    let trials = if settings.sandbox { Vec::new() } else { trials(settings, catalog) };
    if trials.is_empty() {
        return Vec::new();
    }
    match run(trials) {
        Ok(tried) => tried.iter().map(finding).collect(),
        Err(error) => vec![Check::new(Status::Warning, "keys", format!("they cannot be tried: {error}"))],
    }
}

fn trials(settings: &Settings, catalog: &Catalog) -> Vec<Trial> {
    let mut all = Vec::new();
    let adapters = pixel_vendors::adapters();
    for card in catalog.vendors.iter().filter(|card| card.enabled) {
        let Some(vendor) = adapters.iter().find(|adapter| adapter.id() == card.adapter()) else { continue };
        let own = settings.vendors.get(&card.id).into_iter().flat_map(|own| &own.accounts);
        // A session is the running server's: to try it here would be to sign in.
        for account in own.filter(|own| own.session.is_none()).map(|own| &own.account) {
            let keys = account.keys.iter().filter(|key| !key.name.is_empty());
            all.extend(keys.map(|key| Trial { vendor: vendor.clone(), account: account.clone(), key: key.clone() }));
        }
    }
    all
}

fn run(trials: Vec<Trial>) -> Result<Vec<Tried>, Box<dyn Error + Send + Sync>> {
    // The door wants a place for media; none comes.
    let folder = tempfile::tempdir()?;
    let door = Door::new(Blobs::open(folder.path())?, DoorLimits::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let try_one = |trial: Trial| {
        let door = door.clone();
        async move { try_key(&door, trial.vendor.as_ref(), &trial.account, &trial.key).await }
    };
    Ok(runtime.block_on(stream::iter(trials).map(try_one).buffered(AT_ONCE).collect()))
}

fn finding(tried: &Tried) -> Check {
    let subject = match &tried.service {
        Some(service) => format!("key {} for {service}", tried.key),
        None => format!("key {}", tried.key),
    };
    let took = tried.latency.map(|latency| format!(" ({} ms)", latency.as_millis())).unwrap_or_default();
    let finding = format!("{}{took}", tried.message);
    match tried.verdict {
        Verdict::Good => Check::fine(&subject, finding),
        Verdict::Untestable => Check::new(Status::Note, &subject, finding),
        Verdict::Refused => Check::new(Status::Warning, &subject, finding)
            .with_remedy(format!("Copy the key into {} once more, top its account up, or remove it", tried.key)),
        Verdict::Unreachable => Check::new(Status::Warning, &subject, finding)
            .with_remedy("Check the network and the vendor's base URL, which `pixel config` shows"),
    }
}
