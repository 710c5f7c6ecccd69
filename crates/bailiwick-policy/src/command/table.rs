//! What is known of programs: tables, so that a reader can see at a glance what counts as what.

/// Directories whose programs are the system's own.
pub(super) const SYSTEM_DIRS: [&str; 6] =
    ["/bin/", "/usr/bin/", "/usr/local/bin/", "/sbin/", "/usr/sbin/", "/usr/local/sbin/"];

/// Places that are written without lasting effect.
pub(super) const SCRATCH: [&str; 7] =
    ["/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty", "/dev/fd/1", "/dev/fd/2", "/tmp"];

/// Programs whose purpose is a connection.
pub(super) const NETWORK: [&str; 52] = [
    "curl",
    "wget",
    "nc",
    "ncat",
    "netcat",
    "socat",
    "ssh",
    "scp",
    "sftp",
    "rsync",
    "ftp",
    "lftp",
    "tftp",
    "telnet",
    "dig",
    "nslookup",
    "host",
    "ping",
    "ping6",
    "traceroute",
    "tracepath",
    "whois",
    "drill",
    "openssl",
    "gh",
    "glab",
    "hub",
    "tea",
    "aws",
    "gcloud",
    "gsutil",
    "az",
    "kubectl",
    "helm",
    "docker",
    "podman",
    "nerdctl",
    "buildah",
    "skopeo",
    "terraform",
    "ansible",
    "mosh",
    "rclone",
    "aria2c",
    "axel",
    "http",
    "https",
    "xh",
    "httpie",
    "websocat",
    "mail",
    "sendmail",
];

/// Programs that ask for other rights or change the cage.
pub(super) const PRIVILEGED: [&str; 22] = [
    "sudo",
    "doas",
    "su",
    "runuser",
    "pkexec",
    "mount",
    "umount",
    "unshare",
    "nsenter",
    "chroot",
    "setpriv",
    "capsh",
    "insmod",
    "modprobe",
    "iptables",
    "nft",
    "systemctl",
    "service",
    "setcap",
    "bwrap",
    "setfacl",
    "newgrp",
];

/// Shells: their code is read like the text around it.
pub(super) const SHELLS: [&str; 8] = ["sh", "bash", "dash", "zsh", "ksh", "ash", "mksh", "rbash"];

/// Commands of the shell that only compute, print or wait.
pub(super) const PLAIN_BUILTINS: [&str; 21] = [
    ":", "true", "false", "echo", "return", "exit", "break", "continue", "shift", "wait", "kill",
    "jobs", "umask", "type", "times", "pwd", "logout", "disown", "fg", "bg", "suspend",
];

/// Commands of the shell that change what later words mean, or run text.
pub(super) const CHANGING_BUILTINS: [&str; 16] = [
    "eval", "source", ".", "exec", "alias", "unalias", "enable", "shopt", "bind", "complete",
    "compgen", "fc", "hash", "pushd", "popd", "history",
];

/// Programs that start their operands as a command: name, options with a value, options without.
pub(super) struct Wrapper {
    pub(super) name: &'static str,
    pub(super) with_value: &'static [&'static str],
    pub(super) plain: &'static [&'static str],
    /// Operands before the command.
    pub(super) operands: usize,
}

pub(super) const WRAPPERS: [Wrapper; 11] = [
    Wrapper { name: "nohup", with_value: &[], plain: &[], operands: 0 },
    Wrapper {
        name: "setsid",
        with_value: &[],
        plain: &["-c", "-f", "-w", "--fork", "--wait", "--ctty"],
        operands: 0,
    },
    Wrapper {
        name: "timeout",
        with_value: &["-k", "-s", "--kill-after", "--signal"],
        plain: &["-v", "-f", "-p", "--foreground", "--preserve-status", "--verbose"],
        operands: 1,
    },
    Wrapper {
        name: "time",
        with_value: &["-f", "--format"],
        plain: &["-p", "-v", "--portability", "--verbose"],
        operands: 0,
    },
    Wrapper { name: "nice", with_value: &["-n", "--adjustment"], plain: &[], operands: 0 },
    Wrapper {
        name: "ionice",
        with_value: &["-c", "-n", "--class", "--classdata"],
        plain: &["-t", "--ignore"],
        operands: 0,
    },
    Wrapper {
        name: "stdbuf",
        with_value: &["-i", "-o", "-e", "--input", "--output", "--error"],
        plain: &[],
        operands: 0,
    },
    Wrapper { name: "chrt", with_value: &[], plain: &["-b", "-f", "-i", "-o", "-r"], operands: 1 },
    Wrapper { name: "taskset", with_value: &[], plain: &[], operands: 1 },
    Wrapper {
        name: "sudo",
        with_value: &["-u", "-g", "--user", "--group"],
        plain: &["-n", "-E", "-H", "-S"],
        operands: 0,
    },
    Wrapper { name: "doas", with_value: &["-u"], plain: &["-n"], operands: 0 },
];

/// Whether a name means more than a program of that name.
pub(super) fn is_special(name: &str) -> bool {
    NETWORK.contains(&name)
        || PRIVILEGED.contains(&name)
        || SHELLS.contains(&name)
        || CHANGING_BUILTINS.contains(&name)
        || WRAPPERS.iter().any(|wrapper| wrapper.name == name)
        || matches!(
            name,
            "trap"
                | "export"
                | "unset"
                | "readonly"
                | "command"
                | "builtin"
                | "env"
                | "xargs"
                | "find"
        )
}
