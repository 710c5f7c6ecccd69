//! Git's pkt-line format: each line starts with its length in four hexadecimal digits
//! (gitprotocol-common).

/// The largest pkt-line, its length included.
const MAX_BYTES: usize = 65_520;

/// Bytes that are not git's protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the request is not git's protocol: {reason}")]
pub struct PktLineError {
    /// In what way.
    pub reason: String,
}

impl PktLineError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// One pkt-line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PktLine<'a> {
    /// `0000`: the end of a section.
    Flush,
    /// `0001` or `0002`: other ends, of protocol version 2.
    Delimiter,
    /// Content.
    Data(&'a [u8]),
}

/// What the four digits in front of a line say.
pub(crate) enum Header {
    Flush,
    Delimiter,
    /// So many bytes follow.
    Data(usize),
}

pub(crate) fn header(digits: [u8; 4]) -> Result<Header, PktLineError> {
    let length = std::str::from_utf8(&digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(|text| usize::from_str_radix(text, 16).ok())
        .ok_or_else(|| PktLineError::new("a length is not four hexadecimal digits"))?;
    match length {
        0 => Ok(Header::Flush),
        1 | 2 => Ok(Header::Delimiter),
        3 => Err(PktLineError::new("a length of 3 means nothing")),
        4..=MAX_BYTES => Ok(Header::Data(length - 4)),
        _ => Err(PktLineError::new("a line is too long")),
    }
}

/// Takes one line off the front.
pub(crate) fn take<'a>(rest: &mut &'a [u8]) -> Result<PktLine<'a>, PktLineError> {
    let short = || PktLineError::new("it ends in the middle of a line");
    let (digits, after) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let line = match header(*digits)? {
        Header::Flush => PktLine::Flush,
        Header::Delimiter => PktLine::Delimiter,
        Header::Data(length) => {
            let (data, after) = after.split_at_checked(length).ok_or_else(short)?;
            *rest = after;
            return Ok(PktLine::Data(data));
        }
    };
    *rest = after;
    Ok(line)
}

/// The end of a section.
pub(crate) const FLUSH: &[u8] = b"0000";

/// Appends a line, cut to what fits.
pub(crate) fn put(out: &mut Vec<u8>, data: &[u8]) {
    let data = data.get(..MAX_BYTES - 4).unwrap_or(data);
    out.extend_from_slice(format!("{:04x}", data.len() + 4).as_bytes());
    out.extend_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_none() {
        for text in ["", "000", "0003", "fff1xx", "00zz", "+004", "0006a", " 004"] {
            assert!(take(&mut text.as_bytes()).is_err(), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_put_is_taken(lines in proptest::collection::vec(proptest::collection::vec(0u8..=255, 0..80), 0..6)) {
            let mut out = Vec::new();
            lines.iter().for_each(|line| put(&mut out, line));
            out.extend_from_slice(FLUSH);
            let mut rest = out.as_slice();
            for line in &lines {
                proptest::prop_assert_eq!(take(&mut rest).unwrap(), PktLine::Data(line));
            }
            proptest::prop_assert_eq!(take(&mut rest).unwrap(), PktLine::Flush);
            proptest::prop_assert!(rest.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in "[0-9a-g]{0,4}[\\x00-\\xff]{0,20}") {
            take(&mut bytes.as_bytes()).ok();
        }
    }
}
