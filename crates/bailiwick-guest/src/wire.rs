//! The frame that both directions use: JSON with byte strings beside it.
//!
//! A message is the number of its parts and the length of each, as little-endian `u32`, then the
//! parts one after the other. Part 0 is JSON; the others are bytes that JSON would only bloat.

use std::io::{Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most parts of a message.
const MAX_PARTS: u32 = 8;
/// The most bytes of a message.
const MAX_BYTES: u64 = 64 << 20;

/// A message that could not be sent or understood.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The pipe broke, or ended too early.
    #[error("the pipe to the launcher broke")]
    Pipe {
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// More parts or bytes than a message may have.
    #[error("a message of {parts} parts and {bytes} bytes is too large")]
    TooLarge {
        /// How many parts.
        parts: u32,
        /// How many bytes.
        bytes: u64,
    },
    /// Part 0 is not the JSON that was expected.
    #[error("the message is not understood")]
    Json {
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}

/// Writes one message: `head` as JSON, then `parts`.
pub fn write_message(
    to: &mut impl Write,
    head: &impl Serialize,
    parts: &[&[u8]],
) -> Result<(), WireError> {
    let json = serde_json::to_vec(head).map_err(|source| WireError::Json { source })?;
    let all = || std::iter::once(json.as_slice()).chain(parts.iter().copied());
    let bytes: u64 = all().map(|part| part.len() as u64).sum();
    let count = u32::try_from(parts.len().saturating_add(1)).unwrap_or(u32::MAX);
    if count > MAX_PARTS || bytes > MAX_BYTES {
        return Err(WireError::TooLarge { parts: count, bytes });
    }
    let mut header = count.to_le_bytes().to_vec();
    for part in all() {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        header.extend_from_slice(&length.to_le_bytes());
    }
    let pipe = |source| WireError::Pipe { source };
    to.write_all(&header).map_err(pipe)?;
    all().try_for_each(|part| to.write_all(part)).map_err(pipe)?;
    to.flush().map_err(pipe)
}

/// Reads one message and nothing after it.
pub fn read_message<T: DeserializeOwned>(
    from: &mut impl Read,
) -> Result<(T, Vec<Vec<u8>>), WireError> {
    let count = read_u32(from)?;
    if count == 0 || count > MAX_PARTS {
        return Err(WireError::TooLarge { parts: count, bytes: 0 });
    }
    let mut lengths = Vec::new();
    for _ in 0..count {
        lengths.push(read_u32(from)?);
    }
    let bytes: u64 = lengths.iter().copied().map(u64::from).sum();
    if bytes > MAX_BYTES {
        return Err(WireError::TooLarge { parts: count, bytes });
    }
    let mut parts = Vec::new();
    for length in lengths {
        let mut part = Vec::new();
        let read = from.take(u64::from(length)).read_to_end(&mut part);
        let read = read.map_err(|source| WireError::Pipe { source })?;
        if u32::try_from(read) != Ok(length) {
            return Err(WireError::Pipe { source: std::io::ErrorKind::UnexpectedEof.into() });
        }
        parts.push(part);
    }
    let json = parts.remove(0);
    let head = serde_json::from_slice(&json).map_err(|source| WireError::Json { source })?;
    Ok((head, parts))
}

fn read_u32(from: &mut impl Read) -> Result<u32, WireError> {
    let mut bytes = [0u8; 4];
    from.read_exact(&mut bytes).map_err(|source| WireError::Pipe { source })?;
    Ok(u32::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(head in ".{0,80}", parts in proptest::collection::vec(proptest::collection::vec(0u8.., 0..200), 0..5)) {
            let mut pipe = Vec::new();
            let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            write_message(&mut pipe, &head, &slices).unwrap();
            pipe.push(7);
            let mut rest = pipe.as_slice();
            let (read, read_parts): (String, _) = read_message(&mut rest).unwrap();
            proptest::prop_assert_eq!((read, read_parts), (head, parts));
            proptest::prop_assert_eq!(rest, &[7][..]);
        }

        #[test]
        fn any_bytes_are_an_error_or_a_message(bytes in proptest::collection::vec(0u8.., 0..400)) {
            drop(read_message::<serde_json::Value>(&mut bytes.as_slice()));
        }
    }

    #[test]
    fn a_cut_message_and_a_huge_one_are_refused() {
        let mut pipe = Vec::new();
        write_message(&mut pipe, &"head", &[b"part"]).unwrap();
        for end in 0..pipe.len() {
            let result = read_message::<String>(&mut &pipe[..end]);
            assert!(matches!(result, Err(WireError::Pipe { .. })), "{end}");
        }
        let huge = [1u32.to_le_bytes(), u32::MAX.to_le_bytes()].concat();
        assert!(matches!(
            read_message::<String>(&mut huge.as_slice()),
            Err(WireError::TooLarge { .. })
        ));
        assert!(matches!(
            write_message(&mut Vec::new(), &"", &[b"".as_slice(); 9]),
            Err(WireError::TooLarge { parts: 10, .. })
        ));
    }
}
