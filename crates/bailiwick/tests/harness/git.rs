//! Git, from outside.

use std::path::Path;
use std::process::{Command, Output};

/// Runs git in a directory and gives its output, whatever it is.
pub(crate) fn try_git(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    command
        .args(["-c", "user.name=Somebody", "-c", "user.email=somebody@example.invalid"])
        .args([
            "-c",
            "commit.gpgsign=false",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .unwrap()
}

/// Runs git, which must succeed, and gives what it printed without the last line's end.
#[track_caller]
pub(crate) fn git(dir: &Path, arguments: &[&str]) -> String {
    let output = try_git(dir, arguments);
    assert!(
        output.status.success(),
        "git {} in {}: {}",
        arguments.join(" "),
        dir.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Makes a repository of these files with one commit on `main`.
pub(crate) fn make_repository(at: &Path, files: &[(String, String)]) {
    std::fs::create_dir_all(at).unwrap();
    git(at, &["init", "--quiet"]);
    commit(at, files, "Begin");
}

/// Writes files and commits them.
pub(crate) fn commit(at: &Path, files: &[(String, String)], message: &str) {
    for (path, text) in files {
        let path = at.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    git(at, &["add", "--all"]);
    git(at, &["commit", "--quiet", "--message", message]);
}

/// Clones a repository and checks a commit out.
pub(crate) fn check_out(from: &Path, commit: &str, to: &Path) {
    let parent = to.parent().unwrap();
    git(parent, &["clone", "--quiet", from.to_str().unwrap(), to.to_str().unwrap()]);
    git(to, &["checkout", "--quiet", "--detach", commit]);
}

/// The commits from `base` (without it) to `tip`, oldest first.
pub(crate) fn commits(repo: &Path, base: &str, tip: &str) -> Vec<String> {
    let range = format!("{base}..{tip}");
    git(repo, &["rev-list", "--reverse", "--topo-order", &range])
        .lines()
        .map(str::to_owned)
        .collect()
}

pub(crate) fn parents(repo: &Path, commit: &str) -> Vec<String> {
    let line = git(repo, &["rev-list", "--parents", "-n", "1", commit]);
    line.split(' ').skip(1).map(str::to_owned).collect()
}

/// The values of a trailer of a commit, read by git itself.
pub(crate) fn trailer(repo: &Path, commit: &str, key: &str) -> Vec<String> {
    let format = format!("--format=%(trailers:key={key},valueonly)");
    let text = git(repo, &["log", "-1", &format, commit]);
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The public key that signed a commit (`ssh-ed25519 AAAA…`), after `ssh-keygen` said, where there
/// is one, that the signature is good for exactly this commit.
#[track_caller]
pub(crate) fn signer(repo: &Path, commit: &str) -> String {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let text = git(repo, &["cat-file", "commit", commit]);
    let signature = text.split_once("\ngpgsig -----BEGIN SSH SIGNATURE-----\n");
    let (_, signature) =
        signature.unwrap_or_else(|| panic!("commit {commit} is not signed:\n{text}"));
    let armour: String =
        signature.lines().map(str::trim).take_while(|line| !line.starts_with("-----END")).collect();
    let blob = base64.decode(armour).unwrap();
    // PROTOCOL.sshsig: "SSHSIG", version, then the public key as a string.
    assert_eq!(&blob[..6], b"SSHSIG", "commit {commit}");
    let length = usize::try_from(u32::from_be_bytes(blob[10..14].try_into().unwrap())).unwrap();
    let key = format!("ssh-ed25519 {}", base64.encode(&blob[14..14 + length]));
    if Command::new("ssh-keygen").arg("-?").output().is_ok() {
        let allowed = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(allowed.path(), format!("* {key}\n")).unwrap();
        let setting = format!("gpg.ssh.allowedSignersFile={}", allowed.path().display());
        git(repo, &["-c", "gpg.format=ssh", "-c", &setting, "verify-commit", commit]);
    }
    key
}

/// Runs `cargo test` in a directory without network, with a target directory of its own. Says
/// whether it succeeded, and what it printed.
pub(crate) fn cargo_test(dir: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        // What cargo tells the test that runs this is not about the crate under test.
        if name.starts_with("CARGO_") && name != "CARGO_HOME" || name.starts_with("RUSTFLAGS") {
            command.env_remove(name.as_ref());
        }
    }
    let output = command
        .args(["test", "--quiet", "--offline"])
        .args(arguments)
        .arg("--target-dir")
        .arg(dir.join("target"))
        .current_dir(dir)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}
