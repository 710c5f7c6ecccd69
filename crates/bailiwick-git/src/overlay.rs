//! One tree with some files of another: what a checkout needs that no commit has.

use std::path::Path;

use bailiwick_model::id::Oid;

use crate::error::GitError;
use crate::name::{RepoPath, TreeId};
use crate::repository::parse_oid;
use crate::run::Git;

/// What stands at a path in place of what the tree has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    /// A file.
    File {
        /// Its content.
        content: Vec<u8>,
        /// Whether it can be run.
        executable: bool,
    },
    /// Nothing.
    Gone,
}

impl Git {
    /// Writes the tree of `commit_or_tree` with other files at some paths. `scratch` is a directory
    /// for its index, which is removed again. What the tree has in the way of a path goes.
    pub fn overlay(
        &self,
        commit_or_tree: &Oid,
        files: &[(RepoPath, Overlay)],
        scratch: &Path,
    ) -> Result<TreeId, GitError> {
        let (index, contents) = (scratch.join("overlay.index"), scratch.join("overlay.files"));
        let written = self.overlay_with(commit_or_tree, files, &index, &contents);
        // what is left there is only what nobody asks for any more
        drop(std::fs::remove_file(&index));
        drop(std::fs::remove_dir_all(&contents));
        written
    }

    /// Writes contents as blobs, all by one process: there can be hundreds of them.
    fn write_blobs(&self, contents: &[&[u8]], folder: &Path) -> Result<Vec<Oid>, GitError> {
        let io = |source| GitError::Io { doing: "write to", path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(io)?;
        let folder = std::fs::canonicalize(folder).map_err(io)?;
        let mut paths = Vec::new();
        for (number, content) in contents.iter().enumerate() {
            let path = folder.join(number.to_string());
            std::fs::write(&path, content).map_err(|source| GitError::Io {
                doing: "write",
                path: path.clone(),
                source,
            })?;
            paths.extend_from_slice(path.as_os_str().as_encoded_bytes());
            paths.push(b'\n');
        }
        let written = self
            .command(["hash-object", "-w", "--no-filters", "--stdin-paths"])
            .input(paths)
            .run()?;
        let lines = written.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| parse_oid("hash-object", line)).collect()
    }

    fn overlay_with(
        &self,
        commit_or_tree: &Oid,
        files: &[(RepoPath, Overlay)],
        index: &Path,
        contents: &Path,
    ) -> Result<TreeId, GitError> {
        self.command(["read-tree"]).arg(commit_or_tree.as_str()).index(index).run()?;
        let mut lines = Vec::new();
        let mut add = |head: &str, path: &RepoPath| {
            lines.extend_from_slice(head.as_bytes());
            lines.push(b'\t');
            lines.extend_from_slice(path.as_bytes());
            lines.push(0);
        };
        let bytes: Vec<&[u8]> = files
            .iter()
            .filter_map(|(_, overlay)| match overlay {
                Overlay::File { content, .. } => Some(content.as_slice()),
                Overlay::Gone => None,
            })
            .collect();
        let blobs = if bytes.is_empty() { Vec::new() } else { self.write_blobs(&bytes, contents)? };
        if blobs.len() != bytes.len() {
            let source = std::io::Error::other("git did not write every file");
            return Err(GitError::Io { doing: "write to", path: contents.to_owned(), source });
        }
        let mut blobs = blobs.into_iter();
        for (path, overlay) in files {
            match overlay {
                Overlay::File { executable, .. } => {
                    let Some(blob) = blobs.next() else { continue };
                    let mode = if *executable { "100755" } else { "100644" };
                    add(&format!("{mode} {blob} 0"), path);
                }
                // mode 0 takes an entry out
                Overlay::Gone => add(&format!("0 {} 0", "0".repeat(40)), path),
            }
        }
        if !lines.is_empty() {
            let warnings = self
                .command(["update-index", "-z", "--replace", "--index-info"])
                .index(index)
                .input(lines)
                .run_warnings()?;
            // git leaves such a name out and says so, but succeeds
            if warnings.contains("Ignoring path ") {
                return Err(GitError::ForbiddenName { stderr: warnings });
            }
        }
        let tree = self.command(["write-tree"]).index(index).run()?;
        parse_oid("write-tree", &tree).map(TreeId::new)
    }
}
