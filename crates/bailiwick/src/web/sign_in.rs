//! Signing in with a one-time link, and out.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use bailiwick_model::Timestamp;
use maud::html;
use serde::Deserialize;

use super::extract::{Form, Query};
use super::failure::Failure;
use super::layout;
use super::visitor::{self, Visitor};
use crate::api::Shared;

#[derive(Deserialize)]
pub(super) struct SignInParams {
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

/// A path of ours, or the home page: never a way to another site.
fn local(next: &str) -> &str {
    let ours =
        next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\n', '\r']);
    if ours { next } else { "/" }
}

/// A page with a button. The link itself does not sign in: whatever previews links would use it up.
pub(super) async fn show(
    State(shared): State<Shared>,
    Query(params): Query<SignInParams>,
) -> Response {
    let good = shared.sessions.is_good(&params.code, Timestamp::now());
    let body = html! {
        h1 { "Sign in" }
        @if good {
            p { "This link signs you in on this browser. It works once." }
            form method="post" action="/sign-in" {
                input type="hidden" name="code" value=(params.code);
                input type="hidden" name="next" value=(local(&params.next));
                div.actions { button.primary type="submit" autofocus { "Sign in" } }
            }
        } @else {
            @if !params.code.is_empty() {
                div.note.bad { p { "This link was used already, or it is older than fifteen minutes." } }
            }
            p { "On the machine where Bailiwick runs, ask for a link and open it here:" }
            pre.log { "bailiwick sign-in" }
            p.quiet { "Whoever can use the data directory or an API token can make one. It works once, for fifteen minutes." }
        }
    };
    let status =
        if good || params.code.is_empty() { StatusCode::OK } else { StatusCode::FORBIDDEN };
    (status, Html(layout::outside("Sign in", &body).into_string())).into_response()
}

pub(super) async fn sign_in(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Form(params): Form<SignInParams>,
) -> Result<Response, Failure> {
    let token = shared.sessions.redeem(&params.code, Timestamp::now())?.ok_or_else(|| {
        Failure::new(
            StatusCode::FORBIDDEN,
            "web.link_used",
            "this link was used already, or it is older than fifteen minutes",
            "ask for another one with `bailiwick sign-in`",
        )
    })?;
    let mut response = Redirect::to(local(&params.next)).into_response();
    if let Some(value) = visitor::cookie(Some(&token), visitor::is_secure(&headers)) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(response)
}

#[derive(Deserialize)]
pub(super) struct SignOutParams {
    csrf: String,
    #[serde(default)]
    everywhere: Option<String>,
}

pub(super) async fn sign_out(
    State(shared): State<Shared>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(params): Form<SignOutParams>,
) -> Result<Response, Failure> {
    visitor.check(&params.csrf)?;
    if let Some(token) = visitor::token(&headers) {
        shared.sessions.end(token, params.everywhere.is_some(), Timestamp::now())?;
    }
    let mut response = Redirect::to("/sign-in").into_response();
    if let Some(value) = visitor::cookie(None, visitor::is_secure(&headers)) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(response)
}
