//! Opening: finds where the checkpoint ends, drops what lies beyond it, and picks up the right
//! edge of the tree.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use super::{Chunk, LedgerDir, LedgerError, Queue, Result};
use crate::checkpoint::Checkpoint;
use crate::disk::Disk;
use crate::hash::Hash;
use crate::layout::{LedgerFile, WIDTH, low_byte, width_at};
use crate::log_key::LogKey;
use crate::record::{Leaf, Record};
use crate::tiles::{DirHashes, TileStack};
use crate::tree::TreeHead;

impl LedgerDir {
    pub(super) fn open_on(dir: &Path, key: LogKey, mut disk: Disk) -> Result<Self> {
        let io = |action| move |source| LedgerError::Io { action, path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(io("create"))?;
        let lock = File::open(dir).map_err(io("open"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => LedgerError::InUse { dir: dir.to_owned() },
            TryLockError::Error(source) => io("lock")(source),
        })?;
        check_key(dir, &key)?;
        let published = match read_checkpoint(dir, &key)? {
            Some(published) => published,
            None => create(dir, &key, &mut disk).map_err(io("create"))?,
        };
        super::files::drop_beyond(&mut disk, dir, published.size).map_err(io("tidy up"))?;
        let (tiles, chunk) = read_edge(&mut disk, dir, published.size)?;
        if tiles.root() != published.root {
            return Err(LedgerError::Damaged { file: LedgerFile::Checkpoint.path() });
        }
        Ok(Self {
            dir: dir.to_owned(),
            key,
            published,
            tiles,
            chunk,
            queue: Queue::default(),
            disk,
            interrupted: false,
            _lock: lock,
        })
    }
}

/// Refuses a ledger that another key was used for.
fn check_key(dir: &Path, key: &LogKey) -> Result<()> {
    let path = dir.join(LedgerFile::Key.path());
    match fs::read_to_string(&path) {
        Ok(text) if text == key_text(key) => Ok(()),
        Ok(_) => Err(LedgerError::WrongKey { name: key.verifier().name().to_string() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(LedgerError::Io { action: "read", path, source }),
    }
}

fn key_text(key: &LogKey) -> String {
    format!("{}\n", key.verifier())
}

/// Reads the checkpoint; none is only in order where there is no entry yet.
fn read_checkpoint(dir: &Path, key: &LogKey) -> Result<Option<Checkpoint>> {
    let invalid = |source| LedgerError::Checkpoint { dir: dir.to_owned(), source };
    let path = dir.join(LedgerFile::Checkpoint.path());
    match fs::read_to_string(&path) {
        Ok(note) => {
            let key_path = dir.join(LedgerFile::Key.path());
            // The key is written before the first checkpoint, so it was taken away.
            if !key_path.is_file() {
                return Err(LedgerError::Damaged { file: LedgerFile::Key.path() });
            }
            Checkpoint::open(&note, key.verifier()).map(Some).map_err(|error| invalid(Some(error)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // The empty ledger is signed before its first record is written, so records without
            // a checkpoint mean that it was taken away; signing anew would hide that.
            if dir.join("events").exists() || dir.join("tile").exists() {
                return Err(invalid(None));
            }
            Ok(None)
        }
        Err(source) => Err(LedgerError::Io { action: "read", path, source }),
    }
}

/// Writes the key and the checkpoint of an empty ledger.
fn create(dir: &Path, key: &LogKey, disk: &mut Disk) -> io::Result<Checkpoint> {
    let head = TreeHead { size: 0, root: Hash::empty_tree() };
    let checkpoint = Checkpoint::new(key.verifier(), head);
    disk.replace(dir, &dir.join(LedgerFile::Key.path()), key_text(key).as_bytes())?;
    let note = checkpoint.sign(key);
    disk.replace(dir, &dir.join(LedgerFile::Checkpoint.path()), note.as_bytes())?;
    Ok(checkpoint)
}

/// Reads the unfinished tiles and the unfinished bundle of a ledger of `size` entries.
fn read_edge(disk: &mut Disk, dir: &Path, size: u64) -> Result<(TileStack, Chunk)> {
    let chunk = read_chunk(disk, dir, size)?;
    let hashes = DirHashes::new(dir, size);
    let mut levels = vec![chunk.leaves.iter().map(Leaf::hash).collect::<Vec<_>>()];
    for level in 1..8_u8 {
        let before = size >> (8 * u32::from(level));
        if before == 0 {
            break;
        }
        let index = before / u64::from(WIDTH);
        let tile = match width_at(size, level, index) {
            Some(width) => hashes.tile(level, index).map_err(|_| LedgerError::Damaged {
                file: LedgerFile::Tile { level, index, width }.path(),
            })?,
            None => Vec::new(),
        };
        levels.push(tile);
    }
    Ok((TileStack::resume(size, levels), chunk))
}

/// Reads the records of the last, unfinished bundle and cuts off the lines after them.
fn read_chunk(disk: &mut Disk, dir: &Path, size: u64) -> Result<Chunk> {
    let mut chunk = Chunk::default();
    if low_byte(size) == 0 {
        return Ok(chunk);
    }
    let file = LedgerFile::Events { index: size / u64::from(WIDTH) }.path();
    let path = dir.join(&file);
    let io = |action| {
        let path = path.clone();
        move |source| LedgerError::Io { action, path, source }
    };
    let opened = File::open(&path).map_err(io("read"))?;
    let length = opened.metadata().map_err(io("read"))?.len();
    let mut reader = BufReader::new(opened);
    for _ in 0..low_byte(size) {
        let mut line = Vec::new();
        let read = reader.read_until(b'\n', &mut line).map_err(io("read"))?;
        let record = line.strip_suffix(b"\n").and_then(|line| Record::split_line(line).ok());
        let record = record.ok_or_else(|| LedgerError::Damaged { file: file.clone() })?;
        chunk.leaves.push(record.leaf());
        chunk.events_bytes += u64::try_from(read).unwrap_or(u64::MAX);
    }
    if length > chunk.events_bytes {
        disk.truncate(&path, chunk.events_bytes).map_err(io("truncate"))?;
    }
    Ok(chunk)
}
