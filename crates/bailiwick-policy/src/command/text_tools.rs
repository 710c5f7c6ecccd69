//! Programs that read and write files and text, and how some of them start others.

use super::Analysis;
use super::word::Value;

/// What is known of a tool's options and operands.
struct Tool {
    /// Options that start programs or load code, whole or cut short.
    starts: &'static [&'static str],
    /// Options whose value is a file that is written.
    writes: &'static [&'static str],
    /// Options (short ones) with another value, which is skipped.
    values: &'static [&'static str],
    /// Which operands are written.
    operands: Operands,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operands {
    /// None.
    Read,
    /// All.
    All,
    /// All but the first, which is a mode or owner.
    AllButFirst,
    /// The last; the others are read.
    Last,
    /// The second, if there is one.
    Second,
}

fn tool(name: &str) -> Tool {
    let plain = Tool { starts: &[], writes: &[], values: &[], operands: Operands::Read };
    match name {
        "sort" => Tool {
            starts: &["--compress-program", "--files0-from", "--random-source"],
            writes: &["-o", "--output"],
            values: &["-k", "-t", "-S", "-T"],
            ..plain
        },
        "shuf" | "tree" => Tool { writes: &["-o", "--output"], ..plain },
        "uniq" => Tool { operands: Operands::Second, values: &["-f", "-s", "-w"], ..plain },
        "base64" => Tool { writes: &["-o", "--output"], values: &["-w"], ..plain },
        "rg" => Tool {
            starts: &["--pre", "--hostname-bin", "--search-zip", "-z"],
            values: &["-e", "-g", "-t", "-A", "-B", "-C", "-m"],
            ..plain
        },
        "grep" => Tool { values: &["-e", "-A", "-B", "-C", "-m", "-f"], ..plain },
        "tee" | "rmdir" | "touch" | "mkdir" | "unlink" | "gzip" | "gunzip" | "rustfmt"
        | "truncate" | "rm" | "shred" => Tool {
            operands: Operands::All,
            values: ["-s", "-r", "-d", "-t", "-m", "--size", "--mode"].as_slice(),
            ..plain
        },
        "chmod" | "chown" | "chgrp" => Tool { operands: Operands::AllButFirst, ..plain },
        "cp" | "mv" | "install" | "ln" => Tool {
            operands: Operands::Last,
            values: &["-m", "-o", "-g", "-S", "--mode", "--owner", "--group", "--suffix"],
            ..plain
        },
        "split" | "csplit" => Tool { starts: &["--filter"], operands: Operands::All, ..plain },
        "patch" => Tool {
            writes: &["-o", "--output", "-r", "--reject-file"],
            values: &["-p", "-i", "-d"],
            ..plain
        },
        _ => plain,
    }
}

impl Analysis {
    /// A tool of the table, and what is peculiar to it.
    pub(super) fn text_tool(&mut self, name: &str, args: &[Value]) {
        match name {
            "tar" => return self.tar(args),
            "dd" => return self.dd(args),
            _ => {}
        }
        let tool = tool(name);
        let mut args_read = args;
        let mut operands: Vec<Value> = Vec::new();
        let mut only_operands = false;
        let mut target: Option<Value> = None;
        while let Some((arg, after)) = args_read.split_first() {
            args_read = after;
            let text = arg.text().unwrap_or_default();
            if only_operands || text == "-" || (arg.known().is_some() && !text.starts_with('-')) {
                operands.push(arg.clone());
            } else if arg.known().is_none() {
                // what is not known could be an option, or a name that looks like one
                if !tool.starts.is_empty() && could_be_option(arg) {
                    self.doubt(format!("an option of `{name}` may only be known at run time"));
                }
                operands.push(arg.clone());
            } else if text == "--" {
                only_operands = true;
            } else if tool.starts.iter().any(|option| cut_short(option, text)) {
                self.doubt(format!("`{name} {text}` starts a program"));
            } else if let Some(value) = option_value(tool.writes, text, args_read) {
                match value {
                    Some(value) => self.writes(&value),
                    None => {
                        self.doubt(format!("which file `{name}` writes is only known at run time"));
                    }
                }
                if tool.writes.contains(&text) {
                    args_read = args_read.get(1..).unwrap_or(&[]);
                }
            } else if matches!(name, "cp" | "mv" | "install" | "ln")
                && (text == "-t" || cut_short("--target-directory", text))
            {
                target = match text.split_once('=') {
                    Some((_, value)) => Some(Value::Known(value.to_owned())),
                    None => {
                        let value = args_read.first().cloned();
                        args_read = args_read.get(1..).unwrap_or(&[]);
                        value
                    }
                };
            } else if tool.values.contains(&text)
                && !(name == "rm"
                    || name == "mkdir" && text != "-m"
                    || name == "touch" && text == "-m")
            {
                args_read = args_read.get(1..).unwrap_or(&[]);
            } else if name == "cp"
                && (text == "--dereference" || !text.starts_with("--") && text.contains(['L', 'H']))
            {
                self.doubt("`cp` follows links out of the directory it is given");
            }
        }
        self.operands(name, tool.operands, operands, target);
    }

    fn operands(
        &mut self,
        name: &str,
        kind: Operands,
        mut operands: Vec<Value>,
        target: Option<Value>,
    ) {
        match kind {
            Operands::Read => {}
            Operands::All => operands.iter().for_each(|operand| self.writes(operand)),
            Operands::AllButFirst => {
                operands.iter().skip(1).for_each(|operand| self.writes(operand));
            }
            Operands::Second => {
                if let Some(operand) = operands.get(1) {
                    self.writes(operand);
                }
            }
            Operands::Last => {
                let Some(target) =
                    target.or_else(|| if operands.len() > 1 { operands.pop() } else { None })
                else {
                    // `ln -s x` makes `./x`
                    return self.writes(&Value::Known(".".to_owned()));
                };
                if name == "mv" {
                    operands.iter().for_each(|operand| self.writes(operand));
                }
                if name == "ln" {
                    operands.iter().for_each(|source| self.link(source));
                }
                self.writes(&target);
                for source in &operands {
                    let Some(base) = source
                        .text()
                        .and_then(|text| text.trim_end_matches('/').rsplit('/').next())
                    else {
                        continue;
                    };
                    if let Some(places) =
                        target.text().and_then(|text| self.places(&format!("{text}/{base}")))
                    {
                        self.effects.may_write.extend(places);
                    }
                }
            }
        }
    }

    /// A link is another name: what is written through it is not seen in the text.
    fn link(&mut self, source: &Value) {
        match source.known().map(str::to_owned) {
            Some(text) if !text.starts_with('/') && !text.split('/').any(|part| part == "..") => {
                self.effects.may_write.insert(text);
            }
            _ => self
                .doubt("a link leads out of its directory, or its end is only known at run time"),
        }
    }

    fn dd(&mut self, args: &[Value]) {
        for arg in args {
            match arg.known().map(str::to_owned) {
                Some(text) => {
                    if let Some(file) = text.strip_prefix("of=") {
                        self.writes(&Value::Known(file.to_owned()));
                    }
                }
                None => self.doubt("which file `dd` writes is only known at run time"),
            }
        }
    }

    fn tar(&mut self, args: &[Value]) {
        const STARTS: [&str; 8] = [
            "--checkpoint-action",
            "--to-command",
            "--use-compress-program",
            "--rsh-command",
            "--rmt-command",
            "--info-script",
            "--new-volume-script",
            "--files-from",
        ];
        let mut extracts = false;
        let mut creates = false;
        let mut only_operands = false;
        let mut into: Option<Value> = None;
        let mut archive: Option<Value> = None;
        let mut first = true;
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            rest = after;
            let Some(text) = arg.known() else {
                if !only_operands && could_be_option(arg) {
                    self.doubt("an option of `tar` may only be known at run time");
                }
                continue;
            };
            if only_operands {
                continue;
            }
            if text == "--" {
                only_operands = true;
            } else if text.starts_with("--") {
                if STARTS.iter().any(|option| cut_short(option, text)) {
                    self.doubt(format!("`tar {text}` starts a program"));
                }
                extracts |= cut_short("--extract", text) || text == "--get";
                creates |= text == "--create";
                if let Some(value) = text.strip_prefix("--directory=") {
                    into = Some(Value::Known(value.to_owned()));
                }
                if let Some(value) = text.strip_prefix("--file=") {
                    archive = Some(Value::Known(value.to_owned()));
                }
            } else if first || text.starts_with('-') {
                let letters = text.trim_start_matches('-');
                if letters.contains(['I', 'F', 'T', 'P']) {
                    self.doubt(format!(
                        "`tar {text}` starts a program, or writes outside of its directory"
                    ));
                }
                extracts |= letters.contains('x');
                creates |= letters.contains(['c', 'r', 'u', 'A']);
                if letters.ends_with('C') {
                    into = after.first().cloned();
                    rest = after.get(1..).unwrap_or(&[]);
                } else if letters.ends_with('f') {
                    archive = after.first().cloned();
                    rest = after.get(1..).unwrap_or(&[]);
                }
            }
            first = false;
        }
        if archive
            .as_ref()
            .is_some_and(|archive| archive.known().is_none_or(|text| text.contains(':')))
        {
            self.doubt("`tar` may read its archive from another host");
        }
        if creates && let Some(archive) = archive.filter(|archive| archive.known() != Some("-")) {
            self.writes(&archive);
        }
        if extracts {
            let into = into.unwrap_or_else(|| Value::Known(".".to_owned()));
            match into.text() {
                Some(text) => self.writes(&Value::Known(format!("{text}/*"))),
                None => self.writes(&into),
            }
        }
    }

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
            Some(Some(text)) if awk_is_plain(text) => {}
            Some(_) => self.doubt("the `awk` program may start others or write files"),
        }
    }
}

/// Whether an argument can turn out to be an option.
pub(super) fn could_be_option(arg: &Value) -> bool {
    match arg {
        Value::Known(text) => text.starts_with('-'),
        Value::Pattern(text) => text.starts_with(['*', '?', '[', '{', '-', '@', '+', '!']),
        Value::Unknown => true,
    }
}

/// Whether `given` is `option`, or a way to write it shorter.
pub(super) fn cut_short(option: &str, given: &str) -> bool {
    let name = given.split('=').next().unwrap_or(given);
    if option.starts_with("--") {
        name.len() > 2 && name.starts_with("--") && option.starts_with(name)
    } else {
        !given.starts_with("--") && given.starts_with(option)
    }
}

/// The value of one of `options` in `given`: the outer option says that it is one of them.
#[expect(
    clippy::option_option,
    reason = "not such an option, an option without its value, an option with it"
)]
pub(super) fn option_value(
    options: &[&str],
    given: &str,
    after: &[Value],
) -> Option<Option<Value>> {
    for option in options {
        if given == *option {
            return Some(after.first().cloned());
        }
        if option.starts_with("--") {
            if cut_short(option, given) && given.len() > 3 {
                return Some(match given.split_once('=') {
                    Some((_, value)) => Some(Value::Known(value.to_owned())),
                    None => after.first().cloned(),
                });
            }
        } else if !given.starts_with("--")
            && let Some(value) = given.strip_prefix(option)
        {
            return Some(Some(Value::Known(value.to_owned())));
        } else if !given.starts_with("--")
            && option.len() == 2
            && given.ends_with(option.trim_start_matches('-'))
            && given.len() > 2
        {
            // `-uo file`
            return Some(after.first().cloned());
        }
    }
    None
}

fn awk_is_plain(program: &str) -> bool {
    let lower = program.to_ascii_lowercase();
    if ["system", "getline", "popen", "close", "fflush", "|&", "@", "eval"]
        .iter()
        .any(|word| lower.contains(word))
    {
        return false;
    }
    if program.replace("||", "").contains('|') {
        return false;
    }
    // `print > file`: a comparison after `print` needs parentheses, so this refuses little
    !lower.split(['}', ';', '\n']).any(|part| {
        part.find("print").is_some_and(|at| part.get(at..).is_some_and(|rest| rest.contains('>')))
    })
}
