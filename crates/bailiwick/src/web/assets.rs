//! The files that pages load, embedded in the program.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bailiwick_model::payload::Digest;

const FILES: [(&str, &str, &str); 6] = [
    ("tokens.css", "text/css; charset=utf-8", include_str!("../../assets/tokens.css")),
    ("app.css", "text/css; charset=utf-8", include_str!("../../assets/app.css")),
    ("app.js", "text/javascript; charset=utf-8", include_str!("../../assets/app.js")),
    ("trace.js", "text/javascript; charset=utf-8", include_str!("../../assets/trace.js")),
    ("review.js", "text/javascript; charset=utf-8", include_str!("../../assets/review.js")),
    ("proof.js", "text/javascript; charset=utf-8", include_str!("../../assets/proof.js")),
];

const ICON: &str = include_str!("../../assets/icon.svg");

/// `GET /assets/{file}`.
pub(super) async fn show(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let icon = ("icon.svg", "image/svg+xml", ICON);
    let Some((_, kind, text)) = FILES.into_iter().chain([icon]).find(|(file, ..)| *file == name)
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{}\"", Digest::of(text.as_bytes()));
    let known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response =
        if known { StatusCode::NOT_MODIFIED.into_response() } else { text.into_response() };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::FILES;

    #[test]
    fn the_scripts_stay_small() {
        let bytes: usize = FILES
            .iter()
            .filter(|(name, ..)| name.ends_with(".js"))
            .map(|(.., text)| text.len())
            .sum();
        assert!(bytes < 60_000, "{bytes} bytes of scripts");
    }
}
