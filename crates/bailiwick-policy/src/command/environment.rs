//! Variables that change what programs start, load, connect to or write.
//!
//! There are too many of them for a list of names to be complete, so most are told by their form:
//! what ends in `_PATH`, `_CMD` or `_OPTIONS` steers a program until its value says otherwise.

/// Names that steer in themselves.
const NAMES: [&str; 97] = [
    // the shell and its start
    "PATH",
    "ENV",
    "PS4",
    "SHELL",
    "HOME",
    "CDPATH",
    "FPATH",
    "ZDOTDIR",
    "SHELLOPTS",
    "PROMPT_COMMAND",
    "INPUTRC",
    "HISTFILE",
    // what is opened
    "PAGER",
    "MANPAGER",
    "EDITOR",
    "VISUAL",
    "BROWSER",
    "LESSOPEN",
    "LESSCLOSE",
    "LESS",
    "LESSKEY",
    "EXINIT",
    "VIMINIT",
    "DISPLAY",
    // interpreters and virtual machines
    "PYTHONSTARTUP",
    "PYTHONHOME",
    "PYTHONINSPECT",
    "PYTHONBREAKPOINT",
    "PYTHONUSERBASE",
    "PYTHONEXECUTABLE",
    "PYTHONPYCACHEPREFIX",
    "PYTHONWARNINGS",
    "MYPYPATH",
    "PERL5LIB",
    "PERL5OPT",
    "PERL5DB",
    "PERL5SHELL",
    "PERLLIB",
    "RUBYOPT",
    "RUBYLIB",
    "RUBYSHELL",
    "RAKEOPT",
    "CLASSPATH",
    "JAVACMD",
    "NODE_REPL_EXTERNAL_MODULE",
    "NODE_V8_COVERAGE",
    "NODE_EXTRA_CA_CERTS",
    "MALLOC_CONF",
    // compilers and what builds
    "CC",
    "CXX",
    "CPP",
    "LD",
    "AR",
    "AS",
    "NM",
    "RANLIB",
    "STRIP",
    "OBJCOPY",
    "OBJDUMP",
    "FC",
    "LEX",
    "YACC",
    "MAKE",
    "RM",
    "INSTALL",
    "COMPILER_PATH",
    "LIBRARY_PATH",
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "GCC_EXEC_PREFIX",
    "PKG_CONFIG",
    "MFLAGS",
    "MAKEFILES",
    "CARGO",
    "RUSTDOC",
    "RUSTFMT",
    "GOROOT",
    "GOBIN",
    "GOPATH",
    "GOENV",
    "GOAUTH",
    "GOVCS",
    "GOTMPDIR",
    "GOWORK",
    // tools
    "TAPE",
    "GZIP",
    "AWKPATH",
    "AWKLIBPATH",
    "GCONV_PATH",
    "LOCPATH",
    "NLSPATH",
    "TERMINFO",
    "HOSTALIASES",
    "NETRC",
    "KUBECONFIG",
    "CHROME_BIN",
];

/// Beginnings of names of which every one steers, but for those in [`HARMLESS`].
const STARTS: [&str; 47] = [
    "LD_",
    "DYLD_",
    "GLIBC_",
    "BASH",
    "GIT_",
    "SSH_",
    "SUDO_",
    "DBUS_",
    "XDG_",
    "SSL_",
    "OPENSSL_",
    "KRB5_",
    "RUSTC",
    "RUSTUP_",
    "CARGO_",
    "CLIPPY_",
    "NPM_",
    "PNPM_",
    "YARN_",
    "NVM_",
    "VOLTA_",
    "PIP_",
    "UV_",
    "POETRY_",
    "PYENV_",
    "PYTEST_",
    "TOX_",
    "COVERAGE_",
    "GEM_",
    "BUNDLE_",
    "RBENV_",
    "GOFLAGS",
    "GOPROXY",
    "GOTOOLCHAIN",
    "GOCACHE",
    "GOMOD",
    "CGO_",
    "MAKEFLAGS",
    "GNUMAKE",
    "CMAKE_",
    "CTEST_",
    "CC_",
    "CXX_",
    "AR_",
    "MAVEN_",
    "GRADLE_",
    "RIPGREP_",
];

/// Endings that tell a setting of which programs, files or options come out.
const ENDS: [&str; 43] = [
    "_PROXY",
    "_BASE_URL",
    "_API_BASE",
    "_PRELOAD",
    "_PATH",
    "_HOME",
    "_BIN",
    "_BINARY",
    "_EXECUTABLE",
    "_CMD",
    "_COMMAND",
    "_SHELL",
    "_EDITOR",
    "_PAGER",
    "_BROWSER",
    "_PROGRAM",
    "_PREFIX",
    "_WRAPPER",
    "_LAUNCHER",
    "_LINKER",
    "_RUNNER",
    "_COMPILER",
    "_PLUGIN",
    "_PLUGINS",
    "_OPTIONS",
    "_OPTS",
    "_ARGS",
    "_FLAGS",
    "_CONFIG",
    "_CONF",
    "RC_FILE",
    "RCFILE",
    "_STARTUP",
    "_HOOK",
    "_HOOKS",
    "_SYMBOLIZER",
    "_ASKPASS",
    "_LOADER",
    "_DAEMON",
    "_CC",
    "_CXX",
    "_AR",
    "_PROFILE_FILE",
];

/// Names that would count by their form, and only change what is printed or how much is done.
const HARMLESS: [&str; 5] = [
    "CARGO_INCREMENTAL",
    "PYTEST_TIMEOUT",
    "CMAKE_BUILD_PARALLEL_LEVEL",
    "CMAKE_BUILD_TYPE",
    "CTEST_PARALLEL_LEVEL",
];

/// Whether a variable changes what programs are started, or what they load, connect to or write.
pub(super) fn steers(name: &str, value: Option<&str>) -> bool {
    let value_is = |test: fn(&str) -> bool| value.is_some_and(test);
    // zsh binds `path` to `PATH`, npm and libraries read small letters too
    let lower = ["path", "cdpath", "fpath"].contains(&name)
        || name.starts_with("npm_")
        || name.ends_with("_proxy");
    let upper = if lower { name.to_ascii_uppercase() } else { name.to_owned() };
    match upper.as_str() {
        "NODE_OPTIONS" => !value_is(|value| {
            value.split_whitespace().all(|option| {
                option.starts_with("--max-old-space-size=")
                    || matches!(
                        option,
                        "--experimental-vm-modules" | "--no-warnings" | "--enable-source-maps"
                    )
            })
        }),
        // a zone file is read from the path in it
        "TZ" => !value_is(|value| !value.contains("..") && !value.starts_with(['/', ':', '.'])),
        "PYTHONPATH" | "NODE_PATH" => !value_is(|value| {
            value.split(':').all(|path| !path.starts_with('/') && !path.contains(".."))
        }),
        "TMPDIR" | "TEMP" | "TMP" => !value_is(in_scratch),
        "CARGO_TARGET_DIR" => !value_is(|value| {
            in_scratch(value) || (value.starts_with("target") && !value.contains(".."))
        }),
        _ if HARMLESS.contains(&upper.as_str())
            || ["CARGO_TERM_", "CARGO_PROFILE_"].iter().any(|start| upper.starts_with(start)) =>
        {
            false
        }
        _ if upper.ends_with("FLAGS") && !upper.contains("MAKE") && !upper.starts_with("GO") => {
            !value_is(plain_flags)
        }
        _ => {
            NAMES.contains(&upper.as_str())
                || STARTS.iter().any(|start| upper.starts_with(start))
                || ENDS.iter().any(|end| upper.ends_with(end))
        }
    }
}

fn in_scratch(path: &str) -> bool {
    path == "/tmp" || (path.starts_with("/tmp/") && !path.contains(".."))
}

/// Whether compiler flags only choose warnings, optimisation, macros and the like.
pub(super) fn plain_flags(value: &str) -> bool {
    !value.contains(['$', '`', ';', '|', '&', '<', '>', '(', '@', '%'])
        && value.split_whitespace().all(|word| {
            matches!(word, "-D" | "-W" | "-A" | "warnings" | "-pthread" | "-static" | "-pedantic")
                || ["-O", "-g", "-W", "-D", "-std=", "-f", "-m", "-lm"]
                    .iter()
                    .any(|start| word.starts_with(start))
                    && ![
                        "-Wl,",
                        "-Wa,",
                        "-Wp,",
                        "-fplugin",
                        "-fpass-plugin",
                        "-fuse-ld",
                        "-fprofile",
                        "-fdump",
                        "-fdiagnostics",
                    ]
                    .iter()
                    .any(|start| word.starts_with(start))
        })
}

/// Whether a value is code to `make`, which expands what comes from the environment too.
pub(super) fn holds_code(value: &str) -> bool {
    value.contains("$(") || value.contains("${") || value.contains('`')
}
