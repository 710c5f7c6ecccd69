//! Making commits: every byte is given, so the same input makes the same commit.

use bailiwick_model::id::Oid;
use jiff::Timestamp;

use crate::error::GitError;
use crate::name::{NameError, TreeId};
use crate::read::split_commit;
use crate::repository::parse_oid;
use crate::run::Git;
use crate::sshsig::{self, CommitSigner, SignatureState};

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    line: Vec<u8>,
}

impl Signature {
    /// Builds `Name <address>` at a time, written in UTC. Neither part may hold `<`, `>` or a
    /// control character.
    pub fn new(name: &str, email: &str, at: Timestamp) -> Result<Self, NameError> {
        let sound = |text: &str| {
            !text.trim().is_empty() && !text.contains(|c: char| c.is_control() || "<>".contains(c))
        };
        for (text, kind) in [(name, "name for a commit"), (email, "address for a commit")] {
            if !sound(text) {
                return Err(NameError::new(text.as_bytes(), kind));
            }
        }
        let line =
            format!("{} <{}> {} +0000", name.trim(), email.trim(), at.as_second()).into_bytes();
        Ok(Self { line })
    }

    /// Takes over the line of an existing commit.
    pub(crate) fn from_line(line: &[u8]) -> Self {
        Self { line: line.to_vec() }
    }
}

/// A line `Key: value` at the end of a commit's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailer {
    line: String,
}

impl Trailer {
    /// Builds a trailer; the key has letters, digits and `-`, the value one line.
    pub fn new(key: &str, value: &str) -> Result<Self, NameError> {
        Self::parse(&format!("{key}: {value}"))
    }

    /// Parses `Key: value`.
    pub fn parse(line: &str) -> Result<Self, NameError> {
        let sound = line.split_once(": ").is_some_and(|(key, value)| {
            !key.is_empty()
                && !key.starts_with('-')
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !value.trim().is_empty()
                && !value.contains(char::is_control)
        });
        if sound {
            Ok(Self { line: line.to_owned() })
        } else {
            Err(NameError::new(line.as_bytes(), "trailer"))
        }
    }
}

/// A commit to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// Its tree.
    pub tree: TreeId,
    /// Its parents.
    pub parents: Vec<Oid>,
    /// Who wrote the change.
    pub author: Signature,
    /// Who commits it.
    pub committer: Signature,
    /// The message, without trailers; NUL is not allowed.
    pub message: String,
    /// Lines at the end of the message.
    pub trailers: Vec<Trailer>,
}

impl Git {
    /// Writes a commit object, signed if there is a signer. No reference moves.
    pub fn write_commit(
        &self,
        new: &NewCommit,
        signer: Option<&dyn CommitSigner>,
    ) -> Result<Oid, GitError> {
        let trailers: Vec<&str> =
            new.trailers.iter().map(|trailer| trailer.line.as_str()).collect();
        let mut message = new.message.trim().to_owned();
        if !trailers.is_empty() {
            message = format!("{message}\n\n{}", trailers.join("\n"));
        }
        message.push('\n');
        self.write_raw_commit(new, message.as_bytes(), signer)
    }

    pub(crate) fn write_raw_commit(
        &self,
        new: &NewCommit,
        message: &[u8],
        signer: Option<&dyn CommitSigner>,
    ) -> Result<Oid, GitError> {
        if message.contains(&0) {
            return Err(NameError::new(message, "commit message").into());
        }
        let mut headers = format!("tree {}\n", new.tree).into_bytes();
        for parent in &new.parents {
            headers.extend_from_slice(format!("parent {parent}\n").as_bytes());
        }
        for (key, signature) in [("author", &new.author), ("committer", &new.committer)] {
            headers.extend_from_slice(key.as_bytes());
            headers.push(b' ');
            headers.extend_from_slice(&signature.line);
            headers.push(b'\n');
        }
        let unsigned = [&headers, b"\n".as_slice(), message].concat();
        let object = match signer {
            None => unsigned,
            Some(signer) => {
                let armoured =
                    signer.sign(&unsigned).map_err(|source| GitError::Signing { source })?;
                let header = if new.tree.as_str().len() == 64 { "gpgsig-sha256" } else { "gpgsig" };
                let folded = armoured.trim_end().replace('\n', "\n ");
                [&headers, format!("{header} {folded}\n\n").as_bytes(), message].concat()
            }
        };
        let output =
            self.command(["hash-object", "-t", "commit", "-w", "--stdin"]).input(object).run()?;
        parse_oid("hash-object", &output)
    }

    /// Checks a commit's SSH signature against the trusted public keys.
    pub fn signature_state(
        &self,
        commit: &Oid,
        trusted: &[[u8; 32]],
    ) -> Result<SignatureState, GitError> {
        let raw = self.command(["cat-file", "commit"]).arg(commit.as_str()).run_known()?;
        Ok(split_signature(&raw).map_or(SignatureState::Unsigned, |(payload, armoured)| {
            sshsig::verify(&payload, &armoured, trusted)
        }))
    }
}

/// Takes the signature out of a commit: what was signed is the commit without that header.
fn split_signature(raw: &[u8]) -> Option<(Vec<u8>, String)> {
    let (headers, message) = split_commit(raw)?;
    let mut kept = Vec::new();
    let mut signature: Option<Vec<u8>> = None;
    let mut inside = false;
    for line in headers.split_inclusive(|byte| *byte == b'\n') {
        let first = line.strip_prefix(b"gpgsig ").or_else(|| line.strip_prefix(b"gpgsig-sha256 "));
        match (first, inside, line.strip_prefix(b" ")) {
            (Some(start), _, _) => {
                signature.get_or_insert_default().extend_from_slice(start);
                inside = true;
            }
            (None, true, Some(more)) => signature.get_or_insert_default().extend_from_slice(more),
            (None, _, _) => {
                inside = false;
                kept.extend_from_slice(line);
            }
        }
    }
    kept.push(b'\n');
    kept.extend_from_slice(message);
    Some((kept, String::from_utf8(signature?).ok()?))
}
