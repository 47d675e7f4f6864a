//! How people's accounts stand, as the server has written it down. Nobody is signed in here.

use super::{Check, Status};
use crate::config::Settings;
use pixel_store::AccountRow;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(3);

/// One finding for each account that is set up.
pub fn standing(settings: &Settings) -> Vec<Check> {
    let accounts = settings.vendors.values().flat_map(|vendor| &vendor.accounts);
    let own: Vec<_> = accounts.filter(|own| own.session.is_some() && own.is_usable()).collect();
    if own.is_empty() || settings.sandbox {
        return Vec::new();
    }
    let mut checks: Vec<Check> = own.iter().filter_map(|own| own.session.as_ref()).map(notice).collect();
    let rows = match rows(settings) {
        Ok(rows) => rows,
        Err(why) => {
            checks.push(Check::new(Status::Warning, "accounts", format!("their rows cannot be read: {why}")));
            return checks;
        }
    };
    let keys = own.iter().flat_map(|own| &own.account.keys);
    checks.extend(keys.map(|key| {
        finding(&key.name, rows.iter().filter(|row| row.name == key.name).max_by_key(|row| row.updated_at))
    }));
    checks
}

fn notice(session: &crate::config::SessionSettings) -> Check {
    Check::new(Status::Note, "accounts", &session.notice)
}

fn rows(settings: &Settings) -> Result<Vec<AccountRow>, Box<dyn std::error::Error + Send + Sync>> {
    let options = pixel_store::Options {
        data: settings.data.clone(),
        database_url: settings.database.url.as_ref().map(|url| url.reveal().to_owned()),
        pool_size: 1,
        lease: settings.engine.lease,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let look = async { tokio::time::timeout(TIMEOUT, pixel_store::look_at_accounts(&options)).await };
    Ok(runtime.block_on(look)??)
}

fn finding(name: &str, row: Option<&AccountRow>) -> Check {
    let subject = format!("account {name}");
    match row {
        Some(AccountRow { parked: Some(word), message, .. }) => {
            let why = message.as_deref().unwrap_or_default();
            Check::new(Status::Warning, &subject, format!("parked ({word}): {why}"))
                .with_remedy("Do what it says, then POST /api/v1/providers/{id}/check")
        }
        Some(AccountRow { token: Some(_), updated_at, .. }) => {
            Check::fine(&subject, format!("a session is stored; last seen to at {}", updated_at.to_iso()))
        }
        _ => Check::new(Status::Note, &subject, "no session yet; the server signs in when it starts"),
    }
}
