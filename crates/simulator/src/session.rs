//! Accounts with a password: who is signed in, by which token, what they asked and what they
//! brought. Signing in ends the account's other session.

use crate::{SECRET, vendor::NUMBERS};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::{BTreeMap, HashSet};
use time::OffsetDateTime;

/// The account that is there from the start; `holder-2@example.org` to `holder-9@example.org` are others.
pub const HOLDER: &str = "holder@example.org";
/// Of all of them.
pub const PASSWORD: &str = "test-password";
const NAME: &str = "holder";
const HOST: &str = "@example.org";

/// What one account did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Sign-ins that were granted, in all ways.
    pub sign_ins: u64,
    /// Those of somebody else, by command.
    pub elsewhere: u64,
    /// Calls with a token that works, by their path.
    pub calls: BTreeMap<String, u64>,
    /// Files in the bucket, in order of their arrival.
    pub uploads: Vec<Upload>,
    #[serde(skip)]
    session: Option<Session>,
    /// Tokens that a later sign-in ended.
    #[serde(skip)]
    evicted: HashSet<String>,
}

impl Account {
    /// Calls of one path, such as `video/list/personal`.
    pub fn calls(&self, path: &str) -> u64 {
        self.calls.get(path).copied().unwrap_or_default()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Session {
    token: String,
    until: i64,
}

/// A file that was put into the bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Upload {
    pub path: String,
    pub size: usize,
    pub sha256: String,
    /// Where it is a picture that can be read.
    pub sides: Option<(u32, u32)>,
    /// The address that it was registered under.
    pub url: Option<String>,
}

/// Temporary rights to the bucket.
pub(crate) struct Grant {
    pub account: String,
    pub id: String,
    pub secret: String,
    pub token: String,
    pub until: i64,
}

/// What a token is good for.
pub(crate) enum Standing {
    Signed(String),
    /// Somebody signed in after it was given out.
    Evicted,
    Unknown,
}

#[derive(Default)]
pub(crate) struct Sessions {
    accounts: BTreeMap<String, Account>,
    grants: Vec<Grant>,
    /// Loads of pages, by their path.
    pages: BTreeMap<String, u64>,
    refused: u64,
    issued: u64,
    /// Whatever was given out and may be seen by nobody else.
    secrets: Vec<String>,
}

pub(crate) fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// Whether there is such an account.
pub(crate) fn is_account(name: &str) -> bool {
    let rest = name.strip_prefix(NAME).and_then(|rest| rest.strip_suffix(HOST));
    rest.is_some_and(|rest| rest.is_empty() || NUMBERS.contains(&rest))
}

impl Sessions {
    pub fn sign_in(&mut self, name: &str, token_s: u64, elsewhere: bool) -> String {
        self.issued += 1;
        let until = now().saturating_add_unsigned(token_s);
        let token = token(name, until, self.issued);
        self.secrets.push(token.clone());
        let account = self.account(name);
        account.sign_ins += 1;
        account.elsewhere += u64::from(elsewhere);
        if let Some(before) = account.session.replace(Session { token: token.clone(), until }) {
            account.evicted.insert(before.token);
        }
        token
    }

    pub fn refuse(&mut self) {
        self.refused += 1;
    }

    /// Its token stops working, as if its time were over.
    pub fn expire(&mut self, name: &str) {
        self.account(name).session = None;
    }

    pub fn standing(&self, token: &str) -> Standing {
        let is_valid = |session: &Session| session.token == token && session.until > now();
        let found = self.accounts.iter().find(|(_, account)| account.session.as_ref().is_some_and(is_valid));
        match found {
            Some((name, _)) => Standing::Signed(name.clone()),
            None if self.accounts.values().any(|account| account.evicted.contains(token)) => Standing::Evicted,
            None => Standing::Unknown,
        }
    }

    pub fn account(&mut self, name: &str) -> &mut Account {
        self.accounts.entry(name.to_owned()).or_default()
    }

    pub fn find(&self, name: &str) -> Account {
        self.accounts.get(name).cloned().unwrap_or_default()
    }

    pub fn loaded(&mut self, page: &str) {
        *self.pages.entry(page.to_owned()).or_default() += 1;
    }

    pub fn loads(&self, page: &str) -> u64 {
        self.pages.get(page).copied().unwrap_or_default()
    }

    /// Hands out rights to the bucket.
    pub fn grant(&mut self, account: &str, upload_s: u64) -> &Grant {
        self.issued += 1;
        let part = |what: &str| mac(&format!("{what} {account} {}", self.issued));
        let grant = Grant {
            account: account.to_owned(),
            id: format!("STS.{}", part("id")),
            secret: part("secret"),
            token: format!("CAIS{}", part("token")),
            until: now().saturating_add_unsigned(upload_s),
        };
        self.secrets.extend([grant.secret.clone(), grant.token.clone()]);
        self.grants.push(grant);
        &self.grants[self.grants.len() - 1]
    }

    pub fn granted(&self, id: &str) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.id == id)
    }

    pub fn to_json(&self) -> Value {
        json!({ "accounts": self.accounts, "pages": self.pages, "refused_sign_ins": self.refused })
    }

    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    pub fn refused(&self) -> u64 {
        self.refused
    }
}

/// Three parts, as such tokens have; the number makes each of them another.
fn token(name: &str, until: i64, number: u64) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "AccountId": id(name), "ExpireTime": until, "Username": name, "jti": number });
    let head = format!("{}.{}", part(json!({ "alg": "HS256", "typ": "JWT" })), part(claims));
    format!("{head}.{}", mac(&head))
}

/// The vendor's number of an account.
pub(crate) fn id(name: &str) -> u64 {
    let at = NUMBERS.iter().position(|number| name == format!("{NAME}{number}{HOST}"));
    1_122_334_455 + at.map_or(0, |at| at as u64 + 1)
}

fn mac(text: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()) else { return String::new() };
    mac.update(text.as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_ends_the_one_before() {
        let mut sessions = Sessions::default();
        let first = sessions.sign_in(HOLDER, 60, false);
        assert!(matches!(sessions.standing(&first), Standing::Signed(name) if name == HOLDER));
        let second = sessions.sign_in(HOLDER, 60, true);
        let other = sessions.sign_in("holder-2@example.org", 60, false);
        assert!(matches!(sessions.standing(&first), Standing::Evicted));
        assert!(matches!(sessions.standing(&second), Standing::Signed(_)));
        sessions.expire(HOLDER);
        assert!(matches!(sessions.standing(&second), Standing::Unknown));
        assert!(matches!(sessions.standing(&other), Standing::Signed(_)));
        let past = sessions.sign_in(HOLDER, 0, false);
        assert!(matches!(sessions.standing(&past), Standing::Unknown), "its time is over");
        let account = sessions.find(HOLDER);
        assert_eq!((account.sign_ins, account.elsewhere), (3, 1));
    }

    #[test]
    fn nine_accounts_have_numbers_of_their_own() {
        let names: Vec<_> = ["", "-2", "-9"].iter().map(|at| format!("holder{at}@example.org")).collect();
        assert!(names.iter().all(|name| is_account(name)));
        assert!(["holder-1@example.org", "holder@example.com", "holder", ""].iter().all(|name| !is_account(name)));
        assert_eq!(
            names.iter().map(|name| id(name)).collect::<Vec<_>>(),
            [1_122_334_455, 1_122_334_456, 1_122_334_463]
        );
    }
}
