use bailiwick_git::{Attribution, LineKind, MergeInput, Origin, TrackPoint, attribute};
use proptest::prelude::*;
use std::collections::BTreeMap;

use crate::support::{Fixture, path, who};

fn point(step: u32, tree: bailiwick_git::TreeId) -> TrackPoint<u32> {
    TrackPoint { step: Some(step), tree }
}

/// Every changed line as `+text` or `-text` with its step.
fn steps(attribution: &Attribution<u32>) -> Vec<(String, Origin<u32>)> {
    let mut found = Vec::new();
    for hunk in attribution.files.iter().flat_map(|file| &file.hunks) {
        for (line, attributed) in hunk.hunk.lines.iter().zip(&hunk.lines) {
            let mark = match line.kind {
                LineKind::Context => {
                    assert_eq!(attributed.origin, None);
                    continue;
                }
                LineKind::Added => '+',
                LineKind::Removed => '-',
            };
            found.push((format!("{mark}{}", line.text), attributed.origin.clone().unwrap()));
        }
    }
    found
}

#[test]
fn lines_are_followed_through_edits_renames_and_undone_work() {
    let fixture = Fixture::new();
    let body: String = (0..20).map(|n| format!("line {n}\n")).collect();
    let start = fixture.tree(&[("a", &body), ("b", "b\n")]);
    let one = body.replace("line 3\n", "three\n");
    let two = one.replace("line 17\n", "");
    let three = two.replace("three\n", "three\nafter three\n");
    let points = [
        point(1, fixture.tree(&[("a", &one), ("b", "b\n"), ("tmp", "t\n")])),
        point(2, fixture.tree(&[("moved", &two), ("b", "b\n")])),
        point(3, fixture.tree(&[("moved", &three), ("b", "b\n"), ("bin", "\0")])),
    ];
    let head = points[2].tree.oid();
    let attribution = attribute(&fixture.git, start.oid(), &points, start.oid(), head).unwrap();
    let step = |text: &str, step| (text.to_owned(), Origin::Step(step));
    assert_eq!(
        steps(&attribution),
        [step("-line 3", 1), step("+three", 1), step("+after three", 3), step("-line 17", 2)]
    );
    let touched: Vec<_> = attribution
        .files
        .iter()
        .map(|file| (file.diff.path().unwrap().clone(), file.steps.clone()))
        .collect();
    assert_eq!(touched, [(path("bin"), vec![3]), (path("moved"), vec![1, 2, 3])]);
    assert_eq!(attribution.files[1].hunks[0].steps, [1, 3]);
}

#[test]
fn after_a_rebase_the_steps_are_still_known_and_the_new_base_is_nobodys() {
    let fixture = Fixture::new();
    let body: String = (0..20).map(|n| format!("line {n}\n")).collect();
    let root = fixture.commit(&[], "root", &[("a", &body)]);
    let step_one = body.replace("line 3\n", "three\n");
    let work = fixture.commit(&[&root], "work", &[("a", &step_one)]);
    let base = fixture.commit(
        &[&root],
        "base",
        &[("a", &format!("upstream\n{body}").replace("line 12\n", "twelve\n"))],
    );
    let committer = who("merger", 9);
    let head = fixture
        .git
        .rebase(&MergeInput { base: &base, head: &work, committer: &committer, signer: None })
        .unwrap();
    let points = [point(1, fixture.git.tree_of(&work).unwrap())];
    let attribution = attribute(&fixture.git, &root, &points, &base, &head).unwrap();
    let step = |text: &str| (text.to_owned(), Origin::Step(1));
    assert_eq!(steps(&attribution), [step("-line 3"), step("+three")]);
}

#[test]
fn what_no_step_did_is_said_to_be_outside() {
    let fixture = Fixture::new();
    let start = fixture.tree(&[("a", "1\n")]);
    let points = [
        point(1, fixture.tree(&[("a", "1\n2\n")])),
        TrackPoint { step: None, tree: fixture.tree(&[("a", "1\n2\nx\n")]) },
    ];
    let head = fixture.tree(&[("a", "1\n2\nx\ny\n")]);
    let attribution =
        attribute(&fixture.git, start.oid(), &points, start.oid(), head.oid()).unwrap();
    let origins: Vec<_> = steps(&attribution).into_iter().map(|(_, origin)| origin).collect();
    assert_eq!(origins, [Origin::Step(1), Origin::Outside, Origin::Outside]);
}

/// One edit: in which file, where, how many lines go, how many come.
type Edit = (usize, usize, usize, usize);

fn edits() -> impl Strategy<Value = Vec<Vec<Edit>>> {
    let edit = (0..3usize, 0..40usize, 0..4usize, 0..4usize);
    proptest::collection::vec(proptest::collection::vec(edit, 0..4), 1..7)
}

fn render(files: &[Vec<String>]) -> Vec<(String, String)> {
    let file = |(n, lines): (usize, &Vec<String>)| {
        (format!("dir{n}/file"), lines.iter().map(|line| format!("{line}\n")).collect())
    };
    files.iter().enumerate().filter(|(_, lines)| !lines.is_empty()).map(file).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The brute-force simulation: every line has its own text, so who wrote it and who removed it
    /// is known exactly.
    #[test]
    fn each_line_has_the_step_that_a_simulation_says(plan in edits()) {
        let fixture = Fixture::new();
        let tree = |files: &[Vec<String>]| {
            let rendered = render(files);
            let borrowed: Vec<(&str, &str)> = rendered.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            fixture.tree(&borrowed)
        };
        let mut files: Vec<Vec<String>> = (0..3).map(|f| (0..12).map(|n| format!("start {f} {n}")).collect()).collect();
        let start = tree(&files);
        let mut expected: BTreeMap<String, u32> = BTreeMap::new();
        let mut points = Vec::new();
        let mut serial = 0;
        for (step, edits) in (1u32..).zip(&plan) {
            for (file, at, gone, come) in edits {
                let lines = &mut files[*file];
                let from = (*at).min(lines.len());
                let to = (from + gone).min(lines.len());
                let fresh: Vec<String> = (0..*come).map(|_| { serial += 1; format!("new {serial}") }).collect();
                for line in &fresh {
                    expected.insert(format!("+{line}"), step);
                }
                for line in lines.splice(from..to, fresh) {
                    if line.starts_with("start") {
                        expected.insert(format!("-{line}"), step);
                    } else {
                        expected.remove(&format!("+{line}"));
                    }
                }
            }
            points.push(point(step, tree(&files)));
        }
        let head = points.last().unwrap().tree.clone();
        let attribution = attribute(&fixture.git, start.oid(), &points, start.oid(), head.oid()).unwrap();
        let found: BTreeMap<String, u32> = steps(&attribution)
            .into_iter()
            .map(|(text, origin)| match origin {
                Origin::Step(step) => (text, step),
                other => panic!("{text}: {other:?}"),
            })
            .collect();
        prop_assert_eq!(found, expected);
    }

    /// With equal lines all over, nothing is exact, but nothing is left without a step either.
    #[test]
    fn equal_lines_always_get_some_step(plan in proptest::collection::vec("[ab\n]{0,12}", 1..6)) {
        let fixture = Fixture::new();
        let start = fixture.tree(&[("f", "a\nb\n\na\n")]);
        let points: Vec<_> = (1u32..).zip(&plan).map(|(step, text)| point(step, fixture.tree(&[("f", text)]))).collect();
        let head = points.last().unwrap().tree.clone();
        let attribution = attribute(&fixture.git, start.oid(), &points, start.oid(), head.oid()).unwrap();
        for (text, origin) in steps(&attribution) {
            prop_assert!(origin.step().is_some(), "{text}");
        }
    }
}
