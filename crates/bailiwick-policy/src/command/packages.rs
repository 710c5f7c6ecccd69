//! Package managers: `cargo`, `npm` and its kin, `pip`.

use super::Analysis;
use super::options::{could_be_option, cut_short};
use super::table;
use super::word::Value;

/// Options of npm that say what it starts, where it looks, or whom it asks.
const STEERING: [&str; 18] = [
    "--script-shell",
    "--shell",
    "--node-options",
    "--node-gyp",
    "--registry",
    "--userconfig",
    "--globalconfig",
    "--browser",
    "--viewer",
    "--editor",
    "--git",
    "--proxy",
    "--https-proxy",
    "--init-module",
    "--cache",
    "--logs-dir",
    "--python",
    "--global",
];

impl Analysis {
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
            self.cargo_option(text, after);
            if cut_short("--config", text) && text.len() > 4 {
                self.doubt("`cargo --config` changes what cargo starts");
            }
            if command.is_none() {
                if matches!(text, "--version" | "-V" | "--list" | "--help" | "-h") {
                    return;
                }
                if text.starts_with('+') && text.contains('/') {
                    return self.doubt("the toolchain of cargo is a path");
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
        let operands: Vec<&Value> = args
            .iter()
            .skip_while(|arg| arg.known() != Some(command.as_str()))
            .skip(1)
            .filter(|arg| !arg.known().is_some_and(|text| text.starts_with('-')))
            .collect();
        match command.as_str() {
            "new" | "init" | "vendor" => match operands.first() {
                Some(place) => self.writes(place),
                None => self.writes(&Value::Known(".".to_owned())),
            },
            "nextest"
                if !operands.first().is_some_and(|word| {
                    matches!(word.known(), Some("run" | "r" | "list" | "archive" | "show-config"))
                }) =>
            {
                self.doubt("this command of `cargo nextest` is not known");
            }
            "deny" if !offline => {
                self.effects.connects.insert("cargo deny".to_owned());
            }
            "test" | "t" | "bench" => self.test_options(args),
            _ => {}
        }
    }

    /// Options of cargo that write, or take code from elsewhere.
    fn cargo_option(&mut self, text: &str, after: &[Value]) {
        let name = text.split('=').next().unwrap_or(text);
        let value = match text.split_once('=') {
            Some((_, value)) => Some(Value::Known(value.to_owned())),
            None => after.first().cloned(),
        };
        match name {
            "--target-dir" | "--artifact-dir" | "--out-dir" | "--output-path" | "--output-dir" => {
                self.writes(&value.unwrap_or(Value::Unknown));
            }
            "--manifest-path" | "-C" | "--lockfile-path" | "--config-file"
            | "--tool-config-file"
                if value
                    .as_ref()
                    .and_then(Value::known)
                    .is_none_or(|path| self.leads_out(path)) =>
            {
                self.doubt(format!("`cargo {name}` leads out of the workspace"));
            }
            "--open" => self.doubt("`cargo --open` starts a browser"),
            _ => {}
        }
    }

    /// Behind `--` come options of the test harness, and one of them writes.
    fn test_options(&mut self, args: &[Value]) {
        let mut rest = args.split(|arg| arg.known() == Some("--")).nth(1).unwrap_or(&[]);
        while let Some((arg, after)) = rest.split_first() {
            rest = after;
            let Some(text) = arg.known() else { continue };
            if let Some(path) = text.strip_prefix("--logfile") {
                match path.strip_prefix('=') {
                    Some(path) => self.writes(&Value::Known(path.to_owned())),
                    None => self.writes(&after.first().cloned().unwrap_or(Value::Unknown)),
                }
            }
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
            // without a package of that name, the program of the system is started
            let at = args
                .iter()
                .skip(usize::from(name != "npx"))
                .position(|arg| !arg.known().is_some_and(|text| text.starts_with('-')));
            if let Some(command) = at.map(|at| at + usize::from(name != "npx"))
                && let Some((program, args)) = args.get(command..).and_then(<[Value]>::split_first)
            {
                match program.known().map(str::to_owned) {
                    Some(program) if program.contains('/') => {
                        self.doubt("`npx` is given the path of a program");
                    }
                    Some(program) => {
                        if table::is_special(&program) {
                            self.effects.programs.insert(program.clone());
                        }
                        self.dispatch(&program, args);
                    }
                    None => self.doubt("what `npx` starts is only known at run time"),
                }
            }
            return;
        }
        if known
            .iter()
            .any(|arg| STEERING.iter().any(|option| cut_short(option, arg) && arg.len() > 5))
        {
            self.doubt(format!("an option of `{name}` changes what it starts or connects to"));
        }
        let mut words = known.iter().copied();
        let command = loop {
            match words.next() {
                Some("--prefix" | "-C" | "-w" | "--workspace" | "--dir") => {
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
        for (at, option) in known.iter().enumerate() {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            if matches!(name, "--prefix" | "-C" | "--dir" | "--cwd")
                && self.leads_out(if value.is_empty() {
                    known.get(at + 1).unwrap_or(&"/")
                } else {
                    value
                })
            {
                self.doubt(format!("`{name}` leads out of the workspace"));
            }
        }
        if command == "pkg" && known.iter().any(|word| matches!(*word, "set" | "delete" | "fix"))
            || command == "version" && known.len() > 1
        {
            self.writes(&Value::Known("package.json".to_owned()));
        }
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
}
