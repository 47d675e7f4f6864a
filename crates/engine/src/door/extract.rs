//! Takes media out of a JSON document while it streams in.
//!
//! The scanner copies the document into a small skeleton and follows where in it it is. A string
//! that stands where media was announced is decoded and handed out piece by piece, and the
//! skeleton gets a handle in its place; a link, a null or an empty string stays as it is. The
//! scanner judges no syntax beyond that: the skeleton is parsed strictly at the end, and it is
//! well-formed only if the document was.

use super::decode::{Decoder, Seen, hex_digit};
use pixel_core::vendor::{Encoding, MediaAt, Staged};
use serde_json::Value;

const NESTING_MAX: usize = 128;
/// Media of one answer; also bounds the staged files that a hostile answer can make.
const PIECES_MAX: u32 = 64;

/// What the caller is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Bring more of the document.
    Hungry,
    /// Store decoded media; after the last piece, [`Scanner::place`] says where it went.
    Media { bytes: Vec<u8>, last: bool },
}

#[derive(Debug)]
struct Pointer {
    /// `None` stands for any name or index.
    names: Vec<Option<String>>,
    encoding: Encoding,
}

/// A bit for each pointer that can still match.
type Alive = u64;

#[derive(Debug)]
enum Frame {
    Object { alive: Alive, child: Alive, at_key: bool },
    Array { alive: Alive, index: usize },
}

#[derive(Debug)]
enum Mode {
    Between,
    /// Inside a string that is copied; a key's start in the skeleton.
    Text {
        key_from: Option<usize>,
        escaped: bool,
    },
    Media {
        decoder: Decoder,
        escape: Escape,
    },
}

#[derive(Clone, Copy, Debug)]
enum Escape {
    None,
    Started,
    Unicode { digits: u8, value: u16 },
}

#[derive(Debug)]
pub(super) struct Scanner {
    pointers: Vec<Pointer>,
    frames: Vec<Frame>,
    mode: Mode,
    skeleton: Vec<u8>,
    json_bytes_max: usize,
    pieces: u32,
    /// More may follow the document, and is left alone.
    stops_at_end: bool,
}

impl Scanner {
    /// The first 64 pointers of `media` count; adapters name one or two.
    pub fn new(media: &[MediaAt], json_bytes_max: usize) -> Self {
        let pointers = media.iter().filter_map(|at| match at {
            MediaAt::Body | MediaAt::Joined { .. } => None,
            MediaAt::Json { pointer, encoding } => Some(Pointer { names: names(pointer), encoding: *encoding }),
        });
        Self::over(pointers.take(Alive::BITS as usize).collect(), json_bytes_max)
    }

    /// For one object of a row of them; it is read up to its closing brace.
    pub fn of_row(pointer: &str, encoding: Encoding, json_bytes_max: usize) -> Self {
        let pointers = vec![Pointer { names: names(pointer), encoding }];
        Self { stops_at_end: true, ..Self::over(pointers, json_bytes_max) }
    }

    fn over(pointers: Vec<Pointer>, json_bytes_max: usize) -> Self {
        let (frames, skeleton, mode) = (Vec::new(), Vec::new(), Mode::Between);
        Self { pointers, frames, mode, skeleton, json_bytes_max, pieces: 0, stops_at_end: false }
    }

    /// Whether an object has been read to its closing brace.
    pub fn has_ended(&self) -> bool {
        self.frames.is_empty() && matches!(self.mode, Mode::Between) && self.skeleton.last() == Some(&b'}')
    }

    /// Bytes of the document that were kept so far.
    pub fn kept(&self) -> usize {
        self.skeleton.len()
    }

    /// Reads on in `chunk`, which it shortens. Call again until it is hungry.
    pub fn next(&mut self, chunk: &mut &[u8]) -> Result<Step, String> {
        while !(chunk.is_empty() || self.stops_at_end && self.has_ended()) {
            match self.mode {
                Mode::Between => self.token(chunk)?,
                Mode::Text { .. } => self.text(chunk)?,
                Mode::Media { .. } => {
                    if let Some(step) = self.media(chunk)? {
                        return Ok(step);
                    }
                }
            }
        }
        Ok(Step::Hungry)
    }

    /// Puts the handle of the media that just ended into the skeleton.
    pub fn place(&mut self, handle: &Staged) -> Result<(), String> {
        self.pieces += 1;
        (self.pieces <= PIECES_MAX).then_some(()).ok_or("too many pieces of media")?;
        self.keep(handle.to_json().to_string().as_bytes())
    }

    /// Puts an empty string where the media that just ended stood.
    pub fn leave_empty(&mut self) -> Result<(), String> {
        self.keep(b"\"\"")
    }

    /// The document without its media.
    pub fn finish(self) -> Result<Value, String> {
        if let Mode::Media { .. } = self.mode {
            return Err("the answer ends inside its media".to_owned());
        }
        // The parser's words quote nothing of the document.
        serde_json::from_slice(&self.skeleton).map_err(|e| format!("the answer is not valid JSON: {e}"))
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.skeleton.len() + bytes.len() > self.json_bytes_max {
            return Err(format!("the answer's JSON is larger than {} bytes", self.json_bytes_max));
        }
        self.skeleton.extend_from_slice(bytes);
        Ok(())
    }

    /// What lies between strings. Everything is copied, so that no error of syntax gets lost.
    fn token(&mut self, chunk: &mut &[u8]) -> Result<(), String> {
        let Some((&byte, rest)) = chunk.split_first() else { return Ok(()) };
        *chunk = rest;
        match byte {
            b'"' => return self.string(),
            b'{' => self.enter(Frame::Object { alive: self.child(), child: 0, at_key: true })?,
            b'[' => self.enter(Frame::Array { alive: self.child(), index: 0 })?,
            b'}' | b']' => drop(self.frames.pop()),
            b',' => match self.frames.last_mut() {
                Some(Frame::Object { at_key, .. }) => *at_key = true,
                Some(Frame::Array { index, .. }) => *index += 1,
                None => {}
            },
            b':' => {
                if let Some(Frame::Object { at_key, .. }) = self.frames.last_mut() {
                    *at_key = false;
                }
            }
            _ => {}
        }
        self.keep(&[byte])
    }

    fn enter(&mut self, frame: Frame) -> Result<(), String> {
        (self.frames.len() < NESTING_MAX).then_some(()).ok_or("the answer's JSON nests too deep")?;
        self.frames.push(frame);
        Ok(())
    }

    /// Pointers that the value about to begin still matches.
    fn child(&self) -> Alive {
        match self.frames.last() {
            None => self.matching(Alive::MAX, |_| true),
            Some(Frame::Object { child, .. }) => *child,
            Some(Frame::Array { alive: 0, .. }) => 0,
            Some(Frame::Array { alive, index }) => {
                let index = index.to_string();
                self.matching(*alive, |name| name == index)
            }
        }
    }

    /// Pointers among `alive` whose name at the current depth passes; the root has no name.
    fn matching(&self, alive: Alive, passes: impl Fn(&str) -> bool) -> Alive {
        let fits = |pointer: &Pointer| match self.frames.len().checked_sub(1).map(|at| pointer.names.get(at)) {
            None | Some(Some(None)) => true,
            Some(Some(Some(name))) => passes(name),
            Some(None) => false,
        };
        let bits = self.pointers.iter().enumerate().filter(|(_, pointer)| fits(pointer)).map(|(at, _)| 1 << at);
        alive & bits.fold(0, |all: Alive, bit: Alive| all | bit)
    }

    /// A string begins: a key, media, or any other.
    fn string(&mut self) -> Result<(), String> {
        let is_key = matches!(self.frames.last(), Some(Frame::Object { at_key: true, .. }));
        let (child, depth) = (self.child(), self.frames.len());
        let mut here =
            self.pointers.iter().enumerate().filter(|(at, p)| child >> at & 1 == 1 && p.names.len() == depth);
        if let (false, Some((_, pointer))) = (is_key, here.next()) {
            self.mode = Mode::Media { decoder: Decoder::new(pointer.encoding), escape: Escape::None };
            return Ok(());
        }
        self.keep(b"\"")?;
        self.mode = Mode::Text { key_from: is_key.then_some(self.skeleton.len()), escaped: false };
        Ok(())
    }

    fn text(&mut self, chunk: &mut &[u8]) -> Result<(), String> {
        let Mode::Text { key_from, escaped } = &mut self.mode else { return Ok(()) };
        let plain =
            if *escaped { 0 } else { chunk.iter().position(|b| matches!(b, b'"' | b'\\')).unwrap_or(chunk.len()) };
        let taken = (plain + 1).min(chunk.len());
        let (key_from, ends) = (*key_from, !*escaped && chunk.get(plain) == Some(&b'"'));
        *escaped = !*escaped && chunk.get(plain) == Some(&b'\\');
        let (now, rest) = chunk.split_at(taken);
        *chunk = rest;
        self.keep(now)?;
        if ends {
            self.mode = Mode::Between;
            key_from.into_iter().for_each(|from| self.key(from));
        }
        Ok(())
    }

    /// A key has ended: which pointers does its value match?
    fn key(&mut self, from: usize) {
        let Some(Frame::Object { alive, .. }) = self.frames.last() else { return };
        let quoted = &self.skeleton[from - 1..];
        let matching = match (*alive, serde_json::from_slice::<String>(quoted)) {
            (0, _) | (_, Err(_)) => 0,
            (alive, Ok(key)) => self.matching(alive, |name| name == key),
        };
        if let Some(Frame::Object { child, .. }) = self.frames.last_mut() {
            *child = matching;
        }
    }

    fn media(&mut self, chunk: &mut &[u8]) -> Result<Option<Step>, String> {
        let Mode::Media { decoder, escape } = &mut self.mode else { return Ok(None) };
        while let Some((&byte, rest)) = chunk.split_first() {
            // Byte by byte at the start, so that a link stops where the copying can go on.
            let span = match escape {
                Escape::None if decoder.is_decided() => {
                    chunk.iter().position(|b| matches!(b, b'"' | b'\\')).unwrap_or(chunk.len())
                }
                Escape::None => usize::from(!matches!(byte, b'"' | b'\\')),
                _ => 0,
            };
            let seen = if span > 0 {
                let (now, later) = chunk.split_at(span);
                *chunk = later;
                // The skeleton would not show it. Folded to the end, which is faster than to stop.
                if now.iter().fold(false, |found, byte| found | (*byte < b' ')) {
                    return Err("a control character in media".to_owned());
                }
                decoder.push(now)?
            } else if matches!((&escape, byte), (Escape::None, b'"')) {
                *chunk = rest;
                return self.media_end();
            } else {
                *chunk = rest;
                match unescape(escape, byte)? {
                    Some(c) => decoder.push(&[c])?,
                    None => Seen::Media,
                }
            };
            if seen == Seen::Link {
                let start = [b"\"", decoder.link_start()].concat();
                self.mode = Mode::Text { key_from: None, escaped: false };
                self.keep(&start)?;
                return Ok(None);
            }
        }
        Ok(decoder.has_output().then(|| Step::Media { bytes: decoder.take(), last: false }))
    }

    fn media_end(&mut self) -> Result<Option<Step>, String> {
        let Mode::Media { mut decoder, .. } = std::mem::replace(&mut self.mode, Mode::Between) else { return Ok(None) };
        if decoder.is_untouched() {
            return self.keep(b"\"\"").map(|()| None);
        }
        decoder.end()?;
        Ok(Some(Step::Media { bytes: decoder.take(), last: true }))
    }
}

/// One byte of a JSON escape; gives the character when it is complete.
fn unescape(escape: &mut Escape, byte: u8) -> Result<Option<u8>, String> {
    let (next, c) = match (*escape, byte) {
        (Escape::None, _) => (Escape::Started, None),
        (Escape::Started, b'u') => (Escape::Unicode { digits: 0, value: 0 }, None),
        (Escape::Started, b'n' | b'r' | b't') => (Escape::None, Some(b'\n')),
        (Escape::Started, b'/') => (Escape::None, Some(b'/')),
        (Escape::Started, _) => return Err("bad escape in media".to_owned()),
        (Escape::Unicode { digits, value }, digit) => {
            let value = value << 4 | u16::from(hex_digit(digit)?);
            match digits {
                3 => (Escape::None, Some(u8::try_from(value).map_err(|_| "bad character in media")?)),
                _ => (Escape::Unicode { digits: digits + 1, value }, None),
            }
        }
    };
    *escape = next;
    Ok(c)
}

fn names(pointer: &str) -> Vec<Option<String>> {
    let unescaped = |name: &str| (name != "*").then(|| name.replace("~1", "/").replace("~0", "~"));
    pointer.split('/').skip(1).map(unescaped).collect()
}
