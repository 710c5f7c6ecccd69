//! Who looks at a page: the person behind a browser session.

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use bailiwick_model::Timestamp;
use bailiwick_model::id::Person;
use bailiwick_model::identity::{Caller, Operation};
use maud::{Markup, html};

use super::failure::Failure;
use super::sessions::Known;
use crate::api::{Shared, named, refuse};
use crate::identity::{self, Refused};
use crate::readable;

/// The cookie that holds a browser session's token.
const COOKIE: &str = "bailiwick_session";

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// Who.
    pub(crate) person: Person,
    /// The same with roles and groups, as the API knows them.
    caller: Caller,
    frozen: Vec<String>,
    /// What a form has to carry, so that no other site can send it.
    csrf: String,
}

impl Visitor {
    /// The hidden field of every form.
    pub(crate) fn csrf_field(&self) -> Markup {
        html! { input type="hidden" name="csrf" value=(self.csrf); }
    }

    /// Who they are to the platform.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What is frozen, in words: every page says so.
    pub(crate) fn frozen(&self) -> &[String] {
        &self.frozen
    }

    /// Whether their roles and scopes allow something: what is not allowed is not offered.
    pub(crate) fn can(&self, operation: Operation) -> bool {
        self.caller.check(operation).is_ok()
    }

    /// Refuses a form that did not come from one of our pages.
    pub(crate) fn check(&self, csrf: &str) -> Result<(), Failure> {
        let same = csrf.len() == self.csrf.len()
            && csrf.bytes().zip(self.csrf.bytes()).fold(0, |seen, (a, b)| seen | (a ^ b)) == 0;
        if same { Ok(()) } else { Err(Failure::forged()) }
    }
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Response> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            let wants_page = parts
                .headers
                .get(header::ACCEPT)
                .and_then(|accept| accept.to_str().ok())
                .is_some_and(|accept| accept.contains("text/html"));
            if parts.method == Method::GET && !wants_page {
                refuse(Refused::Malformed)
            } else if parts.method == Method::GET {
                Redirect::to(&format!("/sign-in?next={}", next_of(&parts.uri))).into_response()
            } else {
                Failure::signed_out().into_response()
            }
        })
    }
}

/// The page that was asked for, to come back to after signing in; only ever one of ours.
fn next_of(uri: &Uri) -> String {
    let path = uri.path_and_query().map_or("/", |whole| whole.as_str());
    path.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// The token that a browser presents.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).find_map(
        |cookies| {
            cookies.split(';').find_map(|cookie| {
                let (name, value) = cookie.trim().split_once('=')?;
                (name == COOKIE).then_some(value)
            })
        },
    )
}

/// The header that gives a browser its token, or takes it away.
///
/// `SameSite=Lax`: a link from chat or mail finds the reader signed in; forms carry a token of
/// their own. `Secure` only behind TLS: on a laptop the server speaks plain HTTP on loopback.
pub(crate) fn cookie(token: Option<&str>, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let text = match token {
        Some(token) => {
            format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age=604800{secure}")
        }
        None => format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{secure}"),
    };
    HeaderValue::from_str(&text).ok()
}

/// Whether the browser reached us through TLS, by what the proxy in front of us says.
pub(crate) fn is_secure(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes() == b"https")
}

/// Finds out who is there, refuses forms that other sites send, and adds the headers that every
/// page has.
pub(crate) async fn recognise(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let secure = is_secure(headers);
    if request.method() != Method::GET && request.method() != Method::HEAD && is_foreign(headers) {
        return Failure::forged().into_response();
    }
    let known = session(&shared, headers);
    let mut fresh = None;
    if let Some(known) = known {
        let store = &shared.engine.parts().store;
        // A proof that ended meanwhile is a session that ended.
        if let Ok(caller) = identity::seated(store, &known.person, known.proof) {
            if let Err(failure) = may(&caller, &request) {
                let mut response = failure.into_response();
                guard(response.headers_mut());
                return response;
            }
            let (mut parts, body) = request.into_parts();
            // The audit is for those who read everything.
            let divided = !parts.uri.path().starts_with("/audit");
            let params = if divided { named(&mut parts).await } else { Vec::new() };
            let looked = readable::look(&shared.engine, &caller.person, &params).await;
            request = Request::from_parts(parts, body);
            if let Err(denial) = looked {
                let denied =
                    Failure::new(StatusCode::FORBIDDEN, &denial.code, &denial.reason, &denial.hint);
                let mut response = denied.into_response();
                guard(response.headers_mut());
                return response;
            }
            fresh = known.fresh;
            let frozen = store.people(|people| {
                let whole = people.freezes.in_force.values();
                // A paused task is nobody's matter but its own page's.
                let whole = whole.filter(|freeze| freeze.frozen.task().is_none());
                whole.map(|freeze| freeze.frozen.to_string()).collect()
            });
            let visitor =
                Visitor { person: caller.person.clone(), caller, frozen, csrf: known.csrf };
            request.extensions_mut().insert(visitor);
        }
    }
    let mut response = next.run(request).await;
    if let Some(value) = fresh.and_then(|token| cookie(Some(&token), secure)) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    guard(response.headers_mut());
    response
}

/// The browser session that a request carries.
pub(crate) fn session(shared: &Shared, headers: &HeaderMap) -> Option<Known> {
    token(headers).and_then(|token| shared.sessions.find(token, Timestamp::now()))
}

/// What each page is, in the one table of operations. A page that is not here is for everybody
/// who is signed in or not: signing in, the files that pages load, reports of browsers.
const PAGES: &[(&str, &str, Operation)] = &[
    ("GET", "/", Operation::TaskRead),
    ("GET", "/tasks", Operation::TaskRead),
    ("GET", "/tasks/new", Operation::TaskCreate),
    ("POST", "/tasks/new", Operation::TaskCreate),
    ("GET", "/tasks/{task}", Operation::TaskRead),
    ("GET", "/tasks/{task}/live", Operation::TaskRead),
    ("POST", "/tasks/{task}/cancel", Operation::TaskControl),
    ("POST", "/tasks/{task}/retry", Operation::TaskControl),
    ("POST", "/tasks/{task}/steer", Operation::TaskControl),
    ("POST", "/tasks/{task}/pause", Operation::TaskControl),
    ("POST", "/tasks/{task}/resume", Operation::TaskControl),
    ("GET", "/parts/steps/{seq}", Operation::TaskRead),
    ("GET", "/changes", Operation::ChangeRead),
    ("GET", "/changes/{repo}/{number}", Operation::ChangeRead),
    ("GET", "/changes/{repo}/{number}/since", Operation::ChangeRead),
    ("POST", "/changes/{repo}/{number}/comments", Operation::ChangeReview),
    ("POST", "/changes/{repo}/{number}/comments/{comment}/state", Operation::ChangeReview),
    ("POST", "/changes/{repo}/{number}/review", Operation::ChangeReview),
    ("POST", "/changes/{repo}/{number}/merge", Operation::ChangeMerge),
    ("GET", "/approvals", Operation::ApprovalRead),
    ("GET", "/approvals/{approval}", Operation::ApprovalRead),
    ("POST", "/approvals/{approval}/answer", Operation::ApprovalAnswer),
    ("POST", "/freezes", Operation::Freeze),
    ("POST", "/freezes/{freeze}/thaw", Operation::Thaw),
    ("GET", "/policy", Operation::PolicyRead),
    ("GET", "/audit", Operation::LedgerRead),
    ("GET", "/audit/{seq}", Operation::LedgerRead),
    ("GET", "/audit/{seq}/proof", Operation::LedgerRead),
    ("GET", "/platform", Operation::RepoRead),
    ("POST", "/sign-out", Operation::WhoAmI),
];

/// Pages for everybody.
const OPEN: [&str; 3] = ["/sign-in", "/assets/{file}", "/csp-reports"];

/// Refuses a page that the visitor's roles, or the scopes of their token, do not allow.
fn may(caller: &Caller, request: &Request) -> Result<(), Failure> {
    let Some(path) = request.extensions().get::<MatchedPath>() else { return Ok(()) };
    if OPEN.contains(&path.as_str()) {
        return Ok(());
    }
    let method = if request.method() == Method::HEAD { "GET" } else { request.method().as_str() };
    let row = PAGES.iter().find(|(verb, page, _)| *verb == method && *page == path.as_str());
    let operation = row.map(|row| row.2).ok_or_else(|| {
        Failure::new(
            StatusCode::FORBIDDEN,
            "identity.operation_unknown",
            "nothing says who may use this page, so nobody may",
            "this is a fault of the program: the page lacks its line in the table of operations",
        )
    })?;
    caller.check(operation).map(drop).map_err(|refused| {
        Failure::new(StatusCode::FORBIDDEN, refused.code, &refused.message, &refused.hint)
    })
}

/// Whether a browser says that another site sends this.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) => {
            origin.split_once("://").is_none_or(|(_, authority)| authority != host)
        }
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// What a page may load and do: our own files, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
     report-uri /csp-reports";

fn guard(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
