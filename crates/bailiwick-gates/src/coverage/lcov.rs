//! LCOV's tracefiles (`geninfo(1)`): one record a file, one `DA:LINE,HITS` a line.

use super::{Coverage, CoverageError};

pub(super) fn read(text: &str) -> Result<Coverage, CoverageError> {
    let mut coverage = Coverage::default();
    let (mut file, mut count): (Option<&str>, usize) = (None, 0);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end();
        let invalid =
            |reason: &str| CoverageError::Invalid { line: number, reason: reason.to_owned() };
        if let Some(name) = line.strip_prefix("SF:") {
            if file.is_some() {
                return Err(invalid("a record begins in the middle of another"));
            }
            if name.is_empty() {
                return Err(invalid("a file has no name"));
            }
            file = Some(name);
        } else if line == "end_of_record" {
            file = None;
        } else if let Some(data) = line.strip_prefix("DA:") {
            let file = file.ok_or_else(|| invalid("a line of no file"))?;
            let mut parts = data.split(',');
            let at: u32 = parts
                .next()
                .and_then(|at| at.parse().ok())
                .filter(|at| *at > 0)
                .ok_or_else(|| invalid("a line without a number"))?;
            // some tools write negative counts where a counter ran over
            let hits: i64 = parts
                .next()
                .and_then(|hits| hits.parse().ok())
                .ok_or_else(|| invalid("a line without a count"))?;
            coverage.add(file, at, u64::try_from(hits).unwrap_or(0), &mut count)?;
        }
        // functions, branches and sums say nothing of lines
    }
    match file {
        // what is cut off would look like code that nobody runs, or like none at all
        Some(_) => Err(CoverageError::Invalid {
            line: text.lines().count(),
            reason: "the report ends in the middle of a record".to_owned(),
        }),
        None => Ok(coverage),
    }
}
