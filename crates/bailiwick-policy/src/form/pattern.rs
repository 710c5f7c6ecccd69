//! Patterns of the short form as Cedar conditions.

/// A Cedar string literal.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() => quoted.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// `subject` is one of `patterns`, in which `*` stands for any characters.
pub(super) fn one_of<'a>(subject: &str, patterns: impl Iterator<Item = &'a str>) -> String {
    let (globs, exact): (Vec<&str>, Vec<&str>) = patterns.partition(|one| one.contains('*'));
    let mut parts: Vec<String> =
        globs.iter().map(|glob| format!("{subject} like {}", quote(glob))).collect();
    if !exact.is_empty() {
        let names: Vec<String> = exact.iter().map(|name| quote(name)).collect();
        parts.push(format!("[{}].contains({subject})", names.join(", ")));
    }
    either(parts)
}

/// `resource` is one of these models: `provider/model`, or `model` of any provider.
pub(super) fn models<'a>(patterns: impl Iterator<Item = &'a str>) -> String {
    either(
        patterns
            .map(|pattern| match pattern.split_once('/') {
                Some((provider, model)) => format!(
                    "({} && {})",
                    one_of("resource.provider", std::iter::once(provider)),
                    one_of("resource.name", std::iter::once(model))
                ),
                None => one_of("resource.name", std::iter::once(pattern)),
            })
            .collect(),
    )
}

/// Which paths: one path, all below a directory, or all with an ending. These are the forms that
/// can be said exactly of a file and of everything that a command writes.
pub(super) enum Place<'a> {
    Everything,
    Path(&'a str),
    Below(&'a str),
    Ending(&'a str),
}

impl<'a> Place<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let plain = |part: &str| {
            !part.is_empty()
                && !part.contains(['*', '?', '[', ']', '{', '}', '\\'])
                && !part.starts_with('/')
                && !part.ends_with('/')
                && !part.split('/').any(|name| matches!(name, "" | "." | ".."))
        };
        if text == "**" {
            Some(Self::Everything)
        } else if let Some(ending) = text.strip_prefix("**/*.") {
            (plain(ending) && !ending.contains('/')).then_some(Self::Ending(ending))
        } else if let Some(directory) = text.strip_suffix("/**") {
            plain(directory).then_some(Self::Below(directory))
        } else {
            plain(text).then_some(Self::Path(text))
        }
    }

    /// The file `resource` is there.
    pub(super) fn of_file(&self) -> String {
        match self {
            Self::Everything => "true".to_owned(),
            Self::Path(path) => format!("resource.path == {}", quote(path)),
            Self::Below(directory) => {
                format!("resource.path like {}", quote(&format!("{directory}/*")))
            }
            Self::Ending(ending) => format!("resource.path like {}", quote(&format!("*.{ending}"))),
        }
    }
}

/// One of several conditions.
pub(super) fn either(parts: Vec<String>) -> String {
    match parts.as_slice() {
        [] => "false".to_owned(),
        [one] => one.clone(),
        _ => format!("({})", parts.join(" || ")),
    }
}

/// Where a path that is written lies, in the words of the short form: the path itself, everything
/// below each of its directories, its ending.
pub(crate) fn places(path: &str) -> Vec<String> {
    let mut places = vec!["**".to_owned(), path.to_owned()];
    places.extend(
        path.match_indices('/')
            .filter_map(|(at, _)| path.get(..at))
            .filter(|directory| !directory.is_empty())
            .map(|directory| format!("{directory}/**")),
    );
    let name = path.rsplit('/').next().unwrap_or(path);
    places.extend(
        name.match_indices('.')
            .filter_map(|(at, _)| name.get(at + 1..))
            .map(|end| format!("**/*.{end}")),
    );
    places
}
