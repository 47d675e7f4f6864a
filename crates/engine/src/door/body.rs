//! Request bodies of a known length: bytes, and stored blobs encoded while they are sent.

use super::multipart;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use pixel_core::vendor::{BlobForm, Body, Part};
use pixel_store::blobs::{BlobReader, Blobs};
use sha2::{Digest, Sha256};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::io::AsyncReadExt;

/// Bytes of a blob in memory at a time; whole groups of base64.
const READ_BYTES: usize = 3 * 32 * 1024;

/// A body that is ready to leave.
pub(super) struct Prepared {
    pub content_type: Option<String>,
    pub length: u64,
    pub body: reqwest::Body,
    /// Bytes that the connection has taken so far, for the watch over a stalled upload.
    pub taken: Arc<AtomicU64>,
    /// Raised when the body was not allowed to begin.
    pub stopped: Option<Arc<AtomicBool>>,
}

/// Opens every blob, so that one that is missing, has another length or cannot be read is found
/// before a byte leaves.
pub(super) async fn prepare(body: &Body, blobs: &Blobs) -> Result<Prepared, String> {
    let (content_type, parts) = parts_of(body);
    let length = parts.iter().map(wire_length).sum();
    let mut pieces = Vec::with_capacity(parts.len());
    for part in parts {
        pieces.push(open(part, blobs).await?);
    }
    let taken = Arc::new(AtomicU64::new(0));
    Ok(Prepared { content_type, length, body: assemble(pieces, taken.clone()), taken, stopped: None })
}

fn parts_of(body: &Body) -> (Option<String>, Vec<Part>) {
    match body {
        Body::Empty => (None, Vec::new()),
        Body::Parts(content_type, parts) => (Some(content_type.clone()), parts.clone()),
        Body::Multipart(fields) => {
            let (content_type, parts) = multipart::parts(fields);
            (Some(content_type), parts)
        }
    }
}

/// SHA-256 of the bytes that a body becomes, in lower-case hex; reads every blob once.
pub(super) async fn hash(body: &Body, blobs: &Blobs) -> Result<String, String> {
    let mut hash = Sha256::new();
    for part in parts_of(body).1 {
        let mut chunks = chunks(open(part, blobs).await?);
        while let Some(chunk) = chunks.next().await {
            hash.update(chunk.map_err(|e| format!("a stored input cannot be read: {e}"))?);
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn wire_length(part: &Part) -> u64 {
    match part {
        Part::Bytes(bytes) => bytes.len() as u64,
        Part::Blob { bytes, form: BlobForm::Raw, .. } => *bytes,
        Part::Blob { bytes, form: BlobForm::Base64, .. } => bytes.div_ceil(3) * 4,
        Part::Blob { bytes, form: BlobForm::Hex, .. } => bytes * 2,
    }
}

enum Piece {
    Bytes(Bytes),
    Blob { file: BlobReader, left: u64, form: BlobForm },
}

async fn open(part: Part, blobs: &Blobs) -> Result<Piece, String> {
    let (sha256, bytes, form) = match part {
        Part::Bytes(bytes) => return Ok(Piece::Bytes(bytes.into())),
        Part::Blob { sha256, bytes, form } => (sha256, bytes, form),
    };
    let (file, length) = blobs.open_here(&sha256).await.map_err(|e| format!("a stored input cannot be read: {e}"))?;
    match length == bytes {
        true => Ok(Piece::Blob { file, left: bytes, form }),
        false => Err(format!("a stored input has {length} bytes where {bytes} were recorded")),
    }
}

fn assemble(mut pieces: Vec<Piece>, taken: Arc<AtomicU64>) -> reqwest::Body {
    match pieces.as_mut_slice() {
        [] => return reqwest::Body::default(),
        [Piece::Bytes(bytes)] => return reqwest::Body::from(std::mem::take(bytes)),
        _ => {}
    }
    let chunks = stream::iter(pieces).flat_map(chunks);
    reqwest::Body::wrap_stream(chunks.inspect_ok(move |chunk: &Bytes| {
        taken.fetch_add(chunk.len() as u64, Ordering::Relaxed);
    }))
}

fn chunks(piece: Piece) -> BoxStream<'static, io::Result<Bytes>> {
    match piece {
        Piece::Bytes(bytes) => stream::iter([Ok(bytes)]).boxed(),
        Piece::Blob { file, left, form } => {
            stream::try_unfold((file, left), move |(file, left)| read(file, left, form)).boxed()
        }
    }
}

async fn read(mut file: BlobReader, left: u64, form: BlobForm) -> io::Result<Option<(Bytes, (BlobReader, u64))>> {
    let size = usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES);
    if size == 0 {
        return Ok(None);
    }
    let mut raw = vec![0; size];
    file.read_exact(&mut raw).await?;
    let chunk = match form {
        BlobForm::Raw => raw,
        BlobForm::Base64 => STANDARD.encode(&raw).into_bytes(),
        BlobForm::Hex => raw.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_char).collect(),
    };
    Ok(Some((chunk.into(), (file, left - size as u64))))
}

fn hex_char(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}
