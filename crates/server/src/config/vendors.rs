//! Settings of each vendor. Which variables hold its keys and its address is catalogue data.
//!
//! Beside a key's variables may stand those of further keys, with `_2` to `_9` at their ends; the
//! variable `<FIRST>_WEIGHT` says how often a key is chosen among them.

use super::{
    layers::{Layers, Source, Variables},
    parse,
    problem::{Problem, wrong},
    read::Reader,
    settings::{AccountSettings, SessionSettings, VendorSettings},
    show::Named,
    table::{HEADLESS, PARALLEL, UPLOAD_URL, WEB_URL, has_base_url, vendor_key},
};
use pixel_accounts::Login;
use pixel_core::{
    catalog::{self, Catalog, Session, VendorCard},
    vendor::{Credential, Secret},
};
use pixel_engine::{Account, Key};
use std::collections::BTreeMap;

pub type Vendors = BTreeMap<String, VendorSettings>;

/// What stands at the end of the variables of each key.
const SUFFIXES: [&str; 9] = ["", "_2", "_3", "_4", "_5", "_6", "_7", "_8", "_9"];
const WEIGHT_MAX: u32 = 1000;

pub fn read(layers: &mut Layers, variables: &Variables, catalog: &Catalog) -> Result<Vendors, Problem> {
    let each = catalog.vendors.iter().map(|card| Ok((card.id.clone(), vendor(layers, variables, catalog, card)?)));
    each.collect()
}

fn vendor(
    layers: &mut Layers,
    variables: &Variables,
    catalog: &Catalog,
    card: &VendorCard,
) -> Result<VendorSettings, Problem> {
    let mut accounts = Vec::new();
    for own in catalog.accounts(card) {
        let base_url = base_url(layers, card, &own)?;
        let no_address = card.base_url_env.as_deref().filter(|_| base_url.is_empty());
        accounts.push(match own.session {
            Some(session) => with_session(layers, variables, card, &own, session, base_url)?,
            None => account(layers, variables, &own, base_url, no_address),
        });
    }
    let mut read = Reader { layers };
    let limit = 0..=i64::from(u32::MAX);
    Ok(VendorSettings {
        accounts,
        concurrency: read.whole(&vendor_key(&card.id, "concurrency"), limit.clone())?,
        rate_per_min: read.whole(&vendor_key(&card.id, "rate_per_min"), limit)?,
    })
}

/// The vendor's address, where it is set, stands for those of all its services.
fn base_url(layers: &mut Layers, card: &VendorCard, own: &catalog::Account<'_>) -> Result<String, Problem> {
    if !has_base_url(card) {
        return Ok(own.base_url.to_owned());
    }
    let key = vendor_key(&card.id, "base_url");
    let given = Reader { layers }.text(&key, |text| match text {
        "" if card.base_url.is_empty() => Ok(String::new()),
        "" => wrong("the address is empty", "Remove the line to use the vendor's own"),
        _ => parse::web_address(text),
    })?;
    let is_given = layers.find(&key).is_some_and(|entry| entry.source != Source::Catalog);
    Ok(if is_given || own.service.is_none() { given } else { own.base_url.to_owned() })
}

fn account(
    layers: &mut Layers,
    variables: &Variables,
    own: &catalog::Account<'_>,
    base_url: String,
    no_address: Option<&str>,
) -> AccountSettings {
    let mut keys: Vec<Key> = SUFFIXES.iter().flat_map(|suffix| numbered(layers, variables, own, suffix)).collect();
    if own.key_env.is_empty() {
        let credential = Credential::default();
        let (name, variables) = (String::new(), Vec::new());
        keys.push(Key { name, variables, weight: 1, credential, source: None, parallel: 0 });
    }
    let mut missing = Vec::new();
    if keys.is_empty() {
        let unset = |set: &&[String]| set.iter().filter(|name| source(variables, name).is_none()).cloned().collect();
        missing = own.key_env.iter().map(unset).collect();
    }
    if let Some(name) = no_address {
        // Nothing can be sent anywhere.
        keys.clear();
        missing.resize(missing.len().max(1), Vec::new());
        missing.iter_mut().for_each(|set: &mut Vec<String>| set.push(name.to_owned()));
    }
    let service = own.service.map(ToOwned::to_owned);
    let account = Account { service, base_url, primary: primary(own), urls: Vec::new(), keys };
    AccountSettings { account, missing, session: None }
}

fn primary(own: &catalog::Account<'_>) -> String {
    own.key_env.first().and_then(|set| set.first()).cloned().unwrap_or_default()
}

/// A service that is signed in to: the sets of one number are one account, known by its first
/// variable, whichever of them is set.
fn with_session(
    layers: &mut Layers,
    variables: &Variables,
    card: &VendorCard,
    own: &catalog::Account<'_>,
    session: &Session,
    base_url: String,
) -> Result<AccountSettings, Problem> {
    let name = |what: &str| vendor_key(&card.id, what);
    let mut read = Reader { layers };
    let web = read.text(&name(WEB_URL), parse::web_address)?;
    let upload = read.text(&name(UPLOAD_URL), parse::web_address)?;
    let parallel = read.whole(&name(PARALLEL), 1..=100)?;
    let headless = read.switch(&name(HEADLESS))?;
    let (mut keys, mut logins) = (Vec::new(), Vec::new());
    for suffix in SUFFIXES {
        let Some((set, login)) = login(layers, variables, own, suffix) else { continue };
        let name = format!("{}{suffix}", primary(own));
        let weight = weight(layers, variables, &name);
        keys.push(Key { name, variables: set, weight, credential: Credential::default(), source: None, parallel });
        logins.push(login);
    }
    let missing = if keys.is_empty() { own.key_env.iter().map(|set| set.to_vec()).collect() } else { Vec::new() };
    let login_url = format!("{web}{}", session.login_path);
    let session = Some(SessionSettings { notice: session.notice.clone(), login_url, headless, logins });
    let (service, primary) = (own.service.map(ToOwned::to_owned), primary(own));
    let account = Account { service, base_url, primary, urls: vec![web, upload], keys };
    Ok(AccountSettings { account, missing, session })
}

/// What the variables of one number say, and which they are: a name with a password, a token, or both.
fn login(
    layers: &mut Layers,
    variables: &Variables,
    own: &catalog::Account<'_>,
    suffix: &str,
) -> Option<(Vec<String>, Login)> {
    let (mut set, mut login) = (Vec::new(), Login::default());
    for names in &own.key_env {
        let named: Vec<String> = names.iter().map(|name| format!("{name}{suffix}")).collect();
        let values: Result<Vec<_>, Problem> = named.iter().filter_map(|name| key(variables, name)).collect();
        let values = values.map_err(|problem| layers.problems.push(problem)).unwrap_or_default();
        match values.as_slice() {
            [username, password] if login.username.is_none() && names.len() == 2 => {
                (login.username, login.password) = (Some(username.clone()), Some(password.clone()));
                set.extend(named);
            }
            [token] if names.len() == 1 => {
                login.token = Some(token.clone());
                set.extend(named);
            }
            _ => {}
        }
    }
    (!set.is_empty()).then_some((set, login))
}

/// What secrets at rest are sealed with.
pub const SECRET: &str = "PIXEL_SECRET";
const SECRET_CHARS_MIN: usize = 16;

pub fn secret(variables: &Variables, layers: &mut Layers) -> Option<Secret> {
    let secret = key(variables, SECRET)?.map_err(|problem| layers.problems.push(problem)).ok()?;
    if secret.reveal().chars().count() < SECRET_CHARS_MIN {
        let source = source(variables, SECRET).unwrap_or(Source::Default);
        let remedy = format!("Use {SECRET_CHARS_MIN} characters or more, as `openssl rand -base64 32` makes them");
        layers.problems.push(Problem::new(SECRET, source, "the secret is short enough to be guessed", remedy));
    }
    Some(secret)
}

/// The keys of one number: the first set that is whole submits, others only go on with their jobs.
fn numbered(layers: &mut Layers, variables: &Variables, own: &catalog::Account<'_>, suffix: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    for set in &own.key_env {
        let names: Vec<String> = set.iter().map(|name| format!("{name}{suffix}")).collect();
        let mut values = Vec::with_capacity(names.len());
        for name in &names {
            match key(variables, name).transpose() {
                Ok(value) => values.extend(value),
                Err(problem) => layers.problems.push(problem),
            }
        }
        if values.len() == names.len() && !names.is_empty() {
            let weight = if keys.is_empty() { weight(layers, variables, &names[0]) } else { 0 };
            let (name, credential) = (names[0].clone(), Credential(values));
            keys.push(Key { name, variables: names, weight, credential, source: None, parallel: 0 });
        }
    }
    keys
}

fn weight_of(name: &str) -> String {
    format!("{name}_WEIGHT")
}

fn weight(layers: &mut Layers, variables: &Variables, name: &str) -> u32 {
    let name = weight_of(name);
    let Some((text, source)) = variables.get(&name).filter(|(text, _)| !text.trim().is_empty()) else { return 1 };
    weight_in(text).unwrap_or_else(|| {
        // Its text is not repeated: it may be a key that was put into the wrong line.
        let remedy = format!("Use a whole number, 1 to {WEIGHT_MAX}");
        layers.problems.push(Problem::new(name, source, "that is no weight", remedy));
        1
    })
}

fn weight_in(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|weight| (1..=WEIGHT_MAX).contains(weight))
}

/// A key that is set, without the blanks that copying leaves around it.
pub fn key(variables: &Variables, name: &str) -> Option<Result<Secret, Problem>> {
    let (text, source) = variables.get(name)?;
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let readable = !text.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER);
    Some(readable.then(|| Secret::new(text)).ok_or_else(|| {
        let what = "the key holds a line break or another character that cannot be sent";
        Problem::new(name, source, what, "Copy the key once more, on one line")
    }))
}

/// Every set of key variables of a vendor, without a number at their ends.
fn sets<'a>(catalog: &Catalog, card: &'a VendorCard) -> Vec<&'a [String]> {
    let mut all: Vec<&[String]> = Vec::new();
    for set in catalog.accounts(card).into_iter().flat_map(|account| account.key_env) {
        if !all.contains(&set) {
            all.push(set);
        }
    }
    all
}

/// Each key variable, whether it is set, and where: for showing. No key is in it.
pub fn keys(variables: &Variables, catalog: &Catalog) -> Vec<Named> {
    let mut all: Vec<Named> = Vec::new();
    let mut add = |name: String, value: Option<String>, always: bool| {
        let source = source(variables, &name);
        if (always || source.is_some()) && !all.iter().any(|other| other.name == name) {
            all.push(Named { name, source, value });
        }
    };
    for set in catalog.vendors.iter().flat_map(|card| sets(catalog, card)) {
        for suffix in SUFFIXES {
            for name in set {
                add(format!("{name}{suffix}"), None, suffix.is_empty());
            }
            if let Some(first) = set.first() {
                let name = weight_of(&format!("{first}{suffix}"));
                let value = variables.get(&name).and_then(|(text, _)| weight_in(text)).map(|weight| weight.to_string());
                add(name, value, false);
            }
        }
    }
    all
}

/// Keys of which some variables are set and others are not.
pub fn half_set(variables: &Variables, catalog: &Catalog, card: &VendorCard) -> Vec<String> {
    let mut halves = Vec::new();
    for suffix in SUFFIXES {
        let named = |set: &[String]| set.iter().map(|name| format!("{name}{suffix}")).collect::<Vec<_>>();
        // The further names of a login are such that others use them too.
        let of_sessions = catalog.accounts(card).into_iter().filter(|own| own.session.is_some());
        let spare: Vec<&[String]> = of_sessions.flat_map(|own| own.key_env.into_iter().skip(1)).collect();
        for set in sets(catalog, card).into_iter().filter(|set| !spare.contains(set)).map(named) {
            let (set, unset): (Vec<_>, Vec<_>) = set.iter().partition(|name| source(variables, name).is_some());
            if let (Some(one), false) = (set.first(), unset.is_empty()) {
                let unset: Vec<&str> = unset.into_iter().map(String::as_str).collect();
                halves.push(format!("{one} has no effect alone: set {} as well.", unset.join(" and ")));
            }
        }
    }
    halves
}

/// Where a variable is set, if it is.
pub fn source(variables: &Variables, name: &str) -> Option<Source> {
    let (text, source) = variables.get(name)?;
    (!text.trim().is_empty()).then(|| source.clone())
}
