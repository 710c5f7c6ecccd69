//! What the model is told: results within their cap, denials and errors in a form it can act on.

use bailiwick_model::id::ApprovalId;
use bailiwick_model::verdict::Denial;
use serde_json::json;

/// Keeps the head and the tail of a text that is longer than `max_bytes`, and says between them
/// how much is missing. The result has at most `max_bytes` plus the length of that one line.
pub(crate) fn capped(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    // The end of a command's output says more about how it ended than the beginning does.
    let head = up_to(text, max_bytes / 2);
    let tail = from_end(text, max_bytes.saturating_sub(head.len()));
    let omitted = text.len().saturating_sub(head.len()).saturating_sub(tail.len());
    format!("{head}\n[… {omitted} bytes left out; ask for a smaller part to see them …]\n{tail}")
}

/// The longest beginning of `text` that has at most `max_bytes` bytes.
pub(crate) fn up_to(text: &str, max_bytes: usize) -> &str {
    let mut end = max_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

fn from_end(text: &str, max_bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(max_bytes);
    while !text.is_char_boundary(start) {
        start = start.saturating_add(1);
    }
    text.get(start..).unwrap_or_default()
}

/// Lines with their numbers, as `read` answers them.
pub(crate) fn numbered(text: &str, first: u32) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(text.len() / 4));
    for (at, line) in (u64::from(first)..).zip(text.lines()) {
        out.push_str(&format!("{at:>6}\t{line}\n"));
    }
    out
}

/// A refused action: the code, the rules' names, why, and what to do instead. What a rule looks for
/// is left out, and so is the rule that would allow it: whoever tries to get round it learns nothing.
pub(crate) fn denied(denial: &Denial) -> String {
    json!({"denied": {
        "code": denial.code,
        "reason": denial.reason,
        "rules": denial.rules,
        "hint": denial.advice(),
    }})
    .to_string()
}

/// An action that a person would have to approve first.
pub(crate) fn needs_approval(groups: &[String], rules: &[String]) -> String {
    denied(&Denial {
        code: "policy.needs_approval".to_owned(),
        rules: rules.to_vec(),
        reason: format!("this needs the approval of {} first", groups.join(" and ")),
        hint: "nobody can be asked during a session: do without it, or end the session and say there what is needed and why"
            .to_owned(),
    })
}

/// An action that people were asked to approve.
pub(crate) fn waits(groups: &[String], approval: ApprovalId) -> String {
    json!({"waits": {
        "code": "policy.needs_approval",
        "reason": format!("{} was asked to approve it ({approval})", groups.join(" and ")),
        "hint": "the session waits for the answer. When it goes on, call exactly the same again: it is done if it was approved, and otherwise you are told why not",
    }})
    .to_string()
}

/// A tool that failed.
pub(crate) fn failed(code: &str, message: &str, hint: Option<&str>) -> String {
    match hint {
        Some(hint) if !hint.is_empty() => {
            json!({"failed": {"code": code, "reason": message, "hint": hint}})
        }
        _ => json!({"failed": {"code": code, "reason": message}}),
    }
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_keeps_both_ends() {
        assert_eq!(capped("abc", 3), "abc");
        let text = format!("{}{}", "a".repeat(50), "z".repeat(50));
        let cut = capped(&text, 20);
        assert_eq!(
            cut,
            format!(
                "{}\n[… 80 bytes left out; ask for a smaller part to see them …]\n{}",
                "a".repeat(10),
                "z".repeat(10)
            )
        );
    }

    #[test]
    fn a_denial_tells_what_to_do_and_not_what_the_rule_looks_for() {
        let denial = |hint: &str| Denial {
            code: "policy.no_rule_permits".to_owned(),
            rules: Vec::new(),
            reason: "no rule permits it".to_owned(),
            hint: hint.to_owned(),
        };
        for (hint, told) in [
            ("Use a program that is allowed.", "Use a program that is allowed."),
            (
                "Use another. For people: to allow exactly this, add: @id(\"x\") permit (principal);",
                "Use another.",
            ),
            ("Write it out. For people: in this command, `eval` hides what runs.", "Write it out."),
            (" For people: all of it.", ""),
            ("", ""),
        ] {
            let text = denied(&denial(hint));
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["denied"]["hint"], told);
            assert_eq!(value["denied"]["code"], "policy.no_rule_permits");
        }
    }

    #[test]
    fn lines_are_numbered_from_the_first_asked_for() {
        assert_eq!(numbered("a\n\nb", 9), "     9\ta\n    10\t\n    11\tb\n");
        assert_eq!(numbered("", 1), "");
    }

    proptest::proptest! {
        #[test]
        fn a_cut_text_is_within_its_cap_and_made_of_its_ends(text in "\\PC{0,200}", max in 0usize..120) {
            let cut = capped(&text, max);
            if text.len() <= max {
                proptest::prop_assert_eq!(cut, text);
            } else {
                proptest::prop_assert!(cut.len() <= max + 100);
                let (head, tail) = (cut.split("\n[… ").next().unwrap(), cut.rsplit(" …]\n").next().unwrap());
                proptest::prop_assert!(text.starts_with(head) && text.ends_with(tail));
            }
        }
    }
}
