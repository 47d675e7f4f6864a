//! Adds the headers that a call can have only when it leaves.

use super::body::{Prepared, hash};
use pixel_core::vendor::{Field, HttpCall, Leaving};
use pixel_store::{blobs::Blobs, now};

/// The headers of a signed call; none for any other.
pub(super) async fn headers(
    call: &HttpCall,
    prepared: &Prepared,
    blobs: &Blobs,
) -> Result<Vec<(String, Field)>, String> {
    let Some(signer) = &call.sign else { return Ok(Vec::new()) };
    let body_sha256 = match signer.hashes_body {
        true => hash(&call.body, blobs).await?,
        false => String::new(),
    };
    let nonce = format!("{:032x}", fastrand::u128(..));
    Ok((signer.sign)(&Leaving {
        method: call.method,
        url: &call.url,
        content_type: prepared.content_type.as_deref().unwrap_or_default(),
        body_sha256: &body_sha256,
        credential: &signer.credential,
        now: now(),
        nonce: &nonce,
    }))
}
