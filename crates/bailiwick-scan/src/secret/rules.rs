//! The table of secret formats, from precise to general.
//!
//! Each pattern has exactly one capture group: the secret. Patterns have a literal prefix where
//! the format has one (the regex engine then skips through text quickly), and nothing unbounded
//! that reaches over its own delimiter, so a search over a whole text stays linear. Where a
//! format's prefix is short a word boundary is asked for, or the escape (`\n`) that precedes it in
//! a JSON string; a long prefix stands for itself, since a boundary is easily taken away.

use super::placeholder::{entropy, is_placeholder, is_stand_in, reads_like_code};
use regex::bytes::{Regex, RegexBuilder};
use std::sync::LazyLock;

/// How much a match says by its form alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    /// The form belongs to one issuer: hardly anything else looks like it.
    Precise,
    /// The surroundings suggest a secret (`password = "…"`).
    General,
}

/// What a captured value must survive to count.
#[derive(Debug, Clone, Copy)]
enum Filter {
    /// Not a placeholder, at least this many bits per byte.
    Token(f64),
    /// A PEM-like block that has a real body.
    KeyBlock,
    /// A password in a URL: anything but a stand-in.
    UrlPassword,
    /// A quoted or assigned value: random enough for the given bits, with letters and digits,
    /// not code.
    Assigned(f64),
}

/// One format of secret.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: &'static str,
    pub(super) description: &'static str,
    pub(super) precision: Precision,
    pattern: &'static str,
    filter: Filter,
}

const fn precise(
    id: &'static str,
    description: &'static str,
    pattern: &'static str,
    bits: f64,
) -> Rule {
    Rule { id, description, precision: Precision::Precise, pattern, filter: Filter::Token(bits) }
}

const fn general(
    id: &'static str,
    description: &'static str,
    pattern: &'static str,
    filter: Filter,
) -> Rule {
    Rule { id, description, precision: Precision::General, pattern, filter }
}

static RULES: &[Rule] = &[
    Rule {
        id: "private-key",
        description: "private key block (PEM, OpenSSH, PGP)",
        precision: Precision::Precise,
        // the body is one greedy run of what may stand in such a block, also when it was
        // flattened into a JSON string; it stops at the next run of dashes
        pattern: r"(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=:,.()\\ \t\r\n]|-[A-Za-z0-9])*(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?)",
        filter: Filter::KeyBlock,
    },
    precise(
        "aws-access-key-id",
        "AWS access key id",
        r"((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b",
        2.5,
    ),
    precise(
        "aws-secret-access-key",
        "AWS secret access key",
        r#"(?i)aws[a-z0-9_.\-]*secret[a-z0-9_.\-]*["']?\s{0,5}(?:=>|=|:|,)\s{0,5}["']?([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)"#,
        3.7,
    ),
    precise("github-token", "GitHub token", r"(gh[pousr]_[A-Za-z0-9]{36,})", 3.0),
    precise(
        "github-fine-grained-token",
        "GitHub fine-grained personal access token",
        r"(github_pat_[A-Za-z0-9_]{60,})",
        3.0,
    ),
    precise(
        "gitlab-token",
        "GitLab token",
        r"(gl(?:pat|dt|rt|rtr|ptt|cbt|soat|ft|imt|agent|oas)-[A-Za-z0-9_.\-]{20,})",
        3.0,
    ),
    precise("slack-token", "Slack token", r"((?:xox[abeoprs]|xapp)-[A-Za-z0-9\-]{20,})", 2.5),
    precise(
        "slack-webhook",
        "Slack webhook address",
        r"(https://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{30,})",
        3.0,
    ),
    precise(
        "discord-webhook",
        "Discord webhook address",
        r"(https://discord(?:app)?\.com/api/webhooks/[0-9]{15,}/[A-Za-z0-9_\-]{40,})",
        3.0,
    ),
    precise(
        "stripe-key",
        "Stripe API key",
        r"(?:\b|\\[nrt])((?:sk|rk)_(?:live|test|prod)_[A-Za-z0-9]{16,})",
        3.0,
    ),
    precise(
        "stripe-webhook-secret",
        "Stripe webhook signing secret",
        r"(whsec_[A-Za-z0-9+/]{24,}={0,2})",
        3.0,
    ),
    precise(
        "google-api-key",
        "Google API key",
        r"(AIza[A-Za-z0-9_\-]{35})(?:[^A-Za-z0-9_\-]|$)",
        3.0,
    ),
    precise(
        "google-oauth-secret",
        "Google OAuth client secret",
        r"(GOCSPX-[A-Za-z0-9_\-]{28})",
        3.0,
    ),
    precise(
        "google-oauth-token",
        "Google OAuth access token",
        r"(?:\b|\\[nrt])(ya29\.[A-Za-z0-9_\-]{30,})",
        3.0,
    ),
    precise(
        "anthropic-key",
        "Anthropic API key",
        r"(sk-ant-[a-z]{2,10}[0-9]{2}-[A-Za-z0-9_\-]{20,})",
        3.0,
    ),
    precise("openrouter-key", "OpenRouter API key", r"(sk-or-v1-[0-9a-f]{64})\b", 3.0),
    precise(
        "openai-key",
        "OpenAI API key",
        r"(?:\b|\\[nrt])(sk-(?:(?:proj|svcacct|admin|None)-[A-Za-z0-9_\-]{20,}|[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|[A-Za-z0-9]{48}))(?:[^A-Za-z0-9_\-]|$)",
        3.2,
    ),
    precise("groq-key", "Groq API key", r"(?:\b|\\[nrt])(gsk_[A-Za-z0-9]{48,})", 3.5),
    precise("xai-key", "xAI API key", r"(?:\b|\\[nrt])(xai-[A-Za-z0-9]{70,})", 3.5),
    precise(
        "hugging-face-token",
        "Hugging Face token",
        r"(?:\b|\\[nrt])(hf_[A-Za-z0-9]{34,})",
        3.3,
    ),
    precise("npm-token", "npm access token", r"(?:\b|\\[nrt])(npm_[A-Za-z0-9]{36})\b", 3.0),
    precise(
        "npmrc-credential",
        "credential in an npm configuration",
        r#":_(?:authToken|auth|password)\s{0,3}=\s{0,3}["']?([A-Za-z0-9+/=_.\-]{16,})"#,
        2.8,
    ),
    precise("pypi-token", "PyPI API token", r"(pypi-AgE[A-Za-z0-9_\-]{50,})", 3.0),
    precise("crates-io-token", "crates.io API token", r"(?:\b|\\[nrt])(cio[A-Za-z0-9]{32})\b", 3.5),
    precise(
        "docker-hub-token",
        "Docker Hub access token",
        r"(dckr_(?:pat|oat)_[A-Za-z0-9_\-]{20,})",
        3.0,
    ),
    precise(
        "digitalocean-token",
        "DigitalOcean token",
        r"(?:\b|\\[nrt])(do[opr]_v1_[a-f0-9]{64})\b",
        3.0,
    ),
    precise(
        "sendgrid-key",
        "SendGrid API key",
        r"(?:\b|\\[nrt])(SG\.[A-Za-z0-9_\-]{22}\.[A-Za-z0-9_\-]{43})",
        3.5,
    ),
    precise(
        "shopify-token",
        "Shopify token",
        r"(?:\b|\\[nrt])(shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32})\b",
        2.8,
    ),
    precise(
        "telegram-bot-token",
        "Telegram bot token",
        r"(?:\b|\\[nrt])([0-9]{8,10}:AA[A-Za-z0-9_\-]{33})(?:[^A-Za-z0-9_\-]|$)",
        3.5,
    ),
    precise("databricks-token", "Databricks token", r"(?:\b|\\[nrt])(dapi[a-f0-9]{32})\b", 2.8),
    precise(
        "vault-token",
        "HashiCorp Vault token",
        r"(?:\b|\\[nrt])(hv[sbr]\.[A-Za-z0-9_\-]{24,})",
        3.3,
    ),
    precise(
        "terraform-token",
        "Terraform Cloud token",
        r"(?:\b|\\[nrt])([A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_\-]{60,})",
        3.5,
    ),
    precise(
        "azure-storage-key",
        "Azure storage account key",
        r"AccountKey=([A-Za-z0-9+/]{86}==)",
        3.5,
    ),
    precise(
        "linear-key",
        "Linear API key",
        r"(?:\b|\\[nrt])(lin_(?:api|oauth)_[A-Za-z0-9]{40,})",
        3.0,
    ),
    precise("age-secret-key", "age secret key", r"(AGE-SECRET-KEY-1[A-Z0-9]{58})\b", 3.0),
    precise(
        "jwt",
        "signed JSON web token",
        r"(?:\b|\\[nrt])(eyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{16,})",
        3.5,
    ),
    general(
        "url-password",
        "password in a URL",
        r#"[A-Za-z0-9+.\-]://[^\s/:@"'`<>\[\]?#]*:([^\s/:@"'`<>]{3,})@[A-Za-z0-9\[]"#,
        Filter::UrlPassword,
    ),
    general(
        "authorization-header",
        "credential in an Authorization header",
        r#"(?i)authorization["']?\s{0,5}[:=,]\s{0,5}["'`]?(?:bearer|basic|token)\s{1,5}([A-Za-z0-9+/=_.~\-]{16,})"#,
        Filter::Assigned(3.0),
    ),
    general(
        "assigned-password",
        "password assigned in text",
        r#"(?i)(?:password|passwd|pwd|passphrase)[a-z0-9_.\-]*["']?\s{0,5}(?::=|=>|==?|:|,)\s{0,5}["'`]([^\s"'`]{8,})["'`]"#,
        Filter::Assigned(2.7),
    ),
    general(
        "assigned-secret",
        "secret or token assigned in text",
        r#"(?i)(?:secret|token|api[_\-]?key|access[_\-]?key|auth[_\-]?key|encryption[_\-]?key|signing[_\-]?key|private[_\-]?key|credential)[a-z0-9_.\-]*["']?\s{0,5}(?::=|=>|==?|:|,)\s{0,5}["'`]([^\s"'`]{12,})["'`]"#,
        Filter::Assigned(3.2),
    ),
    general(
        "environment-secret",
        "secret in an environment or settings line",
        r#"(?im)^[ \t]*(?:export[ \t]+|set[ \t]+|ENV[ \t]+|-[ \t]+)?[a-z0-9_.\-]*(?:password|passwd|passphrase|secret|token|api[_\-]?key|access[_\-]?key|private[_\-]?key|credential)[a-z0-9_.\-]*[ \t]*(?:=|:)[ \t]*([^\s"'`,;(){}\[\]]{12,})[ \t\r]*$"#,
        Filter::Assigned(3.4),
    ),
];

/// A rule together with its compiled pattern.
#[derive(Debug)]
pub(super) struct CompiledRule {
    pub(super) rule: &'static Rule,
    pub(super) regex: Regex,
}

/// All rules, most precise first.
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
    // secrets are ASCII: byte classes keep the automata small and on the fast path
    RegexBuilder::new(pattern).unicode(false).build().expect("constant pattern")
}

impl Rule {
    /// Whether the captured value is a secret and not something that only looks like one.
    pub(super) fn accepts(&self, value: &[u8]) -> bool {
        let text = String::from_utf8_lossy(value);
        match self.filter {
            Filter::Token(bits) => entropy(value) >= bits && !is_placeholder(&text),
            Filter::KeyBlock => has_key_body(&text),
            Filter::UrlPassword => !is_placeholder(&text) && !is_stand_in(&text),
            Filter::Assigned(bits) => {
                entropy(value) >= bits
                    && value.iter().any(u8::is_ascii_digit)
                    && value.iter().any(u8::is_ascii_alphabetic)
                    && !is_placeholder(&text)
                    && !is_stand_in(&text)
                    && !reads_like_code(&text)
            }
        }
    }
}

/// Whether a key block holds a line of key material, as documentation about keys does not.
fn has_key_body(block: &str) -> bool {
    block
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')))
        .any(|run| run.len() >= 40 && entropy(run.as_bytes()) >= 3.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pattern_compiles_with_exactly_one_group_and_ids_are_unique() {
        let mut ids = std::collections::BTreeSet::new();
        for compiled in all() {
            assert_eq!(compiled.regex.captures_len(), 2, "{}", compiled.rule.id);
            assert!(ids.insert(compiled.rule.id), "{} twice", compiled.rule.id);
        }
        assert!(ids.len() > 35);
    }

    #[test]
    fn precise_rules_stand_before_general_ones() {
        let mut seen_general = false;
        for compiled in all() {
            seen_general |= compiled.rule.precision == Precision::General;
            assert!(!(seen_general && compiled.rule.precision == Precision::Precise));
        }
    }
}
