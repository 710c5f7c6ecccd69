//! Why a file could not be read. What can't be read can't be judged, and blocks.

/// A manifest or lock file that can't be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// More bytes than are read.
    #[error("it has {bytes} bytes, more than the {most} that are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// Not UTF-8, or with a NUL in it.
    #[error("it is not text")]
    NotText,
    /// Not the format that its name says.
    #[error("it is not valid {format}: {detail}")]
    Malformed {
        /// The format.
        format: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// Nested too deep.
    #[error("it is nested deeper than {most} levels")]
    TooDeep {
        /// The limit.
        most: usize,
    },
    /// More values than are read.
    #[error("it has more than {most} values")]
    TooMany {
        /// The limit.
        most: usize,
    },
    /// A key stands twice: readers differ in which one they take.
    #[error("`{key}` stands twice in one place, and readers differ in which they take")]
    Repeated {
        /// The key.
        key: String,
    },
    /// YAML that refers to other YAML; no lock file needs it, and it can grow without end.
    #[error("it uses anchors, aliases, tags or entities, which no tool writes into this file")]
    Reference,
    /// A version of the format that is not known.
    #[error("it has the format version `{version}`, which is not known")]
    Version {
        /// The version.
        version: String,
    },
    /// A value that is not what its place says.
    #[error("`{place}` is not {wanted}")]
    Unexpected {
        /// Where.
        place: String,
        /// What belongs there.
        wanted: &'static str,
    },
}

impl ReadError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } | Self::TooMany { .. } | Self::TooDeep { .. } => {
                "let the package manager write it anew; if it is this large by nature, split the project"
            }
            Self::NotText
            | Self::Malformed { .. }
            | Self::Repeated { .. }
            | Self::Reference
            | Self::Unexpected { .. } => {
                "let the package manager write it anew, and do not edit it by hand"
            }
            Self::Version { .. } => {
                "write it with a package manager whose format is known, or update Bailiwick"
            }
        }
    }
}

pub(crate) fn unexpected(place: &str, wanted: &'static str) -> ReadError {
    ReadError::Unexpected { place: place.chars().take(200).collect(), wanted }
}
