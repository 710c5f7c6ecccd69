//! A fuzzer for where libFuzzer cannot be built: it changes the seeds at random, with no feedback
//! from the code. `mutate SEEDS TARGET SECONDS [SEED]`; what breaks a target is left in
//! `SEEDS/../artifacts/TARGET`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

/// A small generator of numbers, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap_or(1)).unwrap_or_default()
    }
}

/// Pieces that mean something to one reader or another.
const PIECES: [&str; 24] = [
    "\n",
    " ",
    "\"",
    "'",
    "$(",
    ")",
    "`",
    "{",
    "}",
    "<<E\n",
    "\0",
    "====\n",
    "data: ",
    "event: ",
    "@@ -1,1 +1,1 @@\n",
    "0000",
    "[]",
    "null",
    "-1",
    "18446744073709551615",
    "\u{202e}",
    "../",
    ";",
    "|",
];

fn mutated(seeds: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = seeds.get(numbers.below(seeds.len())).cloned().unwrap_or_default();
    for _ in 0..=numbers.below(6) {
        let at = numbers.below(bytes.len() + 1);
        match numbers.below(6) {
            0 => bytes.truncate(at),
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << numbers.below(8);
                }
            }
            2 => {
                let piece = PIECES.get(numbers.below(PIECES.len())).copied().unwrap_or_default();
                bytes.splice(at..at, piece.bytes());
            }
            3 => {
                let end = (at + numbers.below(16)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + numbers.below(64)).min(bytes.len());
                let copy: Vec<u8> = bytes.get(at..end).unwrap_or_default().to_vec();
                let to = numbers.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            _ => {
                let other = seeds.get(numbers.below(seeds.len())).cloned().unwrap_or_default();
                let from = numbers.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend(other.get(from..).unwrap_or_default());
            }
        }
    }
    bytes.truncate(1 << 15);
    bytes
}

#[expect(clippy::print_stdout, reason = "a development tool says what it did")]
fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [seeds, name, seconds, rest @ ..] = arguments.as_slice() else {
        println!("usage: mutate SEEDS TARGET SECONDS [SEED]");
        return ExitCode::FAILURE;
    };
    let (Some(target), Ok(seconds)) = (fuzz_targets::target(name), seconds.parse()) else {
        println!("no such target, or no number of seconds");
        return ExitCode::FAILURE;
    };
    let directory = Path::new(seeds).join(name);
    let files: Vec<PathBuf> = fs::read_dir(&directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    let inputs: Vec<Vec<u8>> = files.iter().filter_map(|path| fs::read(path).ok()).collect();
    let seed = rest.first().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
    let mut numbers = Numbers(seed.max(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let (start, limit) = (Instant::now(), Duration::from_secs(seconds));
    let (mut runs, mut longest) = (0_u64, Duration::ZERO);
    while start.elapsed() < limit {
        let bytes = mutated(&inputs, &mut numbers);
        let began = Instant::now();
        let read = std::panic::catch_unwind(|| (target.read)(&bytes));
        longest = longest.max(began.elapsed());
        runs += 1;
        if read.is_err() {
            let artifacts = directory.with_file_name("..").join("artifacts").join(name);
            let file = artifacts.join(format!("panic-{runs}"));
            let kept = fs::create_dir_all(&artifacts).and_then(|()| fs::write(&file, &bytes));
            println!("{name}: panic after {runs} runs; kept: {}, {}", kept.is_ok(), file.display());
            return ExitCode::FAILURE;
        }
    }
    println!(
        "{name}: {runs} runs from {} seeds, the longest took {longest:?}, nothing broke",
        inputs.len()
    );
    ExitCode::SUCCESS
}
