//! `git`: which command runs, what it writes, and the options that start programs.

use super::Analysis;
use super::options::{Known, Part, cut_short};
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
            // the configuration of another repository says what git starts there
            if self.leads_out(&directory) {
                self.doubt("`git -C` leads out of the workspace");
            }
            self.change_directory(Some(&Value::Known(directory)));
        }
        self.git_command(&command, args);
        self.cwds = cwds;
    }

    fn git_command(&mut self, command: &str, args: &[Value]) {
        let operation = operation(command, args);
        self.effects.operations.insert(operation.clone());
        if GIT_NETWORK.contains(&command)
            || matches!(
                operation.as_str(),
                "git remote update" | "git remote show" | "git remote prune"
            )
        {
            self.effects.connects.insert(format!("git {command}"));
        }
        let known = Known {
            starts: &[
                "--ext-diff",
                "--textconv",
                "--filters",
                "--open-files-in-pager",
                "--exec",
                "--upload-pack",
                "--receive-pack",
                "--extcmd",
                "--paginate",
                "--edit",
                "--web",
            ],
            writes: &["--output"],
            values: &[],
            cut_short: true,
        };
        let mut operands = Vec::new();
        let mut options = Vec::new();
        for part in known.read(args) {
            match part {
                Part::Starts(text) if text.len() > 4 => {
                    self.doubt(format!("`git {command} {text}` starts a program"));
                }
                Part::Starts(_) | Part::Value(_) => {}
                Part::Writes(Some(value)) => self.writes(&value),
                Part::Writes(None) => {
                    self.doubt("which file git writes is only known at run time");
                }
                Part::Option(text) => options.push(text),
                Part::Operand(value) => operands.push(value),
                Part::Unclear(value) => {
                    self.doubt("an option of git may only be known at run time");
                    operands.push(value);
                }
            }
        }
        let short = |letter: char| {
            options.iter().any(|text| !text.starts_with("--") && text.contains(letter))
        };
        match command {
            "mv" | "rm" => operands.iter().for_each(|operand| self.removes(operand)),
            "help" if !options.is_empty() => self.doubt("`git help` with options starts a viewer"),
            "add" if short('e') || short('i') || short('p') => {
                self.doubt("`git add` is told to ask, or starts an editor");
            }
            "grep" if short('O') => self.doubt("`git grep -O` starts a program"),
            // the patch names the files that it changes
            "apply"
                if !options.iter().any(|text| {
                    matches!(text.as_str(), "--check" | "--stat" | "--numstat" | "--summary")
                }) || options.iter().any(|text| text == "--apply") =>
            {
                self.doubt("which files a patch changes stands in the patch");
            }
            "commit" => {
                let message = options.iter().any(|text| {
                    ["--message", "--file", "--no-edit", "--fixup"]
                        .iter()
                        .any(|option| text.split('=').next() == Some(option))
                }) || short('m')
                    || short('F')
                    || short('C');
                if !message || short('e') && !short('m') {
                    self.doubt("`git commit` without a message starts an editor");
                }
            }
            _ => {}
        }
    }
}

/// The command with what makes it harmless or not.
fn operation(command: &str, args: &[Value]) -> String {
    let texts: Vec<&str> = args.iter().map(|arg| arg.known().unwrap_or("x")).collect();
    let first = texts.iter().find(|text| !text.starts_with('-')).copied();
    let has = |flags: &[&str]| texts.iter().any(|text| flags.contains(text));
    match command {
        "config" => {
            let reads = ["--get", "--get-all", "--list", "-l", "--get-regexp", "get", "list"];
            // the first word decides, but for where the setting is looked for
            let action = texts.iter().find(|text| {
                ![
                    "--local",
                    "--global",
                    "--system",
                    "--worktree",
                    "--show-origin",
                    "--show-scope",
                    "-z",
                    "--null",
                ]
                .contains(text)
            });
            match action {
                Some(action) if reads.contains(action) => "git config --get".to_owned(),
                _ => "git config".to_owned(),
            }
        }
        "branch" | "tag" => {
            let changes = texts.iter().any(|text| {
                ["-d", "-D", "-m", "-M", "-c", "-C", "-f", "-u", "-e", "-F"]
                    .iter()
                    .any(|option| text.starts_with(option))
                    || [
                        "--delete",
                        "--move",
                        "--copy",
                        "--force",
                        "--edit",
                        "--set-upstream",
                        "--unset",
                        "--create",
                    ]
                    .iter()
                    .any(|option| {
                        text.starts_with(option) || cut_short(option, text) && text.len() > 4
                    })
            });
            let names = texts.iter().any(|text| !text.starts_with('-'));
            let lists =
                has(&["-l", "--list", "--contains", "--merged", "--points-at", "--no-merged"]);
            if changes || names && !lists {
                format!("git {command} (changing)")
            } else {
                format!("git {command}")
            }
        }
        "stash" | "worktree" | "remote" | "reflog" | "notes" | "bisect" => match first {
            Some(second) => format!("git {command} {second}"),
            None => format!("git {command}"),
        },
        _ => format!("git {command}"),
    }
}
