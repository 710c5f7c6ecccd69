//! What can be seen of a run without asking the platform: files, git, the model server's log, and
//! what the kernel knows of processes, mounts and cgroups.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::fixture::{Case, git};

/// Effects by kind, counted from outside. The kinds that only the platform itself can see (the
/// start of an agent, a submission) are not among them.
pub(crate) type Effects = BTreeMap<&'static str, usize>;

/// Counts what has happened, from outside.
pub(crate) fn effects(case: &Case) -> Effects {
    let imported = case.forge_git().is_dir() && !refs(case, "refs/heads/main").is_empty();
    let checkouts = checkouts(case);
    let pulls = pulls(case);
    let reviews = |pull: &Value| pull["reviews"].as_array().map_or(0, Vec::len);
    let written = |(subtask, file, text): &(&str, &str, &str)| {
        let path = Path::new(subtask).join("implement/tree").join(file);
        below_work(case).iter().any(|task| {
            fs::read_to_string(task.join(&path)).is_ok_and(|content| content.contains(text))
        })
    };
    let read = |file: &&str| {
        let path = Path::new("first/implement/tree").join(file);
        below_work(case)
            .iter()
            .any(|task| fs::metadata(task.join(&path)).is_ok_and(|about| was_read(&about)))
    };
    let mut effects = Effects::from([
        ("import", usize::from(imported)),
        ("checkout", checkouts.len()),
        ("model_call", case.model.log().len()),
        ("file_write", case.story.writes.iter().filter(|write| written(write)).count()),
        ("command", checkouts.iter().map(|tree| commands(tree)).sum()),
        ("signature", if imported { signed_commits(case) } else { 0 }),
        ("branch_push", if imported { refs(case, "refs/heads/bailiwick/").len() } else { 0 }),
        ("pull_request_open", pulls.len()),
        ("review_submit", pulls.iter().map(reviews).sum()),
        ("pull_request_merge", if imported { merges(case) } else { 0 }),
    ]);
    if keeps_access_times(case) {
        effects.insert("file_read", case.story.reads.iter().filter(|file| read(file)).count());
    }
    effects
}

/// The pull requests as the forge's files have them.
pub(crate) fn pulls(case: &Case) -> Vec<Value> {
    let folder = case.data.join("forge").join(format!("{}.pulls", super::fixture::REPO));
    let mut paths = children(&folder);
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let read = |path: &PathBuf| -> Value {
        let mut stored: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        stored["pull_request"].take()
    };
    paths.iter().map(read).collect()
}

fn refs(case: &Case, pattern: &str) -> Vec<String> {
    let text = git(&case.forge_git(), &["for-each-ref", "--format=%(refname)", pattern]);
    text.lines().map(str::to_owned).collect()
}

/// Merge commits on the first-parent line of the protected branch.
pub(crate) fn merges(case: &Case) -> usize {
    git(&case.forge_git(), &["rev-list", "--first-parent", "--merges", "main"]).lines().count()
}

/// Commits with one parent, wherever they are reachable from: the ones that were signed alone.
fn signed_commits(case: &Case) -> usize {
    let arguments =
        ["cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectname)"];
    let objects = git(&case.forge_git(), &arguments);
    objects
        .lines()
        .filter_map(|line| line.strip_prefix("commit "))
        .filter(|commit| {
            let parents =
                git(&case.forge_git(), &["rev-list", "--parents", "--max-count=1", commit]);
            parents.split_whitespace().count() == 2
        })
        .count()
}

fn below_work(case: &Case) -> Vec<PathBuf> {
    children(&case.data.join("work"))
}

fn checkouts(case: &Case) -> Vec<PathBuf> {
    let spots = below_work(case).iter().flat_map(|task| children(task)).collect::<Vec<_>>();
    let trees = spots.iter().flat_map(|spot| children(spot)).map(|spot| spot.join("tree"));
    trees.filter(|tree| !children(tree).is_empty()).collect()
}

pub(crate) fn children(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Each command leaves a line in its checkout, or beside it where that is read-only.
fn commands(tree: &Path) -> usize {
    let files = [tree.join("ran"), tree.with_file_name("scratch").join("ran")];
    files.iter().map(|file| fs::read_to_string(file).map_or(0, |text| text.lines().count())).sum()
}

fn was_read(about: &fs::Metadata) -> bool {
    (about.atime(), about.atime_nsec()) > (about.mtime(), about.mtime_nsec())
}

/// Whether a first read can be seen on this file system at all.
fn keeps_access_times(case: &Case) -> bool {
    let probe = case.path("probe");
    fs::write(&probe, "x").unwrap();
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
    let times = fs::FileTimes::new().set_accessed(past).set_modified(past);
    fs::File::options().write(true).open(&probe).unwrap().set_times(times).unwrap();
    drop(fs::read(&probe).unwrap());
    was_read(&fs::metadata(&probe).unwrap())
}

/// What a case left behind on the machine although it is over, in words.
pub(crate) fn leftovers(case: &Case) -> Vec<String> {
    let root = case.root.path().to_str().unwrap();
    let mut found = Vec::new();
    for process in children(Path::new("/proc")) {
        let pid = process.file_name().unwrap().to_str().unwrap().to_owned();
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) || pid == std::process::id().to_string() {
            continue;
        }
        let mounts = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
        let cwd = fs::read_link(process.join("cwd")).unwrap_or_default();
        let command = fs::read(process.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if mounts.contains(root) || cwd.starts_with(root) || command.contains(root) {
            found.push(format!("process {pid}: {command}"));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    found.extend(
        mounts.lines().filter(|line| line.contains(root)).map(|line| format!("mount: {line}")),
    );
    let cgroups: Vec<String> = case.pids().iter().map(|pid| format!("bailiwick-{pid}-")).collect();
    look_for(Path::new("/sys/fs/cgroup"), 4, &cgroups, &mut found);
    let temporary = children(&case.path("tmp"));
    found.extend(temporary.iter().map(|path| format!("temporary file: {}", path.display())));
    let work = below_work(case);
    found.extend(work.iter().map(|path| format!("work directory: {}", path.display())));
    found
}

fn look_for(folder: &Path, depth: usize, names: &[String], found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
    {
        let name = entry.file_name();
        if names.iter().any(|start| name.to_str().is_some_and(|name| name.starts_with(start))) {
            found.push(format!("cgroup: {}", entry.path().display()));
        }
        if depth > 0 {
            look_for(&entry.path(), depth - 1, names, found);
        }
    }
}
