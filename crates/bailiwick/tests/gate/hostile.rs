//! Input that means harm, judged with bounded memory: *inconclusive* with the reason or stopped,
//! never a crash and never a pass.

use super::repository::{Repository, token};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// The most memory that a run may ask for, in KiB: each gate's stack is in it.
const MEMORY: u32 = 2_000_000;

/// A path and what stands there.
type File<'a> = (&'a str, Vec<u8>);

/// The exit code and what was said of a change that brings a file.
fn judged(base: &[File<'_>], head: File<'_>) -> (i32, String) {
    let repository = Repository::new();
    for (path, content) in base {
        repository.write(path, content);
    }
    if !base.is_empty() {
        repository.commit("base");
    }
    repository.write(head.0, head.1);
    repository.gate_within(MEMORY, &["run"])
}

/// Anchors that grow ninefold with each line.
fn many_laughs() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for at in 1..12 {
        let names = vec![format!("*a{}", at - 1); 9].join(", ");
        text += &format!("a{at}: &a{at} [{names}]\n");
    }
    text
}

fn many_entities() -> String {
    let mut text = "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY e0 \"lol\">".to_owned();
    for at in 1..12 {
        let names = format!("&e{};", at - 1).repeat(10);
        text += &format!("<!ENTITY e{at} \"{names}\">");
    }
    text + "]><project><dependencies><dependency><groupId>a</groupId><artifactId>&e11;</artifactId><version>1</version></dependency></dependencies></project>"
}

/// A long run of one byte, compressed: small, and large when it is opened.
fn bomb() -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .args(["-9", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = gzip.stdin.take().unwrap();
    let feeding = std::thread::spawn(move || {
        let piece = vec![b'{'; 1 << 20];
        for _ in 0..200 {
            input.write_all(&piece).unwrap();
        }
    });
    let output = gzip.wait_with_output().unwrap();
    feeding.join().unwrap();
    assert!(output.stdout.len() < 1 << 20);
    output.stdout
}

fn own_rule(regex: &str) -> File<'static> {
    let text = format!(
        "title = 'x'\n[[rules]]\nid = 'b'\ndescription = 'b'\nregex = '''{regex}'''\nkeywords = ['a']\n"
    );
    (".bailiwick/secrets.toml", text.into_bytes())
}

fn manifest() -> File<'static> {
    ("package.json", br#"{"name":"a","dependencies":{"ms":"2.1.3"}}"#.to_vec())
}

#[test]
fn what_can_not_be_judged_is_inconclusive_with_the_reason() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let nested = format!(
        "from flask import request\na = request.args\neval(1)\nx = {}1{}\n",
        "(\n".repeat(5_000),
        ")\n".repeat(5_000)
    );
    let minified = format!("eval(req.body);{}", "a=1;".repeat(20_000));
    let text = |text: String| text.into_bytes();
    let cases: Vec<(&str, Vec<File<'_>>, File<'_>, &str)> = vec![
        ("binary", vec![], ("a.py", b"\0\x01eval(request)\n".repeat(99)), "not text in UTF-8"),
        (
            "mis-encoded",
            vec![],
            ("a.py", b"eval(request \xff\xfe)\n".to_vec()),
            "not text in UTF-8",
        ),
        ("minified", vec![], ("a.js", text(minified)), "minified"),
        ("nested code", vec![], ("a.py", text(nested)), "nested"),
        (
            "nested JSON",
            vec![manifest()],
            ("package-lock.json", text(format!("{{\"a\":{deep}}}"))),
            "recursion limit",
        ),
        ("nested TOML", vec![], ("Cargo.lock", text(format!("a = {deep}"))), "recursion"),
        (
            "nested YAML",
            vec![manifest()],
            ("pnpm-lock.yaml", text(format!("a: {deep}"))),
            "`pnpm-lock.yaml` can't be judged",
        ),
        ("anchors", vec![manifest()], ("pnpm-lock.yaml", text(many_laughs())), "anchors"),
        ("entities", vec![], ("pom.xml", text(many_entities())), "entities"),
        ("a bomb", vec![manifest()], ("package-lock.json", bomb()), "it is not text"),
        (
            "cut off",
            vec![manifest()],
            ("package-lock.json", b"{\"lockfileVersion\": 3".to_vec()),
            "not valid JSON",
        ),
        (
            "regex bomb",
            vec![own_rule("(?:a{1000}){1000}")],
            ("a.txt", b"a".repeat(1 << 20)),
            "exceeds size limit",
        ),
        ("no regex", vec![own_rule("(a")], ("a.txt", b"a".to_vec()), "not valid"),
        ("huge", vec![], ("a.py", b"x = 1\n".repeat(9 << 20)), "more than the"),
    ];
    for (name, base, head, wanted) in cases {
        let (code, said) = judged(&base, head);
        assert_eq!(code, 3, "{name}: {said}");
        assert!(said.contains("INCONCLUSIVE") && said.contains(wanted), "{name}: {said}");
    }
}

/// What is large or odd, and what is wrong with it is seen all the same.
#[test]
fn nothing_hides_in_what_is_large_or_odd() {
    let lock = |url: &str| {
        let text = format!(
            r#"{{"name":"a","lockfileVersion":3,"packages":{{"":{{"dependencies":{{"ms":"2.1.3"}}}},"node_modules/ms":{{"version":"2.1.3","resolved":"{url}","integrity":"sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA=="}}}}}}"#
        );
        ("package-lock.json", text.into_bytes())
    };
    let secret = token(1).into_bytes();
    let binary = [b"\0\x01\x02".repeat(1_000).as_slice(), b"\n", &secret, b"\n\0"].concat();
    let large = [b"plain words in a row\n".repeat(1 << 18).as_slice(), &secret].concat();
    // where others would try for ever
    let many = [b"a".repeat(1 << 20).as_slice(), b"!\naaab\n"].concat();
    let honest = "https://registry.npmjs.org/ms/-/ms-2.1.3.tgz";
    let lie = "https://registry.example.net/ms/-/ms-2.1.3.tgz";
    let cases: Vec<(&str, Vec<File<'_>>, File<'_>, &str)> = vec![
        ("binary", vec![], ("blob.bin", binary), "[secrets/github-token]"),
        ("large", vec![], ("large.txt", large), "[secrets/github-token]"),
        ("behind what backtracks", vec![own_rule("(a+)+b")], ("a.txt", many), "[secrets/own-rule]"),
        ("a lie", vec![manifest(), lock(honest)], lock(lie), "[dependencies/"),
    ];
    for (name, base, head, wanted) in cases {
        let (code, said) = judged(&base, head);
        assert_eq!(code, 1, "{name}: {said}");
        assert!(said.contains("FAIL") && said.contains(wanted), "{name}: {said}");
    }
}

/// Commits that no honest tool makes: paths that lead out, links, names that are commands.
#[test]
fn a_path_leads_nowhere() {
    let weak = b"import os\ndef f(request):\n    os.system(request.args['a'])\n";
    let repository = Repository::new();
    let top = repository.top().to_owned();
    let git = |arguments: &[&str], input: &[u8]| repository.git_with(arguments, input);
    let blob = git(&["hash-object", "-w", "--stdin"], weak);
    let commit = |entry: &str| {
        let tree = git(&["mktree"], format!("{entry}\n").as_bytes());
        let made = git(&["commit-tree", &tree, "-p", "main", "-m", "x"], b"");
        repository.gate_within(MEMORY, &["run", "--head", &made, "--base", "main"])
    };
    let inner = git(&["mktree"], format!("100644 blob {blob}\tevil.py\n").as_bytes());
    let hooks = git(&["mktree"], format!("100755 blob {blob}\tpre-commit\n").as_bytes());
    let dot_git = git(&["mktree"], format!("040000 tree {hooks}\thooks\n").as_bytes());
    let injection = "[sast/command-injection]";
    for (name, entry, code, wanted) in [
        ("up", format!("040000 tree {inner}\t.."), 3, "INCONCLUSIVE"),
        ("into .git", format!("040000 tree {dot_git}\t.git"), 3, "git acts by it"),
        ("an option", format!("100644 blob {blob}\t-rf.py"), 1, injection),
        ("a command", format!("100644 blob {blob}\t$(touch here).py"), 1, injection),
        ("a line", format!("100644 blob {blob}\t\"a\\nb.py\""), 1, "a\\x0ab.py"),
        ("an escape", format!("100644 blob {blob}\t\"\\033[31m.py\""), 1, "\\x1b[31m.py"),
        ("no text", format!("100644 blob {blob}\t\"\\377\\376.py\""), 1, "\\xff\\xfe.py"),
    ] {
        let (found, said) = commit(&entry);
        assert_eq!(found, code, "{name}: {said}");
        assert!(said.contains(wanted) && !said.contains('\u{1b}'), "{name}: {said}");
    }
    assert!(!top.join("here").exists() && !top.parent().unwrap().join("evil.py").exists());
    assert!(!top.join(".git/hooks/pre-commit").exists());

    // a link is no file, wherever it leads
    let passwd = git(&["hash-object", "-w", "--stdin"], b"/etc/passwd");
    let (code, said) = commit(&format!("120000 blob {passwd}\trequirements.txt"));
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("no regular file") && !said.contains("root:"), "{said}");
}
