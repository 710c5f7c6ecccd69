//! From a program and its arguments to what it does.

use super::options::could_be_option;
use super::shell::{is_identifier, is_number};
use super::table::{self, Wrapper};
use super::word::Value;
use super::{Analysis, MAX_COMMANDS, MAX_DEPTH, UNKNOWN_WORD, dev_tools};

impl Analysis {
    /// Reads one program with its arguments.
    pub(super) fn argv(&mut self, argv: &[Value]) {
        let Some((program, args)) = argv.split_first() else { return };
        self.commands += 1;
        if self.commands > MAX_COMMANDS || self.depth > MAX_DEPTH + 4 {
            return self.doubt("there are too many commands, or they are nested too deep");
        }
        let Some(written) = program.known() else {
            return self.doubt("which program runs is only known at run time");
        };
        if written.is_empty() {
            return self.doubt("a program without a name");
        }
        let Some(name) = self.resolve(written) else { return };
        let words = argv.iter().skip(1).map(|word| word.known().unwrap_or(UNKNOWN_WORD));
        let invocation = std::iter::once(name.as_str()).chain(words).map(str::to_owned).collect();
        self.effects.invocations.insert(invocation);
        self.depth += 1;
        self.dispatch(&name, args);
        self.depth -= 1;
    }

    /// Notes the program, and gives its name when it is one that is found by name.
    fn resolve(&mut self, written: &str) -> Option<String> {
        if let Some(name) = table::SYSTEM_DIRS.iter().find_map(|dir| written.strip_prefix(dir)) {
            if name.contains('/') {
                self.effects.programs.insert(written.to_owned());
                return None;
            }
            self.effects.programs.insert(name.to_owned());
            return Some(name.to_owned());
        }
        if !written.contains('/') {
            // some shells prefer their own commands to functions of that name, so a function never
            // hides a name that means something here
            if self.functions.contains(written) && !table::is_special(written) {
                return None;
            }
            if self.may_be_function.contains(written) {
                self.doubt(format!("`{written}` may be a function or a program"));
            }
            self.effects.programs.insert(written.to_owned());
            return Some(written.to_owned());
        }
        match self.places(written).as_deref() {
            Some([place]) if !place.starts_with('/') => {
                self.effects.scripts.insert(place.clone());
            }
            Some([_]) => {
                self.effects.programs.insert(written.to_owned());
            }
            _ => self.doubt("from which directory a program is started is only known at run time"),
        }
        None
    }

    pub(super) fn dispatch(&mut self, name: &str, args: &[Value]) {
        self.secrets(name, args);
        if table::PRIVILEGED.contains(&name) {
            self.effects.privileged = true;
        }
        if table::NETWORK.contains(&name) {
            self.effects.connects.insert(name.to_owned());
        }
        if table::CHANGING_BUILTINS.contains(&name) {
            return self.doubt(format!("`{name}` runs text, or changes what later words mean"));
        }
        if let Some(wrapper) = table::WRAPPERS.iter().find(|wrapper| wrapper.name == name) {
            return self.wrapper(wrapper, args);
        }
        if table::SHELLS.contains(&name) {
            return self.shell(args);
        }
        if is_versioned(name, "python") || is_versioned(name, "pypy") {
            return self.python(args);
        }
        match name {
            name if table::PLAIN_BUILTINS.contains(&name) => {}
            "cd" | "chdir" => self.change_directory(
                args.iter().rfind(|arg| !matches!(arg.known(), Some("-P" | "-L" | "--"))),
            ),
            "getopts" => self.variables("read", args.get(1..2).unwrap_or(&[])),
            "command" | "builtin" => self.command_builtin(args),
            "env" => self.env(args),
            "export" | "local" | "declare" | "typeset" | "readonly" | "unset" | "read"
            | "mapfile" | "readarray" | "set" => {
                self.variables(name, args);
            }
            "let" => args.iter().for_each(|arg| match arg.known() {
                Some(text) => {
                    let text = text.to_owned();
                    self.arithmetic(&text);
                }
                None => self.doubt("`let` evaluates text that is only known at run time"),
            }),
            "printf"
                if args
                    .first()
                    .is_some_and(|arg| arg.known().is_none_or(|text| text.starts_with("-v"))) =>
            {
                self.doubt("`printf -v` writes a variable");
            }
            "trap" => self.trap(args),
            "test" | "[" => {
                let subscript = args.windows(2).any(|pair| {
                    matches!(pair, [flag, name] if matches!(flag.known(), Some("-v" | "-R")) && !name.known().is_some_and(is_identifier))
                });
                if subscript {
                    self.doubt("a test evaluates a subscript");
                }
            }
            "xargs" => self.xargs(args),
            "find" => self.find(args),
            "busybox" | "toybox" => self.argv(args),
            "node" | "nodejs" => self.interpreter(
                args,
                &[
                    "-e",
                    "--eval",
                    "-p",
                    "--print",
                    "-pe",
                    "-r",
                    "--require",
                    "--import",
                    "--loader",
                    "--experimental-loader",
                ],
                &[],
            ),
            "ruby" => self.interpreter(args, &["-e", "-r", "-x", "-S"], &["-I"]),
            "perl" => self.interpreter(args, &["-e", "-E", "-M", "-m", "-x", "-S"], &["-I"]),
            "php" => self.interpreter(args, &["-r", "-R", "-B", "-E", "-d"], &[]),
            "lua" | "Rscript" | "osascript" | "tclsh" => self.interpreter(args, &["-e", "-l"], &[]),
            "awk" | "gawk" | "mawk" | "nawk" => self.awk(args),
            "sed" | "gsed" => self.sed(args),
            "tar" => self.tar(args),
            "sort" | "shuf" | "tree" | "gzip" | "gunzip" | "tee" | "rm" | "rmdir" | "touch"
            | "mkdir" | "mktemp" | "truncate" | "shred" | "unlink" | "chmod" | "chown"
            | "chgrp" | "mv" | "cp" | "install" | "ln" | "dd" | "uniq" | "base64" | "rg"
            | "patch" | "jq" | "rustfmt" | "split" | "csplit" | "grep" | "egrep" | "fgrep"
            | "diff" | "file" => {
                self.text_tool(name, args);
            }
            "git" => self.git(args),
            "cargo" => self.cargo(args),
            "npm" | "pnpm" | "yarn" | "npx" => self.node_packages(name, args),
            "pip" | "pip3" | "pipx" => self.pip(args),
            "go" => self.go(args),
            "make" | "gmake" | "ninja" | "cmake" | "ctest" | "rustc" | "rustdoc" => {
                self.build_tool(name, args);
            }
            "clippy-driver" => self.build_tool("rustc", args),
            "cargo-clippy" => {
                let clippy = Value::Known("clippy".to_owned());
                self.cargo(&[&[clippy], args].concat());
            }
            "mvn" | "gradle" => self.java_build(name, args),
            "ar" => self.ar(args),
            _ if dev_tools::NAMES.contains(&name) => self.dev_tool(name, args),
            _ if is_compiler(name) => self.build_tool("cc", args),
            _ => {}
        }
    }

    fn wrapper(&mut self, wrapper: &Wrapper, args: &[Value]) {
        let mut operands = wrapper.operands;
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            let Some(text) = arg.known() else {
                return self
                    .doubt(format!("what `{}` starts is only known at run time", wrapper.name));
            };
            if text == "--" {
                rest = after;
                break;
            }
            let is_nice = wrapper.name == "nice"
                && text.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
            let joined = wrapper.with_value.iter().any(|option| {
                if option.starts_with("--") {
                    text.starts_with(&format!("{option}="))
                } else {
                    text.len() > 2 && text.starts_with(option)
                }
            });
            if wrapper.with_value.contains(&text) {
                rest = after.get(1..).unwrap_or(&[]);
            } else if wrapper.plain.contains(&text) || joined || (is_nice && text.starts_with('-'))
            {
                rest = after;
            } else if text.starts_with('-') && text.len() > 1 {
                return self.doubt(format!("`{} {text}` is not known", wrapper.name));
            } else {
                break;
            }
        }
        while operands > 0 && !rest.is_empty() {
            rest = rest.get(1..).unwrap_or(&[]);
            operands -= 1;
        }
        self.external(rest);
    }

    /// A command that a program, not the shell, starts: no function of the text is meant.
    pub(super) fn external(&mut self, argv: &[Value]) {
        let functions = std::mem::take(&mut self.functions);
        let cwds = self.cwds.clone();
        self.argv(argv);
        self.cwds = cwds;
        self.functions = functions;
    }

    fn command_builtin(&mut self, args: &[Value]) {
        match args.split_first() {
            Some((flag, _)) if matches!(flag.known(), Some("-v" | "-V")) => {}
            Some((flag, rest)) if matches!(flag.known(), Some("-p" | "--")) => {
                self.command_builtin(rest);
            }
            _ => {
                let functions = std::mem::take(&mut self.functions);
                self.argv(args);
                self.functions = functions;
            }
        }
    }

    fn env(&mut self, args: &[Value]) {
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            let Some(text) = arg.known().map(str::to_owned) else {
                return self.doubt("what `env` starts is only known at run time");
            };
            match text.as_str() {
                "-i" | "-" | "-0" | "--null" | "--ignore-environment" => rest = after,
                "--" => rest = after,
                "-u" | "--unset" => rest = after.get(1..).unwrap_or(&[]),
                _ if text.starts_with("--unset=") => rest = after,
                _ if text.starts_with('-') => {
                    return self.doubt(format!("`env {text}` is not known"));
                }
                _ => match text.split_once('=') {
                    Some((name, value)) => {
                        self.check_name(name, Some(value));
                        rest = after;
                    }
                    None => return self.external(rest),
                },
            }
        }
    }

    fn variables(&mut self, name: &str, args: &[Value]) {
        for arg in args {
            let Some(text) = arg.known().map(str::to_owned) else {
                // `export "$x"` could name any variable
                if name == "set" {
                    continue;
                }
                return self
                    .doubt(format!("which variable `{name}` changes is only known at run time"));
            };
            if text.starts_with(['-', '+']) {
                let risky = match name {
                    "read" => false,
                    "mapfile" | "readarray" => text.contains(['C', 'c']),
                    "unset" => text.contains('f'),
                    "set" => text.contains(['k', 'a']),
                    _ => text.contains(['n', 'i', 'f', 'F']),
                };
                if risky {
                    self.doubt(format!("`{name} {text}` changes how text is read"));
                }
                // `read -aNAME`
                if name == "read"
                    && let Some((_, variable)) = text.split_once('a')
                    && !variable.is_empty()
                {
                    self.assign(variable, &Value::Unknown);
                }
                continue;
            }
            match (name, text.split_once('=')) {
                ("set", _) => {}
                ("read" | "mapfile" | "readarray", _) => {
                    if is_identifier(&text) {
                        self.assign(&text, &Value::Unknown);
                    } else if !is_number(&text) {
                        self.doubt("a subscript is evaluated");
                    }
                }
                (_, Some((variable, value))) => {
                    self.assign(variable.trim_end_matches('+'), &Value::Known(value.to_owned()));
                }
                (_, None) => self.check_name(&text, None),
            }
        }
    }

    fn trap(&mut self, args: &[Value]) {
        match args.first() {
            None => {}
            Some(Value::Known(text)) if text == "--" => {
                self.trap(args.get(1..).unwrap_or(&[]));
            }
            Some(Value::Known(text)) if matches!(text.as_str(), "-" | "" | "-l" | "-p") => {}
            Some(Value::Known(text)) => {
                let text = text.clone();
                // where the shell will be by then is not known
                let cwds = self.cwds.take();
                self.nested(&text);
                self.cwds = cwds;
            }
            Some(_) => self.doubt("what `trap` runs is only known at run time"),
        }
    }

    fn xargs(&mut self, args: &[Value]) {
        let mut rest = args;
        let mut replaced: Option<String> = None;
        while let Some((arg, after)) = rest.split_first() {
            let Some(text) = arg.known() else {
                return self.doubt("what `xargs` starts is only known at run time");
            };
            match text {
                "-0" | "-r" | "-t" | "-x" | "--null" | "--no-run-if-empty" | "--verbose"
                | "-0r" | "-r0" => rest = after,
                "-n" | "-P" | "-L" | "-d" | "-s" | "-E" | "-a" | "--max-args" | "--max-procs"
                | "--delimiter" | "--arg-file" => {
                    rest = after.get(1..).unwrap_or(&[]);
                }
                "-I" => {
                    replaced = after.first().and_then(Value::known).map(str::to_owned);
                    rest = after.get(1..).unwrap_or(&[]);
                }
                _ if text.starts_with("-I") => {
                    replaced = text.strip_prefix("-I").map(str::to_owned);
                    rest = after;
                }
                _ if ["-n", "-P", "-L", "-d"].iter().any(|option| text.starts_with(option)) => {
                    rest = after;
                }
                "--" => {
                    rest = after;
                    break;
                }
                _ if text.starts_with('-') => {
                    return self.doubt(format!("`xargs {text}` is not known"));
                }
                _ => break,
            }
        }
        let mut argv: Vec<Value> = match &replaced {
            Some(mark) => rest
                .iter()
                .map(|arg| {
                    if arg.text().is_some_and(|text| text.contains(mark.as_str())) {
                        Value::Unknown
                    } else {
                        arg.clone()
                    }
                })
                .collect(),
            None => rest.to_vec(),
        };
        if replaced.is_none() && !argv.is_empty() {
            argv.push(Value::Unknown);
        }
        self.external(&argv);
    }

    fn find(&mut self, args: &[Value]) {
        let starts: Vec<Value> = args
            .iter()
            .take_while(|arg| !arg.known().is_some_and(|text| text.starts_with(['-', '(', '!'])))
            .cloned()
            .collect();
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            let text = arg.known().unwrap_or_default();
            match text {
                "-exec" | "-execdir" | "-ok" | "-okdir" => {
                    let end = after
                        .iter()
                        .position(|arg| matches!(arg.known(), Some(";" | "+")))
                        .unwrap_or(after.len());
                    let argv: Vec<Value> = after
                        .iter()
                        .take(end)
                        .map(|arg| {
                            if arg.text().is_some_and(|text| text.contains("{}")) {
                                Value::Unknown
                            } else {
                                arg.clone()
                            }
                        })
                        .collect();
                    let cwds = self.cwds.clone();
                    if text.ends_with("dir") {
                        self.cwds = None;
                    }
                    self.external(&argv);
                    self.cwds = cwds;
                    rest = after.get(end..).unwrap_or(&[]);
                    continue;
                }
                "-delete" => {
                    // a condition before it spares the directory itself
                    let below = args.iter().any(|arg| {
                        matches!(arg.known(), Some("-name" | "-iname" | "-mindepth" | "-path"))
                    });
                    let here = [Value::Known(".".to_owned())];
                    for start in if starts.is_empty() { &here[..] } else { &starts } {
                        match start.text().filter(|_| below) {
                            Some(text) => self.removes(&Value::Known(format!("{text}/*"))),
                            None => self.removes(start),
                        }
                    }
                }
                "-fls" | "-fprint" | "-fprint0" | "-fprintf" => {
                    if let Some(file) = after.first() {
                        self.writes(file);
                    }
                }
                "-L" | "-follow" | "-files0-from" => {
                    self.doubt(format!("`find {text}` leaves the directory it is given"));
                }
                _ if may_act(arg) => self.doubt("what `find` does is only known at run time"),
                _ => {}
            }
            rest = after;
        }
    }
}

/// Whether an argument of `find` can turn out to be an action or a dangerous option.
fn may_act(arg: &Value) -> bool {
    const ACTIONS: [&str; 9] =
        ["-exec", "-execdir", "-ok", "-okdir", "-delete", "-fls", "-fprint", "-fprintf", "-L"];
    match arg {
        Value::Known(_) => false,
        Value::Partial(_) | Value::Unknown => true,
        Value::Pattern(text) => {
            could_be_option(arg)
                && globset::Glob::new(text).map_or(true, |glob| {
                    let matcher = glob.compile_matcher();
                    ACTIONS.iter().any(|action| matcher.is_match(action))
                })
        }
    }
}

fn is_versioned(name: &str, base: &str) -> bool {
    name.strip_prefix(base)
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

pub(super) fn is_compiler(name: &str) -> bool {
    ["cc", "c++", "gcc", "g++", "clang", "clang++"].iter().any(|base| {
        name == *base
            || name
                .strip_prefix(base)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
    })
}
