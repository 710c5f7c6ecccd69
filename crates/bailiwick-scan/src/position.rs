//! Turns byte offsets, asked for in ascending order, into lines and columns in one pass.

/// A cursor over a text which only moves forward, so that positions of any number of matches cost
/// one pass together.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
    column: u32,
    line_start: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, line: 1, column: 1, line_start: 0 }
    }

    /// Line and column of `offset`, both counted from 1, the column in characters (a byte that is
    /// no UTF-8 counts as one). An offset before the last one asked for yields the last position.
    pub(crate) fn advance_to(&mut self, offset: usize) -> (u32, u32) {
        while self.at < offset {
            let Some(byte) = self.bytes.get(self.at) else { break };
            self.at += 1;
            if *byte == b'\n' {
                self.line = self.line.saturating_add(1);
                self.column = 1;
                self.line_start = self.at;
            } else if self.bytes.get(self.at).is_none_or(|next| next & 0xC0 != 0x80) {
                // a character is counted once its last byte has been passed
                self.column = self.column.saturating_add(1);
            }
        }
        (self.line, self.column)
    }

    /// Byte offset at which the line of the last position asked for begins.
    pub(crate) fn line_start(&self) -> usize {
        self.line_start
    }
}

/// Cuts `text` to at most `limit` bytes from the end, on a character boundary.
pub(crate) fn tail(text: &str, limit: usize) -> &str {
    let mut start = text.len().saturating_sub(limit);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default()
}

/// Cuts `text` to at most `limit` bytes from its beginning, on a character boundary.
pub(crate) fn head(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = "aé漢b\nx";
        let mut cursor = Cursor::new(text.as_bytes());
        let positions: Vec<_> = [0, 1, 3, 6, 8].map(|at| cursor.advance_to(at)).into();
        assert_eq!(positions, [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1)]);
    }

    #[test]
    fn cuts_keep_characters_whole() {
        assert_eq!(tail("aé", 1), "");
        assert_eq!(head("éa", 1), "");
        assert_eq!((head("abc", 2), tail("abc", 2)), ("ab", "bc"));
    }
}
