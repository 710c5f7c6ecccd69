//! Whatever the bytes, a scan ends, and says so when it did not judge.

use bailiwick_sast::{Scanner, Unread};
use proptest::prelude::*;
use std::sync::LazyLock;

#[expect(clippy::unwrap_used, reason = "a test's fixture")]
static SCANNER: LazyLock<Scanner> = LazyLock::new(|| Scanner::bundled().unwrap());

/// Files of each language with words that every rule is after, so that nothing is skipped.
const ENDINGS: &[&str] = &["py", "js", "ts", "tsx", "go", "java", "cs", "rs"];
const WORDS: &str = "eval exec open request query req body Mapping HttpPost md5 SHA1 process \
    Command Query Path File HttpServletRequest exec.Command http.Request os args FormValue \
    getParameter Runtime Start axum new Request Process SqlCommand HttpContext BinaryFormatter \
    Deserialize Redirect MD5 Create Random ExecuteReader FromSqlRaw Controller Headers ";

#[test]
fn a_hundred_thousand_brackets_are_too_deep_and_no_crash() {
    for ending in ENDINGS {
        for (open, close, times) in [("(", ")", 100_000), ("{", "}", 20_000), ("f(", ")", 5_000)] {
            let text = format!(
                "// {WORDS}\n{}\n1\n{}\n",
                format!("{open}\n").repeat(times),
                close.repeat(9_000)
            );
            let scan = SCANNER.scan(&format!("a.{ending}"), text.as_bytes());
            assert!(scan.unread.is_some(), "{ending} {open}");
        }
    }
}

#[test]
fn nested_calls_and_blocks_are_too_deep_and_say_so() {
    let text = format!(
        "import os\nfrom flask import request\nx = {}1{}\nos.system(request.args[x])\n",
        "f(\n".repeat(5_000),
        ")".repeat(5_000)
    );
    assert_eq!(SCANNER.scan("a.py", text.as_bytes()).unread, Some(Unread::TooDeep));
    let shallow = format!(
        "import os\nfrom flask import request\nx = {}1{}\nos.system(request.args[x])\n",
        "f(".repeat(50),
        ")".repeat(50)
    );
    assert_eq!(SCANNER.scan("a.py", shallow.as_bytes()).unread, None);
}

#[test]
fn a_long_sum_and_a_long_chain_of_branches_are_judged() {
    let sum = vec!["'a'"; 5_000].join(" +\n ");
    let text = format!(
        "import os\nfrom flask import request\nx = {sum} + request.args['a']\nos.system(x)\n"
    );
    let scan = SCANNER.scan("a.py", text.as_bytes());
    assert_eq!(scan.unread, None);
    assert!(scan.findings.iter().any(|finding| finding.rule == "command-injection"));
}

#[test]
fn what_can_not_be_judged_says_why() {
    let large = vec![b'\n'; (2 << 20) + 1];
    assert_eq!(SCANNER.scan("a.py", &large).unread, Some(Unread::TooLarge));
    assert_eq!(SCANNER.scan("a.py", b"eval(\xff\xfe)").unread, Some(Unread::NotText));
    assert_eq!(SCANNER.scan("a.py", b"eval(\0)").unread, Some(Unread::NotText));
    let minified = format!("eval(request.body);{}", "a=1;".repeat(10_000));
    assert_eq!(SCANNER.scan("a.js", minified.as_bytes()).unread, Some(Unread::Minified));
    let prose = format!("eval request {}", "%% no ( code [ at } all ;; << \n".repeat(200));
    assert_eq!(
        SCANNER
            .scan(
                "a.java",
                format!("class HttpServletRequest getParameter Runtime exec {prose}").as_bytes()
            )
            .unread,
        Some(Unread::Unparsable)
    );
    // the control: the same rules judge an ordinary file of the same names
    assert_eq!(
        SCANNER.scan("a.py", b"from flask import request\neval(request.args['x'])\n").unread,
        None
    );
}

#[test]
fn many_paths_run_out_of_steps_and_not_of_time() {
    let mut text = String::from("from flask import request\nimport os\n");
    for level in 0..40 {
        text.push_str(&format!("def f{level}(x):\n"));
        for _ in 0..8 {
            text.push_str(&format!("    x = f{}(x)\n", level + 1));
        }
        text.push_str("    return x\n");
    }
    text.push_str("def go():\n    os.system(f0(request.args['x']))\n");
    let scan = SCANNER.scan("a.py", text.as_bytes());
    assert_eq!(scan.unread, Some(Unread::AnalysisBudget));
}

#[test]
fn a_file_in_no_language_of_ours_is_not_judged_and_not_unread() {
    let scan = SCANNER.scan("a.txt", b"eval(request.args)");
    assert_eq!((scan.language, scan.unread), (None, None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_scanned(bytes in proptest::collection::vec(any::<u8>(), 0..600), at in 0..8_usize) {
        SCANNER.scan(&format!("a.{}", ENDINGS[at]), &bytes);
    }

    #[test]
    fn arbitrary_mixtures_of_code_are_scanned_alike_each_time(
        parts in proptest::collection::vec(prop::sample::select(vec![
            "eval(", "request", ".args", "[", "]", "(", ")", "{", "}", "if ", "x", " = ", "\n", "    ", "def f(x):\n",
            "return ", "'a'", "\"", "`${", "func ", "class A ", "@app.route('/')\n", "=> ", ";", "match x:", "switch (x) ",
            "case 1:", "fn ", "let ", "&&", "not ", " in ", "req.query", "exec", "open", "::", "é", "lambda y: ", "for x in y:\n",
        ]), 0..80),
        at in 0..8_usize,
    ) {
        let text = parts.concat();
        let path = format!("a.{}", ENDINGS[at]);
        let first = SCANNER.scan(&path, text.as_bytes());
        prop_assert_eq!(first, SCANNER.scan(&path, text.as_bytes()));
    }
}
