//! The frame around every page.

use bailiwick_model::identity::Operation;
use maud::{DOCTYPE, Markup, html};

use super::visitor::Visitor;

/// The places in the bar, in order, each for those who may see it.
const PLACES: [(&str, &str, Operation); 7] = [
    ("/", "Home", Operation::TaskRead),
    ("/tasks", "Tasks", Operation::TaskRead),
    ("/changes", "Reviews", Operation::ChangeRead),
    ("/approvals", "Approvals", Operation::ApprovalRead),
    ("/policy", "Policy", Operation::PolicyRead),
    ("/audit", "Audit", Operation::LedgerRead),
    ("/platform", "Platform", Operation::RepoRead),
];

/// What a page says of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    /// Its title, without the product's name.
    pub(crate) title: String,
    /// The place in the bar it belongs to.
    pub(crate) place: &'static str,
    /// The JSON beside it.
    pub(crate) json: Option<String>,
    /// Whether it is a form or a text, and wants short lines.
    pub(crate) narrow: bool,
}

impl Page {
    pub(crate) fn new(place: &'static str, title: impl Into<String>) -> Self {
        Self { title: title.into(), place, json: None, narrow: false }
    }

    pub(crate) fn narrow(mut self) -> Self {
        self.narrow = true;
        self
    }

    pub(crate) fn json(mut self, path: impl Into<String>) -> Self {
        self.json = Some(path.into());
        self
    }
}

fn head(page: &Page) -> Markup {
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        meta name="referrer" content="same-origin";
        title { (page.title) " · Bailiwick" }
        link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
        link rel="stylesheet" href="/assets/tokens.css";
        link rel="stylesheet" href="/assets/app.css";
        @if let Some(json) = &page.json {
            link rel="alternate" type="application/json" href=(json);
        }
        script type="module" src="/assets/app.js" {}
    }
}

/// A whole page for somebody who is signed in.
pub(crate) fn page(page: &Page, visitor: &Visitor, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { (head(page)) }
            body {
                a.skip href="#main" { "To the content" }
                header.bar {
                    a.brand href="/" { "Bailiwick" }
                    nav aria-label="Places" {
                        ul {
                            @for (path, name, _) in PLACES.into_iter().filter(|(.., operation)| visitor.can(*operation)) {
                                li { a href=(path) aria-current=[(path == page.place).then_some("page")] { (name) } }
                            }
                        }
                    }
                    div.who {
                        @if visitor.can(Operation::TaskCreate) {
                            a.button.primary href="/tasks/new" { "New task" }
                        }
                        span { (visitor.person) }
                        form method="post" action="/sign-out" {
                            (visitor.csrf_field())
                            button.plain type="submit" { "Sign out" }
                        }
                    }
                }
                @if !visitor.frozen().is_empty() {
                    div.frozen role="status" { "Frozen: " (visitor.frozen().join(", ")) ". " a href="/platform" { "Why, and how to thaw it" } }
                }
                main #main .narrow[page.narrow] { (body) }
                footer {
                    "Times are yours; point at one for the exact one. "
                    @if let Some(json) = &page.json { a href=(json) { "This page as JSON" } ". " }
                    "Keys: " kbd { "?" }
                }
            }
        }
    }
}

/// A page for somebody who is not signed in.
pub(crate) fn outside(title: &str, body: &Markup) -> Markup {
    let page = Page::new("", title);
    html! {
        (DOCTYPE)
        html lang="en" {
            head { (head(&page)) }
            body {
                header.bar { a.brand href="/" { "Bailiwick" } }
                main #main .narrow { (body) }
            }
        }
    }
}
