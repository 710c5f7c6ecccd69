//! Golden files: compared as text; written anew when `UPDATE_GOLDEN` is set.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(relative)
}

pub(crate) fn check(relative: &str, actual: &serde_json::Value) {
    let path = path(relative);
    // Whether maps in memory keep their order depends on who else is built; files are sorted.
    let sorted = bailiwick_model::chat::canonical_json(actual).unwrap();
    let actual: serde_json::Value = serde_json::from_str(&sorted).unwrap();
    let actual = format!("{}\n", serde_json::to_string_pretty(&actual).unwrap());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{relative} differs (UPDATE_GOLDEN=1 writes it anew)");
}
