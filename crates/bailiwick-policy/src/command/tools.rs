//! Version control, package managers, compilers: programs with sub-commands.

use super::Analysis;
use super::text_tools::{could_be_option, cut_short, option_value};
use super::word::Value;

/// Sub-commands of git that talk to another repository.
const GIT_NETWORK: [&str; 16] = [
    "push",
    "fetch",
    "pull",
    "clone",
    "ls-remote",
    "submodule",
    "send-email",
    "lfs",
    "svn",
    "p4",
    "imap-send",
    "archive",
    "fetch-pack",
    "send-pack",
    "http-fetch",
    "http-push",
];
/// Settings that `git -c` may set without an effect on what runs.
const GIT_SETTINGS: [&str; 9] = [
    "user.name",
    "user.email",
    "color.ui",
    "core.quotepath",
    "commit.gpgsign",
    "init.defaultbranch",
    "safe.directory",
    "advice.detachedhead",
    "core.abbrev",
];

impl Analysis {
    pub(super) fn git(&mut self, args: &[Value]) {
        let mut rest = args;
        let mut directory: Option<String> = None;
        let (command, args) = loop {
            let Some((arg, after)) = rest.split_first() else { return };
            let Some(text) = arg.known() else {
                return self.doubt("which git command runs is only known at run time");
            };
            match text {
                "--no-pager" | "-P" | "--no-optional-locks" | "--literal-pathspecs" | "--bare" => {
                    rest = after;
                }
                "--version" | "--help" | "-v" | "-h" => return,
                "-C" => {
                    directory = after.first().and_then(Value::known).map(str::to_owned);
                    if directory.is_none() {
                        self.doubt("in which directory git runs is only known at run time");
                    }
                    rest = after.get(1..).unwrap_or(&[]);
                }
                "-c" => {
                    let setting = after
                        .first()
                        .and_then(Value::known)
                        .unwrap_or_default()
                        .to_ascii_lowercase();
                    if !GIT_SETTINGS.contains(&setting.split('=').next().unwrap_or_default()) {
                        self.doubt("`git -c` changes what git starts or connects to");
                    }
                    rest = after.get(1..).unwrap_or(&[]);
                }
                _ if text.starts_with('-') => {
                    return self.doubt(format!("`git {text}` changes what git starts"));
                }
                _ => break (text.to_owned(), after),
            }
        };
        let cwds = self.cwds.clone();
        if let Some(directory) = directory {
            self.change_directory(Some(&Value::Known(directory)));
        }
        self.git_command(&command, args);
        self.cwds = cwds;
    }

    fn git_command(&mut self, command: &str, args: &[Value]) {
        let first = args
            .iter()
            .find(|arg| !arg.known().is_some_and(|text| text.starts_with('-')))
            .and_then(Value::known);
        let has = |flags: &[&str]| {
            args.iter().any(|arg| arg.known().is_some_and(|text| flags.contains(&text)))
        };
        let operation = match command {
            "config"
                if has(&[
                    "--get",
                    "--get-all",
                    "--list",
                    "-l",
                    "--get-regexp",
                    "--show-origin",
                ]) =>
            {
                "git config --get".to_owned()
            }
            "branch" | "tag"
                if args.iter().any(|arg| {
                    arg.known().is_none_or(|text| {
                        !text.starts_with('-')
                            || ["-d", "-D", "-m", "-M", "-c", "-C", "-f", "-u"].contains(&text)
                    })
                }) && !has(&[
                    "-l",
                    "--list",
                    "--contains",
                    "--merged",
                    "--points-at",
                    "--no-merged",
                ]) =>
            {
                format!("git {command} (changing)")
            }
            "branch" | "tag"
                if has(&[
                    "-d",
                    "-D",
                    "--delete",
                    "-m",
                    "-M",
                    "--move",
                    "-f",
                    "--force",
                    "--edit-description",
                ]) =>
            {
                format!("git {command} (changing)")
            }
            "stash" | "worktree" | "remote" | "reflog" | "notes" | "bisect" => match first {
                Some(second) => format!("git {command} {second}"),
                None => format!("git {command}"),
            },
            _ => format!("git {command}"),
        };
        self.effects.operations.insert(operation.clone());
        if GIT_NETWORK.contains(&command)
            || matches!(
                operation.as_str(),
                "git remote update" | "git remote show" | "git remote prune"
            )
        {
            self.effects.connects.insert(format!("git {command}"));
        }
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            rest = after;
            let Some(text) = arg.known() else {
                if could_be_option(arg) {
                    self.doubt("an option of git may only be known at run time");
                }
                continue;
            };
            if text == "--" {
                break;
            }
            let starts = [
                "--ext-diff",
                "--textconv",
                "--open-files-in-pager",
                "--exec",
                "--upload-pack",
                "--receive-pack",
                "--extcmd",
                "--paginate",
            ];
            if starts.iter().any(|option| cut_short(option, text) && text.len() > 4)
                || (command == "grep" && text.starts_with("-O"))
            {
                self.doubt(format!("`git {command} {text}` starts a program"));
            }
            if let Some(value) = option_value(&["--output"], text, after) {
                match value {
                    Some(value) => self.writes(&value),
                    None => self.doubt("which file git writes is only known at run time"),
                }
            }
        }
        if matches!(command, "mv" | "rm") {
            for arg in
                args.iter().filter(|arg| !arg.known().is_some_and(|text| text.starts_with('-')))
            {
                self.writes(arg);
            }
        }
        if command == "commit"
            && !has(&["-m", "--message", "-F", "--file", "-am", "--no-edit"])
            && !args.iter().any(|arg| {
                arg.known()
                    .is_some_and(|text| text.starts_with("-m") || text.starts_with("--message="))
            })
        {
            self.doubt("`git commit` without a message starts an editor");
        }
    }

    pub(super) fn cargo(&mut self, args: &[Value]) {
        let mut offline = false;
        let mut rest = args;
        let mut command: Option<String> = None;
        while let Some((arg, after)) = rest.split_first() {
            rest = after;
            let Some(text) = arg.known() else {
                if command.is_none() {
                    return self.doubt("which cargo command runs is only known at run time");
                }
                if could_be_option(arg) {
                    self.doubt("an option of `cargo` may only be known at run time");
                }
                continue;
            };
            if text == "--" {
                break;
            }
            offline |= matches!(text, "--offline" | "--frozen");
            if cut_short("--config", text) && text.len() > 4 {
                self.doubt("`cargo --config` changes what cargo starts");
            }
            if command.is_none() {
                if matches!(text, "--version" | "-V" | "--list" | "--help" | "-h") {
                    return;
                }
                if matches!(text, "-C" | "--color" | "-Z") {
                    rest = after.get(1..).unwrap_or(&[]);
                } else if !text.starts_with(['-', '+']) {
                    command = Some(text.to_owned());
                } else if text.starts_with('-')
                    && !matches!(
                        text,
                        "-q" | "-v"
                            | "-vv"
                            | "--quiet"
                            | "--verbose"
                            | "--locked"
                            | "--offline"
                            | "--frozen"
                    )
                {
                    return self.doubt(format!("`cargo {text}` before a command is not known"));
                }
            }
        }
        let Some(command) = command else { return };
        self.effects.operations.insert(format!("cargo {command}"));
        const NETWORK: [&str; 11] = [
            "fetch", "install", "publish", "login", "search", "update", "add", "owner", "yank",
            "vendor", "info",
        ];
        if NETWORK.contains(&command.as_str()) && !offline {
            self.effects.connects.insert(format!("cargo {command}"));
        }
    }

    pub(super) fn node_packages(&mut self, name: &str, args: &[Value]) {
        let known: Vec<&str> = args.iter().filter_map(Value::known).collect();
        if args.first().is_some_and(|arg| arg.known().is_none()) {
            return self.doubt(format!("what `{name}` does is only known at run time"));
        }
        // after `--` come the arguments of a script
        let options = args.split(|arg| arg.known() == Some("--")).next().unwrap_or(args);
        if options.iter().any(|arg| arg.known().is_none() && could_be_option(arg)) {
            self.doubt(format!("an option of `{name}` may only be known at run time"));
        }
        if name == "npx"
            || known.first() == Some(&"exec")
            || known.first() == Some(&"x")
            || known.first() == Some(&"dlx")
        {
            // behind the package's name, options are the package's
            let local = known
                .iter()
                .skip(usize::from(name != "npx"))
                .take_while(|arg| arg.starts_with('-'))
                .any(|arg| matches!(*arg, "--no-install" | "--no" | "--offline"));
            if !local {
                self.effects.connects.insert("npx".to_owned());
            }
            if known.iter().any(|arg| {
                matches!(*arg, "-c" | "--call" | "-p" | "--package")
                    || arg.starts_with("--call=")
                    || arg.starts_with("--package=")
            }) {
                self.doubt("`npx` is given code or a package");
            }
            self.effects.operations.insert("npx".to_owned());
            return;
        }
        if known.iter().any(|arg| {
            ["--script-shell", "--node-options", "--registry", "--userconfig", "--globalconfig"]
                .iter()
                .any(|option| cut_short(option, arg) && arg.len() > 6)
        }) {
            self.doubt(format!("an option of `{name}` changes what it starts or connects to"));
        }
        let mut words = known.iter().copied();
        let command = loop {
            match words.next() {
                Some("--prefix" | "-C" | "-w" | "--workspace") => {
                    words.next();
                }
                Some(
                    "-s" | "--silent" | "--ignore-scripts" | "--offline" | "--no-audit"
                    | "--no-fund" | "-ws",
                ) => {}
                Some(option) if option.starts_with('-') && !option.contains('=') => {
                    return self.doubt(format!("`{name} {option}` before a command is not known"));
                }
                Some(option) if option.starts_with('-') => {}
                other => break other,
            }
        }
        .unwrap_or(if name == "yarn" { "install" } else { "help" });
        let command = match command {
            "i" | "in" | "ins" | "inst" | "insta" | "instal" | "isnt" => "install",
            "t" | "tst" => "test",
            "run-script" | "rum" | "urn" => "run",
            other => other,
        };
        let scripts = known.contains(&"--ignore-scripts")
            && !known.iter().any(|arg| {
                arg.starts_with("--ignore-scripts=") || arg.starts_with("--no-ignore-scripts")
            });
        self.effects
            .operations
            .insert(format!("{name} {command}{}", if scripts { " --ignore-scripts" } else { "" }));
        const LOCAL: [&str; 14] = [
            "run", "test", "start", "ls", "list", "help", "version", "prefix", "root", "pkg",
            "explain", "stop", "restart", "why",
        ];
        if !LOCAL.contains(&command) && !known.contains(&"--offline") {
            self.effects.connects.insert(format!("{name} {command}"));
        }
    }

    pub(super) fn pip(&mut self, args: &[Value]) {
        let Some(command) =
            args.iter().find(|arg| !arg.known().is_some_and(|text| text.starts_with('-')))
        else {
            return;
        };
        let Some(command) = command.known() else {
            return self.doubt("which pip command runs is only known at run time");
        };
        self.effects.operations.insert(format!("pip {command}"));
        if !matches!(command, "list" | "show" | "freeze" | "check" | "help" | "inspect") {
            self.effects.connects.insert(format!("pip {command}"));
        }
    }

    pub(super) fn go(&mut self, args: &[Value]) {
        let known: Vec<&str> = args.iter().filter_map(Value::known).collect();
        let Some(command) = args.first().and_then(Value::known) else {
            if !args.is_empty() {
                self.doubt("which go command runs is only known at run time");
            }
            return;
        };
        let operation = match (command, known.get(1)) {
            ("mod" | "work", Some(second)) => format!("go {command} {second}"),
            ("env", _) if known.contains(&"-w") => "go env -w".to_owned(),
            _ => format!("go {command}"),
        };
        if known.iter().any(|arg| {
            ["-exec", "-toolexec", "-vettool", "--exec", "--toolexec", "--vettool"]
                .iter()
                .any(|option| arg.split('=').next() == Some(option))
        }) {
            self.doubt("an option of `go` starts a program");
        }
        let remote = matches!(
            operation.as_str(),
            "go get"
                | "go install"
                | "go mod download"
                | "go mod tidy"
                | "go mod vendor"
                | "go telemetry"
        ) || (command == "run" && known.iter().any(|arg| arg.contains('@')));
        if remote {
            self.effects.connects.insert(operation.clone());
        }
        self.effects.operations.insert(operation);
    }

    pub(super) fn build_tool(&mut self, name: &str, args: &[Value]) {
        for (at, arg) in args.iter().enumerate() {
            let Some(text) = arg.known() else {
                if could_be_option(arg) {
                    self.doubt(format!("an option of `{name}` may only be known at run time"));
                }
                continue;
            };
            match name {
                "make" | "gmake" => {
                    if let Some((variable, value)) = text.split_once('=')
                        && !text.starts_with('-')
                    {
                        let variable = variable.trim_end_matches([':', '+', '?']);
                        if variable == ".SHELLFLAGS" {
                            self.doubt("`make` is told which shell to start");
                        } else {
                            self.check_name(variable, Some(value));
                        }
                        if value.contains("$(") || value.contains('`') {
                            self.doubt("a variable of `make` holds code");
                        }
                    }
                    if cut_short("--eval", text) && text.len() > 3
                        || text == "-E"
                        || (text == "-f"
                            && args
                                .get(at + 1)
                                .and_then(Value::known)
                                .is_none_or(|file| file == "-" || file.starts_with('/')))
                    {
                        self.doubt("`make` is given rules in the command or from a stream");
                    }
                }
                "cmake" if text == "-E" => {
                    self.doubt("`cmake -E` runs commands");
                }
                "cc" | "rustc" => {
                    if text.starts_with('@')
                        || ["-wrapper", "-fplugin", "-specs", "--specs", "-B", "-load"]
                            .iter()
                            .any(|option| text.starts_with(option))
                        || (name == "rustc"
                            && (text.contains("linker") || text.contains("codegen-backend")))
                    {
                        self.doubt("an option of a compiler starts a program or loads code");
                    }
                    if let Some(Some(value)) =
                        option_value(&["-o"], text, args.get(at + 1..).unwrap_or(&[]))
                            .filter(|_| text == "-o" || name == "cc")
                    {
                        self.writes(&value);
                    }
                }
                _ => {}
            }
        }
    }
}
