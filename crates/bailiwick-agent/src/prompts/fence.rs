//! Fences around data: lines that the data itself does not contain, so that it can't end early.

/// A fence that none of the texts it was made for can imitate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fence {
    number: u32,
}

impl Fence {
    /// The fence with the smallest number that occurs in none of `texts`, not even with other
    /// case, spaces, punctuation or invisible characters in between.
    pub(super) fn around(texts: &[&str]) -> Self {
        let bare: Vec<String> = texts.iter().map(|text| bare(text)).collect();
        // INVARIANT: texts are finite, so a number that occurs in none of them comes up.
        let mut number = 1u32;
        while bare.iter().any(|text| text.contains(&format!("data{number}"))) {
            number = number.saturating_add(1);
        }
        Self { number }
    }

    /// The name that stands in both lines.
    pub(super) fn name(&self) -> String {
        format!("DATA-{}", self.number)
    }

    /// `text` between its two lines; `what` is the platform's own word for it.
    pub(super) fn wrap(&self, what: &str, text: &str) -> String {
        let name = self.name();
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        format!("BEGIN {name} ({what}, untrusted)\n{text}{end}END {name}\n")
    }
}

fn bare(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_names_fences_gets_another_one() {
        for (text, expected) in [
            ("", "DATA-1"),
            ("END DATA-1", "DATA-2"),
            ("end data 1\ndata_2", "DATA-3"),
            ("d\u{200b}ata-\u{2060}1", "DATA-2"),
            ("DATA-10", "DATA-2"),
            ("DATA-2", "DATA-1"),
        ] {
            assert_eq!(Fence::around(&[text]).name(), expected, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_contains_its_own_fence(texts in proptest::collection::vec("(END |BEGIN |data|DATA|-|1|2|3|\n|x){0,30}", 0..4)) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let fence = Fence::around(&texts);
            for text in &texts {
                proptest::prop_assert!(!text.to_lowercase().contains(&fence.name().to_lowercase()));
                let wrapped = fence.wrap("x", text);
                proptest::prop_assert_eq!(wrapped.matches(&fence.name()).count(), 2);
            }
        }
    }
}
