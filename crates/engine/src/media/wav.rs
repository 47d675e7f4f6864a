//! Uncompressed sound: its format, and whether all of its data is there.

use super::{
    Survey, milliseconds,
    source::{Source, Walk, bad},
};

pub(super) fn walk(source: &mut Source, survey: &mut Survey) -> Walk {
    source.skip(12)?;
    let mut bytes_per_second = None;
    loop {
        let (kind, length) = (source.read::<4>()?, source.u32_le()?);
        match &kind {
            b"fmt " if length >= 16 => {
                source.skip(8)?;
                bytes_per_second = Some(u64::from(source.u32_le()?));
                source.skip(u64::from(length) - 12 + u64::from(length % 2))?;
            }
            b"data" => {
                let data = if is_streamed(length) { source.left() } else { u64::from(length) };
                let Some(rate) = bytes_per_second.filter(|rate| *rate > 0) else { return bad("it has no format") };
                survey.duration_ms = milliseconds(data, rate);
                return source.skip(data);
            }
            _ => source.skip(u64::from(length) + u64::from(length % 2))?,
        }
    }
}

/// Programs that write into a pipe cannot go back to fill in the length; they leave a huge one.
/// Nothing tells then whether such a file is whole.
fn is_streamed(length: u32) -> bool {
    length == u32::MAX || (0x7fff_0000..=0x7fff_ffff).contains(&length)
}
