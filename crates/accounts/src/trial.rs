//! Tries a token with the vendor's cheapest call.

use futures_util::future::BoxFuture;
use pixel_core::{
    Error, ErrorKind,
    vendor::{Credential, Secret, Vendor},
};
use pixel_engine::door::{Door, Sent};
use std::{sync::Arc, time::Duration};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the vendor takes a token.
pub trait Trial: Send + Sync {
    fn of<'a>(&'a self, token: &'a Secret) -> BoxFuture<'a, Result<(), Error>>;
}

/// Asks the vendor itself.
pub struct AtTheDoor {
    pub door: Door,
    pub vendor: Arc<dyn Vendor>,
    pub base_url: String,
    pub service: Option<String>,
}

impl AtTheDoor {
    async fn ask(&self, token: &Secret) -> Result<(), Error> {
        let credential = Credential(vec![token.clone()]);
        let call = self.vendor.check(&credential, &self.base_url, self.service.as_deref());
        let Some(mut call) = call.filter(|call| !call.repeat.is_paid()) else { return Ok(()) };
        call.timeout = call.timeout.min(TIMEOUT);
        match self.door.send(&call).await {
            Sent::Answer(answer) => self.vendor.checked(&credential, &answer),
            Sent::Unsent { why } | Sent::Unclear { why } => {
                Err(Error::new(ErrorKind::Unclear, format!("The vendor gave no clear answer: {why}")))
            }
        }
    }
}

impl Trial for AtTheDoor {
    fn of<'a>(&'a self, token: &'a Secret) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.ask(token))
    }
}
