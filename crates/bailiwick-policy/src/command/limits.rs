//! How much is read before a command counts as too complex to judge.

/// The longest shell text that is parsed, in bytes.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;
/// The most simple commands in one text, nested ones included.
pub const MAX_COMMANDS: usize = 256;
/// How deep texts may be nested in each other (`sh -c`, substitutions).
pub const MAX_DEPTH: usize = 8;

/// The most places in one text where something is opened that must be closed. The parser recurses,
/// so this bounds its stack (100 levels were seen to fit two megabytes, unoptimised).
const MAX_OPENERS: usize = 60;
/// The most `case` in one text: each level doubles the parser's time.
const MAX_CASES: usize = 6;
/// The most `<<` in one text: the second parser keeps all open here-documents in a buffer of fixed
/// size.
const MAX_DOCUMENTS: usize = 8;
/// Words after which the shell reads a list of commands that something must close.
const OPENERS: [&str; 6] = ["if", "while", "until", "for", "case", "select"];

/// Why a text is not even given to the parser; none when it is.
pub(crate) fn refuse(text: &str) -> Option<String> {
    if text.len() > MAX_TEXT_BYTES {
        return Some(format!("the text has more than {MAX_TEXT_BYTES} bytes"));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Some("the text has control characters".to_owned());
    }
    if text.chars().any(|c| c.is_whitespace() && !c.is_ascii()) {
        return Some("the text has white space that is none for a shell".to_owned());
    }
    if long_number(text) {
        return Some("the text has a number that no file descriptor or index can be".to_owned());
    }
    if text.matches("<<").count() > MAX_DOCUMENTS {
        return Some(format!("the text has more than {MAX_DOCUMENTS} here-documents"));
    }
    let (openers, cases) = openers(text);
    if openers > MAX_OPENERS || cases > MAX_CASES {
        return Some(format!(
            "the text opens more than {MAX_OPENERS} groups or {MAX_CASES} `case`"
        ));
    }
    None
}

/// Whether ten digits or more stand where the parser takes them for a small number.
fn long_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        let digits = bytes.iter().skip(start).take_while(|b| b.is_ascii_digit()).count();
        if digits >= 10 {
            let before = start.checked_sub(1).and_then(|at| bytes.get(at));
            let after = bytes.get(start + digits);
            if matches!(before, Some(b'~' | b'+' | b'-' | b'{' | b'$' | b'.' | b'&'))
                || matches!(after, Some(b'<' | b'>'))
            {
                return true;
            }
        }
        start += digits.max(1);
    }
    false
}

/// How often a text opens a group, and how many `case` it has. Counted wherever they stand, in
/// quotes and comments too: what is quoted is exactly what the limit must not depend on.
fn openers(text: &str) -> (usize, usize) {
    let mut groups = 0;
    let mut cases = 0;
    let mut backticks = 0;
    let mut word = String::new();
    for c in text.chars().chain(std::iter::once(' ')) {
        match c {
            '(' | '{' => groups += 1,
            '`' => backticks += 1,
            _ => {}
        }
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c);
        } else {
            groups += usize::from(OPENERS.contains(&word.as_str()));
            cases += usize::from(word == "case");
            word.clear();
        }
    }
    (groups + backticks / 2, cases)
}
