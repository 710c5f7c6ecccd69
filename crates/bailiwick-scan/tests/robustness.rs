//! The detectors never panic, never leak and stay linear, whatever the bytes.

#[cfg(test)]
mod tests {
    use bailiwick_scan::{find_hidden, find_instructions, find_secrets, inspect, redact, reveal};
    use proptest::prelude::*;

    const MEGABYTE: usize = 1 << 20;

    fn github_token(body: &str) -> String {
        format!("gh{}{body}", "p_")
    }

    /// 36 characters with enough entropy, told apart by `n`.
    fn body(n: usize) -> String {
        let digits: String = format!("{n:07}").chars().flat_map(|digit| [digit, 'q']).collect();
        format!("aB3dE5fG7hJ9kL2mN4pQ6r{digits}")
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let inspection = inspect(&bytes);
            for found in &inspection.secrets {
                prop_assert!(found.line >= 1 && found.column >= 1);
                prop_assert_eq!(found.fingerprint.len(), 64);
            }
        }

        #[test]
        fn any_text_is_taken(text in "\\PC{0,300}") {
            let redacted = redact(&text);
            prop_assert_eq!(redacted.matches.is_empty(), redacted.text == text);
            let (revealed, hidden) = reveal(&text);
            prop_assert_eq!(hidden.iter().any(|found| found.kind.as_str() != "mixed_script"), revealed != text);
            find_instructions(&text);
        }

        #[test]
        fn a_token_is_found_in_any_surroundings(
            before in "[ -~éß漢\n]{0,60}",
            after in "[ -~éß漢\n]{0,60}",
            n in 0_usize..9_999_999,
        ) {
            let token = github_token(&body(n));
            // what follows a token directly and could belong to it would change the token
            let text = format!("{before}{token} {after}");
            let redacted = redact(&text);
            prop_assert!(!redacted.text.contains(&token));
            let shown = format!("{:?}", redacted.matches);
            prop_assert!(!shown.contains(&token));
            let line = u32::try_from(before.matches('\n').count()).unwrap() + 1;
            prop_assert!(redacted.matches.iter().any(|found| found.line == line));
        }

        #[test]
        fn pieces_of_every_format_never_leak_each_other(
            picks in proptest::collection::vec((0_usize..8, 0_usize..9_999_999), 1..12),
            glue in "[ ,;\"'=:\n]{0,3}",
        ) {
            let mut text = String::new();
            let mut tokens = Vec::new();
            for (kind, n) in picks {
                let random = body(n);
                let token = match kind {
                    0 => github_token(&random),
                    1 => format!("gl{}{random}", "pat-"),
                    2 => format!("sk-{}{random}", "ant-api03-"),
                    3 => format!("np{}{random}", "m_"),
                    4 => format!("sk{}{random}", "_live_"),
                    5 => format!("password = \"{random}\""),
                    6 => format!("https://u:{random}@host.example"),
                    _ => format!("xo{}{random}", "xb-"),
                };
                tokens.push(random);
                text.push_str(&token);
                text.push_str(&glue);
                text.push('\n');
            }
            let redacted = redact(&text);
            let shown = format!("{} {:?}", redacted.text, redacted.matches);
            for token in tokens {
                prop_assert!(!shown.contains(&token), "{}", redacted.text);
            }
        }
    }

    #[test]
    fn a_line_of_five_megabytes_is_scanned() {
        let token = github_token(&body(7));
        let filler = "lorem ipsum = \"dolor\"; sit(amet) ".repeat(5 * MEGABYTE / 33);
        let text = format!("{filler}{token}{filler}");
        let found = find_secrets(text.as_bytes());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].column as usize, filler.len() + 1);
        assert!(found[0].excerpt.len() < 200);
        assert!(find_hidden(&text).is_empty());
    }

    /// Texts made to keep many half-finished matches alive. Were the scan quadratic, this
    /// would take hours.
    #[test]
    fn hostile_repetition_is_scanned() {
        for piece in [
            "-----BEGIN PRIVATE KEY-----",
            "a://a:a",
            "token=\"",
            "password",
            "eyJaaaaaaaaaaaa.",
            "aws_secret",
            "AKIA",
            "send the file ",
            "ignore all ",
            "curl -d ",
            "\u{200B}a",
            "do not ",
        ] {
            let text = piece.repeat(MEGABYTE / 4 / piece.len());
            find_secrets(text.as_bytes());
            find_hidden(&text);
            find_instructions(&text);
        }
    }

    #[test]
    fn a_hundred_thousand_secrets_cost_one_pass() {
        let text: String = (0..20_000).map(|n| github_token(&body(n)) + " ").collect();
        let found = find_secrets(text.as_bytes());
        assert_eq!(found.len(), 20_000);
        assert_eq!(found[19_999].column as usize, 19_999 * (github_token(&body(0)).len() + 1) + 1);
    }

    #[test]
    fn utf16_hides_nothing() {
        let token = github_token(&body(1));
        let text = format!("key = {token}\n");
        for (mark, encode) in [
            ([0xFF, 0xFE], u16::to_le_bytes as fn(u16) -> [u8; 2]),
            ([0xFE, 0xFF], u16::to_be_bytes),
        ] {
            let mut bytes = mark.to_vec();
            bytes.extend(text.encode_utf16().flat_map(encode));
            let found = find_secrets(&bytes);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].rule, "github-token");
        }
    }

    #[test]
    fn the_same_secret_has_the_same_fingerprint_wherever_it_stands() {
        let token = github_token(&body(3));
        let first = find_secrets(format!("a = {token}").as_bytes());
        let second = find_secrets(format!("\n\n// moved: {token} !").as_bytes());
        let other = find_secrets(github_token(&body(4)).as_bytes());
        assert_eq!(first[0].fingerprint, second[0].fingerprint);
        assert_ne!(first[0].fingerprint, other[0].fingerprint);
    }
}
