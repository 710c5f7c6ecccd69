//! What is tried again, how often, and what is not.

use bailiwick_gateway::{Billing, FlatPrice, ModelError, ProviderConfig, ProviderKind};

use crate::ask::{BOTH, ask, ask_with, good, good_reply, request};
use crate::server::Answer;

fn status(status: u16) -> Answer {
    let body = r#"{"error": {"type": "t", "message": "in words"}}"#;
    Answer::Whole(status, &[], "application/json", body.into())
}

#[test]
fn passing_statuses_are_tried_again_until_they_pass() {
    for kind in BOTH {
        for code in [408, 409, 429, 500, 502, 503, 504, 529] {
            let (result, requests) =
                ask(kind, vec![status(code), status(code), good(kind)], |_| {});
            assert_eq!(result.unwrap().reply, good_reply(), "{code}");
            assert_eq!(requests, 3, "{code}");
        }
    }
}

#[test]
fn retries_end() {
    for (code, error_code, message) in [
        (
            429,
            "model.rate_limited",
            "provider `p` takes no more calls now (http 429, attempts: 3): in words",
        ),
        (
            529,
            "model.rate_limited",
            "provider `p` takes no more calls now (http 529, attempts: 3): in words",
        ),
        (503, "model.unavailable", "provider `p` failed (http 503, attempts: 3): in words"),
    ] {
        let (result, requests) = ask(ProviderKind::Openai, vec![status(code)], |_| {});
        let error = result.unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (error_code, message));
        assert_eq!(error.billing(), Billing::None);
        assert_eq!(requests, 3);
    }
}

#[test]
fn lasting_statuses_are_not_tried_again() {
    for (code, error_code, message) in [
        (400, "model.rejected", "provider `p` rejected the request (http 400): in words"),
        (401, "model.auth", "provider `p` refused the key (http 401): in words"),
        (403, "model.auth", "provider `p` refused the key (http 403): in words"),
        (404, "model.rejected", "provider `p` rejected the request (http 404): in words"),
        (413, "model.rejected", "provider `p` rejected the request (http 413): in words"),
        (307, "model.rejected", "provider `p` rejected the request (http 307): in words"),
        (501, "model.unavailable", "provider `p` failed (http 501, attempts: 1): in words"),
    ] {
        let kind = ProviderKind::Anthropic;
        let (result, requests) = ask(kind, vec![status(code), good(kind)], |_| {});
        let error = result.unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (error_code, message));
        assert_eq!(requests, 1, "{code}");
    }
}

#[test]
fn an_exhausted_account_is_not_tried_again() {
    let kind = ProviderKind::Openai;
    let body = r#"{"error": {"code": "insufficient_quota", "message": "no credit"}}"#;
    let answer = Answer::Whole(429, &[], "application/json", body.into());
    let (result, requests) = ask(kind, vec![answer, good(kind)], |_| {});
    assert_eq!(result.unwrap_err().code(), "model.rate_limited");
    assert_eq!(requests, 1);
}

#[test]
fn a_server_that_asks_for_a_long_wait_is_not_waited_for() {
    let kind = ProviderKind::Anthropic;
    let asks = |header| Answer::Whole(429, header, "application/json", "{}".into());
    let (result, requests) = ask(kind, vec![asks(&["retry-after: 3600"]), good(kind)], |_| {});
    let error = result.unwrap_err();
    assert!(matches!(error, ModelError::RateLimited { retry_after_ms: Some(3_600_000), .. }));
    assert_eq!(error.hint(), "retry the task in 3600 s, or raise the limit with the provider");
    assert_eq!(requests, 1);
    let (control, requests) = ask(kind, vec![asks(&["retry-after: 0"]), good(kind)], |_| {});
    assert_eq!(control.unwrap().reply, good_reply());
    assert_eq!(requests, 2);
}

#[test]
fn a_redirect_is_not_followed() {
    let answer = Answer::Whole(302, &["location: /v1/elsewhere"], "text/plain", "moved".into());
    let (result, requests) = ask(ProviderKind::Anthropic, vec![answer], |_| {});
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "provider `p` rejected the request (http 302): moved");
    assert!(error.hint().contains("redirects are not followed"));
    assert_eq!(requests, 1);
}

#[test]
fn a_closed_port_is_tried_again_and_then_named() {
    // Bound and dropped: nobody listens there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = ProviderConfig::new("p", ProviderKind::Openai);
    config.base_url = Some(format!("http://{address}"));
    config.price = Some(FlatPrice::Free);
    config.retry_pause_ms = 1;
    config.max_retries = 3;
    let error = ask_with(&config, request()).unwrap_err();
    assert_eq!(error.code(), "model.unreachable");
    assert_eq!(
        error.to_string(),
        format!("provider `p` can't be reached at {address} (attempts: 4)")
    );
    assert_eq!(error.billing(), Billing::None);
}
