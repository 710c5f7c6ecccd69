use super::{BadCase, judge, said};
use bailiwick_gates::AbuseGate;
use bailiwick_model::evidence::{GateReport, GateState};

/// A server with one address, whose checks are switched by words in the file.
fn server(faults: &str) -> String {
    let source = r#"const http = require('node:http');
const faults = 'FAULTS';
const has = (fault) => faults.split(' ').includes(fault);
const seen = new Set();
http.createServer({ maxHeaderSize: 16384 }, (request, response) => {
  const end = (code, text) => { response.writeHead(code, { connection: 'close' }); response.end(text); };
  if (!has('open') && request.headers.authorization !== 'Bearer good') return end(401, 'no');
  let body = '';
  let refused = false;
  request.on('data', (part) => {
    body += part;
    if (!has('large') && body.length > 500 && !refused) { refused = true; end(413, 'too much'); }
  });
  request.on('end', () => {
    if (refused) return;
    let item;
    try {
      item = JSON.parse(body);
    } catch (error) {
      if (has('exits')) process.exit(1);
      if (has('leaks')) return end(400, error.stack);
      if (has('hangs')) return;
      return end(400, 'not JSON');
    }
    if (has('fails') && item && item.name === null) return end(500, 'oops');
    if (item === null || Array.isArray(item) || typeof item.name !== 'string' || item.name.includes('\u0000')) {
      return has('takes') ? end(200, 'fine') : end(422, 'no name');
    }
    if (!has('twice') && seen.has(item.name)) return end(409, 'there already');
    seen.add(item.name);
    return end(201, 'made');
  });
}).listen(Number(process.env.PORT), '127.0.0.1');
"#;
    source.replace("FAULTS", faults)
}

/// A port that nobody listens on now; each test asks for its own.
fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn settings(more: &str) -> String {
    let port = port();
    format!(
        "[settings.abuse]\nstart = 'env PORT={port} node server.js'\nport = {port}\nready_seconds = 120\nanswer_seconds = 20\n{more}\n[[settings.abuse.endpoint]]\nmethod = 'POST'\npath = '/items'\nbody = '{{\"name\": \"x{{{{n}}}}\"}}'\ncredentials = 'Bearer good'\nonce = true\nmax_body_bytes = 500\n"
    )
}

/// What each weakness is found by.
const FAULTS: [(&str, &str, GateState); 8] = [
    ("open", "abuse/no-auth", GateState::Fail),
    ("twice", "abuse/replay", GateState::Fail),
    ("large", "abuse/oversize", GateState::Fail),
    ("exits", "abuse/crash", GateState::Fail),
    ("fails", "abuse/server-error", GateState::Fail),
    ("leaks", "abuse/leaks", GateState::Fail),
    ("hangs", "abuse/no-answer", GateState::Fail),
    ("takes", "abuse/accepted", GateState::NeedsApproval),
];

fn waited_for(fault: &str) -> &'static str {
    // each that gets no answer is waited for
    if fault == "hangs" { "answer_seconds = 2" } else { "answer_seconds = 20" }
}

async fn run(before: &str, after: &str) -> GateReport {
    let rules = settings("").replace("answer_seconds = 20", waited_for(after));
    let (before, after) = (server(before), server(after));
    judge(
        &AbuseGate,
        &[(".bailiwick/gates.toml", Some(&rules)), ("server.js", Some(&before))],
        &[("server.js", Some(&format!("{after}// changed\n")))],
    )
    .await
}

#[tokio::test]
async fn a_program_that_stands_misuse_passes() {
    let report = run("", "").await;
    assert_eq!(
        said(&report),
        (GateState::Pass, vec![]),
        "{}: {:?}",
        report.summary,
        report.findings
    );
    assert_eq!(report.evidence.len(), 2);
}

#[tokio::test]
async fn each_weakness_is_found_and_only_when_it_is_new() {
    for (fault, rule, state) in FAULTS {
        let report = run("", fault).await;
        assert_eq!(
            said(&report),
            (state, vec![rule]),
            "{fault}: {}: {:?}",
            report.summary,
            report.findings
        );
    }
    let report = run("open", "open").await;
    assert_eq!(said(&report), (GateState::Pass, vec![]), "{}", report.summary);
}

/// Broken in each way; the pull request stays shut.
#[tokio::test]
async fn misuse_that_shows_nothing_is_inconclusive() {
    let good = server("");
    let changed = format!("{good}// changed\n");
    for (rules, wanted) in [
        (settings("").replace("node server.js", "false"), "does not start"),
        (settings("build = 'echo broken; false'"), "does not build: broken"),
        (settings("").replace("Bearer good", "Bearer bad"), "does not work as it should by itself"),
        (settings("timeout_seconds = 1\nbuild = 'sleep 60'"), "limit `wall_clock`"),
        (
            settings("answer_seconds = 0").replace("answer_seconds = 20\n", ""),
            "`answer_seconds` 1 to 120",
        ),
        (settings("").replace("path = '/items'", "path = 'items'"), "begins with `/`"),
        (settings("nothing = 1"), "unknown field"),
        ("[[settings.abuse.endpoint]]\nmethod = 'GET'\npath = '/'\n".to_owned(), "needs `start`"),
        (settings("").replace("'POST'", "'POST / HTTP/1.1'"), "`method` in capitals"),
    ] {
        let report = judge(
            &AbuseGate,
            &[(".bailiwick/gates.toml", Some(&rules)), ("server.js", Some(&good))],
            &[("server.js", Some(&changed))],
        )
        .await;
        assert_eq!(report.state, GateState::Inconclusive, "{rules}: {}", report.summary);
        assert!(report.summary.contains(wanted), "{wanted}: {}", report.summary);
    }
}

#[tokio::test]
async fn a_change_that_does_not_touch_the_interface_is_not_misused() {
    let rules = settings("interface = ['server.js']");
    let report = judge(
        &AbuseGate,
        &[(".bailiwick/gates.toml", Some(&rules)), ("server.js", Some("broken"))],
        &[("other.js", Some("1;\n"))],
    )
    .await;
    assert_eq!((report.state, report.evidence.len()), (GateState::Pass, 0), "{}", report.summary);
}

/// A program that reads its standard input.
#[tokio::test]
async fn a_program_is_given_what_it_can_not_read() {
    let program = |fault: &str| {
        format!(
            "const text = require('node:fs').readFileSync(0, 'utf8');\ntry {{ JSON.parse(text); }} catch (error) {{ {fault} process.stderr.write('not JSON'); process.exit(1); }}\n"
        )
    };
    let rules = "[settings.abuse]\n[[settings.abuse.command]]\nname = 'parse'\nrun = 'node parse.js'\ninput = '{}'\n";
    for (fault, expected) in [
        ("", (GateState::Pass, vec![])),
        ("process.abort();", (GateState::Fail, vec!["abuse/crash"])),
        ("throw error;", (GateState::Fail, vec!["abuse/leaks"])),
    ] {
        let report = judge(
            &AbuseGate,
            &[(".bailiwick/gates.toml", Some(rules)), ("parse.js", Some(&program("")))],
            &[("parse.js", Some(&format!("{}// changed\n", program(fault))))],
        )
        .await;
        assert_eq!(said(&report), expected, "{fault}: {}: {:?}", report.summary, report.findings);
    }
}

pub(super) fn bad_cases() -> Vec<BadCase> {
    FAULTS
        .into_iter()
        .map(|(fault, rule, _)| {
            let rules = settings("").replace("answer_seconds = 20", waited_for(fault));
            BadCase {
                gate: Box::new(AbuseGate),
                rule,
                settings: rules,
                base: vec![("server.js", server(""))],
                head: vec![("server.js", format!("{}// changed\n", server(fault)))],
            }
        })
        .collect()
}
