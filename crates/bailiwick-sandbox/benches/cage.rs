//! From the start of a launcher to its answer, for the smallest command and the smallest read.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use bailiwick_guest::{
    Access, Cage, CageSpec, MARKER, Operation, Reply, cgroup, read_message, write_message,
};
use bailiwick_sandbox::default_limits;
use criterion::{Criterion, criterion_group, criterion_main};

fn ask(cage: &Cage, operation: Operation) -> Reply {
    let mut child = Command::new("/proc/self/exe")
        .arg(MARKER)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| fail(&error));
    let spec = CageSpec { cage: cage.clone(), operation };
    if let Some(stdin) = child.stdin.as_mut() {
        write_message(stdin, &spec, &[]).unwrap_or_else(|error| fail(&error));
    }
    let stdout = child.stdout.as_mut().unwrap_or_else(|| fail(&"no pipe"));
    let (reply, _) = read_message(stdout).unwrap_or_else(|error| fail(&error));
    child.wait().unwrap_or_else(|error| fail(&error));
    reply
}

#[expect(clippy::panic, reason = "a benchmark that cannot run has nothing to say")]
fn fail<T>(error: &dyn std::fmt::Debug) -> T {
    panic!("{error:?}")
}

fn cages(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap_or_else(|error| fail(&error));
    let mut cage = Cage::new(
        "bailiwick-bench".to_owned(),
        directory.path().to_owned(),
        default_limits(),
        61_000,
    );
    cage.workspace_access = Access::ReadWrite;
    let command = Operation::Exec {
        argv: vec!["/bin/true".to_owned()],
        env: BTreeMap::new(),
        cwd: ".".to_owned(),
    };
    let list = Operation::List { path: ".".to_owned(), depth: 1, max: 10 };
    let homes = cgroup::detect().homes;
    for (name, homes) in [("with cgroups", homes), ("without cgroups", Vec::new())] {
        cage.cgroups = homes;
        for (what, operation) in [("true", &command), ("list", &list)] {
            criterion.bench_function(&format!("{what}, {name}"), |bencher| {
                bencher.iter(|| match ask(&cage, operation.clone()) {
                    Reply::Ran { .. } | Reply::File { .. } => {}
                    other => fail(&other),
                });
            });
        }
    }
}

criterion_group!(benches, cages);
criterion_main!(benches);
