//! People's accounts: which variables make one, and that nothing of them is shown.

use super::*;
use pixel_core::vendor::Secret;

const PEOPLE: &str = "[vendor]\nid = 'people'\nname = 'People'\n\
     [[vendor.service]]\nid = 'account'\nkey_env = [['P_EMAIL', 'P_PASSWORD'], ['EMAIL', 'PASSWORD'], ['P_TOKEN']]\n\
     base_url = 'https://calls.example'\n\
     [vendor.service.session]\nnotice = 'Your own account only.'\nlogin_path = '/login'\nparallel = 2\n\
     parallel_env = 'P_PARALLEL'\nheadless_env = 'P_HEADLESS'\n\
     web = { url = 'https://pages.example', env = 'P_WEB' }\nupload = { url = 'https://store.example', env = 'P_UPLOAD' }";

fn load(pairs: &[(&'static str, &'static str)]) -> Result<Loaded, Problems> {
    let catalog = Catalog::parse(&[("people.toml", PEOPLE)]).unwrap();
    let none = |_: &Path| Err(io::ErrorKind::NotFound.into());
    resolve(&Flags::default(), &Environment::of(pairs), &none, CORES, &catalog)
}

fn account(loaded: &Loaded) -> AccountSettings {
    loaded.settings.vendors["people"].account(Some("account")).unwrap().clone()
}

#[test]
fn the_sets_of_one_number_are_one_account() {
    let loaded = load(&[
        ("EMAIL", "one@example.org"),
        ("PASSWORD", "planted-password"),
        ("P_TOKEN", "planted-token"),
        ("P_TOKEN_3", "planted-third"),
        ("P_EMAIL_WEIGHT", "4"),
        ("P_PARALLEL", "7"),
        ("P_HEADLESS", "false"),
        ("P_WEB", "http://127.0.0.1:9/"),
        ("PIXEL_SECRET", "planted-secret-0123"),
    ])
    .unwrap();
    let own = account(&loaded);
    let keys: Vec<_> = own.account.keys.iter().map(|key| (key.name.as_str(), key.weight, key.parallel)).collect();
    assert_eq!(keys, [("P_EMAIL", 4, 7), ("P_EMAIL_3", 1, 7)], "known by the first variable, whichever is set");
    assert_eq!(own.account.keys[0].variables, ["EMAIL", "PASSWORD", "P_TOKEN"]);
    assert_eq!(own.account.urls, ["http://127.0.0.1:9", "https://store.example"]);
    let session = own.session.clone().unwrap();
    assert_eq!((session.login_url.as_str(), session.headless), ("http://127.0.0.1:9/login", false));
    let shown = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.reveal().to_owned());
    let [first, third] = session.logins.as_slice() else { panic!("{session:?}") };
    assert_eq!(shown(&first.username).as_deref(), Some("one@example.org"));
    assert_eq!((shown(&first.token).as_deref(), third.can_sign_in()), (Some("planted-token"), false));
    let printed = format!("{:?}{:?}", loaded.settings, loaded.rows);
    assert!(!printed.contains("planted") && !printed.contains("one@"), "{printed}");
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn half_a_login_makes_no_account() {
    // Many a machine has an address of its owner's in its environment.
    let loaded = load(&[("EMAIL", "somebody@example.org")]).unwrap();
    assert!(!account(&loaded).is_usable() && loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(account(&loaded).wanted(), "P_EMAIL and P_PASSWORD, or EMAIL and PASSWORD, or P_TOKEN");
    let loaded = load(&[("P_EMAIL", "somebody@example.org")]).unwrap();
    assert_eq!(loaded.warnings, ["P_EMAIL has no effect alone: set P_PASSWORD as well."]);
}

#[test]
fn servers_that_share_a_database_seal_with_the_same_secret() {
    let login = [("P_TOKEN", "planted-token"), ("DATABASE_URL", "postgres://u@h/d")];
    let loaded = load(&login).unwrap();
    assert!(loaded.warnings.iter().any(|text| text.contains("PIXEL_SECRET is not set")), "{:?}", loaded.warnings);
    let with_secret = [&login[..], &[("PIXEL_SECRET", "sixteen-letters!")]].concat();
    assert_eq!(load(&with_secret).unwrap().warnings, Vec::<String>::new());
    let short = [&login[..], &[("PIXEL_SECRET", "planted-short")]].concat();
    let refused = load(&short).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("PIXEL_SECRET") && !refused.contains("planted"), "{refused}");
}
