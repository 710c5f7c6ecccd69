//! Whether two parsers see the same commands in one text.
//!
//! A command that one parser sees and another does not is where a bypass lives: the analysis would
//! judge what the shell does not run. So each text is read a second time, by a parser with another
//! grammar and another author, and both readings are laid side by side as the words, redirections
//! and substitutions in the order of the text. If they differ in any of them, nobody knows what
//! the shell will see, and the text is not judged. What a text *means* stays with the one that
//! walks the first tree.

mod first;
mod second;

/// What one parser sees in a text, in the order in which it is written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Names of commands, words, assignments and operators of redirections.
    items: Vec<Item>,
    /// Bodies of here-documents.
    documents: Vec<String>,
    /// What stands in substitutions that no other one encloses.
    substitutions: Vec<String>,
}

/// One thing in a text. White space is left out, since parsers keep different parts of it.
#[derive(Debug, PartialEq, Eq)]
enum Item {
    /// The word that names what a simple command starts.
    Name(String),
    /// Any other word.
    Word(String),
    /// An operator of redirection.
    Redirect(String),
    /// Text that is calculated.
    Arithmetic(String),
    /// The operands of `[[ … ]]`.
    Test(String),
    /// A process substitution opens here.
    Process,
}

/// Text without what parsers keep or drop as they like.
fn bare(text: &str) -> String {
    text.replace("\\\n", "").chars().filter(|c| !c.is_whitespace()).collect()
}

/// Whether a second parser sees in `text` what the first one saw: `substitutions` are those that
/// the first one's analysis came across. None when the second one sees no shell text at all.
pub(super) fn agree(
    text: &str,
    program: &brush_parser::ast::Program,
    substitutions: &[String],
) -> Option<bool> {
    let mut first = first::view(program);
    first.substitutions = substitutions.iter().map(|text| bare(text)).collect();
    let mut second = second::view(text)?;
    for view in [&mut first, &mut second] {
        view.substitutions.sort();
        view.documents.sort();
    }
    Some(first == second)
}

#[cfg(test)]
mod tests {
    use brush_parser::{Parser, ParserOptions};

    use super::agree;

    fn agreed(first: &str, substitutions: &[&str], second: &str) -> Option<bool> {
        let program =
            Parser::new(first.as_bytes(), &ParserOptions::default()).parse_program().unwrap();
        let substitutions: Vec<String> =
            substitutions.iter().map(|text| (*text).to_owned()).collect();
        agree(second, &program, &substitutions)
    }

    #[test]
    fn the_same_text_is_the_same_view() {
        for (text, substitutions) in [
            ("ls -la src | head -n 3 && echo a > b 2>&1", vec![]),
            ("A=1 ls; export B=2 C; unset D", vec![]),
            ("python3 - <<'E' | cat > x\na\nE", vec![]),
            ("cat <<E\na $(b)\nE", vec!["b"]),
            ("echo \"a $(ls -l) b\" `id`", vec!["ls -l", "id"]),
            ("[ \"$a\" -lt 3 ] && [[ a == b* ]] || ((i++))", vec![]),
            ("for ((i=0; i<3; i++)); do ls; done", vec![]),
            ("case x in a|b) ls;; *) id > y;; esac", vec![]),
            ("diff <(sort a) <(sort b)", vec![]),
            ("f() { ls; }; f; time cargo build", vec![]),
            ("cat <<< x", vec![]),
            ("ls 2>&1 < a", vec![]),
        ] {
            assert_eq!(agreed(text, &substitutions, text), Some(true), "{text}");
        }
    }

    #[test]
    fn any_difference_is_seen() {
        for (first, second) in [
            ("ls", "ls; id"),
            ("ls; id", "ls"),
            ("ls a", "ls b"),
            ("ls a b", "ls 'a b'"),
            ("ls > a", "ls >> a"),
            ("ls > a", "ls > b"),
            ("ls", "A=1 ls"),
            ("cat <<E\na\nE", "cat <<E\nb\nE"),
            ("[ a ]", "[ b ]"),
            ("[[ a ]]", "[[ b ]]"),
            ("((1))", "((2))"),
            ("cat <(a)", "cat <(b)"),
            ("if a; then b; fi", "if a; then c; fi"),
        ] {
            assert_eq!(agreed(first, &[], second), Some(false), "{first} / {second}");
        }
        assert_eq!(agreed("echo $(a)", &["b"], "echo $(a)"), Some(false));
        assert_eq!(agreed("echo $(a)", &[], "echo $(a)"), Some(false));
    }

    #[test]
    fn what_the_second_parser_does_not_take_is_no_agreement() {
        assert_eq!(agreed("ls", &[], "ls ("), None);
        assert_eq!(agreed("ls", &[], "if ls"), None);
    }
}
