#![forbid(unsafe_code)]
//! Manifests and lock files of five ecosystems, and what a change does to them.
//!
//! Everything here is a pure function over bytes that somebody else read: no files, no network,
//! no clock. A file that can't be read is an error with a reason, never an empty list.

mod address;
mod advisory;
mod change;
mod check;
mod document;
mod ecosystem;
mod error;
mod index;
mod install;
mod kind;
mod licence;
mod names;
mod online;
mod package;
mod policy;
mod read;
mod requirement;
mod rule;
mod sbom;
mod snapshot;
mod state;
mod version;

pub use advisory::{Advisories, Advisory, Threat};
pub use change::{ChangeKind, DependencyChange, is_downgrade};
pub use check::{Inputs, Report, Topic, check};
pub use document::MAX_BYTES;
pub use ecosystem::{Ecosystem, EcosystemError};
pub use error::ReadError;
pub use index::{
    IndexError, IndexRow, Lookup, PackageFacts, PackageIndex, SnapshotIndex, SnapshotIndexes,
    build_index, parse_rows,
};
pub use install::{InstallVerdict, install_requests, judge_install};
pub use kind::FileKind;
pub use names::{Likeness, likenesses};
pub use online::{Inquiry, OnlineAnswer, OnlineError};
pub use package::{
    Contents, Declared, Edge, Group, Hash, Hashing, InstallScript, Lock, Manifest, Package,
    PackageName, RegistrySetting, Source, shown,
};
pub use policy::{
    AdvisoryPolicy, Ignore, IndexPolicy, LicencePolicy, Need, OnUnknown, Policy, PolicyError,
    SourcePolicy,
};
pub use read::read;
pub use requirement::{Meets, check as meets, is_unbounded};
pub use rule::{Decides, Found, Rule, RuleText, Severity};
pub use sbom::{sbom, sbom_changes};
pub use snapshot::{Files, Snapshot};
pub use version::compare;
