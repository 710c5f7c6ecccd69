//! `awk`: its options, and whether a program only prints.

use super::Analysis;
use super::word::Value;

impl Analysis {
    /// `awk` programs can start others and write files.
    pub(super) fn awk(&mut self, args: &[Value]) {
        let mut rest = args;
        let mut program: Option<Value> = None;
        while let Some((arg, after)) = rest.split_first() {
            rest = after;
            let Some(text) = arg.known() else {
                program = Some(arg.clone());
                break;
            };
            match text {
                "-F" | "-v" | "--assign" | "--field-separator" => {
                    rest = after.get(1..).unwrap_or(&[]);
                }
                "-f" | "--file" => {
                    return match after.first().and_then(Value::known).map(str::to_owned) {
                        Some(file) => self.script_file(&file),
                        None => self.doubt("which program `awk` runs is only known at run time"),
                    };
                }
                "--" => {
                    program = after.first().cloned();
                    break;
                }
                _ if text.starts_with("-F") || text.starts_with("-v") => {}
                "--version" | "--help" | "-V" => return,
                _ if text.starts_with('-') && text.len() > 1 => {
                    return self.doubt(format!("`awk {text}` is not known"));
                }
                _ => {
                    program = Some(arg.clone());
                    break;
                }
            }
        }
        match program.as_ref().map(Value::known) {
            None => {}
            Some(Some(text)) if is_plain(text) => {}
            Some(_) => self.doubt("the `awk` program may start others or write files"),
        }
    }
}

/// Whether a program starts no other and writes no file.
fn is_plain(program: &str) -> bool {
    let Some(code) = code(program) else { return false };
    let lower = code.to_ascii_lowercase();
    if ["system", "getline", "popen", "close", "fflush", "@", "eval"]
        .iter()
        .any(|word| lower.contains(word))
        || code.replace("||", "").contains('|')
    {
        return false;
    }
    // What `print > file` writes: after a `print`, `>` compares only within parentheses.
    let mut depth = 0_usize;
    let mut printed = false;
    let mut word = String::new();
    for c in code.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        printed |= word.starts_with("print");
        word.clear();
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            // what follows is a pattern or another statement; a newline can continue one
            ';' | '}' if depth == 0 => printed = false,
            '>' if printed && depth == 0 => return false,
            _ => {}
        }
    }
    true
}

/// The program without what is in its strings, regular expressions and comments. None when it is
/// not certain where one of them ends.
fn code(program: &str) -> Option<String> {
    /// Words after which an operand is expected, not an operator.
    const BEFORE_OPERANDS: [&str; 8] =
        ["print", "printf", "return", "in", "else", "do", "case", "getline"];
    let mut code = String::new();
    let mut chars = program.chars();
    let mut last = '{';
    let mut word = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                skip(&mut chars, '"')?;
                code.push_str("\"\"");
            }
            '#' => {
                for c in chars.by_ref() {
                    if c == '\n' {
                        break;
                    }
                }
                code.push('\n');
                (last, word) = ('\n', String::new());
                continue;
            }
            '/' if matches!(last, '(' | ',' | '!' | '~' | '&' | '|' | '{' | '}' | ';' | '\n') => {
                skip(&mut chars, '/')?;
                code.push_str("\"\"");
            }
            // a division, and only where nothing else can be meant
            '/' if (last.is_ascii_alphanumeric() || matches!(last, '_' | ']' | '"'))
                && !BEFORE_OPERANDS.contains(&word.as_str()) =>
            {
                code.push('/');
            }
            '/' | '\\' => return None,
            c => code.push(c),
        }
        if c.is_ascii_alphanumeric() || c == '_' {
            if !(last.is_ascii_alphanumeric() || last == '_')
                || code.chars().rev().nth(1).is_some_and(char::is_whitespace)
            {
                word.clear();
            }
            word.push(c);
        } else if !c.is_whitespace() {
            word.clear();
        }
        if c == '\n' || !c.is_whitespace() {
            last = match c {
                '/' if code.ends_with('"') => '"',
                c => c,
            };
        }
    }
    Some(code)
}

fn skip(chars: &mut std::str::Chars<'_>, end: char) -> Option<()> {
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next()?;
            }
            '\n' => return None,
            // within brackets some versions of awk end a regular expression, and some do not
            '[' if end == '/' => {
                for c in chars.by_ref() {
                    if matches!(c, '/' | '\\' | '\n' | '[') {
                        return None;
                    }
                    if c == ']' {
                        break;
                    }
                }
            }
            c if c == end => return Some(()),
            _ => {}
        }
    }
    None
}
