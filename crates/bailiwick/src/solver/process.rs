//! A solver as a process of its own that speaks SMT-LIB: started, tried out, ended.
//!
//! It is believed no more than it must be: how much it may say is bounded, who waits for it has a
//! deadline, and before it is asked anything it has to answer two questions whose answers are
//! known, so that a program that says the same to everything proves nothing.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use cedar_policy_symcc::SmtLibScript as _;
use cedar_policy_symcc::solver::{Decision, DecisionWithModel, Solver, SolverError};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Take};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// What a Python that has the package `cvc5` runs: the package has the library and no program.
const SCRIPT: &str = include_str!("cvc5.py");

/// How much a solver may say in its life.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// A solver that runs.
#[derive(Debug)]
pub(super) struct Process {
    // kept for its end: it is killed when this is dropped
    _child: Child,
    input: ChildStdin,
    output: BufReader<Take<ChildStdout>>,
}

impl Process {
    /// Starts the program and tries it out. Gives the process and what it calls itself.
    pub(super) async fn start(program: &Path) -> Result<(Self, String), SolverError> {
        let mut command = Command::new(program);
        if is_python(program) {
            command.args(["-I", "-c", SCRIPT]);
        } else {
            command.args(["--lang", "smt"]);
        }
        let mut child = command
            // nothing of this process's secrets is its business
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(SolverError::Solver("it has no input or output".to_owned()));
        };
        let output = BufReader::new(output.take(MOST_BYTES));
        let mut process = Self { _child: child, input, output };
        let name = process.identity().await?;
        Ok((process, name))
    }

    /// Its name and version, once it has told true from false.
    async fn identity(&mut self) -> Result<String, SolverError> {
        self.input.write_all(b"(get-info :name)\n(get-info :version)\n").await?;
        self.input.flush().await?;
        let (name, version) = (self.line().await?, self.line().await?);
        let word = |line: &str, key: &str| {
            let inner = line.trim().strip_prefix(key)?.strip_suffix(')')?;
            Some(inner.trim().trim_matches('"').to_owned())
        };
        let known = word(&name, "(:name").filter(|name| name == "cvc5");
        let (Some(name), Some(version)) = (known, word(&version, "(:version")) else {
            let said = name.chars().take(80).collect::<String>();
            return Err(SolverError::Solver(format!("it is not cvc5: it says `{}`", said.trim())));
        };
        self.input.set_logic("ALL").await?;
        let first = self.check_sat().await?;
        self.input.assert("false").await?;
        let second = self.check_sat().await?;
        self.input.reset().await?;
        if (first, second) != (Decision::Sat, Decision::Unsat) {
            return Err(SolverError::Solver("it does not tell true from false".to_owned()));
        }
        Ok(format!("{name} {}", version.trim_end_matches("-modified")))
    }

    async fn line(&mut self) -> Result<String, SolverError> {
        let mut line = String::new();
        if self.output.read_line(&mut line).await? == 0 {
            return Err(SolverError::Solver("it ended, or said too much".to_owned()));
        }
        Ok(line)
    }
}

/// Whether the program is a Python, which is given the script.
fn is_python(program: &Path) -> bool {
    program
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with("python"))
}

/// The program `cvc5` where programs usually are.
pub(super) fn usual() -> Option<PathBuf> {
    ["/usr/local/bin/cvc5", "/usr/bin/cvc5", "/opt/cvc5/bin/cvc5"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
}

impl Solver for Process {
    fn smtlib_input(&mut self) -> &mut (dyn tokio::io::AsyncWrite + Unpin + Send) {
        &mut self.input
    }

    async fn enable_models(&mut self) -> Result<(), SolverError> {
        Ok(self.input.set_option("produce-models", "true").await?)
    }

    async fn check_sat(&mut self) -> Result<Decision, SolverError> {
        self.input.check_sat().await?;
        self.input.flush().await?;
        let line = self.line().await?;
        match line.trim() {
            "sat" => Ok(Decision::Sat),
            "unsat" => Ok(Decision::Unsat),
            "unknown" => Ok(Decision::Unknown),
            other => {
                let said = other.chars().take(200).collect();
                Err(SolverError::UnrecognizedSolverOutput(said))
            }
        }
    }

    async fn check_sat_with_model(&mut self) -> Result<DecisionWithModel, SolverError> {
        match self.check_sat().await? {
            Decision::Unsat => return Ok(DecisionWithModel::Unsat),
            Decision::Unknown => return Ok(DecisionWithModel::Unknown),
            Decision::Sat => {}
        }
        self.input.get_model().await?;
        self.input.flush().await?;
        let mut model = self.line().await?;
        if model.trim() != "(" {
            let said = model.chars().take(200).collect();
            return Err(SolverError::UnrecognizedSolverOutput(said));
        }
        loop {
            let line = self.line().await?;
            model.push_str(&line);
            if line.trim() == ")" {
                return Ok(DecisionWithModel::Sat { model });
            }
        }
    }
}
