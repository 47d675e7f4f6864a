//! Decodes one media string while it streams in, whatever its pieces.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use pixel_core::vendor::Encoding;

/// The part of a data URI before its comma; real ones are under 64 bytes.
const URI_HEAD_MAX: usize = 256;

const LINK_STARTS: [&[u8]; 2] = [b"http://", b"https://"];
const URI_START: &[u8] = b"data:";

/// What a string turned out to be so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Media, or too little to tell.
    Media,
    /// An address where media was expected. Its start is given back by [`Decoder::link_start`].
    Link,
}

#[derive(Debug)]
enum Phase {
    /// The start, held back until it is clear that it is neither a link nor a data URI.
    Start(Vec<u8>),
    UriHead(Vec<u8>),
    Data,
}

#[derive(Debug)]
pub(super) struct Decoder {
    encoding: Encoding,
    phase: Phase,
    /// Characters that do not make a whole group yet.
    group: Vec<u8>,
    padding: usize,
    out: Vec<u8>,
    /// Whether any character of the string has come.
    touched: bool,
}

impl Decoder {
    pub fn new(encoding: Encoding) -> Self {
        let (phase, group) = (Phase::Start(Vec::new()), Vec::with_capacity(4));
        Self { encoding, phase, group, padding: 0, out: Vec::new(), touched: false }
    }

    /// Takes characters of the string, free of JSON escapes. Stops early only at a link.
    pub fn push(&mut self, chars: &[u8]) -> Result<Seen, String> {
        self.touched |= !chars.is_empty();
        let mut rest = chars;
        while let Some((&first, after)) = rest.split_first() {
            match &mut self.phase {
                Phase::Data => return self.data(rest).map(|()| Seen::Media),
                Phase::Start(start) => {
                    start.push(first);
                    if LINK_STARTS.contains(&start.as_slice()) {
                        return Ok(Seen::Link);
                    }
                    self.judge_start()?;
                }
                Phase::UriHead(head) => {
                    if first == b',' {
                        let is_base64 = head.to_ascii_lowercase().ends_with(b";base64");
                        is_base64.then_some(()).ok_or("a data URI is not base64")?;
                        self.phase = Phase::Data;
                    } else if !first.is_ascii() {
                        return Err("the head of a data URI is no plain text".to_owned());
                    } else if head.len() == URI_HEAD_MAX {
                        return Err("the head of a data URI does not end".to_owned());
                    } else {
                        head.push(first);
                    }
                }
            }
            rest = after;
        }
        Ok(Seen::Media)
    }

    fn judge_start(&mut self) -> Result<(), String> {
        let Phase::Start(start) = &mut self.phase else { return Ok(()) };
        if start == URI_START {
            self.phase = Phase::UriHead(Vec::new());
        } else if !URI_START.starts_with(start) && !LINK_STARTS.iter().any(|link| link.starts_with(start)) {
            let start = std::mem::take(start);
            self.phase = Phase::Data;
            self.data(&start)?;
        }
        Ok(())
    }

    fn data(&mut self, chars: &[u8]) -> Result<(), String> {
        let is_special = |c: u8| c == b'=' || c.is_ascii_whitespace();
        if self.padding == 0 && !chars.iter().any(|c| is_special(*c)) {
            return self.groups(chars);
        }
        for c in chars {
            match c {
                c if c.is_ascii_whitespace() => {}
                b'=' if self.encoding == Encoding::Base64 && self.padding < 2 => self.padding += 1,
                _ if self.padding > 0 => return Err("base64 goes on after its padding".to_owned()),
                c => self.groups(&[*c])?,
            }
        }
        Ok(())
    }

    fn groups(&mut self, chars: &[u8]) -> Result<(), String> {
        let size = match self.encoding {
            Encoding::Base64 => 4,
            Encoding::Hex => 2,
        };
        let missing = (size - self.group.len()).min(chars.len());
        let (first, rest) = chars.split_at(missing);
        self.group.extend_from_slice(first);
        if self.group.len() == size {
            let group = std::mem::take(&mut self.group);
            self.decode(&group)?;
        } else {
            return Ok(());
        }
        let (whole, open) = rest.split_at(rest.len() - rest.len() % size);
        self.decode(whole)?;
        self.group.extend_from_slice(open);
        Ok(())
    }

    fn decode(&mut self, chars: &[u8]) -> Result<(), String> {
        match self.encoding {
            Encoding::Base64 => STANDARD_NO_PAD.decode_vec(chars, &mut self.out).map_err(|_| "bad base64".to_owned()),
            Encoding::Hex => {
                self.out.reserve(chars.len() / 2);
                for pair in chars.chunks_exact(2) {
                    self.out.push(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?);
                }
                Ok(())
            }
        }
    }

    /// The end of the string; checks that nothing is left over.
    pub fn end(&mut self) -> Result<(), String> {
        if let Phase::Start(start) = &mut self.phase {
            let start = std::mem::take(start);
            self.phase = Phase::Data;
            self.data(&start)?;
        }
        let group = std::mem::take(&mut self.group);
        match (self.encoding, &self.phase) {
            (_, Phase::UriHead(_)) => Err("the head of a data URI does not end".to_owned()),
            (Encoding::Hex, _) if !group.is_empty() => Err("hex of an odd length".to_owned()),
            _ => self.decode(&group),
        }
    }

    /// What has been decoded since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Whether it is media for certain, so that what follows may be pushed in any portion.
    pub fn is_decided(&self) -> bool {
        !matches!(self.phase, Phase::Start(_))
    }

    pub fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// Whether the string had no character at all.
    pub fn is_untouched(&self) -> bool {
        !self.touched
    }

    /// The start of a link, which needs no escapes in JSON.
    pub fn link_start(&self) -> &[u8] {
        match &self.phase {
            Phase::Start(start) => start,
            _ => &[],
        }
    }
}

pub(super) fn hex_digit(c: u8) -> Result<u8, String> {
    let digit = char::from(c).to_digit(16).ok_or("bad hex")?;
    u8::try_from(digit).map_err(|e| e.to_string())
}
