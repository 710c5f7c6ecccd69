//! Saying something to an agent at work, pausing its task, and letting it go on: across a server
//! that is killed in the middle.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};

use super::visit::{Visit, field, give_task};
use crate::harness::{ModelServer, Seed, Site, generate, wait};

/// Holds the implementor's second model call until it is let through.
pub(super) struct Gate {
    open: Arc<(Mutex<bool>, Condvar)>,
    reached: Receiver<()>,
}

impl Gate {
    pub(super) fn wait(&self) {
        self.reached.recv().unwrap();
    }

    pub(super) fn open(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }
}

/// A site whose implementor is held in its second model call.
pub(super) fn held_site() -> (Site, ModelServer, Gate) {
    let generated = generate::shell(&mut Seed::new());
    let scenario = generated.scenario.clone();
    let open = Arc::new((Mutex::new(false), Condvar::new()));
    let (sender, reached) = channel();
    let (held, sender) = (Arc::clone(&open), Mutex::new(sender));
    let (site, server) = Site::with_model(generated, move |asked| {
        if asked.role == "implementor" && asked.turns == 1 {
            sender.lock().unwrap().send(()).unwrap_or_default();
            let mut is_open = held.0.lock().unwrap();
            while !*is_open {
                is_open = held.1.wait(is_open).unwrap();
            }
        }
        scenario.answer(asked)
    });
    (site, server, Gate { open, reached })
}

#[test]
fn what_is_said_to_an_agent_is_heard_once_though_the_server_is_killed() {
    let (site, server, gate) = held_site();
    let serve = site.serve();
    site.import(&serve);
    let visit = Visit::sign_in(&serve);
    let id = give_task(&site, &visit);
    gate.wait();
    let page = visit.page(&format!("/tasks/{id}"));
    let csrf = field(&page, "csrf");
    let steer = format!("/tasks/{id}/steer");
    visit.post(&steer, &[("csrf", ""), ("text", "forged")]).expect(403);
    visit.post(&steer, &[("csrf", &csrf), ("text", " ")]).expect(409);
    let wrong = json!({"text": "x", "subtask": "nowhere"});
    let refused = serve.api("POST", &format!("/tasks/{id}/messages"), &wrong);
    assert_eq!(refused.expect(409).json()["error"]["code"], "steer.subtask");
    visit.post(&steer, &[("csrf", &csrf), ("text", "mind the <i>leap years</i>")]).expect(303);
    site.bench.bailiwick(&["task", "steer", &id, "-m", "and be brief"]).expect(0);
    assert!(visit.page(&format!("/tasks/{id}")).contains("mind the &lt;i&gt;leap years"));
    // Killed while the model is asked, with both recorded and neither heard.
    drop(serve);
    let serve = site.serve();
    gate.wait();
    gate.open();
    serve.events(&id).until("change_published");
    let mut heard = 0;
    for call in server.calls().iter().filter(|call| call.role == "implementor") {
        let said = call.said.join("\n");
        let times = |text: &str| said.matches(text).count();
        let here = times("mind the <i>leap years</i>");
        assert_eq!(here, times("and be brief"), "{said}");
        assert!(here <= 1 && (here == 1 || call.turns <= 1), "turn {}: {said}", call.turns);
        assert_eq!(times("[A message to you from ada, a person of this platform"), 2 * here);
        heard += here;
    }
    assert!(heard >= 2, "it stays in the conversation");
    let over = serve.api("POST", &format!("/tasks/{id}/cancel"), &json!({}));
    over.expect(200);
    let refused = serve.api("POST", &format!("/tasks/{id}/messages"), &json!({"text": "x"}));
    assert_eq!(refused.expect(409).json()["error"]["code"], "task.over");
    assert_eq!(serve.stop(), Some(0));
    let ledger = site.bench.verified_ledger();
    assert_eq!(ledger.facts("steered").len(), 2);
    let heard = ledger.facts("steering_heard");
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(heard[0]["step"], 2);
}

/// The decisions of a task that let something happen, people's own ones left out.
fn permitted(events: &Value) -> usize {
    let events = events.as_array().unwrap();
    events
        .iter()
        .map(|entry| &entry["event"])
        .filter(|event| event["event"] == "decided" && event["subject"]["role"] != "human")
        .filter(|event| event["decision"]["verdict"] == "permit")
        .count()
}

#[test]
fn a_pause_holds_before_the_next_action_and_across_a_restart() {
    let (site, _server, gate) = held_site();
    let serve = site.serve();
    site.import(&serve);
    let visit = Visit::sign_in(&serve);
    let id = give_task(&site, &visit);
    gate.wait();
    let page = visit.page(&format!("/tasks/{id}"));
    let csrf = field(&page, "csrf");
    let events = format!("/tasks/{id}/events?limit=1000");
    visit.post(&format!("/tasks/{id}/resume"), &[("csrf", &csrf)]).expect(409);
    visit.post(&format!("/tasks/{id}/pause"), &[("csrf", "")]).expect(403);
    let before = permitted(&serve.get(&events).json());
    visit.post(&format!("/tasks/{id}/pause"), &[("csrf", &csrf)]).expect(303);
    visit.post(&format!("/tasks/{id}/pause"), &[("csrf", &csrf)]).expect(409);
    let page = visit.page(&format!("/tasks/{id}"));
    assert!(page.contains("Paused") && page.contains("Let it go on"), "{page}");
    assert!(!visit.page("/tasks").contains("class=\"frozen\""), "it is not everybody's matter");
    // The model's answer comes, and what it asks for is not done.
    gate.open();
    let refused = |events: &Value| {
        let events = events.as_array().unwrap();
        events.iter().any(|entry| entry["event"]["decision"]["code"] == "freeze.in_force")
    };
    let held = wait(|| serve.get(&events).json(), refused);
    assert_eq!(permitted(&held), before, "{held}");

    assert_eq!(serve.stop(), Some(0));
    let serve = site.serve();
    let paused = serve.get(&format!("/tasks/{id}")).json();
    assert_eq!(paused["paused"]["frozen"], json!({"what": "task", "task": id}));
    assert_eq!(serve.get("/tasks").json()[0]["standing"], "paused");
    assert_eq!(permitted(&serve.get(&events).json()), before, "a restart lets nothing go on");
    // The control: it goes on, and to its end.
    site.bench.bailiwick(&["task", "resume", &id]).expect(0);
    serve.events(&id).until("change_published");
    assert!(permitted(&serve.get(&events).json()) > before);
    assert_eq!(serve.get("/freezes").json(), json!([]));
    // A person can pause what waits for people, and still say what they think of it.
    site.bench.bailiwick(&["task", "pause", &id, "--reason", "lunch"]).expect(0);
    let change = format!("/repositories/{}/pulls/1", site.generated.name);
    let head = serve.get(&change).json()["head"].clone();
    let review = json!({"verdict": "approve", "head": head});
    serve.api("POST", &format!("{change}/reviews"), &review).expect(200);
    assert_eq!(serve.stop(), Some(0));
    site.bench.verified_ledger().assert_every_action_is_closed();
}
