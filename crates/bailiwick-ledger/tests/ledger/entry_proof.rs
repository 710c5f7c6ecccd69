//! One entry shown to an auditor.

use std::fs;

use bailiwick_ledger::{EntryProof, LogKey, ProveError, prove_entry};

use crate::support::{full_ledger, key, record};

#[test]
fn every_kind_of_place_can_be_proved() {
    let dir = tempfile::tempdir().unwrap();
    full_ledger(dir.path());
    for index in [1, 2, 254, 255, 256, 257, 511, 512, 513, 597, 599] {
        let proof = prove_entry(dir.path(), index).unwrap();
        let json = serde_json::to_string(&proof).unwrap();
        let read = EntryProof::from_json(&json).unwrap();
        assert_eq!(read, proof);
        let verified = read.verify(key().verifier()).unwrap();
        assert_eq!(verified.record, record(index));
        assert_eq!(verified.checkpoint.size, 600);
    }
    let error = prove_entry(dir.path(), 600).unwrap_err();
    assert!(matches!(error, ProveError::Proof { index: 600, .. }), "{error}");
}

#[test]
fn a_proof_with_anything_changed_does_not_hold() {
    let dir = tempfile::tempdir().unwrap();
    full_ledger(dir.path());
    let proof = prove_entry(dir.path(), 300 - 1).unwrap();
    let other = prove_entry(dir.path(), 1).unwrap();
    proof.verify(key().verifier()).unwrap();
    let refused = |changed: EntryProof| {
        assert_ne!(changed, proof);
        assert!(changed.verify(key().verifier()).is_err(), "{changed:?}");
    };
    refused(EntryProof { index: 298, ..proof.clone() });
    refused(EntryProof { size: 599, ..proof.clone() });
    refused(EntryProof { leaf: other.leaf, ..proof.clone() });
    refused(EntryProof { path: other.path.clone(), ..proof.clone() });
    refused(EntryProof { record: other.record.clone(), ..proof.clone() });
    refused(EntryProof { record: other.record.clone(), leaf: other.leaf, ..proof.clone() });
    refused(EntryProof { record: proof.record.replace("step", "stop"), ..proof.clone() });
    refused(EntryProof { record: format!("{}\n", proof.record), ..proof.clone() });
    refused(EntryProof { checkpoint: proof.checkpoint.replace("600", "599"), ..proof.clone() });
    let stranger = LogKey::from_seed("example.com/ledger".parse().unwrap(), &[8; 32]);
    assert!(proof.verify(stranger.verifier()).is_err());

    let mut json = serde_json::to_value(&proof).unwrap();
    json["more"] = 1.into();
    assert!(EntryProof::from_json(&json.to_string()).is_err());
}

#[test]
fn no_proof_is_made_from_damaged_files() {
    let dir = tempfile::tempdir().unwrap();
    full_ledger(dir.path());
    for file in ["events/000.jsonl", "tile/0/000", "tile/1/000.p/2", "checkpoint", "key.pub"] {
        let path = dir.path().join(file);
        let content = fs::read(&path).unwrap();
        let mut changed = content.clone();
        changed[40] ^= 1;
        fs::write(&path, changed).unwrap();
        assert!(prove_entry(dir.path(), 0).is_err(), "{file}");
        fs::remove_file(&path).unwrap();
        assert!(prove_entry(dir.path(), 0).is_err(), "{file}");
        fs::write(&path, content).unwrap();
    }
    prove_entry(dir.path(), 0).unwrap();
}
