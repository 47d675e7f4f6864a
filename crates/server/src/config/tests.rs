//! Trials of the settings. The world is handed in, so no test needs a real environment.

mod apps_section;
mod bucket;
mod keys;
mod refusals;
mod sessions;

use super::*;
use std::{collections::BTreeSet, io, time::Duration};

const VENDORS: &[(&str, &str)] = &[
    (
        "acme.toml",
        "[vendor]\nid = 'acme'\nname = 'Acme'\nkey_env = ['ACME_API_KEY']\nbase_url_env = 'ACME_BASE_URL'\n\
         base_url = 'https://api.acme.example/v1'\nconcurrency = 7\nrate_per_min = 70",
    ),
    (
        "two-keys.toml",
        "[vendor]\nid = 'two-keys'\nname = 'Two Keys'\nkey_env = ['TWO_ID', 'TWO_SECRET']\n\
         base_url = 'https://two.example'",
    ),
    (
        "mixed.toml",
        "[vendor]\nid = 'mixed'\nname = 'Mixed'\nbase_url_env = 'MIXED_BASE_URL'\n\
         [[vendor.service]]\nid = 'speech'\nkey_env = [['MIXED_SPEECH_KEY']]\nbase_url = 'https://speech.example'\n\
         [[vendor.service]]\nid = 'clips'\nkey_env = [['MIXED_TOKEN'], ['MIXED_ID', 'MIXED_SECRET']]\n\
         base_url = 'https://clips.example/v2'",
    ),
    ("sandbox.toml", "[vendor]\nid = 'sandbox'\nname = 'Sandbox'"),
];

const CORES: usize = 3;

/// A world to read the settings from.
#[derive(Default)]
pub(crate) struct World {
    pub flags: Flags,
    pub environment: Vec<(&'static str, &'static str)>,
    pub files: Vec<(&'static str, &'static str)>,
}

impl World {
    pub fn load(&self) -> Result<Loaded, Problems> {
        let read_file = |path: &Path| {
            let file = self.files.iter().find(|(name, _)| Path::new(name) == path);
            file.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        resolve(&self.flags, &Environment::of(&self.environment), &read_file, CORES, &catalog())
    }

    fn settings(&self) -> Settings {
        self.load().unwrap_or_else(|problems| panic!("{problems}")).settings
    }

    fn refused(&self) -> String {
        self.load().map(|_| ()).expect_err("should be refused").to_string()
    }
}

pub(crate) fn catalog() -> Catalog {
    Catalog::parse(VENDORS).unwrap()
}

pub(crate) fn env(pairs: &[(&'static str, &'static str)]) -> World {
    World { environment: pairs.to_vec(), ..World::default() }
}

fn file(text: &'static str) -> World {
    World { files: vec![("pixel.toml", text)], ..World::default() }
}

fn source_of(loaded: &Loaded, setting: &str) -> String {
    loaded.rows.iter().find(|row| row.setting == setting).unwrap().source.clone()
}

fn listed_settings() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    table::SETTINGS.iter().chain(apps::SETTINGS)
}

#[test]
fn the_default_file_lists_exactly_the_settings_of_the_table() {
    fn keys(prefix: &str, table: &toml::Table, all: &mut BTreeSet<String>) {
        for (name, value) in table {
            match value {
                toml::Value::Table(group) if !group.is_empty() => keys(&format!("{prefix}{name}."), group, all),
                _ => assert!(all.insert(format!("{prefix}{name}"))),
            }
        }
    }
    let mut listed = BTreeSet::new();
    keys("", &toml::from_str(table::DEFAULT_FILE).unwrap(), &mut listed);
    let known: BTreeSet<String> = listed_settings().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(listed, known);
    let variables: BTreeSet<_> = listed_settings().map(|(_, env)| env).collect();
    assert_eq!(variables.len(), listed_settings().count(), "each variable sets one setting");
}

#[test]
fn each_line_of_the_default_file_has_one_comment_that_names_its_variable() {
    let lines: Vec<&str> = table::DEFAULT_FILE.lines().collect();
    let mut group = "";
    let mut seen = 0;
    for (at, line) in lines.iter().enumerate() {
        if let Some(name) = line.strip_prefix('[') {
            group = name.trim_end_matches(']');
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            let key = if group.is_empty() { name.to_owned() } else { format!("{group}.{name}") };
            let (_, env) = listed_settings().find(|(known, _)| *known == key).unwrap();
            let comment = lines[at - 1];
            assert!(comment.starts_with("# ") && comment.ends_with(&format!("[{env}]")), "{key}: {comment}");
            assert!(!lines[at - 2].starts_with('#'), "{key} has more than one line of comment");
            seen += 1;
        }
    }
    assert_eq!(seen, listed_settings().count());
}

#[test]
fn the_defaults_are_those_that_are_promised() {
    let loaded = World::default().load().unwrap();
    let settings = loaded.settings;
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(settings.data, Path::new("./data"));
    assert_eq!(settings.blobs, settings.data);
    assert!(settings.database.url.is_none() && settings.public_url.is_none() && !settings.allow_unauthenticated);
    assert_eq!((settings.workers, settings.engine.local_jobs), (CORES, CORES));
    assert_eq!(settings.cors, CorsOrigins::Loopback);
    assert_eq!(settings.shutdown, Duration::from_secs(10));
    assert_eq!(settings.engine.lease, Duration::from_secs(30));
    assert_eq!((settings.engine.poll_min, settings.engine.calls_max), (None, 2000));
    assert_eq!(settings.engine.staging, Duration::from_secs(3600));
    assert_eq!((settings.hold.time, settings.hold.policy), (Duration::from_secs(3600), HoldPolicy::Hold));
    assert_eq!(settings.retention, None);
    assert_eq!(settings.log, Log { filter: "info".to_owned(), format: LogFormat::Auto });
    let limits = Limits {
        body_bytes: 33_554_432,
        image_bytes: 52_428_800,
        video_bytes: 2_147_483_648,
        audio_bytes: 209_715_200,
    };
    assert_eq!(settings.limits, limits);
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn each_layer_wins_over_the_earlier() {
    let mut world = World::default();
    let port = |world: &World| {
        let loaded = world.load().unwrap();
        (loaded.settings.listen.port(), source_of(&loaded, "listen"))
    };
    assert_eq!(port(&world), (8000, "default".to_owned()));
    world.files = vec![("pixel.toml", "listen = '127.0.0.1:1'")];
    assert_eq!(port(&world), (1, "file pixel.toml".to_owned()));
    world.files.push((".env", "PIXEL_LISTEN=127.0.0.1:2"));
    assert_eq!(port(&world), (2, ".env PIXEL_LISTEN".to_owned()));
    world.environment = vec![("PIXEL_LISTEN", "127.0.0.1:3")];
    assert_eq!(port(&world), (3, "environment PIXEL_LISTEN".to_owned()));
    world.flags.listen = Some("127.0.0.1:4".to_owned());
    assert_eq!(port(&world), (4, "flag --listen".to_owned()));
}

#[test]
fn the_file_is_the_named_one_or_pixel_toml() {
    let files = vec![("pixel.toml", "shutdown_s = 1"), ("b.toml", "shutdown_s = 2"), ("c.toml", "shutdown_s = 3")];
    let mut world = World { files, ..World::default() };
    assert_eq!(world.settings().shutdown.as_secs(), 1);
    world.environment = vec![("PIXEL_CONFIG", "b.toml")];
    assert_eq!(world.settings().shutdown.as_secs(), 2);
    world.flags.config = Some(PathBuf::from("c.toml"));
    assert_eq!(world.settings().shutdown.as_secs(), 3);
    world.flags.config = Some(PathBuf::from("gone.toml"));
    let refused = world.refused();
    assert!(refused.contains("gone.toml (from flag --config): the file can't be read"), "{refused}");
}

#[test]
fn every_variable_of_the_table_sets_its_setting() {
    let values = [
        ("PIXEL_LISTEN", "127.0.0.1:9"),
        ("PIXEL_ALLOW_UNAUTHENTICATED", "yes"),
        ("PIXEL_DATA", "/d"),
        ("PIXEL_BLOBS", "s3://b-1/x"),
        ("PIXEL_S3_ENDPOINT", "http://s3.lan:9000"),
        ("PIXEL_S3_REGION", "garage"),
        ("PIXEL_S3_STYLE", "host"),
        ("PIXEL_S3_ALLOW_HTTP", "yes"),
        ("PIXEL_CATALOG", "/c"),
        ("PIXEL_CHROMIUM", "/b/chromium"),
        ("PIXEL_PUBLIC_URL", "https://p.example/x/"),
        ("PIXEL_SANDBOX", "1"),
        ("PIXEL_WORKERS", "5"),
        ("PIXEL_SHUTDOWN_S", "4"),
        ("PIXEL_DRAIN_S", "7"),
        ("DATABASE_URL", "postgres://u@h/d"),
        ("PIXEL_DATABASE_POOL_SIZE", "9"),
        ("PIXEL_LOG", "warn"),
        ("PIXEL_LOG_FORMAT", "json"),
        ("PIXEL_CORS_ORIGINS", "https://A.example:443/, http://b.example:8080, capacitor://localhost"),
        ("PIXEL_FETCH_ALLOW", "nas.lan:80,10.0.0.0/8"),
        ("PIXEL_CALLS_MAX", "10"),
        ("PIXEL_LOCAL_JOBS", "6"),
        ("PIXEL_LEASE_S", "2"),
        ("PIXEL_POLL_MIN_MS", "10"),
        ("PIXEL_STAGING_S", "60"),
        ("PIXEL_CHATS_MAX", "11"),
        ("PIXEL_CHAT_FIRST_S", "12"),
        ("PIXEL_CHAT_IDLE_S", "13"),
        ("PIXEL_CHAT_TOTAL_S", "14"),
        ("PIXEL_HOLD_S", "5"),
        ("PIXEL_HOLD_POLICY", "lost"),
        ("PIXEL_HOLD_PROJECTS", "one=pay_again, two=hold"),
        ("PIXEL_RETENTION_DAYS", "0.5"),
        ("PIXEL_BODY_BYTES", "2001"),
        ("PIXEL_IMAGE_BYTES", "2002"),
        ("PIXEL_VIDEO_BYTES", "2003"),
        ("PIXEL_AUDIO_BYTES", "2004"),
    ];
    let names: BTreeSet<&str> = values.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, table::SETTINGS.iter().map(|(_, env)| *env).collect());
    let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let loaded = env(&[&values[..], &keys].concat()).load().unwrap();
    for (key, name) in table::SETTINGS {
        assert_eq!(source_of(&loaded, key), format!("environment {name}"));
    }
    let settings = loaded.settings;
    assert!(settings.allow_unauthenticated && settings.sandbox);
    assert_eq!(settings.listen.port(), 9);
    assert_eq!((settings.data.as_path(), settings.blobs.as_path()), (Path::new("/d"), Path::new("/d")));
    let bucket = settings.bucket.unwrap();
    assert_eq!((bucket.name.as_str(), bucket.prefix.as_str(), bucket.path_style), ("b-1", "x", false));
    assert_eq!((bucket.endpoint.as_deref(), bucket.region.as_str()), (Some("http://s3.lan:9000"), "garage"));
    assert_eq!(env(&[("PIXEL_BLOBS", "/b")]).settings().blobs, Path::new("/b"));
    assert_eq!(settings.catalog.as_deref(), Some(Path::new("/c")));
    assert_eq!(settings.chromium.as_deref(), Some(Path::new("/b/chromium")));
    assert_eq!(settings.public_url.as_deref(), Some("https://p.example/x"));
    assert_eq!((settings.workers, settings.shutdown.as_secs(), settings.drain.as_secs()), (5, 4, 7));
    assert_eq!(settings.database.url.unwrap().reveal(), "postgres://u@h/d");
    assert_eq!(settings.database.pool_size, 9);
    assert_eq!(settings.retention, Some(Duration::from_secs(43_200)));
    assert_eq!(settings.log, Log { filter: "warn".to_owned(), format: LogFormat::Json });
    let origins =
        ["https://a.example", "http://b.example:8080", "capacitor://localhost"].map(ToOwned::to_owned).to_vec();
    assert_eq!(settings.cors, CorsOrigins::Listed(origins));
    assert_eq!(settings.fetch.allow, ["nas.lan:80", "10.0.0.0/8"]);
    let engine = Engine {
        calls_max: 10,
        local_jobs: 6,
        lease: Duration::from_secs(2),
        poll_min: Some(Duration::from_millis(10)),
        staging: Duration::from_secs(60),
    };
    assert_eq!(settings.engine, engine);
    let [first, idle, total] = [12, 13, 14].map(Duration::from_secs);
    assert_eq!(settings.chat, Chat { calls_max: 11, first, idle, total });
    assert_eq!(settings.hold.time.as_secs(), 5);
    assert_eq!(settings.hold.policy_of(Some("one")), HoldPolicy::PayAgain);
    assert_eq!(settings.hold.policy_of(Some("two")), HoldPolicy::Hold);
    assert_eq!(settings.hold.policy_of(Some("three")), HoldPolicy::Lost);
    let limits = Limits { body_bytes: 2001, image_bytes: 2002, video_bytes: 2003, audio_bytes: 2004 };
    assert_eq!(settings.limits, limits);
}

#[test]
fn a_file_sets_groups_maps_and_vendors() {
    let settings = file(
        "[hold]\npolicy = 'lost'\n[hold.projects]\n'my project' = 'hold'\n[cors]\norigins = ['*']\n\
         [vendors.acme]\nbase_url = 'http://127.0.0.1:1/v1/'\nconcurrency = 3\nrate_per_min = 0\n",
    )
    .settings();
    assert_eq!(settings.hold.policy_of(Some("my project")), HoldPolicy::Hold);
    assert_eq!(settings.cors, CorsOrigins::Any);
    let acme = &settings.vendors["acme"];
    assert_eq!(acme.accounts[0].account.base_url, "http://127.0.0.1:1/v1");
    assert_eq!((acme.concurrency, acme.rate_per_min), (3, 0));
}

#[test]
fn blank_variables_count_as_not_set_and_switch_those_of_dotenv_off() {
    let mut world = env(&[("PIXEL_LISTEN", " "), ("ACME_API_KEY", "")]);
    world.files = vec![(".env", "PIXEL_LISTEN=127.0.0.1:2\nACME_API_KEY=sk-1")];
    let settings = world.settings();
    assert_eq!(settings.listen.port(), 8000);
    assert!(!settings.vendors["acme"].is_usable() && settings.sandbox);
}

#[test]
fn listening_beyond_loopback_on_demand_warns() {
    let world = env(&[("PIXEL_LISTEN", "0.0.0.0:80"), ("PIXEL_ALLOW_UNAUTHENTICATED", "true")]);
    let loaded = world.load().unwrap();
    assert!(loaded.warnings[0].starts_with("NO AUTHENTICATION: "), "{:?}", loaded.warnings);
    assert!(loaded.warnings[1].contains("PIXEL_PUBLIC_URL"), "{:?}", loaded.warnings);
    let needless = env(&[("PIXEL_ALLOW_UNAUTHENTICATED", "true")]).load().unwrap();
    assert!(needless.warnings[0].contains("without need"), "{:?}", needless.warnings);
}

#[test]
fn the_sandbox_answers_when_asked_to_or_when_no_key_is_set() {
    let none = World::default().settings();
    assert!(none.sandbox && none.sandbox_reason.as_deref() == Some("no vendor key is set"));
    assert!(none.vendors["sandbox"].is_usable(), "a vendor without key variables needs none");
    let half = env(&[("TWO_ID", "x")]).load().unwrap();
    assert!(half.settings.sandbox);
    assert_eq!(half.settings.vendors["two-keys"].accounts[0].missing, [["TWO_SECRET"]]);
    assert_eq!(half.warnings, ["TWO_ID has no effect alone: set TWO_SECRET as well."]);
    let mut keyed = env(&[("ACME_API_KEY", " sk-1 ")]);
    let settings = keyed.settings();
    assert!(!settings.sandbox && settings.sandbox_reason.is_none());
    assert_eq!(settings.vendors["acme"].accounts[0].account.keys[0].credential.0[0].reveal(), "sk-1");
    keyed.flags.sandbox = true;
    assert_eq!(keyed.settings().sandbox_reason.as_deref(), Some("asked for by flag --sandbox"));
    let row = World::default().load().unwrap().rows.into_iter().find(|row| row.setting == "sandbox").unwrap();
    assert_eq!((row.value, row.source.as_str()), (true.into(), "no vendor key is set"));
}

#[test]
fn vendors_come_from_the_catalogue_and_their_variables() {
    let plain = World::default().settings();
    let acme = &plain.vendors["acme"];
    let base_url = acme.accounts[0].account.base_url.as_str();
    assert_eq!((base_url, acme.concurrency, acme.rate_per_min), ("https://api.acme.example/v1", 7, 70));
    let world = env(&[
        ("ACME_BASE_URL", "http://proxy.example//"),
        ("PIXEL_TWO_KEYS_CONCURRENCY", "2"),
        ("PIXEL_ACME_RATE_PER_MIN", "0"),
    ]);
    let loaded = world.load().unwrap();
    assert_eq!(loaded.settings.vendors["acme"].accounts[0].account.base_url, "http://proxy.example");
    assert_eq!(loaded.settings.vendors["acme"].rate_per_min, 0);
    assert_eq!(loaded.settings.vendors["two-keys"].concurrency, 2);
    assert_eq!(loaded.warnings, ["vendors.acme.base_url is http://: the key travels there unencrypted."]);
    assert_eq!(source_of(&loaded, "vendors.acme.concurrency"), "catalogue");
}

#[test]
fn mistyped_variables_are_pointed_out_and_those_of_others_left_alone() {
    let world = env(&[("PIXEL_LISTN", "x"), ("PIXEL_PORT_8000_TCP", "y"), ("PIXEL_SERVICE_HOST", "z")]);
    let warnings = world.load().unwrap().warnings;
    assert_eq!(warnings, ["The variable PIXEL_LISTN is not known and has no effect. Did you mean PIXEL_LISTEN?"]);
}

#[test]
fn colours_follow_the_usual_variables() {
    assert!(Environment::of(&[("NO_COLOR", "")]).wants_color());
    assert!(!Environment::of(&[("NO_COLOR", "1")]).wants_color());
    assert!(!Environment::of(&[("TERM", "dumb")]).wants_color());
}
