//! Ways of a value through a program, in each language: which of them are followed rightly.

use std::fmt::Write as _;
use std::path::Path;

use bailiwick_sast::Scanner;
use serde::Deserialize;

#[derive(Deserialize)]
struct Programs {
    program: Vec<Program>,
}

#[derive(Deserialize)]
struct Program {
    path: String,
    rule: String,
    text: String,
    carriers: Vec<Carrier>,
}

#[derive(Deserialize)]
struct Carrier {
    on: bool,
    code: String,
}

#[test]
fn a_value_is_followed_where_it_goes_and_nowhere_else() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/carriers.toml");
    let programs: Programs = toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let scanner = Scanner::bundled().unwrap();
    let mut wrong = String::new();
    for program in programs.program {
        for carrier in program.carriers {
            let text = program.text.replace("CARRIER", &carrier.code);
            let scan = scanner.scan(&program.path, text.as_bytes());
            assert_eq!(scan.unread, None, "{}", carrier.code);
            let found = scan.findings.iter().any(|finding| finding.rule == program.rule);
            if found != carrier.on {
                writeln!(wrong, "{} on={}: {}", program.path, carrier.on, carrier.code).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
