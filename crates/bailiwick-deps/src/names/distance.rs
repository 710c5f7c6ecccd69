//! How many slips of the pen lie between two names: a letter more, less, other, or two exchanged.

/// The distance, if it is at most `most`.
pub(super) fn within(one: &str, other: &str, most: usize) -> Option<usize> {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len().abs_diff(other.len()) > most || one.len() > 300 || other.len() > 300 {
        return None;
    }
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, c) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, d) in other.iter().enumerate() {
            let mut best =
                (at(&last, j) + usize::from(c != d)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped =
                i > 0 && j > 0 && one.get(i - 1) == Some(d) && other.get(j - 1) == Some(c);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|distance| *distance > 0 && *distance <= most)
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn slips_are_counted() {
        for (one, other, most, expected) in [
            ("lodash", "lodahs", 1, Some(1)),
            ("lodash", "lodash", 1, None),
            ("react", "reacts", 1, Some(1)),
            ("abcd", "badc", 2, Some(2)),
            ("abc", "xyz", 2, None),
            ("", "a", 1, Some(1)),
        ] {
            assert_eq!(within(one, other, most), expected, "{one} {other}");
        }
    }
}
