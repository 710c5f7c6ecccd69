//! Cases, as they stand in their files.

use std::collections::BTreeMap;
use std::path::Path;

use bailiwick_guest::Guard;
use serde::Deserialize;

/// One or several texts.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    pub(crate) fn all(&self) -> Vec<&str> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts.iter().map(String::as_str).collect(),
        }
    }
}

impl Default for Texts {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Starters {
    #[default]
    Both,
    Root,
    User,
}

/// What is done on the host after the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Then {
    /// The workspace is recorded, by the platform's own git (control: by git as a person has it).
    Record,
    /// The launcher is killed while the payload runs.
    KillLauncher,
}

/// How the control run is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Control {
    /// In the process tier, the case's guards off.
    #[default]
    Off,
    /// On the host, as the payload's user, without any sandbox.
    Host,
}

/// What a tier answers because of what it is, and no guard of ours could.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nature {
    /// The last line of its output; any when empty.
    #[serde(default)]
    pub(crate) blocked: Texts,
    /// How the run ends; `exit 0` unless said otherwise.
    #[serde(default)]
    pub(crate) ended: Texts,
    /// Why the attack is stopped all the same.
    pub(crate) because: String,
}

/// One attack.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// The promise of `docs/threat-model.md` that it is about.
    #[serde(default)]
    pub(crate) promise: String,
    /// The guards that each alone stop it.
    #[serde(default)]
    pub(crate) guards: Vec<Guard>,
    /// Guards that have to be off in the control run too, because they need one of `guards`.
    #[serde(default)]
    pub(crate) with: Vec<Guard>,
    /// What the probe is told to do.
    #[serde(default)]
    pub(crate) probe: Vec<String>,
    /// Or a script for the shell.
    #[serde(default)]
    pub(crate) sh: String,
    /// The last line of its output when it is stopped: any of these.
    #[serde(default)]
    pub(crate) blocked: Texts,
    /// The same on other tiers, when it differs.
    #[serde(default)]
    pub(crate) elsewhere: Texts,
    /// By tier: what it answers instead, and why.
    #[serde(default)]
    pub(crate) nature: BTreeMap<String, Nature>,
    /// Its last line when it succeeds.
    #[serde(default)]
    pub(crate) works: Texts,
    /// Its last line in the control run where this kernel lacks what is attacked.
    #[serde(default)]
    pub(crate) absent: Texts,
    /// How the guarded run ends, such as `limit memory`; `exit 0` unless said otherwise.
    #[serde(default)]
    pub(crate) ended: Texts,
    /// A word on the command line of a process that only a successful attack leaves behind.
    #[serde(default)]
    pub(crate) survives: Option<String>,
    /// A file that only a successful attack makes.
    #[serde(default)]
    pub(crate) trace: Option<String>,
    #[serde(default)]
    pub(crate) starters: Starters,
    /// Tiers it makes sense on; all when empty.
    #[serde(default)]
    pub(crate) tiers: Vec<String>,
    #[serde(default)]
    pub(crate) control: Control,
    #[serde(default)]
    pub(crate) then: Option<Then>,
    /// Limits that differ from the suite's.
    #[serde(default)]
    pub(crate) limits: BTreeMap<String, u64>,
    /// Files that the host puts into the workspace before: name and content.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// The workspace is mounted read-only.
    #[serde(default)]
    pub(crate) read_only: bool,
    /// The command is given the host's network, as in the set-up phase.
    #[serde(default)]
    pub(crate) network: bool,
    /// It takes long: it is run under guards that it names only.
    #[serde(default)]
    pub(crate) slow: bool,
    /// Who wrote it: `outside` is somebody who went by the threat model and had not read what builds
    /// the cage.
    #[serde(default)]
    pub(crate) by: String,
    #[serde(skip)]
    pub(crate) file: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// Every case below a directory, sorted by file.
pub(crate) fn load(directory: &Path) -> Vec<Case> {
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut cases: Vec<Case> = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let file: File =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        for mut case in file.case {
            case.file.clone_from(&name);
            assert!(
                !cases.iter().any(|other| other.name == case.name),
                "two cases are called `{}`",
                case.name
            );
            assert!(
                case.probe.is_empty() != case.sh.is_empty(),
                "`{}` needs either `probe` or `sh`",
                case.name
            );
            assert!(
                case.control == Control::Host || !case.guards.is_empty(),
                "`{}` names no guard, so there is no control run",
                case.name
            );
            cases.push(case);
        }
    }
    cases
}

/// The number of a system call by its name, or the number itself.
pub(crate) fn call_number(name: &str) -> i64 {
    match name {
        "io_uring_setup" => libc::SYS_io_uring_setup,
        "io_uring_enter" => libc::SYS_io_uring_enter,
        "io_uring_register" => libc::SYS_io_uring_register,
        "userfaultfd" => libc::SYS_userfaultfd,
        "bpf" => libc::SYS_bpf,
        "keyctl" => libc::SYS_keyctl,
        "add_key" => libc::SYS_add_key,
        "request_key" => libc::SYS_request_key,
        "perf_event_open" => libc::SYS_perf_event_open,
        "pivot_root" => libc::SYS_pivot_root,
        "chroot" => libc::SYS_chroot,
        "kexec_load" => libc::SYS_kexec_load,
        "kexec_file_load" => libc::SYS_kexec_file_load,
        "init_module" => libc::SYS_init_module,
        "finit_module" => libc::SYS_finit_module,
        "delete_module" => libc::SYS_delete_module,
        "setns" => libc::SYS_setns,
        "open_tree" => libc::SYS_open_tree,
        "move_mount" => libc::SYS_move_mount,
        "fsopen" => libc::SYS_fsopen,
        "fsmount" => libc::SYS_fsmount,
        "fspick" => libc::SYS_fspick,
        "umount2" => libc::SYS_umount2,
        "open_by_handle_at" => libc::SYS_open_by_handle_at,
        "name_to_handle_at" => libc::SYS_name_to_handle_at,
        "fanotify_init" => libc::SYS_fanotify_init,
        "pidfd_getfd" => libc::SYS_pidfd_getfd,
        "kcmp" => libc::SYS_kcmp,
        "process_madvise" => libc::SYS_process_madvise,
        "process_vm_writev" => libc::SYS_process_vm_writev,
        "memfd_secret" => libc::SYS_memfd_secret,
        "vmsplice" => libc::SYS_vmsplice,
        "personality" => libc::SYS_personality,
        "acct" => libc::SYS_acct,
        "swapon" => libc::SYS_swapon,
        "quotactl" => libc::SYS_quotactl,
        "syslog" => libc::SYS_syslog,
        "reboot" => libc::SYS_reboot,
        "clock_settime" => libc::SYS_clock_settime,
        "settimeofday" => libc::SYS_settimeofday,
        "adjtimex" => libc::SYS_adjtimex,
        "clock_adjtime" => libc::SYS_clock_adjtime,
        "sethostname" => libc::SYS_sethostname,
        "setdomainname" => libc::SYS_setdomainname,
        "iopl" => libc::SYS_iopl,
        "ioperm" => libc::SYS_ioperm,
        "modify_ldt" => libc::SYS_modify_ldt,
        "migrate_pages" => libc::SYS_migrate_pages,
        "move_pages" => libc::SYS_move_pages,
        "lookup_dcookie" => libc::SYS_lookup_dcookie,
        "vhangup" => libc::SYS_vhangup,
        "prctl" => libc::SYS_prctl,
        "capset" => libc::SYS_capset,
        "setpriority" => libc::SYS_setpriority,
        "sched_setscheduler" => libc::SYS_sched_setscheduler,
        "prlimit64" => libc::SYS_prlimit64,
        "mknodat" => libc::SYS_mknodat,
        "seccomp" => libc::SYS_seccomp,
        "uselib" => libc::SYS_uselib,
        "ustat" => libc::SYS_ustat,
        "sysfs" => libc::SYS_sysfs,
        "ptrace" => libc::SYS_ptrace,
        number => number.parse().unwrap_or_else(|_| panic!("no system call `{number}` is known")),
    }
}
