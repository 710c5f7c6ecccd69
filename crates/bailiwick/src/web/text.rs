//! Text that agents, repositories and models wrote, made fit for a page.
//!
//! `maud` escapes markup. What is left are characters that change how text *around* them reads:
//! terminal escapes and other controls, and the bidirectional ones of "Trojan Source"
//! (CVE-2021-42574). They are shown by name. Nothing is ever made a link or an image, so that
//! reading a page sends nothing anywhere.

use bailiwick_model::text::is_hidden;
use maud::{Markup, html};

/// The most that a page shows of one text, in bytes; the rest is a download away.
pub(crate) const SHOWN_BYTES: usize = 16 * 1024;

fn name_of(c: char) -> String {
    match c {
        '\u{1b}' => "␛".to_owned(),
        '\r' => "␍".to_owned(),
        '\0' => "␀".to_owned(),
        other => format!("U+{:04X}", u32::from(other)),
    }
}

/// The pieces of a text: what is shown as it is, and what is shown by name.
fn pieces(text: &str) -> Vec<Result<&str, String>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        if is_hidden(c) {
            if let Some(plain) = text.get(start..at).filter(|plain| !plain.is_empty()) {
                pieces.push(Ok(plain));
            }
            pieces.push(Err(name_of(c)));
            start = at + c.len_utf8();
        }
    }
    if let Some(plain) = text.get(start..).filter(|plain| !plain.is_empty()) {
        pieces.push(Ok(plain));
    }
    pieces
}

/// Text for the page, isolated from what stands around it.
pub(crate) fn shown(text: &str) -> Markup {
    html! {
        bdi {
            @for piece in pieces(text) {
                @match piece {
                    Ok(plain) => { (plain) }
                    Err(name) => { span.ctl title="a character that does not show by itself" { (name) } }
                }
            }
        }
    }
}

/// The beginning of a text, at most `bytes` long and cut between characters.
pub(crate) fn beginning(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let mut end = bytes;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// A long text in a box: its beginning, and how much is left out.
pub(crate) fn log(text: &str) -> Markup {
    let head = beginning(text, SHOWN_BYTES);
    html! {
        pre.log tabindex="0" { (shown(head)) }
        @if head.len() < text.len() {
            p.quiet.small { "The first " (bytes(head.len() as u64)) " of " (bytes(text.len() as u64)) " are shown." }
        }
    }
}

/// One line of at most `chars` characters.
pub(crate) fn line(text: &str, chars: usize) -> Markup {
    let first = text.lines().next().unwrap_or_default();
    let mut cut: String = first.chars().take(chars).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    shown(&cut)
}

/// A number of bytes for people.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// A duration for people.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// A time: exact in UTC without scripts, in the viewer's zone with them.
pub(crate) fn time(at: bailiwick_model::Timestamp) -> Markup {
    let exact = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    html! { time datetime=(exact) title=(exact) { (at.strftime("%Y-%m-%d %H:%M:%S")) } }
}

#[cfg(test)]
mod tests {
    use super::{beginning, shown};

    #[test]
    fn markup_and_hidden_characters_are_shown_and_not_obeyed() {
        let page = shown("<script>alert(1)</script>\u{202e}x\u{1b}[2J").into_string();
        assert_eq!(
            page,
            "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;<span class=\"ctl\" title=\"a character that does not show by itself\">U+202E</span>x<span class=\"ctl\" title=\"a character that does not show by itself\">␛</span>[2J</bdi>"
        );
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(beginning("aä", 2), "a");
        assert_eq!(beginning("aä", 3), "aä");
    }
}
