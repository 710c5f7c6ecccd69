//! A visitor without scripts: pages, links and forms over plain HTTP.

use crate::harness::http::{self, Answer};
use crate::harness::{Serve, Site};

/// Somebody with a browser that runs no scripts.
pub(super) struct Visit<'a> {
    serve: &'a Serve,
    pub(super) cookie: String,
}

impl<'a> Visit<'a> {
    /// Signs in with the link that the server printed.
    pub(super) fn sign_in(serve: &'a Serve) -> Self {
        Self::with_link(serve, &serve.sign_in)
    }

    /// Signs in with another link.
    pub(super) fn with_link(serve: &'a Serve, link: &str) -> Self {
        let code = link.split_once("code=").unwrap().1;
        let mut visit = Self { serve, cookie: String::new() };
        let answer = visit.post("/sign-in", &[("code", code), ("next", "/tasks")]);
        answer.expect(303);
        assert_eq!(answer.header("location"), Some("/tasks"));
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        visit.cookie = cookie.split(';').next().unwrap().to_owned();
        visit
    }

    fn headers(&self, more: &[String]) -> Vec<String> {
        let mut headers = vec!["accept: text/html".to_owned(), format!("cookie: {}", self.cookie)];
        headers.extend_from_slice(more);
        headers
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        http::send(&self.serve.address, "GET", path, &self.headers(&[]), b"")
    }

    /// The text of a page.
    #[track_caller]
    pub(super) fn page(&self, path: &str) -> String {
        String::from_utf8(self.get(path).expect(200).body.clone()).unwrap()
    }

    pub(super) fn post_with(&self, path: &str, fields: &[(&str, &str)], more: &[String]) -> Answer {
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let mut headers = self.headers(more);
        headers.push("content-type: application/x-www-form-urlencoded".to_owned());
        http::send(&self.serve.address, "POST", path, &headers, body.join("&").as_bytes())
    }

    pub(super) fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_with(path, fields, &[format!("origin: http://{}", self.serve.address)])
    }

    /// Waits until a page says something; a page that never does fails by the stream's time-out.
    pub(super) fn until(&self, task: &str, event: &str) {
        self.serve.events(task).until(event);
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// The value of a hidden field.
#[track_caller]
pub(super) fn field(page: &str, name: &str) -> String {
    let after = page
        .split(&format!("name=\"{name}\" value=\""))
        .nth(1)
        .unwrap_or_else(|| panic!("no field {name}"));
    after.split('"').next().unwrap().to_owned()
}

/// Gives the site's task by the form, and gives its id.
pub(super) fn give_task(site: &Site, visit: &Visit<'_>) -> String {
    give_task_that_says(site, visit, &site.generated.task)
}

/// Gives a task with a text of its own by the form, and gives its id.
pub(super) fn give_task_that_says(site: &Site, visit: &Visit<'_>, text: &str) -> String {
    let form = visit.page("/tasks/new");
    let csrf = field(&form, "csrf");
    let answer = visit.post(
        "/tasks/new",
        &[
            ("csrf", csrf.as_str()),
            ("text", text),
            ("repo", site.generated.name.as_str()),
            ("budget", "1"),
            ("route", "from-file"),
        ],
    );
    answer.expect(303);
    answer.header("location").unwrap().strip_prefix("/tasks/").unwrap().to_owned()
}
