//! Aliases: an operator's own name for several models, with the order in which they are asked.

use super::{Catalog, Model, Times, check};
use crate::{
    ErrorKind,
    id::ModelId,
    overlay::{Entry, Fault, typed},
    price::Price,
    request::Kind,
};
use serde::Deserialize;
use toml::Table;

/// Members that an alias may have.
const MEMBERS_MAX: usize = 10;
const WEIGHT_MAX: u32 = 1000;
/// The kinds of failure that may lead to the next member: of each, the vendor certainly accepted nothing.
const LEADS: [ErrorKind; 6] = [
    ErrorKind::VendorRefused,
    ErrorKind::RateLimited,
    ErrorKind::VendorAuth,
    ErrorKind::VendorBalance,
    ErrorKind::VendorUnavailable,
    ErrorKind::ModerationBlocked,
];

/// A name that stands for several models.
#[derive(Clone, Debug)]
pub struct Alias {
    /// What callers see: what every member can do. Its provider is no vendor.
    pub card: Model,
    pub members: Vec<Member>,
    /// The failures that lead to the next member.
    pub fallback: Vec<ErrorKind>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub model: ModelId,
    /// Its share among members of the same order.
    #[serde(default = "one")]
    pub weight: u32,
    /// Members of the lowest order are asked first.
    #[serde(default = "one")]
    pub order: u32,
}

fn one() -> u32 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    name: String,
    #[serde(default = "super::yes")]
    enabled: bool,
    #[serde(default)]
    default: bool,
    members: Vec<Member>,
    fallback: Option<Vec<String>>,
}

impl Alias {
    /// Who is asked first, second, …: the members at `able`, by their order. Among the lowest one
    /// `roll`, any number, decides by weight; all others follow the heavier first.
    pub fn sequence(&self, able: &[usize], roll: u64) -> Vec<usize> {
        let of = |at: &usize| &self.members[*at];
        let mut sorted = able.to_vec();
        // Stable: the order of the file decides what is left.
        sorted.sort_by_key(|at| (of(at).order, std::cmp::Reverse(of(at).weight)));
        let first = sorted.iter().take_while(|at| of(at).order == of(&sorted[0]).order).copied();
        let total: u64 = first.clone().map(|at| u64::from(of(&at).weight)).sum();
        let mut left = roll % total.max(1);
        let chosen = first.enumerate().find(|(_, at)| {
            let weight = u64::from(of(at).weight);
            let is_chosen = left < weight;
            left = left.saturating_sub(weight);
            is_chosen
        });
        if let Some((place, at)) = chosen {
            sorted.remove(place);
            sorted.insert(0, at);
        }
        sorted
    }
}

/// Reads an entry against the models that there are.
pub(super) fn read(entry: &Entry, catalog: &Catalog) -> Result<Alias, Fault> {
    let fault = |wrong: String| Fault::new(&entry.origin, &entry.name, wrong);
    let written: Written = typed(entry)?;
    let id = check_id(&written.id, catalog).map_err(fault)?;
    let cards = members(&written.members, &id, catalog).map_err(fault)?;
    let fallback = leads(written.fallback.as_deref()).map_err(fault)?;
    let mut card = common(&cards);
    (card.provider, card.key, card.name) = (id.provider().to_owned(), id.key().to_owned(), written.name);
    (card.enabled, card.default) = (written.enabled, written.default);
    card.origin.clone_from(&entry.origin);
    Ok(Alias { card, members: written.members, fallback })
}

fn check_id(text: &str, catalog: &Catalog) -> Result<ModelId, String> {
    let id = ModelId::parse(text).ok_or("the id must be like 'pixel/best-image', with one slash")?;
    check::id(id.provider()).and_then(|()| check::key(id.key()))?;
    match catalog.vendor(id.provider()) {
        Some(_) => {
            Err(format!("id: '{}' is a vendor's name; use another before the slash, such as pixel", id.provider()))
        }
        None => Ok(id),
    }
}

fn members<'a>(members: &[Member], own: &ModelId, catalog: &'a Catalog) -> Result<Vec<&'a Model>, String> {
    if members.is_empty() || members.len() > MEMBERS_MAX {
        return Err(format!("members: there must be 1 to {MEMBERS_MAX} of them"));
    }
    let mut cards: Vec<&Model> = Vec::new();
    for (at, Member { model, weight, order }) in members.iter().enumerate() {
        let wrong = |why: String| Err(format!("members[{at}].{why}"));
        if model == own || catalog.alias(model).is_some() {
            return wrong(format!("model: '{model}' is an alias, and members are models"));
        }
        let Some(card) = catalog.model(model) else {
            return wrong(format!("model: there is no model '{model}'"));
        };
        if members[..at].iter().any(|earlier| earlier.model == *model) {
            return wrong(format!("model: '{model}' stands twice"));
        }
        if card.kind == Kind::Llm {
            return wrong(format!("model: '{model}' is for chat, and aliases are for pictures, clips and speech"));
        }
        if let Some(first) = cards.first().filter(|first| first.kind != card.kind) {
            let (kind, id, others) = (card.kind.as_str(), first.id(), first.kind.as_str());
            return wrong(format!("model: '{model}' is of type {kind}, but '{id}' of type {others}"));
        }
        if !(1..=WEIGHT_MAX).contains(weight) {
            return wrong(format!("weight: it must be 1 to {WEIGHT_MAX}; who is to come later has a higher order"));
        }
        if *order == 0 {
            return wrong("order: it begins with 1".to_owned());
        }
        cards.push(card);
    }
    Ok(cards)
}

/// Moderation is left out unless it is named: another vendor is no way around a safety system.
fn leads(words: Option<&[String]>) -> Result<Vec<ErrorKind>, String> {
    let Some(words) = words else {
        return Ok(LEADS.into_iter().filter(|kind| *kind != ErrorKind::ModerationBlocked).collect());
    };
    let read = |(at, word): (usize, &String)| {
        let known = LEADS.into_iter().find(|kind| kind.code() == word);
        known.ok_or_else(|| {
            let all = LEADS.map(|kind| format!("'{}'", kind.code())).join(", ");
            format!("fallback[{at}]: '{word}' is none of {all}")
        })
    };
    words.iter().enumerate().map(read).collect()
}

/// A card with what every one of these can do. Sizes and labels are those of the first.
fn common(cards: &[&Model]) -> Model {
    let every = |can: fn(&Model) -> bool| cards.iter().all(|card| can(card));
    let least = |of: fn(&Model) -> u32| cards.iter().map(|card| of(card)).min().unwrap_or_default();
    let mut shared = cards[0].clone();
    let same =
        |at: fn(&Model) -> &Table, key: &str, value: &toml::Value| cards.iter().all(|c| at(c).get(key) == Some(value));
    shared.params.retain(|name, spec| same(|card| &card.params, name, spec));
    shared.durations.retain(|key, _| cards.iter().all(|card| card.durations.contains_key(key)));
    shared.resolutions = resolutions(cards);
    shared.modes.retain(|mode| cards.iter().all(|card| card.modes.contains(mode)));
    shared.voices.retain(|voice| cards.iter().all(|card| card.voices.iter().any(|one| one.id == voice.id)));
    Model {
        prompt_chars_max: cards.iter().filter_map(|card| card.prompt_chars_max).min(),
        negative_prompt: every(|card| card.negative_prompt),
        seed: every(|card| card.seed),
        loras: every(|card| card.loras),
        speed: every(|card| card.speed),
        ref_images: least(|card| card.ref_images),
        last_frame: every(|card| card.last_frame),
        video_input: every(|card| card.video_input),
        audio_input: every(|card| card.audio_input),
        n_per_call: least(|card| card.n_per_call),
        price: dearest(cards),
        // The rest is each member's own: how it is called, what it makes of a size, how long it may take.
        form: String::new(),
        vendor_model: String::new(),
        vendor_model_ref: None,
        vendor_models: Default::default(),
        service: None,
        makes: None,
        durations_at: Default::default(),
        times: Times::default(),
        retires: None,
        ..shared
    }
}

/// The levels and ratios that every card lists.
fn resolutions(cards: &[&Model]) -> Table {
    let listed = |level: &str, ratio: &str| cards.iter().all(|card| card.listed_size(level, ratio).is_some());
    let level = |(level, ratios): (&String, &toml::Value)| {
        let mut ratios = ratios.as_table()?.clone();
        ratios.retain(|ratio, _| listed(level, ratio));
        (!ratios.is_empty()).then(|| (level.clone(), toml::Value::Table(ratios)))
    };
    cards[0].resolutions.iter().filter_map(level).collect()
}

/// The highest price, where all are in the same unit and currency.
fn dearest(cards: &[&Model]) -> Option<Price> {
    let prices: Option<Vec<&Price>> = cards.iter().map(|card| card.price.as_ref()).collect();
    let prices = prices?;
    let first = *prices.first()?;
    let is_same = |price: &&Price| price.per == first.per && price.currency == first.currency;
    prices.iter().all(is_same).then(|| prices.into_iter().max_by_key(|price| price.micros).cloned())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &[(&str, &str)] = &[
        (
            "acme.toml",
            r#"
            [vendor]
            id = "acme"
            name = "Acme"
            [[model]]
            key = "paint"
            name = "Paint"
            type = "image"
            form = "x"
            seed = true
            negative_prompt = true
            ref_images = 4
            prompt_chars_max = 900
            default = true
            resolutions = { 1K = { "1:1" = "1024*1024", "16:9" = "1280*720" }, 2K = { "1:1" = "2048*2048" } }
            params = { style = { type = "string" }, zoom = { type = "integer" } }
            price = { per = "image", micros = 5, currency = "EUR", source = "s", date = "d" }
            [[model]]
            key = "clip"
            name = "Clip"
            type = "video"
            form = "x"
            [[model]]
            key = "talk"
            name = "Talk"
            type = "llm"
            form = "local"
            "#,
        ),
        (
            "best.toml",
            r#"
            [vendor]
            id = "best"
            name = "Best"
            [[model]]
            key = "paint"
            name = "Best Paint"
            type = "image"
            form = "y"
            seed = true
            ref_images = 1
            resolutions = { 1K = { "1:1" = "1328*1328" } }
            params = { style = { type = "string" }, zoom = { type = "number" } }
            price = { per = "image", micros = 9, currency = "EUR", source = "t", date = "d" }
            [[model]]
            key = "paint-2"
            name = "Best Paint 2"
            type = "image"
            form = "y"
            "#,
        ),
    ];

    fn laid(text: &str) -> Result<Catalog, String> {
        Catalog::layered(OWN, &[("o.toml", text)]).map_err(|fault| fault.to_string())
    }

    fn alias(more: &str) -> String {
        format!("[[alias]]\nid = 'pixel/any'\nname = 'Any'\n{more}")
    }

    const TWO: &str = "members = [{ model = 'acme/paint', weight = 3 }, { model = 'best/paint' }]";

    #[test]
    fn an_alias_offers_what_every_member_can_do() {
        let catalog = laid(&alias(TWO)).unwrap();
        let id = ModelId::parse("pixel/any").unwrap();
        let card = &catalog.alias(&id).unwrap().card;
        assert_eq!((card.id().as_str(), card.kind, card.origin.as_str()), ("pixel/any", Kind::Image, "o.toml"));
        assert_eq!((card.seed, card.negative_prompt, card.ref_images), (true, false, 1));
        assert_eq!(card.prompt_chars_max, Some(900));
        assert_eq!(card.params.keys().collect::<Vec<_>>(), ["style"]);
        assert_eq!(toml::to_string(&card.resolutions).unwrap(), "[1K]\n\"1:1\" = \"1024*1024\"\n");
        assert_eq!(card.price.as_ref().unwrap().micros, 9, "the dearest");
        assert!(catalog.model(&id).is_none(), "no model of a vendor");
        assert!(!card.default && catalog.models[0].default);
        let usual = &catalog.alias(&id).unwrap().fallback;
        assert!(usual.contains(&ErrorKind::VendorRefused) && !usual.contains(&ErrorKind::ModerationBlocked));
    }

    #[test]
    fn an_alias_may_be_the_default_of_its_type() {
        let catalog = laid(&alias(&format!("default = true\n{TWO}"))).unwrap();
        assert!(catalog.aliases[0].card.default && !catalog.models[0].default);
        let model = "[vendor]\nid = 'acme'\n[[model]]\nkey = 'paint'\ndefault = true\n";
        let error = laid(&format!("{model}{}", alias(&format!("default = true\n{TWO}")))).unwrap_err();
        assert!(error.contains("o.toml: pixel/any") && error.contains("so is 'acme/paint'"), "{error}");
    }

    #[test]
    fn a_later_file_replaces_fields_and_a_file_may_hold_aliases_only() {
        let first = alias(TWO);
        let second = "[[alias]]\nid = 'pixel/any'\nname = 'Other'\nfallback = ['moderation_blocked']";
        let catalog = Catalog::layered(OWN, &[("1.toml", &first), ("2.toml", second)]).unwrap();
        let alias = &catalog.aliases[0];
        assert_eq!((alias.card.name.as_str(), alias.members.len()), ("Other", 2));
        assert_eq!(alias.fallback, [ErrorKind::ModerationBlocked]);
    }

    #[test]
    fn a_mistake_is_named_by_file_entry_and_field() {
        let members = |list: &str| alias(&format!("members = [{list}]"));
        let paint = "{ model = 'acme/paint' }";
        let eleven = vec![paint; 11].join(", ");
        for (text, says) in [
            (alias(""), "missing field `members`"),
            (members(""), "members: there must be 1 to 10"),
            (members(&eleven), "members: there must be 1 to 10"),
            (members("{ model = 'acme/none' }"), "members[0].model: there is no model 'acme/none'"),
            (members(&format!("{paint}, {paint}")), "members[1].model: 'acme/paint' stands twice"),
            (members("{ model = 'pixel/any' }"), "members[0].model: 'pixel/any' is an alias"),
            (members(&format!("{paint}, {{ model = 'acme/clip' }}")), "members[1].model: 'acme/clip' is of type video"),
            (members("{ model = 'acme/talk' }"), "members[0].model: 'acme/talk' is for chat"),
            (members("{ model = 'acme/paint', weight = 0 }"), "members[0].weight"),
            (members("{ model = 'acme/paint', order = 0 }"), "members[0].order"),
            (members("{ model = 'acme/paint', wieght = 2 }"), "unknown field `wieght`"),
            (alias(&format!("{TWO}\nfallback = ['vendor_failed']")), "fallback[0]: 'vendor_failed' is none of"),
            (alias(&format!("{TWO}\n{}", alias(TWO))), "it stands twice"),
            (alias(TWO).replace("pixel/any", "acme/any"), "id: 'acme' is a vendor's name"),
            (alias(TWO).replace("pixel/any", "any"), "with one slash"),
            (alias(TWO).replace("pixel/any", "pixel/a b"), "the key"),
        ] {
            let fault = Catalog::layered(OWN, &[("o.toml", &text)]).map(|_| ()).unwrap_err();
            assert!(fault.place.starts_with("o.toml: ") && fault.wrong.contains(says), "{text}: {fault}");
        }
        let error = laid("[[alias]]\nname = 'x'").unwrap_err();
        assert!(error.contains("o.toml: [[alias]]: an alias has no id"), "{error}");
        let two =
            format!("{}\n[[alias]]\nid = 'pixel/two'\nname = 'T'\nmembers = [{{ model = 'pixel/any' }}]", alias(TWO));
        assert!(laid(&two).unwrap_err().contains("'pixel/any' is an alias"));
    }

    #[test]
    fn the_lowest_order_comes_first_and_weights_decide_among_equals() {
        let list =
            "{ model = 'best/paint-2' }, { model = 'best/paint', weight = 3 }, { model = 'acme/paint', order = 2 }";
        let catalog = laid(&alias(&format!("members = [{list}]"))).unwrap();
        let alias = &catalog.aliases[0];
        let firsts: Vec<usize> = (0..4).map(|roll| alias.sequence(&[0, 1, 2], roll)[0]).collect();
        assert_eq!(firsts, [1, 1, 1, 0]);
        assert_eq!(alias.sequence(&[0, 1, 2], 3), [0, 1, 2]);
        assert_eq!(alias.sequence(&[2, 0], 3), [0, 2], "who is not able is left out");
        assert_eq!(alias.sequence(&[2], 7), [2]);
        assert_eq!(alias.sequence(&[], 7), [0; 0]);
    }
}
