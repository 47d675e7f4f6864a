//! The HTTP clients of the door. They follow no redirect, repeat nothing and use no proxy, so that
//! the ledger sees every send.

use super::DoorLimits;
use crate::fetch::tls_config;
use reqwest::{Client, ClientBuilder, redirect, retry};
use std::{error::Error, time::Duration};

/// Shorter than the keep-alive of common servers, so that we rarely meet one that is closing.
const IDLE_FREE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(super) struct Clients {
    /// Paid calls get a new connection each. On one that is used again, a request can meet the
    /// peer's closing, and then nobody knows whether it was read: that would hold a task over
    /// nothing. A handshake is little beside what a paid call takes.
    paid: Client,
    free: Client,
}

impl Clients {
    pub fn new(limits: &DoorLimits) -> Result<Self, String> {
        let base = || -> Result<ClientBuilder, String> {
            let builder = Client::builder()
                .tls_backend_preconfigured(tls_config()?)
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .no_proxy()
                .referer(false)
                .http1_only()
                .connect_timeout(limits.connect)
                .user_agent(concat!("Pixel/", env!("CARGO_PKG_VERSION")));
            Ok(builder)
        };
        let built = |builder: ClientBuilder| builder.build().map_err(|e| chain(&e));
        let paid = built(base()?.pool_max_idle_per_host(0))?;
        let free = built(base()?.pool_idle_timeout(IDLE_FREE))?;
        Ok(Self { paid, free })
    }

    pub fn of(&self, is_paid: bool) -> &Client {
        if is_paid { &self.paid } else { &self.free }
    }
}

/// An error with its causes, without the address, whose query may hold a secret.
pub(super) fn why(error: reqwest::Error) -> String {
    chain(&error.without_url())
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
