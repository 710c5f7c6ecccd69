//! What the launcher is asked to do.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cgroup::CgroupHome;

/// Where the workspace is mounted inside the cage.
pub const WORKSPACE: &str = "/workspace";
/// Where the scratch directory is mounted inside the cage.
pub const SCRATCH: &str = "/scratch";
/// The home directory inside the cage.
pub const HOME: &str = "/home/agent";

/// One cage and the one operation to do in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CageSpec {
    /// The cage.
    pub cage: Cage,
    /// The operation.
    pub operation: Operation,
}

/// How a directory of the host is seen from inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Nothing in it can be changed.
    ReadOnly,
    /// The payload may write where file permissions let it.
    ReadWrite,
}

/// A directory or file of the host that is visible inside the cage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// The absolute path on the host, without a symbolic link as its last part.
    pub source: PathBuf,
    /// The absolute path inside, outside every other mount except [`HOME`].
    pub target: PathBuf,
    /// What may be done with it.
    pub access: Access,
}

/// Which network the cage has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Its own loopback and nothing else.
    None,
    /// The host's: only for the recorded set-up phase.
    Host,
}

/// What a run may use. Sizes in bytes, times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Wall-clock time, after which everything in the cage is killed.
    pub wall_clock_ms: u64,
    /// Processor time of the whole cage (of each process where there is no cgroup).
    pub cpu_time_ms: u64,
    /// Memory of the whole cage, its `tmpfs` files included.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Open files of one process.
    pub open_files: u64,
    /// The size of one file.
    pub file_size_bytes: u64,
    /// The size of each of `/tmp`, the home directory and `/dev/shm`.
    pub tmpfs_bytes: u64,
    /// How much of the beginning, and as much of the end, is kept of each output stream.
    pub output_bytes: u64,
    /// How much may be written to both output streams together, kept or not.
    pub output_total_bytes: u64,
    /// By how much workspace and scratch directory may grow together during one run.
    pub disk_bytes: u64,
}

/// Everything about a cage but the operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cage {
    /// The cage's name, and that of its cgroup: letters, digits and `-`.
    pub name: String,
    /// The absolute path of the workspace on the host.
    pub workspace: PathBuf,
    /// Whether it may be written.
    pub workspace_access: Access,
    /// A directory that lasts from run to run and is no part of the workspace.
    pub scratch: Option<PathBuf>,
    /// Toolchains, caches and the like.
    pub mounts: Vec<Mount>,
    /// The network.
    pub network: Network,
    /// A port of the cage's own loopback that is listened on from outside: the listening socket is
    /// made inside and handed out through the launcher's standard input, which is a Unix socket
    /// then. What connects to the port is served out there; nothing of it runs in here.
    #[serde(default)]
    pub door: Option<u16>,
    /// Files and directories of the workspace that stay as they are though it can be written,
    /// relative to it. One that is not there, or is a symbolic link, is left out, and named.
    #[serde(default)]
    pub fixed: Vec<String>,
    /// The limits.
    pub limits: Limits,
    /// The user that the payload runs as when the launcher is root; never 0.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Where the cage's cgroups are made; empty when there are none to be had.
    pub cgroups: Vec<CgroupHome>,
    /// Guards that are left off, to show in a test what they are good for.
    #[cfg(feature = "test-support")]
    #[serde(default)]
    pub off: Vec<Guard>,
}

impl Cage {
    /// A cage around a workspace that cannot be written, with nothing else in it and no network.
    pub fn new(name: String, workspace: PathBuf, limits: Limits, payload_id: u32) -> Self {
        Self {
            name,
            workspace,
            workspace_access: Access::ReadOnly,
            scratch: None,
            mounts: Vec::new(),
            network: Network::None,
            door: None,
            fixed: Vec::new(),
            limits,
            uid: payload_id,
            gid: payload_id,
            cgroups: Vec::new(),
            #[cfg(feature = "test-support")]
            off: Vec::new(),
        }
    }

    /// Whether a guard is on, which it always is outside tests.
    pub(crate) fn has(&self, guard: Guard) -> bool {
        #[cfg(feature = "test-support")]
        let off = self.off.contains(&guard);
        #[cfg(not(feature = "test-support"))]
        let off = {
            let _unused = guard;
            false
        };
        !off
    }
}

/// A single guard of the cage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The mount namespace, without which there can be no root of its own either.
    MountNamespace,
    /// The root file system of its own.
    NewRoot,
    /// `nosuid` on what is mounted from the host.
    NoSuid,
    /// `nodev` on what is mounted from the host.
    NoDev,
    /// `ro` on what is mounted from the host and may not be written.
    ReadOnly,
    /// The covers over what `/proc` tells of the host.
    MaskedProc,
    /// The network namespace.
    NetworkNamespace,
    /// The pid namespace.
    PidNamespace,
    /// The ipc namespace.
    IpcNamespace,
    /// The uts namespace: host and domain name.
    UtsNamespace,
    /// The cgroup namespace.
    CgroupNamespace,
    /// The switch from root to the payload's user.
    PayloadUser,
    /// The inner user and mount namespace, which locks every mount attribute.
    MountLock,
    /// The refusal of further user namespaces.
    NoNestedNamespaces,
    /// The dropping of capabilities.
    NoCapabilities,
    /// `no_new_privs`.
    NoNewPrivileges,
    /// Landlock.
    Landlock,
    /// The system call filter.
    Seccomp,
    /// The closing of inherited files.
    ClosedFiles,
    /// The init being non-dumpable, which shuts `/proc/1`.
    HiddenInit,
    /// cgroups.
    Cgroup,
    /// Resource limits of single processes.
    ProcessLimits,
    /// The limits that the launcher watches over: both times, output and disk.
    WatchedLimits,
    /// The size of each `tmpfs`.
    TmpfsLimits,
    /// The end of the cage when its launcher ends.
    DiesWithLauncher,
    /// The environment of its own.
    OwnEnvironment,
}

impl Guard {
    /// Every guard.
    pub const ALL: [Self; 26] = [
        Self::MountNamespace,
        Self::NewRoot,
        Self::NoSuid,
        Self::NoDev,
        Self::ReadOnly,
        Self::MaskedProc,
        Self::NetworkNamespace,
        Self::PidNamespace,
        Self::IpcNamespace,
        Self::UtsNamespace,
        Self::CgroupNamespace,
        Self::PayloadUser,
        Self::MountLock,
        Self::NoNestedNamespaces,
        Self::NoCapabilities,
        Self::NoNewPrivileges,
        Self::Landlock,
        Self::Seccomp,
        Self::ClosedFiles,
        Self::HiddenInit,
        Self::Cgroup,
        Self::ProcessLimits,
        Self::WatchedLimits,
        Self::TmpfsLimits,
        Self::DiesWithLauncher,
        Self::OwnEnvironment,
    ];
}

/// How a file is written. The bytes travel beside the JSON, see [`crate::write_message`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WriteMode {
    /// The file must not exist. One part: the content.
    Create,
    /// The whole content, whether the file exists or not. One part: the content.
    Replace,
    /// One exact piece of text, which must occur once. Two parts: the old piece, the new one.
    Edit,
}

/// What is done in the cage. Paths are relative to the workspace, the root itself is `.`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// Runs a program. A part beside the JSON, when there is one, is its standard input.
    Exec {
        /// Program and arguments; the program is looked up in the `PATH` of `env`.
        argv: Vec<String>,
        /// The whole environment: nothing is inherited.
        env: BTreeMap<String, String>,
        /// The working directory.
        cwd: String,
    },
    /// Reads lines of a UTF-8 file.
    Read {
        /// The file.
        path: String,
        /// The first line, counted from 1.
        first_line: u64,
        /// At most how many lines.
        max_lines: u64,
        /// At most how many bytes, cut at a character.
        max_bytes: u64,
    },
    /// Lists a directory, sorted by name, without following symbolic links.
    List {
        /// The directory.
        path: String,
        /// How many levels deep, 1 being its own entries.
        depth: u32,
        /// At most how many entries.
        max: u32,
    },
    /// Looks for a regular expression (syntax of the `regex` crate) in UTF-8 files, line by line,
    /// without following symbolic links and without looking into `.git`.
    Search {
        /// The directory or file.
        path: String,
        /// The expression.
        pattern: String,
        /// At most how many matching lines.
        max: u32,
    },
    /// Writes a file, whole or not at all, making missing directories.
    Write {
        /// The file.
        path: String,
        /// How.
        mode: WriteMode,
        /// SHA-256 (hexadecimal) that the file must have before, when it matters.
        expected_sha256: Option<String>,
    },
}
