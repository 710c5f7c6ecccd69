//! Rust's tests stand in the file that they test. Takes them out and puts them into another version
//! of it, as formatted source has them: items at the beginning of a line.

/// The tests of a source file, and nothing else.
pub(super) fn tests_of(text: &str) -> String {
    divide(text).0
}

/// A source file without its tests.
pub(super) fn without_tests(text: &str) -> String {
    divide(text).1
}

/// The code of `before` with the tests of `after`; none when `after` has no tests.
pub(super) fn splice(before: &str, after: &str) -> Option<String> {
    let tests = tests_of(after);
    (!tests.is_empty()).then(|| format!("{}\n{tests}", without_tests(before)))
}

/// Test items, and the rest.
fn divide(text: &str) -> (String, String) {
    let (mut tests, mut rest) = (String::new(), String::new());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if !opens_test(line) {
            rest.push_str(line);
            rest.push('\n');
            continue;
        }
        let mut item = Some(line);
        while let Some(line) = item {
            tests.push_str(line);
            tests.push('\n');
            if ends_item(line) {
                break;
            }
            item = lines.next();
        }
    }
    (tests, rest)
}

/// An attribute at the beginning of a line that makes what follows a test.
fn opens_test(line: &str) -> bool {
    let Some(attribute) = line.strip_prefix("#[") else { return false };
    let name: String =
        attribute.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
    attribute.starts_with("cfg(test)]") || name == "test" || name.ends_with("::test")
}

/// The last line of an item: a closing brace at the beginning of a line, or an item in one line.
fn ends_item(line: &str) -> bool {
    let line = line.trim_end();
    let after_attributes = line.rsplit_once(")]").map_or(line, |(_, rest)| rest);
    let is_attribute = line.starts_with("#[") && line.ends_with(']');
    let count = |c: char| line.matches(c).count();
    line == "}"
        || (!line.starts_with(char::is_whitespace)
            && !is_attribute
            && !after_attributes.is_empty()
            && (line.ends_with(';') || (line.ends_with('}') && count('{') == count('}'))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BEFORE: &str = "fn half(n: u32) -> u32 {\n    2\n}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn of_4() {\n        assert_eq!(half(4), 2);\n    }\n}\n";
    const AFTER: &str = "/// Half.\nfn half(n: u32) -> u32 {\n    n / 2\n}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn of_6() {\n        assert_eq!(half(6), 3);\n    }\n}\n";

    #[test]
    fn the_code_is_that_before_and_the_tests_are_those_after() {
        let spliced = splice(BEFORE, AFTER).unwrap();
        assert!(spliced.starts_with("fn half(n: u32) -> u32 {\n    2\n}\n"), "{spliced}");
        assert!(spliced.contains("fn of_6()") && !spliced.contains("of_4"), "{spliced}");
        assert_eq!(splice(BEFORE, "fn half() {}\n"), None);
    }

    #[test]
    fn each_form_of_a_test_is_an_item() {
        for item in [
            "#[test]\nfn a() { assert!(x()); }\n",
            "#[tokio::test]\nasync fn a() {\n    x();\n}\n",
            "#[test]\n#[cfg_attr(miri, ignore)]\nfn a() {\n    x();\n}\n",
            "#[cfg(test)]\nmod tests;\n",
            "#[cfg(test)] mod tests;\n",
            "#[cfg(test)]\n#[path = \"a.rs\"]\nmod tests;\n",
        ] {
            let text = format!("use a;\n{item}fn b() {{}}\n");
            assert_eq!(tests_of(&text), item);
            assert_eq!(without_tests(&text), "use a;\nfn b() {}\n", "{item}");
        }
        assert_eq!(tests_of("#[derive(Debug)]\nstruct A;\n#[testing]\nfn a() {}\n"), "");
    }

    proptest! {
        #[test]
        fn no_line_is_lost(text in "(#\\[test\\]|#\\[cfg\\(test\\)\\]|fn a\\(\\) \\{|\\}|;|x|\n){0,40}") {
            let (tests, rest) = divide(&text);
            prop_assert_eq!(tests.lines().count() + rest.lines().count(), text.lines().count());
        }
    }
}
