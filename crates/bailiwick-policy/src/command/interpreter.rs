//! Shells and other interpreters: files of code, and code in the command itself.

use super::Analysis;
use super::word::Value;

impl Analysis {
    /// A shell: its code is read like any other; code from a stream is not.
    pub(super) fn shell(&mut self, args: &[Value]) {
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            let Some(text) = arg.known() else {
                return self.doubt("what a shell runs is only known at run time");
            };
            match text {
                "-o" | "+o" | "-O" | "+O" => rest = after.get(1..).unwrap_or(&[]),
                "--" | "--posix" | "--norc" | "--noprofile" | "--login" | "-l" | "--restricted" => {
                    rest = after;
                }
                _ if text.starts_with("--") => return self.doubt(format!("a shell with `{text}`")),
                _ if text.starts_with(['-', '+']) && text.len() > 1 => {
                    if text.starts_with('-') && text.contains('c') {
                        // options may still follow; the code is the first operand
                        let code = after
                            .iter()
                            .find(|arg| !arg.known().is_some_and(|text| text.starts_with('-')));
                        let odd = text.chars().skip(1).any(|c| !"cexulvf".contains(c));
                        let more = after.first().is_some_and(|arg| {
                            arg.known().is_some_and(|text| text.starts_with('-'))
                        });
                        return match code.and_then(Value::known).map(str::to_owned) {
                            Some(code) if !odd && !more => {
                                let functions = std::mem::take(&mut self.functions);
                                self.nested(&code);
                                self.functions = functions;
                            }
                            _ => self.doubt("what a shell runs is only known at run time"),
                        };
                    }
                    if text.chars().skip(1).any(|c| !"exuvf".contains(c)) {
                        return self.doubt(format!("a shell with `{text}`"));
                    }
                    rest = after;
                }
                _ => {
                    let text = text.to_owned();
                    return self.script_file(&text);
                }
            }
        }
        self.doubt("a shell reads its commands from a stream");
    }

    /// A file of code that an interpreter is given.
    pub(super) fn script_file(&mut self, path: &str) {
        match self.places(path).as_deref() {
            Some([place]) if !place.starts_with('/') => {
                self.effects.scripts.insert(place.clone());
            }
            Some([place]) => {
                self.effects.programs.insert(place.clone());
            }
            _ => self.doubt("from which directory a script is read is only known at run time"),
        }
    }

    pub(super) fn python(&mut self, args: &[Value]) {
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            let Some(text) = arg.known() else {
                return self.doubt("what an interpreter runs is only known at run time");
            };
            match text {
                "-X" | "-W" => rest = after.get(1..).unwrap_or(&[]),
                "-V" | "--version" | "-VV" | "-h" | "--help" => return,
                "-m" => {
                    let Some(module) = after.first().and_then(Value::known).map(str::to_owned)
                    else {
                        return self.doubt("which module runs is only known at run time");
                    };
                    if module == "pip" {
                        self.effects.programs.insert("pip".to_owned());
                        return self.pip(after.get(1..).unwrap_or(&[]));
                    }
                    self.effects.operations.insert(format!("python -m {module}"));
                    return;
                }
                "-" => break,
                _ if text.starts_with("-W") || text.starts_with("-X") => rest = after,
                _ if text.starts_with('-') => {
                    let letters = text.trim_start_matches('-');
                    if letters.contains(['c', 'i', 'm']) || text.starts_with("--") {
                        self.effects.inline_code = true;
                        return;
                    }
                    rest = after;
                }
                _ => {
                    let text = text.to_owned();
                    return self.script_file(&text);
                }
            }
        }
        // from a stream: a here-document or a pipe
        self.effects.inline_code = true;
    }

    pub(super) fn interpreter(&mut self, args: &[Value], code: &[&str], with_value: &[&str]) {
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            let Some(text) = arg.known() else {
                return self.doubt("what an interpreter runs is only known at run time");
            };
            if matches!(text, "-v" | "--version" | "-V" | "-h" | "--help") {
                return;
            }
            let inline = code.iter().any(|option| {
                text == *option
                    || text.starts_with(&format!("{option}="))
                    || (!option.starts_with("--")
                        && !text.starts_with("--")
                        && text.starts_with('-')
                        && option.chars().nth(1).is_some_and(|c| text.contains(c))
                        && option.len() == 2)
            });
            if inline {
                self.effects.inline_code = true;
                return;
            }
            if with_value.contains(&text) {
                rest = after.get(1..).unwrap_or(&[]);
            } else if text == "-" {
                break;
            } else if text.starts_with('-') {
                if text == "--test" {
                    return;
                }
                rest = after;
            } else {
                let text = text.to_owned();
                return self.script_file(&text);
            }
        }
        self.effects.inline_code = true;
    }
}
