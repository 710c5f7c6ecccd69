//! What commands do, and what the standard policy says of them: shapes that must never be
//! permitted, look-alikes that must be, and properties over generated ones.

#[cfg(test)]
mod harness {
    use std::collections::{BTreeMap, BTreeSet};

    use bailiwick_model::action::{Action, Command, Purpose};
    use bailiwick_model::id::{BranchName, Person, RepoName};
    use bailiwick_model::path::WorkPath;
    use bailiwick_model::subject::{Context, Role, Subject};
    use bailiwick_model::task::MicroUsd;
    use bailiwick_model::verdict::Verdict;
    use bailiwick_policy::PolicySet;

    pub(crate) fn command(argv: &[&str]) -> Command {
        Command {
            argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
            cwd: WorkPath::root(),
            env: BTreeMap::new(),
            purpose: Purpose::Tool,
            network: false,
            timeout_ms: 1000,
        }
    }

    pub(crate) fn judge_argv(set: &PolicySet, argv: &[&str]) -> Verdict {
        let subject = Subject {
            role: Role::Implementor,
            on_behalf_of: Person::parse("ana").unwrap(),
            task: None,
            subtask: None,
            session: None,
        };
        let context = Context {
            repo: RepoName::parse("shop").unwrap(),
            protected_branch: BranchName::parse("main").unwrap(),
            taint: BTreeSet::new(),
            scope: vec!["src/**".to_owned()],
            budget_left: MicroUsd(1),
            denials: 0,
            single_user: false,
            approvals: BTreeSet::new(),
            facts: bailiwick_model::subject::SessionFacts::default(),
        };
        set.decide(&subject, &Action::Command(command(argv)), &context)
    }

    pub(crate) fn judge(set: &PolicySet, text: &str) -> Verdict {
        judge_argv(set, &["/bin/sh", "-c", text])
    }
}

#[cfg(test)]
mod corpus {
    use std::fs;
    use std::io::Write as _;
    use std::path::Path;

    use bailiwick_model::verdict::Verdict;
    use bailiwick_policy::PolicySet;
    use bailiwick_policy::command::{Effects, analyse_shell};

    use crate::harness::judge;

    fn read(name: &str) -> toml::Table {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands").join(name);
        fs::read_to_string(path).unwrap().parse().unwrap()
    }

    fn holds(effects: &Effects, wanted: &str) -> bool {
        let (field, value) = wanted.split_once(':').unwrap();
        match field {
            "programs" => effects.programs.contains(value),
            "writes" => effects.writes.contains(value),
            other => panic!("unknown field {other}"),
        }
    }

    /// One shape that must not be permitted.
    struct Bypass {
        shape: String,
        text: String,
        rule: Option<String>,
        has: Vec<String>,
    }

    fn strings(value: Option<&toml::Value>) -> Vec<String> {
        value
            .and_then(|value| value.as_array())
            .into_iter()
            .flatten()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    }

    fn bypasses() -> Vec<Bypass> {
        let mut all = Vec::new();
        for case in read("bypass.toml")["case"].as_array().unwrap() {
            all.push(Bypass {
                shape: case["shape"].as_str().unwrap().to_owned(),
                text: case["text"].as_str().unwrap().to_owned(),
                rule: case.get("rule").map(|rule| rule.as_str().unwrap().to_owned()),
                has: strings(case.get("has")),
            });
        }
        for group in read("escapes.toml")["group"].as_array().unwrap() {
            for text in strings(group.get("texts")) {
                all.push(Bypass {
                    shape: group["shape"].as_str().unwrap().to_owned(),
                    text,
                    rule: group.get("rule").map(|rule| rule.as_str().unwrap().to_owned()),
                    has: vec![],
                });
            }
        }
        all
    }

    fn innocents() -> Vec<String> {
        strings(read("innocent.toml").get("texts"))
    }

    #[test]
    fn no_bypass_is_permitted() {
        let set = PolicySet::standard().unwrap();
        let cases = bypasses();
        assert!(cases.len() >= 600, "{}", cases.len());
        let mut wrong = Vec::new();
        for case in &cases {
            let effects = analyse_shell(&case.text);
            match judge(&set, &case.text) {
                Verdict::Deny(denial) => {
                    if case.rule.as_ref().is_some_and(|rule| !denial.rules.contains(rule)) {
                        wrong.push(format!(
                            "{}: {:?} denied by {:?}, {effects:?}",
                            case.shape, case.text, denial.rules
                        ));
                    }
                }
                other => {
                    wrong
                        .push(format!("{}: {:?} is {other:?}, {effects:?}", case.shape, case.text));
                }
            }
            for wanted in &case.has {
                if !holds(&effects, wanted) {
                    wrong.push(format!("{}: no {wanted} in {effects:?}", case.shape));
                }
            }
        }
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    }

    #[test]
    fn no_innocent_is_refused() {
        let set = PolicySet::standard().unwrap();
        let texts = innocents();
        assert!(texts.len() >= 150, "{}", texts.len());
        let wrong: Vec<String> = texts
            .iter()
            .filter(|text| !matches!(judge(&set, text), Verdict::Permit { .. }))
            .map(|text| format!("{text:?} is {:?}, {:?}", judge(&set, text), analyse_shell(text)))
            .collect();
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), texts.len(), wrong.join("\n"));
    }

    #[test]
    fn precision_and_recall() {
        let set = PolicySet::standard().unwrap();
        let refused = |text: &str| !matches!(judge(&set, text), Verdict::Permit { .. });
        let (bypasses, innocents) = (bypasses(), innocents());
        let found = bypasses.iter().filter(|case| refused(&case.text)).count();
        let mistaken = innocents.iter().filter(|text| refused(text)).count();
        let line = format!(
            "bypass suite: recall {found} of {} ({:.4}), precision {found} of {} ({:.4})\n",
            bypasses.len(),
            ratio(found, bypasses.len()),
            found + mistaken,
            ratio(found, found + mistaken),
        );
        // past the capture of test output: the figures are shown in every run
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        assert_eq!((found, mistaken), (bypasses.len(), 0));
    }

    fn ratio(part: usize, whole: usize) -> f64 {
        f64::from(u32::try_from(part).unwrap()) / f64::from(u32::try_from(whole).unwrap())
    }

    #[test]
    fn a_hash_within_a_word_starts_no_comment() {
        let effects = analyse_shell("nix eval .#foo; curl a.example");
        assert!(effects.undecidable.is_empty() && effects.programs.contains("nix"));
        assert!(effects.connects.contains("curl"), "{effects:?}");
    }

    #[test]
    fn what_is_too_complex_is_undecidable() {
        let many = "ls; ".repeat(10_000);
        let long = format!("echo {}", "x".repeat(1024 * 1024));
        for (open, close) in
            [("( ", ")"), ("{ ", ";}"), ("$(", ")"), ("`", "`"), ("if true; then ", ";fi")]
        {
            let deep = format!("echo {}ls{}", open.repeat(200), close.repeat(200));
            assert!(!analyse_shell(&deep).undecidable.is_empty(), "{open}");
        }
        let nested = (0..10)
            .fold("ls".to_owned(), |text, _| format!("sh -c '{}'", text.replace('\'', "'\\''")));
        for text in [
            many,
            long,
            nested,
            "\"$(".repeat(200),
            "case x in ".repeat(40),
            "${x:-".repeat(300),
            "((".repeat(300),
        ] {
            assert!(!analyse_shell(&text).undecidable.is_empty(), "{text:.20}");
        }
    }

    // Each of these is plain to the parser whose tree is judged.
    #[test]
    fn what_two_parsers_read_differently_is_undecidable() {
        for text in ["coproc ls", "cat <<A <<B\n1\nA\n2\nB"] {
            let effects = analyse_shell(text);
            let why: Vec<&String> = effects.undecidable.iter().collect();
            assert!(matches!(why.as_slice(), [one] if one.contains("parser")), "{text}: {why:?}");
        }
    }

    // The second parser's scanner looked such a character up beyond the end of a table.
    #[test]
    fn any_character_after_a_brace_is_read() {
        for c in (0x100..=0x0010_FFFF).step_by(251).filter_map(char::from_u32) {
            for text in [format!("echo {{{c}"), format!("echo {{1..23{c}}}"), format!("{{{c}..2}}")]
            {
                drop(analyse_shell(&text));
            }
        }
        let effects = analyse_shell("echo '{日本語}' {é,ü} \"{…}\"; curl a.example {日}");
        assert!(effects.undecidable.is_empty(), "{effects:?}");
        assert!(effects.connects.contains("curl"), "{effects:?}");
    }

    #[test]
    fn what_makes_the_parser_panic_is_undecidable() {
        for text in [
            "ls 99999999999999999999>x",
            "ls 2147483648>x",
            "echo ~99999999999999999999999999",
            "echo ~+99999999999999999999999999",
            "echo {1..99999999999999999999999}",
            "echo $99999999999999999999999999",
            "echo ${99999999999999999999999999}",
        ] {
            let effects = analyse_shell(text);
            assert!(!effects.undecidable.is_empty() || effects.programs.contains("echo"), "{text}");
        }
    }
}

#[cfg(test)]
#[path = "commands/properties.rs"]
mod properties;
