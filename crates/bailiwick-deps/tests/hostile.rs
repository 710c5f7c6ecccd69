//! Whatever bytes a file has, reading it ends, in bounds, without a panic.

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use bailiwick_deps::{
        Advisories, FileKind, Files, Inputs, Policy, ReadError, SnapshotIndex, check, compare,
        install_requests, meets, parse_rows, read, sbom,
    };
    use proptest::prelude::*;

    /// A name for each kind of file.
    const NAMES: [&str; 21] = [
        "Cargo.toml",
        "Cargo.lock",
        ".cargo/config.toml",
        "package.json",
        "package-lock.json",
        ".npmrc",
        "pnpm-lock.yaml",
        "yarn.lock",
        ".yarnrc.yml",
        "requirements.txt",
        "pyproject.toml",
        "uv.lock",
        "poetry.lock",
        "Pipfile",
        "Pipfile.lock",
        "go.mod",
        "go.sum",
        "pom.xml",
        "build.gradle",
        "gradle.lockfile",
        "gradle/libs.versions.toml",
    ];

    fn judge(name: &str, bytes: &[u8]) {
        let base = Files::new();
        let head = Files::from([(name.to_owned(), bytes.to_vec())]);
        let inputs = Inputs {
            base: &base,
            head: &head,
            policy: &Policy::default(),
            advisories: None,
            index: None,
            now: jiff::Timestamp::UNIX_EPOCH,
            off: &BTreeSet::new(),
        };
        let report = check(&inputs);
        let unreadable = FileKind::of(name).is_some_and(|kind| read(kind, bytes).is_err());
        assert_eq!(
            unreadable,
            report.inconclusive.iter().any(|(_, why)| why.contains("can't be judged"))
        );
        let _bill = sbom(&head, "x", "y");
    }

    /// Every file of the fixtures, as a beginning for alterations.
    fn seeds() -> Vec<(String, Vec<u8>)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/projects");
        let mut all = Vec::new();
        for project in std::fs::read_dir(root).unwrap() {
            for file in std::fs::read_dir(project.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                all.push((name, std::fs::read(path).unwrap()));
            }
        }
        all.sort();
        all
    }

    #[test]
    fn every_kind_of_file_has_a_name_here() {
        let kinds: BTreeSet<FileKind> =
            NAMES.iter().filter_map(|name| FileKind::of(name)).collect();
        assert_eq!(kinds.len(), NAMES.len());
    }

    proptest! {
        #[test]
        fn any_bytes(at in 0..NAMES.len(), bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            judge(NAMES[at], &bytes);
        }

        #[test]
        fn any_text(at in 0..NAMES.len(), text in "[\\[\\]{}:=\",'@#/\\\\ \n\t<>!&*a-z0-9.^~-]{0,300}") {
            judge(NAMES[at], text.as_bytes());
        }

        /// True files, cut, with bytes exchanged, and parts of them twice.
        #[test]
        fn altered_files(
            seed in any::<prop::sample::Index>(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6),
        ) {
            let seeds = seeds();
            let (name, mut bytes) = seed.get(&seeds).clone();
            for (place, byte, how) in changes {
                let at = place.index(bytes.len().max(1));
                match how {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at.min(bytes.len()), byte),
                    2 => if let Some(there) = bytes.get_mut(at) { *there = byte },
                    _ => {
                        let part: Vec<u8> = bytes.iter().skip(at).take(60).copied().collect();
                        bytes.extend(part);
                    }
                }
            }
            judge(&name, &bytes);
        }

        #[test]
        fn any_versions(one in ".{0,20}", other in "[0-9a-zA-Z.!+_*^~<>=|, -]{0,24}") {
            for ecosystem in bailiwick_deps::Ecosystem::ALL {
                let forth = compare(ecosystem, &one, &other);
                let back = compare(ecosystem, &other, &one);
                prop_assert_eq!(forth, back.map(std::cmp::Ordering::reverse));
                let _met = meets(ecosystem, &other, &one);
                let _met = meets(ecosystem, &one, &other);
                let _like = bailiwick_deps::likenesses(ecosystem, &ecosystem.canonical(&one));
            }
        }

        #[test]
        fn any_command(words in prop::collection::vec("[a-z@/=.-]{0,12}", 0..6)) {
            let mut argv = vec!["npm".to_owned(), "install".to_owned()];
            argv.extend(words.clone());
            let _names = install_requests(&argv);
            let _names = install_requests(&words);
        }

        #[test]
        fn any_mirror_and_index(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
            let _added = Advisories::default().add(&bytes);
            let _added = Advisories::default().add(text.as_bytes());
            let _opened = SnapshotIndex::open(&bytes);
            let _rows = parse_rows(&text);
            let _policy = Policy::parse(&text);
        }
    }

    #[test]
    fn what_is_huge_or_grows_is_refused() {
        let kind = |name: &str| FileKind::of(name).unwrap();
        let large = vec![b' '; bailiwick_deps::MAX_BYTES + 1];
        for name in NAMES {
            assert!(matches!(read(kind(name), &large), Err(ReadError::TooLarge { .. })), "{name}");
        }
        for deep in ["[", "{\"a\":", "a: [", "- ", "{a: "] {
            let text = deep.repeat(200_000);
            for name in
                ["package-lock.json", "pnpm-lock.yaml", "yarn.lock", "Cargo.lock", "pom.xml"]
            {
                judge(name, text.as_bytes());
            }
        }
        judge("pom.xml", "<a>".repeat(300_000).as_bytes());
        judge(
            "Cargo.toml",
            format!("a = {}1{}", "[".repeat(50_000), "]".repeat(50_000)).as_bytes(),
        );
        let many = format!("{{\"packages\": [{}0]}}", "0,".repeat(3_000_000));
        let refused = read(kind("package-lock.json"), many.as_bytes());
        assert!(matches!(refused, Err(ReadError::TooMany { .. })), "{refused:?}");
        let bomb =
            "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nlockfileVersion: '9.0'\n";
        assert_eq!(read(kind("pnpm-lock.yaml"), bomb.as_bytes()), Err(ReadError::Reference));
        let laugh = "<!DOCTYPE l [<!ENTITY a \"x\"><!ENTITY b \"&a;&a;\">]><project>&b;</project>";
        assert_eq!(read(kind("pom.xml"), laugh.as_bytes()), Err(ReadError::Reference));
        // properties that contain each other
        let loops = "<project><properties><a>${b}${b}</a><b>${a}${a}</b></properties><dependencies><dependency><groupId>${a}</groupId><artifactId>x</artifactId></dependency></dependencies></project>";
        judge("pom.xml", loops.as_bytes());
    }

    #[test]
    fn a_large_honest_file_is_read() {
        let mut text = String::from(
            "{\"lockfileVersion\": 3, \"packages\": {\"\": {\"name\": \"x\", \"dependencies\": {\"p0\": \"1.0.0\"}}",
        );
        for n in 0..10_000 {
            text.push_str(&format!(
                ", \"node_modules/p{n}\": {{\"version\": \"1.0.0\", \"resolved\": \"https://registry.npmjs.org/p{n}/-/p{n}-1.0.0.tgz\", \"integrity\": \"sha512-{}==\", \"dependencies\": {{\"p{}\": \"^1.0.0\"}}}}",
                "A".repeat(86), n + 1
            ));
        }
        text.push_str(", \"node_modules/p10000\": {\"version\": \"1.0.0\", \"resolved\": \"https://registry.npmjs.org/p10000/-/p10000-1.0.0.tgz\", \"integrity\": \"sha512-");
        text.push_str(&"A".repeat(86));
        text.push_str("==\"}}}");
        judge("package-lock.json", text.as_bytes());
    }
}
