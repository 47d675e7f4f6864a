//! Which Chromium to start, and what of the environment it sees.

use std::{
    ffi::OsString,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const NAMES: &[&str] = &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/// What this process knows of its environment. All that Chromium gets of it is the search path and
/// the way to the display: the server's variables hold keys.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The operator's choice, `PIXEL_CHROMIUM`.
    pub chromium: Option<PathBuf>,
    /// The search path, `PATH`.
    pub path: OsString,
    /// Variables by which a window finds its display.
    pub display: Vec<(String, OsString)>,
}

impl Surroundings {
    /// The variables that belong in `display`.
    pub const DISPLAY: &[&str] = &["DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR"];

    pub fn has_display(&self) -> bool {
        self.display.iter().any(|(name, value)| name.ends_with("DISPLAY") && !value.is_empty())
    }
}

/// The program of the request, else the operator's, else the first on the search path.
pub fn chromium(asked: Option<&Path>, surroundings: &Surroundings) -> Result<PathBuf, String> {
    for (name, path) in [("chromium", asked), ("PIXEL_CHROMIUM", surroundings.chromium.as_deref())] {
        if let Some(path) = path {
            let remedy = "leave it out to have one looked for";
            return if is_program(path) {
                Ok(path.to_path_buf())
            } else {
                Err(format!("{name}: {} is no program that can be run; {remedy}", path.display()))
            };
        }
    }
    let folders: Vec<PathBuf> = std::env::split_paths(&surroundings.path).collect();
    let candidates = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates.into_iter().find(|path| path.is_absolute() && is_program(path)).ok_or_else(|| {
        "there is no Chromium on this machine: install the package chromium (Debian; chromium-browser or \
         google-chrome elsewhere), or set PIXEL_CHROMIUM to the program"
            .to_owned()
    })
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn program(folder: &Path, name: &str, mode: u32) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn the_nearest_wish_wins() {
        let folder = tempfile::tempdir().unwrap();
        let mut surroundings = Surroundings { path: folder.path().into(), ..Surroundings::default() };
        let error = chromium(None, &surroundings).unwrap_err();
        assert!(error.contains("package chromium") && error.contains("PIXEL_CHROMIUM"), "{error}");
        program(folder.path(), "chromium", 0o644);
        let found = program(folder.path(), "google-chrome", 0o755);
        assert_eq!(chromium(None, &surroundings), Ok(found), "what cannot be run is passed over");
        let other = program(folder.path(), "mine", 0o755);
        surroundings.chromium = Some(other.clone());
        assert_eq!(chromium(None, &surroundings), Ok(other));
        let asked = program(folder.path(), "asked", 0o755);
        assert_eq!(chromium(Some(&asked), &surroundings), Ok(asked));
        let error = chromium(Some(Path::new("/nowhere/chromium")), &surroundings).unwrap_err();
        assert!(error.starts_with("chromium: /nowhere/chromium"), "a wish that fails is not replaced: {error}");
    }
}
