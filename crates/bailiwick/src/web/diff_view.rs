//! A difference as HTML: unified or side by side, with the words that changed, lines that only
//! moved, and what gates found in the margin.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use bailiwick_engine::{FileView, HunkView, LineView};
use bailiwick_model::evidence::Level;
use maud::{Markup, html};

use super::highlight::{self, Family};
use super::remarks::{self, Margin};
use super::text::shown;

/// How a difference is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Old beside new, and not below.
    pub(crate) side_by_side: bool,
    /// Whether lines that differ in white space only count as the same.
    pub(crate) ignore_space: bool,
}

/// How many lines are laid out together. The browser lays out those that are looked at.
const PIECE: usize = 200;

/// A line with everything the page says of it.
struct Row<'a> {
    line: &'a LineView,
    old: Option<u32>,
    new: Option<u32>,
    marked: Option<Range<usize>>,
    moved: bool,
}

/// Lines that were taken away in one place and put in another, of the whole change.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    counts: HashMap<String, (u32, u32)>,
}

impl Moved {
    /// Finds them: lines of some substance that stand on both sides.
    pub(crate) fn find(files: &[FileView]) -> Self {
        let mut counts: HashMap<String, (u32, u32)> = HashMap::new();
        for line in files.iter().flat_map(|file| &file.hunks).flat_map(|hunk| &hunk.lines) {
            let text = line.text.trim();
            if line.sign == ' ' || text.chars().filter(|c| c.is_alphanumeric()).count() < 8 {
                continue;
            }
            let count = counts.entry(text.to_owned()).or_default();
            if line.sign == '-' { count.0 += 1 } else { count.1 += 1 }
        }
        counts.retain(|_, (removed, added)| *removed > 0 && *added > 0);
        Self { counts }
    }

    fn has(&self, line: &LineView) -> bool {
        line.sign != ' ' && self.counts.contains_key(line.text.trim())
    }

    /// How many lines only moved.
    pub(crate) fn lines(&self) -> u32 {
        self.counts.values().map(|(removed, added)| *removed.min(added)).sum()
    }
}

/// The numbers in `@@ -1,2 +3,4 @@`.
fn starts(header: &str) -> (u32, u32) {
    let number = |sign: char| {
        let after = header.split(sign).nth(1).unwrap_or_default();
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(1)
    };
    (number('-'), number('+'))
}

/// The part of two lines that differs, between their common beginning and end.
fn changed(old: &str, new: &str) -> Option<(Range<usize>, Range<usize>)> {
    let start = old
        .char_indices()
        .zip(new.chars())
        .find(|((_, a), b)| a != b)
        .map_or_else(|| old.len().min(new.len()), |((at, _), _)| at);
    let (old_rest, new_rest) = (old.get(start..)?, new.get(start..)?);
    let end: usize = old_rest
        .chars()
        .rev()
        .zip(new_rest.chars().rev())
        .take_while(|(a, b)| a == b)
        .map(|(c, _)| c.len_utf8())
        .sum();
    let kept = start + end;
    // When nearly everything differs, marks say nothing.
    if kept * 3 < old.len().max(new.len()) {
        return None;
    }
    Some((start..old.len() - end, start..new.len() - end))
}

fn rows<'a>(hunk: &'a HunkView, moved: &Moved, layout: Layout) -> Vec<Row<'a>> {
    let (mut old, mut new) = starts(&hunk.header);
    let mut rows: Vec<Row<'a>> = Vec::new();
    for line in &hunk.lines {
        let mut row = Row { line, old: None, new: None, marked: None, moved: moved.has(line) };
        if line.sign != '+' {
            row.old = Some(old);
            old += 1;
        }
        if line.sign != '-' {
            row.new = Some(new);
            new += 1;
        }
        rows.push(row);
    }
    pair(&mut rows);
    if layout.ignore_space { without_space(rows) } else { rows }
}

/// Marks what differs between removed lines and the added ones that took their place.
fn pair(rows: &mut [Row<'_>]) {
    let signs: Vec<char> = rows.iter().map(|row| row.line.sign).collect();
    let run = |from: usize, sign: char| signs.iter().skip(from).take_while(|s| **s == sign).count();
    let mut at = 0;
    while at < signs.len() {
        let removed = run(at, '-');
        let added = run(at + removed, '+');
        for nth in 0..removed.min(added) {
            let (one, other) = (at + nth, at + removed + nth);
            let texts = rows.get(one).zip(rows.get(other));
            let Some((old, new)) = texts.and_then(|(a, b)| changed(&a.line.text, &b.line.text))
            else {
                continue;
            };
            if let Some(row) = rows.get_mut(one) {
                row.marked = Some(old);
            }
            if let Some(row) = rows.get_mut(other) {
                row.marked = Some(new);
            }
        }
        at += (removed + added).max(1);
    }
}

/// Leaves out pairs of lines that differ in white space only.
fn without_space<'a>(rows: Vec<Row<'a>>) -> Vec<Row<'a>> {
    let bare = |row: &Row<'_>| row.line.text.split_whitespace().collect::<String>();
    let mut removed: BTreeMap<String, u32> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.line.sign == '-') {
        *removed.entry(bare(row)).or_default() += 1;
    }
    let mut both: BTreeMap<String, u32> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.line.sign == '+') {
        let text = bare(row);
        if removed.get(&text).copied().unwrap_or(0) > both.get(&text).copied().unwrap_or(0) {
            *both.entry(text).or_default() += 1;
        }
    }
    let mut left = both.clone();
    rows.into_iter()
        .filter(|row| {
            let counts = match row.line.sign {
                '-' => &mut left,
                '+' => &mut both,
                _ => return true,
            };
            match counts.get_mut(&bare(row)).filter(|count| **count > 0) {
                Some(count) => {
                    *count -= 1;
                    false
                }
                None => true,
            }
        })
        .collect()
}

/// Whether a file is made by a program, by its name: shown folded.
pub(crate) fn is_generated(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(
        name,
        "Cargo.lock"
            | "package-lock.json"
            | "pnpm-lock.yaml"
            | "yarn.lock"
            | "go.sum"
            | "poetry.lock"
            | "uv.lock"
            | "Pipfile.lock"
            | "composer.lock"
            | "Gemfile.lock"
    ) || name.ends_with(".min.js")
        || name.ends_with(".min.css")
        || name.ends_with(".snap")
        || name.ends_with(".pb.go")
        || path.contains("/generated/")
        || path.starts_with("vendor/")
}

/// One hunk, with what is said beside its lines. `links` are the steps that made it; nothing where
/// that was not looked at.
pub(crate) fn hunk(
    hunk: &HunkView,
    name: &str,
    path: &str,
    links: Option<&[(String, u64)]>,
    beside: &Margin<'_>,
    moved: &Moved,
    layout: Layout,
) -> Markup {
    let family = highlight::family(path);
    let rows = rows(hunk, moved, layout);
    html! {
        section.hunk id=(name) tabindex="0" data-path=(path) data-steps=(links.unwrap_or_default().iter().map(|(_, entry)| entry.to_string()).collect::<Vec<_>>().join(" ")) {
            div.where {
                span { (shown(&hunk.header)) }
                @if links.is_some_and(<[_]>::is_empty) { span.quiet { "no step made this" } }
                @for (step, entry) in links.unwrap_or_default() { a href={"?step=" (entry) "#" (name)} data-step=(entry) { "step " (step) } }
            }
            @if layout.side_by_side { (side_by_side(&rows, family, beside)) }
            @else { (unified(&rows, family, beside)) }
            @if let Some(desk) = beside.desk { (remarks::form(hunk, name, path, desk)) }
        }
    }
}

fn class(row: &Row<'_>) -> &'static str {
    match (row.line.sign, row.moved) {
        (' ', _) => "l",
        (_, true) => "l m",
        ('+', false) => "l a",
        _ => "l r",
    }
}

fn code(row: &Row<'_>, family: Family) -> Markup {
    html! {
        span class=(class(row)) data-sign=(row.line.sign) title=[row.line.step.as_ref().map(|step| format!("step {step}"))] {
            (highlight::line(&row.line.text, family, row.marked.clone()))
        }
    }
}

fn number(number: Option<u32>) -> Markup {
    html! { span.n { @if let Some(number) = number { (number) } } }
}

fn old_number(number: Option<u32>) -> Markup {
    html! { span.n.o { @if let Some(number) = number { (number) } } }
}

fn margin(row: &Row<'_>, beside: &Margin<'_>) -> Markup {
    html! {
        @if let Some(threads) = remarks::on_line(beside, row.old, row.new) { (threads) }
        @for finding in beside.findings.iter().filter(|finding| finding.line.is_some() && finding.line == row.new && row.line.sign != '-') {
            div.margin .error[finding.level == Level::Error] { code { (shown(&finding.rule)) } " " (shown(&finding.message)) }
        }
    }
}

fn unified(rows: &[Row<'_>], family: Family, beside: &Margin<'_>) -> Markup {
    html! {
        @for piece in rows.chunks(PIECE) {
            div.code .many[rows.len() > PIECE] {
                @for row in piece { (old_number(row.old)) (number(row.new)) (code(row, family)) (margin(row, beside)) }
            }
        }
    }
}

fn side_by_side(rows: &[Row<'_>], family: Family, beside: &Margin<'_>) -> Markup {
    let mut lines: Vec<(Option<&Row<'_>>, Option<&Row<'_>>)> = Vec::new();
    let mut old_side: Vec<&Row<'_>> = Vec::new();
    let mut new_side: Vec<&Row<'_>> = Vec::new();
    for row in rows {
        match row.line.sign {
            '-' => old_side.push(row),
            '+' => new_side.push(row),
            _ => {
                zip(&mut lines, &mut old_side, &mut new_side);
                lines.push((Some(row), Some(row)));
            }
        }
    }
    zip(&mut lines, &mut old_side, &mut new_side);
    html! {
        @for piece in lines.chunks(PIECE) {
            div.code.side .many[lines.len() > PIECE] { @for &(old, new) in piece {
                @if let Some(row) = old { (old_number(row.old)) (code(row, family)) } @else { span.n.void {} span.l.void {} }
                @if let Some(row) = new { (number(row.new)) (code(row, family)) } @else { span.n.void {} span.l.void {} }
                @match (old, new) {
                    // Both sides of one line of context.
                    (Some(one), Some(other)) if std::ptr::eq(one, other) => { (margin(one, beside)) }
                    (old, new) => { @for row in old.into_iter().chain(new) { (margin(row, beside)) } }
                }
            } }
        }
    }
}

fn zip<'a, 'b>(
    lines: &mut Vec<(Option<&'a Row<'b>>, Option<&'a Row<'b>>)>,
    old: &mut Vec<&'a Row<'b>>,
    new: &mut Vec<&'a Row<'b>>,
) {
    let (mut old, mut new) = (std::mem::take(old).into_iter(), std::mem::take(new).into_iter());
    loop {
        match (old.next(), new.next()) {
            (None, None) => return,
            pair => lines.push(pair),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{changed, is_generated, starts};

    #[test]
    fn the_part_that_differs_is_marked() {
        assert_eq!(changed("let a = 1;", "let a = 22;"), Some((8..9, 8..10)));
        assert_eq!(changed("same", "same"), Some((4..4, 4..4)));
        assert_eq!(changed("abc", "xyz"), None);
        assert_eq!(changed("naïve text", "naive text"), Some((2..4, 2..3)));
    }

    #[test]
    fn numbers_come_from_the_header() {
        assert_eq!(starts("@@ -12,3 +40,5 @@ fn x()"), (12, 40));
        assert_eq!(starts("nonsense"), (1, 1));
    }

    #[test]
    fn lock_files_are_folded_and_sources_are_not() {
        assert!(is_generated("a/Cargo.lock"));
        assert!(!is_generated("src/lock.rs"));
    }
}
