//! Keys: found by reference, sent, and never shown.

use std::error::Error as _;

use bailiwick_gateway::{
    ConnectionCheck, KeyCheck, KeyRef, ModelError, ProviderConfig, ProviderKind,
};

use crate::ask::{BOTH, ask_with, config, gateway, good, on_runtime, request};
use crate::server::{Answer, Server};

const KEY: &str = "sk-secret-4bC9xQ7vT2mN8";

fn with_key(kind: ProviderKind, server: &Server) -> (ProviderConfig, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, format!("{KEY}\n")).unwrap();
    let mut config = config(kind, server);
    config.api_key = Some(KeyRef::File(path));
    (config, directory)
}

fn all_text(error: &ModelError) -> String {
    let mut text = format!("{error:?} {error} {}", error.hint());
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(" {cause:?} {cause}"));
        source = cause.source();
    }
    text
}

#[test]
fn a_server_that_echoes_the_key_does_not_get_it_into_an_error() {
    let json = |text: &str| text.replace("KEY", KEY);
    let stream = |text: &str| Answer::Stream(vec![json(text).into_bytes()]);
    for kind in BOTH {
        for answer in [
            Answer::Whole(401, &[], "application/json", json(r#"{"error":{"message":"bad KEY"}}"#)),
            Answer::Whole(400, &[], "text/plain", json("you sent authorization: Bearer KEY")),
            Answer::Whole(500, &[], "application/json", json(r#"{"error":"KEY"}"#)),
            Answer::Whole(429, &[], "application/json", json(r#"{"detail":"KEY"}"#)),
            Answer::Whole(
                200,
                &[],
                "application/json",
                json(r#"{"error":{"code":"KEY","message":"KEY"}}"#),
            ),
            Answer::Whole(200, &[], "text/KEY", String::new()),
            stream(
                "data: {\"type\":\"error\",\"error\":{\"type\":\"KEY\",\"message\":\"KEY\"}}\n\n",
            ),
            stream("data: {\"type\":\"KEY\",\"choices\":\"KEY\",\"message\":\"KEY\"}\n\n"),
            stream("data: \"KEY\"\n\n"),
        ] {
            let answer = match answer {
                Answer::Whole(status, headers, "text/KEY", body) => {
                    Answer::Whole(status, headers, "text/sk-secret-4bC9xQ7vT2mN8", body)
                }
                other => other,
            };
            let server = Server::start(vec![answer.clone()]);
            let (config, _directory) = with_key(kind, &server);
            let error = ask_with(&config, request()).unwrap_err();
            let requests = server.requests();
            let sent =
                requests[0].header("authorization").or_else(|| requests[0].header("x-api-key"));
            assert!(sent.unwrap().ends_with(KEY), "the control: the key was sent");
            let text = all_text(&error);
            assert!(!text.contains("sk-secret"), "{text} for {answer:?}");
            assert!(!text.contains("4bC9xQ7vT2mN8"), "{text} for {answer:?}");
        }
    }
}

#[test]
fn a_redacted_message_is_otherwise_whole() {
    let body = format!(r#"{{"error":{{"message":"key {KEY} is not known here"}}}}"#);
    let server = Server::start(vec![Answer::Whole(401, &[], "application/json", body)]);
    let (config, _directory) = with_key(ProviderKind::Openai, &server);
    let error = ask_with(&config, request()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "provider `p` refused the key (http 401): key [redacted] is not known here"
    );
}

#[test]
fn nothing_that_can_be_printed_holds_the_key() {
    let server = Server::start(vec![good(ProviderKind::Openai)]);
    let (config, _directory) = with_key(ProviderKind::Openai, &server);
    let gateway = gateway(&[config]);
    assert!(!format!("{gateway:?}").contains("sk-secret"));
    let check = on_runtime(gateway.check("p")).unwrap();
    assert_eq!(check.key, KeyCheck::Present);
    assert!(matches!(check.connection, ConnectionCheck::Reachable { .. }));
    assert!(check.is_usable());
    assert!(!serde_json::to_string(&check).unwrap().contains("sk-secret"));
    assert_eq!(server.requests().len(), 0, "a check sends no request");
}

#[test]
fn a_missing_key_is_an_error_of_the_call_and_of_the_check() {
    let server = Server::start(vec![good(ProviderKind::Anthropic)]);
    let mut config = config(ProviderKind::Anthropic, &server);
    config.api_key = Some(KeyRef::Env("BAILIWICK_TEST_KEY_THAT_IS_NOT_SET".into()));
    let error = ask_with(&config, request()).unwrap_err();
    assert_eq!(error.code(), "model.auth");
    assert_eq!(
        error.to_string(),
        "the key of provider `p` is missing: environment variable `BAILIWICK_TEST_KEY_THAT_IS_NOT_SET` is not set"
    );
    let checks = on_runtime(gateway(&[config]).doctor());
    assert!(!checks[0].is_usable());
    assert!(matches!(checks[0].key, KeyCheck::Missing { .. }));
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_key_written_into_the_configuration_is_rejected() {
    let parse = |key: &str| {
        toml::from_str::<ProviderConfig>(&format!("name = 'p'\nkind = 'openai'\napi_key = {key}"))
    };
    assert!(parse("{ env = 'KEY' }").is_ok());
    assert!(parse("{ file = '/k' }").is_ok());
    assert!(parse("'sk-inline'").is_err());
    assert!(parse("{ value = 'sk-inline' }").is_err());
    assert!(toml::from_str::<ProviderConfig>("name = 'p'\nkind = 'openai'\ncolour = 1").is_err());
}

#[test]
fn an_unreachable_server_is_reported_by_the_check() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = ProviderConfig::new("p", ProviderKind::Openai);
    config.base_url = Some(format!("http://{address}"));
    let check = on_runtime(gateway(&[config]).check("p")).unwrap();
    let ConnectionCheck::Unreachable { address: shown, problem } = check.connection else {
        panic!("{check:?}");
    };
    assert_eq!(shown, address.to_string());
    assert!(problem.contains("refused"), "{problem}");
}
