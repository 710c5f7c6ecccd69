#![forbid(unsafe_code)]
//! What reads untrusted bytes, each as a function of bytes that must return.
//!
//! The same functions are run three ways: by libFuzzer (`fuzz/`, a workspace of its own), by the
//! program `mutate` where no fuzzer can be built, and over the committed seeds by a test.

mod inputs;
mod models;

/// One reader of untrusted bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its directory of seeds.
    pub name: &'static str,
    /// Reads the bytes; it may refuse them, and must not panic or run for long.
    pub read: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 19] = [
    Target { name: "command", read: inputs::command },
    Target { name: "policy", read: inputs::policy },
    Target { name: "ledger_text", read: inputs::ledger_text },
    Target { name: "ledger_proof", read: inputs::ledger_proof },
    Target { name: "git_diff", read: inputs::git_diff },
    Target { name: "guest_wire", read: inputs::guest_wire },
    Target { name: "scan", read: inputs::scan },
    Target { name: "names", read: inputs::names },
    Target { name: "sse", read: models::sse },
    Target { name: "anthropic", read: models::anthropic },
    Target { name: "openai_chat", read: models::openai_chat },
    Target { name: "openai_responses", read: models::openai_responses },
    Target { name: "gemini", read: models::gemini },
    Target { name: "sarif", read: inputs::sarif },
    Target { name: "coverage", read: inputs::coverage },
    Target { name: "mutants", read: inputs::mutants },
    Target { name: "sast", read: inputs::sast },
    Target { name: "lock_files", read: inputs::lock_files },
    Target { name: "index_answers", read: inputs::index_answers },
];

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
