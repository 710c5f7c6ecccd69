//! The file of the signing key.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use bailiwick_ledger::{LogKey, LogKeyError};

use crate::support::key;

#[test]
fn a_saved_key_loads_and_only_its_owner_can_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.key");
    key().save(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(LogKey::load(&path).unwrap().verifier(), key().verifier());
    for mode in [0o640, 0o604, 0o620, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = LogKey::load(&path).unwrap_err();
        assert!(matches!(error, LogKeyError::Exposed { .. }), "{mode:o}: {error}");
        assert!(error.hint().is_some());
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    LogKey::load(&path).unwrap();
}

#[test]
fn a_key_is_never_written_over_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.key");
    key().save(&path).unwrap();
    let before = fs::read(&path).unwrap();
    let other = LogKey::from_seed("example.com/other".parse().unwrap(), &[9; 32]);
    assert!(matches!(other.save(&path).unwrap_err(), LogKeyError::Io { .. }));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_changed_key_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.key");
    key().save(&path).unwrap();
    let text = fs::read(&path).unwrap();
    for at in 0..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        let error = LogKey::load(&path).unwrap_err();
        assert!(matches!(error, LogKeyError::Malformed { .. }), "byte {at}: {error}");
    }
    assert!(matches!(LogKey::load(dir.path()).unwrap_err(), LogKeyError::NotAFile { .. }));
}

#[test]
fn the_secret_is_not_printed() {
    let key = LogKey::from_seed("example.com/ledger".parse().unwrap(), &[0x41; 32]);
    let dir = tempfile::tempdir().unwrap();
    key.save(&dir.path().join("key")).unwrap();
    let secret = fs::read_to_string(dir.path().join("key")).unwrap();
    let secret = secret.trim_end().rsplit('+').next().unwrap().to_owned();
    let shown = format!("{key:?} {key:#?}");
    assert!(shown.contains(&key.verifier().to_string()));
    assert!(!shown.contains(&secret) && !shown.contains("65, 65"), "{shown}");
}
