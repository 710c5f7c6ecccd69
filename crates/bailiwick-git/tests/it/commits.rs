use bailiwick_git::{
    Ed25519Signer, GitError, NewCommit, Signature, SignatureState, Trailer, allowed_signers_line,
};
use std::fs;
use std::process::Command;

use crate::support::{Fixture, at, stock, who};

fn sample(fixture: &Fixture) -> NewCommit {
    NewCommit {
        tree: fixture.tree(&[("a", "1\n")]),
        parents: Vec::new(),
        author: who("ada", 0),
        committer: who("bot", 1),
        message: "fix: é\n\nwhy\n".to_owned(),
        trailers: vec![
            Trailer::new("Bailiwick-Task", "7").unwrap(),
            Trailer::parse("Model: scripted").unwrap(),
        ],
    }
}

#[test]
fn the_same_input_makes_the_same_commit() {
    let (one, two) = (Fixture::new(), Fixture::new());
    let signer = Ed25519Signer::new(&[3; 32]);
    let oid = one.git.write_commit(&sample(&one), Some(&signer)).unwrap();
    assert_eq!(two.git.write_commit(&sample(&two), Some(&signer)).unwrap(), oid);
    let commit = one.git.commit(&oid).unwrap();
    assert_eq!(commit.message, "fix: é\n\nwhy\n\nBailiwick-Task: 7\nModel: scripted\n");
    assert_eq!(commit.trailers("Model"), ["scripted"]);
}

#[test]
fn signatures_are_told_apart() {
    let fixture = Fixture::new();
    let signer = Ed25519Signer::new(&[3; 32]);
    let signed = fixture.git.write_commit(&sample(&fixture), Some(&signer)).unwrap();
    let plain = fixture.git.write_commit(&sample(&fixture), None).unwrap();
    let state = |oid, trusted: &[[u8; 32]]| fixture.git.signature_state(oid, trusted).unwrap();
    assert_eq!(state(&signed, &[signer.public_key()]), SignatureState::Trusted);
    assert_eq!(state(&signed, &[[9; 32]]), SignatureState::Untrusted);
    assert_eq!(state(&plain, &[signer.public_key()]), SignatureState::Unsigned);
}

#[test]
fn stock_git_accepts_the_signature_where_ssh_keygen_exists() {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        println!("ssh-keygen is not installed: the check against stock git was not made");
        return;
    }
    let fixture = Fixture::new();
    let signer = Ed25519Signer::new(&[3; 32]);
    let oid = fixture.git.write_commit(&sample(&fixture), Some(&signer)).unwrap();
    let file = fixture.path("allowed");
    let config = format!("gpg.ssh.allowedSignersFile={}", file.display());
    let verify = || stock(fixture.git.git_dir(), &["-c", &config, "verify-commit", oid.as_str()]);
    fs::write(&file, allowed_signers_line("bot@example.org", &signer.public_key())).unwrap();
    let (ok, text) = verify();
    assert!(ok && text.contains("Good \"git\" signature for bot@example.org"), "{text}");
    let other = Ed25519Signer::new(&[4; 32]);
    fs::write(&file, allowed_signers_line("bot@example.org", &other.public_key())).unwrap();
    assert!(!verify().0);
}

#[test]
fn nothing_can_be_smuggled_into_a_header() {
    for (name, email) in
        [("a\nparent x", "a@b"), ("a <x>", "a@b"), ("", "a@b"), ("a", "a>b"), ("a", "")]
    {
        assert!(Signature::new(name, email, at(0)).is_err(), "{name:?} {email:?}");
    }
    for line in ["no colon", ": x", "Key: a\nOther: b", "Bad key: x", "Key: ", "-k: v"] {
        assert!(Trailer::parse(line).is_err(), "{line:?}");
    }
    let fixture = Fixture::new();
    let new = NewCommit { message: "a\0b".to_owned(), ..sample(&fixture) };
    assert!(matches!(fixture.git.write_commit(&new, None), Err(GitError::Name(_))));
}
