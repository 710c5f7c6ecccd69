//! Programs that read, write, move and remove files.

use super::Analysis;
use super::options::{Known, Part, cut_short};
use super::word::Value;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operands {
    /// None.
    Read,
    /// All.
    All,
    /// All are removed.
    Removed,
    /// All but the first, which is a mode or owner.
    AllButFirst,
    /// The last; the others are read.
    Last,
    /// The second, if there is one.
    Second,
}

const PLAIN: Known = Known { starts: &[], writes: &[], values: &[], cut_short: true };

fn tool(name: &str) -> (Known, Operands) {
    match name {
        "sort" => (
            Known {
                starts: &["--compress-program", "--files0-from", "--random-source"],
                writes: &["-o", "--output", "-T", "--temporary-directory"],
                values: &["-k", "-t", "-S"],
                ..PLAIN
            },
            Operands::Read,
        ),
        "shuf" => {
            (Known { writes: &["-o", "--output"], values: &["-n", "-i"], ..PLAIN }, Operands::Read)
        }
        "tree" => (
            Known {
                // writes an index into each directory
                starts: &["-R"],
                writes: &["-o", "--output"],
                values: &["-L", "-P", "-I", "-H", "-T"],
                ..PLAIN
            },
            Operands::Read,
        ),
        "uniq" => (Known { values: &["-f", "-s", "-w"], ..PLAIN }, Operands::Second),
        "base64" => {
            (Known { writes: &["-o", "--output"], values: &["-w"], ..PLAIN }, Operands::Read)
        }
        "rg" => (
            Known {
                starts: &["--pre", "--hostname-bin", "--search-zip", "-z"],
                values: &["-e", "-g", "-t", "-T", "-A", "-B", "-C", "-m", "-f", "-r", "-j", "-M"],
                ..PLAIN
            },
            Operands::Read,
        ),
        "grep" | "egrep" | "fgrep" => (
            Known { values: &["-e", "-A", "-B", "-C", "-m", "-f", "-d", "-D"], ..PLAIN },
            Operands::Read,
        ),
        "file" => (Known { starts: &["-C*", "--compile"], ..PLAIN }, Operands::Read),
        "mktemp" => {
            (Known { writes: &["-p", "--tmpdir"], values: &["-t"], ..PLAIN }, Operands::All)
        }
        "tee" | "gzip" | "gunzip" | "rustfmt" => {
            (Known { values: &["-S", "--suffix"], ..PLAIN }, Operands::All)
        }
        "touch" => (
            Known { values: &["-d", "-r", "-t", "--date", "--reference", "--time"], ..PLAIN },
            Operands::All,
        ),
        "mkdir" => (Known { values: &["-m", "--mode"], ..PLAIN }, Operands::All),
        "truncate" => {
            (Known { values: &["-s", "-r", "--size", "--reference"], ..PLAIN }, Operands::All)
        }
        "rm" | "rmdir" | "unlink" => (PLAIN, Operands::Removed),
        "shred" => (Known { values: &["-n", "-s"], ..PLAIN }, Operands::Removed),
        "chmod" | "chown" | "chgrp" => (PLAIN, Operands::AllButFirst),
        "cp" | "mv" | "install" | "ln" => (
            Known {
                values: &["-S", "--suffix", "-m", "-o", "-g", "--mode", "--owner", "--group"],
                ..PLAIN
            },
            Operands::Last,
        ),
        "split" | "csplit" => (Known { starts: &["--filter"], ..PLAIN }, Operands::All),
        _ => (PLAIN, Operands::Read),
    }
}

impl Analysis {
    /// A tool of the table, and what is peculiar to it.
    pub(super) fn text_tool(&mut self, name: &str, args: &[Value]) {
        match name {
            "dd" => return self.dd(args),
            "patch" => return self.patch(args),
            "cp" | "mv" | "install" | "ln" => return self.copies(name, args),
            "chmod" | "chown" | "chgrp" => return self.permissions(name, args),
            _ => {}
        }
        let (known, kind) = tool(name);
        let mut operands: Vec<Value> = Vec::new();
        for part in known.read(args) {
            match part {
                Part::Starts(text) => self.doubt(format!(
                    "`{name} {text}` starts a program, or writes where the text does not say"
                )),
                Part::Writes(Some(value)) => self.writes(&value),
                Part::Writes(None) => {
                    self.doubt(format!("which file `{name}` writes is only known at run time"));
                }
                Part::Option(_) | Part::Value(_) => {}
                Part::Operand(value) => operands.push(value),
                Part::Unclear(value) => {
                    // what is not known could be an option, or a name that looks like one
                    if !known.starts.is_empty()
                        || !known.writes.is_empty()
                        || kind == Operands::Second
                    {
                        self.doubt(format!("an option of `{name}` may only be known at run time"));
                    }
                    operands.push(value);
                }
            }
        }
        match kind {
            Operands::All => operands.iter().for_each(|operand| self.writes(operand)),
            Operands::Removed => operands.iter().for_each(|operand| self.removes(operand)),
            Operands::Second => {
                if operands.iter().any(|operand| operand.known().is_none()) && operands.len() < 2 {
                    self.doubt(format!("which file `{name}` writes is only known at run time"));
                }
                if let Some(operand) = operands.get(1) {
                    self.writes(operand);
                }
            }
            Operands::Read | Operands::Last | Operands::AllButFirst => {}
        }
    }

    /// Notes that a path is removed, which changes it as well.
    pub(super) fn removes(&mut self, value: &Value) {
        self.writes(value);
        if let Some(places) = value.text().and_then(|text| self.places(text)) {
            self.effects.deletes.extend(places);
        }
    }

    fn permissions(&mut self, name: &str, args: &[Value]) {
        let (known, _) = tool(name);
        let mut has_mode = false;
        let mut operands: Vec<Value> = Vec::new();
        for part in known.read(args) {
            match part {
                Part::Option(text) => {
                    // `chmod -x file`, `chmod --reference=other file`: there is no mode to skip
                    has_mode |= cut_short("--reference", &text) && text.contains('=')
                        || name == "chmod"
                            && !text.starts_with("--")
                            && text.contains(['r', 'w', 'x', 's', 't', 'X', '=']);
                }
                Part::Operand(value) => operands.push(value),
                Part::Unclear(value) => {
                    self.doubt(format!("an option of `{name}` may only be known at run time"));
                    operands.push(value);
                }
                Part::Starts(_) | Part::Writes(_) | Part::Value(_) => {}
            }
        }
        for operand in operands.iter().skip(usize::from(!has_mode)) {
            self.writes(operand);
            if let Some(places) = operand.text().and_then(|text| self.places(text)) {
                self.effects.permissions.extend(places);
            }
        }
    }

    /// `cp`, `mv`, `install` and `ln`.
    fn copies(&mut self, name: &str, args: &[Value]) {
        let (known, _) = tool(name);
        let mut operands: Vec<Value> = Vec::new();
        let mut target: Option<Value> = None;
        let mut links = name == "ln";
        // the directory that `-t` names is a value in any form of the option
        let known = Known { writes: &["-t", "--target-directory"], ..known };
        for part in known.read(args) {
            match part {
                Part::Writes(value) => target = Some(value.unwrap_or(Value::Unknown)),
                Part::Option(text) => {
                    let short = !text.starts_with("--");
                    if name == "cp" {
                        links |= short && text.contains(['s', 'l'])
                            || cut_short("--symbolic-link", &text) && text.len() > 3
                            || cut_short("--link", &text);
                        if cut_short("--dereference", &text) && text.len() > 3
                            || short && text.contains(['L', 'H'])
                        {
                            self.doubt("`cp` follows links out of the directory it is given");
                        }
                    }
                    if cut_short("--suffix", &text) && text.contains('/')
                        || short && text.contains('/')
                    {
                        self.doubt(format!("`{name} {text}` writes where the text does not say"));
                    }
                }
                Part::Operand(value) => operands.push(value),
                Part::Unclear(value) => {
                    self.doubt(format!("an option of `{name}` may only be known at run time"));
                    operands.push(value);
                }
                Part::Starts(_) | Part::Value(_) => {}
            }
        }
        // braces stand for several operands, and the last of them may be the target
        for operand in &operands {
            if operand.known().is_none() && operand.text().is_some_and(|text| text.contains('{')) {
                self.writes(operand);
            }
        }
        let Some(target) =
            target.or_else(|| if operands.len() > 1 { operands.pop() } else { None })
        else {
            // `ln -s x` makes `./x`
            return self.writes(&Value::Known(".".to_owned()));
        };
        if name == "mv" {
            operands.iter().for_each(|operand| self.removes(operand));
        }
        if links {
            operands.iter().for_each(|source| self.link(source));
        }
        self.writes(&target);
        for source in &operands {
            let Some(base) =
                source.text().and_then(|text| text.trim_end_matches('/').rsplit('/').next())
            else {
                continue;
            };
            if let Some(places) =
                target.text().and_then(|text| self.places(&format!("{text}/{base}")))
            {
                self.effects.may_write.extend(places);
            }
        }
    }

    /// A link is another name: what is written through it is not seen in the text.
    fn link(&mut self, source: &Value) {
        match source.known().map(str::to_owned) {
            Some(text) if !text.starts_with('/') && !text.split('/').any(|part| part == "..") => {
                self.effects.may_write.insert(text);
            }
            _ => self
                .doubt("a link leads out of its directory, or its end is only known at run time"),
        }
    }

    fn dd(&mut self, args: &[Value]) {
        for arg in args {
            match arg.known().map(str::to_owned) {
                Some(text) => {
                    if let Some(file) = text.strip_prefix("of=") {
                        self.writes(&Value::Known(file.to_owned()));
                    }
                }
                None => self.doubt("which file `dd` writes is only known at run time"),
            }
        }
    }

    /// A patch names the files that it changes, and can hold a script for `ed`.
    fn patch(&mut self, args: &[Value]) {
        let known = Known {
            starts: &["-e", "--ed"],
            writes: &["-o", "--output", "-r", "--reject-file", "-d", "--directory"],
            values: &["-p", "-i", "-F", "-B", "-z", "-Y", "-D", "-g", "-V"],
            ..PLAIN
        };
        let mut dry = false;
        let mut operands = Vec::new();
        for part in known.read(args) {
            match part {
                Part::Option(text) => dry |= text == "--dry-run",
                Part::Value(_) => {}
                Part::Writes(Some(value)) => self.writes(&value),
                Part::Operand(value) => operands.push(value),
                Part::Starts(_) | Part::Writes(None) | Part::Unclear(_) => {
                    self.doubt("what `patch` does is only known at run time");
                }
            }
        }
        match operands.first() {
            _ if dry => {}
            Some(file) => self.writes(file),
            None => self.doubt("which files a patch changes stands in the patch"),
        }
    }
}
