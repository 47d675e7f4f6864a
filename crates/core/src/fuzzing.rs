//! Entries for fuzzing: each takes any bytes, and panics only where a promise of ours is broken.

use crate::{
    catalog::{Catalog, parse_duration_ms},
    id::{MediaId, ModelId, TaskId},
    schema,
    size::{Level, Size, parse_ratio},
};

/// A name and what takes the bytes.
pub type Entry = (&'static str, fn(&[u8]));

/// The entries by name; each has a folder of seeds.
pub const TARGETS: &[Entry] = &[("texts", texts), ("catalog", catalog)];

/// Ids, sizes, ratios and durations, as callers write them.
pub fn texts(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(id) = ModelId::parse(text) {
        assert_eq!(format!("{}/{}", id.provider(), id.key()), text);
    }
    for shown in [TaskId::parse(text).map(|id| id.to_string()), MediaId::parse(text).map(|id| id.to_string())] {
        assert!(shown.is_none_or(|shown| shown == text));
    }
    if let Some(size) = Size::parse(text) {
        assert_eq!(Size::parse(&size.to_string()), Some(size));
        assert!(size.ratio() > 0.0 && size.pixels() > 0);
    }
    let ratio = parse_ratio(text);
    assert!(ratio.is_none_or(|ratio| (0.05..=20.0).contains(&ratio)), "{ratio:?}");
    if let Some(level) = Level::parse(text) {
        for ratio in [0.05, 1.0, 16.0 / 9.0, 20.0, ratio.unwrap_or(1.0)] {
            let size = level.at(ratio);
            assert!(size.width > 0 && size.height > 0 && size.pixels() < 1 << 40, "{size}");
        }
    }
    assert!(parse_duration_ms(text).is_none_or(|ms| ms <= 3_600_000));
}

/// A catalogue file, alone and as an operator's, and what follows from each of its models.
pub fn catalog(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let alone = [("fuzzed.toml", text)];
    if let Err(fault) = Catalog::layered(&alone, &alone) {
        assert!(!fault.place.is_empty() && !fault.wrong.is_empty());
    }
    let Ok(catalog) = Catalog::parse(&alone) else { return };
    for model in &catalog.models {
        let id = ModelId::parse(&model.id());
        assert!(id.is_some_and(|id| catalog.model(&id).is_some()), "{} is not found", model.id());
        assert!(schema::of(model)["properties"]["model"]["const"] == model.id());
        assert!(model.durations_ms().count() == model.durations.len() && model.n_per_call > 0);
        if let Some(makes) = &model.makes {
            for wanted in [Size::new(1, 1), Size::new(1024, 1024), Size::new(16_384, 820), Size::new(820, 16_384)] {
                makes.nearest(wanted);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    /// What a run of the fuzzer began with, and what one found.
    #[test]
    fn seeds_are_survived() {
        for (name, entry) in super::TARGETS {
            let folder = format!("{}/../../fuzz/seeds/{name}", env!("CARGO_MANIFEST_DIR"));
            let files: Vec<_> = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}")).collect();
            assert!(!files.is_empty(), "{folder} is empty");
            files.into_iter().for_each(|file| entry(&std::fs::read(file.unwrap().path()).unwrap()));
        }
    }
}
