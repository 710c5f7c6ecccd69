//! Every committed seed is read by its target, and every target has seeds.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use fuzz_targets::TARGETS;

    #[test]
    fn every_seed_is_read() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
        for target in TARGETS {
            let mut count = 0;
            for entry in fs::read_dir(corpus.join(target.name)).unwrap() {
                let bytes = fs::read(entry.unwrap().path()).unwrap();
                (target.read)(&bytes);
                // and each beginning of it, as if it had been cut off
                for end in (0..bytes.len()).step_by(1 + bytes.len() / 40) {
                    (target.read)(&bytes[..end]);
                }
                count += 1;
            }
            assert!(count >= 3, "{} has {count} seeds", target.name);
        }
    }

    #[test]
    fn every_directory_of_seeds_and_every_fuzzer_has_a_target() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut names: Vec<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
        names.sort();
        for folder in ["corpus", "fuzz_targets"] {
            let mut found: Vec<String> = fs::read_dir(root.join(folder))
                .unwrap()
                .map(|entry| {
                    entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()
                })
                .collect();
            found.sort();
            assert_eq!(found, names, "{folder}");
        }
    }
}
