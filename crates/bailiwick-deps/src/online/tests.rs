use super::*;
use proptest::prelude::*;

fn inquiry(ecosystem: Ecosystem, name: &str) -> Inquiry {
    Inquiry::of(&PackageName::new(ecosystem, name)).unwrap()
}

/// Asks until there is an answer; the paths that were asked, and what came of it.
fn ask(
    ecosystem: Ecosystem,
    name: &str,
    server: impl Fn(&str) -> (u16, String),
) -> (Vec<String>, Result<OnlineAnswer, OnlineError>) {
    let mut inquiry = inquiry(ecosystem, name);
    let mut asked = Vec::new();
    for _ in 0..20 {
        let path = inquiry.path().to_owned();
        let (status, body) = server(&path);
        asked.push(path);
        match inquiry.answered(status, body.as_bytes()) {
            Ok(Some(answer)) => return (asked, Ok(answer)),
            Ok(None) => {}
            Err(error) => return (asked, Err(error)),
        }
    }
    panic!("asked {asked:?}");
}

fn known(day: Option<u32>) -> OnlineAnswer {
    OnlineAnswer::Known(PackageFacts { first_day: day, downloads: None })
}

#[test]
fn each_index_is_asked_where_it_says_and_read_as_it_writes() {
    const SERDE: &str = "{\"name\":\"serde\",\"vers\":\"1.0.0\",\"deps\":[],\"cksum\":\"00\",\"features\":{},\"yanked\":false,\"pubtime\":\"2017-04-20T15:00:00Z\"}\n{\"name\":\"serde\",\"vers\":\"0.1.0\",\"deps\":[],\"cksum\":\"00\",\"features\":{},\"yanked\":false,\"pubtime\":\"1970-01-03T00:00:00Z\"}\n";
    const MAVEN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metadata><groupId>org.example</groupId><artifactId>it</artifactId><versioning><latest>1.1</latest><versions><version>1.0</version><version>1.1</version></versions><lastUpdated>20260101000000</lastUpdated></versioning></metadata>";
    use Ecosystem::{Cargo, Go, Maven, Npm, Pypi};
    for (ecosystem, name, paths, bodies, expected) in [
        (Cargo, "serde", vec!["/se/rd/serde"], vec![SERDE], known(Some(2))),
        (Cargo, "a", vec!["/1/a"], vec!["{\"name\":\"a\",\"vers\":\"1.0.0\"}"], known(None)),
        (Cargo, "ab", vec!["/2/ab"], vec!["{\"name\":\"ab\",\"vers\":\"1.0.0\"}"], known(None)),
        (Cargo, "abc", vec!["/3/a/abc"], vec!["{\"name\":\"Abc\",\"vers\":\"1\"}"], known(None)),
        (
            Cargo,
            "serde_json",
            vec!["/se/rd/serde-json", "/se/rd/serde_json"],
            vec!["", "{\"name\":\"serde_json\",\"vers\":\"1.0.0\"}"],
            known(None),
        ),
        (
            Npm,
            "@types/node",
            vec!["/@types/node"],
            vec![
                "{\"name\":\"@types/node\",\"versions\":{\"1.0.0\":{}},\"time\":{\"created\":\"1970-01-05T10:00:00.000Z\",\"1.0.0\":\"x\"}}",
            ],
            known(Some(4)),
        ),
        (
            Npm,
            "gone",
            vec!["/gone"],
            vec![
                "{\"name\":\"gone\",\"time\":{\"created\":\"2020-01-01T00:00:00.000Z\",\"unpublished\":{\"time\":\"x\"}}}",
            ],
            OnlineAnswer::Absent,
        ),
        (
            Pypi,
            "Zope.Interface",
            vec!["/zope-interface/"],
            vec![
                "{\"meta\":{\"api-version\":\"1.1\"},\"name\":\"zope-interface\",\"files\":[{\"filename\":\"a\",\"upload-time\":\"1970-02-01T00:00:00.5Z\"}]}",
            ],
            known(Some(31)),
        ),
        (
            Pypi,
            "zope.interface",
            vec!["/zope-interface/"],
            vec![
                "<!DOCTYPE html><html><body><a href=\"../../packages/zope.interface-3.0.tar.gz#sha256=0\">x</a></body></html>",
            ],
            known(None),
        ),
        (
            Go,
            "github.com/BurntSushi/toml",
            vec![
                "/github.com/!burnt!sushi/toml/@v/list",
                "/github.com/!burnt!sushi/toml/@v/v0.1.0.info",
            ],
            vec!["v1.0.0\nv0.1.0\n", "{\"Version\":\"v0.1.0\",\"Time\":\"1970-01-11T00:00:00Z\"}"],
            known(Some(10)),
        ),
        (
            Go,
            "example.org/x",
            vec!["/example.org/x/@v/list", "/example.org/x/@latest"],
            vec![
                "\n",
                "{\"Version\":\"v0.0.0-20200101000000-abcdefabcdef\",\"Time\":\"2020-01-01T00:00:00Z\"}",
            ],
            known(None),
        ),
        (
            Maven,
            "org.example:it",
            vec!["/org/example/it/maven-metadata.xml"],
            vec![MAVEN],
            known(None),
        ),
    ] {
        let (asked, answer) = ask(ecosystem, name, |path| {
            let at = paths.iter().position(|one| *one == path).unwrap();
            (if bodies[at].is_empty() { 404 } else { 200 }, bodies[at].to_owned())
        });
        assert_eq!(asked, paths, "{name}");
        assert_eq!(answer, Ok(expected), "{name}");
        // the control: with nothing there, there is no such name
        let (_, answer) = ask(ecosystem, name, |_| (404, "not found".to_owned()));
        assert_eq!(answer, Ok(OnlineAnswer::Absent), "{name}");
    }
}

#[test]
fn what_is_no_answer_tells_nothing() {
    use Ecosystem::{Cargo, Go, Maven, Npm, Pypi};
    let page = "<html><body>Please sign in at <a href=\"/login\">the portal</a></body></html>";
    for (ecosystem, name) in [
        (Cargo, "serde"),
        (Npm, "left-pad"),
        (Pypi, "requests"),
        (Go, "a.example/b"),
        (Maven, "a:b"),
    ] {
        for body in [
            "",
            page,
            "{}",
            "[]",
            "null",
            "{\"name\":\"other\",\"vers\":\"1\",\"versions\":{\"1\":{}},\"files\":[]}",
            "{\"name\":\"serde\",",
            "<metadata><groupId>a</groupId><artifactId>b</artifactId>",
            "<!DOCTYPE x [<!ENTITY e \"v\">]><metadata><artifactId>b</artifactId><versioning><versions><version>&e;</version></versions></versioning></metadata>",
            "<metadata><artifactId>c</artifactId><versioning><versions><version>1</version></versions></versioning></metadata>",
            "{\"name\":\"left-pad\",\"versions\":{}}",
            "\u{0}\u{1}",
            "v../../x",
        ] {
            let (_, answer) = ask(ecosystem, name, |path| {
                // an empty list of versions is an answer, an empty version is none
                (200, if path.ends_with("/@latest") { "{}".to_owned() } else { body.to_owned() })
            });
            let garbage = matches!(answer, Err(OnlineError::Garbage { .. }));
            assert!(garbage, "{ecosystem} {body:?}: {answer:?}");
        }
        for status in [301, 302, 307, 308] {
            let (_, answer) = ask(ecosystem, name, |_| (status, String::new()));
            assert_eq!(answer, Err(OnlineError::Elsewhere { status }));
        }
        for status in [204, 401, 403, 429, 500, 503] {
            let (_, answer) = ask(ecosystem, name, |_| (status, String::new()));
            assert_eq!(answer, Err(OnlineError::Status { status }));
        }
    }
    for (ecosystem, name) in [
        (Npm, "../x"),
        (Npm, "a b"),
        (Go, "a//b"),
        (Go, "./a"),
        (Pypi, "a/b"),
        (Maven, "a"),
        (Cargo, ""),
    ] {
        assert!(Inquiry::of(&PackageName::new(ecosystem, name)).is_err(), "{name}");
    }
}

#[test]
fn few_spellings_of_one_name_are_asked_for() {
    assert_eq!(spellings("a-b"), ["a-b", "a_b"]);
    assert_eq!(spellings("a-b-c"), ["a-b-c", "a_b_c", "a_b-c", "a-b_c"]);
    assert_eq!(spellings("a-b-c-d").len(), 8);
    assert_eq!(spellings("a-b-c-d-e"), ["a-b-c-d-e", "a_b_c_d_e"]);
    assert_eq!(spellings("abc"), ["abc"]);
}

proptest! {
    #[test]
    fn no_answer_breaks_a_reader(body in proptest::collection::vec(any::<u8>(), 0..400), status in 100_u16..600) {
        for (ecosystem, name) in [
            (Ecosystem::Cargo, "serde"), (Ecosystem::Npm, "x"), (Ecosystem::Pypi, "x"),
            (Ecosystem::Go, "a.b/c"), (Ecosystem::Maven, "a:b"),
        ] {
            let mut inquiry = inquiry(ecosystem, name);
            for _ in 0..3 {
                if !matches!(inquiry.answered(status, &body), Ok(None)) {
                    break;
                }
            }
        }
    }
}
