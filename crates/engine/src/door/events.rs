//! Reads an event stream (`text/event-stream`) from pieces that end anywhere. Only the data of
//! events matters here; their other fields are passed over.

/// Something that came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The data of one event, its lines joined.
    Data(Vec<u8>),
    /// A comment, which says no more than that the sender lives.
    Comment,
}

/// What was read of the event that is not yet whole.
pub(super) struct Events {
    line: Vec<u8>,
    /// Absent while the event has no data.
    data: Option<Vec<u8>>,
    /// The last byte was a carriage return, so that a line feed now ends no other line.
    after_return: bool,
    is_begun: bool,
    bytes_max: usize,
}

impl Events {
    /// Events larger than this are refused.
    pub fn new(bytes_max: usize) -> Self {
        Self { line: Vec::new(), data: None, after_return: false, is_begun: false, bytes_max }
    }

    /// The next event of the piece, which is taken from its front; nothing once it is used up.
    pub fn next(&mut self, piece: &mut &[u8]) -> Result<Option<Event>, String> {
        while !piece.is_empty() {
            if std::mem::take(&mut self.after_return) && piece[0] == b'\n' {
                *piece = &piece[1..];
                continue;
            }
            let Some(end) = piece.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.take(piece)?;
                *piece = &[];
                break;
            };
            self.take(&piece[..end])?;
            self.after_return = piece[end] == b'\r';
            *piece = &piece[end + 1..];
            if let Some(event) = self.end_line() {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The event that the end of the stream ends: some senders leave out the blank line after it.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        if !self.line.is_empty() {
            // A comment that is cut off says nothing any more.
            let _ = self.end_line();
        }
        self.data
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let held = self.line.len() + self.data.as_ref().map_or(0, Vec::len);
        if held + bytes.len() > self.bytes_max {
            return Err(format!("an event of the stream is larger than {} bytes", self.bytes_max));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        let line = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| is_first).unwrap_or(&line);
        match line.iter().position(|byte| *byte == b':') {
            _ if line.is_empty() => return self.data.take().map(Event::Data),
            Some(0) => return Some(Event::Comment),
            Some(at) if &line[..at] == b"data" => {
                let value = &line[at + 1..];
                self.add(value.strip_prefix(b" ").unwrap_or(value));
            }
            None if line == b"data" => self.add(b""),
            _ => {}
        }
        None
    }

    fn add(&mut self, value: &[u8]) {
        match &mut self.data {
            None => self.data = Some(value.to_vec()),
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fuzzing::told, *};
    use proptest::prelude::*;

    fn of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
        told(1 << 20, pieces).expect("it is small")
    }

    fn data(text: &str) -> Event {
        Event::Data(text.into())
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        for (text, events) in [
            ("data: a\n\ndata:b\n\n", vec![data("a"), data("b")]),
            ("data: a\r\ndata:  b\r\n\r\n", vec![data("a\n b")]),
            ("data: a\r\rdata: b\r\r", vec![data("a"), data("b")]),
            ("\u{feff}data: a\n\n\u{feff}data: b\n\n", vec![data("a")]),
            (": ping\n\ndata: a\n:\n\n", vec![Event::Comment, Event::Comment, data("a")]),
            ("event: x\nid: 1\nretry: 5\n\n", vec![]),
            ("event: x\ndata: a\nid: 1\n\n\n\n", vec![data("a")]),
            ("data\n\ndata:\ndata\n\n", vec![data(""), data("\n")]),
            ("database: a\n data: b\n\n", vec![]),
            // The end of the stream is an end as well, though the standard would drop these.
            ("data: [DONE]", vec![data("[DONE]")]),
            ("data: a\n", vec![data("a")]),
            ("data: a\n: pi", vec![data("a")]),
            ("", vec![]),
        ] {
            assert_eq!(of([text.as_bytes()]), events, "{text:?}");
        }
    }

    #[test]
    fn an_event_has_a_most() {
        let told = |text: &str| told(8, [text.as_bytes()]).map(|events| events.len());
        assert_eq!(told("data:ab\n\ndata:cd\n\n"), Ok(2));
        assert_eq!(told("data:abc\ndata:abc\n\n").unwrap_err(), "an event of the stream is larger than 8 bytes");
        assert!(told("data:abcd").is_err() && told(": a comment").is_err());
    }

    proptest! {
        #[test]
        fn borders_of_pieces_do_not_matter(
            lines in prop::collection::vec("(data: ?|event: |:|)[a-zé\u{feff}]{0,6}", 0..12),
            ends in prop::collection::vec("\n|\r\n|\r|\n\n", 12),
            borders in prop::collection::vec(0_usize..200, 0..12),
        ) {
            let text: String = lines.iter().zip(&ends).flat_map(|(line, end)| [line.as_str(), end]).collect();
            let (bytes, mut borders) = (text.as_bytes(), borders);
            borders.extend([0, bytes.len()]);
            borders.iter_mut().for_each(|at| *at = (*at).min(bytes.len()));
            borders.sort_unstable();
            let pieces = borders.windows(2).map(|ends| &bytes[ends[0]..ends[1]]);
            prop_assert_eq!(of(pieces), of([bytes]));
            prop_assert_eq!(of(bytes.chunks(1)), of([bytes]));
        }
    }
}
