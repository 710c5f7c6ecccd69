//! The order of versions in Maven ("Version Order Specification" of its POM reference), without
//! the finest points of nested lists: hyphens and changes between digits and letters separate.

use std::cmp::Ordering;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Number(String),
    Word(String),
}

/// A token and whether a hyphen (or a change of kind) stands before it.
type Part = (bool, Token);

fn qualifier(word: &str) -> String {
    match word {
        "a" => "alpha",
        "b" => "beta",
        "m" => "milestone",
        "cr" => "rc",
        "ga" | "final" | "release" => "",
        other => other,
    }
    .to_owned()
}

fn rank(word: &str) -> u8 {
    match word {
        "alpha" => 0,
        "beta" => 1,
        "milestone" => 2,
        "rc" => 3,
        "snapshot" => 4,
        "" => 5,
        "sp" => 6,
        _ => 7,
    }
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut hyphen = false;
    let mut current = String::new();
    let mut digits = false;
    let push = |current: &mut String, hyphen: bool, digits: bool, parts: &mut Vec<Part>| {
        let word = std::mem::take(current);
        let token = if digits {
            let plain = word.trim_start_matches('0');
            Token::Number(if plain.is_empty() { "0" } else { plain }.to_owned())
        } else {
            Token::Word(qualifier(&word))
        };
        parts.push((hyphen, token));
    };
    for c in text.to_ascii_lowercase().chars() {
        if matches!(c, '.' | '-' | '_') {
            if current.is_empty() {
                current.push('0');
                digits = true;
            }
            push(&mut current, hyphen, digits, &mut parts);
            hyphen = c == '-';
            continue;
        }
        if !current.is_empty() && digits != c.is_ascii_digit() {
            push(&mut current, hyphen, digits, &mut parts);
            hyphen = true;
        }
        digits = c.is_ascii_digit();
        current.push(c);
    }
    if !current.is_empty() {
        push(&mut current, hyphen, digits, &mut parts);
    }
    // what is zero at the end, or right before a hyphen, says nothing
    let mut at = parts.len();
    while at > 0 {
        at -= 1;
        let is_null = match parts.get(at) {
            Some((_, Token::Number(number))) => number == "0",
            Some((_, Token::Word(word))) => word.is_empty(),
            None => false,
        };
        let before_hyphen = parts.get(at + 1).is_none_or(|(hyphen, _)| *hyphen);
        if is_null && before_hyphen && parts.len() > 1 && at > 0 {
            parts.remove(at);
        }
    }
    parts
}

fn numeric(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// Where a part stands among those of other kinds: words, then numbers after a hyphen, then
/// numbers after a dot.
fn kind(part: &Part) -> u8 {
    match part {
        (_, Token::Word(_)) => 0,
        (true, Token::Number(_)) => 1,
        (false, Token::Number(_)) => 2,
    }
}

fn one_by_one(one: &Part, other: &Part) -> Ordering {
    match (&one.1, &other.1) {
        (Token::Number(a), Token::Number(b)) if one.0 == other.0 => numeric(a, b),
        (Token::Word(a), Token::Word(b)) => rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)),
        _ => kind(one).cmp(&kind(other)),
    }
}

fn against_nothing(part: &Part) -> Ordering {
    match &part.1 {
        Token::Number(number) => numeric(number, "0"),
        Token::Word(word) => rank(word).cmp(&rank("")),
    }
}

pub(super) fn compare(one: &str, other: &str) -> Ordering {
    let (one, other) = (parts(one), parts(other));
    for at in 0..one.len().max(other.len()) {
        let order = match (one.get(at), other.get(at)) {
            (Some(a), Some(b)) => one_by_one(a, b),
            (Some(a), None) => against_nothing(a),
            (None, Some(b)) => against_nothing(b).reverse(),
            (None, None) => Ordering::Equal,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}
