//! Bills of materials and snapshots of indexes, from the command line on repositories of its own.

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output};

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../bailiwick-deps/fixtures")
    }

    fn run(directory: &Path, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_bailiwick"))
            .args(arguments)
            .current_dir(directory)
            .env("HOME", directory)
            .output()
            .unwrap()
    }

    fn git(directory: &Path, arguments: &[&str]) {
        let output = Command::new("git")
            .arg("-C")
            .arg(directory)
            .args(["-c", "user.name=A", "-c", "user.email=a@example.org"])
            .args(["-c", "commit.gpgsign=false"])
            .args(arguments)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn text(output: &Output) -> String {
        let (out, err) = (&output.stdout, &output.stderr);
        format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
    }

    /// Every project of the fixtures in a directory of its own, in one commit.
    fn repository() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        git(directory.path(), &["init", "-q", "-b", "main"]);
        for project in std::fs::read_dir(fixtures().join("projects")).unwrap() {
            let project = project.unwrap().path();
            let place = directory.path().join(project.file_name().unwrap());
            std::fs::create_dir(&place).unwrap();
            for file in std::fs::read_dir(&project).unwrap() {
                let file = file.unwrap().path();
                std::fs::copy(&file, place.join(file.file_stem().unwrap())).unwrap();
            }
        }
        git(directory.path(), &["add", "-A"]);
        git(directory.path(), &["commit", "-q", "-m", "first"]);
        directory
    }

    #[test]
    fn a_bill_of_materials_is_valid_and_always_the_same() {
        let repository = repository();
        let first = run(repository.path(), &["sbom"]);
        assert!(first.status.success(), "{}", text(&first));
        assert_eq!(first.stdout, run(repository.path(), &["sbom", "--rev", "main"]).stdout);
        let bill: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap();
        let components = bill["components"].as_array().unwrap();
        let purls: Vec<&str> = components.iter().map(|one| one["purl"].as_str().unwrap()).collect();
        for wanted in [
            "pkg:npm/lodash@4.17.21",
            "pkg:cargo/serde@1.0.197",
            "pkg:pypi/requests@2.31.0",
            "pkg:golang/github.com/spf13/cobra@v1.8.0",
            "pkg:maven/com.google.guava/guava@33.0.0-jre",
        ] {
            assert!(purls.contains(&wanted), "{wanted}: {purls:?}");
        }
        validate(&first.stdout);
    }

    /// By the reference library of the format, which the test command installs.
    fn validate(bill: &[u8]) {
        let Some(python) = std::env::var_os("BAILIWICK_SBOM_PYTHON") else {
            eprintln!("SKIPPED: no library for bills of materials; `cargo xtask test` installs it");
            return;
        };
        let place = tempfile::tempdir().unwrap();
        let script = "import sys\nfrom cyclonedx.validation.json import JsonStrictValidator\nfrom cyclonedx.schema import SchemaVersion\nfrom cyclonedx.model.bom import Bom\nimport json\ntext = open(sys.argv[1]).read()\nerror = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)\nprint(error)\nif error is not None: sys.exit(1)\nbom = Bom.from_json(json.loads(text))\nprint(len(bom.components), 'components')\nbom.validate()\n";
        let check = |bytes: &[u8]| {
            let file = place.path().join("bom.json");
            std::fs::write(&file, bytes).unwrap();
            Command::new(&python).args(["-c", script]).arg(&file).output().unwrap()
        };
        let output = check(bill);
        assert!(output.status.success(), "{}", text(&output));
        // the library does refuse what is no bill
        let broken =
            String::from_utf8(bill.to_vec()).unwrap().replace("\"library\"", "\"nonsense\"");
        assert!(!check(broken.as_bytes()).status.success());
    }

    #[test]
    fn what_changed_since_a_commit_is_told() {
        let repository = repository();
        let lock = repository.path().join("cargo/Cargo.lock");
        let old = std::fs::read_to_string(&lock).unwrap();
        std::fs::write(&lock, old.replace("1.0.12", "1.0.13")).unwrap();
        git(repository.path(), &["commit", "-q", "-a", "-m", "second"]);
        let output = run(repository.path(), &["sbom", "--since", "HEAD~1"]);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            "~ unicode-ident 1.0.12 → 1.0.13 (cargo, through serde → serde_derive → proc-macro2 → unicode-ident; cargo/Cargo.lock)"
        );
    }

    #[test]
    fn an_unreadable_file_is_told_and_not_passed_over() {
        let repository = repository();
        std::fs::write(repository.path().join("cargo/Cargo.lock"), "[[").unwrap();
        git(repository.path(), &["commit", "-q", "-a", "-m", "second"]);
        let output = run(repository.path(), &["sbom"]);
        assert_eq!(output.status.code(), Some(3));
        assert!(text(&output).contains("cargo/Cargo.lock"), "{}", text(&output));
    }

    #[test]
    fn a_snapshot_is_built_and_asked_and_the_gates_go_by_it() {
        let repository = repository();
        let here = repository.path();
        let elsewhere = tempfile::tempdir().unwrap();
        let index = elsewhere.path().join("npm.index");
        let from = fixtures().join("index/npm.tsv");
        let (from, out) = (from.to_str().unwrap(), index.to_str().unwrap());
        let built =
            run(here, &["index", "build", "--ecosystem", "npm", "--from", from, "--out", out]);
        assert!(built.status.success(), "{}", text(&built));
        let directory = elsewhere.path().to_str().unwrap();
        let show = |name: &str| {
            run(here, &["index", "show", "--index", directory, "--ecosystem", "npm", name])
        };
        assert!(text(&show("left-pad")).contains("exists"), "{}", text(&show("left-pad")));
        assert_eq!(show("no-such-name-here").status.code(), Some(1));
        let bad = run(here, &["index", "build", "--ecosystem", "ruby", "--from", from]);
        assert_eq!(bad.status.code(), Some(2));

        for file in ["package.json", "package-lock.json"] {
            let path = here.join("npm3").join(file);
            let old = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, old.replace("lodash", "lodahs-invented")).unwrap();
        }
        let gates = ["--gate", "slopsquat", "--gate", "dependencies"];
        let without = run(here, &[&["gate", "run"][..], &gates].concat());
        assert_eq!(without.status.code(), Some(3), "{}", text(&without));
        let with = run(here, &[&["gate", "run", "--index", directory][..], &gates].concat());
        assert_eq!(with.status.code(), Some(1), "{}", text(&with));
        assert!(text(&with).contains("slopsquat/absent"), "{}", text(&with));
    }
}
