//! Reads reports of line coverage: LCOV and Cobertura.
//!
//! A report is written by code that a change brought along, so it is read as what a stranger sends:
//! bounded, and with an error for whatever is not as it should be.

mod cobertura;
mod lcov;

use std::collections::BTreeMap;

/// Most lines of one report that are read.
const MOST_LINES: usize = 2_000_000;

/// Which lines of which files ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// For each file, as the report names it, how often each of its lines ran. Lines that hold
    /// nothing to run are not listed.
    pub files: BTreeMap<String, BTreeMap<u32, u64>>,
}

/// A report that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoverageError {
    /// It is neither LCOV nor Cobertura.
    #[error("the report is neither LCOV nor Cobertura")]
    Form,
    /// Something in it is not as it should be.
    #[error("the report is not valid, line {line}: {reason}")]
    Invalid {
        /// Where, counted from 1; 0 where that is not known.
        line: usize,
        /// What.
        reason: String,
    },
    /// More lines than are read.
    #[error("the report has more than {MOST_LINES} lines of code")]
    TooLarge,
    /// No line of any file.
    #[error("the report names no line of any file")]
    Empty,
}

impl Coverage {
    /// Reads a report, of whichever form it is.
    pub fn read(text: &str) -> Result<Self, CoverageError> {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let coverage = if text.starts_with('<') {
            cobertura::read(text)?
        } else if text.lines().any(|line| line.starts_with("SF:")) {
            lcov::read(text)?
        } else {
            return Err(CoverageError::Form);
        };
        if coverage.files.values().all(BTreeMap::is_empty) {
            return Err(CoverageError::Empty);
        }
        Ok(coverage)
    }

    /// The lines of a file of the repository, however the report names it: by its path from the
    /// top, from `directory`, or below `root`. A name that fits more than one file fits none.
    pub fn lines_of(&self, path: &str, directory: &str, root: &str) -> Option<&BTreeMap<u32, u64>> {
        let plain = |name: &str| -> String {
            let name = name.replace('\\', "/");
            let name = name.strip_prefix(root).unwrap_or(&name);
            let parts: Vec<&str> =
                name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
            parts.join("/")
        };
        let within = match directory {
            "" | "." => None,
            directory => path.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/')),
        };
        let exact = self.files.iter().find(|(name, _)| {
            let name = plain(name);
            name == path || within == Some(name.as_str())
        });
        if let Some((_, lines)) = exact {
            return Some(lines);
        }
        // Cobertura's names are relative to one of its sources, Go's begin with the module
        let mut fitting = self.files.iter().filter(|(name, _)| {
            let name = plain(name);
            path.ends_with(&format!("/{name}")) || name.ends_with(&format!("/{path}"))
        });
        match (fitting.next(), fitting.next()) {
            (Some((_, lines)), None) => Some(lines),
            _ => None,
        }
    }

    fn add(
        &mut self,
        file: &str,
        line: u32,
        hits: u64,
        count: &mut usize,
    ) -> Result<(), CoverageError> {
        *count += 1;
        if *count > MOST_LINES {
            return Err(CoverageError::TooLarge);
        }
        let lines = match self.files.get_mut(file) {
            Some(lines) => lines,
            None => self.files.entry(file.to_owned()).or_default(),
        };
        let known = lines.entry(line).or_default();
        // several runs in one report: a line ran if it ran in one of them
        *known = known.saturating_add(hits);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LCOV: &str = "TN:\nSF:/workspace/src/a.py\nFN:1,half\nFNDA:3,half\nDA:1,1\nDA:2,0\nDA:4,12,abc\nLF:3\nLH:2\nend_of_record\nSF:src/b.py\nDA:1,0\nend_of_record\n";
    const COBERTURA: &str = r#"<?xml version="1.0" ?>
<!DOCTYPE coverage SYSTEM 'http://cobertura.sourceforge.net/xml/coverage-04.dtd'>
<coverage version="7.6"><sources><source>/workspace/src</source></sources><packages><package name="."><classes>
<class name="a.py" filename="a.py" line-rate="0.5"><methods><method name="f"><lines><line number="1" hits="1"/></lines></method></methods>
<lines><line number="1" hits="1"/><line number="2" hits="0" branch="true" condition-coverage="50% (1/2)"/></lines></class>
</classes></package></packages></coverage>"#;

    fn lines(list: &[(u32, u64)]) -> BTreeMap<u32, u64> {
        list.iter().copied().collect()
    }

    #[test]
    fn lcov_is_read() {
        let coverage = Coverage::read(LCOV).unwrap();
        let of = |path| coverage.lines_of(path, ".", "/workspace");
        assert_eq!(of("src/a.py"), Some(&lines(&[(1, 1), (2, 0), (4, 12)])));
        assert_eq!(of("src/b.py"), Some(&lines(&[(1, 0)])));
        assert_eq!(of("src/c.py"), None);
    }

    #[test]
    fn cobertura_is_read() {
        let coverage = Coverage::read(COBERTURA).unwrap();
        assert_eq!(
            coverage.lines_of("src/a.py", ".", "/workspace"),
            Some(&lines(&[(1, 2), (2, 0)]))
        );
    }

    #[test]
    fn a_name_that_fits_two_files_fits_none() {
        let text = "SF:x/a.go\nDA:1,1\nend_of_record\nSF:y/a.go\nDA:1,0\nend_of_record\n";
        let coverage = Coverage::read(text).unwrap();
        assert_eq!(coverage.lines_of("a.go", ".", "/workspace"), None);
        assert_eq!(coverage.lines_of("x/a.go", ".", "/workspace"), Some(&lines(&[(1, 1)])));
        let module = Coverage::read("SF:example.org/m/in/a.go\nDA:1,1\nend_of_record\n").unwrap();
        assert_eq!(module.lines_of("in/a.go", ".", "/workspace"), Some(&lines(&[(1, 1)])));
        let below = Coverage::read("SF:src/a.js\nDA:1,1\nend_of_record\n").unwrap();
        assert_eq!(below.lines_of("web/src/a.js", "web", "/workspace"), Some(&lines(&[(1, 1)])));
    }

    #[test]
    fn what_is_no_report_is_an_error() {
        for (text, wanted) in [
            ("", "neither"),
            ("Traceback (most recent call last):", "neither"),
            ("{}", "neither"),
            ("SF:a.py\nend_of_record\n", "names no line"),
            ("SF:a.py\nDA:x,1\nend_of_record\n", "line 2"),
            ("SF:a.py\nDA:1\nend_of_record\n", "line 2"),
            ("SF:a.py\nDA:0,1\nend_of_record\n", "line 2"),
            ("DA:1,1\nSF:a.py\n", "line 1"),
            ("SF:a.py\nDA:1,1\n", "in the middle"),
            ("SF:a.py\nDA:1,1\nSF:b.py\n", "line 3"),
            ("<coverage><packages>", "not valid"),
            ("<html><body/></html>", "neither"),
            ("<coverage/>", "names no line"),
            (
                "<coverage><class filename='a.py'><line number='x' hits='1'/></class></coverage>",
                "number",
            ),
            ("<coverage><line number='1' hits='1'/></coverage>", "outside"),
        ] {
            let error = Coverage::read(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn nesting_and_entities_cost_nothing() {
        let deep = "<a>".repeat(200_000);
        drop(Coverage::read(&deep).unwrap_err());
        let bomb = "<!DOCTYPE c [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]><coverage><class filename='&b;'><line number='1' hits='1'/></class></coverage>";
        drop(Coverage::read(bomb));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "(SF:|DA:|end_of_record|\n|,|[0-9]|a|<coverage>|<class filename='a'>|<line number='1' hits='2'/>|</class>|</coverage>|&|\\PC){0,60}") {
            drop(Coverage::read(&text));
        }
    }
}
