//! What this server offers of the catalogue: who answers a model, and whether it is enabled.

use super::{envelope::ApiError, state::App};
use pixel_core::{
    catalog::{Alias, Model},
    id::ModelId,
};

/// The vendor that stands in for every model when no key is configured.
const SANDBOX: &str = pixel_vendors::SANDBOX;

/// How a model is answered here.
pub struct Offer<'a> {
    /// The vendor whose lane carries it out.
    pub vendor: &'a str,
    /// Whether the sandbox answers.
    pub sandbox: bool,
    /// Why it is disabled: a sentence with the remedy.
    pub disabled: Option<String>,
}

impl App {
    pub fn offer<'a>(&'a self, card: &'a Model) -> Offer<'a> {
        let off = self.why_off(card);
        if let Some(alias) = self.alias_of(card) {
            return self.offer_alias(alias, off);
        }
        if self.settings.sandbox || card.provider == SANDBOX {
            return Offer { vendor: SANDBOX, sandbox: true, disabled: off };
        }
        Offer { vendor: &card.provider, sandbox: false, disabled: off.or_else(|| self.why_disabled(card)) }
    }

    /// Usable while one of its members is.
    fn offer_alias<'a>(&'a self, alias: &'a Alias, off: Option<String>) -> Offer<'a> {
        let mut offers: Vec<Offer<'a>> = self.members(alias).map(|(_, card)| self.offer(card)).collect();
        let usable = offers.iter().position(|offer| offer.disabled.is_none());
        // An alias has at least one member.
        let mut offer = offers.swap_remove(usable.unwrap_or(0));
        let id = alias.card.id();
        let none = offer.disabled.take().map(|why| format!("No model of '{id}' can be used here. {why}"));
        offer.disabled = off.or(none);
        offer
    }

    pub fn alias_of(&self, card: &Model) -> Option<&Alias> {
        let is_it = |alias: &&Alias| alias.card.provider == card.provider && alias.card.key == card.key;
        self.catalog.aliases.iter().find(is_it)
    }

    pub fn members<'a>(&'a self, alias: &'a Alias) -> impl Iterator<Item = (&'a ModelId, &'a Model)> {
        alias.members.iter().filter_map(|member| Some((&member.model, self.catalog.model(&member.model)?)))
    }

    /// Switched off in the catalogue, whatever keys there are.
    fn why_off(&self, card: &Model) -> Option<String> {
        let is_on = card.enabled && self.catalog.vendor(&card.provider).is_none_or(|vendor| vendor.enabled);
        let id = card.id();
        (!is_on).then(|| format!("'{id}' is switched off on this server; /api/v1/models lists what can be used"))
    }

    fn why_disabled(&self, card: &Model) -> Option<String> {
        let id = card.id();
        let service = card.service.as_deref();
        let own = self.settings.vendors.get(&card.provider)?.account(service)?;
        if !own.is_usable() {
            return Some(format!("Set {} to enable '{id}'", own.wanted()));
        }
        if !ModelId::parse(&id).is_some_and(|id| self.spoken.contains(&id)) {
            return Some(format!(
                "'{id}' is not served by this version of Pixel yet; start it with --sandbox to try it"
            ));
        }
        let why = self.engine.lane(&card.provider)?.why_parked(service)?;
        if own.session.is_some() {
            return Some(format!("'{id}' is disabled, because its account is parked: {why}"));
        }
        let keys = own.account.keys.iter().filter(|key| key.weight > 0).map(|key| key.variables.join(" and "));
        let keys = keys.collect::<Vec<_>>().join(", ");
        Some(format!("'{id}' is disabled for some minutes, because its vendor refused the credential in {keys}: {why}"))
    }

    /// The model or alias of a request, by the contract's two sentences.
    pub fn find_model(&self, text: &str) -> Result<&Model, ApiError> {
        // The value as given, but for one that is no id at all.
        let end = text.char_indices().nth(200).map_or(text.len(), |(end, _)| end);
        let text = &text[..end];
        let id = ModelId::parse(text).ok_or_else(|| {
            ApiError::bad(format!(
                // tidy: the contract quotes this id in its own words
                "Model must be in format 'provider/model_key', got: '{text}'. Example: 'dashscope/qwen-image'"
            ))
        })?;
        let alias = || self.catalog.alias(&id).map(|alias| &alias.card);
        self.catalog.model(&id).or_else(alias).ok_or_else(|| {
            ApiError::missing(format!("Model '{text}' not found. Available models can be fetched from /api/v1/models"))
        })
    }
}
