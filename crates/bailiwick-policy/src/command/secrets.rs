//! Files that hold secrets, told by their names, and programs that are given one.

use super::Analysis;
use super::options::could_be_option;
use super::word::Value;

/// Programs that look at a name and not into the file, or print what they are given.
const BLIND: [&str; 12] = [
    "echo", "printf", "ls", "test", "[", "stat", "touch", "basename", "dirname", "realpath",
    "which", "cd",
];
/// Programs whose first operand is text to look for, or a program.
const PATTERN_FIRST: [&str; 8] = ["grep", "egrep", "fgrep", "rg", "sed", "awk", "gawk", "jq"];

/// Names of files that are there to hold a secret.
const NAMES: [&str; 17] = [
    ".env",
    ".netrc",
    "_netrc",
    ".pgpass",
    ".my.cnf",
    ".git-credentials",
    ".npmrc",
    ".pypirc",
    ".htpasswd",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "credentials.json",
    "service-account.json",
    "shadow",
    "gshadow",
];

impl Analysis {
    /// Notes every argument that names a file of secrets, whatever the program does with it.
    pub(super) fn secrets(&mut self, name: &str, args: &[Value]) {
        if BLIND.contains(&name)
            || (name == "git" && args.iter().any(|arg| arg.known() == Some("check-ignore")))
        {
            return;
        }
        let mut skip = PATTERN_FIRST.contains(&name)
            && !args
                .iter()
                .any(|arg| matches!(arg.known(), Some("-e" | "-f" | "--regexp" | "--file")));
        for arg in args {
            if let Value::Partial(shape) = arg
                && !std::mem::take(&mut skip)
                && may_become_secret(shape)
            {
                self.effects.secrets.insert(shape.clone());
            }
            let Some(text) = arg.text() else { continue };
            let operand = !could_be_option(arg) || arg.known().is_none();
            if operand && std::mem::take(&mut skip) {
                continue;
            }
            let found: Vec<String> = text
                .split(['=', '@', ':', ','])
                .filter(|part| may_hold_secrets(part))
                .map(str::to_owned)
                .collect();
            self.effects.secrets.extend(found);
        }
    }

    /// Notes a file that a redirection reads.
    pub(super) fn secret_read(&mut self, path: &str) {
        if may_hold_secrets(path) {
            self.effects.secrets.insert(path.to_owned());
        }
    }
}

/// Whether what is known of a name is half of one that holds secrets, or more.
fn may_become_secret(shape: &str) -> bool {
    let Some(file) = shape.rsplit('/').next() else { return false };
    let known = file.chars().filter(|c| *c != '*').count();
    if file.chars().all(|c| c != '*') {
        return may_hold_secrets(file);
    }
    globset::Glob::new(&file.to_lowercase()).is_ok_and(|glob| {
        let matcher = glob.compile_matcher();
        NAMES.iter().any(|name| known * 2 >= name.len() && matcher.is_match(name))
    })
}

/// Whether a file of this name is there to hold a secret, or a pattern matches such a name.
pub(super) fn may_hold_secrets(path: &str) -> bool {
    const DIRECTORIES: [&str; 5] = [".ssh", ".aws", ".gnupg", ".kube", ".docker"];
    const SAMPLES: [&str; 6] =
        [".example", ".sample", ".template", ".dist", ".defaults", ".schema"];
    let lower = path.to_lowercase();
    let parts: Vec<&str> = lower.split('/').filter(|part| !part.is_empty()).collect();
    let Some(file) = parts.last() else { return false };
    if lower.starts_with("/proc/")
        && ["environ", "mem", "maps", "root", "cwd", "fd"].iter().any(|part| parts.contains(part))
    {
        return true;
    }
    if parts.iter().any(|part| DIRECTORIES.contains(part)) {
        return !file.ends_with(".pub");
    }
    if *file == "shadow" || *file == "gshadow" {
        return lower.contains("etc/");
    }
    if NAMES.contains(file)
        || [".pem", ".p12", ".pfx", ".keystore", ".jks", ".kdbx"]
            .iter()
            .any(|end| file.ends_with(end))
    {
        return true;
    }
    if file.starts_with(".env.") {
        return !SAMPLES.iter().any(|end| file.ends_with(end));
    }
    // a pattern that begins with a dot, or with letters of such a name
    file.contains(['*', '?', '[', '{'])
        && (file.starts_with(".e")
            || file.starts_with("id_")
            || file.starts_with(".n")
            || file.starts_with(".?")
            || file.starts_with(".*")
            || file.starts_with(".["))
}

#[cfg(test)]
mod tests {
    use super::may_hold_secrets;

    #[test]
    fn half_a_name_is_enough() {
        for shape in ["*/.env", ".e*nv", "id_r*", ".ne*rc"] {
            assert!(super::may_become_secret(shape), "{shape}");
        }
        for shape in ["*", "*/*", "src/*", "*.json", "a*.rs", ".env*x"] {
            assert!(!super::may_become_secret(shape), "{shape}");
        }
    }

    #[test]
    fn names_of_secret_files() {
        for path in [
            ".env",
            "a/.env.production",
            "~/.ssh/id_rsa",
            "/~/.aws/credentials",
            "x/server.pem",
            "/etc/shadow",
            ".en*",
            "/proc/self/environ",
            ".ENV",
            "id_ed25519",
        ] {
            assert!(may_hold_secrets(path), "{path}");
        }
        for path in [
            ".env.example",
            "src/env.rs",
            ".environment",
            "~/.ssh/id_rsa.pub",
            "src/shadow.rs",
            "shadow",
            "*.rs",
            "",
            "/",
        ] {
            assert!(!may_hold_secrets(path), "{path}");
        }
    }
}
