//! Test runners, linters, formatters, linkers and virtual machines: what their options write or
//! load, as a table.

use super::Analysis;
use super::options::{Known, Part};
use super::word::Value;

/// What happens to the files that are named as operands.
#[derive(Clone, Copy)]
enum Files {
    /// They are read, or run as code of the project.
    Read,
    /// They are rewritten, unless one of these options is given.
    RewrittenUnless(&'static [&'static str]),
    /// They are rewritten if one of these options is given.
    RewrittenIf(&'static [&'static str]),
}

const NONE: Known = Known { starts: &[], writes: &[], values: &[], cut_short: false };

fn tool(name: &str) -> (Known, Files) {
    let read = |starts, writes| (Known { starts, writes, ..NONE }, Files::Read);
    match name {
        "pytest" => read(
            &["--pastebin*", "--pdbcls*", "--override-ini*", "-o*"],
            &[
                "--junitxml",
                "--junit-xml",
                "--basetemp",
                "--log-file",
                "--debug",
                "--report-log",
                "--html",
                "--json-report-file",
            ],
        ),
        "mypy" => (
            Known {
                starts: &["--install-types", "--python-executable", "--cache-map"],
                writes: &[
                    "--junit-xml",
                    "--cache-dir",
                    "--any-exprs-report",
                    "--cobertura-xml-report",
                    "--html-report",
                    "--linecount-report",
                    "--linecoverage-report",
                    "--lineprecision-report",
                    "--txt-report",
                    "--xml-report",
                    "--xslt-html-report",
                    "--xslt-txt-report",
                ],
                values: &["-p", "-m", "-c"],
                cut_short: true,
            },
            Files::Read,
        ),
        "ruff" => (
            Known {
                starts: &["server", "clean"],
                writes: &["--output-file", "-o", "--cache-dir"],
                ..NONE
            },
            Files::RewrittenIf(&["--fix", "--fix-only", "--add-noqa", "--unsafe-fixes"]),
        ),
        "black" => (
            Known { values: &["-l", "-t"], ..NONE },
            Files::RewrittenUnless(&["--check", "--diff", "--version", "-c", "--code"]),
        ),
        "isort" => (
            NONE,
            Files::RewrittenUnless(&[
                "--check",
                "--check-only",
                "-c",
                "--diff",
                "-d",
                "--stdout",
                "--version",
            ]),
        ),
        "flake8" => (
            Known { starts: &["--tee"], writes: &["--output-file"], cut_short: true, values: &[] },
            Files::Read,
        ),
        "tox" => (
            Known {
                starts: &[
                    "-x",
                    "--override",
                    "exec",
                    "devenv",
                    "quickstart",
                    "--runner",
                    "--discover",
                ],
                writes: &["--workdir", "--result-json", "--temp-dir"],
                values: &["-e", "-f", "-m"],
                cut_short: true,
            },
            Files::Read,
        ),
        "tsc" => read(
            &["--init", "-init"],
            &[
                "--outFile",
                "--outDir",
                "--declarationDir",
                "--tsBuildInfoFile",
                "--generateTrace",
                "--generateCpuProfile",
                "--out",
                "-outFile",
                "-outDir",
                "-declarationDir",
                "-tsBuildInfoFile",
                "--outfile",
                "--outdir",
            ],
        ),
        "eslint" => (
            Known {
                starts: &["--init", "--parser", "--resolve-plugins-relative-to"],
                writes: &["-o", "--output-file", "--cache-location", "--cache-file"],
                values: &["-c", "-f"],
                cut_short: false,
            },
            Files::RewrittenIf(&["--fix"]),
        ),
        "prettier" => (
            Known { writes: &["--cache-location"], ..NONE },
            Files::RewrittenIf(&["--write", "-w"]),
        ),
        "jest" | "vitest" | "mocha" => read(
            &["--init", "--browser*"],
            &[
                "--outputFile",
                "--coverageDirectory",
                "--cacheDirectory",
                "--coverage.reportsDirectory",
                "-O",
                "--reporter-option",
                "--reporter-options",
                "--outputFile.junit",
                "--outputFile.json",
            ],
        ),
        "rspec" => (
            Known {
                starts: &["--drb*"],
                writes: &["-o", "--out"],
                values: &["-e", "-f", "-r", "-t"],
                cut_short: true,
            },
            Files::Read,
        ),
        "rake" => (Known { starts: &["-e*", "-p*", "-E*", "--execute*"], ..NONE }, Files::Read),
        "java" => read(
            &[
                "-XX:On*",
                "-XX:Flags*",
                "-XX:VMOptions*",
                "-XX:LogFile*",
                "-XX:HeapDumpPath*",
                "-XX:ErrorFile*",
                "-agent*",
                "-javaagent*",
                "-Xrun*",
                "-Xbootclasspath*",
                "-Xlog*",
                "-XX:SharedArchive*",
                "-XX:Archive*",
                "-XX:StartFlightRecording*",
                "-XX:+FlagsFinal*",
            ],
            &[],
        ),
        "javac" => read(&["-J*", "-processor*", "--processor*", "-Xplugin*"], &["-d", "-s", "-h"]),
        "gofmt" => (
            Known { writes: &["-cpuprofile"], values: &["-r"], ..NONE },
            Files::RewrittenIf(&["-w"]),
        ),
        "ld" => read(
            &["-plugin*", "--plugin*", "-T*", "--script*", "-c*", "-dT*"],
            &["-o", "--output", "-Map", "--Map", "--dependency-file", "--out-implib"],
        ),
        "nm" | "objdump" => read(&["--plugin*"], &[]),
        _ => (NONE, Files::Read),
    }
}

/// Programs of the table. Their code comes from the project; what comes from elsewhere does not.
pub(super) const NAMES: [&str; 21] = [
    "pytest", "mypy", "ruff", "black", "isort", "flake8", "tox", "tsc", "eslint", "prettier",
    "jest", "vitest", "mocha", "rspec", "rake", "java", "javac", "gofmt", "ld", "nm", "objdump",
];

impl Analysis {
    pub(super) fn dev_tool(&mut self, name: &str, args: &[Value]) {
        let (known, files) = tool(name);
        let mut operands = Vec::new();
        let mut options = Vec::new();
        for part in known.read(args) {
            match part {
                Part::Starts(text) if name == "pytest" && text == "-o" => {}
                Part::Starts(text) => {
                    self.doubt(format!("`{name} {text}` starts a program, loads code, or writes where the text does not say"));
                }
                Part::Writes(Some(value)) => self.writes(&value),
                Part::Writes(None) => {
                    self.doubt(format!("which file `{name}` writes is only known at run time"));
                }
                Part::Option(text) => {
                    let value = text.split_once('=').map(|(_, value)| value.to_owned());
                    if value
                        .as_deref()
                        .is_some_and(|value| self.leads_out(value) || value.starts_with('{'))
                    {
                        self.doubt(format!(
                            "`{name}` is told to use what lies outside of the workspace"
                        ));
                    }
                    options.push(text);
                }
                Part::Value(value) => {
                    if value.text().is_some_and(|text| self.leads_out(text)) {
                        self.doubt(format!(
                            "`{name}` is told to use what lies outside of the workspace"
                        ));
                    }
                }
                Part::Operand(value) => operands.push(value),
                Part::Unclear(value) => {
                    self.doubt(format!("an option of `{name}` may only be known at run time"));
                    operands.push(value);
                }
            }
        }
        for text in operands.iter().filter_map(Value::text).map(str::to_owned).collect::<Vec<_>>() {
            if self.leads_out(&text) || text.starts_with(['@', '{']) {
                self.doubt(format!("`{name}` is told to use what lies outside of the workspace"));
            }
            if name == "pytest"
                && text.contains('=')
                && (text.contains("--") || text.contains("file") || text.contains("dir"))
            {
                self.doubt("a setting of `pytest` writes or loads what the text does not say");
            }
        }
        let given = |flags: &[&str]| {
            options.iter().any(|text| flags.contains(&text.split('=').next().unwrap_or_default()))
        };
        let rewritten = match files {
            Files::Read => false,
            Files::RewrittenUnless(flags) => !given(flags),
            Files::RewrittenIf(flags) => {
                given(flags)
                    || name == "ruff"
                        && operands.first().is_some_and(|word| word.known() == Some("format"))
                        && !given(&["--check", "--diff"])
            }
        };
        if rewritten {
            let skipped = usize::from(name == "ruff");
            operands.iter().skip(skipped).for_each(|operand| self.writes(operand));
            if operands.len() <= skipped {
                self.writes(&Value::Known(".".to_owned()));
            }
        }
        if name == "ruff"
            && operands.first().is_some_and(|word| matches!(word.known(), Some("server" | "clean")))
        {
            self.doubt("this command of `ruff` is not known");
        }
        if name == "tox"
            && operands.iter().any(|word| {
                matches!(word.known(), Some("exec" | "e" | "devenv" | "d" | "quickstart" | "q"))
            })
        {
            self.doubt("this command of `tox` runs what it is given");
        }
    }

    /// `mvn` and `gradle` take goals and properties that do anything: only what tests and builds.
    pub(super) fn java_build(&mut self, name: &str, args: &[Value]) {
        const OPTIONS: [&str; 31] = [
            "-q",
            "-o",
            "-B",
            "-X",
            "-e",
            "-am",
            "-amd",
            "-fae",
            "-ff",
            "-fn",
            "-ntp",
            "-U",
            "--quiet",
            "--offline",
            "--batch-mode",
            "--errors",
            "--also-make",
            "--no-transfer-progress",
            "--version",
            "-v",
            "--no-daemon",
            "--info",
            "--stacktrace",
            "--debug",
            "--console=plain",
            "--continue",
            "--parallel",
            "--rerun-tasks",
            "--build-cache",
            "--warning-mode=all",
            "-i",
        ];
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            rest = after;
            let Some(text) = arg.known() else {
                return self.doubt(format!("what `{name}` does is only known at run time"));
            };
            if OPTIONS.contains(&text) {
                continue;
            }
            if matches!(
                text,
                "-pl" | "--projects" | "-T" | "--threads" | "-x" | "--exclude-task" | "--tests"
            ) {
                rest = after.get(1..).unwrap_or(&[]);
                continue;
            }
            let known = if text.starts_with('-') {
                let (property, value) = text.split_once('=').unwrap_or((text, ""));
                [
                    "-DskipTests",
                    "-Dtest",
                    "-Dit.test",
                    "-DfailIfNoTests",
                    "-Dmaven.test.skip",
                    "-Dsurefire.failIfNoSpecifiedTests",
                ]
                .contains(&property)
                    && !value.contains(['/', '$'])
            } else {
                let goal = text.rsplit(':').next().unwrap_or(text);
                let plain = name == "gradle" || !text.contains(':');
                plain
                    && ([
                        "clean", "validate", "compile", "verify", "package", "check", "build",
                        "assemble", "classes",
                    ]
                    .contains(&goal)
                        || goal.to_ascii_lowercase().contains("test")
                        || goal.starts_with("compile"))
            };
            if !known {
                self.doubt(format!("what `{name} {text}` does is not known"));
            }
        }
    }

    /// `ar` writes the archive, or files beside it.
    pub(super) fn ar(&mut self, args: &[Value]) {
        let letters =
            args.first().and_then(Value::known).unwrap_or("-M").trim_start_matches('-').to_owned();
        if letters.contains('M')
            || letters.contains('-')
            || letters.is_empty()
            || args.iter().any(|arg| {
                arg.known().is_none_or(|text| text.starts_with("--") || text.starts_with('@'))
            })
        {
            return self.doubt("what `ar` does is not known");
        }
        if letters.contains('x') {
            self.writes(&Value::Known("./*".to_owned()));
        }
        let at =
            1 + usize::from(letters.contains(['a', 'b', 'i'])) + usize::from(letters.contains('N'));
        if letters.contains(['r', 'q', 'd', 'm', 's'])
            && let Some(file) = args.get(at)
        {
            self.writes(file);
        }
    }

    /// Whether a path is outside of the workspace and of what the system brings along.
    pub(super) fn leads_out(&self, path: &str) -> bool {
        let part = path.split("::").next().unwrap_or(path);
        if !part.starts_with('/')
            && !part.split('/').any(|part| part == "..")
            && !part.starts_with('~')
        {
            return false;
        }
        part != "/dev/null"
            && self
                .places(part)
                .is_none_or(|places| places.iter().any(|place| place.starts_with('/')))
    }
}
