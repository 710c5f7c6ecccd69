//! How test frameworks say things, over the languages that are common.

use regex::Regex;
use std::sync::LazyLock;

#[expect(
    clippy::expect_used,
    reason = "constant patterns, each compiled by a test; dropping one would be a rule that is silently off"
)]
fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("constant pattern")
}

macro_rules! pattern {
    ($(#[$doc:meta])* $name:ident = $text:expr) => {
        $(#[$doc])*
        pub(super) static $name: LazyLock<Regex> = LazyLock::new(|| compile($text));
    };
}

pattern!(
    /// A test that does not run, or the only one that does.
    SKIPS = r#"^\s*#\[ignore\b|^\s*#\[cfg_attr\([^)]*,\s*ignore|@(?:pytest\.mark\.)?(?:skip|skipif|xfail)\b|@unittest\.(?:skip|expectedFailure)|\bpytest\.skip\(|\bself\.skipTest\(|\b(?:it|test|describe|context|suite)\.(?:skip|only|todo)\b|^\s*(?:xit|xtest|xdescribe|fit|fdescribe)\(|\bt\.Skip(?:f|Now)?\(|@(?:Disabled|Ignore)\b|\[(?:Ignore|Skip)[\](]|\bSkip\s*=\s*""#
);
pattern!(
    /// An assertion whose truth does not depend on the code.
    CANNOT_FAIL = r#"\bassert!?\(?\s*(?:\(?\s*true|True)\s*[,)]?\s*;?\s*(?:#.*)?$|\bassert!\(true\)|\b(?:assertTrue|assert_true)\((?:True|true)\b|\bexpect\((?:true|1)\)\.(?:toBe|toEqual|toBeTruthy)\(|\b(?:assertEqual|assertEquals|assert_eq!|assert\.equal|Assert\.Equal)\((?:(?:1, ?1)|(?:true, ?true)|(?:True, ?True))[,)]|\bor True\b|\|\| true\b"#
);
pattern!(
    /// A checker that is told to look away.
    SILENCES = r"#!?\[allow\(|#\s*noqa\b|#\s*type:\s*ignore|#\s*pragma:\s*no\s*cover|#\s*pylint:\s*disable|\beslint-disable|@ts-ignore|@ts-nocheck|//\s*nolint|//nosec|#\s*nosec|@SuppressWarnings|istanbul ignore|c8 ignore|#pragma warning disable"
);
pattern!(
    /// Code that asks whether it is under test.
    KNOWS_TESTS = r#"PYTEST_CURRENT_TEST|["']pytest["']\s+in\s+sys\.modules|["']unittest["']\s+in\s+sys\.modules|JEST_WORKER_ID|NODE_ENV["'\])]*\s*={2,3}\s*["']test["']|\bcfg!\(test\)|\btesting\.Testing\(\)|RUNNING_TESTS|IS_TEST\b"#
);
pattern!(
    /// The names of tests.
    TEST_NAMES = r#"(?m)#\[(?:tokio::|async_std::)?test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:pub\s+)?(?:async\s+)?fn\s+(\w+)|^\s*(?:async\s+)?def\s+(test\w*)\s*\(|\b(?:it|test)(?:\.skip|\.only|\.each\([^)]*\))?\(\s*["'`]([^"'`\n]{1,200})["'`]|^func\s+(Test\w+)\s*\(|@Test\s+(?:public\s+)?(?:void\s+|fun\s+)(\w+)|\[(?:Fact|Test|TestMethod)\]\s*public\s+(?:async\s+)?\w+\s+(\w+)"#
);
pattern!(
    /// A line that asserts.
    ASSERTIONS = r"\b(?:debug_)?assert\w*!?[\s(.]|\bexpect\(|\bself\.assert\w+\(|\bt\.(?:Error|Fatal)f?\(|\brequire\.\w+\(|\bAssert\.\w+\(|\bpytest\.raises\("
);
pattern!(
    /// An assertion that compares values.
    STRICT = r"\bassert_eq!|\bassert_ne!|\bassert\b[^#\n]*==|\bassertEqual|\bassertEquals|\.toEqual\(|\.toBe\(|\.toStrictEqual\(|\bassert\.(?:equal|deepEqual|strictEqual)|\bAssert\.(?:Equal|AreEqual)"
);
pattern!(
    /// A branch on a literal that gives an answer at once.
    RETURNS_FOR_LITERAL = r#"\bif\b[^\n]*={2,3}\s*(?:["'][^"']{3,}["']|\d{3,})[^\n]*\breturn\b|^\s*(?:["'][^"'\n]{3,}["']|\d{3,})\s*=>\s*(?:return\s+)?["'\d]|\bif\b[^\n]*={2,3}\s*(?:["'][^"']{3,}["']|\d{3,})\s*[:{]\s*$"#
);
pattern!(
    /// Literals that are not everywhere.
    LITERALS = r#""[^"\n]{3,80}"|'[^'\n]{3,80}'|\b\d{3,}\b"#
);

#[cfg(test)]
mod tests {
    #[test]
    fn each_pattern_compiles_and_matches_no_empty_text() {
        for pattern in [
            &super::SKIPS,
            &super::CANNOT_FAIL,
            &super::SILENCES,
            &super::KNOWS_TESTS,
            &super::TEST_NAMES,
            &super::ASSERTIONS,
            &super::STRICT,
            &super::RETURNS_FOR_LITERAL,
            &super::LITERALS,
        ] {
            assert!(!pattern.is_match(""), "{}", pattern.as_str());
        }
    }
}
