//! What only shows when settings are seen together: refusals, and warnings.

use super::{
    bucket,
    layers::{Layers, Source, Variables, nearest},
    problem::Problem,
    settings::{CorsOrigins, Settings},
    vendors,
};
use pixel_core::catalog::{Catalog, VendorCard};
use url::{Host, Url};

/// Combinations with which Pixel does not start.
pub fn refuse(settings: &Settings, layers: &mut Layers) {
    if settings.listen.ip().is_loopback() || settings.allow_unauthenticated {
        return;
    }
    let source = layers.find("listen").map_or(Source::Default, |entry| entry.source.clone());
    let what = format!(
        "{} can be reached from beyond this machine, and Pixel does not yet ask callers who they are: \
         anyone could spend your vendor credit and read your media",
        settings.listen
    );
    let remedy = "Listen on 127.0.0.1, or, when something in front of Pixel keeps strangers out, set \
                  PIXEL_ALLOW_UNAUTHENTICATED=true (allow_unauthenticated = true in the file)";
    layers.problems.push(Problem::new("listen", source, what, remedy));
}

/// What is allowed but deserves a second look, in full sentences.
pub fn warnings(settings: &Settings, layers: &Layers, variables: &Variables, catalog: &Catalog) -> Vec<String> {
    let mut all = Vec::new();
    let beyond = !settings.listen.ip().is_loopback();
    if beyond {
        all.push(format!(
            "NO AUTHENTICATION: allow_unauthenticated is set and {} can be reached from beyond this machine. Anyone \
             who reaches it can spend your vendor credit and read your media.",
            settings.listen
        ));
    } else if settings.allow_unauthenticated {
        all.push(format!(
            "allow_unauthenticated is set without need: {} is reached from this machine only. Unset it.",
            settings.listen
        ));
    }
    if beyond && settings.public_url.is_none() {
        all.push(
            "public_url is not set: links to media use the host name of each request. Set PIXEL_PUBLIC_URL to the \
             address that clients use."
                .to_owned(),
        );
    }
    if settings.cors == CorsOrigins::Any {
        all.push(
            "cors.origins is \"*\": any web page that a browser here opens can use Pixel. List the pages that need it."
                .to_owned(),
        );
    }
    all.extend(bucket::warning(layers, settings.bucket.is_some()));
    all.extend(catalog.vendors.iter().flat_map(|card| vendor_warnings(settings, variables, catalog, card)));
    all.extend(sealing_warning(settings));
    all.extend(mistyped(layers, variables));
    all
}

/// Servers that share a database have to open each other's seals.
fn sealing_warning(settings: &Settings) -> Option<String> {
    let mut accounts = settings.vendors.values().flat_map(|vendor| &vendor.accounts);
    let is_used = accounts.any(|own| own.session.as_ref().is_some_and(|session| !session.logins.is_empty()));
    let is_alone = settings.database.url.is_none() || settings.secret.is_some();
    (is_used && !is_alone).then(|| {
        format!(
            "{} is not set: this server seals the sessions of accounts with a key of its own, which other servers \
             with the same database cannot open. Set the same text of 16 characters or more on each.",
            vendors::SECRET
        )
    })
}

fn vendor_warnings(settings: &Settings, variables: &Variables, catalog: &Catalog, card: &VendorCard) -> Vec<String> {
    let Some(vendor) = settings.vendors.get(&card.id) else { return Vec::new() };
    let mut all = vendors::half_set(variables, catalog, card);
    let is_local = |url: &str| {
        Url::parse(url).is_ok_and(|url| match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        })
    };
    let mut urls = vendor.accounts.iter().map(|own| own.account.base_url.as_str());
    if card.needs_key() && urls.any(|url| url.starts_with("http://") && !is_local(url)) {
        all.push(format!("vendors.{}.base_url is http://: the key travels there unencrypted.", card.id));
    }
    all
}

/// Variables of ours that are one or two letters off. Others are left alone: an orchestrator may
/// set its own that start with PIXEL_.
fn mistyped(layers: &Layers, variables: &Variables) -> Vec<String> {
    let known = || {
        layers.entries.iter().filter_map(|entry| entry.setting.env.as_deref()).chain([
            "PIXEL_CONFIG",
            vendors::SECRET,
            super::crash::VARIABLE,
        ])
    };
    let ours = variables.keys().filter(|name| name.starts_with("PIXEL_") && !known().any(|other| other == *name));
    let near = ours.filter_map(|name| Some((name, nearest(name, known())?)));
    near.map(|(name, meant)| format!("The variable {name} is not known and has no effect. Did you mean {meant}?"))
        .collect()
}
