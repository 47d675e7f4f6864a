//! The section of the mobile apps' clips.

use super::*;

/// Two models of the vendor, as its own catalogue file has them.
fn load(
    files: Vec<(&'static str, &'static str)>,
    environment: &[(&'static str, &'static str)],
) -> Result<Apps, String> {
    let catalog = Catalog::parse(pixel_vendors::CATALOG).unwrap();
    let read_file = |path: &Path| {
        let file = files.iter().find(|(name, _)| Path::new(name) == path);
        file.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    let loaded = resolve(&Flags::default(), &Environment::of(environment), &read_file, CORES, &catalog);
    loaded.map(|loaded| loaded.settings.apps).map_err(|problems| problems.to_string())
}

#[test]
fn an_app_has_of_its_own_what_its_section_says() {
    let file = "[pixverse]\nduration = 8\n[pixverse.apps.\"com.a\"]\nmodel = \"v6\"\nduration = 15\n\
                [pixverse.apps.\"com.b\"]\ngenerations_per_min = 3\nway = \"account\"\n";
    let apps = load(vec![("pixel.toml", file)], &[]).unwrap();
    assert_eq!((apps.usual.model.as_str(), apps.usual.duration_s, apps.usual.per_min), ("v5", 8, 10));
    assert_eq!((apps.of("com.a").model.as_str(), apps.of("com.a").duration_s), ("v6", 15));
    assert_eq!((apps.of("com.b").per_min, apps.of("com.b").way, apps.of("com.b").duration_s), (3, Way::Account, 8));
    assert_eq!(apps.of("com.unknown"), &apps.usual);
}

#[test]
fn a_variable_says_the_same_in_one_text() {
    let text = "com.a=model:v6 aspect_ratio:9:16,com.b=generations_per_min:0";
    let apps = load(Vec::new(), &[("PIXEL_PIXVERSE_APPS", text)]).unwrap();
    assert_eq!((apps.of("com.a").model.as_str(), apps.of("com.a").aspect_ratio.as_str()), ("v6", "9:16"));
    assert_eq!((apps.of("com.b").per_min, apps.of("com.b").model.as_str()), (0, "v5"));
}

#[test]
fn what_cannot_be_made_is_refused_before_the_start() {
    for (file, says) in [
        ("[pixverse]\nmodel = \"v99\"", "'v99' is no model of it"),
        ("[pixverse]\nduration = 7", "pixverse.duration"),
        ("[pixverse]\nquality = \"480p\"", "Use one of 360p, 540p, 720p, 1080p"),
        ("[pixverse]\nway = \"cash\"", "Use auto, key or account"),
        ("[pixverse.apps.\"com.a\"]\nduration = 9", "app 'com.a': the model does not make its duration"),
        ("[pixverse]\nmodel = \"v6\"\naspect_ratio = \"21:9\"", "9:16 for the account, or set the way to 'key'"),
        (
            "[pixverse]\nmodel = \"v6\"\naspect_ratio = \"21:9\"\nway = \"account\"",
            "Use one of 16:9, 4:3, 1:1, 3:4, 9:16",
        ),
        ("[pixverse]\naspect_ratio = \"21:9\"\nway = \"key\"", "pixverse.aspect_ratio"),
        ("[pixverse.apps.\"com.a\"]\ncolour = \"red\"", "app 'com.a': there is no 'colour'"),
        ("[pixverse.apps]\n\"com.a\" = \"v6\"", "is no name:value"),
        ("[hold.projects.a]\nb = \"lost\"", "project 'a'"),
    ] {
        let said = load(vec![("pixel.toml", file)], &[]).unwrap_err();
        assert!(said.contains(says), "{file}: {said}");
    }
}

#[test]
fn a_way_that_is_chosen_is_judged_alone() {
    let file = "[pixverse]\nmodel = \"v6\"\naspect_ratio = \"21:9\"\nway = \"key\"";
    assert_eq!(load(vec![("pixel.toml", file)], &[]).unwrap().usual.aspect_ratio, "21:9");
}
