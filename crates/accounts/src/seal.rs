//! Tokens at rest: sealed with a key that is not in the database.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pixel_core::vendor::Secret;
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};
use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

const KEY_BYTES: usize = 32;
const FILE: &str = "accounts.key";

/// Seals and opens; has no printable form.
pub struct Sealer {
    key: LessSafeKey,
    mark: hmac::Key,
    random: SystemRandom,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(***)")
    }
}

impl Sealer {
    /// With the operator's secret; without one, with a key file that is made in the folder.
    pub fn open(secret: Option<&Secret>, folder: &Path) -> Result<Self, String> {
        let material = match secret {
            Some(secret) => secret.reveal().as_bytes().to_vec(),
            None => {
                let path = folder.join(FILE);
                key_file(&path).map_err(|why| format!("{}: {why}", path.display()))?
            }
        };
        Self::of(&material)
    }

    fn of(material: &[u8]) -> Result<Self, String> {
        let fault = |_| "the key for sealing cannot be made".to_owned();
        let base = hkdf::Salt::new(hkdf::HKDF_SHA256, b"pixel accounts").extract(material);
        let key = UnboundKey::from(base.expand(&[b"seal"], &CHACHA20_POLY1305).map_err(fault)?);
        let mark = hmac::Key::from(base.expand(&[b"mark"], hmac::HMAC_SHA256).map_err(fault)?);
        Ok(Self { key: LessSafeKey::new(key), mark, random: SystemRandom::new() })
    }

    /// What only the same key opens, and only for the same account.
    pub fn seal(&self, account: &str, token: &Secret) -> Result<String, String> {
        let fault = |_| "the token cannot be sealed".to_owned();
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(fault)?;
        let mut text = token.reveal().as_bytes().to_vec();
        let own = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(own, Aad::from(account.as_bytes()), &mut text).map_err(fault)?;
        Ok(STANDARD.encode([nonce.as_slice(), &text].concat()))
    }

    /// `None`: it was sealed with another key, for another account, or is damaged.
    pub fn unseal(&self, account: &str, sealed: &str) -> Option<Secret> {
        let bytes = STANDARD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let text = self.key.open_in_place(nonce, Aad::from(account.as_bytes()), &mut text).ok()?;
        String::from_utf8(text.to_vec()).ok().map(Secret::new)
    }

    /// Tells equal values from others without saying anything of them to who lacks the key.
    pub fn fingerprint(&self, parts: &[&str]) -> String {
        let mut context = hmac::Context::with_key(&self.mark);
        for part in parts {
            context.update(&part.len().to_le_bytes());
            context.update(part.as_bytes());
        }
        STANDARD.encode(context.sign())
    }
}

/// The key of the folder, which is made when there is none; whole at any moment.
fn key_file(path: &Path) -> io::Result<Vec<u8>> {
    match read_key(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let (mut key, mut name) = ([0; KEY_BYTES], [0; 8]);
    let random = SystemRandom::new();
    let drawn = random.fill(&mut key).and_then(|()| random.fill(&mut name));
    drawn.map_err(|_| io::Error::other("there is no randomness"))?;
    // Process ids come again, in containers at each start: what was left behind must be in nobody's way.
    let draft = path.with_extension(format!("{:016x}.tmp", u64::from_ne_bytes(name)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = file.write_all(&key).and_then(|()| file.sync_all());
    // Of two servers that begin at once, one makes it and the other takes it.
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(why),
        _ => {}
    }
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    read_key(path)
}

fn read_key(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other("others may read it; take that right away (chmod 600)"));
    }
    let mut key = Vec::with_capacity(KEY_BYTES);
    Read::by_ref(&mut file).take(KEY_BYTES as u64 + 1).read_to_end(&mut key)?;
    match key.len() {
        KEY_BYTES => Ok(key),
        other => Err(io::Error::other(format!("it has {other} bytes and is none of ours; {KEY_BYTES} are right"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJ.planted.token";

    fn token() -> Secret {
        Secret::new(TOKEN)
    }

    #[test]
    fn only_the_same_key_and_account_open_a_seal() {
        let folder = tempfile::tempdir().unwrap();
        let ours = Sealer::open(Some(&Secret::new("secret one")), folder.path()).unwrap();
        let sealed = ours.seal("acc", &token()).unwrap();
        assert_ne!(sealed, ours.seal("acc", &token()).unwrap(), "the same text is sealed anew each time");
        assert!(!sealed.contains("planted") && !format!("{ours:?}").contains("secret"));
        assert_eq!(ours.unseal("acc", &sealed).as_ref().map(Secret::reveal), Some(TOKEN));
        let again = Sealer::open(Some(&Secret::new("secret one")), folder.path()).unwrap();
        assert_eq!(again.unseal("acc", &sealed), Some(token()));
        assert_eq!(again.unseal("other", &sealed), None);
        let other = Sealer::open(Some(&Secret::new("secret two")), folder.path()).unwrap();
        assert_eq!(other.unseal("acc", &sealed), None);
        let mut damaged = STANDARD.decode(&sealed).unwrap();
        damaged[20] ^= 1;
        for bad in [STANDARD.encode(damaged), String::new(), "nonsense".to_owned(), STANDARD.encode([0; 5])] {
            assert_eq!(ours.unseal("acc", &bad), None, "{bad}");
        }
        assert!(!folder.path().join(FILE).exists(), "the operator's secret needs no file");
    }

    #[test]
    fn a_key_file_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = Sealer::open(None, folder.path()).unwrap().seal("acc", &token()).unwrap();
        assert_eq!(Sealer::open(None, folder.path()).unwrap().unseal("acc", &sealed), Some(token()));
        let path = folder.path().join(FILE);
        fs::remove_file(&path).unwrap();
        let left = path.with_extension(format!("{}.tmp", std::process::id()));
        fs::write(&left, "").unwrap();
        Sealer::open(None, folder.path()).unwrap();
        fs::remove_file(&left).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Sealer::open(None, folder.path()).unwrap_err().contains("chmod 600"));
        fs::write(&path, b"short").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Sealer::open(None, folder.path()).unwrap_err().contains("5 bytes"));
    }

    #[test]
    fn fingerprints_tell_settings_apart() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Sealer::open(None, folder.path()).unwrap();
        let of = |parts: &[&str]| sealer.fingerprint(parts);
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["ab", ""]));
        assert!(!of(&["password"]).contains("password"));
    }
}
