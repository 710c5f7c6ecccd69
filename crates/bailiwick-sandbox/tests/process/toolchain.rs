//! Compilers inside, and nothing secret beside them.

use super::office::{Office, place, tier};

#[tokio::test]
async fn a_rust_project_is_built_and_tested_offline() {
    let (keep, _) = place();
    let office = Office::open(|cage| cage.scratch = Some(keep.path().join("scratch"))).await;
    for (name, content) in [
        ("Cargo.toml", "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
        (
            "src/lib.rs",
            "pub fn add(a: u8, b: u8) -> u8 { a + b }\n#[test] fn adds() { assert_eq!(add(2, 2), 4); }\n",
        ),
    ] {
        office.write(name, super::office::whole(content)).await.unwrap();
    }
    let version = office.shell("rustc --version && command -v rustc cargo").await;
    assert!(version.succeeded(), "{}", version.output_text());
    let test = office.shell("cargo test --lib").await;
    assert!(
        test.succeeded() && test.stdout_text().contains("test adds ... ok"),
        "{}",
        test.output_text()
    );
    // What the build makes is no part of the workspace.
    assert_eq!(office.shell("ls").await.stdout_text(), "Cargo.lock\nCargo.toml\nsrc\n");
    let broken = "pub fn add(a: u8, b: u8) -> u8 { a - b }\n#[test] fn adds() { assert_eq!(add(2, 2), 4); }\n";
    office.write("src/lib.rs", super::office::whole(broken)).await.unwrap();
    assert!(!office.shell("cargo test --lib").await.succeeded());
}

#[tokio::test]
async fn no_credentials_are_beside_the_toolchains() {
    let office = Office::open(|_| ()).await;
    let outcome = office.shell("find / -xdev -name 'credentials*' -path '*cargo*' 2>/dev/null; ls -a ~ ~/.cargo 2>/dev/null").await;
    let text = outcome.stdout_text();
    for name in ["credentials", ".npmrc", ".netrc", ".gitconfig", ".ssh", ".docker", "config.toml"]
    {
        assert!(!text.contains(name), "{text}");
    }
    // Control: the cache that lies beside the credentials is there.
    for cache in &tier_caches() {
        assert!(office.shell(&format!("test -d {cache}")).await.succeeded());
        assert!(!office.shell(&format!("touch {cache}/x")).await.succeeded());
    }
}

fn tier_caches() -> Vec<String> {
    let _tier = tier();
    bailiwick_sandbox::toolchains::discover()
        .caches
        .iter()
        .map(|mount| mount.target.display().to_string())
        .collect()
}
