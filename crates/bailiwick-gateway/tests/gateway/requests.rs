//! What goes out: one request in the golden form of each family.

use bailiwick_gateway::{KeyRef, OutputLimitField, ProviderKind};
use serde_json::{Value, json};

use crate::ask::{BOTH, ask_with, config, full_request, good, good_reply, request};
use crate::golden;
use crate::server::Server;

fn sent(kind: ProviderKind) -> Value {
    let server = Server::start(vec![good(kind)]);
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    std::fs::write(&key, "sk-test-0123456789\n").unwrap();
    let mut config = config(kind, &server);
    config.api_key = Some(KeyRef::File(key));
    let answer = ask_with(&config, full_request()).unwrap();
    assert_eq!(answer.reply, good_reply());
    let requests = server.requests();
    let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    let header = |name| request.header(name);
    json!({
        "line": request.head.lines().next(),
        "accept": header("accept"),
        "content-type": header("content-type"),
        "anthropic-version": header("anthropic-version"),
        "authorization": header("authorization"),
        "x-api-key": header("x-api-key"),
        "body": request.body,
    })
}

#[test]
fn a_full_request_in_the_messages_format() {
    golden::check("golden/anthropic.json", &sent(ProviderKind::Anthropic));
}

#[test]
fn a_full_request_in_the_chat_completions_format() {
    golden::check("golden/openai.json", &sent(ProviderKind::Openai));
}

#[test]
fn no_key_is_sent_where_none_is_configured() {
    for kind in BOTH {
        let server = Server::start(vec![good(kind)]);
        ask_with(&config(kind, &server), request()).unwrap();
        let requests = server.requests();
        assert_eq!(requests[0].header("authorization"), None);
        assert_eq!(requests[0].header("x-api-key"), None);
    }
}

#[test]
fn the_name_of_the_output_limit_can_be_chosen() {
    let server = Server::start(vec![good(ProviderKind::Openai)]);
    let mut config = config(ProviderKind::Openai, &server);
    ask_with(&config, request()).unwrap();
    config.output_limit_field = Some(OutputLimitField::MaxCompletionTokens);
    ask_with(&config, request()).unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].body["max_tokens"], 100);
    assert_eq!(requests[1].body["max_tokens"], Value::Null);
    assert_eq!(requests[1].body["max_completion_tokens"], 100);
}

#[test]
fn a_configured_proxy_is_used() {
    let server = Server::start(vec![good(ProviderKind::Openai)]);
    let mut config = config(ProviderKind::Openai, &server);
    config.proxy = Some(server.url());
    config.base_url = Some("http://model.invalid/v1".into());
    assert_eq!(ask_with(&config, request()).unwrap().reply, good_reply());
    let head = server.requests()[0].head.clone();
    assert!(head.starts_with("POST http://model.invalid/v1/chat/completions "), "{head}");
}
