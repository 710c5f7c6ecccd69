//! What well-known operations do with constants and collections, whatever the language calls them.

use crate::value::{Const, Shape, Value};

/// A binary operator on constants.
pub(super) fn folded(operator: &str, left: &Const, right: &Const) -> Option<Const> {
    use Const::{Bool, Int, Str};
    Some(match (operator, left, right) {
        ("+", Int(a), Int(b)) => Int(a.checked_add(*b)?),
        ("-", Int(a), Int(b)) => Int(a.checked_sub(*b)?),
        ("*", Int(a), Int(b)) => Int(a.checked_mul(*b)?),
        ("/" | "//", Int(a), Int(b)) => Int(a.checked_div(*b)?),
        ("%", Int(a), Int(b)) => Int(a.checked_rem(*b)?),
        ("**", Int(a), Int(b)) => Int(a.checked_pow(u32::try_from(*b).ok()?)?),
        ("<<", Int(a), Int(b)) => Int(a.checked_shl(u32::try_from(*b).ok()?)?),
        (">>", Int(a), Int(b)) => Int(a.checked_shr(u32::try_from(*b).ok()?)?),
        ("&", Int(a), Int(b)) => Int(a & b),
        ("|", Int(a), Int(b)) => Int(a | b),
        ("^", Int(a), Int(b)) => Int(a ^ b),
        ("<", Int(a), Int(b)) => Bool(a < b),
        (">", Int(a), Int(b)) => Bool(a > b),
        ("<=", Int(a), Int(b)) => Bool(a <= b),
        (">=", Int(a), Int(b)) => Bool(a >= b),
        ("==" | "===" | "is", a, b) => Bool(a.text() == b.text()),
        ("!=" | "!==" | "is not", a, b) => Bool(a.text() != b.text()),
        ("in", Str(a), Str(b)) => Bool(b.contains(&**a)),
        ("not in", Str(a), Str(b)) => Bool(!b.contains(&**a)),
        ("+", Str(a), b) => Str(format!("{a}{}", b.text()).into()),
        ("+", a, Str(b)) => Str(format!("{}{b}", a.text()).into()),
        _ => return None,
    })
}

/// One character of a known text.
pub(super) fn char_at<'a>(text: &str, at: i64) -> Value<'a> {
    let length = i64::try_from(text.chars().count()).unwrap_or(0);
    let at = if at < 0 { at + length } else { at };
    let found = usize::try_from(at).ok().and_then(|at| text.chars().nth(at));
    found.map_or_else(Value::default, |c| Value::text(c.encode_utf8(&mut [0; 4])))
}

/// A part of a sequence.
pub(super) fn sliced<'a>(
    base: &Value<'a>,
    start: Option<&Value<'a>>,
    end: Option<&Value<'a>>,
) -> Value<'a> {
    let bound = |value: Option<&Value<'a>>| match value.map(|value| &value.constant) {
        None => Some(None),
        Some(Some(Const::Int(number))) => Some(Some(*number)),
        Some(_) => None,
    };
    let bounds = bound(start).zip(bound(end));
    if let (Some(Const::Str(text)), Some((start, end))) = (&base.constant, bounds) {
        let chars: Vec<char> = text.chars().collect();
        let range = range(chars.len(), start, end);
        return Value::text(&chars.get(range).unwrap_or_default().iter().collect::<String>());
    }
    if let (Some(Shape::List(items)), Some((start, end))) = (base.shape.as_deref(), bounds) {
        let range = range(items.len(), start, end);
        let part = items.get(range).unwrap_or_default().to_vec();
        return Value::of_shape(Shape::List(part));
    }
    base.flattened()
}

fn range(length: usize, start: Option<i64>, end: Option<i64>) -> std::ops::Range<usize> {
    let length_signed = i64::try_from(length).unwrap_or(i64::MAX);
    let place = |bound: i64| {
        let bound = if bound < 0 { bound + length_signed } else { bound };
        usize::try_from(bound.clamp(0, length_signed)).unwrap_or(0)
    };
    let start = place(start.unwrap_or(0));
    start..place(end.unwrap_or(length_signed)).max(start)
}

/// What a method of a known text yields.
pub(super) fn text_method<'a>(text: &str, method: &str, args: &[&Value<'a>]) -> Option<Value<'a>> {
    let arg = |at: usize| args.get(at).and_then(|arg| arg.constant.as_ref());
    let number = |at: usize| match arg(at) {
        Some(Const::Int(number)) => Some(*number),
        _ => None,
    };
    let truth = |truth: bool| Some(Value::constant(Const::Bool(truth)));
    let word = |at: usize| arg(at).map(Const::text);
    match method {
        "charAt" | "char_at" => Some(char_at(text, number(0)?)),
        "substring" | "Substring" | "slice" | "substr" => {
            let start = args.first().copied();
            Some(sliced(&Value::text(text), start, args.get(1).copied()))
        }
        "lower" | "toLowerCase" | "ToLower" | "to_lowercase" | "casefold" => {
            Some(Value::text(&text.to_lowercase()))
        }
        "upper" | "toUpperCase" | "ToUpper" | "to_uppercase" => {
            Some(Value::text(&text.to_uppercase()))
        }
        "strip" | "trim" | "Trim" if args.is_empty() => Some(Value::text(text.trim())),
        "to_string" | "to_owned" | "toString" | "ToString" | "as_str" | "clone" | "intern"
        | "encode" | "decode" | "getBytes" | "as_bytes" | "valueOf" => Some(Value::text(text)),
        "length" | "len" | "size" | "Length" if args.is_empty() => {
            let length = i64::try_from(text.chars().count()).ok()?;
            Some(Value::constant(Const::Int(length)))
        }
        "startswith" | "startsWith" | "StartsWith" | "starts_with" => {
            truth(text.starts_with(&*word(0)?))
        }
        "endswith" | "endsWith" | "EndsWith" | "ends_with" => truth(text.ends_with(&*word(0)?)),
        "contains" | "includes" | "Contains" => truth(text.contains(&*word(0)?)),
        "equals" | "Equals" | "eq" => truth(text == &*word(0)?),
        "equalsIgnoreCase" => truth(text.eq_ignore_ascii_case(&word(0)?)),
        "isEmpty" | "is_empty" => truth(text.is_empty()),
        "replace" | "Replace" => Some(Value::text(&text.replace(&*word(0)?, &word(1)?))),
        _ => None,
    }
}

/// What a method does to a collection: its result and whether the collection has changed.
pub(super) fn collection_method<'a>(
    collection: &mut Value<'a>,
    method: &str,
    args: &[&Value<'a>],
) -> Option<(Value<'a>, bool)> {
    let key = |at: usize| args.get(at).and_then(|arg| arg.constant.as_ref()).map(Const::text);
    let is_list = matches!(collection.shape.as_deref(), Some(Shape::List(_)));
    let nothing = || Some((Value::default(), true));
    match (method, args) {
        (
            "append" | "push" | "push_back" | "add" | "Add" | "addLast" | "offer" | "push_str"
            | "Push" | "Enqueue" | "enqueue" | "addElement" | "write" | "WriteString" | "Append"
            | "AppendFormat" | "AppendLine" | "WriteByte" | "writelines",
            [item],
        ) => {
            if is_list {
                collection.push((*item).clone(), false);
            } else {
                collection.absorb(item);
                collection.constant = None;
                collection.set_part(None, (*item).clone());
            }
            // builders hand themselves on
            Some((collection.clone(), true))
        }
        ("unshift" | "addFirst" | "appendleft" | "push_front", [item]) => {
            collection.push((*item).clone(), true);
            nothing()
        }
        ("insert", [place, item]) if is_list => {
            let at_front = place.constant == Some(Const::Int(0));
            collection.push((*item).clone(), at_front);
            nothing()
        }
        ("extend" | "addAll" | "AddRange" | "update" | "putAll" | "assign", [other]) => {
            if let Some(part) = other.any_part() {
                collection.set_part(None, part);
            }
            collection.absorb(other);
            nothing()
        }
        (
            "put" | "set" | "Add" | "insert" | "setProperty" | "setdefault" | "Set"
            | "setAttribute" | "putIfAbsent" | "setItem" | "TryAdd",
            [_, value],
        ) => {
            collection.set_part(key(0).as_deref(), (*value).clone());
            nothing()
        }
        ("set" | "put" | "Set", [_, _, value]) => {
            let both = key(0).zip(key(1)).map(|(a, b)| format!("{a}\u{0}{b}"));
            collection.set_part(both.as_deref(), (*value).clone());
            nothing()
        }
        ("get", [_, second]) if collection.shape.is_some() => {
            let both = key(0).zip(key(1)).map(|(a, b)| format!("{a}\u{0}{b}"));
            let found = both
                .and_then(|both| collection.part(&both))
                .or_else(|| key(0).and_then(|key| collection.part(&key)));
            match found {
                Some(found) => Some((found, false)),
                None if key(0).is_some() => Some(((*second).clone(), false)),
                None => None,
            }
        }
        (
            "get" | "getProperty" | "Get" | "elementAt" | "ElementAt" | "getOrDefault" | "at"
            | "getItem" | "get_mut" | "getAttribute" | "getFirst",
            [_, ..],
        ) if collection.shape.is_some() => match key(0) {
            Some(key) => {
                let nothing =
                    || Value { taint: collection.taint, from: collection.from, ..Value::default() };
                Some((collection.part(&key).unwrap_or_else(nothing), false))
            }
            None => collection.any_part().map(|part| (part, false)),
        },
        (
            "pop" | "remove" | "RemoveAt" | "shift" | "popleft" | "poll" | "removeFirst"
            | "removeLast" | "Dequeue" | "swap_remove" | "pop_front" | "pop_back" | "Pop",
            _,
        ) if is_list => {
            let from_front = matches!(
                method,
                "shift" | "popleft" | "poll" | "removeFirst" | "Dequeue" | "pop_front"
            );
            let index = match args.first().map(|arg| &arg.constant) {
                None => Some(if from_front { 0 } else { -1 }),
                Some(Some(Const::Int(index))) => Some(*index),
                Some(_) => None,
            };
            match index {
                Some(index) => {
                    let taken = collection.take_element(index).unwrap_or_default();
                    Some((taken, true))
                }
                None => {
                    let any = collection.any_part().unwrap_or_default();
                    collection.set_part(None, any.clone());
                    Some((any, true))
                }
            }
        }
        ("clear" | "Clear", []) => {
            collection.shape = None;
            collection.taint = 0;
            nothing()
        }
        (
            "values" | "items" | "entrySet" | "iter" | "into_iter" | "stream" | "ToList"
            | "iterator" | "toArray" | "ToArray" | "elements",
            [],
        ) if collection.shape.is_some() => {
            let mut all = Value::of_shape(Shape::default());
            all.set_part(None, collection.any_part().unwrap_or_default());
            Some((all, false))
        }
        _ => None,
    }
}

/// Fields that say how large something is and not what it is.
pub(super) fn is_plain_field(name: &str) -> bool {
    matches!(
        name,
        "length"
            | "size"
            | "Length"
            | "Count"
            | "count"
            | "method"
            | "Method"
            | "status"
            | "status_code"
            | "statusCode"
            | "StatusCode"
            | "user"
            | "User"
            | "session"
            | "Session"
            | "app"
            | "id_type"
    )
}

/// Methods whose result says something about a value but does not carry it.
pub(super) fn is_plain_result(name: &str) -> bool {
    matches!(
        name,
        "len"
            | "length"
            | "size"
            | "count"
            | "Count"
            | "isEmpty"
            | "is_empty"
            | "indexOf"
            | "find_index"
            | "lastIndexOf"
            | "IndexOf"
            | "index"
            | "startswith"
            | "startsWith"
            | "StartsWith"
            | "starts_with"
            | "endswith"
            | "endsWith"
            | "EndsWith"
            | "ends_with"
            | "contains"
            | "Contains"
            | "includes"
            | "equals"
            | "Equals"
            | "equalsIgnoreCase"
            | "hasattr"
            | "isinstance"
            | "has"
            | "containsKey"
            | "ContainsKey"
            | "contains_key"
            | "exists"
            | "isdigit"
            | "isalnum"
            | "isalpha"
            | "isnumeric"
            | "test"
            | "matches"
            | "IsMatch"
            | "is_match"
            | "MatchString"
            | "HasPrefix"
            | "HasSuffix"
            | "compareTo"
            | "hashCode"
            | "ord"
            | "bool"
            | "Boolean"
            | "type"
            | "typeof"
            | "hash"
            | "is_some"
            | "is_none"
            | "is_ok"
            | "is_err"
            | "is_file"
            | "isfile"
            | "isdir"
            | "is_dir"
            | "existsSync"
            | "IsNullOrEmpty"
            | "IsNullOrWhiteSpace"
            | "EqualFold"
            | "Compare"
            | "bcrypt"
            | "issubset"
            | "any"
            | "all"
            | "every"
            | "some"
            | "hexdigest"
            | "digest"
            | "rowcount"
            | "jsonify"
            | "json_response"
    )
}

/// Calls that look something up: what they find is not what they were asked with.
pub(super) fn is_lookup(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    matches!(
        lower.as_str(),
        "get"
            | "first"
            | "one"
            | "all"
            | "execute"
            | "fetchone"
            | "fetchall"
            | "getenv"
            | "environ"
            | "select"
            | "filter"
            | "filter_by"
            | "exclude"
            | "count"
            | "order_by"
            | "save"
            | "delete"
            | "login"
            | "authenticate"
            | "scalar"
            | "query"
            | "open"
            | "lookup"
    ) || ["find", "fetch", "lookup", "search", "query", "load_", "loadby", "getby", "get_by"]
        .iter()
        .any(|start| lower.starts_with(start))
}

/// Names of functions that make a text harmless, by the way people name them.
pub(super) fn is_cleaner(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["sanit", "escap", "purif", "allowlist", "whitelist", "neutraliz", "slugify"]
        .iter()
        .any(|part| lower.contains(part))
        && !lower.contains("unesc")
}

/// Calls after which nothing else runs.
pub(super) fn is_exit(name: &str, path: Option<&str>) -> bool {
    matches!(name, "abort" | "panic" | "panic!" | "unreachable!" | "bail!" | "todo!" | "halt")
        || path.is_some_and(|path| {
            matches!(
                path,
                "sys.exit"
                    | "os._exit"
                    | "process.exit"
                    | "std.process.exit"
                    | "os.Exit"
                    | "System.exit"
                    | "Environment.Exit"
                    | "log.Fatal"
                    | "log.Fatalf"
                    | "exit"
            )
        })
}
