//! Remarks on lines, without scripts: made, answered, resolved, sent to the implementor with their
//! lines; and what changed since one's last review.

use serde_json::{Value, json};

use super::visit::{Visit, field, give_task};
use crate::harness::{Edit, ModelServer, Seed, Serve, Site, generate, wait};

/// A site whose model mends a line, and once more when it is asked to.
pub(super) fn site() -> (Site, ModelServer) {
    let mut generated = generate::shell(&mut Seed::new());
    let work = &mut generated.scenario.works[0];
    let right = work.chain[0].new.clone();
    work.chain.push(Edit::new(&right, &format!("{right} # sum")));
    let brain = generated.scenario.clone().brain();
    Site::with_model(generated, brain)
}

fn view(serve: &Serve, site: &Site) -> Value {
    serve.get(&format!("/repositories/{}/pulls/1", site.generated.name)).expect(200).json()
}

#[test]
fn remarks_on_lines_go_to_the_implementor_and_the_next_look_is_at_what_changed() {
    let (site, server) = site();
    let serve = site.serve();
    site.import(&serve);
    let visit = Visit::sign_in(&serve);
    let id = give_task(&site, &visit);
    visit.until(&id, "change_published");
    let name = site.generated.name.clone();
    let path = site.generated.scenario.works[0].path.clone();
    let (old, new) = {
        let edit = &site.generated.scenario.works[0].chain[0];
        (edit.old.clone(), edit.new.clone())
    };
    let change = format!("/changes/{name}/1");
    let page = visit.page(&change);
    assert!(page.contains("Remark on a line"), "{page}");
    let (csrf, head) = (field(&page, "csrf"), field(&page, "head"));
    let api = format!("/repositories/{name}/pulls/1");
    // Nobody has reviewed, so there is no last review.
    let none = serve.get(&format!("{api}/since-review"));
    assert_eq!(none.expect(409).json()["error"]["code"], "review.none");

    let remark = |fields: &[(&str, &str)]| {
        let mut all = vec![("csrf", csrf.as_str()), ("head", head.as_str())];
        all.extend_from_slice(fields);
        visit.post(&format!("{change}/comments"), &all)
    };
    let post = |body: &Value| serve.api("POST", &format!("{api}/comments"), body);
    // What is not on the page can't be remarked on, and nothing is recorded of it.
    let long = "x".repeat(3_000);
    for (body, code) in [
        (json!({"head": head, "path": path, "line": 99, "text": "x"}), "comment.no_line"),
        (json!({"head": head, "path": "other", "line": 3, "text": "x"}), "comment.no_line"),
        (json!({"head": head, "path": path, "line": 3, "text": " "}), "comment.bad_text"),
        (json!({"head": head, "path": path, "line": 3, "text": long}), "comment.bad_text"),
        (json!({"head": head, "text": "x"}), "comment.no_place"),
        (json!({"head": "0".repeat(40), "path": path, "line": 3, "text": "x"}), "review.stale"),
    ] {
        assert_eq!(post(&body).expect(409).json()["error"]["code"], code, "{body}");
    }
    let lost = post(&json!({"head": head, "reply_to": id, "text": "x"}));
    assert_eq!(lost.expect(404).json()["error"]["code"], "comment.unknown");
    let forged =
        [("csrf", ""), ("head", head.as_str()), ("path", &path), ("line", "3"), ("text", "x")];
    visit.post(&format!("{change}/comments"), &forged).expect(403);
    assert_eq!(view(&serve, &site)["threads"], json!([]));

    // By the form: one on the new side, one on the old. By the command line: a third.
    let wish = "say what the line <b>computes</b>";
    let made = remark(&[("path", &path), ("side", "new"), ("line", "3"), ("text", wish)]);
    let first = made.expect(303).header("location").unwrap().split_once("#t").unwrap().1.to_owned();
    remark(&[("path", &path), ("side", "old"), ("line", "3"), ("text", "good that it went")])
        .expect(303);
    let place = format!("{path}:1");
    let told =
        site.bench.bailiwick(&["pr", "comment", "1", &place, "-m", "is this the right shell?"]);
    let third = told.expect(0).stdout.trim().to_owned();
    remark(&[("reply_to", &first), ("text", "and mind the units")]).expect(303);
    let threads = view(&serve, &site)["threads"].clone();
    assert_eq!(threads.as_array().unwrap().len(), 3, "{threads}");
    assert_eq!(threads[0]["comments"][1]["text"], "and mind the units");
    let quote = threads[0]["quote"].as_str().unwrap();
    assert!(quote.contains(&format!("-{old}\n+{new}\n")), "{quote}");
    let page = visit.page(&change);
    assert!(
        page.contains("say what the line &lt;b&gt;computes") && page.contains("3 open remarks")
    );

    // One is resolved by the form, one by the command line; an unknown one by nobody.
    let state = |comment: &str, state: &str| {
        let fields = [("csrf", csrf.as_str()), ("state", state)];
        visit.post(&format!("{change}/comments/{comment}/state"), &fields)
    };
    let second = threads[1]["id"].as_str().unwrap();
    state(second, "resolved").expect(303);
    state(second, "resolved").expect(409);
    state("nonsense", "resolved").expect(400);
    site.bench.bailiwick(&["pr", "resolve", "1", &third]).expect(0);
    site.bench.bailiwick(&["pr", "reopen", "1", &third]).expect(0);
    site.bench.bailiwick(&["pr", "resolve", "1", &third]).expect(0);
    assert!(visit.page(&change).contains("1 open remarks"));

    // Without a word of its own: what is open says enough.
    let fields =
        [("csrf", csrf.as_str()), ("head", &head), ("verdict", "request_changes"), ("body", "")];
    visit.post(&format!("{change}/review"), &fields).expect(303);
    let after = wait(|| view(&serve, &site), |view| view["head"] != head.as_str());
    let calls = server.calls();
    let repair = calls.iter().find(|call| call.is_repair()).unwrap();
    for part in [
        &format!("review/ada) {path}:3"),
        "ada says: say what the line <b>computes</b>",
        "ada says: and mind the units",
        &format!("| +{new}"),
        &format!("| -{old}"),
    ] {
        assert!(repair.opening.contains(part), "{part}: {}", repair.opening);
    }
    assert!(!repair.opening.contains("good that it went"), "it was resolved");
    assert!(!repair.opening.contains("the right shell"), "it was resolved");

    // The next look: what changed, and nothing else; the remark with its lines of then.
    let page = visit.page(&change);
    assert!(page.contains("What changed since your last review"), "{page}");
    assert!(page.contains("Remarks on earlier commits"));
    let since = serve.get(&format!("{api}/since-review")).expect(200).json();
    assert_eq!((&since["from"], &since["to"]), (&json!(head), &after["head"]));
    let signs: Vec<(&str, &str)> = since["files"][0]["hunks"][0]["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["sign"].as_str().unwrap(), line["text"].as_str().unwrap()))
        .filter(|(sign, _)| *sign != " ")
        .collect();
    assert_eq!(signs, [("-", new.as_str()), ("+", &format!("{new} # sum"))]);
    let page = visit.page(&format!("{change}/since"));
    assert!(page.contains("since your last review") && !page.contains(&old), "{page}");
    assert!(site.bench.bailiwick(&["pr", "since", "1"]).expect(0).stdout.contains("# sum"));
    // An approval is of one commit: that of the old one does not come through.
    let fields = [("csrf", csrf.as_str()), ("head", &head), ("verdict", "approve")];
    visit.post(&format!("{change}/review"), &fields).expect(409);

    assert_eq!(serve.stop(), Some(0));
    let ledger = site.bench.verified_ledger();
    assert_eq!((ledger.facts("commented").len(), ledger.facts("thread_marked").len()), (4, 4));
    ledger.assert_every_action_is_closed();
}
