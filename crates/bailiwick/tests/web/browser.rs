//! In a real browser. `cargo xtask test` installs what it takes and says where it is; without it
//! these tests say aloud that they were skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::Site;

/// Where the browser's driver was installed.
pub(super) fn tools() -> Option<PathBuf> {
    let tools = std::env::var_os("BAILIWICK_WEB_TOOLS").map(PathBuf::from);
    if tools.is_none() {
        eprintln!("SKIPPED: no browser here; `cargo xtask test` installs one");
    }
    tools
}

/// Runs a journey against a server; it fails with what the browser saw.
#[track_caller]
pub(super) fn journey(name: &str, tools: &Path, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web/journeys").join(name);
    let output = Command::new("node")
        .arg(script)
        .args(arguments)
        .env("BAILIWICK_WEB_TOOLS", tools)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    eprintln!("{said}");
}

#[test]
fn a_task_is_given_watched_reviewed_by_keyboard_and_merged() {
    let Some(tools) = tools() else { return };
    let site = Site::new(true);
    let serve = site.serve();
    site.import(&serve);
    let base = format!("http://{}", serve.address);
    journey(
        "developer.mjs",
        &tools,
        &[&base, &serve.sign_in, &site.generated.name, &site.generated.task],
    );
    drop(serve);
    let ledger = site.bench.verified_ledger();
    assert_eq!(ledger.facts("merged").len(), 1);
}
