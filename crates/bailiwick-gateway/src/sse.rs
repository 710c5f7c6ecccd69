//! An incremental decoder for server-sent events (WHATWG HTML, section 9.2).
//!
//! Bytes may arrive cut anywhere: inside a line ending, inside a UTF-8 character, inside a field
//! name. What comes out depends on the bytes alone, never on the cuts. Memory is bounded by
//! [`SseLimits`]. Two deliberate differences from a browser: a line that is not UTF-8 is an error
//! (a replaced character would silently change a tool's arguments), and `id` and `retry` are
//! ignored because nothing here reconnects.

use thiserror::Error;

/// How much a stream may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SseLimits {
    /// The most bytes of one event: all its lines, comments included, without line endings.
    pub max_event_bytes: usize,
    /// The most bytes of the whole stream.
    pub max_stream_bytes: u64,
}

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// The `event` field; absent means the default, `message`.
    pub name: Option<String>,
    /// The `data` lines joined with line feeds.
    pub data: String,
}

/// Why a stream can't be decoded further.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SseError {
    /// One event is larger than allowed.
    #[error("an event is larger than {limit} bytes")]
    EventTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The stream is larger than allowed.
    #[error("the stream is larger than {limit} bytes")]
    StreamTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// A line is not UTF-8.
    #[error("a line of the stream is not valid utf-8")]
    NotUtf8,
}

/// The decoder: feed it bytes, take events.
#[derive(Debug)]
pub struct SseDecoder {
    limits: SseLimits,
    seen_bytes: u64,
    event_bytes: usize,
    line: Vec<u8>,
    after_cr: bool,
    first_line: bool,
    name: Option<String>,
    data: Option<String>,
    failed: Option<SseError>,
}

impl SseDecoder {
    /// Makes a decoder for one stream.
    #[must_use]
    pub fn new(limits: SseLimits) -> Self {
        Self {
            limits,
            seen_bytes: 0,
            event_bytes: 0,
            line: Vec::new(),
            after_cr: false,
            first_line: true,
            name: None,
            data: None,
            failed: None,
        }
    }

    /// Takes the next bytes and appends the events that they complete to `events`.
    ///
    /// # Errors
    /// After an error every further call returns the same error; events decoded before the
    /// offending byte are in `events`.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<SseEvent>) -> Result<(), SseError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.feed_within_limit(bytes, events);
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result
    }

    /// Says whether bytes of an event that was never dispatched are left over.
    #[must_use]
    pub fn has_partial_event(&self) -> bool {
        !self.line.is_empty() || self.data.is_some() || self.name.is_some()
    }

    /// Returns how many bytes were taken so far.
    #[must_use]
    pub fn seen_bytes(&self) -> u64 {
        self.seen_bytes
    }

    fn feed_within_limit(
        &mut self,
        bytes: &[u8],
        events: &mut Vec<SseEvent>,
    ) -> Result<(), SseError> {
        let left = self.limits.max_stream_bytes.saturating_sub(self.seen_bytes);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let allowed = bytes.get(..left).unwrap_or(bytes);
        self.seen_bytes = self.seen_bytes.saturating_add(allowed.len() as u64);
        self.feed_lines(allowed, events)?;
        if allowed.len() < bytes.len() {
            return Err(SseError::StreamTooLarge { limit: self.limits.max_stream_bytes });
        }
        Ok(())
    }

    fn feed_lines(&mut self, mut rest: &[u8], events: &mut Vec<SseEvent>) -> Result<(), SseError> {
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (head, tail) = rest.split_at(end);
            self.push(head)?;
            self.end_line(events)?;
            let after = tail.get(1..).unwrap_or_default();
            rest = if tail.first() == Some(&b'\r') {
                // A line feed that follows belongs to the same ending, even in the next chunk.
                self.after_cr = after.is_empty();
                after.strip_prefix(b"\n").unwrap_or(after)
            } else {
                after
            };
        }
        self.push(rest)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), SseError> {
        self.event_bytes = self.event_bytes.saturating_add(bytes.len());
        if self.event_bytes > self.limits.max_event_bytes {
            return Err(SseError::EventTooLarge { limit: self.limits.max_event_bytes });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<SseEvent>) -> Result<(), SseError> {
        let line = std::mem::take(&mut self.line);
        let mut bytes = line.as_slice();
        if self.first_line {
            self.first_line = false;
            bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        }
        if bytes.is_empty() {
            self.dispatch(events);
        } else {
            let text = std::str::from_utf8(bytes).map_err(|_| SseError::NotUtf8)?;
            self.field(text);
        }
        // Keeps the allocation for the next line.
        self.line = line;
        self.line.clear();
        Ok(())
    }

    fn field(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.name = Some(value.to_owned()),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // Comments (an empty field name) and everything unknown are ignored, as specified.
            _ => {}
        }
    }

    fn dispatch(&mut self, events: &mut Vec<SseEvent>) {
        self.event_bytes = 0;
        let name = self.name.take().filter(|name| !name.is_empty());
        if let Some(data) = self.data.take() {
            events.push(SseEvent { name, data });
        }
    }
}
