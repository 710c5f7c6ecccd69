//! The parsers: they read what they write, nothing else, and never panic.

use bailiwick_ledger::{
    Checkpoint, CheckpointError, EntryProof, Hash, LogKey, LogName, Note, NoteSignature, Record,
    Salt, TreeHead, VerifierKey,
};
use proptest::prelude::*;

use crate::support::key;

/// The example of the specification of signed notes, whose key is that of `sumdb/note`'s tests.
const PETER_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fn name() -> impl Strategy<Value = LogName> {
    "[a-z0-9./é-]{1,30}".prop_map(|name| name.parse().unwrap())
}

fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint::new(key().verifier(), TreeHead { size, root: Hash::of(b"root") })
}

#[test]
fn a_published_key_of_another_implementation_reads_back() {
    let parsed: VerifierKey = PETER_KEY.parse().unwrap();
    assert_eq!(parsed.to_string(), PETER_KEY);
    assert_eq!(parsed.name().as_str(), "PeterNeumann");
}

#[test]
fn a_key_in_any_other_spelling_is_refused() {
    let valid = PETER_KEY;
    assert!(valid.parse::<VerifierKey>().is_ok());
    for wrong in [
        "".to_owned(),
        format!("{valid}\n"),
        format!(" {valid}"),
        format!("{valid}="),
        valid.replace("c74f", "C74F"),
        valid.replace("c74f", "c74e"),
        valid.replace("Peter", "peter"),
        valid.replace("+c74f20a3", ""),
        // The same 32 bytes, but trailing bits that must be zero.
        valid.replace("+ARpc", "+ABpc"),
        format!("Peter+Neumann{}", valid.strip_prefix("PeterNeumann").unwrap()),
    ] {
        assert!(wrong.parse::<VerifierKey>().is_err(), "{wrong}");
    }
}

#[test]
fn a_key_that_anybody_can_sign_for_is_refused() {
    // The neutral element of the curve, under a key id that belongs to it.
    let text = "weak+d0d39cd7+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(text.parse::<VerifierKey>().unwrap_err(), bailiwick_ledger::KeyError::NotEd25519);
}

#[test]
fn a_checkpoint_in_any_other_spelling_is_refused() {
    let key = key();
    let note = checkpoint(12).sign(&key);
    assert_eq!(Checkpoint::open(&note, key.verifier()), Ok(checkpoint(12)));
    for wrong in [
        note.replace("\n12\n", "\n012\n"),
        note.replace("\n12\n", "\n+12\n"),
        note.replace("\n12\n", "\n12 \n"),
        note.replace("\n12\n", "\n-1\n"),
        note.replace('\n', "\r\n"),
        note.replace("=\n\n", "=\nextension\n\n"),
        note.replace("=\n\n", "\n\n"),
        note.replace("\n\n", "\n"),
        note.replace('\u{2014}', "-"),
        note.trim_end().to_owned(),
        format!("{note}\n"),
        format!("\n{note}"),
        format!("{note}{}", "\u{2014} other AAAA\n"),
    ] {
        assert_ne!(wrong, note);
        assert!(Checkpoint::open(&wrong, key.verifier()).is_err(), "{wrong:?}");
    }
}

#[test]
fn signatures_of_witnesses_are_ignored_and_a_wrong_own_one_refuses_the_note() {
    let key = key();
    let mut note = Note::parse(&checkpoint(3).sign(&key)).unwrap();
    let witness = NoteSignature {
        name: "witness.example".parse().unwrap(),
        key_id: [1, 2, 3, 4],
        signature: vec![5; 72],
    };
    note.signatures.push(witness);
    assert_eq!(Checkpoint::open(&note.to_text(), key.verifier()), Ok(checkpoint(3)));

    let mut forged = note.signatures[0].clone();
    forged.signature[0] ^= 1;
    note.signatures.push(forged);
    let error = Checkpoint::open(&note.to_text(), key.verifier()).unwrap_err();
    assert!(matches!(error, CheckpointError::Signature { .. }), "{error}");
}

#[test]
fn a_checkpoint_by_another_key_or_of_another_ledger_is_refused() {
    let (key, name) = (key(), "example.com/ledger");
    let other = LogKey::from_seed(name.parse().unwrap(), &[8; 32]);
    let error = Checkpoint::open(&checkpoint(3).sign(&other), key.verifier()).unwrap_err();
    assert!(matches!(error, CheckpointError::Unsigned { .. }), "{error}");

    let mut foreign = checkpoint(3);
    foreign.origin = "example.com/other".parse().unwrap();
    let error = Checkpoint::open(&foreign.sign(&key), key.verifier()).unwrap_err();
    assert!(matches!(error, CheckpointError::Origin { .. }), "{error}");
}

#[test]
fn a_line_that_no_record_writes_is_refused() {
    let salt = "00112233445566778899aabbccddeeff";
    let valid = format!("{salt} {{\"a\":1}}");
    assert_eq!(Record::from_line(valid.as_bytes()).unwrap().to_line(), valid.as_bytes());
    for wrong in [
        String::new(),
        salt.to_owned(),
        format!("{salt} "),
        format!("{salt}{{}}"),
        format!("{salt}\t{{}}"),
        format!("{} {{}}", salt.to_uppercase()),
        format!("{} {{}}", salt.strip_prefix("00").unwrap()),
        format!("{salt} {{\n}}"),
        format!("{salt} {{}}\r"),
        format!("{salt} {{}} {{}}"),
        format!("{salt} plain text"),
        format!("{salt} {}", "[".repeat(100_000)),
    ] {
        assert!(Record::from_line(wrong.as_bytes()).is_err(), "{wrong:.80}");
    }
}

#[test]
fn the_leaf_commits_to_salt_and_payload_as_documented() {
    let record = Record { salt: Salt::from_bytes([0xab; 16]), payload: b"{}".to_vec() };
    let committed = Hash::of(&[b"bailiwick leaf v1\n".as_slice(), &[0xab; 16], b"{}"].concat());
    assert_eq!(record.leaf().as_bytes()[0], 1);
    assert_eq!(record.leaf().as_bytes()[1..], committed.as_bytes()[..]);
    assert_eq!(record.leaf().hash(), Hash::of_leaf(record.leaf().as_bytes()));
}

proptest! {
    #[test]
    fn keys_read_back(name in name(), seed: [u8; 32]) {
        let key = LogKey::from_seed(name, &seed).verifier().clone();
        prop_assert_eq!(key.to_string().parse::<VerifierKey>(), Ok(key));
    }

    #[test]
    fn checkpoints_read_back(name in name(), seed: [u8; 32], size: u64, root: [u8; 32]) {
        let key = LogKey::from_seed(name, &seed);
        let head = TreeHead { size, root: Hash::from_bytes(root) };
        let checkpoint = Checkpoint::new(key.verifier(), head);
        let note = checkpoint.sign(&key);
        prop_assert_eq!(Note::parse(&note).unwrap().to_text(), note.as_str());
        prop_assert_eq!(Checkpoint::open(&note, key.verifier()), Ok(checkpoint));
    }

    #[test]
    fn whatever_parses_is_canonical(text in "(?s).{0,200}") {
        if let Ok(key) = text.parse::<VerifierKey>() {
            prop_assert_eq!(key.to_string(), text.clone());
        }
        if let Ok(note) = Note::parse(&text) {
            prop_assert_eq!(note.to_text(), text.clone());
        }
        if let Ok(record) = Record::from_line(text.as_bytes()) {
            prop_assert_eq!(record.to_line(), text.clone().into_bytes());
        }
        prop_assert!(Checkpoint::open(&text, key().verifier()).is_err());
        prop_assert!(EntryProof::from_json(&text).is_err());
    }

    #[test]
    fn notes_that_are_nearly_right_are_canonical_or_refused(
        text in "[a-z0-9=\n]{0,20}", blank in "\n{0,3}", mark in "\u{2014}? ?", name in "[a-z+]{0,3} ?",
        base64 in "[A-Za-d+/=]{0,12}", end in "\n?",
    ) {
        let note = format!("{text}{blank}{mark}{name}{base64}{end}");
        if let Ok(parsed) = Note::parse(&note) {
            prop_assert_eq!(parsed.to_text(), note);
        }
    }

    #[test]
    fn any_changed_byte_of_a_checkpoint_is_refused(at: prop::sample::Index, bit in 0..8_u8) {
        let key = key();
        let mut note = checkpoint(77).sign(&key).into_bytes();
        let at = at.index(note.len());
        note[at] ^= 1 << bit;
        if let Ok(note) = String::from_utf8(note) {
            prop_assert!(Checkpoint::open(&note, key.verifier()).is_err());
        }
    }

    #[test]
    fn any_changed_byte_of_a_key_is_refused(at: prop::sample::Index, bit in 0..8_u8) {
        let mut text = key().verifier().to_string().into_bytes();
        let at = at.index(text.len());
        text[at] ^= 1 << bit;
        if let Ok(text) = String::from_utf8(text) {
            prop_assert!(text.parse::<VerifierKey>().is_err());
        }
    }

    #[test]
    fn records_read_back(salt: [u8; 16], text: String) {
        let payload = serde_json::to_vec(&serde_json::json!({ "text": text })).unwrap();
        let record = Record { salt: Salt::from_bytes(salt), payload };
        prop_assert_eq!(Record::from_line(&record.to_line()).unwrap(), record);
    }

    #[test]
    fn arbitrary_lines_never_panic(bytes: Vec<u8>) {
        prop_assert!(Record::from_line(&bytes).is_err());
    }
}
