//! What all gates that read content cost on a change of a thousand lines in a repository of a
//! million: `cargo bench -p bailiwick --bench gates`.
//!
//! The repository is made anew each time, the same but for its dates: 5,000 files in six languages
//! that import each other, lock files of five ecosystems with 600 packages each, 200 manifests, a
//! history of forty commits. The change touches 20 files, lock files and a workflow among them. `bailiwick gate run --base REV` judges the working
//! tree, as a person or a pipeline would run it.
//!
//! Prints wall-clock and processor time (user and system, git's included), the median of five, for
//! all gates together and for each by itself. What no gate can do without (finding the repository,
//! the tree of the working directory, reading the change) is in each of the latter.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

const FILES: usize = 5_000;
const LINES_EACH: usize = 200;
const COMMITS: usize = 40;
const RUNS: usize = 5;
const DAY: u64 = 86_400;
/// Entries of each lock file.
const PACKAGES: usize = 600;
/// Members of the workspaces of Cargo and npm, each with a manifest of its own.
const PARTS: usize = 100;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn say(line: &str) {
    println!("{line}");
}

fn main() -> Result<()> {
    // `cargo test --benches` only wants to see that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let root = directory.path();
    let lines = make(root)?;
    change(root)?;
    let stat = git(root, &["diff", "--shortstat", "HEAD~1"], 0)?;
    say(&format!("{lines} lines in {FILES} source files; the change:{}", stat.trim_end()));

    let gates = gate_names(root)?;
    say(&format!("{:<16} {:>12} {:>20}", "gates", "wall-clock", "processor time"));
    row("all", root, &[])?;
    for gate in &gates {
        row(gate, root, &["--gate", gate])?;
    }
    Ok(())
}

fn row(name: &str, root: &Path, more: &[&str]) -> Result<()> {
    let mut taken = Vec::new();
    for _ in 0..RUNS {
        taken.push(run(root, more)?);
    }
    let median = |of: fn(&(Duration, Duration)) -> Duration| {
        let mut all: Vec<Duration> = taken.iter().map(of).collect();
        all.sort();
        all.get(RUNS / 2).map_or(0, Duration::as_millis)
    };
    let (wall, processor) = (median(|(wall, _)| *wall), median(|(_, processor)| *processor));
    say(&format!("{name:<16} {wall:>9} ms {processor:>17} ms"));
    Ok(())
}

/// One run: wall-clock time, and processor time of the program and all that it started.
fn run(root: &Path, more: &[&str]) -> Result<(Duration, Duration)> {
    let before = children_time()?;
    let started = Instant::now();
    let reports = judged(root, more)?;
    let wall = started.elapsed();
    // a gate that gave up is fast for the wrong reason
    ensure!(!reports.is_empty(), "no gate was run with {more:?}");
    for report in reports {
        ensure!(text_of(&report, "state")? != "inconclusive", "a gate did not judge: {report}");
    }
    Ok((wall, children_time()?.saturating_sub(before)))
}

/// The reports of the gates that run.
fn judged(root: &Path, more: &[&str]) -> Result<Vec<serde_json::Value>> {
    let output = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
        .args(["--json", "gate", "run", "--base", "HEAD~1", "--repo"])
        .arg(root)
        .args(more)
        .stdin(Stdio::null())
        .output()?;
    let told = || String::from_utf8_lossy(&output.stderr).into_owned();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).with_context(told)?;
    let reports = said.get("reports").and_then(serde_json::Value::as_array);
    reports.cloned().with_context(told)
}

fn text_of(report: &serde_json::Value, key: &str) -> Result<String> {
    let text = report.get(key).and_then(serde_json::Value::as_str);
    Ok(text.with_context(|| format!("no `{key}` in {report}"))?.to_owned())
}

/// The gates that run unless others are named: tests and mutants are not among them.
fn gate_names(root: &Path) -> Result<Vec<String>> {
    judged(root, &[])?.iter().map(|report| text_of(report, "gate")).collect()
}

/// Processor time of all processes that were waited for.
fn children_time() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit(')').next().unwrap_or_default();
    // user and system time of children are the 16th and 17th field, in ticks of 10 ms
    let fields = after.split_whitespace().skip(13).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

fn git(root: &Path, arguments: &[&str], days_ago: u64) -> Result<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let date = format!("{} +0000", now.saturating_sub(days_ago * DAY));
    let output = Command::new("git")
        .args(["-c", "user.name=Bench", "-c", "user.email=bench@example.org"])
        .args(["-c", "gc.auto=0", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(root)
        .env("GIT_AUTHOR_DATE", &date)
        .env("GIT_COMMITTER_DATE", &date)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()?;
    if !output.status.success() {
        bail!("git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn commit(root: &Path, message: &str, days_ago: u64) -> Result<()> {
    git(root, &["add", "--all"], days_ago)?;
    git(root, &["commit", "--quiet", "-m", message], days_ago)?;
    Ok(())
}

/// Makes the repository, with the state before the change as its last commit.
fn make(root: &Path) -> Result<usize> {
    git(root, &["init", "--quiet"], 0)?;
    let mut lines = 0;
    for number in 0..FILES {
        let text = source(number);
        lines += text.lines().count();
        write(root, &path(number), &text)?;
    }
    for (name, text) in lock_files(0) {
        write(root, name, &text)?;
    }
    for (name, text) in manifests() {
        write(root, &name, &text)?;
    }
    write(root, ".github/workflows/ci.yml", &workflow("test"))?;
    write(root, "README.md", "# A shop\n\nIt sells.\n")?;
    commit(root, "Everything", 90)?;
    for number in 0..COMMITS {
        for file in 0..10 {
            let file = (number * 131 + file * 7) % FILES;
            append(root, file, &function(file, 10_000 + number))?;
        }
        let days_ago = u64::try_from(COMMITS - number).unwrap_or(0) * 2;
        commit(root, &format!("Change {number}"), days_ago)?;
    }
    git(root, &["gc", "--quiet"], 0)?;
    Ok(lines)
}

/// A thousand lines in twenty files.
fn change(root: &Path) -> Result<()> {
    for number in 0..14 {
        let file = number * 353 % FILES;
        let path = root.join(path(file));
        let text = fs::read_to_string(&path)?;
        // some lines are written anew, and a few functions come
        let mut text = text.replace("+ 7", "+ 8");
        for more in 0..3 {
            text.push_str(&function(file, 20_000 + number * 10 + more));
        }
        fs::write(&path, text)?;
    }
    for file in [FILES, FILES + 1] {
        write(root, &path(file), &source(file))?;
    }
    for (name, text) in lock_files(1) {
        if matches!(name, "Cargo.lock" | "package-lock.json") {
            write(root, name, &text)?;
        }
    }
    write(root, ".github/workflows/ci.yml", &workflow("check"))?;
    write(root, "README.md", "# A shop\n\nIt sells, and it buys.\n")?;
    commit(root, "Count more carefully", 0)
}

fn write(root: &Path, name: &str, text: &str) -> Result<()> {
    let path = root.join(name);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, text).with_context(|| path.display().to_string())
}

fn append(root: &Path, file: usize, text: &str) -> Result<()> {
    let path = root.join(path(file));
    let before = fs::read_to_string(&path)?;
    Ok(fs::write(&path, before + text)?)
}

const LANGUAGES: [&str; 6] = ["rs", "py", "ts", "go", "java", "cs"];

fn language(file: usize) -> &'static str {
    LANGUAGES.get(file % LANGUAGES.len()).copied().unwrap_or("rs")
}

fn path(file: usize) -> String {
    format!("src/area{}/part{}/module_{file}.{}", file % 25, file % 200, language(file))
}

const WORDS: [&str; 16] = [
    "order", "price", "stock", "customer", "address", "parcel", "invoice", "basket", "voucher",
    "refund", "supplier", "shelf", "margin", "season", "label", "receipt",
];

/// Numbers that look arbitrary and are the same each time.
fn mixed(a: usize, b: usize) -> usize {
    (a.wrapping_mul(2_654_435_761) ^ b.wrapping_mul(40_503)).wrapping_mul(2_246_822_519) >> 7
}

fn word(a: usize, b: usize) -> &'static str {
    WORDS.get(mixed(a, b) % WORDS.len()).copied().unwrap_or("order")
}

fn source(file: usize) -> String {
    let mut text = head(file);
    let mut number = 0;
    while text.lines().count() < LINES_EACH {
        text.push_str(&function(file, number));
        number += 1;
    }
    text
}

/// What a file begins with: imports of others.
fn head(file: usize) -> String {
    let mut text = String::new();
    for other in 1..=3 {
        let other = (file + FILES - other * 6) % FILES;
        let path = path(other);
        let stem = path.rsplit_once('.').map_or(path.as_str(), |(stem, _)| stem);
        text.push_str(&match language(file) {
            "py" => format!("from {} import make_{other}\n", stem.replace('/', ".")),
            "ts" => format!("import {{ make{other} }} from \"../../../{stem}\";\n"),
            "rs" => format!("use crate::{};\n", stem.replace('/', "::")),
            "java" => format!("import {}.Module{other};\n", stem.replace('/', ".")),
            "cs" => format!("using Shop.Area{};\n", other % 25),
            _ => String::new(),
        });
    }
    match language(file) {
        "go" => format!("package part{}\n\nimport (\n\t\"fmt\"\n\t\"strings\"\n)\n\n", file % 200),
        _ => text + "\n",
    }
}

/// A function of about ten lines.
fn function(file: usize, number: usize) -> String {
    let (a, b, c) = (word(file, number), word(number, file + 1), word(file + 2, number));
    let (x, y) = (mixed(file, number) % 90 + 10, mixed(number, file) % 9 + 2);
    let name = format!("{a}_{b}_{number}");
    match language(file) {
        "py" => format!(
            "def {name}({c}s, limit={x}):\n    \"\"\"The {a} of each {c}, up to a limit.\"\"\"\n    total = 0\n    \
             for {c} in {c}s:\n        if {c}.{b} > limit:\n            continue\n        \
             total += {c}.{b} * {y} + 7\n    return total\n\n\n"
        ),
        "ts" => format!(
            "/** The {a} of each {c}, up to a limit. */\nexport function {a}{b}{number}({c}s: {{ {b}: number }}[], limit = {x}): number {{\n  \
             let total = 0;\n  for (const {c} of {c}s) {{\n    if ({c}.{b} > limit) {{\n      continue;\n    }}\n    \
             total += {c}.{b} * {y} + 7;\n  }}\n  return total;\n}}\n\n"
        ),
        "go" => format!(
            "// {a}{b}{number} is the {a} of each {c}, up to a limit.\nfunc {a}{b}{number}({c}s []int, limit int) string {{\n\ttotal := {x}\n\t\
             for _, {c} := range {c}s {{\n\t\tif {c} > limit {{\n\t\t\tcontinue\n\t\t}}\n\t\ttotal += {c}*{y} + 7\n\t}}\n\t\
             return strings.TrimSpace(fmt.Sprint(total))\n}}\n\n"
        ),
        "java" => format!(
            "/** The {a} of each {c}. */\nclass {a}{b}{file}x{number} {{\n    int count(int[] {c}s, int limit) {{\n        int total = {x};\n        \
             for (int {c} : {c}s) {{\n            if ({c} > limit) {{\n                continue;\n            }}\n            \
             total += {c} * {y} + 7;\n        }}\n        return total;\n    }}\n}}\n\n"
        ),
        "cs" => format!(
            "/// <summary>The {a} of each {c}.</summary>\npublic static class {a}{b}{file}x{number}\n{{\n    public static int Count(int[] {c}s, int limit)\n    {{\n        \
             var total = {x};\n        foreach (var {c} in {c}s)\n        {{\n            if ({c} > limit) continue;\n            \
             total += {c} * {y} + 7;\n        }}\n        return total;\n    }}\n}}\n\n"
        ),
        _ => format!(
            "/// The {a} of each {c}, up to a limit.\npub fn {name}({c}s: &[u64], limit: u64) -> u64 {{\n    let mut total = {x};\n    \
             for {c} in {c}s {{\n        if *{c} > limit {{\n            continue;\n        }}\n        total += {c} * {y} + 7;\n    }}\n    \
             total\n}}\n\n"
        ),
    }
}

fn workflow(job: &str) -> String {
    format!(
        "on: push\npermissions:\n  contents: read\njobs:\n  {job}:\n    runs-on: ubuntu-latest\n    steps:\n      - run: make {job}\n"
    )
}

fn packages() -> impl Iterator<Item = String> {
    (0..PACKAGES).map(|package| format!("{}-{package}", word(package, 5)))
}

/// The project's own manifests: one for each lock file, and those of its parts.
fn manifests() -> Vec<(String, String)> {
    let (mut cargo, mut npm) = (String::new(), Vec::new());
    let (mut go, mut poetry, mut gradle) = (String::new(), String::new(), String::new());
    for (package, name) in packages().enumerate() {
        let version = format!("1.{}.0", package % 30);
        cargo.push_str(&format!("{name} = \"{version}\"\n"));
        npm.push(format!("    \"{name}\": \"^{version}\""));
        go.push_str(&format!("require example.org/{name} v{version}\n"));
        poetry.push_str(&format!("{name} = \"^{version}\"\n"));
        gradle.push_str(&format!("    implementation(\"org.example:{name}:{version}\")\n"));
    }
    let npm = npm.join(",\n");
    let mut all = vec![
        (
            "Cargo.toml".to_owned(),
            format!(
                "[workspace]\nmembers = [\"crates/*\"]\n\n[package]\nname = \"shop\"\nversion = \"1.0.0\"\n\n[dependencies]\n{cargo}"
            ),
        ),
        (
            "package.json".to_owned(),
            format!(
                "{{\n  \"name\": \"shop\",\n  \"version\": \"1.0.0\",\n  \"workspaces\": [\"packages/*\"],\n  \"dependencies\": {{\n{npm}\n  }}\n}}\n"
            ),
        ),
        ("go.mod".to_owned(), format!("module example.org/shop\n\ngo 1.22\n\n{go}")),
        (
            "pyproject.toml".to_owned(),
            format!(
                "[tool.poetry]\nname = \"shop\"\nversion = \"1.0.0\"\n\n[tool.poetry.dependencies]\n{poetry}"
            ),
        ),
        ("build.gradle.kts".to_owned(), format!("dependencies {{\n{gradle}}}\n")),
    ];
    for part in 0..PARTS {
        all.push((
            format!("crates/part-{part}/Cargo.toml"),
            format!("[package]\nname = \"part-{part}\"\nversion = \"1.0.0\"\n"),
        ));
        all.push((
            format!("packages/part-{part}/package.json"),
            format!("{{\"name\": \"part-{part}\", \"version\": \"1.0.0\"}}\n"),
        ));
    }
    all
}

/// Lock files; with `bump` one package of each has another version.
fn lock_files(bump: usize) -> Vec<(&'static str, String)> {
    let version = |package: usize| {
        let last = if package == 17 { bump } else { 0 };
        format!("1.{}.{last}", package % 30)
    };
    let names: Vec<String> = packages().collect();
    let listed = |indent: &str| {
        let lines = names.iter().map(|name| format!("{indent}\"{name}\""));
        lines.collect::<Vec<_>>().join(",\n")
    };
    let mut cargo = format!(
        "version = 4\n\n[[package]]\nname = \"shop\"\nversion = \"1.0.0\"\ndependencies = [\n{},\n]\n",
        listed(" ")
    );
    let wanted = names
        .iter()
        .enumerate()
        .map(|(package, name)| format!("        \"{name}\": \"^1.{}.0\"", package % 30));
    let wanted = wanted.collect::<Vec<_>>().join(",\n");
    let mut npm = format!(
        "{{\n  \"name\": \"shop\",\n  \"version\": \"1.0.0\",\n  \"lockfileVersion\": 3,\n  \"requires\": true,\n  \"packages\": {{\n    \"\": {{\n      \"name\": \"shop\",\n      \"version\": \"1.0.0\",\n      \"workspaces\": [\"packages/*\"],\n      \"dependencies\": {{\n{wanted}\n      }}\n    }}"
    );
    for part in 0..PARTS {
        cargo.push_str(&format!("\n[[package]]\nname = \"part-{part}\"\nversion = \"1.0.0\"\n"));
        npm.push_str(&format!(
            ",\n    \"packages/part-{part}\": {{\n      \"version\": \"1.0.0\"\n    }},\n    \"node_modules/part-{part}\": {{\n      \"resolved\": \"packages/part-{part}\",\n      \"link\": true\n    }}"
        ));
    }
    let (mut go, mut poetry, mut gradle) = (String::new(), String::new(), String::new());
    for (package, name) in names.iter().enumerate() {
        let version = version(package);
        let hash = |length: usize| {
            let mut hash = String::new();
            let seed = package * 31 + usize::from(version.ends_with(".1"));
            for at in 0..length {
                let digit = u32::try_from(mixed(seed, at) % 16).unwrap_or(0);
                hash.extend(char::from_digit(digit, 16));
            }
            hash
        };
        cargo.push_str(&format!(
            "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{}\"\n",
            hash(64)
        ));
        npm.push_str(&format!(
            ",\n    \"node_modules/{name}\": {{\n      \"version\": \"{version}\",\n      \"resolved\": \"https://registry.npmjs.org/{name}/-/{name}-{version}.tgz\",\n      \"integrity\": \"sha512-{}==\"\n    }}",
            hash(86)
        ));
        go.push_str(&format!(
            "example.org/{name} v{version} h1:{}=\nexample.org/{name} v{version}/go.mod h1:{}=\n",
            hash(43),
            hash(43)
        ));
        poetry.push_str(&format!(
            "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\ndescription = \"\"\noptional = false\npython-versions = \"*\"\nfiles = [\n    {{file = \"{name}-{version}.tar.gz\", hash = \"sha256:{}\"}},\n]\n\n",
            hash(64)
        ));
        gradle.push_str(&format!("org.example:{name}:{version}=runtimeClasspath\n"));
    }
    npm.push_str("\n  }\n}\n");
    poetry.push_str(
        "[metadata]\nlock-version = \"2.0\"\npython-versions = \"^3.11\"\ncontent-hash = \"0\"\n",
    );
    vec![
        ("Cargo.lock", cargo),
        ("package-lock.json", npm),
        ("go.sum", go),
        ("poetry.lock", poetry),
        ("gradle.lockfile", gradle),
    ]
}
