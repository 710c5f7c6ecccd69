//! Who asks, and whether they may: every route has an operation in one table, and every operation
//! its roles ([`Operation::roles`]).

use axum::extract::{FromRequestParts as _, MatchedPath, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bailiwick_engine::EngineError;
use bailiwick_model::identity::{Caller, Operation, Proof};
use base64::Engine as _;

use super::Shared;
use super::error::ApiError;
use crate::identity::{self, Refused};
use crate::readable;
use crate::web;

/// What each route is. A route that is not here is refused to everybody.
pub(super) const ROUTES: &[(&str, &str, Operation)] = &[
    ("GET", "/api/v1/whoami", Operation::WhoAmI),
    ("GET", "/api/v1/tasks", Operation::TaskRead),
    ("POST", "/api/v1/tasks", Operation::TaskCreate),
    ("GET", "/api/v1/tasks/{task}", Operation::TaskRead),
    ("GET", "/api/v1/tasks/{task}/events", Operation::TaskRead),
    ("POST", "/api/v1/tasks/{task}/cancel", Operation::TaskControl),
    ("POST", "/api/v1/tasks/{task}/retry", Operation::TaskControl),
    ("POST", "/api/v1/tasks/{task}/messages", Operation::TaskControl),
    ("POST", "/api/v1/tasks/{task}/pause", Operation::TaskControl),
    ("POST", "/api/v1/tasks/{task}/resume", Operation::TaskControl),
    ("POST", "/api/v1/tasks/{task}/raise", Operation::TaskRaise),
    ("GET", "/api/v1/repositories", Operation::RepoRead),
    ("POST", "/api/v1/repositories", Operation::RepoImport),
    ("GET", "/api/v1/repositories/{repo}/pulls", Operation::ChangeRead),
    ("GET", "/api/v1/repositories/{repo}/pulls/{number}", Operation::ChangeRead),
    ("POST", "/api/v1/repositories/{repo}/pulls/{number}/reviews", Operation::ChangeReview),
    ("POST", "/api/v1/repositories/{repo}/pulls/{number}/comments", Operation::ChangeReview),
    (
        "POST",
        "/api/v1/repositories/{repo}/pulls/{number}/comments/{comment}/state",
        Operation::ChangeReview,
    ),
    ("GET", "/api/v1/repositories/{repo}/pulls/{number}/since-review", Operation::ChangeRead),
    ("POST", "/api/v1/repositories/{repo}/pulls/{number}/merge", Operation::ChangeMerge),
    ("GET", "/api/v1/risk/calibration", Operation::ChangeRead),
    ("GET", "/api/v1/ledger", Operation::LedgerRead),
    ("POST", "/api/v1/sign-in-links", Operation::WhoAmI),
    ("GET", "/api/v1/policy", Operation::PolicyRead),
    ("GET", "/api/v1/approvals", Operation::ApprovalRead),
    ("GET", "/api/v1/approvals/events", Operation::ApprovalRead),
    ("GET", "/api/v1/approvals/{approval}", Operation::ApprovalRead),
    ("POST", "/api/v1/approvals/{approval}/answer", Operation::ApprovalAnswer),
    ("POST", "/api/v1/delegations", Operation::Delegate),
    ("GET", "/api/v1/freezes", Operation::FreezeRead),
    ("POST", "/api/v1/freezes", Operation::Freeze),
    ("POST", "/api/v1/freezes/{freeze}/thaw", Operation::Thaw),
    ("GET", "/api/v1/emergencies", Operation::BreakGlassRead),
    ("POST", "/api/v1/emergencies", Operation::BreakGlass),
    ("POST", "/api/v1/emergencies/{emergency}/confirm", Operation::BreakGlass),
    ("POST", "/api/v1/emergencies/{emergency}/end", Operation::BreakGlass),
    ("GET", "/api/v1/events", Operation::EventsRead),
    ("GET", "/api/v1/identity", Operation::IdentityRead),
    ("POST", "/api/v1/identity/changes", Operation::IdentityWrite),
    ("GET", "/api/v1/tokens", Operation::OwnTokens),
    ("POST", "/api/v1/tokens", Operation::OwnTokens),
    ("POST", "/api/v1/tokens/{token}/revoke", Operation::OwnTokens),
    ("GET", "/git/{repo}/info/refs", Operation::GitFetch),
    ("POST", "/git/{repo}/git-upload-pack", Operation::GitFetch),
    ("POST", "/git/{repo}/git-receive-pack", Operation::GitPush),
];

fn operation_of(method: &Method, path: &str) -> Option<Operation> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    ROUTES.iter().find(|(verb, route, _)| *verb == method && *route == path).map(|row| row.2)
}

/// Lets a request through whose caller is known and may do what it asks for. The handlers find the
/// [`Caller`] among the request's extensions.
pub(super) async fn require_caller(
    State(shared): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    let caller = match caller(&shared, request.method(), request.headers()) {
        Ok(caller) => caller,
        Err(refused) => return refuse(refused),
    };
    // Without a matched route there is nothing but the answer that there is nothing.
    if let Some(path) = request.extensions().get::<MatchedPath>() {
        let Some(operation) = operation_of(request.method(), path.as_str()) else {
            return unknown(request.method(), path.as_str()).into_response();
        };
        if let Err(refused) = caller.check(operation) {
            return ApiError::new(
                StatusCode::FORBIDDEN,
                refused.code,
                &refused.message,
                &refused.hint,
            )
            .into_response();
        }
    }
    let (mut parts, body) = request.into_parts();
    let params = named(&mut parts).await;
    if let Err(denial) = readable::look(&shared.engine, &caller.person, &params).await {
        return ApiError::from(EngineError::refused(denial)).into_response();
    }
    parts.extensions.insert(caller);
    next.run(Request::from_parts(parts, body)).await
}

/// The named parts of a request's address.
pub(crate) async fn named(parts: &mut axum::http::request::Parts) -> Vec<(String, String)> {
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let pairs = params.iter().flatten().map(|(name, value)| (name.to_owned(), value.to_owned()));
    pairs.collect()
}

fn unknown(method: &Method, path: &str) -> ApiError {
    let known = ROUTES.iter().any(|(_, route, _)| *route == path);
    if known {
        return ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "http.method",
            &format!("`{method}` is not for this address"),
            "docs/api.md lists what there is",
        );
    }
    ApiError::new(
        StatusCode::FORBIDDEN,
        "identity.operation_unknown",
        "nothing says who may use this address, so nobody may",
        "this is a fault of the program: the route lacks its line in the table of operations",
    )
}

pub(crate) fn refuse(refused: Refused) -> Response {
    let error =
        ApiError::new(StatusCode::UNAUTHORIZED, refused.code(), refused.message(), refused.hint());
    let mut response = error.into_response();
    response.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Basic realm=\"bailiwick\", Bearer"),
    );
    response
}

/// Who asks: by a token, or for reading by a browser session, so that each page's JSON is a click
/// away. A session never changes anything here: a form on another site could send its cookie.
fn caller(shared: &Shared, method: &Method, headers: &HeaderMap) -> Result<Caller, Refused> {
    let store = &shared.engine.parts().store;
    let Some(token) = presented(headers) else {
        let reads = method == Method::GET || method == Method::HEAD;
        let known = web::session(shared, headers).filter(|_| reads).ok_or(Refused::Malformed)?;
        return identity::seated(store, &known.person, known.proof);
    };
    if same(token.as_bytes(), shared.token.as_bytes()) {
        return identity::holder(store, &shared.person, Proof::Owner);
    }
    identity::authenticate(store, &token)
}

fn presented(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        return text.split_once(':').map(|(_, password)| password.to_owned());
    }
    None
}

/// Compares without telling by its time how much is right.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |seen, (a, b)| seen | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the end-to-end test asks for in each role; a route that is not in it is not tested.
    const TABLE: &str = include_str!("../../tests/end_to_end/roles.toml");

    #[test]
    fn every_route_stands_in_the_table_that_is_tested_with_the_roles_it_has() {
        let table: toml::Table = TABLE.parse().unwrap();
        let mut tested: Vec<(String, String, Vec<String>)> = table["route"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let text = |key: &str| row[key].as_str().unwrap().to_owned();
                let roles = row["roles"].as_array().unwrap();
                let roles = roles.iter().map(|role| role.as_str().unwrap().to_owned()).collect();
                (text("method"), text("route"), roles)
            })
            .collect();
        let mut known: Vec<(String, String, Vec<String>)> = ROUTES
            .iter()
            .map(|(method, route, operation)| {
                let roles = operation.roles().iter().map(|role| role.name().to_owned()).collect();
                ((*method).to_owned(), (*route).to_owned(), roles)
            })
            .collect();
        tested.sort();
        known.sort();
        assert_eq!(tested, known);
    }
}
