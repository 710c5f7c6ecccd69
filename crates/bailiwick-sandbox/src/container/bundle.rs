//! The bundle of one container: its root file system and its `config.json`.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use bailiwick_guest::{Access, HOME, Limits, Network, SCRATCH, WORKSPACE};
use serde_json::{Value, json};

use super::figures::Nest;
use super::{Engine, Runtime};
use crate::process::{CageConfig, Errand};

/// Where the host has programs and libraries; the same as in a cage of the process tier.
const SYSTEM: [&str; 8] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store"];
/// What of `/etc` is taken from the host; public by nature.
const FROM_ETC: [&str; 14] = [
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld-musl-x86_64.path",
    "alternatives",
    "localtime",
    "mime.types",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "ca-certificates",
    "pki/tls/certs",
    "pki/ca-trust/extracted",
];
const MASKED: [&str; 14] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/kmsg",
    "/proc/kallsyms",
    "/proc/latency_stats",
    "/proc/modules",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/interrupts",
];
const FIXED: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// A bundle on disk. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) directory: PathBuf,
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // What stays is swept with the state directory.
        drop(fs::remove_dir_all(&self.directory));
    }
}

impl Bundle {
    /// Makes the bundle of a command.
    pub(super) fn make(
        engine: &Engine,
        name: &str,
        config: &CageConfig,
        errand: &Errand,
    ) -> io::Result<Self> {
        let directory = engine.state.directory.join(name);
        fs::create_dir(&directory)?;
        let bundle = Self { directory };
        let root = Root { path: bundle.directory.join("rootfs"), mounts: Vec::new() };
        let mounts = root.fill(engine, config, errand)?;
        let text = serde_json::to_vec(&specification(engine, name, errand, mounts))?;
        fs::write(bundle.directory.join("config.json"), text)?;
        Ok(bundle)
    }
}

struct Root {
    path: PathBuf,
    mounts: Vec<Value>,
}

impl Root {
    fn fill(
        mut self,
        engine: &Engine,
        config: &CageConfig,
        errand: &Errand,
    ) -> io::Result<Vec<Value>> {
        let id = engine.payload_id;
        for directory in
            ["etc/ssl", "etc/pki/tls", "etc/pki/ca-trust", "proc", "dev", "sys", "tmp", "run"]
        {
            self.directory(directory)?;
        }
        for directory in ["var", "root", "opt", "home/agent"] {
            self.directory(directory)?;
        }
        symlink("/tmp", self.path.join("var/tmp"))?;
        fs::hard_link(engine.state.inside(), self.path.join("inside"))?;
        self.special("/proc", "proc", &["nosuid", "noexec", "nodev"]);
        let dev = ["nosuid", "strictatime", "mode=755", "size=65536k"];
        self.special("/dev", "tmpfs", &dev);
        for name in SYSTEM {
            let host = Path::new("/").join(name);
            match fs::read_link(&host) {
                Ok(target) => symlink(target, self.path.join(name))?,
                Err(_) if host.is_dir() => self.bind(&host, &format!("/{name}"), true)?,
                Err(_) => {}
            }
        }
        self.etc(errand.network, id)?;
        let size = format!("size={}", errand.limits.tmpfs_bytes);
        let (uid, gid) = (format!("uid={id}"), format!("gid={id}"));
        for (target, mode) in [("/tmp", "1777"), (HOME, "700"), ("/dev/shm", "1777")] {
            let mode = format!("mode={mode}");
            let options = ["nosuid", "nodev", &mode, &size, &uid, &gid];
            self.special(target, "tmpfs", &options);
        }
        self.bind(&config.workspace, WORKSPACE, config.access == Access::ReadOnly)?;
        if let Some(scratch) = &config.scratch {
            self.bind(scratch, SCRATCH, false)?;
        }
        for mount in &errand.mounts {
            let target = mount.target.to_string_lossy().into_owned();
            self.bind(&mount.source, &target, mount.access == Access::ReadOnly)?;
        }
        Ok(self.mounts)
    }

    fn directory(&self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.path.join(path))
    }

    fn special(&mut self, target: &str, kind: &str, options: &[&str]) {
        self.mounts
            .push(json!({"destination": target, "type": kind, "source": kind, "options": options}));
    }

    fn bind(&mut self, source: &Path, target: &str, fixed: bool) -> io::Result<()> {
        // Below the home directory and `/dev` the runtime makes the place on its own `tmpfs`.
        let over_tmpfs = target.starts_with("/dev/") || target.starts_with(&format!("{HOME}/"));
        if !over_tmpfs {
            self.directory(target.trim_start_matches('/'))?;
        }
        let access = if fixed { "ro" } else { "rw" };
        self.mounts.push(json!({
            "destination": target,
            "type": "bind",
            "source": source,
            "options": ["rbind", access, "nosuid", "nodev", "rprivate"],
        }));
        Ok(())
    }

    fn etc(&mut self, network: Network, id: u32) -> io::Result<()> {
        for name in FROM_ETC {
            let (source, target) = (Path::new("/etc").join(name), format!("etc/{name}"));
            if let Ok(link) = fs::read_link(&source) {
                symlink(link, self.path.join(target))?;
            } else if source.is_dir() {
                self.bind(&source, &format!("/{target}"), true)?;
            } else if source.is_file() {
                fs::copy(&source, self.path.join(target))?;
            }
        }
        let passwd = format!(
            "root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:{id}:{id}:agent:{HOME}:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
        );
        let group = format!("root:x:0:\nagent:x:{id}:\nnogroup:x:65534:\n");
        let own_hosts = "127.0.0.1 localhost bailiwick\n::1 localhost\n".to_owned();
        let host = |name: &str| fs::read_to_string(Path::new("/etc").join(name)).ok();
        let hosts = match network {
            Network::Host => host("hosts").unwrap_or(own_hosts),
            Network::None => own_hosts,
        };
        let mut files = vec![
            ("passwd", passwd),
            ("group", group),
            ("hostname", "bailiwick\n".to_owned()),
            ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n".to_owned()),
            ("hosts", hosts),
        ];
        if network == Network::Host {
            files.push(("resolv.conf", host("resolv.conf").unwrap_or_default()));
        }
        for (name, text) in files {
            fs::write(self.path.join("etc").join(name), text)?;
        }
        Ok(())
    }
}

fn specification(engine: &Engine, name: &str, errand: &Errand, mounts: Vec<Value>) -> Value {
    let id = engine.payload_id;
    let mut namespaces: Vec<Value> =
        ["pid", "ipc", "uts", "mount", "cgroup"].iter().map(|kind| json!({"type": kind})).collect();
    if errand.network == Network::None {
        namespaces.push(json!({"type": "network"}));
    }
    let mut linux = serde_json::Map::new();
    let mut set = |name: &str, value: Value| drop(linux.insert(name.to_owned(), value));
    set("maskedPaths", json!(MASKED));
    set("readonlyPaths", json!(FIXED));
    if !engine.cgroups.homes.is_empty() {
        // Relative: below the cgroup that this process is in.
        set("cgroupsPath", json!(Nest::path(name)));
        set("resources", resources(&errand.limits));
    }
    if engine.runtime == Runtime::Runc {
        // A namespace of its own locks the mounts' attributes. Its root is nobody on the host.
        namespaces.push(json!({"type": "user"}));
        let nobody = id.saturating_add(1);
        let map = json!([
            {"containerID": 0, "hostID": nobody, "size": 1},
            {"containerID": id, "hostID": id, "size": 1},
        ]);
        set("uidMappings", map.clone());
        set("gidMappings", map);
    }
    set("namespaces", Value::Array(namespaces));
    let none: [&str; 0] = [];
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": id, "gid": id},
            "args": ["/inside"],
            "env": ["PATH=/usr/bin:/bin"],
            "cwd": "/",
            "capabilities": {
                "bounding": none,
                "effective": none,
                "permitted": none,
                "inheritable": none,
                "ambient": none,
            },
            "rlimits": rlimits(&errand.limits, !engine.cgroups.homes.is_empty()),
            "noNewPrivileges": true,
            "oomScoreAdj": 500,
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "bailiwick",
        "mounts": mounts,
        "linux": linux,
    })
}

fn resources(limits: &Limits) -> Value {
    let pids = i64::try_from(limits.pids.saturating_add(1)).unwrap_or(i64::MAX);
    let memory = i64::try_from(limits.memory_bytes).unwrap_or(i64::MAX);
    json!({
        "devices": [{"allow": false, "access": "rwm"}],
        "pids": {"limit": pids},
        "memory": {"limit": memory},
    })
}

fn rlimits(limits: &Limits, counted: bool) -> Vec<Value> {
    let seconds = limits.cpu_time_ms.div_ceil(1000);
    // Where there is a cgroup, its limit is to be met first: it counts what it refuses.
    let spare = if counted { limits.pids.max(64) } else { 1 };
    [
        ("RLIMIT_CPU", seconds),
        ("RLIMIT_NOFILE", limits.open_files),
        ("RLIMIT_FSIZE", limits.file_size_bytes),
        // Not 0: a core handler of the host would be started all the same.
        ("RLIMIT_CORE", 1),
        ("RLIMIT_MEMLOCK", 64 << 10),
        ("RLIMIT_MSGQUEUE", 800 << 10),
        ("RLIMIT_NPROC", limits.pids.saturating_add(spare)),
    ]
    .iter()
    .map(|(kind, value)| json!({"type": kind, "soft": value, "hard": value}))
    .collect()
}
