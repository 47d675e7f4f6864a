//! The door's readers, for the entries of the fuzzer.

use super::{
    decode::{Decoder, Seen},
    events::{Event, Events},
    extract::{Scanner, Step},
};
use pixel_core::vendor::{Encoding, MediaAt, Staged};
use serde_json::Value;

/// The document without its media, and each piece of media.
pub(crate) fn scanned<'a>(
    media: &[MediaAt],
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Value, Vec<Vec<u8>>), String> {
    let (mut scanner, mut found, mut open) = (Scanner::new(media, 4 << 20), Vec::new(), Vec::new());
    for mut piece in pieces {
        while let Step::Media { bytes, last } = scanner.next(&mut piece)? {
            open.extend(bytes);
            if last {
                scanner.place(&Staged(format!("m{}", found.len())))?;
                found.push(std::mem::take(&mut open));
            }
        }
    }
    Ok((scanner.finish()?, found))
}

/// The bytes of one string; nothing for a link, and for what cannot be decoded.
pub(crate) fn decoded<'a>(encoding: Encoding, pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let (mut decoder, mut bytes) = (Decoder::new(encoding), Vec::new());
    for mut piece in pieces {
        while !piece.is_empty() {
            // As the scanner does: byte by byte until it is clear what the string is.
            let portion = if decoder.is_decided() { piece.len() } else { 1 };
            let (now, later) = piece.split_at(portion);
            if decoder.push(now).ok()? == Seen::Link {
                return None;
            }
            piece = later;
        }
        bytes.extend(decoder.take());
    }
    decoder.end().ok()?;
    bytes.extend(decoder.take());
    Some(bytes)
}

/// The events of a stream, each at most so large.
pub(super) fn told<'a>(bytes_max: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Event>, String> {
    let (mut events, mut told) = (Events::new(bytes_max), Vec::new());
    for mut piece in pieces {
        while let Some(event) = events.next(&mut piece)? {
            told.push(event);
        }
    }
    told.extend(events.finish().map(Event::Data));
    Ok(told)
}

/// The data of its events alone.
pub(crate) fn streamed<'a>(
    bytes_max: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Vec<u8>>, String> {
    let events = told(bytes_max, pieces)?.into_iter();
    Ok(events.filter_map(|event| if let Event::Data(data) = event { Some(data) } else { None }).collect())
}
