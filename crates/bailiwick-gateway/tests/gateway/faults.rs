//! Replies that are none, over the wire. Each has the control beside it: the same call against a
//! good stream succeeds (`check` makes it).

use bailiwick_gateway::{Billing, ModelError, ProviderConfig, ProviderKind};
use bailiwick_model::outcome::EffectError as _;

use crate::ask::{
    BOTH, ask, ask_with, call, config, events, gateway, good, good_reply, on_runtime, perform,
    perform_denied, perform_without_key, request,
};
use crate::server::{Answer, Server};

fn no_change(_: &mut ProviderConfig) {}

fn check_with(
    kind: ProviderKind,
    fault: Answer,
    adjust: fn(&mut ProviderConfig),
    code: &str,
    message: &str,
) -> ModelError {
    let (control, _) = ask(kind, vec![good(kind)], adjust);
    assert_eq!(control.unwrap().reply, good_reply());
    // A retry would get the good answer: that it does not come shows that there was none.
    let (result, requests) = ask(kind, vec![fault, good(kind)], adjust);
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert_eq!(error.to_string(), message);
    assert!(!error.hint().is_empty());
    assert_eq!(requests, 1, "what may have been billed is not sent again");
    assert_ne!(error.billing(), Billing::None);
    assert!(error.possibly_done());
    assert!(message.contains("billed"));
    error
}

fn check(kind: ProviderKind, fault: Answer, code: &str, message: &str) {
    check_with(kind, fault, no_change, code, message);
}

fn first_half(kind: ProviderKind) -> Vec<Vec<u8>> {
    let text = events(kind);
    let end = text.find("Gr").unwrap();
    vec![text.as_bytes()[..end].to_vec()]
}

#[test]
fn a_stream_without_terminator_is_truncated() {
    for (kind, missing) in
        [(ProviderKind::Anthropic, "`message_stop`"), (ProviderKind::Openai, "`[DONE]`")]
    {
        check(
            kind,
            Answer::Stream(first_half(kind)),
            "model.truncated",
            &format!(
                "the reply of provider `p` broke off (possibly billed): the stream ended without {missing}"
            ),
        );
    }
}

#[test]
fn a_lost_connection_is_truncated() {
    for kind in BOTH {
        let bytes = first_half(kind)[0].len();
        check(
            kind,
            Answer::StreamThenClose(first_half(kind)),
            "model.truncated",
            &format!(
                "the reply of provider `p` broke off (possibly billed): the connection broke after {bytes} bytes: error decoding response body"
            ),
        );
    }
}

#[test]
fn a_server_that_stops_talking_is_timed_out() {
    fn quick(config: &mut ProviderConfig) {
        config.idle_timeout_ms = 300;
        config.connect_timeout_ms = 300;
    }
    for kind in BOTH {
        for fault in [Answer::Hang, Answer::StreamThenHang(first_half(kind))] {
            check_with(
                kind,
                fault,
                quick,
                "model.timeout",
                "provider `p`: waiting for the next byte took longer than 300 ms (possibly billed)",
            );
        }
    }
}

#[test]
fn a_server_that_never_ends_is_timed_out() {
    fn quick(config: &mut ProviderConfig) {
        config.call_timeout_ms = 500;
        config.max_reply_bytes = u64::MAX;
    }
    check_with(
        ProviderKind::Openai,
        Answer::Flood(b": still there\n\n".to_vec()),
        quick,
        "model.timeout",
        "provider `p`: the whole call took longer than 500 ms (possibly billed)",
    );
}

#[test]
fn a_flood_is_cut() {
    fn narrow(config: &mut ProviderConfig) {
        config.max_reply_bytes = 100_000;
        config.max_event_bytes = 10_000;
    }
    check_with(
        ProviderKind::Openai,
        Answer::Flood(b": small\n\n".to_vec()),
        narrow,
        "model.too_large",
        "the reply of provider `p` is too large (possibly billed): the stream is larger than 100000 bytes",
    );
    check_with(
        ProviderKind::Anthropic,
        Answer::Flood(b"data: endless line ".to_vec()),
        narrow,
        "model.too_large",
        "the reply of provider `p` is too large (possibly billed): an event is larger than 10000 bytes",
    );
}

#[test]
fn malformed_json_is_named() {
    check(
        ProviderKind::Openai,
        Answer::Stream(vec![b"data: {\"choices\": 7}\n\n".to_vec()]),
        "model.malformed",
        "the reply of provider `p` is malformed (possibly billed): an event can't be read: invalid type: integer `7`, expected a sequence at line 1 column 13",
    );
    check(
        ProviderKind::Anthropic,
        Answer::Stream(vec![b"data: \xff\n\n".to_vec()]),
        "model.malformed",
        "the reply of provider `p` is malformed (possibly billed): a line of the stream is not valid utf-8",
    );
}

#[test]
fn a_success_of_another_kind_is_named() {
    for kind in BOTH {
        check(
            kind,
            Answer::Whole(200, &[], "text/html", "<h1>Welcome</h1>".into()),
            "model.content_type",
            "provider `p` answered with content type `text/html` instead of `text/event-stream` (possibly billed)",
        );
        check(
            kind,
            Answer::Whole(
                200,
                &[],
                "application/json",
                r#"{"error": {"type": "invalid_thing", "message": "no such thing"}}"#.into(),
            ),
            "model.error_in_reply",
            "provider `p` reported `invalid_thing` inside its reply (possibly billed): no such thing",
        );
    }
}

#[test]
fn an_error_in_the_middle_of_a_stream_is_named() {
    for kind in BOTH {
        let mut pieces = first_half(kind);
        let cut = pieces[0].iter().rposition(|byte| *byte == b'\n').unwrap();
        pieces[0].truncate(cut + 1);
        pieces.push(
            b"data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n"
                .to_vec(),
        );
        check(
            kind,
            Answer::Stream(pieces),
            "model.error_in_reply",
            "provider `p` reported `overloaded_error` inside its reply (possibly billed): busy",
        );
    }
}

#[test]
fn an_empty_reply_is_named_and_counted() {
    let text = events(ProviderKind::Openai).replace("Grüß 🦀", "");
    let error = check_with(
        ProviderKind::Openai,
        Answer::Stream(vec![text.into_bytes()]),
        no_change,
        "model.empty",
        "provider `p` sent an empty reply (billed)",
    );
    assert_eq!(error.billing(), Billing::Reported(good_reply().usage));
}

#[test]
fn a_refusal_is_named_and_counted() {
    let text = events(ProviderKind::Anthropic).replace("end_turn", "refusal");
    let error = check_with(
        ProviderKind::Anthropic,
        Answer::Stream(vec![text.into_bytes()]),
        no_change,
        "model.refused",
        "the model of provider `p` declined to answer (billed): Grüß 🦀",
    );
    assert_eq!(error.billing(), Billing::Reported(good_reply().usage));
}

#[test]
fn a_connection_that_breaks_before_the_answer_is_not_sent_again() {
    for kind in BOTH {
        check(
            kind,
            Answer::Close,
            "model.connection_lost",
            "the connection to provider `p` broke before an answer came (possibly billed)",
        );
    }
}

#[test]
fn what_was_not_permitted_is_not_sent() {
    let server = Server::start(vec![good(ProviderKind::Openai)]);
    let gateway = gateway(&[config(ProviderKind::Openai, &server)]);
    let good = call("p", request());
    let mut other_request = good.clone();
    let mut changed = request();
    changed.max_output_tokens = 9;
    other_request.request = Some(std::sync::Arc::new(changed));
    let mut other_model = good.clone();
    other_model.model = "dearer".into();
    let mut none = good.clone();
    none.request = None;
    let mut no_question = request();
    no_question.messages.clear();
    let no_question = call("p", no_question);
    for (call, problem) in [
        (other_request, "the request is not the one that was recorded"),
        (other_model, "the request names another model than the permit"),
        (none, "the permit carries no request"),
        (no_question, "the last message is not the user's"),
    ] {
        let error = on_runtime(perform(&gateway, call)).unwrap_err();
        assert_eq!(error.code(), "model.unsendable");
        assert_eq!(error.to_string(), format!("the call to provider `p` can't be sent: {problem}"));
    }
    assert_eq!(server.requests().len(), 0);
    assert_eq!(on_runtime(perform(&gateway, good)).unwrap().reply, good_reply());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_denied_call_never_reaches_the_model() {
    let server = Server::start(vec![good(ProviderKind::Openai)]);
    let gateway = gateway(&[config(ProviderKind::Openai, &server)]);
    let rules = on_runtime(perform_denied(&gateway, call("p", request())));
    assert_eq!(rules, ["tests-do-not-ask"]);
    assert_eq!(server.requests().len(), 0);
    let control = on_runtime(perform(&gateway, call("p", request())));
    assert_eq!(control.unwrap().reply, good_reply());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn without_the_permitted_use_of_its_key_a_call_never_reaches_the_model() {
    let server = Server::start(vec![good(ProviderKind::Openai)]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, "sk-test-0123456789").unwrap();
    let mut config = config(ProviderKind::Openai, &server);
    config.api_key = Some(bailiwick_gateway::KeyRef::File(file));
    let gateway = gateway(&[config]);
    let rules = on_runtime(perform_without_key(&gateway, call("p", request())));
    assert_eq!(rules, "no-keys");
    assert_eq!(server.requests().len(), 0);
    let control = on_runtime(perform(&gateway, call("p", request())));
    assert_eq!(control.unwrap().reply, good_reply());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_unknown_provider_and_a_model_without_price_are_refused_before_anything_is_sent() {
    let server = Server::start(vec![good(ProviderKind::Openai)]);
    let mut config = config(ProviderKind::Openai, &server);
    config.price = None;
    let error = ask_with(&config, request()).unwrap_err();
    assert_eq!(error.code(), "model.unpriced");
    assert_eq!(error.to_string(), "model `test-model` of provider `p` has no price");
    let error = on_runtime(perform(&gateway(&[config.clone()]), call("q", request()))).unwrap_err();
    assert_eq!(error.code(), "model.unknown_provider");
    assert_eq!(error.to_string(), "no model provider `q` is configured (there are: `p`)");
    assert_eq!(server.requests().len(), 0);

    let priced = toml_price("input = 1000\noutput = 2000");
    config.models.insert("test-model".into(), priced);
    let answer = ask_with(&config, request()).unwrap();
    assert_eq!(answer.cost.0, 9 * 1000 + 4 * 2000);
    let estimate = gateway(&[config]).estimate("p", &request()).unwrap();
    assert_eq!(estimate.output_tokens, 100);
    assert!(estimate.cost > answer.cost, "an estimate is on the high side");
}

fn toml_price(text: &str) -> bailiwick_gateway::ModelPrice {
    toml::from_str(text).unwrap()
}
