//! Tools that build: `go`, `make` and its kin, compilers.

use super::Analysis;
use super::environment::{holds_code, plain_flags};
use super::options::{could_be_option, cut_short};
use super::word::Value;

/// Options of `go` whose value is written.
const GO_WRITES: [&str; 11] = [
    "o",
    "coverprofile",
    "cpuprofile",
    "memprofile",
    "blockprofile",
    "mutexprofile",
    "trace",
    "outputdir",
    "pkgdir",
    "test.coverprofile",
    "fuzzcachedir",
];
/// Options of `go` that say what is started or where code comes from.
const GO_STARTS: [&str; 9] = [
    "exec",
    "toolexec",
    "vettool",
    "overlay",
    "modfile",
    "compiler",
    "gccgoflags",
    "http",
    "modcacherw",
];

impl Analysis {
    pub(super) fn go(&mut self, args: &[Value]) {
        let known: Vec<&str> = args.iter().filter_map(Value::known).collect();
        let Some(command) = args.first().and_then(Value::known).map(str::to_owned) else {
            if !args.is_empty() {
                self.doubt("which go command runs is only known at run time");
            }
            return;
        };
        let operation = match (command.as_str(), known.get(1)) {
            ("mod" | "work", Some(second)) => format!("go {command} {second}"),
            ("env", _)
                if known.iter().any(|text| text.starts_with("-w") || text.starts_with("-u")) =>
            {
                "go env -w".to_owned()
            }
            _ => format!("go {command}"),
        };
        let remote = matches!(
            operation.as_str(),
            "go get"
                | "go install"
                | "go mod download"
                | "go mod tidy"
                | "go mod vendor"
                | "go telemetry"
        ) || (command == "run" && known.iter().any(|arg| arg.contains('@')));
        self.go_options(&command, args.get(1..).unwrap_or(&[]));
        if remote {
            self.effects.connects.insert(operation.clone());
        }
        self.effects.operations.insert(operation);
    }

    fn go_options(&mut self, command: &str, args: &[Value]) {
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            rest = after;
            let Some(text) = arg.known().map(str::to_owned) else {
                if could_be_option(arg) {
                    self.doubt("an option of `go` may only be known at run time");
                }
                continue;
            };
            if !text.starts_with('-') {
                if command == "run" && self.leads_out(&text) {
                    self.doubt("`go run` takes code from outside of the workspace");
                }
                continue;
            }
            let (name, joined) = match text.split_once('=') {
                Some((name, value)) => (name.trim_start_matches('-'), Some(value.to_owned())),
                None => (text.trim_start_matches('-'), None),
            };
            let value = joined.map(Value::Known).or_else(|| after.first().cloned());
            let text = value.as_ref().and_then(Value::known).unwrap_or("/");
            let doubted = GO_STARTS.contains(&name)
                // the linker is told which other linker to start, and with what
                || name == "ldflags" && text.contains("ext")
                || matches!(name, "asmflags" | "gcflags") && text.contains('/')
                || name == "C" && self.leads_out(text);
            if doubted {
                self.doubt(format!(
                    "`go {command} -{name}` starts a program, or takes code from elsewhere"
                ));
            }
            if GO_WRITES.contains(&name) {
                self.writes(&value.unwrap_or(Value::Unknown));
            }
        }
        if command == "tool" {
            let tool = args.first().and_then(Value::known).unwrap_or_default();
            let remote = args.iter().any(|arg| arg.known().is_none_or(|text| text.contains("://")));
            if !matches!(
                tool,
                "cover" | "nm" | "objdump" | "test2json" | "vet" | "pprof" | "covdata" | "doc" | ""
            ) || remote
            {
                self.doubt(format!("`go tool {tool}` is not known"));
            }
        }
    }

    pub(super) fn build_tool(&mut self, name: &str, args: &[Value]) {
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            rest = after;
            let Some(text) = arg.known().map(str::to_owned) else {
                // a setting of make begins with any letter
                if could_be_option(arg) || matches!(name, "make" | "gmake" | "ninja" | "cmake") {
                    self.doubt(format!("an option of `{name}` may only be known at run time"));
                }
                continue;
            };
            match name {
                "make" | "gmake" | "ninja" => self.make_argument(name, &text, after),
                "cmake" | "ctest" => self.cmake_argument(name, &text, after),
                _ => self.compiler_argument(name, &text, after),
            }
        }
    }

    fn make_argument(&mut self, name: &str, text: &str, after: &[Value]) {
        if let Some((variable, value)) = text.split_once('=')
            && !text.starts_with('-')
        {
            let variable = variable.trim_end_matches([':', '+', '?', '!']);
            self.check_name(variable, Some(value));
            // the value stands in shell text that make runs
            let plain = plain_flags(value)
                || value
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ',' | ':'));
            // a name in capitals may be that of a program to start
            let program = names_a_program(variable);
            if holds_code(value) || !plain || program {
                self.doubt(format!("a variable of `{name}` may hold code, or name a program"));
            }
            return;
        }
        if text.starts_with("--") {
            let value = text.split_once('=').map(|(_, value)| value);
            if cut_short("--eval", text) && text.len() > 3 {
                self.doubt("`make` is given rules in the command");
            }
            let file = ["--file", "--makefile", "--directory", "--include-dir"]
                .iter()
                .any(|option| cut_short(option, text) && text.len() > 4);
            if file {
                self.rules_from(value.map(str::to_owned).or_else(|| first_text(after)));
            }
            return;
        }
        if !text.starts_with('-') {
            return;
        }
        for (at, letter) in text.char_indices().skip(1) {
            let joined = text.get(at + letter.len_utf8()..).unwrap_or_default();
            match letter {
                'E' if name != "ninja" => {
                    return self.doubt("`make` is given rules in the command");
                }
                'f' | 'C' | 'I' => {
                    let value =
                        if joined.is_empty() { first_text(after) } else { Some(joined.to_owned()) };
                    return self.rules_from(value);
                }
                'j' | 'l' | 'o' | 'W' | 'O' | 't' | 'd' if !joined.is_empty() => return,
                _ => {}
            }
        }
    }

    fn rules_from(&mut self, file: Option<String>) {
        if file.is_none_or(|file| file == "-" || self.leads_out(&file)) {
            self.doubt("rules are taken from a stream, or from outside of the workspace");
        }
    }

    fn cmake_argument(&mut self, name: &str, text: &str, after: &[Value]) {
        let value = |option: &str| {
            let joined = text.strip_prefix(option).unwrap_or_default();
            let joined = joined.strip_prefix('=').unwrap_or(joined);
            if joined.is_empty() { first_text(after) } else { Some(joined.to_owned()) }
        };
        if name == "cmake" && text.starts_with("-D") {
            let setting = value("-D").unwrap_or_default();
            let (variable, value) = setting.split_once('=').unwrap_or((&setting, ""));
            let variable = variable.split(':').next().unwrap_or(variable).to_ascii_uppercase();
            let steering = [
                "COMPILER",
                "LAUNCHER",
                "LINK",
                "TOOLCHAIN",
                "INCLUDE",
                "EXECUTABLE",
                "PROGRAM",
                "COMMAND",
                "RULE",
                "SCRIPT",
                "FILE",
                "PATH",
                "DIR",
                "EMULATOR",
                "SHELL",
            ]
            .iter()
            .any(|part| variable.contains(part));
            let plain = value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | ' '));
            if steering && variable != "CMAKE_EXPORT_COMPILE_COMMANDS" || !plain {
                self.doubt("a variable of `cmake` may name a program or a file of code");
            }
            return;
        }
        let starts = match name {
            "cmake" => [
                "-E",
                "-P",
                "-C",
                "--toolchain",
                "--graphviz",
                "--trace-redirect",
                "--profiling-output",
                "--open",
                "--debugger",
                "-N",
            ]
            .as_slice(),
            _ => [
                "-S",
                "-SP",
                "--script",
                "--build-and-test",
                "--build-makeprogram",
                "--test-command",
                "-D",
                "-M",
                "-T",
                "-A",
                "--submit-index",
                "--http1.0",
            ]
            .as_slice(),
        };
        if starts.iter().any(|option| {
            text == *option
                || (option.starts_with("--") && text.starts_with(option))
                || (option.len() == 2 && text.starts_with(option) && !text.starts_with("--"))
        }) {
            return self.doubt(format!(
                "`{name} {text}` runs commands, or writes where the text does not say"
            ));
        }
        for option in ["-B", "--install-prefix", "--prefix", "-O", "--output-log", "--output-junit"]
        {
            if text == option
                || text.starts_with(&format!("{option}="))
                || (option.len() == 2 && text.starts_with(option) && !text.starts_with("--"))
            {
                self.writes(&value(option).map_or(Value::Unknown, Value::Known));
            }
        }
        for option in ["-S", "-H", "--build", "--install", "--test-dir"] {
            if name == "cmake"
                && (text == option || text.starts_with(&format!("{option}=")))
                && value(option).is_none_or(|path| self.leads_out(&path))
            {
                self.doubt(format!("`{name} {option}` leads out of the workspace"));
            }
        }
    }

    fn compiler_argument(&mut self, name: &str, text: &str, after: &[Value]) {
        const LOADS: [&str; 17] = [
            "-wrapper",
            "-fplugin",
            "-fpass-plugin",
            "-specs",
            "--specs",
            "-B",
            "-load",
            "-fuse-ld",
            "--ld-path",
            "--gcc-toolchain",
            "-ccc",
            "--config",
            "-Xlinker",
            "-Xassembler",
            "-T",
            "--sysroot",
            "-plugin",
        ];
        const WRITES: [&str; 9] = [
            "-MF",
            "-aux-info",
            "-dumpdir",
            "-save-temps=",
            "-fdump-",
            "-fprofile-dir",
            "-fdiagnostics-",
            "-fcallgraph-info",
            "-fopt-info",
        ];
        let rust = matches!(name, "rustc" | "rustdoc");
        let loads = text.starts_with('@')
            || !rust && LOADS.iter().any(|option| text.starts_with(option))
            || !rust
                && WRITES
                    .iter()
                    .any(|option| text.starts_with(option) && text != "-fdiagnostics-color")
            || !rust
                && ["-Wl,", "-Wa,", "-Wp,"].iter().any(|start| text.starts_with(start))
                && [
                    "plugin",
                    "Map",
                    "@",
                    "-o",
                    "--output",
                    "out-implib",
                    "dependency-file",
                    "-T",
                    "script",
                    "-M",
                ]
                .iter()
                .any(|part| text.get(3..).is_some_and(|rest| rest.contains(part)))
            || rust
                && [
                    "linker",
                    "link-arg",
                    "codegen-backend",
                    "runtool",
                    "test-builder",
                    "persist-doctests",
                    "save-temps",
                    "html-in-header",
                ]
                .iter()
                .any(|part| text.contains(part));
        if loads {
            self.doubt("an option of a compiler starts a program, loads code, or writes where the text does not say");
        }
        if rust
            && text.starts_with("--emit")
            && (text.contains("=") && text.matches('=').count() > 1
                || first_text(after).is_some_and(|value| value.contains('=')))
        {
            self.doubt("an option of a compiler writes where the text does not say");
        }
        let output = |option: &str| {
            let joined = text.strip_prefix(option)?;
            let joined = joined.strip_prefix('=').unwrap_or(joined);
            Some(if joined.is_empty() { first_text(after) } else { Some(joined.to_owned()) })
        };
        let written = if rust {
            ["--out-dir", "--output"]
                .iter()
                .find_map(|option| output(option))
                .or_else(|| output("-o"))
        } else {
            output("-o")
        };
        if let Some(file) = written {
            self.writes(&file.map_or(Value::Unknown, Value::Known));
        }
    }
}

fn first_text(after: &[Value]) -> Option<String> {
    after.first().and_then(Value::known).map(str::to_owned)
}

/// Whether a variable of make is, by custom, the name of a program.
fn names_a_program(variable: &str) -> bool {
    const PROGRAMS: [&str; 32] = [
        "SHELL", "MAKE", "PYTHON", "PYTHON3", "PIP", "NODE", "NPM", "NPX", "YARN", "GO", "GOFMT",
        "DOCKER", "CURL", "WGET", "GIT", "SED", "AWK", "GREP", "FIND", "ECHO", "CAT", "CP", "MV",
        "MKDIR", "TAR", "PYTEST", "LINT", "MAKEINFO", "TEX", "CMAKE", "PROTOC", "SUDO",
    ];
    PROGRAMS.contains(&variable) || variable.starts_with('.')
}
