//! Names that are looked up over HTTP, at servers that speak as each index does, and at others.

use super::index_server::{IndexServer, reply};
use super::repository::Repository;
use std::io::Write as _;
use std::net::TcpStream;

/// A change that adds the package `NAME` of an ecosystem.
fn change(ecosystem: &str, name: &str) -> Vec<(&'static str, String)> {
    match ecosystem {
        "cargo" => vec![
            (
                "Cargo.toml",
                format!(
                    "[package]\nname = \"own\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n{name} = \"1\"\n"
                ),
            ),
            (
                "Cargo.lock",
                format!(
                    "version = 4\n\n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\ndependencies = [\n \"{name}\",\n]\n\n[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{}\"\n",
                    "0a".repeat(32)
                ),
            ),
        ],
        "npm" => vec![
            (
                "package.json",
                format!(
                    "{{\"name\": \"own\", \"version\": \"1.0.0\", \"dependencies\": {{\"{name}\": \"^1.0.0\"}}}}"
                ),
            ),
            (
                "package-lock.json",
                format!(
                    "{{\"name\": \"own\", \"version\": \"1.0.0\", \"lockfileVersion\": 3, \"packages\": {{\"\": {{\"name\": \"own\", \"version\": \"1.0.0\", \"dependencies\": {{\"{name}\": \"^1.0.0\"}}}}, \"node_modules/{name}\": {{\"version\": \"1.0.0\", \"resolved\": \"https://registry.npmjs.org/{name}/-/x-1.0.0.tgz\", \"integrity\": \"sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==\"}}}}}}"
                ),
            ),
        ],
        "pypi" => vec![("requirements.txt", format!("{name}==1.0.0\n"))],
        "go" => vec![(
            "go.mod",
            format!("module example.org/own\n\ngo 1.22\n\nrequire {name} v1.0.0\n"),
        )],
        _ => {
            let (group, artifact) = name.split_once(':').unwrap();
            vec![(
                "pom.xml",
                format!(
                    "<project><modelVersion>4.0.0</modelVersion><groupId>o</groupId><artifactId>own</artifactId><version>1</version><dependencies><dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>1.0</version></dependency></dependencies></project>"
                ),
            )]
        }
    }
}

fn run(ecosystem: &str, name: &str, arguments: &[&str]) -> (i32, String) {
    let repository = Repository::new();
    for (path, text) in change(ecosystem, name) {
        repository.write(path, text);
    }
    repository.gate_within(2_000_000, &[&["run", "--gate", "slopsquat"], arguments].concat())
}

/// An ecosystem, a name that its index has, and what the index answers to which path.
type Index = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// What each index says of a name that is there since long.
const INDEXES: [Index; 5] = [
    (
        "cargo",
        "quietly-there",
        &[(
            "/qu/ie/quietly_there",
            "{\"name\":\"quietly_there\",\"vers\":\"1.0.0\",\"deps\":[],\"cksum\":\"00\",\"features\":{},\"yanked\":false,\"pubtime\":\"2016-01-01T00:00:00Z\"}\n",
        )],
    ),
    (
        "npm",
        "@quietly/there",
        &[(
            "/@quietly/there",
            "{\"name\":\"@quietly/there\",\"dist-tags\":{\"latest\":\"1.0.0\"},\"versions\":{\"1.0.0\":{\"name\":\"@quietly/there\"}},\"time\":{\"created\":\"2016-01-01T00:00:00.000Z\"}}",
        )],
    ),
    (
        "pypi",
        "quietly-there",
        &[(
            "/simple/quietly-there/",
            "{\"meta\":{\"api-version\":\"1.1\"},\"name\":\"quietly-there\",\"files\":[{\"filename\":\"x\",\"upload-time\":\"2016-01-01T00:00:00.000000Z\"}]}",
        )],
    ),
    (
        "go",
        "example.net/quietly/There",
        &[
            ("/example.net/quietly/!there/@v/list", "v1.1.0\nv1.0.0\n"),
            (
                "/example.net/quietly/!there/@v/v1.0.0.info",
                "{\"Version\":\"v1.0.0\",\"Time\":\"2016-01-01T00:00:00Z\"}",
            ),
        ],
    ),
    (
        "maven",
        "net.example:quietly-there",
        &[(
            "/net/example/quietly-there/maven-metadata.xml",
            "<?xml version=\"1.0\"?><metadata><groupId>net.example</groupId><artifactId>quietly-there</artifactId><versioning><versions><version>1.0</version></versions></versioning></metadata>",
        )],
    ),
];

fn address(ecosystem: &str, server: &IndexServer) -> String {
    let base = if ecosystem == "pypi" { "/simple/" } else { "" };
    format!("{ecosystem}={}", server.url(base))
}

#[test]
fn each_index_is_asked_in_its_own_way() {
    for (ecosystem, name, answers) in INDEXES {
        let server = IndexServer::start(move |path, stream| {
            match answers.iter().find(|(known, _)| *known == path) {
                Some((_, body)) => reply(stream, 200, body),
                None => reply(stream, 404, "not found"),
            }
        });
        let online = ["--online-index", &address(ecosystem, &server)];
        let (code, text) = run(ecosystem, name, &online);
        assert_eq!(code, 0, "{ecosystem}: {text}");
        for (path, _) in answers {
            assert!(server.asked().contains(&(*path).to_owned()), "{path}: {:?}", server.asked());
        }
        // a name that nobody has published
        let absent =
            if ecosystem == "maven" { "net.example:nowhere" } else { "example.net/nowhere" };
        let absent = if ["go", "maven"].contains(&ecosystem) { absent } else { "nowhere-at-all" };
        let (code, text) = run(ecosystem, absent, &online);
        assert_eq!(code, 1, "{ecosystem}: {text}");
        assert!(
            text.contains("[slopsquat/absent]") || text.contains("there is no package"),
            "{text}"
        );
        // the control: nobody is asked unless it is said
        let before = server.asked().len();
        let (code, text) = run(ecosystem, name, &[]);
        assert_eq!((code, server.asked().len()), (3, before), "{ecosystem}: {text}");
    }
}

#[test]
fn a_name_that_is_new_asks_a_person() {
    let server = IndexServer::start(|_, stream| {
        let today = jiff::Timestamp::now().to_string();
        reply(
            stream,
            200,
            &format!(
                "{{\"name\":\"just-made\",\"versions\":{{\"1.0.0\":{{}}}},\"time\":{{\"created\":\"{today}\"}}}}"
            ),
        );
    });
    let (code, text) = run("npm", "just-made", &["--online-index", &address("npm", &server)]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("was first published 0 days ago"), "{text}");
}

/// Whatever is no answer makes the gate inconclusive, with bounded memory and time.
#[test]
fn an_index_that_lies_hangs_or_is_gone_tells_nothing() {
    let there = "{\"name\":\"quietly-there\",\"versions\":{\"1.0.0\":{}},\"time\":{\"created\":\"2016-01-01T00:00:00Z\"}}";
    let other = IndexServer::start(move |_, stream| reply(stream, 200, there));
    let elsewhere = other.url("/quietly-there");
    type Answer = Box<dyn Fn(&str, &mut TcpStream) + Send + Sync>;
    let cases: Vec<(&str, Answer, &str)> = vec![
        (
            "huge",
            Box::new(|_, stream| {
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"));
                let piece = vec![b'x'; 1 << 20];
                while stream.write_all(&piece).is_ok() {}
            }),
            "more than 33554432 bytes",
        ),
        (
            "silent",
            Box::new(|_, stream| {
                // until the other side gives up
                drop(std::io::copy(stream, &mut std::io::sink()));
            }),
            "took longer than 5000 ms",
        ),
        (
            "slow",
            Box::new(|_, stream| {
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"));
                drop(std::io::copy(stream, &mut std::io::sink()));
            }),
            "took longer than 5000 ms",
        ),
        (
            "cut off",
            Box::new(|_, stream| {
                drop(
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"name\":"),
                );
            }),
            "broke off",
        ),
        (
            "half",
            Box::new(move |_, stream| reply(stream, 200, there.get(..40).unwrap())),
            "something else",
        ),
        (
            "no HTTP",
            Box::new(|_, stream| drop(stream.write_all(b"\x00\x01SSH-2.0\r\n\r\n"))),
            "can't be reached",
        ),
        (
            "a page",
            Box::new(|_, stream| reply(stream, 200, "<html>Sign in</html>")),
            "something else",
        ),
        (
            "another",
            Box::new(|_, stream| {
                reply(stream, 200, "{\"name\":\"other\",\"versions\":{\"1\":{}}}");
            }),
            "it speaks of `other`",
        ),
        ("an error", Box::new(|_, stream| reply(stream, 503, "later")), "status 503"),
        ("a lock", Box::new(|_, stream| reply(stream, 403, "no")), "status 403"),
        (
            "elsewhere",
            Box::new(move |_, stream| {
                let head = format!(
                    "HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n"
                );
                drop(stream.write_all(head.as_bytes()));
            }),
            "sends elsewhere",
        ),
    ];
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("bailiwick.toml");
    let at = |url: &str, seconds: u32| {
        std::fs::write(
            &config,
            format!("[dependencies.online.npm]\nurl = '{url}'\ntimeout_seconds = {seconds}\n"),
        )
        .unwrap();
        run("npm", "quietly-there", &["--config", config.to_str().unwrap()])
    };
    for (name, answer, wanted) in cases {
        let server = IndexServer::start(answer);
        let seconds = if wanted.contains("took longer") { 5 } else { 60 };
        let (code, text) = at(&server.url(""), seconds);
        assert_eq!(code, 3, "{name}: {text}");
        assert!(text.contains("INCONCLUSIVE") && text.contains(wanted), "{name}: {text}");
        assert!(!server.asked().is_empty(), "{name}: nobody asked");
    }
    assert_eq!(other.asked(), Vec::<String>::new(), "a redirect was followed");
    // nobody listens there
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, text) = at(&format!("http://{closed}/"), 60);
    assert!(code == 3 && text.contains("can't be reached"), "{text}");
    // the control
    let (code, text) = at(&other.url("/"), 60);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn an_address_that_is_none_is_bad_input() {
    for (address, code, wanted) in [
        ("npm", 2, "ECOSYSTEM=URL"),
        ("gems=https://gems.example/", 2, "no ecosystem"),
        ("npm=ftp://a.example/", 1, "[config.invalid]"),
        ("npm=https://ada:pw@a.example/", 1, "[config.invalid]"),
        ("npm=https://a.example/?x", 1, "[config.invalid]"),
    ] {
        let (found, text) = run("npm", "x", &["--online-index", address]);
        assert_eq!(found, code, "{address}: {text}");
        assert!(text.contains(wanted) && !text.contains("pw@"), "{address}: {text}");
    }
}
