//! Reads a row of JSON objects, one behind the other or as the `data:` lines of an event stream,
//! and takes the media out that comes in pieces, one in each.

use super::{
    DoorLimits,
    extract::{Scanner, Step},
};
use pixel_core::vendor::{Encoding, HttpCall, MediaAt};
use serde_json::Value;

pub(super) struct Row {
    pointer: String,
    encoding: Encoding,
    /// All documents together.
    json_bytes_left: usize,
    pub media_bytes_max: u64,
    current: Option<Scanner>,
    documents: Vec<Value>,
}

impl Row {
    /// Of a call whose answer is one.
    pub fn of(call: &HttpCall, limits: &DoorLimits) -> Option<Self> {
        let (pointer, encoding) = call.media.iter().find_map(|at| match at {
            MediaAt::Joined { pointer, encoding } => Some((pointer.clone(), *encoding)),
            MediaAt::Body | MediaAt::Json { .. } => None,
        })?;
        Some(Self {
            pointer,
            encoding,
            json_bytes_left: limits.json_bytes,
            media_bytes_max: limits.embedded_bytes,
            current: None,
            documents: Vec::new(),
        })
    }

    /// Reads on; gives the media that the bytes hold.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut media = Vec::new();
        while !bytes.is_empty() {
            match &mut self.current {
                None => {
                    // Between objects stand line ends, and an event stream's field names.
                    let Some(at) = bytes.iter().position(|byte| *byte == b'{') else { return Ok(media) };
                    bytes = &bytes[at..];
                    self.current = Some(Scanner::of_row(&self.pointer, self.encoding, self.json_bytes_left));
                }
                Some(scanner) => {
                    if let Step::Media { bytes, last } = scanner.next(&mut bytes)? {
                        media.extend_from_slice(&bytes);
                        if last {
                            scanner.leave_empty()?;
                        }
                    }
                    if scanner.has_ended() {
                        self.end()?;
                    }
                }
            }
        }
        Ok(media)
    }

    fn end(&mut self) -> Result<(), String> {
        if let Some(scanner) = self.current.take() {
            // A document also costs its place in memory.
            let kept = scanner.kept() + size_of::<Value>();
            self.json_bytes_left = self.json_bytes_left.saturating_sub(kept);
            self.documents.push(scanner.finish()?);
        }
        Ok(())
    }

    /// The documents without their media.
    pub fn finish(self) -> Result<Value, String> {
        match self.current {
            None => Ok(Value::Array(self.documents)),
            Some(_) => Err("the answer ends inside a document".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixel_core::vendor::{Body, Method, Repeat};
    use serde_json::json;
    use std::time::Duration;

    fn row(json_bytes: usize) -> Row {
        let call = HttpCall {
            method: Method::Post,
            url: String::new(),
            headers: Vec::new(),
            body: Body::Empty,
            repeat: Repeat::Never,
            media: vec![MediaAt::Joined { pointer: "/data".to_owned(), encoding: Encoding::Base64 }],
            timeout: Duration::from_secs(1),
            sign: None,
            share: None,
        };
        Row::of(&call, &DoorLimits { json_bytes, ..DoorLimits::default() }).unwrap()
    }

    /// Read in chunks of this many bytes.
    fn read(text: &str, chunk: usize) -> Result<(Vec<u8>, Value), String> {
        let (mut row, mut media) = (row(4096), Vec::new());
        for bytes in text.as_bytes().chunks(chunk) {
            media.extend(row.read(bytes)?);
        }
        Ok((media, row.finish()?))
    }

    #[test]
    fn pieces_are_joined_wherever_the_chunks_end() {
        let lines = r#"{"code":0,"data":"aGVs"}
            {"code":0,"data":null,"sentence":{"text":"a } \" { b","data":"bm8="}}{"code":0,"data":"bG8="}

            {"code":20000000,"data":""}"#;
        let events = "event: audio\ndata: {\"data\":\"aGVsbG8=\"}\n\ndata: {\"code\":1}\n\ndata: [DONE]\n\n";
        for chunk in 1..lines.len() {
            let (media, body) = read(lines, chunk).unwrap();
            assert_eq!((media.as_slice(), body.as_array().unwrap().len()), (&b"hello"[..], 4), "chunks of {chunk}");
            assert_eq!(body[0], json!({ "code": 0, "data": "" }));
            assert_eq!(body[1]["sentence"]["data"], "bm8=", "only the pointer's own place is media");
            let (media, body) = read(events, chunk).unwrap();
            assert_eq!((media.as_slice(), body), (&b"hello"[..], json!([{ "data": "" }, { "code": 1 }])));
        }
    }

    #[test]
    fn what_is_cut_or_too_long_is_no_answer() {
        assert!(read(r#"{"data":"aGVs"}{"data":"aG"#, 7).is_err());
        assert!(read(r#"{"data":"aGVs"}{"da"#, 7).is_err());
        assert_eq!(read("<html>sign in</html>", 7).unwrap(), (Vec::new(), json!([])));
        let mut small = row(100);
        let many = (0..20).try_for_each(|_| small.read(br#"{"a":1}"#).map(drop));
        assert!(many.is_err(), "documents without end");
    }
}
