//! Reads a vendor's answer: small JSON into memory, media into staged blobs while it streams.

use super::{
    DoorLimits,
    client::why,
    extract::{Scanner, Step},
    row::Row,
};
use crate::turns::Turn;
use pixel_core::vendor::{Answer, HttpCall, MediaAt};
use pixel_store::{
    blobs::{Blobs, StageWriter},
    crash,
};
use reqwest::{Response, header};
use serde_json::Value;
use std::{io, time::Duration};
use tokio::time::timeout;

/// What is decoded at a time: a piece that arrives may be many times as long.
const SLICE_BYTES: usize = 32 << 10;
/// Of a body that is no JSON.
const TEXT_BYTES_MAX: usize = 2048;

/// The body of an answer, piece by piece.
pub(super) struct Pieces {
    response: Response,
    /// Silence that is taken for a dead connection; none for paid calls, see the door.
    idle: Option<Duration>,
    turn: Turn,
    /// Received so far, after inflation.
    pub bytes: u64,
}

impl Pieces {
    pub fn new(response: Response, idle: Option<Duration>, turn: Turn) -> Self {
        Self { response, idle, turn, bytes: 0 }
    }

    async fn next(&mut self) -> Result<Option<bytes::Bytes>, String> {
        self.turn.begin(self.bytes).await;
        let piece = match self.idle {
            None => self.turn.next(self.response.chunk()).await,
            Some(idle) => {
                let silence = |_| format!("the answer stopped for {} ms", idle.as_millis());
                self.turn.next(timeout(idle, self.response.chunk())).await.map_err(silence)?
            }
        };
        let piece = piece.map_err(|e| format!("the answer broke off: {}", why(e)))?;
        self.bytes += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Ok(piece)
    }
}

/// Reads the rest of an answer whose head has come.
pub(super) async fn read(
    pieces: &mut Pieces,
    call: &HttpCall,
    blobs: &Blobs,
    limits: &DoorLimits,
) -> Result<Answer, String> {
    let mut answer = head(&pieces.response);
    let is_json = is_json(&answer);
    if !answer.is_success() {
        small(pieces, &mut answer, limits).await?;
    } else if let Some(row) = Row::of(call, limits) {
        joined(pieces, &mut answer, row, call, blobs).await?;
    } else if call.media.contains(&MediaAt::Body) && !is_json {
        whole(pieces, &mut answer, call, blobs, limits).await?;
    } else {
        document(pieces, &mut answer, call, blobs, limits).await?;
    }
    Ok(answer)
}

/// Status and headers; a header that is no text is left out, and so are the vendor's cookies.
pub(crate) fn head(response: &Response) -> Answer {
    let headers = response.headers().iter().filter(|(name, _)| *name != header::SET_COOKIE);
    let texts = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    Answer { status: response.status().as_u16(), headers: texts.collect(), ..Answer::default() }
}

fn is_json(answer: &Answer) -> bool {
    let media_type = answer.header("content-type").and_then(|text| text.split(';').next()).unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json") || media_type == "text/json"
}

/// A refusal or a redirect. One that is too long keeps its start: the status has said enough.
async fn small(pieces: &mut Pieces, answer: &mut Answer, limits: &DoorLimits) -> Result<(), String> {
    let mut body = Vec::new();
    while let Some(piece) = pieces.next().await? {
        body.extend_from_slice(&piece);
        if body.len() > limits.json_bytes {
            break;
        }
    }
    keep_json_or_text(answer, &body);
    Ok(())
}

fn keep_json_or_text(answer: &mut Answer, body: &[u8]) {
    match serde_json::from_slice::<Value>(body) {
        Ok(json) => answer.body = json,
        Err(_) if body.is_empty() => {}
        Err(_) => {
            let text = String::from_utf8_lossy(&body[..body.len().min(TEXT_BYTES_MAX)]);
            // A character cut in half, or a replaced one, must not make it longer than promised.
            let end = text.floor_char_boundary(TEXT_BYTES_MAX);
            answer.text = Some(text[..end].to_owned());
        }
    }
}

/// Media as the whole body.
async fn whole(
    pieces: &mut Pieces,
    answer: &mut Answer,
    call: &HttpCall,
    blobs: &Blobs,
    limits: &DoorLimits,
) -> Result<(), String> {
    let mut stage = begin(call, blobs, limits.media_bytes);
    while let Some(piece) = pieces.next().await? {
        stage.write(&piece).await.map_err(unstored)?;
    }
    answer.staged.push(stage.finish().await.map_err(unstored)?.handle);
    Ok(())
}

/// Media in pieces, each in a document of its own.
async fn joined(
    pieces: &mut Pieces,
    answer: &mut Answer,
    mut row: Row,
    call: &HttpCall,
    blobs: &Blobs,
) -> Result<(), String> {
    let mut stage = None;
    while let Some(piece) = pieces.next().await? {
        for slice in piece.chunks(SLICE_BYTES) {
            let bytes = row.read(slice)?;
            if !bytes.is_empty() {
                let writer = stage.get_or_insert_with(|| begin(call, blobs, row.media_bytes_max));
                keep(writer, &bytes).await?;
            }
        }
    }
    answer.body = row.finish()?;
    if let Some(writer) = stage {
        answer.staged.push(writer.finish().await.map_err(unstored)?.handle);
    }
    Ok(())
}

/// JSON with media in it, or a text where JSON was expected.
async fn document(
    pieces: &mut Pieces,
    answer: &mut Answer,
    call: &HttpCall,
    blobs: &Blobs,
    limits: &DoorLimits,
) -> Result<(), String> {
    let mut scanner = Scanner::new(&call.media, limits.json_bytes);
    let mut stage = None;
    let mut is_judged = is_json(answer);
    while let Some(piece) = pieces.next().await? {
        if !is_judged && let Some(first) = piece.iter().find(|byte| !byte.is_ascii_whitespace()) {
            is_judged = true;
            if !matches!(first, b'{' | b'[') {
                return text(pieces, answer, &piece).await;
            }
        }
        for slice in piece.chunks(SLICE_BYTES) {
            extract(&mut scanner, &mut stage, slice, call, blobs, limits).await?;
        }
    }
    if pieces.bytes > 0 {
        answer.body = scanner.finish()?;
    }
    Ok(())
}

async fn extract(
    scanner: &mut Scanner,
    stage: &mut Option<StageWriter>,
    mut piece: &[u8],
    call: &HttpCall,
    blobs: &Blobs,
    limits: &DoorLimits,
) -> Result<(), String> {
    while let Step::Media { bytes, last } = scanner.next(&mut piece)? {
        let mut writer = match stage.take() {
            Some(writer) => writer,
            None => begin(call, blobs, limits.embedded_bytes),
        };
        keep(&mut writer, &bytes).await?;
        if last {
            scanner.place(&writer.finish().await.map_err(unstored)?.handle)?;
        } else {
            *stage = Some(writer);
        }
    }
    Ok(())
}

async fn keep(writer: &mut StageWriter, bytes: &[u8]) -> Result<(), String> {
    writer.write(bytes).await.map_err(unstored)?;
    crash::point!("answer.media");
    Ok(())
}

/// A success that is no JSON, a login page for example: its start, for the adapter to judge.
async fn text(pieces: &mut Pieces, answer: &mut Answer, first: &[u8]) -> Result<(), String> {
    let mut body = first.to_vec();
    while body.len() < TEXT_BYTES_MAX
        && let Some(piece) = pieces.next().await?
    {
        body.extend_from_slice(&piece);
    }
    keep_json_or_text(answer, &body);
    Ok(())
}

/// A file for media of this answer. What was paid for comes only once: it waits for a full disk,
/// and the vendor with it, until the call's own time is over.
fn begin(call: &HttpCall, blobs: &Blobs, cap_bytes: u64) -> StageWriter {
    blobs.stage(cap_bytes).patient(call.repeat.is_paid())
}

fn unstored(error: io::Error) -> String {
    format!("the answer's media could not be stored: {error}")
}
