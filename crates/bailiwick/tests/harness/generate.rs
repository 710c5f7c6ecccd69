//! Repositories that nobody has seen before: made-up names, numbers and defects, with tests whose
//! expectations are computed here, and a scenario that does the task.

use super::Seed;
use super::scenario::{Edit, Scenario, Work};

/// A repository, a task about it, and how it is done.
#[derive(Debug, Clone)]
pub(crate) struct Generated {
    /// Name of the repository.
    pub(crate) name: String,
    pub(crate) files: Vec<(String, String)>,
    pub(crate) task: String,
    pub(crate) scenario: Scenario,
}

/// A function in every state that it can be in.
#[derive(Debug, Clone)]
struct Function {
    name: String,
    head: String,
    /// The body's line as it should be.
    right: String,
    /// Four lines that compile and fail the test.
    wrong: [String; 4],
    /// Calls with what they should give.
    cases: Vec<(String, String)>,
}

impl Function {
    fn new(seed: &mut Seed) -> Self {
        match seed.below(3) {
            0 => Self::linear(seed),
            1 => Self::joined(seed),
            _ => Self::summed(seed),
        }
    }

    /// `a * k + b - m`.
    fn linear(seed: &mut Seed) -> Self {
        let name = seed.word();
        let (k, m) = (seed.number(3, 900), seed.number(3, 900));
        let cases = (0..3).map(|_| {
            // Neither equal nor zero: each wrong line gives something else.
            let (a, b) = (seed.number(1, 1000), seed.number(1001, 9000));
            let expected = i128::from(a * k + b) - i128::from(m);
            (format!("{name}({a}, {b})"), expected.to_string())
        });
        Self {
            cases: cases.collect(),
            head: format!("pub fn {name}(a: i64, b: i64) -> i64 {{"),
            right: format!("    a * {k} + b - {m}"),
            wrong: [
                format!("    a * {k} - b - {m}"),
                format!("    a + {k} * b - {m}"),
                format!("    a * {k} + b + {m}"),
                format!("    a * {k} - {m} + a - b"),
            ],
            name,
        }
    }

    /// Two texts with a mark between them.
    fn joined(seed: &mut Seed) -> Self {
        let (name, mark) = (seed.word(), seed.word());
        let cases = (0..3).map(|_| {
            let (one, other) = (seed.word(), seed.word());
            let expected = format!("\"{one}<{mark}>{}\"", other.to_uppercase());
            (format!("{name}(\" {one} \", \"{other}\")"), expected)
        });
        Self {
            cases: cases.collect(),
            head: format!("pub fn {name}(one: &str, other: &str) -> String {{"),
            right: format!("    format!(\"{{}}<{mark}>{{}}\", one.trim(), other.to_uppercase())"),
            wrong: [
                format!("    format!(\"{{}}<{mark}>{{}}\", one.trim(), other.to_lowercase())"),
                format!("    format!(\"{{}}<{mark}>{{}}\", one, other.to_uppercase())"),
                format!("    format!(\"{{}}<{mark}>{{}}\", other.to_uppercase(), one.trim())"),
                format!("    format!(\"{{}}{mark}{{}}\", one.trim(), other.to_uppercase())"),
            ],
            name,
        }
    }

    /// The sum of some numbers, each times `k`.
    fn summed(seed: &mut Seed) -> Self {
        let (name, k) = (seed.word(), seed.number(3, 50));
        let cases = (0..3).map(|_| {
            let values: Vec<u64> = (0..seed.number(2, 7)).map(|_| seed.number(3, 500)).collect();
            let expected: u64 = values.iter().map(|value| value * k).sum();
            (format!("{name}(&{values:?})"), expected.to_string())
        });
        Self {
            cases: cases.collect(),
            head: format!("pub fn {name}(values: &[u64]) -> u64 {{"),
            right: format!("    values.iter().map(|value| value * {k}).sum()"),
            wrong: [
                format!("    values.iter().skip(1).map(|value| value * {k}).sum()"),
                format!("    values.iter().map(|value| value + {k}).sum()"),
                format!("    values.iter().take(1).map(|value| value * {k}).sum()"),
                format!("    values.iter().map(|value| value * {k}).max().unwrap_or(0)"),
            ],
            name,
        }
    }

    fn with(&self, line: &str) -> String {
        format!("/// Made up.\n{}\n{line}\n}}\n", self.head)
    }

    fn test(&self, package: &str, module: &str) -> String {
        let cases: String = self
            .cases
            .iter()
            .map(|(call, expected)| {
                format!("    assert_eq!({package}::{module}::{call}, {expected});\n")
            })
            .collect();
        format!("#[test]\nfn {}_is_right() {{\n{cases}}}\n", self.name)
    }
}

fn package(name: &str, modules: &[(&str, String)]) -> Vec<(String, String)> {
    let list: String = modules.iter().map(|(module, _)| format!("pub mod {module};\n")).collect();
    let mut files = vec![
        (".gitignore".to_owned(), "/target\n".to_owned()),
        (
            "Cargo.toml".to_owned(),
            format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[lib]\ndoctest = false\n"
            ),
        ),
        (
            "Cargo.lock".to_owned(),
            format!(
                "# This file is automatically @generated by Cargo.\n# It is not intended for manual editing.\nversion = 4\n\n[[package]]\nname = \"{name}\"\nversion = \"0.1.0\"\n"
            ),
        ),
        ("src/lib.rs".to_owned(), format!("//! Made up.\n{list}")),
    ];
    files.extend(modules.iter().map(|(module, text)| (format!("src/{module}.rs"), text.clone())));
    files
}

fn chain(lines: &[&str]) -> Vec<Edit> {
    lines.windows(2).map(|pair| Edit::new(pair[0], pair[1])).collect()
}

/// One function with a defect that its test shows. The implementor goes through `rounds` wrong
/// mends (at most 3) before the right one.
pub(crate) fn mend(seed: &mut Seed, rounds: usize) -> Generated {
    let (name, module) = (seed.word(), seed.word());
    let (function, other) = (Function::new(seed), Function::new(seed));
    let [first, wrong @ ..] = &function.wrong;
    let text = format!("{}\n{}", other.with(&other.right), function.with(first));
    let mut files = package(&name, &[(&module, text)]);
    for function in [&function, &other] {
        files.push((format!("tests/{}.rs", function.name), function.test(&name, &module)));
    }
    let mut lines = vec![first.as_str()];
    lines.extend(wrong.iter().take(rounds).map(String::as_str));
    lines.push(&function.right);
    let path = format!("src/{module}.rs");
    Generated {
        task: format!(
            "`{module}::{}` gives wrong results: its test fails. Please mend it.",
            function.name
        ),
        scenario: Scenario {
            summary: format!("Mend `{}`.", function.name),
            works: vec![Work {
                key: format!("mend-{}", function.name),
                title: format!("Mend {}", function.name),
                depends_on: Vec::new(),
                scope: vec!["src/**".to_owned()],
                acceptance: vec![(
                    format!("{} is right", function.name),
                    format!("cargo test --quiet --offline --test {}", function.name),
                )],
                path,
                chain: chain(&lines),
                writes: Vec::new(),
                check: format!("cargo test --quiet --offline --test {}", function.name),
            }],
        },
        name,
        files,
    }
}

/// A change that the tests do not tell from a wrong one, but the verifier's own check does: no
/// test is in the repository that covers it, and the plan has no acceptance check.
pub(crate) fn mend_for_verifier(seed: &mut Seed) -> Generated {
    let mut generated = mend(seed, 1);
    let work = generated.scenario.works.first_mut().unwrap();
    let covered = work.key.replace("mend-", "");
    generated.files.retain(|(path, _)| path != &format!("tests/{covered}.rs"));
    work.acceptance.clear();
    let right = work.chain.last().unwrap().new.trim().to_owned();
    work.check = format!("grep -F -q '{right}' {}", work.path);
    generated
}

/// Three works on a package whose tests pass: the second needs the first, the third neither. Each
/// brings the test that fails without it.
pub(crate) fn stacked(seed: &mut Seed) -> Generated {
    let name = seed.word();
    let (module, apart) = (seed.word(), seed.word());
    let (first, third) = (Function::linear(seed), Function::new(seed));
    // The second calls the first and adds to it.
    let add = seed.number(3, 900);
    let second = Function {
        name: seed.word(),
        head: String::new(),
        right: format!("    {}(a, b) + {add}", first.name),
        wrong: std::array::from_fn(|at| format!("    {}(a, b) - {add} - {at}", first.name)),
        cases: Vec::new(),
    };
    let second = Function {
        head: format!("pub fn {}(a: i64, b: i64) -> i64 {{", second.name),
        cases: first
            .cases
            .iter()
            .map(|(call, expected)| {
                let sum = expected.parse::<i128>().unwrap() + i128::from(add);
                (call.replacen(&first.name, &second.name, 1), sum.to_string())
            })
            .collect(),
        ..second
    };
    let text = format!("{}\n{}", first.with(&first.wrong[0]), second.with(&second.wrong[0]));
    let mut files = package(&name, &[(&module, text), (&apart, third.with(&third.wrong[0]))]);
    files.push(("tests/base.rs".to_owned(), "#[test]\nfn it_builds() {}\n".to_owned()));
    let work = |function: &Function, module: &str, depends_on: Vec<String>| {
        let test = format!("tests/{}.rs", function.name);
        let path = format!("src/{module}.rs");
        Work {
            key: function.name.clone(),
            title: format!("Mend {}", function.name),
            depends_on,
            scope: vec![path.clone(), test.clone()],
            acceptance: vec![(
                format!("{} is right", function.name),
                format!("cargo test --quiet --offline --test {}", function.name),
            )],
            path,
            chain: chain(&[&function.wrong[0], &function.right]),
            writes: vec![(test, function.test(&name, module))],
            check: format!("cargo test --quiet --offline --test {}", function.name),
        }
    };
    let works = vec![
        work(&first, &module, Vec::new()),
        work(&second, &module, vec![first.name.clone()]),
        work(&third, &apart, Vec::new()),
    ];
    Generated {
        task: format!(
            "`{}` and `{}` in `{module}` and `{}` in `{apart}` give wrong results. Please mend each of them, with a test.",
            first.name, second.name, third.name
        ),
        scenario: Scenario {
            summary: "Three mends; the second needs the first.".to_owned(),
            works,
        },
        name,
        files,
    }
}

/// A shell script tested by `make test`: fast, and not Rust.
pub(crate) fn shell(seed: &mut Seed) -> Generated {
    let (name, script) = (seed.word(), seed.word());
    let (k, m) = (seed.number(3, 900), seed.number(3, 900));
    let (a, b) = (seed.number(1, 1000), seed.number(1001, 9000));
    let expected = a * k + b * m;
    let wrong = format!("echo $(( $1 * {k} - $2 * {m} ))");
    let right = format!("echo $(( $1 * {k} + $2 * {m} ))");
    let files = vec![
        (format!("{script}.sh"), format!("#!/bin/sh\n# Made up.\n{wrong}\n")),
        (
            "check.sh".to_owned(),
            format!(
                "#!/bin/sh\nresult=$(sh ./{script}.sh {a} {b})\nif [ \"$result\" != {expected} ]; then\n  echo \"{script}: $result instead of {expected}\"\n  exit 1\nfi\necho \"{script}: right\"\n"
            ),
        ),
        ("Makefile".to_owned(), ".PHONY: test\ntest:\n\tsh ./check.sh\n".to_owned()),
    ];
    Generated {
        task: format!(
            "`{script}.sh` computes the wrong number; `make test` shows it. Please mend it."
        ),
        scenario: Scenario {
            summary: format!("Mend `{script}.sh`."),
            works: vec![Work {
                key: script.clone(),
                title: format!("Mend {script}"),
                depends_on: Vec::new(),
                scope: vec![format!("{script}.sh")],
                acceptance: vec![("the number is right".to_owned(), "make test".to_owned())],
                path: format!("{script}.sh"),
                chain: chain(&[&wrong, &right]),
                writes: Vec::new(),
                check: "make test".to_owned(),
            }],
        },
        name,
        files,
    }
}
