//! `sbom` and `index`.

use std::path::PathBuf;
use std::str::FromStr;

use bailiwick_deps::Ecosystem;
use clap::{Args, Subcommand};

/// An index that is asked over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct OnlineIndex {
    pub(crate) ecosystem: Ecosystem,
    pub(crate) url: String,
}

impl FromStr for OnlineIndex {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ecosystem, url) =
            text.split_once('=').ok_or("it is not of the form `ECOSYSTEM=URL`")?;
        let ecosystem: Ecosystem = ecosystem.parse().map_err(|error| format!("{error}"))?;
        Ok(Self { ecosystem, url: url.to_owned() })
    }
}

#[derive(Debug, Args)]
pub(crate) struct SbomArguments {
    /// The commit.
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    pub(crate) rev: String,
    /// Where the repository is.
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub(crate) repo: PathBuf,
    /// Instead of the whole: what changed since this commit, a line for each package.
    #[arg(long, value_name = "REV")]
    pub(crate) since: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IndexVerb {
    /// Makes a snapshot from a text with a name in each line, then, behind tabs, the day or month
    /// of its first publication and its downloads in a month, where known.
    Build {
        /// The ecosystem: cargo, npm, pypi, go, maven.
        #[arg(long)]
        ecosystem: Ecosystem,
        /// The text.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The snapshot; by default `ECOSYSTEM.index` here.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Looks up names in the snapshots of a directory.
    Show {
        /// The directory.
        #[arg(long, value_name = "DIR", default_value = ".")]
        index: PathBuf,
        /// The ecosystem.
        #[arg(long)]
        ecosystem: Ecosystem,
        /// The names.
        names: Vec<String>,
    },
}
