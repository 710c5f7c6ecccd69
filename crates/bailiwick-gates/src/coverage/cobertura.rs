//! Cobertura's XML: `class` names a file, `line` a line of it. No entity is expanded, no document
//! type is fetched.

use super::{Coverage, CoverageError};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// How deep elements may lie in each other.
const MAX_DEPTH: usize = 64;

pub(super) fn read(text: &str) -> Result<Coverage, CoverageError> {
    let mut coverage = Coverage::default();
    let mut reader = Reader::from_str(text);
    let (mut file, mut count): (Option<String>, usize) = (None, 0);
    let (mut depth, mut is_report) = (0_usize, false);
    loop {
        let event = reader.read_event().map_err(|error| invalid(error.to_string()))?;
        match event {
            Event::Start(element) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(invalid("it is nested too deeply".to_owned()));
                }
                open(&element, &mut is_report, &mut file, &mut count, &mut coverage)?;
            }
            Event::Empty(element) => {
                let outer = file.clone();
                open(&element, &mut is_report, &mut file, &mut count, &mut coverage)?;
                file = outer;
            }
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                if element.local_name().as_ref() == "class" {
                    file = None;
                }
            }
            Event::Eof if depth > 0 => return Err(invalid("it ends in the middle".to_owned())),
            Event::Eof if !is_report => return Err(CoverageError::Form),
            Event::Eof => return Ok(coverage),
            Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
}

fn invalid(reason: String) -> CoverageError {
    CoverageError::Invalid { line: 0, reason }
}

fn open(
    element: &BytesStart<'_>,
    is_report: &mut bool,
    file: &mut Option<String>,
    count: &mut usize,
    coverage: &mut Coverage,
) -> Result<(), CoverageError> {
    match element.local_name().as_ref() {
        "coverage" => *is_report = true,
        "class" => {
            let name = attribute(element, "filename")?;
            *file = Some(name.ok_or_else(|| invalid("a class without a file".to_owned()))?);
        }
        "line" => {
            let file =
                file.as_deref().ok_or_else(|| invalid("a line outside of a class".to_owned()))?;
            let number = |name: &str| -> Result<u64, CoverageError> {
                attribute(element, name)?
                    .and_then(|text| text.trim().parse().ok())
                    .ok_or_else(|| invalid(format!("a line without `{name}`")))
            };
            let line = u32::try_from(number("number")?)
                .map_err(|_| invalid("the number of a line is too large".to_owned()))?;
            coverage.add(file, line, number("hits")?, count)?;
        }
        _ => {}
    }
    Ok(())
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, CoverageError> {
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|error| invalid(error.to_string()))?;
        if attribute.key.as_ref() == name {
            // as it stands: an entity in a path stays one
            return Ok(Some(attribute.value.clone().into_owned()));
        }
    }
    Ok(None)
}
