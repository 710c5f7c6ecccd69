//! Shells and other interpreters: files of code, and code in the command itself.

use super::Analysis;
use super::word::Value;

/// Options of interpreters that write files, read options from files, or open a port.
const REPORTING: [&str; 19] = [
    "--redirect-warnings",
    "--diagnostic-dir",
    "--report-",
    "--cpu-prof",
    "--heap-prof",
    "--heapsnapshot",
    "--trace-event-file",
    "--test-reporter-destination",
    "--env-file",
    "--experimental-config-file",
    "--experimental-default-config-file",
    "--openssl-config",
    "--icu-data-dir",
    "--inspect",
    "--localstorage-file",
    "--build-snapshot",
    "--run",
    "--snapshot-blob",
    "-i",
];

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
            if matches!(text, "-V" | "--version" | "-VV" | "-h" | "--help" | "-?") {
                return;
            }
            rest = after;
            if text == "-" {
                break;
            }
            if text.starts_with("--") {
                self.effects.inline_code = true;
                return;
            }
            if !text.starts_with('-') {
                let text = text.to_owned();
                return self.script_file(&text);
            }
            // a cluster of letters: the first that takes a value takes the rest
            for (at, letter) in text.char_indices().skip(1) {
                let joined = text.get(at + letter.len_utf8()..).unwrap_or_default();
                match letter {
                    'c' | 'i' => {
                        self.effects.inline_code = true;
                        return;
                    }
                    'm' if joined.is_empty() => {
                        let Some(module) = rest.first().and_then(Value::known).map(str::to_owned)
                        else {
                            return self.doubt("which module runs is only known at run time");
                        };
                        return self.module(&module, rest.get(1..).unwrap_or(&[]));
                    }
                    'm' => {
                        let module = joined.to_owned();
                        return self.module(&module, rest);
                    }
                    'X' | 'W' => {
                        if joined.is_empty() {
                            rest = rest.get(1..).unwrap_or(&[]);
                        }
                        break;
                    }
                    _ => {}
                }
            }
        }
        // from a stream: a here-document or a pipe
        self.effects.inline_code = true;
    }

    /// A module that runs as a program, with its arguments.
    fn module(&mut self, module: &str, args: &[Value]) {
        if module == "pip" {
            self.effects.programs.insert("pip".to_owned());
            return self.pip(args);
        }
        self.effects.operations.insert(format!("python -m {module}"));
        let texts: Vec<&str> = args.iter().map(|arg| arg.known().unwrap_or("-?")).collect();
        match module {
            "timeit" => self.effects.inline_code |= !args.is_empty(),
            "json.tool" => {
                let operands: Vec<&Value> = args
                    .iter()
                    .filter(|arg| !arg.known().is_some_and(|text| text.starts_with("--")))
                    .collect();
                if operands.iter().any(|operand| operand.known().is_none()) {
                    self.doubt("which file is written is only known at run time");
                }
                if let Some(file) = operands.get(1) {
                    self.writes(file);
                }
            }
            "build" if !texts.iter().any(|text| matches!(*text, "-n" | "--no-isolation")) => {
                self.effects.connects.insert("python -m build".to_owned());
            }
            "cProfile" | "profile" | "trace" | "pdb" | "coverage" => {
                let mut rest = match (module, texts.first()) {
                    ("coverage", Some(&"run")) => args.get(1..).unwrap_or(&[]),
                    ("coverage", _) => return self.coverage_report(args),
                    _ => args,
                };
                while let Some((arg, after)) = rest.split_first() {
                    match arg.known() {
                        Some("-m") => return self.python(rest),
                        Some("-o" | "--outfile" | "--data-file") => {
                            self.writes(&after.first().cloned().unwrap_or(Value::Unknown));
                            rest = after.get(1..).unwrap_or(&[]);
                        }
                        Some("-s" | "--source" | "--include" | "--omit" | "--rcfile") => {
                            rest = after.get(1..).unwrap_or(&[]);
                        }
                        Some(text)
                            if text.starts_with("--data-file=") || text.starts_with("-o") =>
                        {
                            let file = text
                                .trim_start_matches("--data-file=")
                                .trim_start_matches("-o")
                                .to_owned();
                            self.writes(&Value::Known(file));
                            rest = after;
                        }
                        Some(text)
                            if matches!(
                                text,
                                "-a" | "--append" | "-p" | "--branch" | "--parallel-mode" | "-q"
                            ) || text.starts_with("--source=")
                                || text.starts_with("--omit=")
                                || text.starts_with("--include=") =>
                        {
                            rest = after;
                        }
                        Some(text) if !text.starts_with('-') => {
                            let text = text.to_owned();
                            return self.script_file(&text);
                        }
                        _ => {
                            return self
                                .doubt(format!("what `python -m {module}` runs is not known"));
                        }
                    }
                }
            }
            _ if super::dev_tools::NAMES.contains(&module) => self.dev_tool(module, args),
            _ => {}
        }
    }

    fn coverage_report(&mut self, args: &[Value]) {
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            rest = after;
            match arg.known() {
                Some("-o" | "-d" | "--directory" | "--data-file") => {
                    self.writes(&after.first().cloned().unwrap_or(Value::Unknown));
                    rest = after.get(1..).unwrap_or(&[]);
                }
                Some(text)
                    if text.starts_with("--directory=") || text.starts_with("--data-file=") =>
                {
                    let file =
                        text.split_once('=').map_or(String::new(), |(_, file)| file.to_owned());
                    self.writes(&Value::Known(file));
                }
                Some(_) => {}
                None => self.doubt("which file is written is only known at run time"),
            }
        }
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
            } else if REPORTING.iter().any(|option| text.starts_with(option)) {
                return self.doubt(format!("`{text}` writes or loads what the text does not say"));
            } else if text == "-" {
                break;
            } else if text.starts_with('-') {
                if text == "--test" {
                    // what follows are files of tests
                    for file in
                        after.iter().filter_map(Value::known).filter(|file| !file.starts_with('-'))
                    {
                        if self.leads_out(file) {
                            self.doubt("tests are taken from outside of the workspace");
                        }
                    }
                    if after.iter().any(|arg| {
                        arg.known().is_none_or(|text| {
                            text.starts_with("--test-reporter")
                                || REPORTING.iter().any(|option| text.starts_with(option))
                        })
                    }) {
                        self.doubt(
                            "options of the test runner write or load what the text does not say",
                        );
                    }
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
