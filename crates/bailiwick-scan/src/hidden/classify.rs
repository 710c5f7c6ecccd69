//! Which characters are hidden, and when that is honest.

use super::HiddenKind;

/// The kind of a hidden character; `None` for what is plainly visible.
pub(crate) fn class_of(character: char) -> Option<HiddenKind> {
    let kind = match u32::from(character) {
        0x09 | 0x0A | 0x0C | 0x0D => return None,
        0x00..=0x1F | 0x7F..=0x9F => HiddenKind::Control,
        0xAD
        | 0x034F
        | 0x115F
        | 0x1160
        | 0x17B4
        | 0x17B5
        | 0x180B..=0x180F
        | 0x200B..=0x200D
        | 0x2060..=0x2064
        | 0x3164
        | 0xFEFF
        | 0xFFA0
        | 0x1D173..=0x1D17A => HiddenKind::ZeroWidth,
        0x061C | 0x200E | 0x200F | 0x202A..=0x202E | 0x2066..=0x2069 => HiddenKind::BidiControl,
        0x2028 | 0x2029 | 0x206A..=0x206F | 0xFFF9..=0xFFFB => HiddenKind::Format,
        0xFE00..=0xFE0F | 0xE0100..=0xE01EF => HiddenKind::VariationSelector,
        0xE0000..=0xE007F => HiddenKind::Tag,
        0xE000..=0xF8FF | 0xF0000..=0x10FFFF => HiddenKind::PrivateUse,
        point if point & 0xFFFE == 0xFFFE || (0xFDD0..=0xFDEF).contains(&point) => {
            HiddenKind::PrivateUse
        }
        _ => return None,
    };
    Some(kind)
}

/// Whether a hidden character stands where a person's text has it.
pub(super) fn is_honest_use(
    text: &str,
    at: usize,
    character: char,
    previous: Option<char>,
    next: Option<char>,
) -> bool {
    match u32::from(character) {
        0xFEFF => at == 0,
        // joiners shape emoji and the letters of scripts such as Persian and Devanagari
        0x200C | 0x200D => {
            previous.is_some_and(|c| is_pictograph(c) || is_shaped(c) || c == '\u{FE0F}')
                && next.is_some_and(|c| is_pictograph(c) || is_shaped(c))
        }
        // the marks (not the overrides) are part of ordinary right-to-left text
        0x200E | 0x200F | 0x061C => [previous, next].into_iter().flatten().any(is_right_to_left),
        // one selector after a character that has variants
        0xFE00..=0xFE0F => previous.is_some_and(|c| is_pictograph(c) || is_keycap(c) || is_han(c)),
        0xE0100..=0xE01EF => previous.is_some_and(is_han),
        0xE0020..=0xE007F => in_flag(text, at),
        _ => false,
    }
}

/// Whether the tag character at `at` belongs to the flag of England, Scotland or Wales: a black
/// flag, `gbeng`, `gbsct` or `gbwls` in tags, and the terminator.
fn in_flag(text: &str, at: usize) -> bool {
    const FLAGS: [&str; 3] = ["gbeng", "gbsct", "gbwls"];
    // a whole flag is one black flag and six tags of four bytes each
    let from = at.saturating_sub(6 * 4);
    let window = (from..=at)
        .rev()
        .find_map(|start| text.get(start..).filter(|rest| rest.starts_with('\u{1F3F4}')));
    let Some(window) = window else { return false };
    let mut tags = window.chars().skip(1);
    let name: String = tags.by_ref().take(5).filter_map(tag_to_ascii).collect();
    FLAGS.contains(&name.as_str()) && tags.next() == Some('\u{E007F}')
}

/// The ASCII character that a tag character mirrors.
pub(crate) fn tag_to_ascii(character: char) -> Option<char> {
    let point = u32::from(character);
    (0xE0020..=0xE007E).contains(&point).then(|| char::from_u32(point - 0xE0000)).flatten()
}

/// The byte that a variation selector can carry: 0–15 in the first block, 16–255 in the other.
pub(super) fn selector_to_byte(character: char) -> Option<u8> {
    let point = u32::from(character);
    let value = match point {
        0xFE00..=0xFE0F => point - 0xFE00,
        0xE0100..=0xE01EF => point - 0xE0100 + 16,
        _ => return None,
    };
    u8::try_from(value).ok()
}

fn is_pictograph(character: char) -> bool {
    matches!(u32::from(character),
        0xA9 | 0xAE | 0x203C | 0x2049 | 0x2122 | 0x2139 | 0x2190..=0x21FF | 0x2300..=0x27BF
        | 0x2900..=0x297F | 0x2B00..=0x2BFF | 0x3030 | 0x303D | 0x3297 | 0x3299
        | 0x1F000..=0x1FAFF)
}

fn is_keycap(character: char) -> bool {
    character.is_ascii_digit() || matches!(character, '#' | '*')
}

fn is_han(character: char) -> bool {
    matches!(u32::from(character), 0x2E80..=0x2FDF | 0x3000..=0x30FF | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0xFF00..=0xFF60 | 0x20000..=0x323AF)
}

/// Scripts in which joiners change how letters are shaped: Arabic to Sinhala, Mongolian, and the
/// other Indic blocks.
fn is_shaped(character: char) -> bool {
    matches!(u32::from(character), 0x0600..=0x0DFF | 0x0F00..=0x109F | 0x1780..=0x18AF
        | 0xA840..=0xA8FF | 0xFB50..=0xFDFF | 0xFE70..=0xFEFC | 0x11000..=0x1135F)
}

fn is_right_to_left(character: char) -> bool {
    matches!(u32::from(character), 0x0590..=0x08FF | 0xFB1D..=0xFDFF | 0xFE70..=0xFEFC
        | 0x10800..=0x10FFF | 0x1E800..=0x1EFFF)
}

/// The word being read, to see whether it mixes Latin with look-alikes.
#[derive(Debug, Default)]
pub(super) struct Word {
    start: Option<usize>,
    latin: bool,
    look_alike: bool,
    other: bool,
}

impl Word {
    /// Takes one character; yields the extent of the word that it ended, if that one is mixed.
    pub(super) fn advance(&mut self, at: usize, character: char) -> Option<(usize, usize)> {
        if !character.is_alphanumeric() && character != '_' {
            return self.finish(at);
        }
        self.start.get_or_insert(at);
        if character.is_ascii_alphabetic() {
            self.latin = true;
        } else if latin_look_alike(character).is_some() {
            self.look_alike = true;
        } else if matches!(u32::from(character), 0x0370..=0x052F) {
            // a letter of the other script with no Latin twin: honest words such as `μm` or a
            // Latin stem with a Cyrillic ending
            self.other = true;
        }
        None
    }

    /// Ends the word at `end`.
    pub(super) fn finish(&mut self, end: usize) -> Option<(usize, usize)> {
        let word = std::mem::take(self);
        let start = word.start?;
        (word.latin && word.look_alike && !word.other).then_some((start, end))
    }
}

/// The Latin letter that a Cyrillic, Greek or full-width letter is drawn like.
pub(crate) fn latin_look_alike(character: char) -> Option<char> {
    let latin = match character {
        'а' | 'α' => 'a',
        'В' | 'Β' => 'B',
        'с' | 'ϲ' => 'c',
        'С' | 'Ϲ' => 'C',
        'ԁ' => 'd',
        'е' => 'e',
        'Е' | 'Ε' => 'E',
        'А' | 'Α' => 'A',
        'һ' => 'h',
        'Н' | 'Η' => 'H',
        'і' | 'ι' => 'i',
        'І' | 'Ι' => 'I',
        'ј' | 'ϳ' => 'j',
        'Ј' => 'J',
        'К' | 'Κ' => 'K',
        'М' | 'Μ' => 'M',
        'Ν' => 'N',
        'о' | 'ο' => 'o',
        'О' | 'Ο' => 'O',
        'р' | 'ρ' => 'p',
        'Р' | 'Ρ' => 'P',
        'ԛ' => 'q',
        'ѕ' => 's',
        'Ѕ' => 'S',
        'Т' | 'Τ' => 'T',
        'ν' => 'v',
        'ԝ' => 'w',
        'х' | 'χ' => 'x',
        'Х' | 'Χ' => 'X',
        'у' => 'y',
        'У' | 'Υ' => 'Y',
        'Ζ' => 'Z',
        '\u{FF21}'..='\u{FF3A}' | '\u{FF41}'..='\u{FF5A}' => {
            char::from_u32(u32::from(character) - 0xFEE0)?
        }
        _ => return None,
    };
    Some(latin)
}
