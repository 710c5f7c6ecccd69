//! Commit signatures in OpenSSH's format (PROTOCOL.sshsig), made and checked here, so that neither
//! needs `ssh-keygen` on the machine. `git verify-commit` accepts them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha512};

const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
const KEY_TYPE: &[u8] = b"ssh-ed25519";
const HASH: &[u8] = b"sha512";
/// The namespace that git gives to commits and tags.
const NAMESPACE: &[u8] = b"git";
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
const LINE: usize = 70;

/// A signature could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the signing key cannot be used: {reason}")]
pub struct SignatureError {
    /// Why.
    pub reason: String,
}

/// Whoever holds the key that commits are signed with. Never an agent.
pub trait CommitSigner: Send + Sync + fmt::Debug {
    /// Signs a commit's bytes; the answer is an armoured SSH signature in the namespace `git`.
    fn sign(&self, payload: &[u8]) -> Result<String, SignatureError>;
}

/// Signs with an Ed25519 key held in memory.
pub struct Ed25519Signer {
    key: SigningKey,
}

impl Ed25519Signer {
    /// Takes the 32 bytes of a secret key (RFC 8032).
    pub fn new(secret: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(secret) }
    }

    /// The 32 bytes of the public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }
}

impl fmt::Debug for Ed25519Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ed25519Signer").finish_non_exhaustive()
    }
}

impl CommitSigner for Ed25519Signer {
    fn sign(&self, payload: &[u8]) -> Result<String, SignatureError> {
        let signature = self.key.sign(&signed_data(payload));
        let mut blob = MAGIC.to_vec();
        blob.extend_from_slice(&VERSION.to_be_bytes());
        put(&mut blob, &public_blob(&self.public_key()));
        put(&mut blob, NAMESPACE);
        put(&mut blob, b"");
        put(&mut blob, HASH);
        let mut inner = Vec::new();
        put(&mut inner, KEY_TYPE);
        put(&mut inner, &signature.to_bytes());
        put(&mut blob, &inner);
        Ok(armour(&blob))
    }
}

/// What a commit's signature says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureState {
    /// Good, and made by one of the trusted keys.
    Trusted,
    /// Good, but made by another key.
    Untrusted,
    /// Not a signature of this commit.
    Bad,
    /// There is none.
    Unsigned,
}

/// Checks an armoured signature over a commit's bytes.
pub(crate) fn verify(payload: &[u8], armoured: &str, trusted: &[[u8; 32]]) -> SignatureState {
    let Some((public, signature)) = unarmour(armoured).and_then(|blob| open(&blob)) else {
        return SignatureState::Bad;
    };
    let Ok(key) = VerifyingKey::from_bytes(&public) else { return SignatureState::Bad };
    if key.verify_strict(&signed_data(payload), &signature).is_err() {
        return SignatureState::Bad;
    }
    if trusted.contains(&public) { SignatureState::Trusted } else { SignatureState::Untrusted }
}

/// The line for a file named by git's `gpg.ssh.allowedSignersFile`.
pub fn allowed_signers_line(principal: &str, public_key: &[u8; 32]) -> String {
    let principal: String = principal
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "@.-_+".contains(c) { c } else { '_' })
        .collect();
    format!("{principal} namespaces=\"git\" ssh-ed25519 {}", BASE64.encode(public_blob(public_key)))
}

fn put(out: &mut Vec<u8>, field: &[u8]) {
    // fields are a few hundred bytes at most
    out.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(field);
}

fn public_blob(public_key: &[u8; 32]) -> Vec<u8> {
    let mut blob = Vec::new();
    put(&mut blob, KEY_TYPE);
    put(&mut blob, public_key);
    blob
}

fn signed_data(payload: &[u8]) -> Vec<u8> {
    let mut data = MAGIC.to_vec();
    put(&mut data, NAMESPACE);
    put(&mut data, b"");
    put(&mut data, HASH);
    put(&mut data, &Sha512::digest(payload));
    data
}

fn armour(blob: &[u8]) -> String {
    let text = BASE64.encode(blob);
    let mut out = format!("{BEGIN}\n");
    let mut chars = text.chars().peekable();
    while chars.peek().is_some() {
        out.extend(chars.by_ref().take(LINE));
        out.push('\n');
    }
    out.push_str(END);
    out.push('\n');
    out
}

fn unarmour(text: &str) -> Option<Vec<u8>> {
    let body = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    BASE64.decode(body).ok()
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (field, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(field)
}

fn open(blob: &[u8]) -> Option<([u8; 32], Signature)> {
    let rest = blob.strip_prefix(MAGIC)?;
    let mut rest = rest.strip_prefix(&VERSION.to_be_bytes())?;
    let mut public = take(&mut rest)?;
    let namespace = take(&mut rest)?;
    let _reserved = take(&mut rest)?;
    let hash = take(&mut rest)?;
    let mut signature = take(&mut rest)?;
    let as_expected = namespace == NAMESPACE
        && hash == HASH
        && rest.is_empty()
        && take(&mut public)? == KEY_TYPE
        && take(&mut signature)? == KEY_TYPE;
    let key = take(&mut public)?.try_into().ok()?;
    let bytes: [u8; 64] = take(&mut signature)?.try_into().ok()?;
    as_expected.then(|| (key, Signature::from_bytes(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_for_its_payload_and_key_only() {
        let signer = Ed25519Signer::new(&[7; 32]);
        let armoured = signer.sign(b"payload").unwrap();
        assert_eq!(verify(b"payload", &armoured, &[signer.public_key()]), SignatureState::Trusted);
        assert_eq!(verify(b"payload", &armoured, &[]), SignatureState::Untrusted);
        assert_eq!(verify(b"payloae", &armoured, &[signer.public_key()]), SignatureState::Bad);
        let other = Ed25519Signer::new(&[8; 32]);
        assert_eq!(verify(b"payload", &armoured, &[other.public_key()]), SignatureState::Untrusted);
    }

    #[test]
    fn every_flipped_byte_of_a_signature_is_noticed() {
        let signer = Ed25519Signer::new(&[7; 32]);
        let blob = unarmour(&signer.sign(b"payload").unwrap()).unwrap();
        for at in 0..blob.len() {
            let mut changed = blob.clone();
            changed[at] ^= 1;
            let state = verify(b"payload", &armour(&changed), &[signer.public_key()]);
            assert_eq!(state, SignatureState::Bad, "byte {at}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_blob_makes_the_parser_panic(blob in proptest::collection::vec(0u8..=255, 0..200)) {
            let magic = [MAGIC, &VERSION.to_be_bytes(), &blob].concat();
            proptest::prop_assert_eq!(verify(b"", &armour(&magic), &[]), SignatureState::Bad);
        }
    }
}
