//! The scripted provider.

use std::fs;

use bailiwick_gateway::{
    Gateway, ModelError, PriceTable, ProviderConfig, ProviderKind, ScriptError, Scripted,
};
use bailiwick_model::chat::{Block, ChatRequest, StopReason, SystemBlock, Usage};
use bailiwick_model::id::SubtaskKey;
use bailiwick_model::subject::Role;
use serde_json::json;

use crate::ask::{call, full_request, on_runtime, perform, request};
use crate::golden;

const SCRIPT: &str = r#"
[[reply]]
role = "coordinator"
text = "a plan"

[[reply]]
role = "implementor"
subtask = "fix"
round = 1
text = "second round"
usage = { input_tokens = 900, output_tokens = 40 }

[[reply]]
role = "implementor"
step = 1
expect_system_contains = ["implementor"]
expect_contains = ["not JSON", "Go on"]
expect_tool_offered = ["read"]
text = "I see."
[[reply.tool]]
name = "read"
input = { path = "a.rs", lines = [1, 2] }
[[reply.tool]]
name = "run"
"#;

fn gateway(script: &str) -> Gateway {
    Gateway::new(&[], PriceTable::built_in().unwrap())
        .unwrap()
        .with_script("s", Scripted::from_toml(script, "s.toml").unwrap())
        .unwrap()
}

fn ask(
    role: Role,
    subtask: &str,
    round: u32,
    step: u32,
    request: ChatRequest,
) -> Result<bailiwick_gateway::ModelAnswer, ModelError> {
    let mut call = call("s", request);
    call.role = role;
    call.subtask = Some(SubtaskKey::parse(subtask).unwrap());
    call.round = round;
    call.step = step;
    let gateway = gateway(SCRIPT);
    assert!(gateway.is_scripted("s") && !gateway.is_scripted("t"));
    on_runtime(perform(&gateway, call))
}

#[test]
fn labels_choose_the_reply() {
    let text = |role, subtask, round, step| {
        ask(role, subtask, round, step, full_request()).map(|answer| answer.reply.text())
    };
    assert_eq!(text(Role::Coordinator, "any", 7, 9).unwrap(), "a plan");
    assert_eq!(text(Role::Implementor, "fix", 1, 1).unwrap(), "second round");
    assert_eq!(text(Role::Implementor, "fix", 0, 1).unwrap(), "I see.");
    assert_eq!(text(Role::Implementor, "other", 1, 1).unwrap(), "I see.");
    assert_eq!(text(Role::Implementor, "fix", 0, 2).unwrap_err().code(), "model.script_mismatch");
    assert_eq!(text(Role::Verifier, "fix", 0, 1).unwrap_err().code(), "model.script_mismatch");
}

#[test]
fn a_reply_has_text_tools_and_usage() {
    let answer = ask(Role::Implementor, "fix", 0, 1, full_request()).unwrap();
    let again = ask(Role::Implementor, "fix", 0, 1, full_request()).unwrap();
    assert_eq!(answer.reply, again.reply, "a restart gets the same answer");
    let tool = |at: u32, name: &str, input| Block::ToolUse {
        id: format!("call_0_1_{at}"),
        name: name.into(),
        input,
        invalid_input: None,
    };
    assert_eq!(
        answer.reply.blocks,
        [
            Block::Text { text: "I see.".into() },
            tool(0, "read", json!({ "path": "a.rs", "lines": [1, 2] })),
            tool(1, "run", json!({})),
        ]
    );
    assert_eq!((answer.reply.stop, answer.cost.0), (StopReason::ToolUse, 0));
    assert_eq!(answer.reply.model, "scripted");
    assert!(answer.reply.usage.estimated && answer.reply.usage.input_tokens > 100);
    let given = ask(Role::Implementor, "fix", 1, 1, request()).unwrap().reply;
    let usage = Usage { input_tokens: 900, output_tokens: 40, ..Usage::default() };
    assert_eq!((given.usage, given.stop), (usage, StopReason::EndTurn));
}

#[test]
fn an_unmet_expectation_names_entry_expected_and_asked() {
    let ask = |request| ask(Role::Implementor, "fix", 0, 1, request);
    assert!(ask(full_request()).is_ok());
    let start = "the script was asked something else: `s.toml` line 13 (reply 3) expected";
    let by = "but for role `implementor`, subtask `fix`, round 0, step 1";
    let mut no_system = full_request();
    no_system.system = vec![SystemBlock::plain("You are a poet.")];
    let mut other_message = full_request();
    other_message.messages = request().messages;
    let mut no_tool = full_request();
    no_tool.tools.remove(0);
    for (request, rest) in [
        (
            no_system,
            format!(
                "`implementor` in the system instructions, {by} the system instructions is `You are a poet.`"
            ),
        ),
        (
            other_message,
            format!("`not JSON` in the last message, {by} the last message is `hello`"),
        ),
        (no_tool, format!("the tool `read` to be offered, {by} the tools are `run`")),
    ] {
        let error = ask(request).unwrap_err();
        assert_eq!(error.code(), "model.script_mismatch");
        assert_eq!(error.to_string(), format!("{start} {rest}"));
    }
}

#[test]
fn no_matching_reply_names_the_script_and_the_call() {
    let error = ask(Role::Verifier, "fix", 0, 3, request()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the script was asked something else: `s.toml` expected one of its 3 replies to match, \
         but for role `verifier`, subtask `fix`, round 0, step 3 none does; the last message is `hello`"
    );
    assert!(error.hint().contains("`s.toml`"));
}

/// Each `tests/scripts/bad/*` begins with a line that holds its error; a new file is a new test.
#[test]
fn bad_scripts_are_rejected_with_file_and_line() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(golden::path("scripts/bad")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let expected = text.lines().next().unwrap().strip_prefix("# ").unwrap();
        let error = Scripted::from_toml(&text, "bad.toml").unwrap_err();
        let mut shown = error.to_string();
        if let ScriptError::Toml { source, .. } = &error {
            shown = format!("{shown}: {}", source.message());
        }
        if shown != expected {
            wrong.push(format!("{}: {shown}", path.display()));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 8, "the bad scripts are gone");
}

#[test]
fn scripts_are_read_from_toml_and_json_files() {
    let directory = tempfile::tempdir().unwrap();
    let toml = directory.path().join("s.toml");
    let json = directory.path().join("s.json");
    fs::write(&toml, "[[reply]]\ntext = 'from a file'\n").unwrap();
    fs::write(&json, r#"{"reply": [{"text": "from a file"}]}"#).unwrap();
    for path in [&toml, &json] {
        let mut config = ProviderConfig::new("s", ProviderKind::Scripted);
        config.script = Some(path.clone());
        let gateway = Gateway::new(&[config], PriceTable::built_in().unwrap()).unwrap();
        let answer = on_runtime(perform(&gateway, call("s", request()))).unwrap();
        assert_eq!(answer.reply.text(), "from a file");
    }
    fs::write(&json, "{\n\"reply\": [{\"txt\": 1}]}").unwrap();
    let error = Scripted::from_file(&json).unwrap_err();
    assert_eq!(error.to_string(), format!("`{}` line 2 is not a script", json.display()));
    let missing = Scripted::from_file(&directory.path().join("none.toml")).unwrap_err();
    assert!(matches!(missing, ScriptError::Unreadable { .. }));
}

#[test]
fn a_scripted_provider_is_configured_with_a_script_and_nothing_else() {
    let refused = |text: &str| {
        let config: ProviderConfig = toml::from_str(text).unwrap();
        Gateway::new(&[config], PriceTable::built_in().unwrap()).unwrap_err().to_string()
    };
    assert_eq!(
        refused("name = 's'\nkind = 'scripted'"),
        "provider `s`: `script` is needed for kind `scripted`"
    );
    assert_eq!(
        refused("name = 's'\nkind = 'scripted'\nbase_url = 'http://h'"),
        "provider `s`: `base_url` has no meaning for kind `scripted`"
    );
    assert_eq!(
        refused("name = 's'\nkind = 'openai'\nscript = 'x'"),
        "provider `s`: `script` is only for kind `scripted`"
    );
    assert_eq!(
        refused("name = 'a b'\nkind = 'openai'"),
        "provider `a b`: `name` must be 1 to 64 ASCII letters, digits, dots, hyphens or underscores"
    );
    let config = ProviderConfig::new("p", ProviderKind::Openai);
    let twice = Gateway::new(&[config.clone(), config], PriceTable::built_in().unwrap());
    assert_eq!(twice.unwrap_err().to_string(), "provider `p` is configured twice");
}
