//! When a call is tried again, and after how long. Only what was certainly not billed is.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How often and how patiently.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryPolicy {
    pub(crate) max_retries: u32,
    pub(crate) first_pause: Duration,
    pub(crate) max_pause: Duration,
}

impl RetryPolicy {
    /// Returns the pause before retry number `retry` (counted from 0), or nothing when it is time
    /// to give up. `jitter` is a random number from its whole range; it shortens the doubling
    /// pause by up to half, so that sessions do not come back in step.
    pub(crate) fn pause(
        &self,
        retry: u32,
        server_asks: Option<Duration>,
        jitter: u16,
    ) -> Option<Duration> {
        if retry >= self.max_retries {
            return None;
        }
        let doubled = self.first_pause.saturating_mul(2_u32.saturating_pow(retry));
        let full = doubled.min(self.max_pause);
        let pause = full.saturating_sub(full.saturating_mul(u32::from(jitter)) / (2 * 65536));
        match server_asks {
            Some(asked) if asked > self.max_pause => None,
            Some(asked) => Some(asked.max(pause)),
            None => Some(pause),
        }
    }
}

/// Returns whether a status says that the provider did not take the call and may take it later.
pub(crate) const fn is_retryable(status: u16) -> bool {
    matches!(status, 408 | 409 | 429 | 500 | 502 | 503 | 504 | 529)
}

/// Reads how long a server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a
/// date (RFC 9110, section 10.2.3).
pub(crate) fn asked_pause(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|text| text.parse().ok()) {
        return Some(Duration::from_millis(ms));
    }
    let asked = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTimeParser::new().parse_timestamp(asked).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// Returns a random number from its whole range.
pub(crate) fn jitter() -> u16 {
    let mut bytes = [0; 2];
    // Without randomness the pause is only less spread.
    getrandom::fill(&mut bytes).map_or(0, |()| u16::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    const POLICY: RetryPolicy = RetryPolicy {
        max_retries: 5,
        first_pause: Duration::from_millis(500),
        max_pause: Duration::from_secs(4),
    };

    #[test]
    fn pauses_double_up_to_the_longest_and_then_end() {
        let pauses: Vec<_> = (0..7).map(|retry| POLICY.pause(retry, None, 0)).collect();
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(pauses, [ms(500), ms(1000), ms(2000), ms(4000), ms(4000), None, None]);
    }

    #[test]
    fn jitter_takes_at_most_half() {
        let shortest = POLICY.pause(0, None, u16::MAX).unwrap();
        assert!(shortest >= Duration::from_millis(250) && shortest < Duration::from_millis(251));
    }

    #[test]
    fn the_server_is_waited_for_within_reason() {
        let asked = |seconds| POLICY.pause(0, Some(Duration::from_secs(seconds)), 0);
        assert_eq!(asked(3), Some(Duration::from_secs(3)));
        assert_eq!(asked(0), Some(Duration::from_millis(500)));
        assert_eq!(asked(5), None);
    }

    #[test]
    fn all_forms_of_retry_after_are_read() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        for (name, value, expected_ms) in [
            ("retry-after", "7", Some(7000)),
            ("retry-after", " 7 ", Some(7000)),
            ("retry-after-ms", "1500", Some(1500)),
            ("retry-after", "Mon, 23 Nov 2026 12:00:30 GMT", Some(30_000)),
            ("retry-after", "Mon, 23 Nov 2026 11:00:00 GMT", Some(0)),
            ("retry-after", "-7", None),
            ("retry-after", "soon", None),
            ("x-other", "7", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            let expected = expected_ms.map(Duration::from_millis);
            assert_eq!(asked_pause(&headers, now), expected, "{name}: {value}");
        }
    }
}
