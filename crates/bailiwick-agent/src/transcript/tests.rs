use super::*;
use proptest::prelude::*;
use serde_json::json;

fn step(number: usize, text: &str, input: &str, results: &[(String, bool)]) -> TakenStep {
    let calls = results.iter().enumerate().map(|(at, _)| Block::ToolUse {
        id: format!("{number}-{at}"),
        name: "run".into(),
        input: json!({"command": input}),
        invalid_input: None,
    });
    let thinking =
        Block::Thinking { family: "anthropic".into(), payload: json!({"signature": "s"}) };
    let told = results.iter().enumerate().map(|(at, (text, is_error))| ToldResult {
        recorded: ToolResult {
            tool_use_id: format!("{number}-{at}"),
            tool: "run".into(),
            action: None,
            content: text.as_str().into(),
            is_error: *is_error,
        },
        text: text.clone(),
    });
    TakenStep {
        reply: [thinking, Block::Text { text: text.into() }].into_iter().chain(calls).collect(),
        results: told.collect(),
        tree: None,
        taint: BTreeSet::new(),
        denials: 0,
        origins: Vec::new(),
        heard: Vec::new(),
    }
}

fn arbitrary_step() -> impl Strategy<Value = TakenStep> {
    let result = ("[a-z\n]{0,20}", 1usize..90, any::<bool>())
        .prop_map(|(text, times, error)| (text.repeat(times), error));
    (0usize..1000, "[a-z ]{0,9}", "\\PC{0,20}", prop::collection::vec(result, 0..4)).prop_map(
        |(number, text, input, results)| step(number, &text.repeat(70), &input.repeat(9), &results),
    )
}

fn shown(steps: &[TakenStep], cap: u64) -> Result<Vec<Message>, ContextFull> {
    let mut transcript = Transcript::new("the opening", 300, cap);
    steps.iter().for_each(|step| transcript.push(step));
    transcript.messages()
}

fn estimated(messages: &[Message]) -> u64 {
    tokens(messages).saturating_add(tokens_of_bytes(300))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What a run that is taken up shows is what the first run showed at each of its steps,
    /// within the cap, with calls and answers in pairs.
    #[test]
    fn compaction_is_the_same_whenever_it_is_done(steps in prop::collection::vec(arbitrary_step(), 0..16), cap in 200u64..6_000) {
        let mut growing = Transcript::new("the opening", 300, cap);
        for (at, step) in steps.iter().enumerate() {
            growing.push(step);
            let again = shown(&steps[..=at], cap);
            prop_assert_eq!(growing.messages(), again.clone());
            match again {
                Err(full) => {
                    prop_assert!(full.needed_tokens > cap);
                    // The opening and the latest step do not fit, with the words for what is left out.
                    let alone = shown(std::slice::from_ref(step), cap.saturating_sub(TOKENS_OF_NOTE));
                    prop_assert!(alone.is_err());
                }
                Ok(messages) => {
                    prop_assert!(estimated(&messages) <= cap);
                    prop_assert_eq!(&messages[0].blocks[0], &Block::Text { text: "the opening".into() });
                    prop_assert!(messages.ends_with(&step.whole()), "the latest step is whole");
                    for (at, message) in messages.iter().enumerate() {
                        let expected = if at % 2 == 0 { Author::User } else { Author::Assistant };
                        prop_assert_eq!(message.author, expected);
                        prop_assert!(!message.blocks.is_empty());
                    }
                    for pair in messages[1..].chunks(2) {
                        prop_assert_eq!(called(&pair[0]), answered(&pair[1]));
                    }
                }
            }
        }
    }
}

fn called(message: &Message) -> Vec<&str> {
    let ids = message.blocks.iter().filter_map(|block| match block {
        Block::ToolUse { id, .. } => Some(id.as_str()),
        _ => None,
    });
    ids.collect()
}

fn answered(message: &Message) -> Vec<&str> {
    let ids = message.blocks.iter().filter_map(|block| match block {
        Block::ToolResult { tool_use_id, .. } => Some(tool_use_id.as_str()),
        _ => None,
    });
    ids.collect()
}

#[test]
fn old_results_shrink_to_a_line_and_recent_ones_stay() {
    let steps: Vec<TakenStep> = (0..6)
        .map(|at| {
            step(
                at,
                "I run it",
                "cargo test",
                &[(format!("exit code {at}\n{}", "x".repeat(900)), false)],
            )
        })
        .collect();
    let messages = shown(&steps, 1_600).unwrap();
    let answer = |at: usize| match &messages[at].blocks[0] {
        Block::ToolResult { content, .. } => content.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        answer(2),
        "[run: done, 912 bytes left out to save space; call it again if you need them] exit code 0"
    );
    assert_eq!(answer(12), steps[5].results[0].text);
    assert_eq!(messages.len(), 13);
    assert!(!messages[1].blocks.iter().any(|block| matches!(block, Block::Thinking { .. })));
    assert!(
        messages[11].blocks.iter().any(|block| matches!(block, Block::Thinking { .. })),
        "the latest reasoning stays"
    );
}

#[test]
fn without_need_nothing_is_left_out() {
    let steps = [step(0, "a", "b", &[("x".repeat(3_000), false)]), step(1, "a", "b", &[])];
    let messages = shown(&steps, 100_000).unwrap();
    let [first, second] = [steps[0].whole(), steps[1].whole()];
    assert_eq!(messages[1..], [first, second].concat());
    assert_eq!(messages.last(), Some(&Message::user(NUDGE)));
}

#[test]
fn when_lines_are_too_much_the_oldest_steps_are_left_out_and_counted() {
    let steps: Vec<TakenStep> =
        (0..40).map(|at| step(at, "look", "ls", &[("short".into(), false)])).collect();
    let messages = shown(&steps, 1_500).unwrap();
    let Block::Text { text } = &messages[0].blocks[1] else { panic!("no note") };
    let left: usize =
        text.trim_start_matches("[The first ").split(' ').next().unwrap().parse().unwrap();
    assert_eq!(left, 40 - (messages.len() - 1) / 2);
    assert!(left > 0 && left < 40);
}
