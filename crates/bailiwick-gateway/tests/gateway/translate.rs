//! Crossing from one family to another: what the server is asked, and what the client is answered,
//! each as a golden file beside the request.

use bailiwick_gateway::ProviderKind;
use serde_json::{Value, json};

use crate::ask::config;
use crate::golden;
use crate::porch::{Heard, Porch};
use crate::server::{Answer, Server};

fn request(name: &str) -> Value {
    let text = std::fs::read_to_string(golden::path(&format!("inbound/{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A reply with text, a call whose arguments are right, and one whose arguments are broken.
fn reply(kind: ProviderKind) -> String {
    let events: Vec<String> = match kind {
        ProviderKind::Anthropic => [
            json!({"type":"message_start","message":{"model":"m1","usage":{"input_tokens":9,"cache_read_input_tokens":5,"output_tokens":1}}}),
            json!({"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"hm","signature":"s"}}),
            json!({"type":"content_block_start","index":1,"content_block":{"type":"text","text":"Grüß 🦀"}}),
            json!({"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t1","name":"read","input":{}}}),
            json!({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"path\":\"a.rs\"}"}}),
            json!({"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"t2","name":"apply_patch","input":{}}}),
            json!({"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"input\":\"*** Begin\"}"}}),
            json!({"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"t3","name":"read","input":{}}}),
            json!({"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":"{\"path\":"}}),
            json!({"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":4}}),
            json!({"type":"message_stop"}),
        ]
        .map(|event| event.to_string())
        .to_vec(),
        _ => {
            let calls = json!([
                {"index":0,"id":"t1","function":{"name":"read","arguments":"{\"path\":\"a.rs\"}"}},
                {"index":1,"id":"t2","function":{"name":"apply_patch","arguments":"{\"input\":\"*** Begin\"}"}},
                {"index":2,"id":"t3","function":{"name":"read","arguments":"{\"path\":"}},
            ]);
            vec![
                json!({"model":"m1","choices":[{"index":0,"delta":{"reasoning_content":"hm","content":"Grüß 🦀"}}]}).to_string(),
                json!({"model":"m1","choices":[{"index":0,"delta":{"tool_calls":calls},"finish_reason":"tool_calls"}]}).to_string(),
                json!({"model":"m1","choices":[],"usage":{"prompt_tokens":14,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":5}}}).to_string(),
                "[DONE]".to_owned(),
            ]
        }
    };
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

/// A stream as a list of its events.
fn events(heard: &Heard) -> Value {
    let text = heard.text();
    let events = text.trim_end().split("\n\n").map(|event| {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        let data = field("data: ").unwrap();
        let data = serde_json::from_str(data).unwrap_or_else(|_| json!(data));
        json!({ "event": field("event: "), "data": data })
    });
    events.collect()
}

#[test]
fn requests_and_replies_cross_families() {
    use ProviderKind::{Anthropic, Openai};
    for (name, path, kind) in [
        ("anthropic", "/v1/messages", Openai),
        ("chat", "/v1/chat/completions", Anthropic),
        ("responses", "/v1/responses", Anthropic),
        ("responses", "/v1/responses", Openai),
        ("gemini", "/v1beta/models/wish:streamGenerateContent?alt=sse", Anthropic),
        ("gemini", "/v1beta/models/wish:streamGenerateContent?alt=sse", Openai),
    ] {
        let to = format!("inbound/{name}_to_{}", kind.as_str());
        let server = Server::start(vec![Answer::Stream(vec![reply(kind).into_bytes()])]);
        let porch = Porch::open(&config(kind, &server));
        let mut asked = request(name);
        let streamed = porch.post(path, &asked.to_string());
        assert_eq!(streamed.status, 200, "{streamed:?}");
        // Most say in the body whether they want a stream, one in the address.
        let whole = if name == "gemini" {
            porch.post("/v1beta/models/wish:generateContent", &asked.to_string())
        } else {
            asked["stream"] = json!(false);
            porch.post(path, &asked.to_string())
        };
        assert_eq!(whole.status, 200, "{whole:?}");
        golden::check(&format!("{to}.asked.json"), &server.requests()[0].body);
        golden::check(&format!("{to}.stream.json"), &events(&streamed));
        golden::check(&format!("{to}.whole.json"), &whole.json());
        golden::check(&format!("{to}.left_out.json"), &json!(whole.header("x-bailiwick-left-out")));
        // What is decided is the neutral request, whose digest binds what was sent.
        assert_eq!(porch.decided().len(), 2);
    }
}

#[test]
fn what_can_not_be_carried_is_refused_by_name() {
    use ProviderKind::{Anthropic, Openai};
    let image = json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "x" } });
    let user = |content: Value| json!([{ "role": "user", "content": content }]);
    for (path, kind, change, said) in [
        ("anthropic", Openai, json!({ "messages": user(json!([image])) }), "type `image`"),
        (
            "anthropic",
            Openai,
            json!({ "messages": user(json!([{ "type": "tool_result", "tool_use_id": "t", "content": [image] }])) }),
            "type `image`",
        ),
        (
            "anthropic",
            Openai,
            json!({ "messages": [{ "role": "user", "content": "a" }, { "role": "assistant", "content": "b" }] }),
            "begun for the model",
        ),
        (
            "chat",
            Anthropic,
            json!({ "messages": user(json!([{ "type": "image_url" }])) }),
            "`image_url`",
        ),
        ("chat", Anthropic, json!({ "n": 2 }), "several answers"),
        ("responses", Anthropic, json!({ "previous_response_id": "r" }), "kept on the server"),
        (
            "responses",
            Anthropic,
            json!({ "input": [{ "type": "local_shell_call" }] }),
            "`local_shell_call`",
        ),
    ] {
        let server = Server::start(vec![Answer::Stream(vec![reply(kind).into_bytes()])]);
        let porch = Porch::open(&config(kind, &server));
        let address = match path {
            "anthropic" => "/v1/messages",
            "chat" => "/v1/chat/completions",
            _ => "/v1/responses",
        };
        let mut asked = request(path);
        for (field, value) in change.as_object().unwrap() {
            asked[field] = value.clone();
        }
        let heard = porch.post(address, &asked.to_string());
        assert_eq!(heard.status, 400, "{heard:?}");
        let told = heard.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(told.contains(said) && told.contains("[request.not_carried]"), "{told}");
        assert!(server.requests().is_empty() && porch.decided().is_empty(), "{told}");
    }
}
