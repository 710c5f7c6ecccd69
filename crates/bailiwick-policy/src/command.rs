//! What a command would do, read from its text before it runs.
//!
//! Policy speaks of *effects* (runs, writes, connects), not of text, because text can be written
//! in endless ways. The analysis answers one question: is everything that decides what runs, and
//! where output goes, in the text itself? If not, the command is *undecidable* and says why. It is
//! never the boundary (the cage is): it is there to be right early, and to explain. What project
//! code does once `cargo test` or `make` runs it is not its business.

mod agreement;
mod archive;
mod awk;
mod build;
mod dev_tools;
mod effect;
mod environment;
mod git;
mod interpreter;
mod limits;
mod options;
mod packages;
mod program;
mod secrets;
mod sed;
mod shell;
mod table;
mod text_tools;
mod word;

use std::collections::BTreeSet;

use bailiwick_model::action::Command;

pub use effect::Effect;
pub use limits::{MAX_COMMANDS, MAX_DEPTH, MAX_TEXT_BYTES};

use self::word::Value;

/// What stands in the place of an argument that is only known at run time.
pub const UNKNOWN_WORD: &str = "?";

/// What a command would do, as far as its text says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Programs it starts: by name when found through the search path or in a directory of the
    /// system, as written when it is another path outside the workspace.
    pub programs: BTreeSet<String>,
    /// Tool and sub-command, such as `git push` or `npm install`.
    pub operations: BTreeSet<String>,
    /// Programs of the workspace, by their path from its root.
    pub scripts: BTreeSet<String>,
    /// What is written: a path from the workspace root, or an absolute one.
    pub writes: BTreeSet<String>,
    /// What of it is removed.
    pub deletes: BTreeSet<String>,
    /// What is given other permissions or another owner.
    pub permissions: BTreeSet<String>,
    /// Files that redirections read.
    pub reads: BTreeSet<String>,
    /// Files that by their names hold secrets, and that a program is given.
    pub secrets: BTreeSet<String>,
    /// Programs, sub-commands and devices that connect somewhere, or could.
    pub connects: BTreeSet<String>,
    /// Whether an interpreter gets code in the command itself.
    pub inline_code: bool,
    /// Whether other rights are asked for.
    pub privileged: bool,
    /// Every program that it starts, with its arguments; one that is only known at run time is
    /// [`UNKNOWN_WORD`].
    pub invocations: BTreeSet<Vec<String>>,
    /// Why it cannot be judged; empty when it can.
    pub undecidable: BTreeSet<String>,
    /// Paths that are written if a name turns out to be a directory.
    pub(crate) may_write: BTreeSet<String>,
}

impl Effects {
    /// Whether a path that only people change is written, or may be.
    pub fn writes_protected(&self) -> bool {
        self.writes.iter().chain(&self.may_write).any(|path| {
            // what a pattern matches in scratch space is nobody's instruction
            word::may_be_protected(path) && !(path.starts_with("/tmp/") && path.ends_with("/*"))
        })
    }

    /// Every written path that is neither scratch space nor build output.
    pub fn lasting_writes(&self) -> impl Iterator<Item = &str> {
        self.writes.iter().map(String::as_str).filter(|path| {
            !table::SCRATCH.contains(path)
                && !path.starts_with("/tmp/")
                && (path.starts_with('/') || !crate::path::is_build_output(path))
        })
    }

    fn doubt(&mut self, why: impl Into<String>) {
        self.undecidable.insert(why.into());
    }
}

/// Reads a command's effects: shell text is parsed, an argument list is taken as it is.
pub fn analyse(command: &Command) -> Effects {
    let mut analysis = Analysis::new(command.cwd.as_str());
    for (name, value) in &command.env {
        analysis.assign(name, &Value::Known(value.clone()));
    }
    analysis.argv(&command.argv.iter().cloned().map(Value::Known).collect::<Vec<_>>());
    analysis.finish()
}

/// Reads the effects of shell text that starts at the workspace root.
pub fn analyse_shell(text: &str) -> Effects {
    let mut analysis = Analysis::new(".");
    analysis.script(text);
    analysis.finish()
}

/// The state of one analysis.
#[derive(Debug)]
struct Analysis {
    effects: Effects,
    /// Directories the shell may be in, from the workspace root; none when it is not known.
    cwds: Option<BTreeSet<String>>,
    /// Simple commands seen so far.
    commands: usize,
    /// How deep this text is nested in others.
    depth: usize,
    /// Functions defined where nothing can skip the definition.
    functions: BTreeSet<String>,
    /// Functions that are defined only if something else goes well.
    may_be_function: BTreeSet<String>,
    /// Whether a change of directory was seen.
    moved: bool,
    /// Whether a function changes the directory, so that after any call it is not known.
    lost: bool,
    /// Whether a variable was given text that is code to `make`.
    code_in_variables: bool,
    /// Whether what is being read runs for certain and in this shell.
    certain: bool,
    /// Variables that hold a number, and those that hold anything else.
    numbers: BTreeSet<String>,
    texts: BTreeSet<String>,
    /// Variables whose value is evaluated as arithmetic.
    evaluated: BTreeSet<String>,
    /// Command substitutions in the text that is being read, those in others left out.
    substitutions: Vec<String>,
}

impl Analysis {
    fn new(cwd: &str) -> Self {
        Self {
            effects: Effects::default(),
            cwds: Some(BTreeSet::from([cwd.to_owned()])),
            commands: 0,
            depth: 0,
            functions: BTreeSet::new(),
            may_be_function: BTreeSet::new(),
            moved: false,
            lost: false,
            code_in_variables: false,
            certain: true,
            numbers: BTreeSet::new(),
            texts: BTreeSet::new(),
            evaluated: BTreeSet::new(),
            substitutions: Vec::new(),
        }
    }

    fn finish(mut self) -> Effects {
        let builds = ["make", "gmake", "ninja", "cmake", "cargo", "npm", "tox"];
        if self.code_in_variables && builds.iter().any(|name| self.effects.programs.contains(*name))
        {
            self.effects.doubt("a variable holds code, and a program that is started may run it");
        }
        // Bash evaluates the *content* of a variable in arithmetic, subscripts with their command
        // substitutions included; so only variables that were given numbers here are harmless.
        for name in &self.evaluated {
            if self.texts.contains(name) || !self.numbers.contains(name) {
                self.effects
                    .undecidable
                    .insert(format!("arithmetic evaluates the content of `{name}`"));
            }
        }
        self.effects
    }

    fn doubt(&mut self, why: impl Into<String>) {
        self.effects.doubt(why);
    }
}
