//! Turns the layers into the typed value: one line per setting.

use super::{
    apps, bucket,
    layers::{Layers, Source, Variables},
    parse,
    problem::{Problem, Wrong, wrong},
    settings::{Chat, CorsOrigins, Database, Engine, Fetch, Hold, HoldPolicy, Limits, Log, Settings, VendorSettings},
    table::DATABASE_URL,
    vendors,
};
use pixel_core::catalog::Catalog;
use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};
use toml::Value;

/// Reads every setting. What is wrong is noted in the layers and the default taken in its place,
/// so that one run finds everything; an error is a fault of the default file itself.
pub fn settings(
    layers: &mut Layers,
    variables: &Variables,
    catalog: &Catalog,
    cores: usize,
) -> Result<Settings, Problem> {
    let vendors = vendors::read(layers, variables, catalog)?;
    let apps = apps::read(layers, catalog)?;
    let mut read = Reader { layers };
    let data = read.text("data", parse::folder)?;
    let (blobs, bucket) = match read.text("blobs", parse::blobs)? {
        parse::MediaAt::Data => (data.clone(), None),
        parse::MediaAt::Folder(folder) => (folder, None),
        parse::MediaAt::Bucket { name, prefix } => (data.clone(), bucket::read(&mut read, variables, name, prefix)?),
    };
    let sandbox = read.switch("sandbox")?;
    Ok(Settings {
        listen: read.text("listen", parse::listen)?,
        allow_unauthenticated: read.switch("allow_unauthenticated")?,
        blobs,
        bucket,
        data,
        catalog: read.text("catalog", parse::optional_folder)?,
        chromium: read.text("chromium", parse::optional_folder)?,
        public_url: read.text("public_url", parse::optional_address)?,
        sandbox_reason: read.sandbox_reason(sandbox, catalog, &vendors),
        sandbox,
        workers: read.count("workers", 0..=1024, cores)?,
        shutdown: Duration::from_secs(read.whole("shutdown_s", 0..=300)?),
        drain: Duration::from_secs(read.whole("drain_s", 0..=300)?),
        database: Database {
            url: read.text(DATABASE_URL, parse::database_url)?,
            pool_size: read.whole("database.pool_size", 1..=1000)?,
        },
        log: Log {
            filter: read.text("log.filter", parse::log_filter)?,
            format: read.text("log.format", parse::log_format)?,
        },
        cors: read.cors()?,
        fetch: Fetch { allow: read.fetch_allow()? },
        engine: Engine {
            calls_max: read.whole("engine.calls_max", 1..=100_000)?,
            local_jobs: read.count("engine.local_jobs", 0..=1024, cores)?,
            lease: Duration::from_secs(read.whole("engine.lease_s", 1..=3600)?),
            poll_min: read.poll_min()?,
            staging: Duration::from_secs(read.whole("engine.staging_s", 1..=2_592_000)?),
        },
        chat: Chat {
            calls_max: read.whole("chat.calls_max", 1..=100_000)?,
            first: Duration::from_secs(read.whole("chat.first_s", 1..=3600)?),
            idle: Duration::from_secs(read.whole("chat.idle_s", 1..=3600)?),
            total: Duration::from_secs(read.whole("chat.total_s", 1..=86_400)?),
        },
        hold: Hold {
            time: Duration::from_secs(read.whole("hold.time_s", 0..=2_592_000)?),
            policy: read.text("hold.policy", parse::hold_policy)?,
            projects: read.projects()?,
        },
        retention: read.retention()?,
        limits: read.limits()?,
        apps,
        crash_at: None,
        secret: None,
        vendors,
    })
}

/// From a size in which a request still fits to a tebibyte.
const BYTES: RangeInclusive<i64> = 1024..=1 << 40;

/// A retention is at least a second, and at most a hundred years.
const DAYS_MIN: f64 = 1.0 / 86_400.0;
const DAYS_MAX: f64 = 36_500.0;

/// Takes single settings out of the layers.
pub struct Reader<'a> {
    pub layers: &'a mut Layers,
}

impl Reader<'_> {
    pub fn value<T>(&mut self, key: &str, parse: impl Fn(&Value) -> Result<T, Wrong>) -> Result<T, Problem> {
        let fault = |wrong: Wrong| Problem::new(key, "the default", wrong.what, wrong.remedy);
        let Some(entry) = self.layers.find(key) else {
            return wrong("it is missing in the table of settings", "Please report this fault").map_err(fault);
        };
        match parse(&entry.value) {
            Ok(value) => Ok(value),
            Err(Wrong { what, remedy }) => {
                let problem = Problem::new(key, &entry.source, what, remedy);
                let instead = parse(&entry.setting.default).map_err(fault);
                self.layers.problems.push(problem);
                instead
            }
        }
    }

    pub fn text<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Result<T, Problem> {
        self.value(key, |value| parse(value.as_str().unwrap_or_default()))
    }

    pub fn switch(&mut self, key: &str) -> Result<bool, Problem> {
        self.value(key, |value| Ok(value == &Value::Boolean(true)))
    }

    pub fn whole<T: TryFrom<i64>>(&mut self, key: &str, range: RangeInclusive<i64>) -> Result<T, Problem> {
        let (least, most) = (*range.start(), *range.end());
        self.value(key, |value| {
            let number = value.as_integer().unwrap_or_default();
            match T::try_from(number) {
                Ok(fit) if range.contains(&number) => Ok(fit),
                _ => wrong(format!("{number} is out of range"), format!("Use {least} to {most}")),
            }
        })
    }

    fn limits(&mut self) -> Result<Limits, Problem> {
        Ok(Limits {
            body_bytes: self.whole("limits.body_bytes", BYTES)?,
            image_bytes: self.whole("limits.image_bytes", BYTES)?,
            video_bytes: self.whole("limits.video_bytes", BYTES)?,
            audio_bytes: self.whole("limits.audio_bytes", BYTES)?,
        })
    }

    fn fetch_allow(&mut self) -> Result<Vec<String>, Problem> {
        self.value("fetch.allow", |value| {
            let entries: Vec<String> = texts(value).map(ToOwned::to_owned).collect();
            parse::fetch_allow(&entries).map(|()| entries)
        })
    }

    fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Result<Vec<T>, Problem> {
        self.value(key, |value| texts(value).map(&parse).collect())
    }

    /// A number of which 0 stands for one per processor core.
    fn count(&mut self, key: &str, range: RangeInclusive<i64>, cores: usize) -> Result<usize, Problem> {
        let count: usize = self.whole(key, range)?;
        if count > 0 {
            return Ok(count);
        }
        if let Some(entry) = self.layers.find_mut(key) {
            entry.value = Value::Integer(i64::try_from(cores).unwrap_or(i64::MAX));
            entry.source = Source::Derived(format!("{}, one per processor core", entry.source));
        }
        Ok(cores)
    }

    fn poll_min(&mut self) -> Result<Option<Duration>, Problem> {
        self.value("engine.poll_min_ms", |value| match value.as_integer() {
            Some(0) => Ok(None),
            Some(wait @ 1..=3_600_000) => Ok(Some(Duration::from_millis(wait.unsigned_abs()))),
            _ => wrong(format!("{value} is out of range"), "Use 1 to 3600000, or 0 for the catalogue's own"),
        })
    }

    fn retention(&mut self) -> Result<Option<Duration>, Problem> {
        self.value("retention.days", |value| match value.as_float().or(value.as_integer().map(|days| days as f64)) {
            Some(0.0) => Ok(None),
            Some(days) if (DAYS_MIN..=DAYS_MAX).contains(&days) => Ok(Some(Duration::from_secs_f64(days * 86_400.0))),
            _ => wrong(
                format!("{value} is out of range"),
                format!(
                    "Use 0 to keep everything, or a number of days up to {DAYS_MAX}; a fraction such as 0.5 is fine"
                ),
            ),
        })
    }

    fn projects(&mut self) -> Result<BTreeMap<String, HoldPolicy>, Problem> {
        self.value("hold.projects", |value| {
            let pairs = value.as_table().into_iter().flatten();
            let read = |(project, policy): (&String, &Value)| match parse::hold_policy(policy.as_str().unwrap_or("")) {
                Ok(policy) => Ok((project.clone(), policy)),
                Err(Wrong { what, remedy }) => wrong(format!("project '{project}': {what}"), remedy),
            };
            pairs.map(read).collect()
        })
    }

    fn cors(&mut self) -> Result<CorsOrigins, Problem> {
        let key = "cors.origins";
        let texts = self.list(key, |text| Ok(text.to_owned()))?;
        if texts == ["*"] {
            return Ok(CorsOrigins::Any);
        }
        let origins = self.list(key, parse::web_origin)?;
        Ok(if origins.is_empty() { CorsOrigins::Loopback } else { CorsOrigins::Listed(origins) })
    }

    /// The sandbox answers for everything when asked to, and when no vendor could.
    fn sandbox_reason(&self, asked: bool, catalog: &Catalog, vendors: &vendors::Vendors) -> Option<String> {
        if asked {
            return self.layers.find("sandbox").map(|entry| format!("asked for by {}", entry.source));
        }
        let mut remote = catalog.vendors.iter().filter(|card| card.is_remote() && card.enabled);
        let any = remote.any(|card| vendors.get(&card.id).is_some_and(VendorSettings::is_usable));
        (!any).then(|| "no vendor key is set".to_owned())
    }
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}
