//! Secrets that are wrapped in base 64: `kubectl get secret`, configuration in an environment.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const LOOSE: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LOOSE);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LOOSE);

/// Shortest run that is decoded.
const LEAST: usize = 32;
/// Longest run that is decoded.
const MOST: usize = 1 << 20;

/// Runs of base 64 that decode to text, each as start, end and what it decodes to.
pub(super) fn texts(bytes: &[u8]) -> Vec<(usize, usize, Vec<u8>)> {
    let mut found = Vec::new();
    let mut start = 0;
    for end in 0..=bytes.len() {
        let inside =
            bytes.get(end).is_some_and(|byte| IS_BASE64.get(usize::from(*byte)) == Some(&true));
        if inside {
            continue;
        }
        if end - start >= LEAST
            && end - start <= MOST
            && let Some(run) = bytes.get(start..end)
            && let Some(text) = decode(run)
        {
            // the padding belongs to the run
            let padding = bytes
                .get(end..)
                .unwrap_or_default()
                .iter()
                .take(2)
                .take_while(|b| **b == b'=')
                .count();
            found.push((start, end + padding, text));
        }
        start = end + 1;
    }
    found
}

/// The characters of both alphabets, without the padding.
static IS_BASE64: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        let inside = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
        #[expect(
            clippy::indexing_slicing,
            reason = "a byte is less than 256, checked at compile time"
        )]
        #[expect(clippy::as_conversions, reason = "`From` is not const")]
        {
            table[byte as usize] = inside;
        }
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

/// Decodes base 64 of any kind, whatever it decodes to.
pub(super) fn decode_any(run: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(run).or_else(|_| URL_SAFE.decode(run)).ok()
}

fn decode(run: &[u8]) -> Option<Vec<u8>> {
    let engine =
        if run.iter().any(|byte| matches!(byte, b'-' | b'_')) { URL_SAFE } else { STANDARD };
    // most runs are identifiers or paths: their first bytes tell
    let head = engine.decode(run.get(..16)?).ok()?;
    if !head.iter().copied().all(is_text) {
        return None;
    }
    let usable = run.len() - usize::from(run.len() % 4 == 1);
    let decoded = engine.decode(run.get(..usable)?).ok()?;
    let odd = decoded.iter().filter(|byte| !is_text(**byte)).count();
    (odd * 50 <= decoded.len()).then_some(decoded)
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7E)
}
