//! People's own accounts: each gets a holder, which stands behind its key of the engine.

use crate::config::{AccountSettings, SessionSettings, Settings};
use pixel_accounts::{AtTheDoor, Browser, Holder, Office, Order, Page, Sealer};
use pixel_core::vendor::{Secret, Vendor};
use pixel_engine::{Account, door::Door};
use pixel_store::{SignInLimits, Store};
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Signing in ends every other session of the account, and looks like an attack when it is done often.
const LIMITS: SignInLimits = SignInLimits { gap: Duration::from_secs(60), a_day: 3, lease: Duration::from_secs(150) };

/// What holders are made with.
pub struct People {
    pub store: Store,
    pub door: Door,
    /// Variables that the browser's process may see.
    pub browser: Vec<(String, String)>,
    pub stopping: CancellationToken,
}

impl People {
    /// The account as the engine uses it, its keys with a holder behind each where it is signed in to.
    pub fn account(
        &self,
        settings: &Settings,
        vendor: &Arc<dyn Vendor>,
        id: &str,
        own: &AccountSettings,
    ) -> Result<Account, String> {
        let mut account = own.account.clone();
        let Some(session) = own.session.as_ref().filter(|_| !settings.sandbox && own.is_usable()) else {
            return Ok(account);
        };
        tracing::warn!(vendor = id, "{}", session.notice);
        let office = self.office(settings, vendor, &account)?;
        let keys = account.keys.iter_mut().zip(&session.logins);
        for (key, login) in keys {
            let order = Order {
                id: row_id(id, &key.name, login.username.as_ref()),
                vendor: id.to_owned(),
                name: key.name.clone(),
                login: login.clone(),
                page: page(settings, session),
            };
            key.source = Some(Arc::new(Holder::start(office.clone(), order)));
        }
        Ok(account)
    }

    fn office(&self, settings: &Settings, vendor: &Arc<dyn Vendor>, account: &Account) -> Result<Office, String> {
        let sealer = Sealer::open(settings.secret.as_ref(), &settings.data)
            .map_err(|why| format!("the key that seals accounts cannot be used: {why}"))?;
        let program = std::env::current_exe().map_err(|why| format!("this program cannot be found: {why}"))?;
        let browser = Browser { program, arguments: vec!["browser".into()], environment: self.browser.clone() };
        let trial = AtTheDoor {
            door: self.door.clone(),
            vendor: Arc::clone(vendor),
            base_url: account.base_url.clone(),
            service: account.service.clone(),
        };
        Ok(Office {
            store: self.store.clone(),
            sealer: Arc::new(sealer),
            sign_in: Arc::new(browser),
            trial: Arc::new(trial),
            limits: LIMITS,
            stopping: self.stopping.clone(),
        })
    }
}

fn page(settings: &Settings, session: &SessionSettings) -> Page {
    let chromium = settings.chromium.as_ref().map(|path| path.to_string_lossy().into_owned());
    Page { login_url: session.login_url.clone(), headless: session.headless, chromium }
}

/// The row of an account: by its e-mail, whichever variable names that; else by its variable.
fn row_id(vendor: &str, name: &str, username: Option<&Secret>) -> String {
    let own = username.map_or_else(|| name.to_owned(), |email| email.reveal().trim().to_lowercase());
    let digest = Sha256::digest(format!("{vendor}\n{own}").as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
