//! What the vendor takes as a picture. It would refuse another as well, but only after the upload,
//! and in fewer words.

use super::DIALECT;
use pixel_core::{Error, ErrorKind, task::StoredInput};

const MB: u64 = 1_000_000;

pub(super) struct Pictures {
    types: &'static [&'static str],
    bytes_max: u64,
    /// The shorter side is longer than this.
    short_px: u32,
    /// The longer side over the shorter one.
    ratio_max: f64,
}

pub(super) const FRAMES: Pictures =
    Pictures { types: &["image/jpeg", "image/png", "image/webp"], bytes_max: 20 * MB, short_px: 300, ratio_max: 2.5 };

pub(super) const FACES: Pictures =
    Pictures { types: &["image/jpeg", "image/png"], bytes_max: 10 * MB, short_px: 0, ratio_max: f64::INFINITY };

impl Pictures {
    pub(super) fn check(&self, inputs: &[StoredInput]) -> Result<(), Error> {
        inputs.iter().try_for_each(|input| self.check_one(input))
    }

    fn check_one(&self, StoredInput { facts, .. }: &StoredInput) -> Result<(), Error> {
        let types = self.types.iter().map(|name| name.trim_start_matches("image/")).collect::<Vec<_>>().join(", ");
        if !self.types.contains(&facts.content_type.as_str()) {
            return Err(refused(&format!("takes pictures as {types}, and this one is {}", facts.content_type)));
        }
        if facts.bytes >= self.bytes_max {
            return Err(refused(&format!("takes pictures below {} MB", self.bytes_max / MB)));
        }
        let Some(size) = facts.size else { return Ok(()) };
        let (long, short) = (size.width.max(size.height), size.width.min(size.height));
        if short <= self.short_px {
            return Err(refused(&format!(
                "takes pictures of more than {} pixels, and this one is {size}",
                self.short_px
            )));
        }
        if f64::from(long) > f64::from(short) * self.ratio_max {
            return Err(refused(&format!("takes pictures of 2:5 to 5:2, and this one is {size}")));
        }
        Ok(())
    }
}

/// A body holds base64, which is a third longer than the files, and may be 64 MB long.
pub(super) fn check_total(inputs: &[StoredInput]) -> Result<(), Error> {
    const TOTAL_MAX: u64 = 64 * MB / 4 * 3 - MB;
    match inputs.iter().map(|input| input.facts.bytes).sum::<u64>() <= TOTAL_MAX {
        true => Ok(()),
        false => Err(refused(&format!("takes inputs of {} MB together", TOTAL_MAX / MB))),
    }
}

fn refused(why: &str) -> Error {
    Error::new(ErrorKind::InputRefused, format!("{} {why}.", DIALECT.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixel_core::{request::Role, size::Size, task::Facts};

    fn picture(content_type: &str, bytes: u64, width: u32, height: u32) -> StoredInput {
        let facts = Facts {
            sha256: "cafe".repeat(16),
            bytes,
            content_type: content_type.to_owned(),
            ext: "x".to_owned(),
            size: Some(Size::new(width, height)),
            duration_ms: None,
        };
        StoredInput { role: Role::FirstFrame, facts }
    }

    #[test]
    fn pictures_that_the_vendor_refuses_are_not_sent() {
        for (input, frame, face) in [
            (picture("image/png", 9 * MB, 301, 700), true, true),
            (picture("image/webp", 9 * MB, 1000, 1000), true, false),
            (picture("image/gif", 1000, 1000, 1000), false, false),
            (picture("image/png", 10 * MB, 1000, 1000), true, false),
            (picture("image/png", 20 * MB, 1000, 1000), false, false),
            (picture("image/png", 1000, 300, 300), false, true),
            (picture("image/png", 1000, 400, 1001), false, true),
        ] {
            let inputs = [input];
            let passes = |pictures: &Pictures| pictures.check(&inputs).map_err(|error| error.kind);
            let expected = |is_good: bool| is_good.then_some(()).ok_or(ErrorKind::InputRefused);
            assert_eq!((passes(&FRAMES), passes(&FACES)), (expected(frame), expected(face)), "{inputs:?}");
        }
    }

    #[test]
    fn inputs_are_limited_together() {
        let of = |bytes| check_total(&[picture("image/png", bytes, 9, 9), picture("video/mp4", 20 * MB, 9, 9)]);
        assert!(of(27 * MB).is_ok() && of(28 * MB).is_err());
    }
}
