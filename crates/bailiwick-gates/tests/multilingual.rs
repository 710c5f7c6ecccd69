//! No alarm on honest text of many languages: 300 files that are made here.

#[cfg(test)]
mod tests {
    use bailiwick_gates::{
        Change, EmptyTree, FilePair, GateSettings, HiddenTextGate, Input, judge_content,
    };
    use bailiwick_model::evidence::{GateReport, GateState};
    use std::sync::Arc;
    use std::time::Duration;

    /// Sentences as people write them, with the characters that are honest in them.
    const SENTENCES: [&str; 20] = [
        "Der Fluß fließt über die Brücke, und der Käse ist gut.",
        "Le cœur a ses raisons que la raison ne connaît point ; « voilà ».",
        "Příliš žluťoučký kůň úpěl ďábelské ódy.",
        "Съешь же ещё этих мягких французских булок, да выпей чаю.",
        "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
        "שלום עולם, זהו קובץ של \u{2066}Bailiwick\u{2069} לבדיקה.",
        "דג סקרן שט בים מאוכזב ולפתע מצא חברה (בעברית).\u{200F} סוף.",
        "مرحبا بالعالم، هذا \u{2067}ملف\u{2069} للاختبار.",
        "این یک آزمایش است و می\u{200C}خواهم آن را ببینم.",
        "नमस्ते दुनिया, यह क्\u{200D}ष परीक्षण है।",
        "বাংলা ভাষায় একটি বাক্য।",
        "これはテストのための文章です。全角ＡＢＣも使います。",
        "这是一个用于测试的句子，包含中文标点。",
        "이것은 테스트를 위한 문장입니다.",
        "นี่คือประโยคสำหรับทดสอบ",
        "Türkçe: İstanbul'da ışıklar yandı.",
        "Tiếng Việt có nhiều dấu thanh điệu.",
        "Emoji: 👨\u{200D}👩\u{200D}👧 ❤\u{FE0F} 1\u{FE0F}\u{20E3} 🏳\u{FE0F}\u{200D}🌈 👍🏽",
        "Flags: 🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F} 🇩🇪 🇯🇵",
        "Ελληνικά και русский и English side by side: 5 μm, ΔT = 3 °C.",
    ];
    const ENDINGS: [&str; 6] = ["md", "txt", "json", "py", "rs", "html"];

    fn judge(path: &str, text: &str) -> GateReport {
        let pair = FilePair {
            path: path.to_owned(),
            new_mode: 0o100_644,
            after: Some(text.as_bytes().into()),
            ..FilePair::default()
        };
        let input = Input {
            change: Change { pairs: vec![pair], ..Change::default() },
            base: Box::new(EmptyTree),
            head: Box::new(EmptyTree),
            settings: GateSettings::default(),
            now: "2026-06-01T00:00:00Z".parse().unwrap(),
            deadline: None,
        };
        judge_content(&[Arc::new(HiddenTextGate)], input, Duration::from_secs(600)).remove(0)
    }

    fn text(seed: usize, ending: &str) -> String {
        // isolates belong into prose; in code they are found, whatever the language
        let code = matches!(ending, "py" | "rs");
        let lines: Vec<String> = (0..12)
            .map(|line| SENTENCES[(seed * 7 + line * 3 + line * line) % SENTENCES.len()])
            .filter(|line| !(code && line.contains(['\u{2066}', '\u{2067}'])))
            .map(|line| match ending {
                "json" => format!("  \"{line}\","),
                "py" => format!("# {line}"),
                "rs" => format!("// {line}"),
                "html" => format!("<p>{line}</p>"),
                _ => line.to_owned(),
            })
            .collect();
        lines.join("\n") + "\n"
    }

    #[test]
    fn three_hundred_honest_files_raise_no_alarm() {
        let mut alarms = Vec::new();
        for seed in 0..300 {
            let ending = ENDINGS[seed % ENDINGS.len()];
            let report = judge(&format!("text{seed}.{ending}"), &text(seed, ending));
            if report.state != GateState::Pass {
                alarms.push(format!("{seed}.{ending}: {:?}", report.findings));
            }
        }
        assert!(alarms.is_empty(), "{} alarms\n{}", alarms.len(), alarms.join("\n"));
    }

    /// Control: the same files with one override in them are all stopped.
    #[test]
    fn the_same_files_with_an_override_are_all_stopped() {
        for seed in 0..300 {
            let ending = ENDINGS[seed % ENDINGS.len()];
            let text = text(seed, ending).replacen('\n', "\u{202E}\n", 1);
            let report = judge(&format!("text{seed}.{ending}"), &text);
            assert_eq!(report.state, GateState::Fail, "{seed}.{ending}");
        }
    }
}
