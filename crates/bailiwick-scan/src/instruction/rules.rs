//! The table of wordings. Every gap is bounded, so that a search stays linear.

use super::InstructionStrength::{self, Moderate, Strong, Weak};
use regex::bytes::{Regex, RegexBuilder};
use std::sync::LazyLock;

/// One kind of wording.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: &'static str,
    pub(super) description: &'static str,
    pub(super) strength: InstructionStrength,
    pattern: &'static str,
}

static RULES: &[Rule] = &[
    Rule {
        id: "override-instructions",
        description: "tells the reader to drop its instructions",
        strength: Strong,
        pattern: r"\b(?:ignore|disregard|forget|override|bypass|overrule)\s+(?:(?:all|any|every|everything|each|of|the|your|my|our|these|those|its|and)\s+){0,4}(?:previous|prior|above|earlier|preceding|foregoing|former|system|initial|original|existing|other|developer|safety)\s+(?:\w+\s+){0,2}(?:instructions?|prompts?|rules?|directions?|guidelines?|messages?|context|polic(?:y|ies)|constraints?|commands?|orders?)\b",
    },
    Rule {
        id: "override-instructions",
        description: "tells the reader to drop its instructions",
        strength: Strong,
        pattern: r"\b(?:ignore|disregard|forget)\s+(?:everything|all|anything)\s+(?:that\s+)?(?:(?:you|i|we)\s+(?:were|was|have\s+been|had\s+been)\s+(?:told|given|said|instructed)|(?:written\s+|said\s+)?(?:above|before|previously|so\s+far))\b",
    },
    Rule {
        id: "new-role",
        description: "gives the reader a new role",
        strength: Moderate,
        pattern: r"\b(?:you\s+are\s+now|from\s+now\s+on\s*,?\s+you(?:\s+are|\s+will|\s+must|'re)|act\s+as\s+if\s+you\s+(?:are|were|have)|pretend\s+(?:to\s+be|that\s+you|you\s+are)|enter\s+(?:developer|debug|god|admin|maintenance|unrestricted)\s+mode|your\s+new\s+(?:instructions?|task|role|goal|objective)\s+(?:is|are))\b",
    },
    Rule {
        id: "agent-addressed",
        description: "speaks to an AI agent and orders it to do something",
        strength: Moderate,
        pattern: r"\b(?:ai|llm|coding|language)[\s\-]+(?:agents?|assistants?|models?|tools?|bots?)\b[^.\n]{0,60}?\b(?:must|should|need\s+to|have\s+to|are\s+required\s+to|please|shall)\b",
    },
    Rule {
        id: "agent-addressed",
        description: "speaks to an AI agent and orders it to do something",
        strength: Moderate,
        pattern: r"\b(?:if\s+you\s+are\s+an?\s+(?:ai|llm|agent|assistant|language\s+model|automated)|(?:note|message|instructions?|attention|important)\s*(?:to|for|:)?\s*(?:the\s+|any\s+|all\s+)?(?:ai|llm|claude|copilot|codex|cursor|gemini|gpt|chatgpt|coding)\s*(?:agents?|assistants?|models?)?\s*:)",
    },
    Rule {
        id: "chat-markup",
        description: "imitates the markup of a conversation or a tool call",
        strength: Strong,
        pattern: r"(?:<\|(?:im_start|im_end|system|user|assistant|endoftext|start_header_id|eot_id)\|>|\[/?INST\]|<</?SYS>>|</?(?:system|assistant|function_calls?|tool_calls?|tool_result|tool_use|system-reminder|system_prompt|human_turn)>|^\s*#{2,3}\s*(?:system|assistant)\s*:|\n\n(?:Human|Assistant):\s)",
    },
    Rule {
        id: "send-away",
        description: "asks to send data to somewhere",
        strength: Strong,
        pattern: r"\b(?:send|upload|post|exfiltrate|transmit|forward|leak|submit|e-?mail|copy|push|report)\s+(?:[^\s.]+\s+){0,8}?[^\s]{0,40}(?:\.env|secrets?|credentials?|tokens?|passwords?|api[\s_\-]?keys?|private\s+keys?|ssh\s+keys?|environment(?:\s+variables?)?|id_rsa|\.aws|\.ssh|source\s+code|repository|contents?|files?)\b(?:\s+[^\s]+){0,12}?\s+(?:to|at|via|into)\s+(?:[^\s]+\s+){0,4}?(?:https?://|ftp://|[\w.+\-]+@[\w\-]+\.|\w[\w\-]*\.(?:com|net|org|io|dev|example|invalid|sh|ru|cn|xyz|site)\b)",
    },
    Rule {
        id: "shell-upload",
        description: "a command that uploads a file or a variable",
        strength: Moderate,
        pattern: r"\b(?:curl|wget|http|httpie|xh)\b[^\n|]{0,200}?(?:\s-(?:d|F|T)\s?['\x22]?[^\s]{0,40}@|\s--(?:data|data-binary|data-raw|data-urlencode|form|upload-file|post-file|post-data|body-file)[\s=]['\x22]?[^\s]{0,40}(?:@|\$\(|`|/|\$\{?[A-Z]))|\bcurl\b[^\n|]{0,200}?\s(?:-T|--upload-file)\s",
    },
    Rule {
        id: "shell-upload",
        description: "a command that uploads a file or a variable",
        strength: Moderate,
        pattern: r"(?:\b(?:cat|env|printenv|tar|base64)\b[^\n]{0,120}\|\s*(?:curl|wget|nc|ncat|netcat|socat|openssl\s+s_client)\b|/dev/tcp/|\b(?:nc|ncat|netcat)\s+(?:-\w+\s+){0,3}[\w.\-]+\s+\d{2,5}\s*<)",
    },
    Rule {
        id: "shell-download-run",
        description: "runs what it downloads",
        strength: Weak,
        pattern: r"\b(?:curl|wget)\b[^\n|]{0,200}\|\s*(?:sudo\s+)?(?:ba|z|da|k)?sh\b|\b(?:ba|z)?sh\s+-c\s+['\x22]?\$\(\s*(?:curl|wget)\b|\b(?:ba|z)?sh\s+<\(\s*(?:curl|wget)\b",
    },
    Rule {
        id: "encoded-command",
        description: "runs what it decodes",
        strength: Moderate,
        pattern: r"\bbase64\s+(?:-d|-D|--decode)\b[^\n]{0,80}\|\s*(?:sudo\s+)?(?:(?:ba|z|da)?sh|python3?|perl|node)\b|\beval\s*\(\s*(?:atob|base64|b64decode|buffer\.from)\b",
    },
    Rule {
        id: "read-credentials",
        description: "asks for credentials, the environment or the prompt",
        strength: Moderate,
        pattern: r"\b(?:print|show|reveal|output|display|dump|include|list|read|cat|repeat|tell\s+me)\s+(?:\w+\s+){0,5}?(?:system\s+prompt|your\s+(?:instructions|prompt|rules|guidelines)|(?:all\s+|your\s+|the\s+)(?:environment\s+variables|env\s+vars|secrets|credentials|api\s+keys|ssh\s+keys|access\s+tokens))|\bcat\s+[^\s]{0,60}(?:\.ssh/|\.aws/credentials|\.netrc|\.npmrc|\.pypirc|/etc/shadow|id_(?:rsa|ed25519))",
    },
    Rule {
        id: "concealment",
        description: "asks to keep something from people",
        strength: Strong,
        pattern: r"\b(?:do\s+not|don'?t|never|without)\s+(?:\w+\s+){0,2}?(?:tell(?:ing)?|mention(?:ing)?|inform(?:ing)?|alert(?:ing)?|notify(?:ing)?|reveal(?:ing)?\s+(?:this|it)|disclos(?:e|ing)|report(?:ing)?|show(?:ing)?|ask(?:ing)?)\s+(?:(?:this|it|that|anything|about)\s+){0,2}(?:to\s+|with\s+)?(?:the\s+|any\s+|your\s+)?(?:users?|humans?|developers?|reviewers?|maintainers?|operators?|anyone|people|person|owner)\b",
    },
    Rule {
        id: "skip-checks",
        description: "asks to weaken tests, reviews or safeguards",
        strength: Moderate,
        pattern: r"\b(?:disable|skip|remove|delete|turn\s+off|circumvent|bypass|approve|auto-?approve|merge)\s+(?:\w+\s+){0,4}?(?:sandbox(?:ing)?|safety\s+checks?|guard\s?rails?|permission\s+checks?|security\s+(?:checks?|gates?|scans?)|review\s+(?:gates?|requirements?)|without\s+(?:\w+\s+){0,2}?(?:review|approval|confirmation|asking))\b",
    },
];

/// A rule together with its compiled pattern.
#[derive(Debug)]
pub(super) struct CompiledRule {
    pub(super) rule: &'static Rule,
    pub(super) regex: Regex,
}

/// All rules.
pub(super) fn all() -> &'static [CompiledRule] {
    static COMPILED: LazyLock<Vec<CompiledRule>> = LazyLock::new(|| {
        RULES.iter().map(|rule| CompiledRule { rule, regex: compile(rule.pattern) }).collect()
    });
    &COMPILED
}

#[expect(
    clippy::expect_used,
    reason = "constant patterns, each compiled by a test; dropping one \
    that does not compile would be a detector that is silently off"
)]
fn compile(pattern: &str) -> Regex {
    // the wordings are English: byte classes keep the automata small and on the fast path
    RegexBuilder::new(pattern)
        .unicode(false)
        .case_insensitive(true)
        .multi_line(true)
        .build()
        .expect("constant pattern")
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_pattern_compiles_and_matches_no_empty_text() {
        for compiled in super::all() {
            assert!(!compiled.regex.is_match(b""), "{}", compiled.rule.id);
        }
    }
}
