//! The environment that programs in a cage find.

use std::collections::BTreeMap;

use bailiwick_guest::{HOME, SCRATCH};

use crate::toolchains::Toolchains;

const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a cage is like, as far as its environment depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    pub(crate) scratch: bool,
    pub(crate) network: bool,
}

/// The whole environment of a command, before what the command itself adds.
pub(crate) fn base(toolchains: &Toolchains, here: Circumstances) -> BTreeMap<String, String> {
    let path: Vec<&str> = toolchains.path.iter().map(String::as_str).chain([SYSTEM_PATH]).collect();
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: String| {
        env.insert(name.to_owned(), value);
    };
    for (name, value) in [
        ("HOME", HOME),
        ("USER", "agent"),
        ("LOGNAME", "agent"),
        ("SHELL", "/bin/sh"),
        ("LANG", "C.UTF-8"),
        ("TMPDIR", "/tmp"),
        ("TERM", "dumb"),
        ("GIT_TERMINAL_PROMPT", "0"),
        // Build by-products belong neither into the workspace nor into its diff.
        ("PYTHONPYCACHEPREFIX", "/tmp/pycache"),
    ] {
        set(name, value.to_owned());
    }
    set("PATH", path.join(":"));
    set("CARGO_HOME", format!("{HOME}/.cargo"));
    set("GOPATH", format!("{HOME}/go"));
    if here.scratch {
        set("CARGO_TARGET_DIR", format!("{SCRATCH}/target"));
        set("GOCACHE", format!("{SCRATCH}/go-build"));
    }
    if !here.network {
        // Without these, each tool finds out for itself, slowly.
        set("CARGO_NET_OFFLINE", "true".to_owned());
        set("GOPROXY", "off".to_owned());
        set("npm_config_offline", "true".to_owned());
        set("PIP_NO_INDEX", "1".to_owned());
    }
    env.extend(toolchains.env.clone());
    env
}
