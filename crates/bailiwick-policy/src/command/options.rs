//! How a program's arguments are divided into options, their values and operands, as far as all
//! programs of the table do it alike.

use super::word::Value;

/// What is known of a program's options.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// Options that start programs, load code or change files in ways that the text does not tell.
    /// One that ends in `*` stands for all that begin so.
    pub(super) starts: &'static [&'static str],
    /// Options whose value is a file or directory that is written.
    pub(super) writes: &'static [&'static str],
    /// Short options with any other value.
    pub(super) values: &'static [&'static str],
    /// Whether long options may be cut short.
    pub(super) cut_short: bool,
}

/// One thing that the arguments say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// An option that starts a program or the like, as written.
    Starts(String),
    /// A file that is written; none when an option has no value.
    Writes(Option<Value>),
    /// Any other option, as written.
    Option(String),
    /// The value of an option that has one.
    Value(Value),
    /// An operand.
    Operand(Value),
    /// An argument that may turn out to be an option.
    Unclear(Value),
}

impl Known {
    /// Divides arguments.
    pub(super) fn read(&self, args: &[Value]) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut rest = args;
        while let Some((arg, after)) = rest.split_first() {
            rest = after;
            let Some(text) = arg.known() else {
                parts.push(if could_be_option(arg) {
                    Part::Unclear(arg.clone())
                } else {
                    Part::Operand(arg.clone())
                });
                continue;
            };
            if text == "--" {
                parts.extend(rest.iter().cloned().map(Part::Operand));
                return parts;
            }
            if text == "-" || !text.starts_with('-') {
                parts.push(Part::Operand(arg.clone()));
            } else if self.starts.iter().any(|option| self.is(option, text)) {
                parts.push(Part::Starts(text.to_owned()));
            } else if let Some(value) = self.written(text, &mut rest) {
                parts.push(Part::Writes(value));
            } else {
                parts.push(Part::Option(text.to_owned()));
                if self.values.iter().any(|option| ends_with_option(option, text, self)) {
                    parts.extend(rest.first().cloned().map(Part::Value));
                    rest = rest.get(1..).unwrap_or(&[]);
                }
            }
        }
        parts
    }

    fn is(&self, option: &str, text: &str) -> bool {
        if let Some(start) = option.strip_suffix('*') {
            return text.starts_with(start);
        }
        if self.cut_short {
            cut_short(option, text)
        } else {
            text.split('=').next() == Some(option)
        }
    }

    #[expect(clippy::option_option, reason = "no such option, one without a value, one with it")]
    fn written(&self, text: &str, rest: &mut &[Value]) -> Option<Option<Value>> {
        let mut next = || {
            let value = rest.first().cloned();
            *rest = rest.get(1..).unwrap_or(&[]);
            value
        };
        for option in self.writes {
            let long = option.starts_with("--") || option.len() > 2;
            if long && self.is(option, text) && (text.len() > 3 || text == *option) {
                return Some(match text.split_once('=') {
                    Some((_, value)) => Some(Value::Known(value.to_owned())),
                    None => next(),
                });
            }
        }
        if text.starts_with("--") {
            return None;
        }
        // a cluster: `-uo file`, `-uofile`
        for (at, c) in text.char_indices().skip(1) {
            let letter = |options: &[&str]| {
                options.iter().any(|option| option.len() == 2 && option.ends_with(c))
            };
            if letter(self.writes) {
                let value = text.get(at + c.len_utf8()..).unwrap_or_default();
                return Some(if value.is_empty() {
                    next()
                } else {
                    Some(Value::Known(value.strip_prefix('=').unwrap_or(value).to_owned()))
                });
            }
            if letter(self.values) {
                return None;
            }
        }
        None
    }
}

/// Whether the value of `option` is the next argument.
fn ends_with_option(option: &str, text: &str, known: &Known) -> bool {
    if option.starts_with("--") {
        return text == option;
    }
    if text.starts_with("--") || !text.ends_with(option.trim_start_matches('-')) {
        return false;
    }
    // the first letter with a value takes the rest
    text.char_indices()
        .skip(1)
        .find(|(_, c)| known.values.iter().any(|option| option.len() == 2 && option.ends_with(*c)))
        .is_some_and(|(at, c)| at + c.len_utf8() == text.len())
}

/// Whether an argument can turn out to be an option.
pub(super) fn could_be_option(arg: &Value) -> bool {
    match arg {
        Value::Known(text) => text.starts_with('-'),
        Value::Pattern(text) => text.starts_with(['*', '?', '[', '{', '-', '@', '+', '!']),
        Value::Partial(_) | Value::Unknown => true,
    }
}

/// Whether `given` is `option`, or a way to write it shorter.
pub(super) fn cut_short(option: &str, given: &str) -> bool {
    let name = given.split('=').next().unwrap_or(given);
    if option.starts_with("--") {
        name.len() > 2 && name.starts_with("--") && option.starts_with(name)
    } else {
        !given.starts_with("--") && given.starts_with(option)
    }
}
