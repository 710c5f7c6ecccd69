use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use bailiwick_forge::{Forge as _, PushLimits};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::server::Server;
use crate::support::{BASE, Fixture, permit, repo, stock, stock_ok, write};

async fn served() -> (Fixture, Server, PathBuf) {
    let fixture = Fixture::new().await;
    let server = Server::start(&fixture.forge, PushLimits::STANDARD);
    let clone = fixture.path("clone");
    stock_ok(fixture.dir.path(), &["clone", "-q", &server.url("shop"), clone.to_str().unwrap()]);
    (fixture, server, clone)
}

#[tokio::test]
async fn a_clone_has_the_files_in_each_version_of_the_protocol() {
    let fixture = Fixture::new().await;
    let server = Server::start(&fixture.forge, PushLimits::STANDARD);
    for version in ["0", "1", "2"] {
        let clone = fixture.path(&format!("clone{version}"));
        let setting = format!("protocol.version={version}");
        stock_ok(
            fixture.dir.path(),
            &["-c", &setting, "clone", "-q", &server.url("shop"), clone.to_str().unwrap()],
        );
        assert_eq!(std::fs::read_to_string(clone.join("a")).unwrap(), BASE);
        assert_eq!(stock_ok(&clone, &["rev-parse", "HEAD"]).trim(), fixture.at("main").as_str());
    }
    let (ok, text) = stock(fixture.dir.path(), &["clone", "-q", &server.url("nothing"), "x"]);
    assert!(!ok && text.contains("not found"), "{text}");
}

#[tokio::test]
async fn a_push_to_the_protected_branch_is_refused_with_the_reason_and_to_another_it_is_taken() {
    let (fixture, _server, clone) = served().await;
    let main = fixture.at("main");
    write(&clone, "b", "mine\n");
    stock_ok(&clone, &["commit", "-q", "-a", "-m", "mine"]);
    for args in [
        &["push", "origin", "main"][..],
        &["push", "-f", "origin", "HEAD~0:main"],
        &["push", "origin", ":main"],
    ] {
        let (ok, text) = stock(&clone, args);
        assert!(!ok, "{text}");
        let reason = "`main` is a protected branch: it only moves by merging a pull request";
        assert!(text.contains("[remote rejected]") && text.contains(reason), "{text}");
        assert!(
            text.contains("remote: hint: push to another branch and open a pull request"),
            "{text}"
        );
        assert_eq!(fixture.at("main"), main);
    }
    // the control: the same commit goes to a feature branch
    stock_ok(&clone, &["push", "-q", "origin", "main:feature/x"]);
    assert_eq!(stock_ok(&clone, &["rev-parse", "HEAD"]).trim(), fixture.at("feature/x").as_str());
}

#[tokio::test]
async fn a_pull_request_follows_what_is_pushed() {
    let (fixture, _server, clone) = served().await;
    write(&clone, "b", "mine\n");
    stock_ok(&clone, &["commit", "-q", "-a", "-m", "mine"]);
    stock_ok(&clone, &["push", "-q", "origin", "main:topic"]);
    let pull = fixture.open("topic").await.unwrap();
    write(&clone, "b", "amended\n");
    stock_ok(&clone, &["commit", "-q", "-a", "--amend", "-m", "amended"]);
    let (ok, text) = stock(&clone, &["push", "origin", "main:topic"]);
    assert!(!ok && text.contains("non-fast-forward"), "{text}");
    stock_ok(&clone, &["push", "-q", "-f", "origin", "main:topic"]);
    let moved = fixture.forge.pull_request(&repo(), 1).await.unwrap();
    assert_ne!(moved.head_commit, pull.head_commit);
    assert_eq!(moved.head_commit, fixture.at("topic"));
    stock_ok(&clone, &["fetch", "-q", "origin", "refs/pull/1/head"]);
    assert_eq!(stock_ok(&clone, &["rev-parse", "FETCH_HEAD"]).trim(), moved.head_commit.as_str());
    stock_ok(&clone, &["push", "-q", "origin", ":topic"]);
    assert_eq!(
        fixture.forge.branch(&repo(), &crate::support::branch("topic")).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn only_one_branch_at_a_time_and_nothing_but_branches() {
    let (fixture, _server, clone) = served().await;
    let (ok, text) = stock(&clone, &["push", "origin", "main:one", "main:two"]);
    assert!(!ok && text.contains("push one branch at a time"), "{text}");
    for name in ["refs/tags/v1", "refs/pull/1/head", "refs/replace/x", "refs/heads/gr\u{fc}n"] {
        let (ok, text) = stock(&clone, &["push", "origin", &format!("main:{name}")]);
        assert!(!ok && text.contains("only branches can be pushed"), "{name}: {text}");
    }
    assert_eq!(fixture.git().branches().unwrap().len(), 1);
    stock_ok(&clone, &["push", "-q", "origin", "main:one"]);
}

#[tokio::test]
async fn a_push_that_is_sent_in_pieces_arrives_and_one_that_is_too_large_does_not() {
    let fixture = Fixture::new().await;
    let large: String =
        (0..120_000u64).map(|n| format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let server = Server::start(&fixture.forge, PushLimits::STANDARD);
    let narrow = Server::start(&fixture.forge, PushLimits { pack_bytes: 500_000 });
    let clone = fixture.path("clone");
    stock_ok(fixture.dir.path(), &["clone", "-q", &server.url("shop"), clone.to_str().unwrap()]);
    write(&clone, "large", &large);
    stock_ok(&clone, &["add", "-A"]);
    stock_ok(&clone, &["commit", "-q", "-m", "large"]);
    // a buffer this small makes the client try the connection first, and then send chunks
    let (ok, text) =
        stock(&clone, &["-c", "http.postBuffer=65536", "push", &narrow.url("shop"), "main:large"]);
    assert!(!ok && text.contains("the push has more than 500000 bytes"), "{text}");
    stock_ok(&clone, &["-c", "http.postBuffer=65536", "push", "-q", "origin", "main:large"]);
    let path = bailiwick_git::RepoPath::parse("large").unwrap();
    assert_eq!(fixture.git().read_file(&fixture.at("large"), &path).unwrap(), large.as_bytes());
}

#[tokio::test]
async fn a_request_that_names_many_commits_is_gzipped_and_served() {
    let (fixture, server, clone) = served().await;
    assert_eq!(server.gzipped.load(Ordering::SeqCst), 0);
    // a client packs requests of more than 1024 bytes, and each wanted commit takes 50
    for n in 0..40 {
        let name = format!("many/{n}");
        let commit = fixture.empty_commit(&fixture.at("main"), &name);
        fixture.push(&name, None, Some(&commit)).await.unwrap();
    }
    stock_ok(&clone, &["fetch", "-q", "origin"]);
    let fetched = stock_ok(&clone, &["rev-parse", "origin/many/39"]);
    assert_eq!(fetched.trim(), fixture.at("many/39").as_str());
    assert!(server.gzipped.load(Ordering::SeqCst) > 0);
}

/// Sends a request by hand and gives the status line.
fn post(server: &Server, path: &str, headers: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // the server may answer before it has read everything
    stream.write_all(body).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn requests_that_are_none_are_refused() {
    let fixture = Fixture::new().await;
    let server = Server::start(&fixture.forge, PushLimits::STANDARD);
    let bad = "HTTP/1.1 400 Bad Request";
    assert_eq!(post(&server, "/shop.git/git-receive-pack", "", b"garbage"), bad);
    assert_eq!(post(&server, "/shop.git/git-receive-pack", "", b"0010 short"), bad);
    assert_eq!(post(&server, "/shop.git/git-receive-pack", "", b""), bad);
    assert_eq!(
        post(&server, "/shop.git/git-upload-pack", "Content-Encoding: br\r\n", b"0000"),
        bad
    );
    assert_eq!(
        post(&server, "/shop.git/git-upload-pack", "Content-Encoding: gzip\r\n", b"not gzip"),
        bad
    );
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b'0'; 40 << 20]).unwrap();
    assert_eq!(
        post(
            &server,
            "/shop.git/git-upload-pack",
            "Content-Encoding: gzip\r\n",
            &bomb.finish().unwrap()
        ),
        bad
    );
    assert_eq!(
        post(&server, "/..%2fshop.git/git-upload-pack", "", b"0000"),
        "HTTP/1.1 404 Not Found"
    );
    // the control: an empty push is a probe
    assert_eq!(post(&server, "/shop.git/git-receive-pack", "", b"0000"), "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_permit_for_another_push_moves_nothing() {
    let (fixture, _server, _clone) = served().await;
    let git = bailiwick_forge::GitHttp::new(fixture.forge.clone(), PushLimits::STANDARD);
    let main = fixture.at("main");
    let zero = "0".repeat(40);
    let line = format!("{zero} {main} refs/heads/asked\0report-status");
    let commands = format!("{:04x}{line}0000", line.len() + 4);
    // a pack with no objects: everything is there already
    let pack = [
        b"PACK".as_slice(),
        &[0, 0, 0, 2, 0, 0, 0, 0],
        &[2, 157, 8, 130, 59, 216, 168, 234, 181, 16, 173, 106, 199, 92, 130, 60, 253, 62, 211, 30],
    ]
    .concat();
    let body = [commands.as_bytes(), &pack].concat();
    let encoding = bailiwick_forge::BodyEncoding::Identity;
    let push = git.read_push(&repo(), encoding, body.as_slice()).await.unwrap();
    let bailiwick_forge::Wanted::Branch(wanted) = push.wanted() else {
        panic!("{:?}", push.wanted())
    };
    let mut other = wanted.clone();
    other.branch = crate::support::branch("other");
    let refused = git.receive_pack(permit(other).await, push).await;
    assert!(matches!(refused, Err(bailiwick_forge::ForgeError::Unfit { .. })));
    assert_eq!(fixture.git().branches().unwrap().len(), 1);
    let push = git.read_push(&repo(), encoding, body.as_slice()).await.unwrap();
    git.receive_pack(permit(wanted).await, push).await.unwrap();
    assert_eq!(fixture.at("asked"), main);
}
