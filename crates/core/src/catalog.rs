//! Which vendors and models there are. All of it is data: `catalog/<vendor>.toml`.

mod aliases;
mod check;
mod session;

pub use session::{Address, Session};

pub use aliases::{Alias, Member};

use crate::{
    id::ModelId,
    overlay::{self, Entry, Fault},
    price::Price,
    request::{Kind, Mode},
    size::{Makes, Size, decimal},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    ops::RangeInclusive,
};
use toml::Table;

/// One vendor as its file describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorCard {
    pub id: String,
    /// The file that described it last.
    #[serde(skip)]
    pub origin: String,
    /// Whose wire forms it speaks, where that is another: see [`Self::adapter`].
    #[serde(default, rename = "adapter")]
    pub speaks_as: Option<String>,
    #[serde(default = "yes")]
    pub enabled: bool,
    pub name: String,
    /// Environment variables that must all be set; empty for a vendor that needs no key.
    #[serde(default)]
    pub key_env: Vec<String>,
    /// The vendor's services, where each has a credential and a host of its own.
    #[serde(default, rename = "service")]
    pub services: Vec<Service>,
    #[serde(default)]
    pub base_url_env: Option<String>,
    #[serde(default)]
    pub base_url: String,
    /// Where chat completions are asked for, behind the base URL.
    #[serde(default)]
    pub chat_path: Option<String>,
    /// Submissions that may run at the same time; 0 is no limit.
    #[serde(default)]
    pub concurrency: u32,
    /// Submissions per minute; 0 is no limit.
    #[serde(default)]
    pub rate_per_min: u32,
}

/// One of a vendor's services: what its models need in place of the vendor's own fields.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub id: String,
    /// Sets of variables; the first of which all are set is the credential.
    pub key_env: Vec<Vec<String>>,
    /// The variable of the vendor's base URL stands for that of all its services.
    pub base_url: String,
    #[serde(default)]
    pub chat_path: Option<String>,
    /// Set where a person's own account is used, as that person would.
    #[serde(default)]
    pub session: Option<Session>,
}

impl VendorCard {
    /// Where chats with a model go, behind its base URL: as its service says, else as the vendor.
    pub fn chat_path(&self, model: &Model) -> Option<&str> {
        let service = self.services.iter().find(|service| Some(&service.id) == model.service.as_ref());
        service.and_then(|service| service.chat_path.as_deref()).or(self.chat_path.as_deref())
    }
}

/// Where calls go and with which keys: a vendor itself, or one of its services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    pub service: Option<&'a str>,
    /// Sets of variables; none where no key is needed.
    pub key_env: Vec<&'a [String]>,
    pub base_url: &'a str,
    pub session: Option<&'a Session>,
}

impl VendorCard {
    pub fn needs_key(&self) -> bool {
        !self.key_env.is_empty() || !self.services.is_empty()
    }
}

/// One model as its entry describes it. The README of `catalog/` explains each field once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// `model_key`; with the vendor's id it makes the composite id.
    pub key: String,
    #[serde(skip)]
    pub provider: String,
    /// The file that described it last.
    #[serde(skip)]
    pub origin: String,
    #[serde(default = "yes")]
    pub enabled: bool,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Which of the vendor's wire forms serves it; an adapter says which forms it speaks.
    pub form: String,
    /// The vendor's own id of the model, and the one used when reference inputs are given.
    #[serde(default)]
    pub vendor_model: String,
    #[serde(default)]
    pub vendor_model_ref: Option<String>,
    /// The vendor's id for a [`Mode`], by its name in `extraParams.mode`, where it is another.
    #[serde(default)]
    pub vendor_models: BTreeMap<Mode, String>,
    /// Which of the vendor's services has it; none for a vendor that has no services.
    #[serde(default)]
    pub service: Option<String>,
    #[serde(default)]
    pub default: bool,
    #[serde(default)]
    pub prompt_chars_max: Option<usize>,
    #[serde(default)]
    pub negative_prompt: bool,
    #[serde(default)]
    pub seed: bool,
    #[serde(default)]
    pub loras: bool,
    #[serde(default)]
    pub speed: bool,
    /// How many reference pictures it takes (a clip's first frame is one).
    #[serde(default)]
    pub ref_images: u32,
    #[serde(default)]
    pub last_frame: bool,
    /// Ways of using its inputs, by the names of `extraParams.mode`.
    #[serde(default)]
    pub modes: Vec<Mode>,
    #[serde(default)]
    pub video_input: bool,
    #[serde(default)]
    pub audio_input: bool,
    /// Results of one submission; more are more submissions.
    #[serde(default = "one")]
    pub n_per_call: u32,
    /// Level → ratio → `W*H`, in the order in which they are shown.
    #[serde(default)]
    pub resolutions: Table,
    /// What the vendor can make; absent when it makes every size of `resolutions`.
    #[serde(default)]
    pub makes: Option<Makes>,
    /// `"5s"` → what a person reads.
    #[serde(default)]
    pub durations: Table,
    /// Level → the durations that are made at it, where those are fewer than `durations`.
    #[serde(default)]
    pub durations_at: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub voices: Vec<Voice>,
    #[serde(default)]
    pub price: Option<Price>,
    /// Further parameters, by name, each a small JSON Schema.
    #[serde(default)]
    pub params: Table,
    #[serde(default)]
    pub times: Times,
    /// The day on which the vendor turns it off.
    #[serde(default)]
    pub retires: Option<String>,
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

impl VendorCard {
    /// The id of the adapter that calls it.
    pub fn adapter(&self) -> &str {
        self.speaks_as.as_deref().unwrap_or(&self.id)
    }

    /// Whether it is reached over a network; the others work inside this process.
    pub fn is_remote(&self) -> bool {
        self.base_url_env.is_some() || !self.base_url.is_empty() || !self.services.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voice {
    pub id: String,
    pub name: String,
    pub language: String,
    /// The vendor's own name of it, where that is another; callers do not see it.
    #[serde(default, skip_serializing)]
    pub vendor_id: Option<String>,
}

/// How long a model's calls and tasks may take.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Times {
    /// The wait before the first poll; later ones grow by half to `poll_max_ms`.
    pub poll_ms: u64,
    pub poll_max_ms: u64,
    /// One submission, from its first byte to the end of its answer.
    pub submit_timeout_ms: u64,
    /// From acceptance to the end.
    pub deadline_s: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self { poll_ms: 2_000, poll_max_ms: 15_000, submit_timeout_ms: 60_000, deadline_s: 3_600 }
    }
}

impl Model {
    pub fn id(&self) -> String {
        format!("{}/{}", self.provider, self.key)
    }

    /// The vendor's own id for a request: by its mode, else by whether there are inputs.
    pub fn vendor_model_for(&self, mode: Option<Mode>, has_inputs: bool) -> &str {
        let by_mode = mode.and_then(|mode| self.vendor_models.get(&mode));
        let by_inputs = self.vendor_model_ref.as_ref().filter(|_| has_inputs);
        by_mode.or(by_inputs).unwrap_or(&self.vendor_model)
    }

    /// The size that a level and ratio stand for in this model's own table.
    pub fn listed_size(&self, level: &str, ratio: &str) -> Option<Size> {
        let text = self.resolutions.get(level)?.as_table()?.get(ratio)?.as_str()?;
        Size::parse(text)
    }

    /// The level and the ratio under which a size is listed.
    pub fn place_of(&self, size: Size) -> Option<(&str, &str)> {
        let levels = self.resolutions.iter().filter_map(|(level, ratios)| Some((level, ratios.as_table()?)));
        let mut all = levels.flat_map(|(level, ratios)| ratios.iter().map(move |(ratio, text)| (level, ratio, text)));
        let found = all.find(|(_, _, text)| text.as_str().and_then(Size::parse) == Some(size));
        found.map(|(level, ratio, _)| (level.as_str(), ratio.as_str()))
    }

    /// Durations offered at a size, in milliseconds.
    pub fn durations_at(&self, size: Option<Size>) -> Vec<u32> {
        let level = size.and_then(|size| self.place_of(size)).map(|(level, _)| level);
        match level.and_then(|level| self.durations_at.get(level)) {
            Some(few) => few.iter().filter_map(|text| parse_duration_ms(text)).collect(),
            None => self.durations_ms().collect(),
        }
    }

    /// Durations offered, in milliseconds, ascending as listed.
    pub fn durations_ms(&self) -> impl Iterator<Item = u32> + '_ {
        self.durations.keys().filter_map(|key| parse_duration_ms(key))
    }
}

/// `5s`, `5`, `7.5s` in milliseconds.
pub fn parse_duration_ms(text: &str) -> Option<u32> {
    let text = text.trim();
    let seconds = decimal(text.strip_suffix(['s', 'S']).unwrap_or(text))?;
    // Bounded by an hour, so the product fits.
    SECONDS.contains(&seconds).then(|| (seconds * 1000.0).round() as u32)
}

/// From a millisecond to an hour.
pub const SECONDS: RangeInclusive<f64> = 0.001..=3600.0;

/// What [`parse_duration_ms`] reads, as a schema says it.
pub const DURATION_PATTERN: &str = concat!(
    r"^(?:\s*(?:0*(?:[1-9][0-9]{0,2}|[12][0-9]{3}|3[0-5][0-9]{2})(?:\.[0-9]*)?",
    r"|0*3600(?:\.0*)?|0*\.[0-9]{0,2}[1-9][0-9]*)[sS]?\s*)?$"
);

/// Every vendor and model, in the order of the files.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    pub vendors: Vec<VendorCard>,
    pub models: Vec<Model>,
    /// Names of the operator's for several models, in the order of the files.
    pub aliases: Vec<Alias>,
    /// How many files of the operator's own lie over the built-in ones.
    pub laid_over: usize,
    by_id: HashMap<String, usize>,
}

impl Catalog {
    /// Reads catalogue files, each given as (name, text).
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, Fault> {
        Self::layered(files, &[])
    }

    /// The same with an operator's files over them, in their order.
    pub fn layered(own: &[(&str, &str)], over: &[(&str, &str)]) -> Result<Self, Fault> {
        let mut all = Self { laid_over: over.len(), ..Self::default() };
        let laid = overlay::read(own, over)?;
        for file in laid.files {
            let vendor = file.vendor;
            check::vendor(&vendor).map_err(|why| Fault::new(&vendor.origin, &vendor.id, why))?;
            for mut model in file.model {
                model.provider.clone_from(&vendor.id);
                check::model(&vendor, &model).map_err(|why| Fault::new(&model.origin, &model.id(), why))?;
                all.by_id.insert(model.id(), all.models.len());
                all.models.push(model);
            }
            all.vendors.push(vendor);
        }
        all.name_aliases(&laid.aliases, laid.chosen)?;
        Ok(all)
    }

    /// `chosen`: the models that the operator's files make the default of their types.
    fn name_aliases(&mut self, entries: &[Entry], mut chosen: HashMap<Kind, String>) -> Result<(), Fault> {
        for entry in entries {
            let alias = aliases::read(entry, self)?;
            let kind = alias.card.kind;
            if alias.card.default {
                if let Some(other) = chosen.insert(kind, entry.name.clone()) {
                    return Err(overlay::two_defaults(entry, &other));
                }
                self.models.iter_mut().filter(|model| model.kind == kind).for_each(|model| model.default = false);
            }
            self.aliases.push(alias);
        }
        Ok(())
    }

    pub fn alias(&self, id: &ModelId) -> Option<&Alias> {
        self.aliases.iter().find(|alias| alias.card.provider == id.provider() && alias.card.key == id.key())
    }

    pub fn model(&self, id: &ModelId) -> Option<&Model> {
        self.position(id).and_then(|at| self.models.get(at))
    }

    /// Where in [`Self::models`] a model stands.
    pub fn position(&self, id: &ModelId) -> Option<usize> {
        self.by_id.get(id.as_str()).copied()
    }

    pub fn vendor(&self, id: &str) -> Option<&VendorCard> {
        self.vendors.iter().find(|vendor| vendor.id == id)
    }

    /// The vendor's own account, where a model needs it, and those of its services.
    pub fn accounts<'a>(&self, card: &'a VendorCard) -> Vec<Account<'a>> {
        let is_own = |model: &Model| model.provider == card.id && model.service.is_none();
        let own = (card.services.is_empty() || self.models.iter().any(is_own)).then(|| Account {
            service: None,
            key_env: if card.key_env.is_empty() { Vec::new() } else { vec![card.key_env.as_slice()] },
            base_url: &card.base_url,
            session: None,
        });
        let services = card.services.iter().map(|service| Account {
            service: Some(&service.id),
            key_env: service.key_env.iter().map(Vec::as_slice).collect(),
            base_url: &service.base_url,
            session: service.session.as_ref(),
        });
        own.into_iter().chain(services).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VENDOR: &str = "[vendor]\nid = 'mixed'\nname = 'Mixed'\nbase_url = 'https://own.example'\n";
    const SERVICE: &str = "[[vendor.service]]\nid = 'clips'\nkey_env = [['TOKEN'], ['ID', 'SECRET']]\nbase_url = 'https://clips.example'\n";

    fn model(service: &str) -> String {
        format!("[[model]]\nkey = 'm'\nname = 'M'\ntype = 'image'\nform = 'f'\n{service}\n")
    }

    fn parse(text: &str) -> Result<Catalog, String> {
        Catalog::parse(&[("mixed.toml", text)]).map_err(|fault| fault.to_string())
    }

    #[test]
    fn services_are_accounts_of_their_own() {
        let all = parse(&format!("{VENDOR}{SERVICE}{}", model("service = 'clips'"))).unwrap();
        let accounts = all.accounts(&all.vendors[0]);
        let [clips] = accounts.as_slice() else { panic!("{accounts:?}") };
        assert_eq!((clips.service, clips.base_url), (Some("clips"), "https://clips.example"));
        assert_eq!(clips.key_env, [vec!["TOKEN".to_owned()], vec!["ID".to_owned(), "SECRET".to_owned()]]);
        // A model without a service needs the vendor's own.
        let both = parse(&format!("{VENDOR}key_env = ['OWN']\n{SERVICE}{}", model(""))).unwrap();
        let services: Vec<_> = both.accounts(&both.vendors[0]).iter().map(|account| account.service).collect();
        assert_eq!(services, [None, Some("clips")]);
    }

    #[test]
    fn a_model_names_a_service_that_is_there() {
        let wrong = |text: String, why: &str| {
            let error = parse(&text).map(|_| ()).unwrap_err();
            assert!(error.contains(why), "{error}");
        };
        wrong(
            format!("{VENDOR}{SERVICE}{}", model("service = 'speech'")),
            "mixed/m: its vendor has no service 'speech'",
        );
        wrong(format!("{VENDOR}{SERVICE}{}", model("")), "mixed/m: it must name one of its vendor's services");
        wrong(format!("{VENDOR}{SERVICE}{SERVICE}"), "'clips' stands twice");
        wrong(format!("{VENDOR}{}", SERVICE.replace("['TOKEN']", "[]")), "none of them empty");
    }

    fn parse_chat(vendor: &str, model: &str) -> Result<Catalog, String> {
        let head = "[vendor]\nid = 'v'\nname = 'V'\nbase_url = 'https://v.example'";
        let one = "[[model]]\nkey = 'm'\nname = 'M'\ntype = 'llm'\nform = 'f'";
        let text = format!("{head}\n{vendor}\n{one}\n{model}");
        Catalog::parse(&[("v.toml", &text)]).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_chat_goes_where_its_service_says_and_else_as_its_vendor() {
        let services = "key_env = ['OWN']\nchat_path = '/vendor'\n[[vendor.service]]\nid = 'own'\nkey_env = [['K']]\n\
                        base_url = 'https://own.example'\nchat_path = '/own'\n\
                        [[vendor.service]]\nid = 'plain'\nkey_env = [['K']]\nbase_url = 'https://plain.example'";
        for (model, path) in [("", "/vendor"), ("service = 'own'", "/own"), ("service = 'plain'", "/vendor")] {
            let catalog = parse_chat(services, model).unwrap();
            assert_eq!(catalog.vendors[0].chat_path(&catalog.models[0]), Some(path), "{model}");
        }
    }

    #[test]
    fn a_chat_that_leads_nowhere_is_refused() {
        assert!(parse_chat("", "").unwrap_err().contains("v/m: neither its vendor nor its service has a chat_path"));
        assert!(parse_chat("chat_path = 'chat'", "").unwrap_err().contains("begin with a slash"));
        assert!(
            Catalog::parse(&[(
                "v.toml",
                "[vendor]\nid = 'v'\nname = 'V'\n[[model]]\nkey = 'm'\nname = 'M'\ntype = 'llm'\nform = 'local'"
            )])
            .is_ok()
        );
    }
}
