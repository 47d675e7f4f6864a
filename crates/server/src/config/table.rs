//! The list of settings: each has a key in the file and a variable in the environment.
//!
//! Defaults come from `config.default.toml`, whose types are the types of the settings. Each
//! vendor of the catalogue adds three settings of its own.

use super::{apps, problem::Problem};
use pixel_core::catalog::{Catalog, Session, VendorCard};
use toml::{Table, Value};

/// The documentation of every setting, and its default.
pub const DEFAULT_FILE: &str = include_str!("../../../../config.default.toml");

/// Key in the file, variable in the environment.
pub const SETTINGS: &[(&str, &str)] = &[
    ("listen", "PIXEL_LISTEN"),
    ("allow_unauthenticated", "PIXEL_ALLOW_UNAUTHENTICATED"),
    ("data", "PIXEL_DATA"),
    ("blobs", "PIXEL_BLOBS"),
    ("catalog", "PIXEL_CATALOG"),
    ("chromium", "PIXEL_CHROMIUM"),
    ("public_url", "PIXEL_PUBLIC_URL"),
    ("sandbox", "PIXEL_SANDBOX"),
    ("workers", "PIXEL_WORKERS"),
    ("shutdown_s", "PIXEL_SHUTDOWN_S"),
    ("drain_s", "PIXEL_DRAIN_S"),
    ("s3.endpoint", "PIXEL_S3_ENDPOINT"),
    ("s3.region", "PIXEL_S3_REGION"),
    ("s3.style", "PIXEL_S3_STYLE"),
    ("s3.allow_http", "PIXEL_S3_ALLOW_HTTP"),
    (DATABASE_URL, "DATABASE_URL"),
    ("database.pool_size", "PIXEL_DATABASE_POOL_SIZE"),
    ("log.filter", "PIXEL_LOG"),
    ("log.format", "PIXEL_LOG_FORMAT"),
    ("cors.origins", "PIXEL_CORS_ORIGINS"),
    ("fetch.allow", "PIXEL_FETCH_ALLOW"),
    ("engine.calls_max", "PIXEL_CALLS_MAX"),
    ("engine.local_jobs", "PIXEL_LOCAL_JOBS"),
    ("engine.lease_s", "PIXEL_LEASE_S"),
    ("engine.poll_min_ms", "PIXEL_POLL_MIN_MS"),
    ("engine.staging_s", "PIXEL_STAGING_S"),
    ("chat.calls_max", "PIXEL_CHATS_MAX"),
    ("chat.first_s", "PIXEL_CHAT_FIRST_S"),
    ("chat.idle_s", "PIXEL_CHAT_IDLE_S"),
    ("chat.total_s", "PIXEL_CHAT_TOTAL_S"),
    ("hold.time_s", "PIXEL_HOLD_S"),
    ("hold.policy", "PIXEL_HOLD_POLICY"),
    ("hold.projects", "PIXEL_HOLD_PROJECTS"),
    ("retention.days", "PIXEL_RETENTION_DAYS"),
    ("limits.body_bytes", "PIXEL_BODY_BYTES"),
    ("limits.image_bytes", "PIXEL_IMAGE_BYTES"),
    ("limits.video_bytes", "PIXEL_VIDEO_BYTES"),
    ("limits.audio_bytes", "PIXEL_AUDIO_BYTES"),
];

/// The one setting whose value holds a password.
pub const DATABASE_URL: &str = "database.url";

/// One setting: its names and its default, whose type is the setting's type.
#[derive(Clone, Debug)]
pub struct Setting {
    pub key: String,
    pub env: Option<String>,
    pub default: Value,
    pub origin: Origin,
}

/// Who gives the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    DefaultFile,
    Catalog,
}

/// Every setting: those of the table, then those of each vendor.
pub fn settings(catalog: &Catalog) -> Result<Vec<Setting>, Problem> {
    let defaults: Table = toml::from_str(DEFAULT_FILE).map_err(|e| broken(e.message()))?;
    let mut all = Vec::with_capacity(SETTINGS.len() + apps::SETTINGS.len() + 3 * catalog.vendors.len());
    for (key, env) in SETTINGS.iter().chain(apps::SETTINGS) {
        let default = find(&defaults, key).ok_or_else(|| broken(&format!("`{key}` is missing")))?;
        all.push(Setting {
            key: (*key).to_owned(),
            env: Some((*env).to_owned()),
            default: default.clone(),
            origin: Origin::DefaultFile,
        });
    }
    all.extend(catalog.vendors.iter().flat_map(of_vendor));
    Ok(all)
}

fn of_vendor(card: &VendorCard) -> Vec<Setting> {
    let prefix = format!("PIXEL_{}", card.id.to_uppercase().replace('-', "_"));
    let row = |name: &str, env: Option<String>, default: Value| Setting {
        key: vendor_key(&card.id, name),
        env,
        default,
        origin: Origin::Catalog,
    };
    let mut rows = Vec::with_capacity(7);
    if has_base_url(card) {
        rows.push(row("base_url", card.base_url_env.clone(), Value::String(card.base_url.clone())));
    }
    if let Some(session) = session_of(card) {
        let Session { web, upload, parallel, parallel_env, headless_env, .. } = session;
        rows.push(row(WEB_URL, Some(web.env.clone()), Value::from(web.url.clone())));
        rows.push(row(UPLOAD_URL, Some(upload.env.clone()), Value::from(upload.url.clone())));
        rows.push(row(PARALLEL, Some(parallel_env.clone()), Value::from(*parallel)));
        rows.push(row(HEADLESS, Some(headless_env.clone()), Value::from(true)));
    }
    rows.push(row("concurrency", Some(format!("{prefix}_CONCURRENCY")), Value::from(card.concurrency)));
    rows.push(row("rate_per_min", Some(format!("{prefix}_RATE_PER_MIN")), Value::from(card.rate_per_min)));
    rows
}

/// Settings of a service that is signed in to.
pub const WEB_URL: &str = "web_url";
pub const UPLOAD_URL: &str = "upload_url";
pub const PARALLEL: &str = "account_parallel";
pub const HEADLESS: &str = "headless";

/// The one of a vendor's services that is signed in to.
fn session_of(card: &VendorCard) -> Option<&Session> {
    card.services.iter().find_map(|service| service.session.as_ref())
}

/// A vendor that works inside this process has no address at all.
pub fn has_base_url(card: &VendorCard) -> bool {
    card.base_url_env.is_some() || !card.base_url.is_empty()
}

pub fn vendor_key(id: &str, name: &str) -> String {
    format!("vendors.{id}.{name}")
}

fn find<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        Some((group, rest)) => find(table.get(group)?.as_table()?, rest),
        None => table.get(key),
    }
}

fn broken(what: &str) -> Problem {
    Problem::new("config.default.toml", "the binary", what, "This is a fault of the build; please report it")
}
