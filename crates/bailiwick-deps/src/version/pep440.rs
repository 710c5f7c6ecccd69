//! PEP 440.

use std::cmp::Ordering;

/// A version of a Python package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pep440 {
    epoch: u64,
    /// Without zeros at its end.
    release: Vec<u64>,
    /// As written, for `==1.2.*`.
    pub(crate) written: Vec<u64>,
    pre: Option<(u8, u64)>,
    post: Option<u64>,
    dev: Option<u64>,
    local: Vec<Local>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Local {
    Text(String),
    Number(u64),
}

/// What versions are ordered by: epoch and release, the stage before a release, what comes after.
type Key<'a> = ((u64, &'a [u64]), (i64, u8, u64), (Option<u64>, u64, &'a [Local]));

/// A reader of the parts of a version.
struct Parts<'a>(&'a str);

impl<'a> Parts<'a> {
    fn skip(&mut self, separators: &[char]) {
        if let Some(rest) = self.0.strip_prefix(separators) {
            self.0 = rest;
        }
    }

    fn number(&mut self) -> Option<u64> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        let number = digits.parse().ok()?;
        self.0 = rest;
        Some(number)
    }

    /// One of the words after an optional separator; nothing is taken if none is there.
    fn word(&mut self, words: &[&'a str]) -> Option<&'a str> {
        let mut ahead = Parts(self.0);
        ahead.skip(&['.', '-', '_']);
        let word = words.iter().find(|word| ahead.0.starts_with(**word))?;
        self.0 = ahead.0.strip_prefix(*word)?;
        Some(word)
    }

    /// The number behind a word: none is zero.
    fn count(&mut self) -> u64 {
        let mut ahead = Parts(self.0);
        ahead.skip(&['.', '-', '_']);
        match ahead.number() {
            Some(number) => {
                self.0 = ahead.0;
                number
            }
            None => 0,
        }
    }
}

impl Pep440 {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let bare = lower.strip_prefix('v').unwrap_or(&lower);
        let (public, local) = bare.split_once('+').map_or((bare, None), |(a, b)| (a, Some(b)));
        let mut parts = Parts(public);
        let mut written = vec![parts.number()?];
        let mut epoch = 0;
        if let Some(rest) = parts.0.strip_prefix('!') {
            epoch = written.pop()?;
            parts = Parts(rest);
            written.push(parts.number()?);
        }
        while let Some(rest) = parts.0.strip_prefix('.') {
            let mut ahead = Parts(rest);
            let Some(number) = ahead.number() else { break };
            written.push(number);
            parts = ahead;
        }
        let pre = parts
            .word(&["alpha", "a", "beta", "b", "preview", "pre", "rc", "c"])
            .map(|word| match word {
                "alpha" | "a" => 0,
                "beta" | "b" => 1,
                _ => 2,
            })
            .map(|kind| (kind, parts.count()));
        let post = if parts.word(&["post", "rev", "r"]).is_some() {
            Some(parts.count())
        } else if let Some(rest) = parts.0.strip_prefix('-') {
            let mut ahead = Parts(rest);
            let number = ahead.number()?;
            parts = ahead;
            Some(number)
        } else {
            None
        };
        let dev = parts.word(&["dev"]).map(|_| parts.count());
        if !parts.0.is_empty() {
            return None;
        }
        let local = local
            .into_iter()
            .flat_map(|local| local.split(['.', '-', '_']))
            .map(|part| part.parse().map_or_else(|_| Local::Text(part.to_owned()), Local::Number))
            .collect();
        let mut release = written.clone();
        while release.len() > 1 && release.last() == Some(&0) {
            release.pop();
        }
        Some(Self { epoch, release, written, pre, post, dev, local })
    }

    /// Whether this is of the given series, such as `1.2` in `==1.2.*`.
    pub(crate) fn begins_with(&self, series: &Self) -> bool {
        let padded = |at: usize| self.written.get(at).copied().unwrap_or(0);
        self.epoch == series.epoch
            && series.written.iter().enumerate().all(|(at, part)| padded(at) == *part)
    }

    /// Without the local part, which specifiers without one ignore.
    pub(crate) fn public(&self) -> Self {
        Self { local: Vec::new(), ..self.clone() }
    }

    pub(crate) fn has_local(&self) -> bool {
        !self.local.is_empty()
    }

    fn key(&self) -> Key<'_> {
        // a development version without anything else comes before every pre-release
        let (stage, kind, number) = match (self.pre, self.post, self.dev) {
            (None, None, Some(_)) => (-1, 0, 0),
            (Some((kind, number)), _, _) => (0, kind, number),
            (None, _, _) => (1, 0, 0),
        };
        let dev = self.dev.unwrap_or(u64::MAX);
        ((self.epoch, &self.release), (stage, kind, number), (self.post, dev, &self.local))
    }
}

impl Ord for Pep440 {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Pep440 {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
