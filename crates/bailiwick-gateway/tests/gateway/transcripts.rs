//! Streams in: each `tests/sse/*.txt` makes the reply or error in the `.json` beside it, whatever
//! its line endings and however it is cut. A new file is a new test.

use std::collections::BTreeSet;
use std::fs;

use bailiwick_gateway::assemble::{AssembleError, Assembler, Fallback, Progress};
use bailiwick_gateway::sse::{SseDecoder, SseLimits};
use bailiwick_gateway::{AnthropicAssembler, OpenAiAssembler, ProviderKind};
use bailiwick_model::chat::{Block, ChatReply};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::ask::{BOTH, ask, events, good_reply};
use crate::golden;
use crate::server::Answer;

fn assemble(name: &str, bytes: &[u8], piece_bytes: usize) -> Result<ChatReply, AssembleError> {
    let fallback = Fallback { model: "asked-for".into(), input_tokens: 77 };
    let mut assembler = match name.split('_').next() {
        Some("anthropic") => Assembler::Anthropic(AnthropicAssembler::new(fallback)),
        Some("openai") => Assembler::OpenAi(OpenAiAssembler::new(fallback)),
        _ => panic!("`{name}` does not start with a family"),
    };
    let limits = SseLimits { max_event_bytes: 10_000, max_stream_bytes: 100_000 };
    let mut decoder = SseDecoder::new(limits);
    let mut events = Vec::new();
    for piece in bytes.chunks(piece_bytes) {
        decoder.feed(piece, &mut events).unwrap();
    }
    for event in &events {
        if assembler.event(event)? == Progress::Done {
            break;
        }
    }
    assembler.finish()
}

fn outcome(result: Result<ChatReply, AssembleError>) -> Value {
    match result {
        Ok(reply) => json!({ "reply": reply }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

#[test]
fn transcripts_make_their_replies() {
    let mut names = BTreeSet::new();
    let mut expected = BTreeSet::new();
    for entry in fs::read_dir(golden::path("sse")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = name.strip_suffix(".txt") {
            names.insert(name.to_owned());
        } else {
            expected.insert(name.strip_suffix(".json").unwrap().to_owned());
        }
    }
    assert!(names.len() >= 20, "the transcripts are gone");
    for name in &names {
        let text = fs::read_to_string(golden::path(&format!("sse/{name}.txt"))).unwrap();
        let whole = outcome(assemble(name, text.as_bytes(), usize::MAX));
        golden::check(&format!("sse/{name}.json"), &whole);
        for ending in ["\n", "\r\n", "\r"] {
            let bytes = text.replace('\n', ending).into_bytes();
            for piece_bytes in [1, 2, 3, 7] {
                let cut = outcome(assemble(name, &bytes, piece_bytes));
                assert_eq!(cut, whole, "{name} in pieces of {piece_bytes}");
            }
        }
    }
    let stale: Vec<_> = expected.difference(&names).collect();
    assert!(stale.is_empty(), "expected replies without a transcript: {stale:?}");
}

#[test]
fn a_stream_over_the_wire_may_be_cut_anywhere() {
    for kind in BOTH {
        let bytes = events(kind).into_bytes();
        for piece_bytes in [1, 5, bytes.len()] {
            let pieces = bytes.chunks(piece_bytes).map(<[u8]>::to_vec).collect();
            let (result, _) = ask(kind, vec![Answer::Stream(pieces)], |_| {});
            assert_eq!(result.unwrap().reply, good_reply(), "pieces of {piece_bytes}");
        }
    }
}

#[test]
fn what_follows_the_terminator_is_not_read() {
    let (result, _) = ask(
        ProviderKind::Openai,
        vec![Answer::StreamThenHang(vec![events(ProviderKind::Openai).into_bytes()])],
        |_| {},
    );
    assert_eq!(result.unwrap().reply, good_reply());
}

fn transcripts() -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(golden::path("sse")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            found.push((name, fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

proptest! {
    /// Damage may make an error or another reply, but always one of the two, and a reply always
    /// says something and only ever holds tool calls whose arguments are an object.
    #[test]
    fn damaged_transcripts_make_a_reply_or_an_error(
        which in any::<prop::sample::Index>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let transcripts = transcripts();
        let (name, mut bytes) = which.get(&transcripts).clone();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(reply) = assemble(&name, text.as_bytes(), 64) {
            let has_object = |block: &Block| match block {
                Block::ToolUse { input, .. } => input.is_object(),
                Block::Text { text } => !text.is_empty(),
                Block::Thinking { .. } => true,
                Block::ToolResult { .. } => false,
            };
            prop_assert!(!reply.blocks.is_empty());
            prop_assert!(reply.blocks.iter().all(has_object));
        }
    }
}
