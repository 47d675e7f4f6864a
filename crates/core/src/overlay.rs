//! Lays an operator's catalogue files over those that are compiled in, entry by entry and before
//! any is read: what comes out is judged as if it had stood in one file.

use crate::{
    catalog::{Model, VendorCard},
    request::Kind,
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{collections::HashMap, fmt};
use toml::Table;

/// A mistake in a catalogue file: where it is, what it is and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, and the entry of it where one is at fault.
    pub place: String,
    pub wrong: String,
    pub remedy: String,
}

/// What to do about most mistakes.
const COMPARE: &str = "Correct it; catalog/README.md explains each field";

impl Fault {
    pub fn new(file: &str, entry: &str, wrong: impl Into<String>) -> Self {
        let place = if entry.is_empty() { file.to_owned() } else { format!("{file}: {entry}") };
        Self { place, wrong: wrong.into(), remedy: COMPARE.to_owned() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}.", self.place, self.wrong, self.remedy)
    }
}

impl std::error::Error for Fault {}

/// A vendor with its models.
pub(crate) struct File {
    pub vendor: VendorCard,
    pub model: Vec<Model>,
}

/// Everything that the files say, laid over each other.
pub(crate) struct Laid {
    pub files: Vec<File>,
    pub aliases: Vec<Entry>,
    /// The models that the operator's files make the default of their types.
    pub chosen: HashMap<Kind, String>,
}

/// A file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    vendor: Option<Table>,
    #[serde(default)]
    model: Vec<Table>,
    #[serde(default)]
    alias: Vec<Table>,
}

/// An entry of one or several files.
pub(crate) struct Entry {
    pub name: String,
    /// The last file that gave one of its fields.
    pub origin: String,
    fields: Table,
    /// The operator wants it to be the default of its type.
    is_chosen: bool,
}

struct Layer {
    vendor: Entry,
    models: Vec<Entry>,
}

/// The vendors in the order in which the files name them first; later files win.
pub(crate) fn read(own: &[(&str, &str)], over: &[(&str, &str)]) -> Result<Laid, Fault> {
    let (mut layers, mut aliases) = (Vec::new(), Vec::new());
    for (name, text) in own {
        lay(&mut layers, &mut aliases, &format!("catalog/{name}"), text, false)?;
    }
    for (name, text) in over {
        lay(&mut layers, &mut aliases, name, text, true)?;
    }
    let mut chosen: HashMap<Kind, String> = HashMap::new();
    let mut files = Vec::new();
    for layer in layers {
        let mut vendor: VendorCard = typed(&layer.vendor)?;
        vendor.origin.clone_from(&layer.vendor.origin);
        let mut models = Vec::new();
        for entry in layer.models {
            let mut model: Model = typed(&entry)?;
            model.origin.clone_from(&entry.origin);
            if entry.is_chosen
                && let Some(other) = chosen.insert(model.kind, entry.name.clone())
            {
                return Err(two_defaults(&entry, &other));
            }
            models.push((model, entry.is_chosen));
        }
        files.push((vendor, models));
    }
    let settle = |(mut model, is_chosen): (Model, bool)| {
        model.default &= is_chosen || !chosen.contains_key(&model.kind);
        model
    };
    let file =
        |(vendor, models): (VendorCard, Vec<_>)| File { vendor, model: models.into_iter().map(settle).collect() };
    Ok(Laid { files: files.into_iter().map(file).collect(), aliases, chosen })
}

pub(crate) fn two_defaults(entry: &Entry, other: &str) -> Fault {
    let wrong = format!("it is to be the default of its type, and so is '{other}'");
    Fault::new(&entry.origin, &entry.name, wrong)
}

/// Lays one file over what is there. Two of our own files never describe the same vendor.
fn lay(layers: &mut Vec<Layer>, aliases: &mut Vec<Entry>, file: &str, text: &str, is_over: bool) -> Result<(), Fault> {
    let Written { vendor, model, alias } = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text.bytes().take(span.start).filter(|b| *b == b'\n').count());
        Fault::new(file, &format!("line {line}"), error.message())
    })?;
    if vendor.is_none() && (alias.is_empty() || !model.is_empty()) {
        let wrong = "it has no [vendor], which only a file of nothing but [[alias]] entries may leave out";
        return Err(Fault::new(file, "", wrong));
    }
    if let Some(vendor) = vendor {
        lay_vendor(layers, file, vendor, model, is_over)?;
    }
    let name_of = |fields: &Table| {
        text_of(fields, "id")
            .ok_or_else(|| Fault::new(file, "[[alias]]", "an alias has no id, such as pixel/best-image"))
    };
    lay_entries(aliases, file, alias, name_of, is_over)
}

fn lay_vendor(
    layers: &mut Vec<Layer>,
    file: &str,
    vendor: Table,
    models: Vec<Table>,
    is_over: bool,
) -> Result<(), Fault> {
    let id =
        text_of(&vendor, "id").ok_or_else(|| Fault::new(file, "[vendor]", "it has no id, such as id = \"acme\""))?;
    let known = layers.iter().position(|layer| layer.vendor.name == id);
    if known.is_some() && !is_over {
        return Err(Fault::new(file, "[vendor]", format!("the vendor '{id}' stands in another file")));
    }
    let at = known.unwrap_or_else(|| {
        layers.push(Layer { vendor: Entry::new(id.clone()), models: Vec::new() });
        layers.len() - 1
    });
    let layer = &mut layers[at];
    layer.vendor.take(file, vendor);
    let name_of = |fields: &Table| {
        let key = text_of(fields, "key").ok_or_else(|| Fault::new(file, "[[model]]", "a model has no key"))?;
        Ok(format!("{id}/{key}"))
    };
    lay_entries(&mut layer.models, file, models, name_of, is_over)
}

/// Within one file an entry stands once; in a later one its fields replace the earlier ones.
fn lay_entries(
    entries: &mut Vec<Entry>,
    file: &str,
    written: Vec<Table>,
    name_of: impl Fn(&Table) -> Result<String, Fault>,
    is_over: bool,
) -> Result<(), Fault> {
    let mut seen = Vec::new();
    for fields in written {
        let name = name_of(&fields)?;
        if seen.contains(&name) {
            return Err(Fault::new(file, &name, "it stands twice"));
        }
        seen.push(name.clone());
        let known = entries.iter().position(|entry| entry.name == name);
        let at = known.unwrap_or_else(|| {
            entries.push(Entry::new(name));
            entries.len() - 1
        });
        let entry = &mut entries[at];
        if let Some(default) = fields.get("default").filter(|_| is_over) {
            entry.is_chosen = default.as_bool() == Some(true);
        }
        entry.take(file, fields);
    }
    Ok(())
}

fn text_of(fields: &Table, name: &str) -> Option<String> {
    fields.get(name)?.as_str().map(ToOwned::to_owned)
}

impl Entry {
    fn new(name: String) -> Self {
        Self { name, origin: String::new(), fields: Table::new(), is_chosen: false }
    }

    /// A field that is given takes the place of the whole field.
    fn take(&mut self, file: &str, fields: Table) {
        file.clone_into(&mut self.origin);
        self.fields.extend(fields);
    }
}

pub(crate) fn typed<T: DeserializeOwned>(entry: &Entry) -> Result<T, Fault> {
    entry
        .fields
        .clone()
        .try_into()
        .map_err(|error: toml::de::Error| Fault::new(&entry.origin, &entry.name, error.message().trim_end_matches('.')))
}

#[cfg(test)]
mod tests {
    use crate::{catalog::Catalog, id::ModelId};

    const OWN: &[(&str, &str)] = &[(
        "acme.toml",
        r#"
        [vendor]
        id = "acme"
        name = "Acme"
        key_env = ["ACME_KEY"]
        base_url = "https://acme.example"
        concurrency = 3
        [[model]]
        key = "paint"
        name = "Paint"
        type = "image"
        form = "x"
        default = true
        resolutions = { 1K = { "1:1" = "1024*1024" } }
        price = { per = "image", micros = 5, currency = "EUR", source = "s", date = "d" }
        [[model]]
        key = "clip"
        name = "Clip"
        type = "video"
        form = "x"
        default = true
        "#,
    )];

    fn laid(over: &[(&str, &str)]) -> Catalog {
        Catalog::layered(OWN, over).unwrap_or_else(|fault| panic!("{fault}"))
    }

    #[test]
    fn given_fields_replace_and_the_rest_stays() {
        let over = "[vendor]\nid = 'acme'\nkey_env = ['MY_KEY']\nrate_per_min = 9\n[[model]]\nkey = 'paint'\n\
                    resolutions = { 2K = { '1:1' = '2048*2048' } }\n[[model]]\nkey = 'new'\nname = 'New'\ntype = 'image'\n\
                    form = 'x'\ndefault = true\n[[model]]\nkey = 'clip'\nenabled = false";
        let catalog = laid(&[("my/over.toml", over)]);
        let vendor = catalog.vendor("acme").unwrap();
        assert_eq!((vendor.name.as_str(), vendor.concurrency, vendor.rate_per_min), ("Acme", 3, 9));
        assert_eq!(vendor.key_env, ["MY_KEY"]);
        let model = |id: &str| catalog.model(&ModelId::parse(id).unwrap()).unwrap();
        assert_eq!(model("acme/paint").resolutions.keys().collect::<Vec<_>>(), ["2K"]);
        assert_eq!(model("acme/paint").price.as_ref().unwrap().micros, 5);
        assert_eq!((model("acme/paint").default, model("acme/new").default), (false, true));
        assert!(model("acme/clip").default && !model("acme/clip").enabled && model("acme/new").enabled);
        assert_eq!(catalog.models.iter().map(|m| m.key.as_str()).collect::<Vec<_>>(), ["paint", "clip", "new"]);
    }

    #[test]
    fn later_files_win_and_new_vendors_come_last() {
        let first = "[vendor]\nid = 'mine'\nname = 'Mine'\nadapter = 'acme'\nbase_url = 'http://127.0.0.1:1'\n\
                     [[model]]\nkey = 'a'\nname = 'A'\ntype = 'image'\nform = 'x'";
        let second = "[vendor]\nid = 'mine'\n[[model]]\nkey = 'a'\nname = 'Better'";
        let catalog = laid(&[("1.toml", first), ("2.toml", second)]);
        let ids: Vec<_> = catalog.vendors.iter().map(|vendor| (vendor.id.as_str(), vendor.adapter())).collect();
        assert_eq!(ids, [("acme", "acme"), ("mine", "acme")]);
        assert_eq!((catalog.models[2].name.as_str(), catalog.models[2].origin.as_str()), ("Better", "2.toml"));
    }

    #[test]
    fn a_mistake_is_named_by_file_and_entry() {
        let model = |more: &str| format!("[vendor]\nid = 'acme'\n[[model]]\nkey = 'paint'\n{more}");
        let new = |id: &str, more: &str| format!("[vendor]\nid = '{id}'\nname = 'N'\n{more}");
        for (text, place, says) in [
            ("[vendor]\nid = 'acme'\nx y".to_owned(), "o.toml: line 3", "="),
            ("[vendor]\nname = 'acme'".to_owned(), "o.toml: [vendor]", "has no id"),
            ("[vendor]\nid = 'acme'\n[[modle]]\nkey = 'x'".to_owned(), "o.toml: line 3", "unknown field `modle`"),
            ("[vendor]\nid = 'acme'\n[[model]]\nname = 'x'".to_owned(), "o.toml: [[model]]", "has no key"),
            (model("promt_chars_max = 5"), "o.toml: acme/paint", "unknown field `promt_chars_max`"),
            (model("seed = 'yes'"), "o.toml: acme/paint", "boolean"),
            (
                model("params = { x = { type = 'string', pattern = 'a' } }"),
                "o.toml: acme/paint",
                "'pattern' is not enforced",
            ),
            (model("[[model]]\nkey = 'paint'"), "o.toml: acme/paint", "stands twice"),
            (
                model("default = true\n[[model]]\nkey = 'p2'\nname = 'P'\ntype = 'image'\nform = 'x'\ndefault = true"),
                "o.toml: acme/p2",
                "so is 'acme/paint'",
            ),
            (model("[[model]]\nkey = 'a b'\nname = 'P'\ntype = 'image'\nform = 'x'"), "o.toml: acme/a b", "the key"),
            (new("a/b", ""), "o.toml: a/b", "the id"),
            (new("new", "key_env = ['A-B']"), "o.toml: new", "'A-B' is no name of a variable"),
            ("[vendor]\nid = 'new'".to_owned(), "o.toml: new", "missing field `name`"),
        ] {
            let fault = Catalog::layered(OWN, &[("o.toml", &text)]).map(|_| ()).unwrap_err();
            assert!(fault.place == place && fault.wrong.contains(says), "{text}: {fault}");
            assert!(fault.to_string().ends_with(&format!("{}.", fault.remedy)), "{fault}");
        }
        let twice = Catalog::parse(&[OWN[0], OWN[0]]).map(|_| ()).unwrap_err();
        assert!(twice.to_string().contains("'acme' stands in another file"), "{twice}");
    }
}
