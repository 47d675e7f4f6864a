//! The work on a session: taken up, renewed, parked. One piece at a time in this process, and one
//! sign-in at a time among all servers.

use super::{Holder, LOOK, PARKED_LOOK, Work};
use crate::sign_in::Outcome;
use pixel_core::{Error, SessionTrouble, vendor::Secret};
use pixel_engine::{Standing, Verdict};
use pixel_store::{AccountRow, StoreError, Turn};
use std::{future::Future, time::Duration};

/// Before the next try at a database that is away.
const AWAY: Duration = Duration::from_secs(2);
/// How often the row is looked at while another server signs in.
const ELSEWHERE_LOOK: Duration = Duration::from_millis(500);
/// From here on a wait is one that its holder should know of.
const LONG: Duration = Duration::from_secs(120);

pub(super) const PASTE: &str =
    "The pasted token is no longer accepted. Take a new one from the browser in which you are signed in.";
const EVICTED: &str = "Somebody signed in elsewhere, which ended this session. It is not taken back by itself: ask for \
                       the check of this provider (POST /api/v1/providers/{id}/check) when this server may sign in again.";
const BLOCKED: &str = "The vendor wants to see a person. Open its page in a browser, do what it asks, then ask for the \
                       check of this provider (POST /api/v1/providers/{id}/check).";
const SEALED: &str = "The stored token was sealed with another key. Set the same PIXEL_SECRET on every server, or ask \
                      for the check of this provider (POST /api/v1/providers/{id}/check) to sign in again.";

/// A restart does not lift this: who ended the session may still want it.
const STAYS: &str = "evicted";

/// What a trial says of a token.
enum Said {
    Good,
    Trouble(SessionTrouble, String),
    Nothing(String),
}

impl Holder {
    pub(super) async fn carry_out(&self, work: Work, why: &str) {
        match work {
            Work::Begin => self.take_up().await,
            Work::Renew => self.renew(false).await,
            Work::Agreed => self.renew(true).await,
            Work::Evicted => self.evicted().await,
            Work::Blocked => self.park("blocked", &format!("{BLOCKED} It said: {why}")).await,
        }
    }

    async fn take_up(&self) {
        let (office, order) = (&self.0.office, &self.0.order);
        let text = |secret: &Option<Secret>| secret.as_ref().map_or("", Secret::reveal).to_owned();
        let login = [&order.login.username, &order.login.password, &order.login.token].map(text);
        // Of the login alone: whatever else changes makes no old pasted token a new one.
        let config = office.sealer.fingerprint(&login.each_ref().map(String::as_str));
        let enrol = || office.store.enrol_account(&order.id, &order.vendor, &order.name, &config);
        let (row, is_other) = self.patiently(enrol).await;
        let stored = row.token.as_deref().and_then(|sealed| office.sealer.unseal(&order.id, sealed));
        match (&order.login.token, stored) {
            (Some(pasted), _) if is_other || row.token.is_none() => {
                let _kept = self.keep(pasted).await;
            }
            (_, Some(token)) => self.issue(&token, row.serial),
            // Another server holds what this one cannot read: to sign in would end its session.
            // It may be this one's key that is wrong, so the row, and with it the others, are left alone.
            (_, None) if row.token.is_some() && office.store.is_shared() => {
                tracing::error!(account = order.name, why = SEALED, "ACCOUNT PARKED on this server");
                return self.stand(Standing::Parked { why: SEALED.to_owned(), wait: PARKED_LOOK });
            }
            _ => {}
        }
        let stays = row.parked.as_deref() == Some(STAYS);
        let said = match self.token() {
            Some((token, _)) => self.try_token(&token).await,
            None => Said::Trouble(SessionTrouble::Expired, String::new()),
        };
        match said {
            Said::Good => self.lift().await,
            _ if stays => self.show_parked(&row),
            Said::Nothing(why) => {
                tracing::warn!(account = order.name, why, "the stored session cannot be checked now");
                self.stand(Standing::Ready);
            }
            Said::Trouble(SessionTrouble::Expired, _) => self.renew(true).await,
            Said::Trouble(SessionTrouble::Evicted, _) => self.evicted().await,
            Said::Trouble(SessionTrouble::Blocked, why) => {
                self.park("blocked", &format!("{BLOCKED} It said: {why}")).await;
            }
        }
    }

    /// Tries what there is. `None`: nothing that the vendor takes, and a sign-in may help.
    pub(super) async fn tried(&self) -> Option<(Verdict, String)> {
        if let Ok(Some(row)) = self.0.office.store.account(&self.0.order.id).await {
            self.adopt(&row);
        }
        match self.try_token(&self.token()?.0).await {
            Said::Good => {
                self.lift().await;
                Some((Verdict::Good, "The vendor accepts the session.".to_owned()))
            }
            Said::Nothing(why) => Some((Verdict::Unreachable, why)),
            Said::Trouble(SessionTrouble::Blocked, why) => {
                self.park("blocked", &format!("{BLOCKED} It said: {why}")).await;
                Some((Verdict::Refused, why))
            }
            Said::Trouble(..) => None,
        }
    }

    async fn try_token(&self, token: &Secret) -> Said {
        match self.0.office.trial.of(token).await {
            Ok(()) => Said::Good,
            Err(Error { session: Some(trouble), message, .. }) => Said::Trouble(trouble, message),
            Err(error) => Said::Nothing(error.message),
        }
    }

    /// Signs in, unless another server has done so; never more often than the limits say. `is_agreed`:
    /// what the account was parked for before does not count.
    async fn renew(&self, is_agreed: bool) {
        let (office, order) = (&self.0.office, &self.0.order);
        if is_agreed {
            self.patiently(|| office.store.lift_account(&order.id)).await;
        }
        loop {
            let row = self.patiently(|| office.store.account(&order.id)).await.unwrap_or_default();
            if row.parked.is_some() {
                return self.show_parked(&row);
            }
            if self.adopt(&row) {
                return self.stand(Standing::Ready);
            }
            if !order.login.can_sign_in() {
                return self.park("token_refused", PASTE).await;
            }
            match self.patiently(|| office.store.seek_sign_in(&order.id, office.limits)).await {
                Turn::Granted => {
                    if self.sign_in().await {
                        return;
                    }
                }
                Turn::Elsewhere(wait) => tokio::time::sleep(wait.min(ELSEWHERE_LOOK)).await,
                Turn::Later(wait) => self.wait_for_turn(wait).await,
            }
        }
    }

    /// Signs in once; `false`: it may be tried again when the limits let it.
    async fn sign_in(&self) -> bool {
        let (office, order) = (&self.0.office, &self.0.order);
        tracing::info!(account = order.name, "signing in with a browser");
        self.stand(Standing::Renewing(LOOK));
        match office.sign_in.sign_in(&order.page, &order.login).await {
            Outcome::SignedIn(token) => {
                let row = self.keep(&token).await;
                tracing::info!(
                    account = order.name,
                    serial = row.serial,
                    "signed in; the session is sealed and stored"
                );
                self.stand(Standing::Ready);
                true
            }
            Outcome::NeedsAttention { word, message } => {
                let why = format!(
                    "The sign-in needs its holder: {}. Then ask for the check of this provider \
                     (POST /api/v1/providers/{{id}}/check).",
                    self.masked(&message).trim_end_matches('.')
                );
                self.park(&word, &why).await;
                true
            }
            Outcome::Failed(why) => {
                tracing::warn!(account = order.name, why = self.masked(&why), "the sign-in failed");
                self.patiently(|| office.store.release_account(&order.id)).await;
                false
            }
            Outcome::NeverBegan(why) => {
                let why = self.masked(&why);
                tracing::error!(account = order.name, why, "ACCOUNT PARKED: the sign-in cannot begin here");
                self.patiently(|| office.store.return_sign_in(&order.id)).await;
                let why = format!("The sign-in cannot begin on this server, which tries again by itself: {why}");
                self.stand(Standing::Parked { why, wait: PARKED_LOOK });
                false
            }
        }
    }

    /// A sentence of the browser's, which must not say what it was told.
    fn masked(&self, text: &str) -> String {
        let login = &self.0.order.login;
        let secrets = [&login.password, &login.token, &login.username].into_iter().flatten();
        let secrets = secrets.map(Secret::reveal).filter(|secret| !secret.is_empty());
        secrets.fold(text.chars().take(500).collect(), |text: String, secret| text.replace(secret, "***"))
    }

    async fn wait_for_turn(&self, wait: Duration) {
        let is_parked = matches!(self.state().standing, Standing::Parked { .. });
        if wait < LONG {
            // A sign-in that could not begin still stands for why.
            if !is_parked {
                self.stand(Standing::Renewing(wait.min(PARKED_LOOK)));
            }
            return tokio::time::sleep(wait.min(LOOK)).await;
        }
        let a_day = self.0.office.limits.a_day;
        let why = format!("There were {a_day} sign-ins today, which is the most; the next may come tomorrow.");
        if !is_parked {
            tracing::error!(account = self.0.order.name, why, "ACCOUNT PARKED");
        }
        self.stand(Standing::Parked { why, wait: PARKED_LOOK });
        tokio::time::sleep(wait.min(Duration::from_secs(60))).await;
    }

    /// Somebody signed in: another server of ours, whose token is in the row soon, or a stranger.
    async fn evicted(&self) {
        let (office, order) = (&self.0.office, &self.0.order);
        loop {
            let row = self.patiently(|| office.store.account(&order.id)).await.unwrap_or_default();
            if self.adopt(&row) {
                return self.stand(Standing::Ready);
            }
            if !row.is_signing_in {
                return self.park("evicted", EVICTED).await;
            }
            tokio::time::sleep(ELSEWHERE_LOOK).await;
        }
    }

    /// Whether a parked account has been lifted elsewhere.
    pub(super) async fn look_again(&self) {
        let Ok(Some(row)) = self.0.office.store.account(&self.0.order.id).await else { return };
        let is_ours = self.token().is_some_and(|(_, serial)| serial == row.serial);
        if self.adopt(&row) || (is_ours && row.parked.is_none()) {
            self.stand(Standing::Ready);
        }
    }

    /// Takes the row's token, when it is a newer one than ours.
    fn adopt(&self, row: &AccountRow) -> bool {
        if self.token().is_some_and(|(_, serial)| serial >= row.serial) {
            return false;
        }
        let token = row.token.as_deref().and_then(|sealed| self.0.office.sealer.unseal(&row.id, sealed));
        let Some(token) = token.filter(|_| row.parked.is_none()) else { return false };
        self.issue(&token, row.serial);
        true
    }

    /// Seals a new token and stores it.
    async fn keep(&self, token: &Secret) -> AccountRow {
        let (office, order) = (&self.0.office, &self.0.order);
        let sealed = office.sealer.seal(&order.id, token);
        let row = match sealed {
            Ok(sealed) => self.patiently(|| office.store.keep_token(&order.id, &sealed)).await,
            Err(why) => {
                tracing::error!(account = order.name, why, "the token is not stored");
                AccountRow { serial: self.token().map_or(1, |(_, serial)| serial + 1), ..AccountRow::default() }
            }
        };
        self.issue(token, row.serial);
        row
    }

    async fn lift(&self) {
        let (store, id) = (&self.0.office.store, &self.0.order.id);
        self.patiently(|| store.lift_account(id)).await;
        self.stand(Standing::Ready);
    }

    pub(super) async fn park(&self, word: &str, why: &str) {
        let (store, order) = (&self.0.office.store, &self.0.order);
        let row = self.patiently(|| store.account(&order.id)).await.unwrap_or_default();
        let serial = self.token().map_or(row.serial, |(_, serial)| serial);
        let row = self.patiently(|| store.park_account(&order.id, serial, word, why)).await;
        if self.adopt(&row) {
            return self.stand(Standing::Ready);
        }
        self.show_parked(&row);
        tracing::error!(account = order.name, reason = word, why, "ACCOUNT PARKED: nothing is sent with it");
    }

    fn show_parked(&self, row: &AccountRow) {
        let why = row.message.clone().unwrap_or_else(|| BLOCKED.to_owned());
        self.stand(Standing::Parked { why, wait: PARKED_LOOK });
    }

    fn stand(&self, standing: Standing) {
        self.state().standing = standing;
    }

    /// The database may be away; what is to be written of a session is not given up for that.
    async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(&self, ask: impl Fn() -> F) -> T {
        loop {
            match ask().await {
                Ok(done) => return done,
                Err(error) => {
                    tracing::warn!(account = self.0.order.name, %error, "the account's row cannot be used yet");
                    tokio::time::sleep(AWAY).await;
                }
            }
        }
    }
}
