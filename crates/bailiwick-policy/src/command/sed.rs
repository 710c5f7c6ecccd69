//! `sed`: its options, and whether a script only edits what is printed.

use super::Analysis;
use super::options::could_be_option;
use super::word::Value;

impl Analysis {
    /// `sed` scripts can start programs (`e`) and write files (`w`).
    pub(super) fn sed(&mut self, args: &[Value]) {
        let mut in_place = false;
        let mut scripts: Vec<Value> = Vec::new();
        let mut operands: Vec<Value> = Vec::new();
        let mut explicit = false;
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            rest = after;
            if arg.known().is_none() && could_be_option(arg) {
                self.doubt("an option of `sed` may only be known at run time");
            }
            let text = arg.known().unwrap_or("x").to_owned();
            match text.as_str() {
                "-e" | "--expression" => {
                    scripts.extend(after.first().cloned());
                    explicit = true;
                    rest = after.get(1..).unwrap_or(&[]);
                }
                "-i" | "--in-place" => in_place = true,
                "-n" | "-E" | "-r" | "-s" | "-u" | "-z" | "--quiet" | "--silent"
                | "--regexp-extended" | "--posix" | "--version" | "--help" | "-ne" | "-ie"
                | "-nr" | "-nE" | "-Ei" | "-ri" | "-ni" => {
                    in_place |= text.contains('i') && !text.starts_with("--");
                    if text.ends_with('e') && text != "-e" {
                        // `-ie` is `-i` with the suffix `e`; `-ne` is `-n -e`
                        if text == "-ne" {
                            scripts.extend(after.first().cloned());
                            explicit = true;
                            rest = after.get(1..).unwrap_or(&[]);
                        }
                    }
                }
                "-l" | "--line-length" => rest = after.get(1..).unwrap_or(&[]),
                _ if text.starts_with("-i") || text.starts_with("--in-place=") => {
                    in_place = true;
                    // a suffix can name another directory, and a star in it stands for the file
                    if text.contains(['/', '*']) {
                        self.doubt(format!("`sed {text}` writes where the text does not say"));
                    }
                }
                _ if text.starts_with("--expression=") => {
                    scripts.push(Value::Known(
                        text.split_once('=').map_or(String::new(), |(_, script)| script.to_owned()),
                    ));
                    explicit = true;
                }
                _ if text.starts_with('-') && text.len() > 1 => {
                    return self.doubt(format!("`sed {text}` is not known"));
                }
                _ => operands.push(arg.clone()),
            }
        }
        if !explicit && !operands.is_empty() {
            scripts.push(operands.remove(0));
        }
        for script in &scripts {
            if !script.known().is_some_and(is_plain) {
                self.doubt("the `sed` script may start a program or write a file");
            }
        }
        if in_place {
            operands.iter().for_each(|operand| self.writes(operand));
        }
    }
}

/// Whether a `sed` script has only commands that edit what is printed.
fn is_plain(script: &str) -> bool {
    let mut chars = script.chars().peekable();
    loop {
        while chars.peek().is_some_and(|c| c.is_whitespace() || matches!(c, ';' | '{' | '}')) {
            chars.next();
        }
        if chars.peek().is_none() {
            return true;
        }
        // addresses: numbers, `$`, `/re/`, `\cREc`, with `,`, `+`, `~`, `!` and flags between
        while let Some(c) = chars.peek().copied() {
            match c {
                '0'..='9' | '$' | ',' | '+' | '~' | '!' | ' ' => {
                    chars.next();
                }
                '/' | '\\' => {
                    chars.next();
                    let end = if c == '\\' { chars.next().unwrap_or('/') } else { '/' };
                    if !skip_to(&mut chars, end) {
                        return false;
                    }
                    while chars.peek().is_some_and(|c| matches!(c, 'I' | 'M')) {
                        chars.next();
                    }
                }
                _ => break,
            }
        }
        match chars.next() {
            Some('{' | '}') => {}
            Some(
                'd' | 'p' | 'q' | 'Q' | '=' | 'n' | 'N' | 'h' | 'H' | 'g' | 'G' | 'x' | 'D' | 'P'
                | 'z',
            ) => {}
            Some(c @ ('s' | 'y')) => {
                let Some(end) = chars.next() else { return false };
                if end == '\\'
                    || end == '\n'
                    || !skip_to(&mut chars, end)
                    || !skip_to(&mut chars, end)
                {
                    return false;
                }
                while c == 's'
                    && chars
                        .peek()
                        .is_some_and(|c| matches!(c, 'g' | 'p' | 'i' | 'I' | 'm' | 'M' | '0'..='9'))
                {
                    chars.next();
                }
            }
            Some('b' | 't' | 'T' | ':') => {
                while chars
                    .peek()
                    .is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_'))
                {
                    chars.next();
                }
            }
            Some('a' | 'i' | 'c') => {
                // text, to the end of the line; on further lines it is read as commands, which
                // refuses some texts and lets no command pass as text
                for c in chars.by_ref() {
                    if c == '\n' {
                        break;
                    }
                }
            }
            _ => return false,
        }
        while chars.peek() == Some(&' ') {
            chars.next();
        }
        if chars.peek().is_some_and(|c| !matches!(c, ';' | '}' | '\n' | '{') && !c.is_ascii_digit())
        {
            return false;
        }
    }
}

fn skip_to(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, end: char) -> bool {
    let mut bracket = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '\n' => return false,
            '[' if end != '[' => bracket = true,
            ']' => bracket = false,
            // GNU sed ends the expression at the delimiter even within brackets for some versions:
            // text in which the two readings differ is not plain
            c if c == end => return !bracket,
            _ => {}
        }
    }
    false
}
