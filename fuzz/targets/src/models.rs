//! What comes from models and from agents' programs: streams of events, requests, whole replies.

use bailiwick_gateway::assemble::{Assembler, Fallback, Progress};
use bailiwick_gateway::inbound::{Protocol, read};
use bailiwick_gateway::rewrite::rewrite;
use bailiwick_gateway::sse::{SseDecoder, SseEvent, SseLimits};
use bailiwick_gateway::{AnthropicAssembler, OpenAiAssembler, ResponsesAssembler};

const LIMITS: SseLimits = SseLimits { max_event_bytes: 64 << 10, max_stream_bytes: 1 << 20 };

/// The events of a stream that comes in pieces of `piece` bytes.
fn events(bytes: &[u8], piece: usize) -> Result<Vec<SseEvent>, (Vec<SseEvent>, String)> {
    let mut decoder = SseDecoder::new(LIMITS);
    let mut events = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        if let Err(error) = decoder.feed(piece, &mut events) {
            return Err((events, error.to_string()));
        }
    }
    Ok(events)
}

pub(crate) fn sse(bytes: &[u8]) {
    // what comes out depends on the bytes alone, never on the cuts
    let whole = events(bytes, usize::MAX);
    for piece in [1, 2, 7] {
        assert_eq!(events(bytes, piece), whole);
    }
}

/// The bytes as a stream of replies, and as a request of the protocol.
fn protocol(protocol: Protocol, bytes: &[u8]) {
    let fallback = || Fallback { model: "m".to_owned(), input_tokens: 1 };
    let mut assembler = match protocol {
        Protocol::Anthropic => Assembler::Anthropic(AnthropicAssembler::new(fallback())),
        // no server answers in Gemini's protocol
        Protocol::Chat | Protocol::Gemini => Assembler::OpenAi(OpenAiAssembler::new(fallback())),
        Protocol::Responses => Assembler::Responses(ResponsesAssembler::new(fallback())),
    };
    let events = events(bytes, 13).unwrap_or_else(|(events, _)| events);
    let mut readable = true;
    for event in &events {
        match assembler.event(event) {
            Ok(Progress::More) => {}
            Ok(Progress::Done) => break,
            Err(_) => {
                readable = false;
                break;
            }
        }
    }
    if readable && let Ok(reply) = assembler.finish() {
        assert!(!reply.blocks.is_empty());
        // what was understood can be said in every protocol
        for other in Protocol::ALL {
            assert!(other.whole(&reply, &Default::default(), 1).is_object());
            assert!(other.stream(&reply, &Default::default(), 1).ends_with("\n\n"));
        }
    }
    let Ok(asked) = read(protocol, bytes) else { return };
    let clean = rewrite(bytes, "m", |text| {
        text.contains("secret").then(|| text.replace("secret", "[redacted]"))
    });
    // a request stays one, with the session's model, and loses what was taken out
    let again = read(protocol, &clean.bytes).map(|asked| asked.wish);
    assert_eq!(again.as_deref(), Ok("m"));
    assert!(asked.pieces().len() <= bytes.len());
    if let Ok((request, _)) = asked.neutral("m") {
        assert_eq!(request.model, "m");
        assert!(request.digest().is_ok());
    }
}

pub(crate) fn anthropic(bytes: &[u8]) {
    protocol(Protocol::Anthropic, bytes);
}

pub(crate) fn openai_chat(bytes: &[u8]) {
    protocol(Protocol::Chat, bytes);
}

pub(crate) fn gemini(bytes: &[u8]) {
    protocol(Protocol::Gemini, bytes);
}

pub(crate) fn openai_responses(bytes: &[u8]) {
    protocol(Protocol::Responses, bytes);
}
