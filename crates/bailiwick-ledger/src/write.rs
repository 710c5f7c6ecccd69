//! The writer of a ledger directory.
//!
//! What a checkpoint covers is never touched again, apart from partial files which a later
//! checkpoint supersedes. Everything beyond the checkpoint is provisional: a crash may leave it in
//! any state, opening drops it, and the caller (who has the records) writes it again. So the order
//! is always: records, bundles and tiles durable; checkpoint renamed; superseded files removed.

mod files;
mod open;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::disk::Disk;
use crate::hash::Hash;
use crate::layout::{LedgerFile, WIDTH, low_byte, partial_files};
use crate::log_key::LogKey;
use crate::record::{Leaf, Record, RecordError};
use crate::tiles::{TileStack, tile_bytes};
use crate::tree::TreeHead;

/// How many bytes of finished files are held back before they are written.
const SPILL_BYTES: usize = 8 << 20;

/// A ledger cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file operation failed.
    #[error("cannot {action} `{path}`", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another writer has the ledger open.
    #[error("the ledger `{dir}` is in use by another process", dir = dir.display())]
    InUse {
        /// The ledger.
        dir: PathBuf,
    },
    /// The ledger was written with another key.
    #[error("the ledger belongs to another key than `{name}`")]
    WrongKey {
        /// The name of the key that was given.
        name: String,
    },
    /// The checkpoint is missing though there are entries, or does not hold.
    #[error("the ledger `{dir}` has no valid checkpoint", dir = dir.display())]
    Checkpoint {
        /// The ledger.
        dir: PathBuf,
        /// What is wrong with it; nothing when it is missing.
        #[source]
        source: Option<CheckpointError>,
    },
    /// The files do not add up to the checkpoint.
    #[error("the ledger is damaged at `{file}`")]
    Damaged {
        /// The file, relative to the ledger.
        file: String,
    },
    /// Records are missing between those on disk and those given.
    #[error("entry {first_index} does not follow on a ledger of {size} entries")]
    Gap {
        /// The first index given.
        first_index: u64,
        /// The size on disk.
        size: u64,
    },
    /// A record differs from the one that is on disk already.
    #[error("entry {index} is already in the ledger with other content")]
    Conflict {
        /// Which entry.
        index: u64,
    },
    /// A record is not one that the ledger keeps.
    #[error("entry {index} cannot be recorded")]
    Record {
        /// Which entry.
        index: u64,
        /// What is wrong with it.
        #[source]
        source: RecordError,
    },
    /// An earlier write failed half way.
    #[error("the ledger was not written completely before")]
    Interrupted,
}

impl LedgerError {
    /// Says what to do next, where there is something.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::InUse { .. } => Some("stop the other process, or use another data directory"),
            Self::WrongKey { .. } => Some("restore the key file that belongs to this ledger"),
            Self::Checkpoint { .. } | Self::Damaged { .. } | Self::Conflict { .. } => Some(
                "run `bailiwick ledger verify` on it; keep the damaged directory as evidence and write a new one from the store",
            ),
            Self::Interrupted => Some("open the ledger again and write what is missing"),
            Self::Io { .. } | Self::Gap { .. } | Self::Record { .. } => None,
        }
    }
}

/// The result of an operation on a ledger directory.
type Result<T> = std::result::Result<T, LedgerError>;

/// A ledger directory open for writing, by this process alone.
///
/// After an error from [`write`](Self::write) or [`publish_checkpoint`](Self::publish_checkpoint)
/// that concerns a file it refuses to go on: open it again and write what is missing.
#[derive(Debug)]
pub struct LedgerDir {
    dir: PathBuf,
    key: LogKey,
    published: Checkpoint,
    tiles: TileStack,
    chunk: Chunk,
    queue: Queue,
    disk: Disk,
    interrupted: bool,
    /// Held for the advisory lock on the directory.
    _lock: File,
}

/// The entries of the last, unfinished bundle.
#[derive(Debug, Default)]
struct Chunk {
    leaves: Vec<Leaf>,
    /// How many bytes of its records are in the file or in the queue.
    events_bytes: u64,
    /// The lines that are in neither.
    lines: Vec<u8>,
}

/// Finished files, or ends of files, on their way to disk.
#[derive(Debug, Default)]
struct Queue {
    writes: Vec<Write>,
    bytes: usize,
}

#[derive(Debug)]
struct Write {
    file: LedgerFile,
    offset: u64,
    bytes: Vec<u8>,
}

impl Queue {
    fn push(&mut self, file: LedgerFile, offset: u64, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        self.writes.push(Write { file, offset, bytes });
    }
}

impl LedgerDir {
    /// Opens the ledger in `dir`, or makes an empty one with a signed checkpoint.
    ///
    /// Whatever lies beyond the checkpoint (from a crash, or never published) is dropped, as are
    /// superseded and temporary files; [`size_on_disk`](Self::size_on_disk) then says where to
    /// write on. Files that no ledger has are left alone. The right edge of the tree is checked
    /// against the checkpoint; only the verifier looks at everything.
    ///
    /// # Errors
    /// Another process has it open, the key is another, the checkpoint does not hold, the right
    /// edge is damaged, or a file operation fails.
    pub fn open(dir: &Path, key: LogKey) -> Result<Self> {
        Self::open_on(dir, key, Disk::default())
    }

    /// Returns how many entries the ledger holds, published or not: the next index to write.
    pub const fn size_on_disk(&self) -> u64 {
        self.tiles.size()
    }

    /// Returns the root over these entries.
    pub fn root(&self) -> Hash {
        self.tiles.root()
    }

    /// Returns the checkpoint that was published last.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.published
    }

    /// Returns the key that auditors need.
    pub const fn key(&self) -> &LogKey {
        &self.key
    }

    /// Appends records, the first of which is entry `first_index`.
    ///
    /// Records that are there already are compared and skipped. What is appended is provisional
    /// until the next checkpoint, and may still be in memory.
    ///
    /// # Errors
    /// `first_index` leaves a gap, a record differs from the one that is there (nothing is
    /// appended then), a record is malformed (those before it are appended), or a file operation
    /// fails.
    pub fn write(&mut self, first_index: u64, records: &[Record]) -> Result<()> {
        self.check_usable()?;
        let size = self.size_on_disk();
        if first_index > size {
            return Err(LedgerError::Gap { first_index, size });
        }
        let known = usize::try_from(size - first_index).unwrap_or(usize::MAX).min(records.len());
        let (known, fresh) = records.split_at(known);
        if !known.is_empty() {
            self.flush()?;
            self.compare(first_index, known)?;
        }
        for record in fresh {
            self.append(record)?;
        }
        Ok(())
    }

    /// Makes everything that was written durable and signs a checkpoint over it.
    ///
    /// # Errors
    /// A file operation fails; the former checkpoint then still holds.
    pub fn publish_checkpoint(&mut self) -> Result<Checkpoint> {
        self.check_usable()?;
        let head = TreeHead { size: self.tiles.size(), root: self.tiles.root() };
        if head == self.published.head() {
            return Ok(self.published.clone());
        }
        self.chunk_to_queue();
        let size = head.size;
        for (file, hashes) in self.tiles.partial_tiles() {
            // A tile that the former checkpoint has is the same in both, and must not be touched
            // while that checkpoint is the only one.
            if !file.belongs_to(self.published.size) {
                self.queue.push(file, 0, tile_bytes(hashes));
            }
        }
        if !self.chunk.leaves.is_empty() {
            let file = LedgerFile::Entries {
                index: size / u64::from(WIDTH),
                width: u16::from(low_byte(size)),
            };
            self.queue.push(file, 0, bundle_bytes(&self.chunk.leaves));
        }
        self.write_queue()?;
        self.guarded("sync", |ledger| ledger.disk.sync_folders())?;
        let checkpoint = Checkpoint::new(self.key.verifier(), head);
        self.guarded("write the checkpoint of", |ledger| {
            let note = checkpoint.sign(&ledger.key);
            let path = ledger.dir.join(LedgerFile::Checkpoint.path());
            ledger.disk.replace(&ledger.dir, &path, note.as_bytes())
        })?;
        let before = std::mem::replace(&mut self.published, checkpoint.clone());
        self.guarded("tidy up", |ledger| {
            let superseded = partial_files(before.size).into_iter().filter(|f| !f.belongs_to(size));
            for file in superseded {
                let path = ledger.dir.join(file.path());
                ledger.disk.remove_file(&path)?;
                if let Some(folder) = path.parent() {
                    ledger.disk.remove_empty_folder(folder)?;
                }
            }
            Ok(())
        })?;
        Ok(checkpoint)
    }

    const fn check_usable(&self) -> Result<()> {
        if self.interrupted { Err(LedgerError::Interrupted) } else { Ok(()) }
    }

    /// Runs a file operation after which, if it fails, memory and disk may no longer agree.
    fn guarded(
        &mut self,
        action: &'static str,
        run: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> Result<()> {
        run(self).map_err(|source| {
            self.interrupted = true;
            LedgerError::Io { action, path: self.dir.clone(), source }
        })
    }

    fn append(&mut self, record: &Record) -> Result<()> {
        let index = self.tiles.size();
        record.blob_references().map_err(|source| LedgerError::Record { index, source })?;
        let leaf = record.leaf();
        self.chunk.leaves.push(leaf);
        self.chunk.lines.extend_from_slice(&record.to_line());
        self.chunk.lines.push(b'\n');
        let mut full = Vec::new();
        self.tiles.push(leaf.hash(), |tile| {
            let file = LedgerFile::Tile { level: tile.level, index: tile.index, width: WIDTH };
            full.push((file, tile_bytes(tile.hashes)));
        });
        if !full.is_empty() {
            self.chunk_to_queue();
            let index = index / u64::from(WIDTH);
            let bundle = bundle_bytes(&std::mem::take(&mut self.chunk.leaves));
            self.queue.push(LedgerFile::Entries { index, width: WIDTH }, 0, bundle);
            for (file, bytes) in full {
                self.queue.push(file, 0, bytes);
            }
            self.chunk.events_bytes = 0;
        }
        if self.queue.bytes + self.chunk.lines.len() > SPILL_BYTES { self.flush() } else { Ok(()) }
    }

    /// Queues the lines of the unfinished bundle.
    fn chunk_to_queue(&mut self) {
        let lines = std::mem::take(&mut self.chunk.lines);
        if lines.is_empty() {
            return;
        }
        let bytes = lines.len();
        // The tile stack may have counted the last entry of this bundle already.
        let index = self.tiles.size().saturating_sub(1) / u64::from(WIDTH);
        self.queue.push(LedgerFile::Events { index }, self.chunk.events_bytes, lines);
        self.chunk.events_bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    fn flush(&mut self) -> Result<()> {
        self.chunk_to_queue();
        self.write_queue()
    }

    fn write_queue(&mut self) -> Result<()> {
        for write in std::mem::take(&mut self.queue).writes {
            let path = self.dir.join(write.file.path());
            self.guarded("write", |ledger| {
                if let Some(folder) = path.parent() {
                    ledger.disk.create_folder(&ledger.dir, folder)?;
                }
                ledger.disk.write_at(&path, write.offset, &write.bytes)
            })
            .map_err(|error| match error {
                LedgerError::Io { action, source, .. } => {
                    LedgerError::Io { action, path: path.clone(), source }
                }
                other => other,
            })?;
        }
        Ok(())
    }

    /// Compares records with the lines on disk.
    fn compare(&self, first_index: u64, records: &[Record]) -> Result<()> {
        let mut reader = None;
        for (index, record) in (first_index..).zip(records) {
            let file = LedgerFile::Events { index: index / u64::from(WIDTH) };
            let path = self.dir.join(file.path());
            let io = |source| LedgerError::Io { action: "read", path: path.clone(), source };
            let reader = match &mut reader {
                Some(reader) if low_byte(index) != 0 => reader,
                reader => {
                    let mut lines = BufReader::new(File::open(&path).map_err(io)?);
                    for _ in 0..low_byte(index) {
                        lines.skip_until(b'\n').map_err(io)?;
                    }
                    reader.insert(lines)
                }
            };
            let mut line = Vec::new();
            reader.read_until(b'\n', &mut line).map_err(io)?;
            if line.strip_suffix(b"\n") != Some(record.to_line().as_slice()) {
                return Err(LedgerError::Conflict { index });
            }
        }
        Ok(())
    }
}

/// Writes leaves as they stand in an entry bundle.
fn bundle_bytes(leaves: &[Leaf]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(leaves.len() * (Leaf::BYTES + 2));
    for leaf in leaves {
        bytes.extend_from_slice(&crate::verify::LEAF_LENGTH);
        bytes.extend_from_slice(leaf.as_bytes());
    }
    bytes
}
