//! The static program that is the first process of a container, and how one speaks with it.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bailiwick_guest::Captured;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};

static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bailiwick-inside"));

/// The longest frame.
const MAX_FRAME_BYTES: u32 = 1 << 20;

/// Whether this build has the program.
pub(crate) fn is_built() -> bool {
    !PROGRAM.is_empty()
}

/// Writes the program where a runtime can mount it from.
pub(crate) fn install(path: &Path) -> io::Result<()> {
    std::fs::write(path, PROGRAM)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

/// The message that the program reads from its standard input.
pub(crate) fn order(
    argv: &[String],
    env: &BTreeMap<String, String>,
    cwd: &str,
    filters: &[Vec<u8>],
) -> Vec<u8> {
    let mut message = Vec::new();
    let variables: Vec<String> =
        env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    list(&mut message, &argv.iter().map(String::as_bytes).collect::<Vec<_>>());
    list(&mut message, &variables.iter().map(String::as_bytes).collect::<Vec<_>>());
    list(&mut message, &[cwd.as_bytes()]);
    list(&mut message, &filters.iter().map(Vec::as_slice).collect::<Vec<_>>());
    message
}

fn list(message: &mut Vec<u8>, items: &[&[u8]]) {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    message.extend_from_slice(&number(items.len()));
    for item in items {
        message.extend_from_slice(&number(item.len()));
        message.extend_from_slice(item);
    }
}

/// What the program says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Every lock is on; the payload starts.
    Standing,
    /// Of the payload's standard output.
    Stdout(Vec<u8>),
    /// Of its standard error.
    Stderr(Vec<u8>),
    /// It is over, with this status as `waitpid` gives it.
    Ended(i32),
    /// It could not be started, with this error number.
    NotStarted(i32),
    /// The program could not do its own part.
    Refused(String),
}

/// Reads the next frame; `None` at the end of the stream.
pub(crate) async fn next_frame(
    stream: &mut (impl AsyncRead + Unpin + Send),
) -> io::Result<Option<Frame>> {
    let mut kind = [0u8; 1];
    if stream.read(&mut kind).await? == 0 {
        return Ok(None);
    }
    let length = stream.read_u32_le().await?;
    if length > MAX_FRAME_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too long"));
    }
    let mut bytes = vec![0u8; usize::try_from(length).unwrap_or(0)];
    stream.read_exact(&mut bytes).await?;
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "a frame is of no known kind");
    let number = || <[u8; 4]>::try_from(bytes.as_slice()).map(i32::from_le_bytes);
    Ok(Some(match kind {
        [0] => Frame::Standing,
        [1] => Frame::Stdout(bytes),
        [2] => Frame::Stderr(bytes),
        [3] => Frame::Ended(number().map_err(|_| invalid())?),
        [4] => Frame::NotStarted(number().map_err(|_| invalid())?),
        [5] => Frame::Refused(String::from_utf8_lossy(&bytes).into_owned()),
        _ => return Err(invalid()),
    }))
}

/// Keeps the beginning and the end of an output stream.
#[derive(Debug)]
pub(crate) struct Keeper {
    keep: usize,
    head: Vec<u8>,
    tail: std::collections::VecDeque<u8>,
    total: u64,
    hash: Sha256,
}

impl Keeper {
    pub(crate) fn new(keep: u64) -> Self {
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        let (head, tail) = (Vec::new(), std::collections::VecDeque::new());
        Self { keep, head, tail, total: 0, hash: Sha256::new() }
    }

    pub(crate) fn take_in(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(bytes.len() as u64);
        self.hash.update(bytes);
        let room = self.keep.saturating_sub(self.head.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(room);
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(self.keep);
        self.tail.drain(..excess);
    }

    pub(crate) fn finish(self) -> Captured {
        Captured {
            head: self.head,
            tail: self.tail.into(),
            total_bytes: self.total,
            sha256: self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(kind: u8, length: u32, rest: &[u8]) -> Vec<u8> {
        [&[kind][..], &length.to_le_bytes(), rest].concat()
    }

    #[tokio::test]
    async fn frames_are_read_one_by_one_and_nothing_else_is() {
        let stream = [
            bytes(0, 0, b""),
            bytes(1, 3, b"out"),
            bytes(3, 4, &256i32.to_le_bytes()),
            bytes(5, 3, b"why"),
        ]
        .concat();
        let mut stream = stream.as_slice();
        let mut seen = Vec::new();
        while let Some(frame) = next_frame(&mut stream).await.unwrap() {
            seen.push(frame);
        }
        assert_eq!(
            seen,
            [
                Frame::Standing,
                Frame::Stdout(b"out".to_vec()),
                Frame::Ended(256),
                Frame::Refused("why".to_owned())
            ]
        );
        for broken in [
            bytes(9, 0, b""),
            bytes(1, MAX_FRAME_BYTES + 1, b""),
            bytes(1, 4, b"cut"),
            bytes(3, 3, b"abc"),
            vec![1, 0],
        ] {
            assert!(next_frame(&mut broken.as_slice()).await.is_err(), "{broken:?}");
        }
    }

    #[test]
    fn the_beginning_and_the_end_are_kept() {
        let mut keeper = Keeper::new(3);
        [&b"abcd"[..], b"ef", b"ghij"].iter().for_each(|chunk| keeper.take_in(chunk));
        let captured = keeper.finish();
        assert_eq!(
            (captured.head.as_slice(), captured.tail.as_slice()),
            (&b"abc"[..], &b"hij"[..])
        );
        assert_eq!((captured.total_bytes, captured.dropped_bytes()), (10, 4));
    }
}
