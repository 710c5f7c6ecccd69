//! Names that are almost well-known ones, and names that models make up from them.

mod distance;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use crate::ecosystem::Ecosystem;
use crate::rule::Rule;

/// What a name is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Likeness {
    /// The rule: near, or a pattern.
    pub rule: Rule,
    /// In words, before the other name: `one letter off`.
    pub how: &'static str,
    /// The well-known name.
    pub of: String,
}

struct Popular {
    names: BTreeSet<String>,
    /// By the name without separators.
    squeezed: BTreeMap<String, String>,
    /// By the name with look-alike letters made the same.
    skeletons: BTreeMap<String, String>,
    /// By length, for distances.
    by_length: BTreeMap<usize, Vec<String>>,
}

fn text(ecosystem: Ecosystem) -> &'static str {
    match ecosystem {
        Ecosystem::Cargo => include_str!("../data/popular-cargo.txt"),
        Ecosystem::Npm => include_str!("../data/popular-npm.txt"),
        Ecosystem::Pypi => include_str!("../data/popular-pypi.txt"),
        Ecosystem::Go => include_str!("../data/popular-go.txt"),
        Ecosystem::Maven => include_str!("../data/popular-maven.txt"),
    }
}

fn popular(ecosystem: Ecosystem) -> &'static Popular {
    static ALL: [OnceLock<Popular>; 5] =
        [OnceLock::new(), OnceLock::new(), OnceLock::new(), OnceLock::new(), OnceLock::new()];
    static NONE: OnceLock<Popular> = OnceLock::new();
    let at = Ecosystem::ALL.iter().position(|one| *one == ecosystem);
    let slot = at.and_then(|at| ALL.get(at)).unwrap_or(&NONE);
    slot.get_or_init(|| {
        let names: BTreeSet<String> =
            text(ecosystem).split_whitespace().map(|name| ecosystem.canonical(name)).collect();
        let mut by_length: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for name in &names {
            by_length.entry(name.chars().count()).or_default().push(name.clone());
        }
        let keyed = |key: fn(&str) -> String| {
            names.iter().rev().map(|name| (key(name), name.clone())).collect()
        };
        Popular { squeezed: keyed(squeezed), skeletons: keyed(skeleton), by_length, names }
    })
}

/// Whether a name is one of the well-known ones that are built in.
pub(crate) fn is_popular(ecosystem: Ecosystem, name: &str) -> bool {
    popular(ecosystem).names.contains(name)
}

fn squeezed(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Letters that look alike, made the same.
fn skeleton(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars().flat_map(char::to_lowercase) {
        out.push(match c {
            '0' | 'о' | 'ο' | 'օ' => 'o',
            '1' | 'i' | 'l' | '|' | 'і' | 'ı' | 'ӏ' => 'l',
            '5' => 's',
            'а' | 'α' => 'a',
            'е' | 'ё' => 'e',
            'с' => 'c',
            'р' => 'p',
            'х' => 'x',
            'у' => 'y',
            'ѕ' => 's',
            'ј' => 'j',
            'һ' => 'h',
            'ԁ' => 'd',
            'ո' => 'n',
            other => other,
        });
    }
    out.replace("rn", "m").replace("vv", "w").replace("cl", "d")
}

/// Ends and beginnings that are put to a known name to make another: the language, the kind of
/// thing, praise.
const ENDS: [&str; 46] = [
    "-js",
    ".js",
    "js",
    "-py",
    "-python",
    "-python3",
    "-rs",
    "-go",
    "-ts",
    "-node",
    "-cli",
    "-sdk",
    "-api",
    "-core",
    "-lib",
    "-library",
    "-utils",
    "-util",
    "-helper",
    "-helpers",
    "-tools",
    "-tool",
    "-client",
    "-official",
    "-plus",
    "-pro",
    "-ng",
    "-next",
    "-new",
    "-latest",
    "-dev",
    "-package",
    "-module",
    "-wrapper",
    "-extended",
    "-secure",
    "-fast",
    "-async",
    "-easy",
    "-simple",
    "-v2",
    "2",
    "3",
    "s",
    "x",
    "-io",
];
const BEGINNINGS: [&str; 16] = [
    "node-",
    "python-",
    "python3-",
    "py",
    "py-",
    "js-",
    "rust-",
    "go-",
    "npm-",
    "pip-",
    "lib",
    "lib-",
    "the-",
    "real-",
    "official-",
    "open-",
];

/// What a package is imported as, where that is no package's name: models install the import.
const IMPORTS: [(&str, &str); 22] = [
    ("cv2", "opencv-python"),
    ("opencv", "opencv-python"),
    ("sklearn", "scikit-learn"),
    ("skimage", "scikit-image"),
    ("pil", "pillow"),
    ("yaml", "pyyaml"),
    ("bs4", "beautifulsoup4"),
    ("beautifulsoup", "beautifulsoup4"),
    ("dotenv", "python-dotenv"),
    ("crypto", "pycryptodome"),
    ("jwt", "pyjwt"),
    ("serial", "pyserial"),
    ("mysqldb", "mysqlclient"),
    ("docx", "python-docx"),
    ("dateutil", "python-dateutil"),
    ("git", "gitpython"),
    ("fitz", "pymupdf"),
    ("telegram", "python-telegram-bot"),
    ("discord", "discord-py"),
    ("zmq", "pyzmq"),
    ("nacl", "pynacl"),
    ("huggingface-cli", "huggingface-hub"),
];

/// What a name that is not well known is like. The name is in its canonical spelling.
pub fn likenesses(ecosystem: Ecosystem, name: &str) -> Vec<Likeness> {
    if is_popular(ecosystem, name) {
        return Vec::new();
    }
    let mut found: Vec<Likeness> = Vec::new();
    let mut add = |rule: Rule, how: &'static str, of: &str| {
        if of != name && !found.iter().any(|one| one.of == of) {
            found.push(Likeness { rule, how, of: of.to_owned() });
        }
    };
    near(ecosystem, name, &mut add);
    match ecosystem {
        Ecosystem::Npm => scopes(name, &mut add),
        Ecosystem::Maven => coordinates(name, &mut add),
        Ecosystem::Go => modules(name, &mut add),
        Ecosystem::Pypi => {
            if let Some((_, of)) = IMPORTS.iter().find(|(import, _)| *import == name) {
                add(Rule::NamePattern, "what is imported, and not the name, of", of);
            }
        }
        Ecosystem::Cargo => {}
    }
    if matches!(ecosystem, Ecosystem::Npm | Ecosystem::Pypi | Ecosystem::Cargo) {
        affixes(ecosystem, name, &mut add);
        joined(ecosystem, name, &mut add);
        foreign(ecosystem, name, &mut add);
    }
    found
}

type Add<'a> = dyn FnMut(Rule, &'static str, &str) + 'a;

fn near(ecosystem: Ecosystem, name: &str, add: &mut Add<'_>) {
    let known = popular(ecosystem);
    if let Some(of) = known.skeletons.get(&skeleton(name)) {
        add(Rule::NameNear, "written with letters that look like those of", of);
    }
    if let Some(of) = known.squeezed.get(&squeezed(name)) {
        add(Rule::NameNear, "but for its separators", of);
    }
    let length = name.chars().count();
    let most = match length {
        0..=3 => return,
        4..=9 => 1,
        _ => 2,
    };
    // a version at the end of a module's path is no spelling
    if ecosystem == Ecosystem::Go && name.rsplit('/').next().is_some_and(is_major) {
        return;
    }
    for (_, names) in known.by_length.range(length.saturating_sub(most)..=length + most) {
        for of in names {
            let off = distance::within(name, of, most);
            // two letters off only counts where the beginning is the same
            let plausible =
                off == Some(1) || off == Some(2) && name.chars().take(3).eq(of.chars().take(3));
            if plausible && !differ_in_number(name, of) {
                add(Rule::NameNear, "one or two letters off", of);
            }
        }
    }
}

fn is_major(part: &str) -> bool {
    part.strip_prefix('v')
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()))
}

/// `v2` and `v3`, `client-s3` and `client-s4`: families rather than slips.
fn differ_in_number(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    one.ends_with(|c: char| c.is_ascii_digit())
        && other.ends_with(|c: char| c.is_ascii_digit())
        && plain(one) == plain(other)
}

fn affixes(ecosystem: Ecosystem, name: &str, add: &mut Add<'_>) {
    let known = popular(ecosystem);
    for end in ENDS {
        if let Some(of) = name.strip_suffix(end).filter(|of| of.len() >= 3)
            && known.names.contains(of)
        {
            add(Rule::NamePattern, "one with an ending put to", of);
        }
    }
    for beginning in BEGINNINGS {
        if let Some(of) = name.strip_prefix(beginning).filter(|of| of.len() >= 3)
            && known.names.contains(of)
        {
            add(Rule::NamePattern, "one with a beginning put to", of);
        }
    }
}

/// Two well-known names in one.
fn joined(ecosystem: Ecosystem, name: &str, add: &mut Add<'_>) {
    let known = popular(ecosystem);
    for (at, c) in name.char_indices() {
        if matches!(c, '-' | '_' | '.') && !name.starts_with('@') {
            let (first, second) = (name.get(..at).unwrap_or(""), name.get(at + 1..).unwrap_or(""));
            let both =
                [first, second].iter().all(|part| part.len() >= 3 && known.names.contains(*part));
            if both {
                add(Rule::NamePattern, "joined from two well-known names, one of them", first);
            }
        }
    }
}

/// The name of a package of another language.
fn foreign(ecosystem: Ecosystem, name: &str, add: &mut Add<'_>) {
    if name.len() < 5 {
        return;
    }
    let others = [Ecosystem::Npm, Ecosystem::Pypi, Ecosystem::Cargo];
    for other in others.into_iter().filter(|other| *other != ecosystem) {
        if is_popular(other, &other.canonical(name)) {
            let how = match other {
                Ecosystem::Npm => "the name of a package of npm, not of this ecosystem:",
                Ecosystem::Pypi => "the name of a package of Python, not of this ecosystem:",
                _ => "the name of a crate, not of this ecosystem:",
            };
            // the same word: the likeness is to itself in another place
            add(Rule::NamePattern, how, &format!("{other}:{name}"));
        }
    }
}

fn scopes(name: &str, add: &mut Add<'_>) {
    let known = popular(Ecosystem::Npm);
    match name.strip_prefix('@').and_then(|rest| rest.split_once('/')) {
        Some((scope, base)) => {
            let scopes: BTreeSet<&str> = known
                .names
                .iter()
                .filter_map(|one| one.strip_prefix('@')?.split_once('/').map(|(scope, _)| scope))
                .collect();
            if scopes.contains(scope) {
                return;
            }
            for of in &scopes {
                if distance::within(scope, of, 1).is_some() || squeezed(scope) == squeezed(of) {
                    add(
                        Rule::NameNear,
                        "in a scope that is almost that of",
                        &format!("@{of}/{base}"),
                    );
                }
            }
            if known.names.contains(base) && base.len() >= 4 {
                add(Rule::NamePattern, "in another scope than", base);
            }
        }
        None => {
            for of in known.names.iter().filter(|one| one.starts_with('@')) {
                let flat = of.trim_start_matches('@').replace('/', "-");
                if name == flat || name == flat.replace('-', "") {
                    add(Rule::NamePattern, "without its scope", of);
                }
            }
        }
    }
}

fn coordinates(name: &str, add: &mut Add<'_>) {
    let Some((group, artifact)) = name.split_once(':') else { return };
    let known = popular(Ecosystem::Maven);
    let groups: BTreeMap<&str, &str> =
        known.names.iter().filter_map(|one| Some((one.split_once(':')?.0, one.as_str()))).collect();
    if groups.contains_key(group) {
        return;
    }
    for of in &known.names {
        if of.split_once(':').is_some_and(|(_, known)| known == artifact) {
            add(Rule::NamePattern, "of another group than", of);
        }
    }
    for (of, example) in groups {
        if of.len() >= 6 && distance::within(group, of, 1).is_some() {
            add(Rule::NameNear, "of a group that is almost that of", example);
        }
    }
}

fn modules(name: &str, add: &mut Add<'_>) {
    let known = popular(Ecosystem::Go);
    let parts: Vec<&str> = name.split('/').filter(|part| !is_major(part)).collect();
    let [host, owner, repo, ..] = parts.as_slice() else { return };
    for of in &known.names {
        let theirs: Vec<&str> = of.split('/').filter(|part| !is_major(part)).collect();
        let [their_host, their_owner, their_repo, ..] = theirs.as_slice() else { continue };
        let same_owner = owner.eq_ignore_ascii_case(their_owner);
        if repo == their_repo && !same_owner && repo.len() >= 3 && host == their_host {
            if distance::within(owner, their_owner, 2).is_some() {
                add(Rule::NameNear, "of an owner who is almost that of", of);
            } else {
                add(Rule::NamePattern, "of another owner than", of);
            }
        }
        if same_owner && repo == their_repo && host != their_host {
            add(Rule::NameNear, "on another host than", of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_made_from_known_ones_are_found() {
        use Ecosystem::{Cargo, Go, Maven, Npm, Pypi};
        for (ecosystem, name, of) in [
            (Npm, "lodahs", "lodash"),
            (Npm, "expres", "express"),
            (Npm, "reacct", "react"),
            (Npm, "crossenv", "cross-env"),
            (Npm, "react-router.dom", "react-router-dom"),
            (Npm, "1odash", "lodash"),
            (Npm, "lodash-js", "lodash"),
            (Npm, "axios-api", "axios"),
            (Npm, "node-axios", "axios"),
            (Npm, "express-mongoose", "express"),
            (Npm, "types-node", "@types/node"),
            (Npm, "@bable/core", "@babel/core"),
            (Npm, "@evil/lodash", "lodash"),
            (Npm, "beautifulsoup4", "pypi:beautifulsoup4"),
            (Npm, "chalks", "chalk"),
            (Pypi, "reqeusts", "requests"),
            (Pypi, "request", "requests"),
            (Pypi, "python-requests", "requests"),
            (Pypi, "requests-py", "requests"),
            (Pypi, "sklearn", "scikit-learn"),
            (Pypi, "huggingface-cli", "huggingface-hub"),
            (Pypi, "djang0", "django"),
            (Pypi, "pandas-numpy", "pandas"),
            (Pypi, "react-router", "npm:react-router"),
            (Pypi, "colourama", "colorama"),
            (Cargo, "serde-jsonn", "serde-json"),
            (Cargo, "tokio-rs", "tokio"),
            (Cargo, "rustdecimal", "rust-decimal"),
            (Go, "github.com/gorila/mux", "github.com/gorilla/mux"),
            (Go, "github.com/evilcorp/cobra", "github.com/spf13/cobra"),
            (Go, "gitlab.com/spf13/cobra", "github.com/spf13/cobra"),
            (Go, "github.com/sirupsem/logrus", "github.com/sirupsen/logrus"),
            (Maven, "org.apache.comons:commons-lang3", "org.apache.commons:commons-lang3"),
            (Maven, "com.evil:guava", "com.google.guava:guava"),
            (Maven, "org.springframwork:spring-core", "org.springframework:spring-core"),
        ] {
            let found = likenesses(ecosystem, name);
            assert!(found.iter().any(|one| one.of == of), "{name}: {found:?}");
        }
    }

    #[test]
    fn names_of_their_own_are_left_alone() {
        use Ecosystem::{Cargo, Go, Maven, Npm, Pypi};
        for (ecosystem, name) in [
            (Npm, "lodash"),
            (Npm, "preact"),
            (Npm, "@babel/plugin-transform-runtime"),
            (Npm, "lodash.throttle"),
            (Npm, "stripe-terminal-kiosk"),
            (Pypi, "pyfakefs"),
            (Pypi, "syrupy"),
            (Cargo, "cedar-policy"),
            (Cargo, "brush-parser"),
            (Go, "github.com/spf13/cast"),
            (Go, "golang.org/x/vuln"),
            (Go, "github.com/gorilla/mux/v2"),
            (Maven, "com.example.shop:order-service"),
            (Maven, "org.springframework:spring-tx"),
        ] {
            assert_eq!(likenesses(ecosystem, name), Vec::new(), "{name}");
        }
    }
}
