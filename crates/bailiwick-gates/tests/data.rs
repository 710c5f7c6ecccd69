//! Runs every file in `fixtures/`: a new file is a new test.

#[cfg(test)]
mod tests {
    use bailiwick_gates::runner::TestOutput;
    use bailiwick_gates::{
        CommandResult, Detection, ProjectFiles, RunResult, TestCommand, detect, judge,
    };
    use bailiwick_model::outcome::Ended;
    use bailiwick_model::path::WorkPath;
    use bailiwick_model::payload::Payload;
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    fn fixtures(kind: &str) -> Vec<(String, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(kind);
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let read = |path: PathBuf| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        };
        paths.into_iter().map(read).collect()
    }

    fn report(differences: &[String]) {
        assert!(differences.is_empty(), "\n{}", differences.join("\n"));
    }

    /// Files `exit`, `counts` (passed failed ignored), `failed` (each), `state`, `---`, the output.
    #[test]
    fn runner_output() {
        let fixtures = fixtures("runners");
        assert!(fixtures.len() > 30);
        let mut differences = Vec::new();
        for (name, content) in fixtures {
            let (head, output) = content.split_once("\n---\n").unwrap();
            let field = |key: &str| -> Vec<&str> {
                head.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).collect()
            };
            let parsed = TestOutput::parse(output);
            let counts = parsed.counts.map_or_else(
                || "unknown".to_owned(),
                |counts| format!("{} {} {}", counts.passed, counts.failed, counts.ignored),
            );
            let failed: Vec<&str> = parsed.failed.iter().map(String::as_str).collect();
            let code: i32 = field("exit")[0].parse().unwrap();
            let run = Ok(RunResult::new(&CommandResult {
                ended: Ended::Exit { code },
                output: Payload::from(output),
                dropped_bytes: 0,
                duration_ms: 1,
            }));
            let judged = judge(&command(), &run.clone(), &run);
            let state = format!("{:?}", judged.state).to_lowercase();
            let actual = (vec![counts.as_str()], failed, vec![state.as_str()]);
            let expected = (field("counts"), field("failed"), field("state"));
            if actual != expected {
                differences
                    .push(format!("{name}:\n  {actual:?}\n  {expected:?}\n  {}", judged.summary));
            }
        }
        report(&differences);
    }

    fn command() -> TestCommand {
        TestCommand {
            command: "the tests".to_owned(),
            directory: WorkPath::root(),
            timeout_ms: 1000,
            because: String::new(),
        }
    }

    #[test]
    fn detection() {
        #[derive(serde::Deserialize)]
        struct Case {
            expected: Vec<String>,
            files: BTreeMap<String, String>,
        }
        let fixtures = fixtures("detection");
        assert!(fixtures.len() > 20);
        let mut differences = Vec::new();
        for (name, content) in fixtures {
            let case: Case = toml::from_str(&content).unwrap();
            let files =
                ProjectFiles { paths: case.files.keys().cloned().collect(), contents: case.files };
            let actual: Vec<String> = match detect(&files) {
                Detection::Found(commands) => commands
                    .iter()
                    .map(|found| format!("{}: {}", found.directory, found.command))
                    .collect(),
                Detection::Nothing => Vec::new(),
                Detection::TooMany { directories } => vec![format!("too many: {directories}")],
            };
            if actual != case.expected {
                differences.push(format!("{name}: {actual:?}, not {:?}", case.expected));
            }
        }
        report(&differences);
    }

    /// Lines `PATH = CLASS CLASS`.
    #[test]
    fn path_classes() {
        let mut differences = Vec::new();
        for (_, content) in fixtures("paths") {
            for line in content.lines().filter(|line| !line.starts_with('#')) {
                let (path, expected) = line.split_once(" =").unwrap();
                let classes = bailiwick_gates::path_class::classify(path);
                let names: Vec<&str> = classes.iter().map(|class| class.as_str()).collect();
                if names.join(" ") != expected.trim() {
                    differences.push(format!("{path}: {names:?}, not{expected}"));
                }
            }
        }
        report(&differences);
    }
}
