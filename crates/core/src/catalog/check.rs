//! What an entry of the catalogue must be, beyond its fields having the right types.

use super::{Model, VendorCard, parse_duration_ms};
use crate::{
    capability::RESERVED,
    param,
    request::Kind,
    size::{Makes, Size, parse_ratio},
};
use toml::Value;

pub(super) fn vendor(vendor: &VendorCard) -> Result<(), String> {
    check_vendor(vendor)?;
    check_services(vendor)
}

pub(super) fn model(vendor: &VendorCard, model: &Model) -> Result<(), String> {
    check_service(vendor, model)?;
    check_chat(vendor, model)?;
    check_entry(model)
}

fn check_services(vendor: &VendorCard) -> Result<(), String> {
    if vendor.services.iter().filter(|service| service.session.is_some()).count() > 1 {
        return Err("only one of the services may have a session".to_owned());
    }
    for (at, service) in vendor.services.iter().enumerate() {
        if vendor.services[..at].iter().any(|earlier| earlier.id == service.id) {
            return Err(format!("the service '{}' stands twice", service.id));
        }
        if service.key_env.is_empty() || service.key_env.iter().any(Vec::is_empty) {
            return Err(format!(
                "the service '{}' needs at least one set of key variables, none of them empty",
                service.id
            ));
        }
    }
    Ok(())
}

/// A call must never go with another service's key, or to another service's host.
fn check_service(vendor: &VendorCard, model: &Model) -> Result<(), String> {
    match &model.service {
        Some(id) if !vendor.services.iter().any(|service| service.id == *id) => {
            Err(format!("its vendor has no service '{id}'"))
        }
        None if !vendor.services.is_empty() && vendor.key_env.is_empty() => {
            Err("it must name one of its vendor's services".to_owned())
        }
        _ => Ok(()),
    }
}

/// A vendor with a network needs a path for its chats.
fn check_chat(vendor: &VendorCard, model: &Model) -> Result<(), String> {
    match vendor.chat_path(model) {
        Some(path) if !path.starts_with('/') => Err(format!("the chat_path '{path}' does not begin with a slash")),
        None if model.kind == Kind::Llm && vendor.is_remote() => {
            Err("neither its vendor nor its service has a chat_path".into())
        }
        _ => Ok(()),
    }
}

/// What stands before the slash of a model's id.
pub(super) fn id(id: &str) -> Result<(), String> {
    // It is part of addresses and, in capitals, of variables.
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match id.len() <= 40 && id.starts_with(|c: char| c.is_ascii_lowercase()) && id.bytes().all(fits) {
        true => Ok(()),
        false => Err("the id must begin with a letter and have at most 40 of a-z, 0-9 and -".to_owned()),
    }
}

/// What stands behind it.
pub(super) fn key(key: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match (1..=100).contains(&key.len()) && key.bytes().all(fits) {
        true => Ok(()),
        false => Err("the key must be 1 to 100 letters, digits, dots, - and _".to_owned()),
    }
}

fn check_vendor(vendor: &VendorCard) -> Result<(), String> {
    id(&vendor.id)?;
    let variable = |name: &&String| {
        let mut bytes = name.bytes();
        bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let sessions = vendor.services.iter().filter_map(|service| service.session.as_ref());
    let sessions = sessions.flat_map(|one| [&one.web.env, &one.upload.env, &one.parallel_env, &one.headless_env]);
    let services = vendor.services.iter().flat_map(|service| service.key_env.iter().flatten()).chain(sessions);
    match vendor.key_env.iter().chain(services).chain(&vendor.base_url_env).find(|name| !variable(name)) {
        Some(name) => Err(format!("'{name}' is no name of a variable; keys themselves do not belong into this file")),
        None => Ok(()),
    }
}

fn check_entry(model: &Model) -> Result<(), String> {
    key(&model.key)?;
    for (level, ratios) in &model.resolutions {
        let ratios = ratios.as_table().ok_or_else(|| format!("resolutions.{level} is no table"))?;
        for (ratio, size) in ratios {
            let size = size.as_str().and_then(Size::parse);
            size.ok_or_else(|| format!("resolutions.{level}.'{ratio}' is no size such as 1280*720"))?;
            parse_ratio(ratio).ok_or_else(|| format!("resolutions.{level}: '{ratio}' is no ratio such as 16:9"))?;
        }
    }
    for (length, label) in &model.durations {
        let fits = parse_duration_ms(length).is_some() && matches!(label, Value::String(_));
        fits.then_some(()).ok_or_else(|| format!("durations.{length} is not such as 5s = \"5 s\""))?;
    }
    for (name, spec) in &model.params {
        if RESERVED.contains(&name.as_str()) {
            return Err(format!("params.{name}: the name is taken by a field of every model"));
        }
        param::check(spec).map_err(|why| format!("params.{name}: {why}"))?;
    }
    for (level, few) in &model.durations_at {
        let known = model.resolutions.contains_key(level) && few.iter().all(|one| model.durations.contains_key(one));
        let known = known && !few.is_empty();
        known.then_some(()).ok_or_else(|| format!("durations_at.{level} is not some durations of a level"))?;
    }
    if let Some(Makes::Range(bounds)) = &model.makes {
        bounds.check()?;
    }
    match model.n_per_call {
        0 => Err("n_per_call is at least 1".to_owned()),
        _ => Ok(()),
    }
}
