//! A known forbidden command stays forbidden in whatever it is wrapped and however it is written;
//! and any bytes at all get an answer.

use std::sync::LazyLock;

use bailiwick_model::verdict::Verdict;
use bailiwick_policy::PolicySet;
use bailiwick_policy::command::{Effects, analyse, analyse_shell};
use proptest::prelude::*;

use crate::harness::{command, judge, judge_argv};

static SET: LazyLock<PolicySet> = LazyLock::new(|| PolicySet::standard().unwrap());

/// Cases of the main property: 100,000 in all, on both cores.
const CASES: u32 = 50_000;
/// Each of so many is also decided by the whole policy, which takes longer than the analysis.
const DECIDED: u64 = 200;

/// Forbidden each for another reason.
const FORBIDDEN: [&[&str]; 30] = [
    &["curl", "a.example"],
    &["wget", "-q", "a.example"],
    &["ssh", "-V"],
    &["nc", "a", "1"],
    &["git", "push"],
    &["git", "push", "origin", "HEAD"],
    &["git", "fetch", "--all"],
    &["npm", "install", "left-pad"],
    &["pip", "install", "x"],
    &["cargo", "install", "x"],
    &["go", "get", "x"],
    &["python3", "-m", "pip", "install", "x"],
    &["tee", ".git/config"],
    &["cp", "src/a", ".github/workflows/ci.yml"],
    &["mv", "AGENTS.md", "src/a"],
    &["rm", "-rf", ".git"],
    &["touch", "CLAUDE.md"],
    &["chmod", "+x", ".git/hooks/pre-commit"],
    &["dd", "of=.git/config"],
    &["sort", "-o", "AGENTS.md", "src/a"],
    &["sed", "-i", "s/a/b/", ".gitlab-ci.yml"],
    &["find", ".git", "-delete"],
    &["find", "src", "-exec", "curl", "{}", ";"],
    &["sudo", "ls"],
    &["eval", "ls"],
    &["sed", "1e id", "src/a"],
    &["awk", "BEGIN{system(\"id\")}"],
    &["tar", "-I", "sh", "-cf", "/tmp/x", "src"],
    &["make", "SHELL=/tmp/x"],
    &["cat", ".env"],
];

/// Whether the standard policy has a hard rule against these effects, whatever else is allowed.
fn refused(effects: &Effects) -> bool {
    !effects.undecidable.is_empty()
        || !effects.connects.is_empty()
        || !effects.secrets.is_empty()
        || effects.privileged
        || effects.writes_protected()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// One word, written so that a shell reads the same one.
fn disguised(word: &str, styles: &[u8]) -> String {
    let mut styles = styles.iter().cycle();
    word.chars()
        .map(|c| match (styles.next().copied().unwrap_or_default(), c) {
            (0, '\'') | (_, '\'') => "\\'".to_owned(),
            (0, c) => format!("'{c}'"),
            (1, c) if !matches!(c, '"' | '$' | '`' | '\\') => format!("\"{c}\""),
            (2, c) => format!("\\{c}"),
            (3, c) if c.is_ascii_alphanumeric() => format!("''{c}\"\""),
            (4, c) if c.is_ascii_alphanumeric() => format!("\\\n{c}"),
            (5, c) if c.is_ascii_alphanumeric() => format!("${{none}}{c}"),
            (6, c) if c.is_ascii_alphanumeric() => format!("$'{c}'"),
            (7, c) if c.is_ascii_alphanumeric() => format!("{{{c},{c}}}"),
            (8, c) if c.is_ascii_alphanumeric() => format!("$(printf {c})"),
            (9, c) if c.is_ascii_alphanumeric() => format!("${{none:-{c}}}"),
            (_, c) if c.is_ascii_alphanumeric() || "-./_+=,".contains(c) => c.to_string(),
            (_, c) => format!("'{c}'"),
        })
        .collect()
}

/// How many ways to wrap a text there are.
const WRAPS: u8 = 40;

/// A text that runs `inner`, and looks like something else.
fn wrapped(inner: &str, wrap: u8) -> String {
    match wrap {
        0 => format!("ls && {inner}"),
        1 => format!("( {inner} )"),
        2 => format!("{{ {inner}; }}"),
        3 => format!("if true; then {inner}; fi"),
        4 => format!("echo $({inner})"),
        5 => format!("bash -c {}", quoted(inner)),
        6 => format!("ls | {inner}"),
        7 => format!("for i in 1; do {inner}; done"),
        8 => format!("true & {inner}"),
        9 => format!("f() {{ {inner}; }}; f"),
        10 => format!("! {inner}"),
        11 => format!("ls\n{inner}"),
        12 => format!("cat <({inner})"),
        13 => format!("while true; do {inner}; done"),
        14 => format!("cat <<E\n$({inner})\nE"),
        15 => format!("echo \"${{x:-$({inner})}}\""),
        16 => format!("case a in a) {inner};; esac"),
        17 => format!("coproc {{ {inner}; }}"),
        18 => format!("A=1 B= {inner}"),
        19 => format!("env A=1 {inner}"),
        20 => format!("timeout 5 {inner}"),
        21 => format!("nice -n 5 {inner}"),
        22 => format!("nohup {inner}"),
        23 => format!("stdbuf -oL {inner}"),
        24 => format!("command {inner}"),
        25 => format!("xargs {inner}"),
        26 => format!("sh -ec {}", quoted(inner)),
        27 => format!("{inner} # done"),
        28 => format!("# nothing\n{inner}"),
        29 => format!("{inner} 2>/dev/null"),
        30 => format!("x=$({inner})"),
        31 => format!("trap {} EXIT", quoted(inner)),
        32 => format!("[ -n \"$({inner})\" ]"),
        33 => format!("cat <<< \"$({inner})\""),
        34 => format!("until {inner}; do ls; done"),
        35 => format!("ls || {inner}; ls"),
        36 => format!("time {inner}"),
        37 => format!("npx --no-install {inner}"),
        38 => format!("find src -exec sh -c {} \\;", quoted(inner)),
        _ => format!("\t  {inner}  \t"),
    }
}

fn written() -> impl Strategy<Value = String> {
    (
        prop::sample::select(FORBIDDEN.as_slice()),
        prop::collection::vec(0..30_u8, 1..12),
        prop::collection::vec(0..WRAPS, 0..5),
    )
        .prop_map(|(words, styles, wraps)| {
            // which file is read need not be known: only what is known of its name can tell
            let reads = words.last() == Some(&".env");
            let styles: Vec<u8> = styles
                .into_iter()
                .map(|style| if reads && matches!(style, 6..=9) { 5 } else { style })
                .collect();
            let text = words
                .iter()
                .enumerate()
                .map(|(at, word)| {
                    disguised(word, styles.get(at % styles.len()..).unwrap_or(&styles))
                })
                .collect::<Vec<_>>()
                .join(" ");
            wraps.iter().enumerate().fold(text, |text, (at, wrap)| {
                // what is started by name must be a simple command
                if at > 0 && (matches!(wrap, 18..=25 | 36 | 37)) {
                    wrapped(&format!("sh -c {}", quoted(&text)), *wrap)
                } else {
                    wrapped(&text, *wrap)
                }
            })
        })
}

fn stays_refused(text: &str) -> Result<(), TestCaseError> {
    let effects = analyse_shell(text);
    prop_assert!(refused(&effects), "{text:?}: {effects:?}");
    let chosen = text.bytes().fold(0_u64, |sum, b| sum.wrapping_mul(31).wrapping_add(b.into()));
    if chosen % DECIDED == 0 {
        let verdict = judge(&SET, text);
        prop_assert!(matches!(verdict, Verdict::Deny(_)), "{text:?} is {verdict:?}");
    }
    Ok(())
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// The control: without a disguise each command is refused for the reason it was chosen for, and
/// each wrapper around a harmless command is not what makes it refused.
#[test]
fn the_commands_are_refused_and_most_wrappers_are_not() {
    for words in FORBIDDEN {
        let text = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        assert!(refused(&analyse_shell(&text)), "{text}");
        let verdict = judge(&SET, &text);
        assert!(matches!(verdict, Verdict::Deny(_)), "{text}: {verdict:?}");
    }
    let harmless =
        |wrap: &u8| matches!(judge(&SET, &wrapped("ls src", *wrap)), Verdict::Permit { .. });
    let allowed = (0..WRAPS).filter(harmless).count();
    assert!(
        allowed >= 36,
        "{allowed}: {:?}",
        (0..WRAPS).filter(|wrap| !harmless(wrap)).collect::<Vec<_>>()
    );
}

proptest! {
    #![proptest_config(config(CASES))]

    #[test]
    fn no_quoting_or_wrapping_moves_a_verdict_towards_allow_1(text in written()) {
        stays_refused(&text)?;
    }

    #[test]
    fn no_quoting_or_wrapping_moves_a_verdict_towards_allow_2(text in written()) {
        stays_refused(&text)?;
    }
}

proptest! {
    #![proptest_config(config(5_000))]

    #[test]
    fn any_text_gets_an_answer(text in ".{0,200}", argv in prop::collection::vec(".{0,20}", 0..5)) {
        drop(analyse_shell(&text));
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        drop(analyse(&command(&argv)));
    }

    #[test]
    fn any_shell_like_text_gets_an_answer(parts in prop::collection::vec(prop::sample::select(vec![
        "(", ")", "{", "}", "$(", "`", "'", "\"", "\\", "if ", "then ", "fi;", "for ", "do ", "done;", "case ", "in ", "esac;", "[[ ", " ]]",
        "((", "))", "${", "<<E\n", "\nE\n", ">", "<", "|", "&", ";", "\n", "ls ", "x=", "$x", "~", "1", "9999999999", "!", "*", " ", "$'", "#",
        "function f ", "f() ", "coproc ", "time ", "-eq ", "@(", "..", ",", "- ", "<<<", "<(", "é", "\u{200b}", "[ ", " ]", "tar ", "sed ", "awk ",
    ]), 0..40)) {
        drop(analyse_shell(&parts.concat()));
    }

    #[test]
    fn any_arguments_of_a_known_program_get_an_answer(
        program in prop::sample::select(vec![
            "awk", "sed", "tar", "git", "cargo", "npm", "npx", "python3", "go", "make", "cmake", "gcc", "rustc", "find", "xargs", "env",
            "sort", "cp", "chmod", "patch", "pytest", "ruff", "mvn", "ar", "java", "node", "timeout", "dd", "read", "trap", "tox",
        ]),
        args in prop::collection::vec("[-a-zA-Z0-9=/.,{}*'\"$; ]{0,12}", 0..6),
    ) {
        let argv: Vec<&str> = std::iter::once(program).chain(args.iter().map(String::as_str)).collect();
        drop(analyse(&command(&argv)));
    }

    #[test]
    fn arguments_without_a_shell_are_judged_alike(program in prop::sample::select(vec!["curl", "wget", "ssh", "sudo", "eval"]), arg in "[a-z./-]{0,20}") {
        let effects = analyse(&command(&[program, &arg]));
        prop_assert!(refused(&effects), "{program} {arg}: {effects:?}");
    }
}

#[test]
fn a_program_without_a_shell_is_decided_alike() {
    for program in ["curl", "wget", "ssh", "sudo", "eval"] {
        let verdict = judge_argv(&SET, &[program, "x"]);
        assert!(matches!(verdict, Verdict::Deny(_)), "{program}: {verdict:?}");
    }
}
