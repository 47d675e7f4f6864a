//! The settings: one typed value, read from every source and checked before anything starts.
//!
//! This is the only file that reads the environment, and nothing ever changes it. The work is done
//! by [`resolve`], which is pure: it takes the environment, the flags and a way to read files.
//!
//! To add a setting: its line with a comment in `config.default.toml`, its line in [`table`], its
//! field in [`settings`] and the line that reads it in `read`.

pub mod allocator;
mod apps;
mod bucket;
mod check;
mod crash;
mod files;
mod folder;
mod layers;
mod parse;
mod problem;
mod read;
mod settings;
pub mod show;
mod table;
mod value;
mod vendors;

#[cfg(test)]
pub(crate) mod tests;

pub use apps::{ACCOUNT, AppRules, Apps, VENDOR, Way, cards, models, unfit};
pub use crash::CrashAt;
pub use files::ReadFile;
pub use folder::catalog;
pub use layers::Source;
pub use problem::{Problem, Problems};
pub use settings::*;

use layers::Layers;
use pixel_core::catalog::Catalog;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The variables of the process. Has no printable form: keys are among them.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The real one. Bytes that are no UTF-8 become U+FFFD, which no setting accepts.
    pub fn read() -> Self {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
        let variables = std::env::vars_os();
        Self(variables.map(|(name, value)| (text(name), text(value))).collect())
    }

    pub fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// Whether to colour what goes to a terminal, by the usual variables.
    pub fn wants_color(&self) -> bool {
        self.get("NO_COLOR").is_none_or(str::is_empty) && self.get("TERM") != Some("dumb")
    }

    /// The program of that name on the search path.
    pub fn find_program(&self, name: &str) -> Option<PathBuf> {
        let path = self.get("PATH")?;
        std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| is_executable(file))
    }

    /// What a browser may know of it.
    #[cfg(feature = "browser")]
    pub fn surroundings(&self) -> pixel_browser::Surroundings {
        let value = |name: &str| self.get(name).filter(|value| !value.trim().is_empty());
        let display = pixel_browser::Surroundings::DISPLAY.iter();
        pixel_browser::Surroundings {
            chromium: value("PIXEL_CHROMIUM").map(PathBuf::from),
            path: value("PATH").unwrap_or_default().into(),
            display: display.filter_map(|name| Some(((*name).to_owned(), value(name)?.into()))).collect(),
        }
    }

    /// The variables that the browser's process may see.
    pub fn for_browser(&self) -> Vec<(String, String)> {
        #[cfg(feature = "browser")]
        let names = ["PATH", "PIXEL_CHROMIUM"].iter().chain(pixel_browser::Surroundings::DISPLAY);
        #[cfg(not(feature = "browser"))]
        let names = ["PATH"].iter();
        names.filter_map(|name| Some(((*name).to_owned(), self.get(name)?.to_owned()))).collect()
    }

    /// Whether a variable has a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !value.trim().is_empty())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The flags that were given.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub listen: Option<String>,
    pub data: Option<String>,
    pub config: Option<PathBuf>,
    pub sandbox: bool,
}

/// The settings, with what is worth saying about them.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub settings: Settings,
    /// What is allowed but deserves a second look.
    pub warnings: Vec<String>,
    /// Every setting as shown by `pixel config`, secrets as stars.
    pub rows: Vec<show::Row>,
}

/// Reads the settings from the files of the working folder, the given environment and flags.
pub fn load(flags: &Flags, environment: &Environment, catalog: &Catalog) -> Result<Loaded, Problems> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    resolve(flags, environment, &|path| std::fs::read_to_string(path), cores, catalog)
}

/// [`load`] without the world: `read_file` stands for the file system.
pub fn resolve(
    flags: &Flags,
    environment: &Environment,
    read_file: ReadFile<'_>,
    cores: usize,
    catalog: &Catalog,
) -> Result<Loaded, Problems> {
    let variables = files::variables(&environment.0, read_file)?;
    let mut layers = Layers::new(table::settings(catalog)?);
    if let Some((path, table)) = files::settings(flags.config.as_deref(), &variables, read_file)? {
        layers.add_file(&path, &table);
    }
    layers.add_variables(&variables);
    for (key, flag, text) in [("listen", "--listen", &flags.listen), ("data", "--data", &flags.data)] {
        if let Some(text) = text {
            layers.add_flag(key, flag, text);
        }
    }
    if flags.sandbox {
        layers.add_flag("sandbox", "--sandbox", "true");
    }
    let mut settings = read::settings(&mut layers, &variables, catalog, cores)?;
    settings.secret = vendors::secret(&variables, &mut layers);
    settings.sandbox = settings.sandbox_reason.is_some();
    settings.crash_at = crash::read(&variables)?;
    check::refuse(&settings, &mut layers);
    if !layers.problems.is_empty() {
        return Err(Problems(layers.problems));
    }
    let warnings = check::warnings(&settings, &layers, &variables, catalog);
    let mut keys = vendors::keys(&variables, catalog);
    keys.push(show::Named {
        name: vendors::SECRET.to_owned(),
        source: vendors::source(&variables, vendors::SECRET),
        value: None,
    });
    if settings.bucket.is_some() {
        keys.extend(bucket::KEYS.map(|name| show::Named {
            name: name.to_owned(),
            source: vendors::source(&variables, name),
            value: None,
        }));
    }
    let rows = show::rows(&layers, &settings, &keys);
    Ok(Loaded { settings, warnings, rows })
}
