//! The catalogue as compiled in: every file parses, and what the public contract names is there.

use pixel_core::{
    catalog::{Catalog, Model},
    id::ModelId,
    request::Kind,
    size::Makes,
};

#[test]
fn the_catalogue_names_what_the_contract_names() {
    let catalog = Catalog::parse(pixel_vendors::CATALOG).expect("the catalogue parses");
    let promised = [
        ("dashscope/qwen-image", Kind::Image),
        ("modelscope/qwen-image", Kind::Image),
        ("dashscope/wan2.6-video", Kind::Video),
        ("volcengine/doubao-tts", Kind::Audio),
        ("dashscope/qwen-plus", Kind::Llm),
    ];
    for (id, kind) in promised {
        let model = catalog.model(&ModelId::parse(id).unwrap()).unwrap_or_else(|| panic!("'{id}' is missing"));
        assert_eq!(model.kind, kind, "{id}");
        if kind == Kind::Image {
            for (level, ratio, size) in [
                ("1K", "16:9", "1280*720"),
                ("1K", "1:1", "1024*1024"),
                ("2K", "16:9", "2560*1440"),
                ("2K", "1:1", "2048*2048"),
            ] {
                assert_eq!(
                    model.listed_size(level, ratio).map(|s| s.to_string()).as_deref(),
                    Some(size),
                    "{id} {level} {ratio}"
                );
            }
        }
    }
    for kind in Kind::ALL {
        let defaults: Vec<_> = catalog.models.iter().filter(|m| m.kind == kind && m.default).map(Model::id).collect();
        assert_eq!(defaults.len(), 1, "defaults of {}: {defaults:?}", kind.as_str());
    }
    let voice = &catalog.model(&ModelId::parse("volcengine/doubao-tts").unwrap()).unwrap().voices[0];
    assert_eq!((voice.id.as_str(), voice.name.as_str()), ("zh_female_qingxin", "清新女声"));
}

#[test]
fn every_adapter_speaks_for_a_vendor_of_its_own() {
    let catalog = Catalog::parse(pixel_vendors::CATALOG).expect("the catalogue parses");
    for (at, vendor) in pixel_vendors::all().iter().enumerate() {
        let spoken =
            catalog.models.iter().filter(|model| model.provider == vendor.id() && vendor.speaks(model)).count();
        assert!(spoken > 0, "'{}' speaks none of its models", vendor.id());
        assert!(
            pixel_vendors::all()[..at].iter().all(|other| other.id() != vendor.id()),
            "'{}' stands twice",
            vendor.id()
        );
    }
}

#[test]
fn sizes_listed_for_a_vendor_that_makes_any_are_made_exactly() {
    let catalog = Catalog::parse(pixel_vendors::CATALOG).expect("the catalogue parses");
    // Some sizes of dashscope/qwen-image are the contract's, not the vendor's.
    let of_these = |model: &&Model| match model.provider.as_str() {
        "openai" | "volcengine" => true,
        "dashscope" => matches!(model.makes, Some(Makes::Range(_))),
        _ => false,
    };
    let bounded = catalog.models.iter().filter(of_these).filter_map(|model| Some((model, model.makes.as_ref()?)));
    for (model, makes) in bounded {
        for (level, ratios) in &model.resolutions {
            for ratio in ratios.as_table().expect("a table").keys() {
                let listed = model.listed_size(level, ratio).expect("a size");
                assert_eq!(makes.nearest(listed), listed, "{} {level} {ratio}", model.id());
            }
        }
    }
}
