//! Commands that install packages, before they run: which names they would fetch, and what is to
//! be said of them.

use std::collections::BTreeSet;

use crate::check::{Inputs, judge_name};
use crate::ecosystem::Ecosystem;
use crate::package::PackageName;
use crate::rule::Decides;

/// What is said of the names that a command installs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallVerdict {
    /// It installs nothing, or nothing stands against what it installs.
    Fine,
    /// A person has to look.
    Ask(Vec<String>),
    /// It must not run.
    Deny(Vec<String>),
    /// It could not be found out whether a name exists.
    Unknown(String),
}

/// What a program's sub-commands install.
struct Installer {
    programs: &'static [&'static str],
    verbs: &'static [&'static str],
    ecosystem: Ecosystem,
    /// Options that take the next word.
    valued: &'static [&'static str],
}

const INSTALLERS: [Installer; 9] = [
    Installer {
        programs: &["npm"],
        verbs: &["install", "i", "in", "ins", "inst", "add", "isntall", "exec", "x"],
        ecosystem: Ecosystem::Npm,
        valued: &["--registry", "--prefix", "-w", "--workspace", "--omit", "--include", "-C"],
    },
    Installer {
        programs: &["pnpm", "yarn", "bun"],
        verbs: &["add", "install", "i", "dlx", "x"],
        ecosystem: Ecosystem::Npm,
        valued: &["--registry", "-C", "--dir", "--cwd", "--filter", "-F"],
    },
    Installer {
        programs: &["npx", "pnpx", "bunx"],
        verbs: &[],
        ecosystem: Ecosystem::Npm,
        valued: &["-c", "--call"],
    },
    Installer {
        programs: &["pip", "pip3"],
        verbs: &["install", "download", "wheel"],
        ecosystem: Ecosystem::Pypi,
        valued: &[
            "-r",
            "--requirement",
            "-c",
            "--constraint",
            "-i",
            "--index-url",
            "--extra-index-url",
            "-t",
            "--target",
            "-f",
            "--find-links",
            "--prefix",
            "--root",
            "-d",
            "--dest",
            "--trusted-host",
            "--python",
        ],
    },
    Installer {
        programs: &["poetry", "pdm", "uv", "hatch", "rye"],
        verbs: &["add"],
        ecosystem: Ecosystem::Pypi,
        valued: &[
            "-G",
            "--group",
            "--index",
            "--source",
            "-E",
            "--extras",
            "--python",
            "--optional",
        ],
    },
    Installer {
        programs: &["pipx", "uvx", "pipenv"],
        verbs: &["install", "run"],
        ecosystem: Ecosystem::Pypi,
        valued: &["--python", "--spec", "--index-url", "-i"],
    },
    Installer {
        programs: &["cargo"],
        verbs: &["add", "install", "binstall"],
        ecosystem: Ecosystem::Cargo,
        valued: &[
            "--features",
            "-F",
            "--rename",
            "-p",
            "--package",
            "--manifest-path",
            "--version",
            "--vers",
            "--registry",
            "--index",
            "--root",
            "--target",
            "--bin",
            "--example",
            "--git",
            "--path",
            "--branch",
            "--tag",
            "--rev",
            "--profile",
            "-j",
            "--jobs",
        ],
    },
    Installer {
        programs: &["go"],
        verbs: &["get", "install", "run"],
        ecosystem: Ecosystem::Go,
        valued: &["-tags", "-modfile", "-C", "-o"],
    },
    Installer {
        programs: &["easy_install"],
        verbs: &[],
        ecosystem: Ecosystem::Pypi,
        valued: &["-i", "-f", "-d"],
    },
];

/// The names that a command, as separate words, would fetch from a registry. What it takes from
/// paths, addresses or files is not a name and is left out.
pub fn install_requests(argv: &[String]) -> Vec<PackageName> {
    let mut words: Vec<&str> = argv.iter().map(String::as_str).collect();
    // what only starts another program, and assignments before it
    loop {
        let first = words.first().copied().unwrap_or_default();
        let is_starter =
            matches!(base_name(first), "sudo" | "env" | "command" | "exec" | "nice" | "time");
        let is_assignment = first.contains('=') && !first.starts_with('-');
        let goes_on = is_starter || is_assignment;
        if words.is_empty() || !goes_on {
            break;
        }
        words.remove(0);
    }
    let mut words = words.into_iter();
    let Some(program) = words.next().map(base_name) else { return Vec::new() };
    let rest: Vec<&str> = words.collect();
    let (program, rest) = match (program, rest.as_slice()) {
        (python, ["-m", module, rest @ ..]) if python.starts_with("python") => (*module, rest),
        ("uv", ["pip", rest @ ..]) => ("pip", rest),
        ("uv", ["tool", rest @ ..]) => ("pipx", rest),
        ("corepack", [inner, rest @ ..]) => (*inner, rest),
        (program, rest) => (program, rest),
    };
    // `pip3.11`
    let program = if program.starts_with("pip3.") { "pip3" } else { program };
    let mut found = BTreeSet::new();
    for installer in INSTALLERS.iter().filter(|one| one.programs.contains(&program)) {
        found.extend(names(installer, program, rest));
    }
    found.into_iter().collect()
}

fn base_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

fn names(installer: &Installer, program: &str, words: &[&str]) -> Vec<PackageName> {
    let mut words = words.iter().copied().peekable();
    // `yarn global add`, `npm --silent install`
    if !installer.verbs.is_empty() {
        loop {
            let Some(word) = words.next() else { return Vec::new() };
            if installer.verbs.contains(&word) {
                break;
            }
            if installer.valued.contains(&word) {
                words.next();
            } else if !word.starts_with('-') && word != "global" && word != "workspace" {
                // a workspace's name stands before the verb
                if program != "yarn" {
                    return Vec::new();
                }
            }
        }
    }
    let one_only = installer.verbs.is_empty() && installer.ecosystem == Ecosystem::Npm;
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        if word == "--git" || word == "--path" {
            return Vec::new();
        }
        if let Some(package) =
            word.strip_prefix("--package=").or_else(|| word.strip_prefix("--spec="))
        {
            found.extend(name(installer.ecosystem, package));
        } else if word == "--package" || word == "-p" && one_only {
            found.extend(words.next().and_then(|word| name(installer.ecosystem, word)));
        } else if installer.valued.contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            found.extend(name(installer.ecosystem, word));
            if one_only {
                break;
            }
        }
    }
    found
}

/// The name in one word, without version and extras; none for paths and addresses.
fn name(ecosystem: Ecosystem, word: &str) -> Option<PackageName> {
    let word = word.trim_matches(['"', '\'']);
    let is_place = word.starts_with(['.', '/', '~'])
        || word.contains("://")
        || word.starts_with("git+")
        || word.starts_with("git@")
        || word.starts_with("file:")
        || word.ends_with(".whl")
        || word.ends_with(".tgz")
        || word.ends_with(".tar.gz");
    if is_place || word.is_empty() {
        return None;
    }
    let text = match ecosystem {
        Ecosystem::Npm => {
            let word = match word.split_once("@npm:") {
                Some((_, target)) => target,
                None => word.strip_prefix("npm:").unwrap_or(word),
            };
            let scope = usize::from(word.starts_with('@'));
            let end = word
                .char_indices()
                .skip(scope)
                .find(|(_, c)| *c == '@')
                .map_or(word.len(), |(at, _)| at);
            let name = word.get(..end)?;
            // `user/repository` is GitHub's
            if !name.starts_with('@') && name.contains('/') || name.contains(':') {
                return None;
            }
            name
        }
        Ecosystem::Pypi => word.split(['=', '<', '>', '!', '~', '[', ';', '@', ' ', '^']).next()?,
        Ecosystem::Cargo => word.split('@').next()?.split('/').next()?,
        Ecosystem::Go => {
            let name = word.split('@').next()?;
            if !name.split('/').next()?.contains('.') {
                return None;
            }
            name.trim_end_matches("/...")
        }
        Ecosystem::Maven => word,
    };
    (!text.is_empty()).then(|| PackageName::new(ecosystem, text))
}

/// What is to be said of the names that a command installs. Only `policy`, `index` and `now` of
/// the inputs are looked at. Blocks as long as the index does.
pub fn judge_install(argv: &[String], inputs: &Inputs<'_>) -> InstallVerdict {
    let (mut deny, mut ask, mut unknown) = (Vec::new(), Vec::new(), None);
    for name in install_requests(argv) {
        if !name.ecosystem.accepts(&name.name) {
            deny.push(format!(
                "`{}` can't be a package of {}",
                crate::package::shown(&name.name),
                name.ecosystem
            ));
            continue;
        }
        let verdict = judge_name(inputs, &name, true);
        for (rule, message) in verdict.found {
            match rule.text().decides {
                Decides::Block => deny.push(message),
                Decides::Ask => ask.push(message),
            }
        }
        unknown = unknown.or(verdict.unknown);
    }
    match (deny.is_empty(), unknown, ask.is_empty()) {
        (false, ..) => InstallVerdict::Deny(deny),
        (true, Some(reason), _) => InstallVerdict::Unknown(reason),
        (true, None, false) => InstallVerdict::Ask(ask),
        (true, None, true) => InstallVerdict::Fine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_a_command_installs_are_seen() {
        for (line, expected) in [
            ("npm install lodash@4 @babel/core@^7 --save-dev", "npm:@babel/core npm:lodash"),
            ("npm i -w app left-pad", "npm:left-pad"),
            ("npm install", ""),
            ("npm ci", ""),
            ("npm install ./local git+https://x/y.git user/repo", ""),
            ("npm install alias@npm:real@1", "npm:real"),
            ("npm run install", ""),
            ("npx create-react-app my-app", "npm:create-react-app"),
            ("npx -p typescript tsc", "npm:tsc npm:typescript"),
            ("pnpm add react", "npm:react"),
            ("yarn add a b", "npm:a npm:b"),
            ("yarn workspace app add a", "npm:a"),
            (
                "pip install -r requirements.txt Flask==2.0 'requests[socks]>=2'",
                "pypi:flask pypi:requests",
            ),
            ("/usr/bin/python3 -m pip install -U zope_interface", "pypi:zope-interface"),
            ("env X=1 pip3.11 install evil", "pypi:evil"),
            ("uv add httpx", "pypi:httpx"),
            ("uv pip install httpx", "pypi:httpx"),
            ("poetry add pendulum@^2 --group dev", "pypi:pendulum"),
            ("cargo add serde_json --features std", "cargo:serde-json"),
            ("cargo install ripgrep@13", "cargo:ripgrep"),
            ("cargo add --git https://x/y z", ""),
            ("cargo build", ""),
            ("go get github.com/gorilla/mux@v1.8.0", "go:github.com/gorilla/mux"),
            ("go run ./cmd/x", ""),
            ("go test ./...", ""),
            ("ls pip install x", ""),
            ("", ""),
        ] {
            let argv: Vec<String> =
                line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
            let found: Vec<String> = install_requests(&argv)
                .iter()
                .map(|one| format!("{}:{}", one.ecosystem, one.name))
                .collect();
            let mut expected: Vec<&str> =
                expected.split(' ').filter(|one| !one.is_empty()).collect();
            let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
            expected.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, expected, "{line}");
        }
    }
}
