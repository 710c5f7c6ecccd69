//! How many bytes of source are scanned a second on one core.
//!
//! `ordinary` is code in which no rule's words occur together: what most files are. `dense` is
//! made of the rules' own examples: every file is parsed and run.

use bailiwick_sast::{Language, Scanner};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const ORDINARY: &[(&str, &str)] = &[
    (
        "a.py",
        "def area(width, height):\n    if width < 0:\n        raise ValueError(width)\n    return width * height\n\n\n",
    ),
    (
        "a.js",
        "export function area(width, height) {\n  if (width < 0) { throw new RangeError(width); }\n  return width * height;\n}\n\n",
    ),
    (
        "a.go",
        "// Area of a rectangle.\nfunc area(width, height int) int {\n\tif width < 0 {\n\t\tpanic(width)\n\t}\n\treturn width * height\n}\n\n",
    ),
    (
        "a.rs",
        "/// Area of a rectangle.\nfn area(width: u32, height: u32) -> u32 {\n    width.saturating_mul(height)\n}\n\n",
    ),
];

#[expect(clippy::expect_used, reason = "a bench ends at the first thing that is amiss")]
fn scan(criterion: &mut Criterion) {
    let scanner = Scanner::bundled().expect("the bundled rules can be used");
    let mut group = criterion.benchmark_group("sast");
    for (path, code) in ORDINARY {
        let text = code.repeat(64 * 1024 / code.len());
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("ordinary {path}"), |bench| {
            bench.iter(|| scanner.scan(path, black_box(text.as_bytes())));
        });
    }
    for (language, path) in [
        (Language::Python, "a.py"),
        (Language::JavaScript, "a.js"),
        (Language::Go, "a.go"),
        (Language::Java, "a.java"),
        (Language::CSharp, "a.cs"),
        (Language::Rust, "a.rs"),
    ] {
        let text: String = scanner
            .rules()
            .iter()
            .flat_map(|rule| &rule.example)
            .filter(|example| example.lang == language)
            .flat_map(|example| [example.good.as_str(), example.bad.as_str()])
            .collect();
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("dense {path}"), |bench| {
            bench.iter(|| scanner.scan(path, black_box(text.as_bytes())));
        });
    }
    group.finish();
}

criterion_group!(benches, scan);
criterion_main!(benches);
