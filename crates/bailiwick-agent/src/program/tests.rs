use bailiwick_model::chat::Block;
use serde_json::{Value, json};

use super::told::called;
use super::*;

fn assignment() -> Assignment {
    Assignment {
        program: "/agents/x/x".to_owned(),
        home: "/agents/x".to_owned(),
        version: "1".to_owned(),
        model: "m".to_owned(),
        token: "bailiwick-session-1".to_owned(),
        door: 4100,
        max_turns: 60,
        max_output_tokens: 8192,
        timeout_ms: 1000,
    }
}

fn lines(lines: &[Value]) -> Vec<u8> {
    lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

fn said(text: &str) -> Block {
    Block::Text { text: text.to_owned() }
}

#[test]
fn nothing_that_a_program_is_started_with_is_a_credential_or_an_address_elsewhere() {
    for adapter in adapters() {
        let program = adapter.start(&assignment());
        assert_eq!(program.argv[0], "/agents/x/x");
        assert_eq!((program.door, program.timeout_ms), (4100, 1000));
        let wish = |argument: &String| argument == "m" || argument.ends_with("/m");
        assert!(program.argv.iter().any(wish), "{program:?}");
        let all = format!("{program:?}");
        let addresses = all.matches("http").count();
        assert_eq!(addresses, all.matches("http://127.0.0.1:4100").count(), "{all}");
        let tokens = program.env.values().filter(|value| value.contains("bailiwick-session-1"));
        assert_eq!(tokens.count(), 1, "{all}");
    }
}

#[test]
fn what_claude_code_prints_becomes_steps() {
    let message = |id: &str, block: Value| json!({"type": "assistant", "message": {"id": id, "content": [block]}});
    let text = lines(&[
        json!({"type": "system", "subtype": "init", "tools": []}),
        message("m1", json!({"type": "thinking", "thinking": "hm"})),
        message("m1", json!({"type": "text", "text": "I look."})),
        message(
            "m1",
            json!({"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}),
        ),
        json!({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "t1", "content": "out"}]}}),
        message("m2", json!({"type": "tool_use", "id": "t2", "name": "Read", "input": {}})),
        json!({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "t2", "is_error": true, "content": [{"type": "text", "text": "no"}]}]}}),
        message("m3", json!({"type": "text", "text": "Done."})),
        json!({"type": "result", "subtype": "success", "is_error": false, "result": "All done."}),
    ]);
    let report = ClaudeCode.read(&[&text[..], b"no json\n\xff\n"].concat());
    let result = |id: &str, tool: &str, text: &str, bad| {
        vec![(id.to_owned(), tool.to_owned(), text.to_owned(), bad)]
    };
    let expected = Report {
        steps: vec![
            ReportedStep {
                reply: vec![said("I look."), called("t1", "Bash", json!({"command": "ls"}))],
                results: result("t1", "Bash", "out", false),
            },
            ReportedStep {
                reply: vec![called("t2", "Read", json!({}))],
                results: result("t2", "Read", "no", true),
            },
            ReportedStep { reply: vec![said("Done.")], results: Vec::new() },
        ],
        summary: "All done.".to_owned(),
        unread: 2,
    };
    assert_eq!(report, expected);
    // Cut off before its last line, the last words are its summary.
    let cut = text.len() - 20;
    assert_eq!(ClaudeCode.read(&text[..cut]).summary, "Done.");
}

#[test]
fn what_codex_prints_becomes_steps() {
    let item = |item: Value| json!({"type": "item.completed", "item": item});
    let text = lines(&[
        json!({"type": "thread.started", "thread_id": "x"}),
        item(json!({"id": "i0", "type": "error", "message": "metadata"})),
        item(
            json!({"id": "i1", "type": "command_execution", "command": "ls", "aggregated_output": "out", "exit_code": 0}),
        ),
        item(
            json!({"id": "i2", "type": "file_change", "changes": [{"path": "a", "kind": "update"}], "status": "completed"}),
        ),
        item(json!({"id": "i3", "type": "agent_message", "text": "All done."})),
        json!({"type": "turn.completed", "usage": {}}),
    ]);
    let report = Codex.read(&text);
    assert_eq!(report.summary, "All done.");
    assert_eq!(report.steps.len(), 3);
    assert_eq!(report.steps[0].reply, [called("i1", "exec_command", json!({"command": "ls"}))]);
    assert_eq!(report.steps[0].results[0].2, "out");
    assert_eq!(report.steps[2].reply, [said("All done.")]);
    let failed =
        lines(&[json!({"type": "turn.failed", "error": {"message": "stream disconnected"}})]);
    assert_eq!(Codex.read(&failed).summary, "stream disconnected");
}

#[test]
fn what_opencode_prints_becomes_steps() {
    let part = |kind: &str, part: Value| json!({"type": kind, "sessionID": "s", "part": part});
    let called_by = |id: &str, state: Value| {
        part("tool_use", json!({"type": "tool", "tool": "bash", "callID": id, "state": state}))
    };
    let text = lines(&[
        part("step_start", json!({"type": "step-start"})),
        part("text", json!({"type": "text", "text": "I look."})),
        called_by(
            "c1",
            json!({"status": "completed", "input": {"command": "ls"}, "output": "out"}),
        ),
        called_by("c2", json!({"status": "error", "input": {}, "error": "no"})),
        part("step_finish", json!({"type": "step-finish", "reason": "tool-calls"})),
        part("step_start", json!({"type": "step-start"})),
        part("text", json!({"type": "text", "text": "All done."})),
    ]);
    let report = OpenCode.read(&[&text[..], b"no json\n"].concat());
    let result =
        |id: &str, text: &str, bad| (id.to_owned(), "bash".to_owned(), text.to_owned(), bad);
    let expected = Report {
        steps: vec![
            ReportedStep {
                reply: vec![
                    said("I look."),
                    called("c1", "bash", json!({"command": "ls"})),
                    called("c2", "bash", json!({})),
                ],
                results: vec![result("c1", "out", false), result("c2", "no", true)],
            },
            ReportedStep { reply: vec![said("All done.")], results: Vec::new() },
        ],
        summary: "All done.".to_owned(),
        unread: 1,
    };
    assert_eq!(report, expected);
    let failed = lines(&[
        json!({"type": "error", "error": {"name": "APIError", "data": {"message": "no model"}}}),
    ]);
    assert_eq!(OpenCode.read(&failed).summary, "no model");
}

#[test]
fn a_script_is_found_with_the_node_beside_it_and_not_without() {
    let gateway = || {
        let prices = bailiwick_gateway::PriceTable::built_in().unwrap();
        Arc::new(Gateway::new(&[], prices).unwrap())
    };
    let root = std::env::temp_dir().join(format!("bailiwick-scripts-{}", std::process::id()));
    let package = root.join("node_modules/@qwen-code/qwen-code");
    std::fs::create_dir_all(&package).unwrap();
    std::fs::write(package.join("cli.js"), "").unwrap();
    std::fs::write(package.join("package.json"), "{\"version\":\"0.1.0\"}").unwrap();
    let open = || program("qwen-code", &root, None, gateway());
    let error = open().unwrap_err();
    assert!(error.hint().contains(&format!("{}@22", package::node_package())), "{error}");
    let node = root.join("node_modules").join(package::node_package()).join("bin");
    std::fs::create_dir_all(&node).unwrap();
    std::fs::write(node.join("node"), "").unwrap();
    let found = open().unwrap();
    assert_eq!(found.info().version, "0.1.0");
    assert!(found.located.file.ends_with("bin/node"));
    assert_eq!(found.mounts()[0].source, std::fs::canonicalize(root.join("node_modules")).unwrap());
    std::fs::remove_dir_all(&root).unwrap();
}

proptest::proptest! {
    #[test]
    fn any_output_is_read(bytes in proptest::collection::vec(0u8.., 0..300), kinds in "[a-z_.\"{}:\\[\\],\\n]{0,200}") {
        for adapter in adapters() {
            drop(adapter.read(&bytes));
            drop(adapter.read(kinds.as_bytes()));
            for kind in ["assistant", "user", "result", "item.completed", "turn.failed", "step_start", "text", "tool_use", "error"] {
                let odd = format!("{{\"type\":\"{kind}\",\"message\":{{\"content\":[{{\"type\":\"tool_use\"}},7,null]}},\"item\":{{\"type\":\"command_execution\"}}}}");
                drop(adapter.read(odd.as_bytes()));
            }
        }
    }
}

#[test]
fn a_program_is_found_where_npm_put_it_and_nowhere_else() {
    let gateway = || {
        let prices = bailiwick_gateway::PriceTable::built_in().unwrap();
        Arc::new(Gateway::new(&[], prices).unwrap())
    };
    let root = std::env::temp_dir().join(format!("bailiwick-agents-{}", std::process::id()));
    let package =
        root.join("node_modules/@anthropic-ai").join(format!("claude-code-{}", package::machine()));
    let open = |version: Option<&str>| program("claude-code", &root, version, gateway());
    assert!(matches!(open(None), Err(ProgramError::Missing { .. })));
    std::fs::create_dir_all(&package).unwrap();
    std::fs::write(package.join("claude"), "").unwrap();
    assert!(matches!(open(None), Err(ProgramError::NoVersion { .. })));
    std::fs::write(package.join("package.json"), "{\"version\":\"2.0.0\"}").unwrap();
    let found = open(Some("2.0.0")).unwrap();
    assert_eq!(found.info().version, "2.0.0");
    let [mount] = &found.mounts()[..] else { panic!() };
    assert_eq!(mount.target, PathBuf::from("/agents/claude-code"));
    assert_eq!(mount.access, Access::ReadOnly);
    let error = open(Some("2.0.1")).unwrap_err();
    assert!(matches!(error, ProgramError::WrongVersion { .. }), "{error}");
    let unknown = program("no-such", &root, None, gateway()).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "`no-such` is no kind of agent; there are: claude-code, codex, opencode, qwen-code"
    );
    std::fs::remove_dir_all(&root).unwrap();
}
