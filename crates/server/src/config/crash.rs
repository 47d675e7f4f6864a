//! The crash point that a test arms. No setting of the product: it stands in no list of settings,
//! and a build without crash points, as every released one is, does not start with it.

use super::{layers::Variables, problem::Problem};
use pixel_store::crash;

/// Written `name:n`.
pub const VARIABLE: &str = "PIXEL_CRASH_AT";

/// Where the process is to die, and at which time that it comes by there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashAt {
    pub name: String,
    pub at_hit: u64,
}

pub fn read(variables: &Variables) -> Result<Option<CrashAt>, Problem> {
    let Some((text, source)) = variables.get(VARIABLE).filter(|(text, _)| !text.trim().is_empty()) else {
        return Ok(None);
    };
    if !crash::BUILT_IN {
        let what = "this build of Pixel has no crash points, which are for its own tests only";
        return Err(Problem::new(VARIABLE, source, what, "Unset it"));
    }
    let parsed = text.trim().split_once(':').and_then(|(name, hit)| {
        let at_hit = hit.parse().ok().filter(|hit| *hit > 0)?;
        Some(CrashAt { name: name.to_owned(), at_hit })
    });
    parsed.map(Some).ok_or_else(|| {
        Problem::new(VARIABLE, source, "it is no crash point and a number from 1", "Write it like submit.recorded:1")
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::env;

    #[test]
    fn a_crash_point_has_a_name_and_a_number() {
        // The tests of this crate are built with crash points.
        let point = env(&[("PIXEL_CRASH_AT", "submit.recorded:2")]).load().unwrap().settings.crash_at.unwrap();
        assert_eq!((point.name.as_str(), point.at_hit), ("submit.recorded", 2));
        assert_eq!(env(&[("PIXEL_CRASH_AT", " ")]).load().unwrap().settings.crash_at, None);
        for bad in ["submit.recorded", "submit.recorded:0", "submit.recorded:x"] {
            let said = env(&[("PIXEL_CRASH_AT", bad)]).load().map(drop).unwrap_err().to_string();
            assert!(said.contains("PIXEL_CRASH_AT"), "{said}");
        }
    }
}
