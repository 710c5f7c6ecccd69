//! Weaknesses that take several files: no file is skipped that another one makes dangerous.

use bailiwick_sast::{Finding, NoSources, Scanner, Sources};
use std::collections::HashMap;
use std::ops::ControlFlow;

struct Tree(HashMap<&'static str, &'static str>);

impl Sources for Tree {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.0.get(path).map(|text| text.as_bytes().to_vec())
    }
}

fn found(scanner: &Scanner, path: &str, text: &str, sources: &dyn Sources) -> Vec<(String, u32)> {
    let scan = scanner.scan_among(path, text.as_bytes(), sources);
    scan.findings.into_iter().map(|Finding { rule, line, .. }| (rule, line)).collect()
}

const HELPER: &str = "import os\n\ndef run(what):\n    os.system(what)\n";
const MIDDLE: &str = "from lib.helper import run\n\ndef go(x):\n    run(x)\n";
const MAIN: &str = "from flask import request\nfrom lib import (  # the tools (ours)\n    helper,\n    middle,\n)\n\n\
    def ping():\n    helper.run(request.args['host'])\n    middle.go(request.args['host'])\n    return ''\n";
const ASKS: &str = "from flask import request\n\ndef host():\n    return request.args['host']\n";
const USES: &str =
    "import os, \\\n  asks as a  # args of the request\n\ndef ping():\n    os.system(a.host())\n";

#[test]
fn what_another_file_does_with_a_value_is_found_where_it_is_called() {
    let scanner = Scanner::bundled().unwrap();
    let tree = Tree(HashMap::from([
        ("lib/helper.py", HELPER),
        ("lib/middle.py", MIDDLE),
        ("asks.py", ASKS),
    ]));
    let hit = |line| ("command-injection".to_owned(), line);
    assert_eq!(found(&scanner, "main.py", MAIN, &tree), [hit(8), hit(9)]);
    assert_eq!(found(&scanner, "uses.py", USES, &tree), [hit(5)]);
    // the controls: by themselves they do no harm
    assert_eq!(found(&scanner, "main.py", MAIN, &NoSources), []);
    assert_eq!(found(&scanner, "uses.py", USES, &NoSources), []);
}

#[test]
fn what_a_script_requires_is_followed() {
    let scanner = Scanner::bundled().unwrap();
    let tree = Tree(HashMap::from([(
        "lib/run.js",
        "const { exec } = require('child_process');\nexports.run = function run(what) { exec(what); };\nfunction go(what) { exec(what); }\n",
    )]));
    let computed = "const m = require('child_' + 'process');\nexports.f = (req, res) => { m.exec(req.query.a); };\n";
    let literal = computed.replace("' + '", "");
    let rules = |text: &str| {
        found(&scanner, "a.js", text, &tree).into_iter().map(|(rule, _)| rule).collect::<Vec<_>>()
    };
    assert_eq!(rules(&literal), ["command-injection"]);
    // nor is it overlooked when the name is put together and its word stands elsewhere
    let computed = computed.replace("m.exec", "/* child_process */ m.exec");
    assert_eq!(rules(&computed), ["command-injection"]);
}

#[test]
fn many_files_together_are_scanned_as_each_by_itself() {
    let scanner = Scanner::bundled().unwrap();
    let files =
        [("main.py", MAIN), ("uses.py", USES), ("lib/middle.py", MIDDLE), ("b/main.py", MAIN)];
    let tree = Tree(HashMap::from([
        ("lib/helper.py", HELPER),
        ("lib/middle.py", MIDDLE),
        ("asks.py", ASKS),
    ]));
    let mut together = Vec::new();
    let each = files.iter().map(|(path, text)| (*path, text.as_bytes()));
    scanner.scan_each(each, &tree, |path, scan| {
        together.push((path, scan));
        ControlFlow::Continue(())
    });
    let alone = files.map(|(path, text)| (path, scanner.scan_among(path, text.as_bytes(), &tree)));
    assert_eq!(together, alone);
    let mut first = 0;
    let each = files.iter().map(|(path, text)| (*path, text.as_bytes()));
    scanner.scan_each(each, &tree, |_, _| {
        first += 1;
        ControlFlow::Break(())
    });
    assert_eq!(first, 1);
}
