//! `tar`: what it writes, and the options that start programs.

use super::Analysis;
use super::options::{could_be_option, cut_short};
use super::word::Value;

/// Options that start a program, or read more options or names from a file.
const STARTS: [&str; 8] = [
    "--checkpoint-action",
    "--to-command",
    "--use-compress-program",
    "--rsh-command",
    "--rmt-command",
    "--info-script",
    "--new-volume-script",
    "--files-from",
];
/// Options whose value is written.
const WRITES: [&str; 4] =
    ["--listed-incremental", "--index-file", "--volno-file", "--one-top-level"];
/// Letters that take a value.
const WITH_VALUE: &str = "bCfgHKLNVXFIT";

#[derive(Default)]
struct Archive {
    extracts: bool,
    creates: bool,
    into: Option<Value>,
    file: Option<Value>,
}

impl Analysis {
    pub(super) fn tar(&mut self, args: &[Value]) {
        let mut archive = Archive::default();
        let mut rest = args;
        let mut first = true;
        while let Some((arg, after)) = rest.split_first() {
            rest = after;
            let Some(text) = arg.known().map(str::to_owned) else {
                if could_be_option(arg) {
                    self.doubt("an option of `tar` may only be known at run time");
                }
                first = false;
                continue;
            };
            if text == "--" {
                break;
            }
            if text.starts_with("--") {
                self.tar_option(&text, &mut rest, &mut archive);
            } else if first || (text.starts_with('-') && text.len() > 1) {
                self.tar_letters(&text, &mut rest, &mut archive);
            }
            first = false;
        }
        if archive
            .file
            .as_ref()
            .is_some_and(|file| file.known().is_none_or(|text| text.contains(':')))
        {
            self.doubt("`tar` may read its archive from another host");
        }
        if archive.creates
            && let Some(file) = archive.file.filter(|file| file.known() != Some("-"))
        {
            self.writes(&file);
        }
        if archive.extracts {
            let into = archive.into.unwrap_or_else(|| Value::Known(".".to_owned()));
            match into.text() {
                Some(text) => self.writes(&Value::Known(format!("{text}/*"))),
                None => self.writes(&into),
            }
        }
    }

    fn tar_option(&mut self, text: &str, rest: &mut &[Value], archive: &mut Archive) {
        if STARTS.iter().any(|option| cut_short(option, text)) {
            self.doubt(format!("`tar {text}` starts a program, or reads names from a file"));
        }
        let value = |rest: &mut &[Value]| match text.split_once('=') {
            Some((_, value)) => Some(Value::Known(value.to_owned())),
            None => {
                let value = rest.first().cloned();
                *rest = rest.get(1..).unwrap_or(&[]);
                value
            }
        };
        archive.extracts |= cut_short("--extract", text) || text == "--get";
        archive.creates |=
            ["--create", "--append", "--update", "--catenate", "--concatenate", "--delete"]
                .iter()
                .any(|option| cut_short(option, text));
        if WRITES.iter().any(|option| cut_short(option, text) && text.len() > 4) {
            match text.split_once('=') {
                Some((_, value)) => self.writes(&Value::Known(value.to_owned())),
                None => self.doubt(format!("`tar {text}` writes where the text does not say")),
            }
        } else if cut_short("--directory", text) && text.len() > 3 {
            archive.into = value(rest);
        } else if cut_short("--file", text) && text.len() > 4 {
            archive.file = value(rest);
        } else if cut_short("--absolute-names", text) {
            self.doubt("`tar` may write outside of its directory");
        }
    }

    fn tar_letters(&mut self, text: &str, rest: &mut &[Value], archive: &mut Archive) {
        let dashed = text.starts_with('-');
        let letters = text.trim_start_matches('-');
        for (at, letter) in letters.char_indices() {
            match letter {
                'I' | 'F' | 'T' | 'P' => self.doubt(format!(
                    "`tar {text}` starts a program, or writes outside of its directory"
                )),
                'x' => archive.extracts = true,
                'c' | 'r' | 'u' | 'A' => archive.creates = true,
                _ => {}
            }
            if !WITH_VALUE.contains(letter) {
                continue;
            }
            let joined = letters.get(at + letter.len_utf8()..).unwrap_or_default();
            // with a dash the rest is the value; without, values follow in the order of letters
            let value = if dashed && !joined.is_empty() {
                Some(Value::Known(joined.to_owned()))
            } else {
                let value = rest.first().cloned();
                *rest = rest.get(1..).unwrap_or(&[]);
                value
            };
            match letter {
                'C' => archive.into = value,
                'f' => archive.file = value,
                'g' => self.writes(&value.unwrap_or(Value::Unknown)),
                _ => {}
            }
            if dashed && !joined.is_empty() {
                break;
            }
        }
    }
}
