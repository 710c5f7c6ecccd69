//! Hostile cases, played on the real program. Written from docs/threat-model.md alone, without
//! knowledge of how anything is done. One file in tests/hostile/CLASS/ is one case.
//!
//! Each case has an attack, which has to fail for the reason that the file states, and a control:
//! the same in a permitted form, which has to succeed. After each the world is looked at from
//! outside: decoys on the host, listeners on loopback, the imported repository, secrets in any
//! output or record, the ledger.
//!
//! `HOSTILE_CASE=text` plays only the files whose name contains the text.

#[cfg(test)]
#[path = "hostile/case.rs"]
mod case;
#[cfg(test)]
#[path = "hostile/play.rs"]
mod play;
#[cfg(test)]
#[path = "hostile/world.rs"]
mod world;

#[cfg(test)]
mod classes {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::case::Case;
    use super::play::play;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile")
    }

    fn files(class: &str) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(root().join(class))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .collect();
        files.sort();
        files
    }

    fn check(class: &str) {
        let only = std::env::var("HOSTILE_CASE").unwrap_or_default();
        let mut report = Vec::new();
        for path in files(class) {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            if !name.contains(&only) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let case: Case =
                toml::from_str(&text).unwrap_or_else(|error| panic!("{class}/{name}: {error}"));
            let wrong = play(&case);
            if !wrong.is_empty() {
                report.push(format!("{class}/{name} ({})\n  {}", case.why, wrong.join("\n  ")));
            }
        }
        assert!(report.is_empty(), "{} cases:\n\n{}", report.len(), report.join("\n\n"));
    }

    macro_rules! classes {
        ($($class:ident),+ $(,)?) => {
            const CLASSES: &[&str] = &[$(stringify!($class)),+];
            $(#[test] fn $class() { check(stringify!($class)); })+
        };
    }

    classes!(
        api,
        approval,
        escape,
        exfiltration,
        git_plant,
        git_push,
        injection,
        ledger,
        lying,
        model_server,
        persistence,
        reading,
        resources,
        scope,
        tests_and_secrets,
    );

    #[test]
    fn every_directory_is_a_class_and_there_are_sixty_cases() {
        let directories: BTreeSet<String> = std::fs::read_dir(root())
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(directories, CLASSES.iter().map(|class| (*class).to_owned()).collect());
        assert!(CLASSES.iter().map(|class| files(class).len()).sum::<usize>() >= 60);
    }
}
