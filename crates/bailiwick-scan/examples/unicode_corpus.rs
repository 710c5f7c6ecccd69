//! Looks for hidden text in every file below a folder, and says in which it is found.

use bailiwick_scan::find_hidden;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && entry.file_name() != ".git" {
            files(&entry.path(), found)?;
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a measurement speaks on standard output")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name the corpus")?);
    let mut paths = Vec::new();
    files(&folder, &mut paths)?;
    paths.sort();
    let (mut all, mut with) = (0, 0);
    for path in &paths {
        let Ok(text) = String::from_utf8(std::fs::read(path)?) else { continue };
        all += 1;
        let kinds: BTreeSet<&str> =
            find_hidden(&text).iter().map(|found| found.kind.as_str()).collect();
        if !kinds.is_empty() {
            with += 1;
        }
        let kinds: Vec<&str> = kinds.into_iter().collect();
        println!("{:<60} {}", path.strip_prefix(&folder)?.display(), kinds.join(" "));
    }
    println!("\n{with} of {all} text files have hidden text");
    Ok(())
}
