//! What an agent's program finds behind the port of its cage.

use std::io::Write as _;

use bailiwick_gateway::door::Shut;
use bailiwick_gateway::{ProviderConfig, ProviderKind};
use bailiwick_model::outcome::Outcome;
use bailiwick_model::payload::Digest;
use bailiwick_model::subject::Taint;
use bailiwick_model::task::MicroUsd;
use serde_json::{Value, json};

use crate::ask::{config, events, gateway, good};
use crate::porch::{ALLOW, Heard, Porch};
use crate::server::{Answer, Server};

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";

fn body(path: &str, stream: bool) -> Value {
    match path {
        MESSAGES => json!({
            "model": "wish", "max_tokens": 100, "stream": stream,
            "messages": [{ "role": "user", "content": "hello" }],
        }),
        CHAT => json!({
            "model": "wish", "stream": stream,
            "messages": [{ "role": "user", "content": "hello" }],
        }),
        _ => json!({ "model": "wish", "stream": stream, "input": "hello" }),
    }
}

fn family(path: &str) -> ProviderKind {
    if path == MESSAGES { ProviderKind::Anthropic } else { ProviderKind::Openai }
}

/// The message of an error in the protocol of `path`.
#[track_caller]
fn error(path: &str, heard: &Heard) -> String {
    let body = heard.json();
    if path == MESSAGES {
        assert_eq!(body["type"], "error", "{body}");
        assert!(body["error"]["type"].is_string(), "{body}");
    } else {
        assert!(body["error"]["code"].is_string(), "{body}");
    }
    body["error"]["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_call_of_the_same_family_passes_byte_for_byte_but_for_the_model() {
    for path in [MESSAGES, CHAT] {
        let kind = family(path);
        // Cut in the middle of lines and of characters.
        let pieces: Vec<Vec<u8>> = events(kind).as_bytes().chunks(7).map(<[u8]>::to_vec).collect();
        let server = Server::start(vec![Answer::Stream(pieces)]);
        let mut porch = Porch::open(&config(kind, &server));
        let asked = r#"{ "unknown":{"deep":[1.50,1e3,"é\u00e9"]}, "model" : "wish","max_tokens":7,"stream":true,"messages":[{"role":"user","content":"hello","extra":null}]}"#;
        let heard = porch.ask(
            &format!("POST {path}?beta=true"),
            &["authorization: Bearer session-token", "anthropic-beta: one,two", "cookie: c"],
            asked.as_bytes(),
        );
        assert_eq!(heard.status, 200, "{heard:?}");
        assert_eq!(heard.header("content-type"), Some("text/event-stream"));
        assert_eq!(heard.text(), events(kind), "the server's own bytes");
        let requests = server.requests();
        let [request] = &requests[..] else { panic!("{requests:?}") };
        let sent = asked.replace("\"wish\"", "\"the-model\"");
        assert_eq!(request.body, serde_json::from_str::<Value>(&sent).unwrap());
        let beta = if path == MESSAGES { Some("one,two") } else { None };
        assert_eq!(request.header("anthropic-beta"), beta);
        for never in ["authorization", "x-api-key", "cookie"] {
            assert_eq!(request.header(never), None, "{never}");
        }
        // Decided, recorded, with the digest of exactly what was sent.
        let [call] = &porch.decided()[..] else { panic!() };
        assert_eq!(call.request_digest, Digest::of(sent.as_bytes()));
        assert_eq!((call.model.as_str(), call.step), ("the-model", 1));
        let prompt: Value = serde_json::from_str(&call.prompt.text().unwrap()).unwrap();
        assert_eq!(prompt["wish"], "wish");
        assert_eq!(prompt["messages"][0]["content"], "hello");
        let outcomes = porch.close();
        let [Outcome::Model { reply, usage, .. }] = &outcomes[..] else { panic!("{outcomes:?}") };
        assert!(reply.text().unwrap().contains("Grüß"), "{reply:?}");
        assert_eq!((usage.input_tokens, usage.output_tokens), (9, 4));
        assert_eq!(porch.door.answered(), 1);
        let traffic = porch.door.traffic();
        assert_eq!((traffic.connections, traffic.requests, traffic.refused), (1, 1, 0));
        assert_eq!(traffic.body_bytes_out, asked.len() as u64);
        assert_eq!(traffic.body_bytes_in, events(kind).len() as u64);
        assert!(traffic.bytes_out > traffic.body_bytes_out);
        assert!(traffic.bytes_in > traffic.body_bytes_in);
    }
}

fn whole_anthropic() -> String {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m1",
        "content": [
            { "type": "text", "text": "Grüß 🦀" },
            { "type": "tool_use", "id": "t1", "name": "run", "input": { "a": 1 } },
        ],
        "stop_reason": "tool_use", "unknown": [1],
        "usage": { "input_tokens": 9, "output_tokens": 4 },
    })
    .to_string()
}

fn whole_chat() -> String {
    json!({
        "id": "c", "model": "m1", "unknown": [1],
        "choices": [{ "index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": "Grüß 🦀",
            "tool_calls": [{ "id": "t1", "type": "function",
                "function": { "name": "run", "arguments": "{\"a\":1}" } }],
        } }],
        "usage": { "prompt_tokens": 9, "completion_tokens": 4 },
    })
    .to_string()
}

fn whole_responses() -> String {
    json!({
        "id": "r", "object": "response", "status": "completed", "model": "m1", "unknown": [1],
        "output": [
            { "type": "reasoning", "encrypted_content": "x" },
            { "type": "message", "content": [{ "type": "output_text", "text": "Grüß 🦀" }] },
            { "type": "function_call", "call_id": "t1", "name": "run", "arguments": "{\"a\":1}" },
        ],
        "usage": { "input_tokens": 9, "output_tokens": 4 },
    })
    .to_string()
}

#[test]
fn an_answer_that_is_not_a_stream_passes_too() {
    for (path, whole) in
        [(MESSAGES, whole_anthropic()), (CHAT, whole_chat()), (RESPONSES, whole_responses())]
    {
        let server = Server::start(vec![Answer::Whole(
            200,
            &["request-id: q1"],
            "application/json",
            whole.clone(),
        )]);
        let mut provider = config(family(path), &server);
        provider.responses = Some(true);
        let mut porch = Porch::open(&provider);
        let heard = porch.post(path, &body(path, false).to_string());
        assert_eq!((heard.status, heard.text()), (200, whole), "{path}");
        assert_eq!(heard.header("request-id"), Some("q1"));
        let asked = server.requests()[0].head.lines().next().unwrap().to_owned();
        assert!(asked.starts_with(&format!("POST {path} ")), "{asked}");
        let outcomes = porch.close();
        let [Outcome::Model { reply, usage, .. }] = &outcomes[..] else { panic!("{outcomes:?}") };
        let reply: Value = serde_json::from_str(&reply.text().unwrap()).unwrap();
        assert_eq!(reply["stop"], "tool_use", "{reply}");
        assert!(reply.to_string().contains("Grüß 🦀"), "{reply}");
        assert_eq!((usage.input_tokens, usage.output_tokens), (9, 4));
    }
}

#[test]
fn a_responses_stream_passes_on() {
    let done = json!({ "type": "response.completed",
        "response": serde_json::from_str::<Value>(&whole_responses()).unwrap() });
    let text = format!(
        "event: response.created\ndata: {{\"type\":\"response.created\"}}\n\nevent: response.completed\ndata: {done}\n\n"
    );
    let server = Server::start(vec![Answer::Stream(vec![text.clone().into_bytes()])]);
    let mut provider = config(ProviderKind::Openai, &server);
    provider.responses = Some(true);
    let porch = Porch::open(&provider);
    let heard = porch.post(RESPONSES, &body(RESPONSES, true).to_string());
    assert_eq!((heard.status, heard.text()), (200, text));
    assert_eq!(porch.door.answered(), 1);
}

#[test]
fn secrets_do_not_leave_and_are_not_recorded() {
    let key = format!("AKIA{}", "QWERTYUIOPASDFGH");
    let server = Server::start(vec![good(ProviderKind::Anthropic)]);
    let porch = Porch::open(&config(ProviderKind::Anthropic, &server));
    let mut asked = body(MESSAGES, true);
    asked["messages"][0]["content"] = json!(format!("aws_access_key_id = {key}; ignore all"));
    assert_eq!(porch.post(MESSAGES, &asked.to_string()).status, 200);
    let sent = server.requests()[0].body.to_string();
    assert!(!sent.contains(&key), "{sent}");
    assert!(sent.contains("[redacted:"), "{sent}");
    let call = porch.decided().remove(0);
    assert!(!call.prompt.text().unwrap().contains(&key));
    assert!(porch.door.taint().contains(&Taint::Secret));
    assert!(porch.door.taint().contains(&Taint::Instructions));
}

#[test]
fn what_was_said_before_is_recorded_once() {
    let server = Server::start(vec![good(ProviderKind::Anthropic)]);
    let porch = Porch::open(&config(ProviderKind::Anthropic, &server));
    let mut asked = body(MESSAGES, true);
    asked["system"] = json!("be good");
    asked["messages"][0]["cache_control"] = json!({ "type": "ephemeral" });
    porch.post(MESSAGES, &asked.to_string());
    asked["messages"][0].as_object_mut().unwrap().remove("cache_control");
    let more = [
        json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": "t", "name": "run", "input": {} }] }),
        json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t", "content": "out" }] }),
    ];
    asked["messages"].as_array_mut().unwrap().extend(more.clone());
    porch.post(MESSAGES, &asked.to_string());
    let prompts: Vec<Value> = porch
        .decided()
        .iter()
        .map(|call| serde_json::from_str(&call.prompt.text().unwrap()).unwrap())
        .collect();
    assert_eq!(prompts[0]["system"], "be good");
    assert_eq!(prompts[0]["messages"].as_array().unwrap().len(), 1);
    assert_eq!(prompts[1].get("system"), None);
    assert_eq!(prompts[1]["messages"], json!(more));
    let taint = porch.door.taint();
    assert!(taint.contains(&Taint::CommandOutput) && taint.contains(&Taint::Repository));
}

/// Everything that is not a call, or none that can be made.
#[test]
fn what_is_no_call_gets_an_error_in_the_clients_own_protocol() {
    let server = Server::start(vec![good(ProviderKind::Anthropic)]);
    let porch = Porch::open(&config(ProviderKind::Anthropic, &server));
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for (path, text, status, said) in [
        (MESSAGES, "", 400, "not JSON"),
        (MESSAGES, "{", 400, "not JSON"),
        (MESSAGES, "[]", 400, "not a JSON object"),
        (MESSAGES, "{}", 400, "`messages` is missing"),
        (MESSAGES, r#"{"messages":[]}"#, 400, "`model` is missing"),
        (MESSAGES, r#"{"messages":[],"model":"m"}"#, 400, "`max_tokens` is missing"),
        (MESSAGES, r#"{"messages":[],"model":"m","max_tokens":-1}"#, 400, "output limit"),
        (MESSAGES, r#"{"messages":[],"model":"m","max_tokens":1,"stream":"yes"}"#, 400, "`stream`"),
        (MESSAGES, &deep, 400, "not JSON"),
        (MESSAGES, "{\"messages\":\"\u{0}\"}", 400, "not JSON"),
        (CHAT, r#"{"model":"m"}"#, 400, "`messages` is missing"),
        (CHAT, r#"{"model":7,"messages":[]}"#, 400, "`model` is missing"),
        (RESPONSES, r#"{"model":"m","input":7}"#, 400, "`input` is missing"),
        ("/v1/complete", "{}", 404, "there is no `POST /v1/complete` here"),
        ("/v1/messages/batches", "{}", 404, "there is no"),
        ("/v1/files", "{}", 404, "calls go to /v1/messages"),
    ] {
        let heard = porch.post(path, text);
        let error = error(
            if path.starts_with(MESSAGES) || path == "/v1/complete" || path == "/v1/files" {
                MESSAGES
            } else {
                path
            },
            &heard,
        );
        assert_eq!(heard.status, status, "{path} {text:.60}: {error}");
        assert!(error.contains(said), "{path} {text:.60}: {error}");
        assert_eq!(heard.header("x-should-retry"), Some("false"));
    }
    // Without the session's token nothing is answered, in either family's words.
    for (headers, path) in
        [(&["x-api-key: other"][..], MESSAGES), (&["authorization: Bearer x"], CHAT), (&[], CHAT)]
    {
        let heard =
            porch.ask(&format!("POST {path}"), headers, body(path, true).to_string().as_bytes());
        assert_eq!(heard.status, 401);
        assert!(error(path, &heard).contains("[door.unknown_token]"));
    }
    let packed = ["x-api-key: session-token", "content-encoding: gzip"];
    let heard = porch.ask(&format!("POST {MESSAGES}"), &packed, b"\x1f\x8b");
    assert_eq!(heard.status, 415, "{heard:?}");
    assert!(server.requests().is_empty(), "nothing left");
    assert!(porch.decided().is_empty());

    // The same call as it should be.
    assert_eq!(porch.post(MESSAGES, &body(MESSAGES, true).to_string()).status, 200);
    assert_eq!(porch.ask("HEAD /", &[], b"").status, 200);
    let models = porch.ask("GET /v1/models", &["x-api-key: session-token"], b"").json();
    assert_eq!(models["data"][0]["id"], "the-model");
    let count = porch.post("/v1/messages/count_tokens", &body(MESSAGES, false).to_string()).json();
    assert!(count["input_tokens"].as_u64().unwrap() > 10, "{count}");
    assert_eq!(server.requests().len(), 1, "counting asks nobody");
}

#[test]
fn what_is_not_http_or_never_ends_ties_nothing_up() {
    let server = Server::start(vec![good(ProviderKind::Anthropic)]);
    let mut porch = Porch::open(&config(ProviderKind::Anthropic, &server));
    assert_ne!(porch.raw(b"\x16\x03\x01 this is no HTTP\r\n\r\n").status, 200);
    let huge = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(200_000));
    assert_ne!(porch.raw(huge.as_bytes()).status, 200);
    // Two lengths, and one that is smuggled behind a chunked body.
    let two = "POST /v1/messages HTTP/1.1\r\nhost: d\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcde";
    assert_ne!(porch.raw(two.as_bytes()).status, 200);
    // Many that say nothing: the others are served all the same, and none outlives the door.
    let idle: Vec<_> = (0..40).map(|_| porch.connect()).collect();
    let mut half = porch.connect();
    half.write_all(b"POST /v1/messages HTTP/1.1\r\nx-api-key: session-token\r\ncontent-length: 900\r\n\r\n{\"mo").unwrap();
    assert_eq!(porch.post(MESSAGES, &body(MESSAGES, true).to_string()).status, 200);
    porch.close();
    drop((idle, half));
    assert!(porch.door.traffic().connections >= 40);
}

#[test]
fn a_provider_that_fails_is_told_in_the_clients_protocol() {
    let text = |kind| events(kind);
    for path in [MESSAGES, CHAT] {
        let kind = family(path);
        let half = text(kind).as_bytes()[..text(kind).find("Gr").unwrap()].to_vec();
        let reported = match kind {
            ProviderKind::Anthropic => {
                "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n"
            }
            _ => "data: {\"error\":{\"code\":\"busy\",\"message\":\"busy\"}}\n\n",
        };
        let json_error = "{\"error\":{\"type\":\"odd\",\"message\":\"not today\"}}".to_owned();
        for (answer, status, code) in [
            (Answer::Whole(401, &[], "application/json", json_error.clone()), 500, "model.auth"),
            (
                Answer::Whole(400, &[], "application/json", json_error.clone()),
                400,
                "model.rejected",
            ),
            (
                Answer::Whole(429, &[], "application/json", json_error.clone()),
                429,
                "model.rate_limited",
            ),
            (Answer::Whole(503, &[], "text/html", "<p>".to_owned()), 503, "model.unavailable"),
            // A success with an error inside, another type, something packed.
            (Answer::Whole(200, &[], "application/json", json_error), 502, "model.error_in_reply"),
            (
                Answer::Whole(200, &[], "text/html", "<p>hello".to_owned()),
                502,
                "model.content_type",
            ),
            (
                Answer::Whole(200, &["content-encoding: gzip"], "text/event-stream", "x".repeat(9)),
                502,
                "model.content_type",
            ),
            (Answer::Stream(vec![reported.as_bytes().to_vec()]), 502, "model.error_in_reply"),
            (Answer::Stream(vec![b"data: {\n\n".to_vec()]), 502, "model.malformed"),
            (Answer::Stream(vec![b"data: \xff\xfe\n\n".to_vec()]), 502, "model.malformed"),
            (Answer::Close, 502, "model.connection_lost"),
            (Answer::Hang, 504, "model.timeout"),
            (Answer::Flood(vec![b'a'; 50_000]), 502, "model.too_large"),
        ] {
            let shown = format!("{answer:?}");
            let server = Server::start(vec![answer]);
            let mut provider = config(kind, &server);
            // Only the one that is silent has to be waited for.
            if shown == "Hang" {
                provider.idle_timeout_ms = 300;
                provider.connect_timeout_ms = 300;
            }
            provider.max_retries = 1;
            provider.max_event_bytes = 100_000;
            let mut porch = Porch::open(&provider);
            let heard = porch.post(path, &body(path, true).to_string());
            let said = error(path, &heard);
            assert_eq!(
                (heard.status, said.contains(&format!("[{code}]"))),
                (status, true),
                "{shown}: {said}"
            );
            let outcomes = porch.close();
            let [Outcome::Failed { code: recorded, .. }] = &outcomes[..] else {
                panic!("{outcomes:?}")
            };
            assert_eq!(recorded, code);
        }
        // When it breaks off in the middle, the stream ends with an error of its protocol.
        for (answer, code) in [
            (Answer::StreamThenClose(vec![half.clone()]), "model.truncated"),
            (Answer::Stream(vec![half.clone()]), "model.truncated"),
            (Answer::StreamThenHang(vec![half.clone()]), "model.timeout"),
            (Answer::Stream(vec![half.clone(), b"\xff\n\n".to_vec()]), "model.malformed"),
        ] {
            let is_silent = matches!(answer, Answer::StreamThenHang(_));
            let server = Server::start(vec![answer]);
            let mut provider = config(kind, &server);
            if is_silent {
                provider.idle_timeout_ms = 1_000;
            }
            let porch = Porch::open(&provider);
            let heard = porch.post(path, &body(path, true).to_string());
            assert_eq!(heard.status, 200);
            let told = heard.text();
            assert!(told.as_bytes().starts_with(&half), "{told}");
            let last = told.trim_end().rsplit("\n\n").next().unwrap();
            let data = last.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            let data: Value = serde_json::from_str(data).unwrap();
            let message = data["error"]["message"].as_str().unwrap();
            assert!(message.contains(&format!("[{code}]")), "{message}");
        }
    }
}

#[test]
fn what_policy_forbids_is_not_sent_and_ends_the_session_in_the_end() {
    let server = Server::start(vec![good(ProviderKind::Anthropic)]);
    let gateway = || gateway(&[config(ProviderKind::Anthropic, &server)]);
    let deny = format!(
        "{ALLOW}@id(\"no-model\") @reason(\"not this model\") @hint(\"another\") forbid (principal, action == Action::\"model_call\", resource);"
    );
    let porch = Porch::with(gateway(), "p", &deny, |_| ());
    for _ in 0..3 {
        let heard = porch.post(MESSAGES, &body(MESSAGES, true).to_string());
        assert_eq!(heard.status, 403);
        assert!(error(MESSAGES, &heard).contains("not this model"), "{heard:?}");
    }
    assert!(porch.door.halt().is_cancelled());
    let Some(Shut::Limit { code, .. }) = porch.door.shut() else { panic!() };
    assert_eq!(code, "session.too_many_denials");
    let over = porch.post(MESSAGES, &body(MESSAGES, true).to_string());
    assert!(error(MESSAGES, &over).contains("[session.over]"));
    assert!(server.requests().is_empty());
    // The control: the same call under the policy without that rule.
    let porch = Porch::with(gateway(), "p", ALLOW, |_| ());
    assert_eq!(porch.post(MESSAGES, &body(MESSAGES, true).to_string()).status, 200);
}

#[test]
fn the_calls_of_a_session_are_limited() {
    let server = Server::start(vec![good(ProviderKind::Anthropic)]);
    let one = gateway(&[config(ProviderKind::Anthropic, &server)]);
    let porch = Porch::with(one, "p", ALLOW, |session| session.max_calls = 2);
    for status in [200, 200, 403] {
        assert_eq!(porch.post(MESSAGES, &body(MESSAGES, true).to_string()).status, status);
    }
    assert!(matches!(porch.door.shut(), Some(Shut::Limit { code: "session.too_many_steps", .. })));
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn nothing_is_sent_when_it_can_not_be_recorded() {
    let server = Server::start(vec![good(ProviderKind::Anthropic)]);
    let porch = Porch::open(&config(ProviderKind::Anthropic, &server));
    porch.book.full.store(true, std::sync::atomic::Ordering::SeqCst);
    let heard = porch.post(MESSAGES, &body(MESSAGES, true).to_string());
    assert_eq!(heard.status, 500);
    assert!(error(MESSAGES, &heard).contains("[ledger.unwritable]"));
    assert!(matches!(porch.door.shut(), Some(Shut::Ledger(_))));
    assert!(server.requests().is_empty());
}

fn priced(server: &Server) -> ProviderConfig {
    let mut provider = config(ProviderKind::Anthropic, server);
    provider.price = None;
    // A dollar for a token of the answer, nothing for the question.
    let price = toml::from_str("input = 0\noutput = 1000000").unwrap();
    provider.models.insert("the-model".to_owned(), price);
    provider
}

#[test]
fn parallel_calls_do_not_overrun_the_budget() {
    let server = Server::start(vec![good(ProviderKind::Anthropic)]);
    let mut porch = Porch::with(gateway(&[priced(&server)]), "p", ALLOW, |session| {
        session.max_denials = 1000;
        session.max_calls = 1000;
    });
    // Each may cost 4 dollars, and does: 20 dollars are enough for five.
    *porch.purse.0.lock().unwrap() = MicroUsd(20_000_000);
    let mut asked = body(MESSAGES, true);
    asked["max_tokens"] = json!(4);
    let asked = asked.to_string();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..60).map(|_| scope.spawn(|| porch.post(MESSAGES, &asked).status)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let answered = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(answered, 5, "{statuses:?}");
    assert_eq!(server.requests().len(), 5);
    assert_eq!(*porch.purse.0.lock().unwrap(), MicroUsd(0));
    porch.close();
}

#[test]
fn a_call_that_its_program_gave_up_is_paid_and_recorded() {
    let half = events(ProviderKind::Anthropic).as_bytes()[..200].to_vec();
    let server = Server::start(vec![Answer::StreamThenHang(vec![half])]);
    let mut porch = Porch::with(gateway(&[priced(&server)]), "p", ALLOW, |_| ());
    *porch.purse.0.lock().unwrap() = MicroUsd(20_000_000);
    let mut asked = body(MESSAGES, true);
    asked["max_tokens"] = json!(3);
    let asked = asked.to_string();
    let mut stream = porch.connect();
    write!(stream, "POST {MESSAGES} HTTP/1.1\r\nhost: d\r\nx-api-key: session-token\r\ncontent-length: {}\r\n\r\n{asked}", asked.len()).unwrap();
    let mut first = [0; 1];
    std::io::Read::read_exact(&mut stream, &mut first).unwrap();
    drop(stream);
    // The door is shut while the provider is still silent: the call has an outcome all the same.
    let outcomes = porch.close();
    let [Outcome::Failed { code, possibly_done, .. }] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert_eq!((code.as_str(), possibly_done), ("model.client_gone", &true));
    assert_eq!(*porch.purse.0.lock().unwrap(), MicroUsd(17_000_000));
}

#[test]
fn a_model_of_another_family_answers_in_the_clients_protocol() {
    for (path, server_kind) in [
        (MESSAGES, ProviderKind::Openai),
        (CHAT, ProviderKind::Anthropic),
        (RESPONSES, ProviderKind::Anthropic),
        // A compatible server that has no Responses API of its own.
        (RESPONSES, ProviderKind::Openai),
    ] {
        for stream in [false, true] {
            let server = Server::start(vec![good(server_kind)]);
            let mut porch = Porch::open(&config(server_kind, &server));
            let heard = porch.post(path, &body(path, stream).to_string());
            assert_eq!(heard.status, 200, "{heard:?}");
            assert!(heard.text().contains("Grüß 🦀"), "{}", heard.text());
            let kind = if stream { "text/event-stream" } else { "application/json" };
            assert_eq!(heard.header("content-type"), Some(kind));
            let outcomes = porch.close();
            assert!(matches!(&outcomes[..], [Outcome::Model { .. }]), "{outcomes:?}");
        }
    }
}
