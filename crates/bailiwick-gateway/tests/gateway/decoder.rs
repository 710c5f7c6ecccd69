//! The decoder: what comes out depends on the bytes, never on how they were cut.

use bailiwick_gateway::sse::{SseDecoder, SseError, SseEvent, SseLimits};
use proptest::prelude::*;

const LIMITS: SseLimits = SseLimits { max_event_bytes: 1000, max_stream_bytes: 100_000 };

fn decode(limits: SseLimits, pieces: &[&[u8]]) -> (Vec<SseEvent>, Result<(), SseError>, bool) {
    let mut decoder = SseDecoder::new(limits);
    let mut events = Vec::new();
    let mut result = Ok(());
    for piece in pieces {
        result = decoder.feed(piece, &mut events);
    }
    (events, result, decoder.has_partial_event())
}

fn check(bytes: &[u8], expected: &[(Option<&str>, &str)]) {
    let expected: Vec<SseEvent> = expected
        .iter()
        .map(|(name, data)| SseEvent { name: name.map(str::to_owned), data: (*data).to_owned() })
        .collect();
    let whole = decode(LIMITS, &[bytes]);
    assert_eq!(whole.0, expected, "{}", bytes.escape_ascii());
    assert_eq!(whole.1, Ok(()));
    let singly: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(decode(LIMITS, &singly), whole, "{}", bytes.escape_ascii());
}

#[test]
fn the_rules_of_the_format_hold() {
    check(b"data: a\n\n", &[(None, "a")]);
    check(b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", &[(None, "a"), (None, "b"), (None, "c")]);
    check(b"data:a\ndata:  b\ndata\n\n", &[(None, "a\n b\n")]);
    check(b"event: e\ndata: a\n\ndata: b\n\n", &[(Some("e"), "a"), (None, "b")]);
    check(b": comment\n\n:\ndata: a\n\n", &[(None, "a")]);
    check(b"event: lonely\n\ndata: a\n\n", &[(None, "a")]);
    check(b"id: 1\nretry: 2\nother: 3\ndata: a\n\n", &[(None, "a")]);
    check(b"\xEF\xBB\xBFdata: a\n\n", &[(None, "a")]);
    check("data: gr\u{fc}n \u{1f980}\n\n".as_bytes(), &[(None, "grün 🦀")]);
    check(b"data\n\ndata:\n\n", &[(None, ""), (None, "")]);
    check(b"data: never dispatched\n", &[]);
    check(b"\n\r\n\r", &[]);
}

#[test]
fn leftovers_are_reported() {
    assert!(decode(LIMITS, &[b"data: a\n"]).2);
    assert!(decode(LIMITS, &[b"data: a\n\nda"]).2);
    assert!(!decode(LIMITS, &[b"data: a\n\n"]).2);
}

#[test]
fn an_event_beyond_its_limit_is_an_error() {
    let limits = SseLimits { max_event_bytes: 10, ..LIMITS };
    assert_eq!(decode(limits, &[b"data: 0123\n\n"]).1, Ok(()));
    let error = Err(SseError::EventTooLarge { limit: 10 });
    assert_eq!(decode(limits, &[b"data: 01234\n\n"]).1, error);
    assert_eq!(decode(limits, &[b"data: a\n", b"data"]).1, error);
    assert_eq!(decode(limits, &[b": 0123\n: 0123\n: 0123\n"]).1, error);
    let many = b"data: 0123\n\n".repeat(50);
    assert_eq!(decode(limits, &[&many]).0.len(), 50);
}

#[test]
fn a_stream_beyond_its_limit_is_an_error_after_what_fits() {
    let limits = SseLimits { max_stream_bytes: 18, ..LIMITS };
    let bytes = b"data: a\n\ndata: b\n\n";
    assert_eq!(decode(limits, &[bytes]).1, Ok(()));
    let error = Err(SseError::StreamTooLarge { limit: 18 });
    let (events, result, _) = decode(limits, &[bytes, b"d"]);
    assert_eq!((events.len(), result), (2, error.clone()));
    assert_eq!(decode(limits, &[bytes, b"d", b""]).1, error, "an error stays");
}

#[test]
fn a_line_that_is_not_utf8_is_an_error() {
    assert_eq!(decode(LIMITS, &[b"data: \xff\n\n"]).1, Err(SseError::NotUtf8));
    assert_eq!(decode(LIMITS, &[b"data: \xc3", b"\xbc\n\n"]).1, Ok(()));
}

fn stream_text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"data: ".to_vec()),
        Just(b"event:".to_vec()),
        Just(b":".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n\n".to_vec()),
        Just(b"\xEF\xBB\xBF".to_vec()),
        "[a-zü🦀 :]{0,12}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn cuts_make_no_difference(
        bytes in stream_text(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
        max_event_bytes in 1_usize..60,
        max_stream_bytes in 1_u64..300,
    ) {
        let limits = SseLimits { max_event_bytes, max_stream_bytes };
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let whole = decode(limits, &[&bytes]);
        let cut = decode(limits, &pieces);
        prop_assert_eq!(&cut.0, &whole.0);
        prop_assert_eq!(&cut.1, &whole.1);
        if whole.1.is_ok() {
            prop_assert_eq!(cut.2, whole.2);
        }
    }
}
