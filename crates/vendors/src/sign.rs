//! What signatures are made of. Who signs what is the vendor's own file.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// HMAC-SHA256.
pub fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    // A key of any length is taken; the type says that it might not be.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// HMAC-SHA1, which one store still signs with.
pub fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<sha1::Sha1>::new_from_slice(key) else { return Vec::new() };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// SHA-256 in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A JSON web token, signed with HS256.
pub fn jwt(claims: &Value, secret: &[u8]) -> String {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let head = part(br#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{head}.{}", part(claims.to_string().as_bytes()));
    let signature = part(&hmac(secret, signed.as_bytes()));
    format!("{signed}.{signature}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_vectors_hold() {
        // RFC 4231, test case 2.
        let mac = hex(&hmac(b"Jefe", b"what do ya want for nothing?"));
        assert_eq!(mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(&sha256_hex(b"abc")[..16], "ba7816bf8f01cfea");
        // Made with another implementation: python, hmac and base64.
        let claims = serde_json::json!({ "iss": "ak" });
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJhayJ9.IOOxpcqUeKhbhZ8dz7aqGzfGo1DiBe4gmTWz9eEd2sY";
        assert_eq!(jwt(&claims, b"sk"), token);
    }
}
