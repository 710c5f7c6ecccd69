//! What people should know is told: signed, in order, at least once, also through kills, and never
//! more than it takes to come and look.

use std::net::TcpListener;

use bailiwick_model::payload::Digest;
use serde_json::{Value, json};

use crate::harness::http;
use crate::harness::{MailSink, Serve, Take, WebhookSink, Workbench, git, wait};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// HMAC-SHA256 as a receiver would work it out (RFC 2104).
fn hmac(message: &[u8]) -> String {
    let mut block = SECRET.as_bytes().to_vec();
    block.resize(64, 0);
    let padded = |pad: u8| block.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let inner = Digest::of(&[padded(0x36), message.to_vec()].concat());
    Digest::of(&[padded(0x5c), inner.as_bytes().to_vec()].concat()).to_string()
}

/// What has the form of a key, put together here so that it stands in no file.
fn key() -> String {
    ["AKIA", "Z7VRSQ5TJN2XMPLQ"].concat()
}

const STANDARD: &str = include_str!("../../../bailiwick-policy/policies/standard.cedar");

/// People ask people before they import a repository.
const GATE: &str = r#"
@id("imports-ask")
@gate("release")
@reason("a new repository is decided by people")
@hint("Ask the release group.")
forbid (principal is Human, action == Action::"repo_read", resource)
unless { context.approvals.contains("release") };
"#;

struct Desk {
    bench: Workbench,
    config: String,
}

impl Desk {
    /// A bench with these addresses to tell.
    fn new(settings: &str, channels: &str) -> Self {
        let bench = Workbench::new();
        bench.write("hook.secret", &format!("{SECRET}\n"));
        bench.write("org.cedar", &format!("{STANDARD}{GATE}"));
        let text = format!("{settings}\n[policy]\nfiles = [\"org.cedar\"]\n{channels}");
        let config = bench.write("site.toml", &text).to_str().unwrap().to_owned();
        Self { bench, config }
    }

    fn serve(&self) -> Serve {
        Serve::start(&self.bench, &["--config", &self.config])
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.bench.path("serve.log")).unwrap_or_default()
    }
}

fn hook(name: &str, url: &str, more: &str) -> String {
    format!(
        "[[webhook]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = {{ file = \"hook.secret\" }}\n{more}\n"
    )
}

fn send(serve: &Serve, token: &str, path: &str, body: &Value) -> http::Answer {
    let headers =
        [format!("authorization: Bearer {token}"), "content-type: application/json".to_owned()];
    let body = serde_json::to_vec(body).unwrap();
    http::send(&serve.address, "POST", &format!("/api/v1{path}"), &headers, &body)
}

/// A token of a new account that operates and approves, in the group.
fn colleague(serve: &Serve, name: &str) -> String {
    let change = |change: Value| serve.api("POST", "/identity/changes", &change);
    let account = json!({"name": name, "kind": "human", "roles": ["operator", "approver"]});
    change(json!({"change": "account_added", "account": account})).expect(200);
    change(json!({"change": "group_added", "group": "release"}));
    change(json!({"change": "member_added", "group": "release", "person": name})).expect(200);
    let token = json!({"person": name, "scopes": ["read", "review", "operate"]});
    let created = serve.api("POST", "/tokens", &token);
    created.expect(201).json()["secret"].as_str().unwrap().to_owned()
}

fn freeze(serve: &Serve, reason: &str) -> String {
    let freeze = json!({"what": "merge", "reason": reason});
    let made = serve.api("POST", "/freezes", &freeze);
    assert!(made.status < 300, "{}", made.head);
    let list = serve.get("/freezes").expect(200).json();
    let last = list.as_array().unwrap().last().unwrap().clone();
    last["id"].as_str().unwrap().to_owned()
}

#[test]
fn everything_that_people_should_know_is_told_by_webhook_and_by_mail() {
    let (sink, few, mails) = (WebhookSink::start(), WebhookSink::start(), MailSink::start());
    let mail = format!(
        "[[mail]]\nname = \"people\"\nserver = \"localhost\"\nport = {}\nsecurity = \"none\"\nallow_private = true\nfrom = \"Bailiwick <platform@example.org>\"\nto = [\"ops@example.org\"]\n",
        mails.port
    );
    let desk = Desk::new(
        "[approval]\nwait_minutes = 2\nremind_minutes = 2\nescalate_minutes = 0\nescalate_to = \"chiefs\"",
        &[
            hook("all", &format!("http://{}/hooks/x?y=z", sink.address), "allow_private = true"),
            hook(
                "few",
                &format!("http://{}", few.address),
                "allow_private = true\nevents = [\"frozen\", \"approval_asked\"]\ngroups = [\"others\"]",
            ),
            mail,
        ]
        .concat(),
    );
    let serve = desk.serve();
    let bob = colleague(&serve, "bob");

    // What is asked, about to lapse, handed on, answered.
    let source = desk.bench.path("shop");
    git::make_repository(&source, &[("README.md".to_owned(), "shop\n".to_owned())]);
    let import = json!({"path": source});
    assert_eq!(serve.api("POST", "/repositories", &import).status, 403);
    let asked = sink.wait_for("approval_asked");
    let notice = asked.json();
    assert_eq!(
        (&notice["kind"], &notice["groups"]),
        (&json!("approval_asked"), &json!(["release"]))
    );
    assert_eq!(notice["repo"], "shop");
    let request = serve.get("/approvals").expect(200).json()[0].clone();
    assert_eq!(notice["approval"], request["id"]);
    assert_eq!(notice["path"], format!("/approvals/{}", request["id"].as_str().unwrap()));
    // Anybody who has the secret can tell that it is ours, and when.
    let signature = asked.header("bailiwick-signature");
    let (time, code) = signature.split_once(",v1=").unwrap();
    let signed = [time.strip_prefix("t=").unwrap().as_bytes(), b".", &asked.body].concat();
    assert_eq!(code, hmac(&signed));
    assert!(asked.head.starts_with("POST /hooks/x?y=z HTTP/1.1"), "{}", asked.head);
    assert_eq!(asked.header("bailiwick-delivery"), notice["id"].as_str().unwrap());
    sink.wait_for("approval_expiring");
    let escalated = sink.wait_for("approval_escalated").json();
    assert_eq!(escalated["groups"], json!(["chiefs", "release"]));
    let path = format!("/approvals/{}/answer", request["id"].as_str().unwrap());
    let answer = json!({"verdict": "deny", "digest": request["digest"]});
    send(&serve, &bob, &path, &answer).expect(200);
    assert_eq!(sink.wait_for("approval_answered").json()["by"], "bob");

    // What is stopped and goes on, without what has no business outside.
    let reason = format!("the key {} is out\u{1b}[2J", key());
    let id = freeze(&serve, &reason);
    let frozen = sink.wait_for("frozen");
    let text = String::from_utf8_lossy(&frozen.body).into_owned();
    assert!(!text.contains(&key()) && !text.contains("\\u001b"), "{text}");
    assert!(frozen.json()["text"].as_str().unwrap().starts_with("the key "), "{text}");
    send(&serve, &bob, &format!("/freezes/{id}/thaw"), &json!({})).expect(200);
    sink.wait_for("thawed");

    // Emergencies, and a policy that is refused.
    let emergency =
        json!({"name": "shop-down", "repo": "shop", "reason": "it is down", "minutes": 5});
    assert!(serve.api("POST", "/emergencies", &emergency).status < 300);
    sink.wait_for("break_glass");
    desk.bench.write("org.cedar", "permit(");
    let alerts = || {
        let got = sink.got();
        let told = got.iter().map(|one| one.json()).filter(|one| one["kind"] == "alert");
        told.map(|one| one["code"].clone()).collect::<Vec<_>>()
    };
    wait(alerts, |codes| codes.contains(&json!("policy.bundle_invalid")));

    // The same by mail; and only what was chosen where something was chosen.
    let told = wait(|| mails.lines().join("\n"), |all| all.contains("policy.bundle_invalid"));
    for part in [
        "RCPT TO:<ops@example.org>",
        "MAIL FROM:<platform@example.org>",
        "Subject: [bailiwick] repo_read needs approval in shop",
        "Subject: [bailiwick] Frozen: merge",
        "Approval: ",
        "Message-ID: <",
    ] {
        assert!(told.contains(part), "no `{part}` in\n{told}");
    }
    assert!(!told.contains(&key()));
    let chosen: Vec<String> = few.wait(1).iter().map(|one| one.header("bailiwick-event")).collect();
    assert_eq!(chosen, ["frozen"], "another group was asked");
    // In the order of the ledger.
    let seqs: Vec<u64> = sink
        .got()
        .iter()
        .map(|one| one.header("bailiwick-delivery").rsplit_once('/').unwrap().1.parse().unwrap())
        .collect();
    assert!(seqs.is_sorted(), "{seqs:?}");
    assert_eq!(serve.stop(), Some(0));
}

#[test]
fn what_was_not_taken_is_told_again_also_after_a_kill() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("http://{address}");
    let desk = Desk::new("", &hook("ops", &url, "allow_private = true\nevents = [\"frozen\"]"));
    // Refused, then refused, then taken without a word about it, and killed meanwhile.
    let first = [Take::Status(500), Take::Status(302), Take::Silence];
    let sink = WebhookSink::on(listener, &first);
    let serve = desk.serve();
    freeze(&serve, "one");
    sink.wait(3);
    // Something more happens that can't be told yet.
    freeze(&serve, "two");
    drop(serve);

    let serve = desk.serve();
    let got = sink.wait(5);
    assert_eq!(serve.stop(), Some(0));
    let ids: Vec<String> = got.iter().map(|one| one.header("bailiwick-delivery")).collect();
    assert!(ids[..4].iter().all(|id| *id == ids[0]), "the same one: {ids:?}");
    assert_ne!(ids[4], ids[0]);
    let texts: Vec<Value> = got.iter().map(|one| one.json()["text"].clone()).collect();
    assert_eq!(texts, ["one", "one", "one", "one", "two"].map(|text| json!(text)));

    // What was taken is told no more.
    let serve = desk.serve();
    freeze(&serve, "three");
    let got = sink.wait(6);
    assert_eq!((got.len(), &got[5].json()["text"]), (6, &json!("three")));
    assert_eq!(serve.stop(), Some(0));
}

#[test]
fn nothing_leaves_for_a_private_address_or_in_the_clear_unless_that_is_configured() {
    let (sink, mails) = (WebhookSink::start(), MailSink::start());
    let port = sink.address.rsplit_once(':').unwrap().1.to_owned();
    let mail = |name: &str, more: &str| {
        format!(
            "[[mail]]\nname = \"{name}\"\nserver = \"localhost\"\nport = {}\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]\n{more}\n",
            mails.port
        )
    };
    // A name that leads here without leave; a server that offers no encryption when it is asked for.
    let desk = Desk::new(
        "",
        &[
            hook("inside", &format!("https://localhost:{port}"), ""),
            mail("plain", "security = \"starttls\"\nallow_private = true"),
            mail("private", "security = \"tls\""),
        ]
        .concat(),
    );
    let serve = desk.serve();
    freeze(&serve, "a secret matter");
    let private = "which is not a public address";
    let refused = |log: &String| {
        let says = |name: &str, what: &str| {
            log.lines()
                .any(|line| line.contains(&format!("name=\"{name}\"")) && line.contains(what))
        };
        says("inside", private) && says("private", private) && says("plain", "is not delivered yet")
    };
    wait(|| desk.log(), refused);
    assert!(sink.got().is_empty());
    let said = mails.lines();
    assert!(said.iter().any(|line| line.starts_with("EHLO")), "the control: it was spoken to");
    assert!(
        !said.iter().any(|line| line.starts_with("MAIL") || line.contains("secret")),
        "{said:?}"
    );
    assert_eq!(serve.stop(), Some(0));
}

#[test]
fn nonsense_is_refused_before_anything_starts() {
    let mail = "[[mail]]\nname = \"m\"\nserver = \"mail.example.org\"\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]\n";
    let good = hook("a", "https://hooks.example.org/x", "");
    let with = |from: &str, to: &str| mail.replace(from, to);
    let cases: Vec<(String, &str, &str)> = vec![
        (hook("a", "nowhere", ""), "config.invalid", "is not an address"),
        (hook("a", "ftp://example.org", ""), "config.invalid", "`ftp:` is not spoken"),
        (hook("a", "http://example.org", ""), "config.invalid", "readable on the way"),
        (hook("a", "https://me:pw@example.org", ""), "config.invalid", "user or password"),
        (hook("a", "https://example.org/#x", ""), "config.invalid", "fragment"),
        (hook("a", "https://127.0.0.1", ""), "config.invalid", "not a public address"),
        (hook("a", "https://[::1]", ""), "config.invalid", "not a public address"),
        (hook("a", "https://169.254.169.254", ""), "config.invalid", "not a public address"),
        (hook("A b", "https://example.org", ""), "config.invalid", "is not a name"),
        (format!("{good}{good}"), "config.invalid", "have the name `a`"),
        (hook("a", "https://example.org", "evnts = []"), "config.invalid", "unknown field"),
        (hook("a", "https://example.org", "events = [\"x\"]"), "config.invalid", "unknown variant"),
        (good.replace("hook.secret", "nothing.secret"), "notify.no_secret", "has no secret"),
        (good.replace("hook.secret", "short.secret"), "notify.weak_secret", "fewer than 16"),
        (with("a@example.org", "nobody"), "config.invalid", "is not a mail address"),
        (with("[\"b@example.org\"]", "[]"), "config.invalid", "nobody is told"),
        (with("mail.example.org", "https://x"), "config.invalid", "not the name of a server"),
        (format!("{mail}port = 0\n"), "config.invalid", "no port 0"),
        (format!("{mail}user = \"u\"\n"), "config.invalid", "go together"),
        (format!("{mail}security = \"none\"\n"), "config.invalid", "your own network"),
        (format!("{mail}security = \"maybe\"\n"), "config.invalid", "unknown variant"),
    ];
    let desk = Desk::new("", "");
    desk.bench.write("short.secret", "short");
    let check = |text: &str| {
        let config = desk.bench.write("tried.toml", text);
        desk.bench.bailiwick(&["config", "check", "--config", config.to_str().unwrap()])
    };
    check(&format!("{good}{mail}")).expect(0);
    for (text, code, part) in cases {
        let ran = check(&text);
        assert_eq!(ran.expect(1).error_code(), code, "{text}");
        assert!(ran.stderr.contains(part), "{text}: {}", ran.stderr);
    }
}
