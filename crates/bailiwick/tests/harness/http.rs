//! A plain HTTP client, so that the server is seen as any client sees it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, String::from_utf8_lossy(&self.body));
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A stream that fails rather than hangs for ever.
fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    stream
}

/// Sends a request and reads the answer. `headers` are whole lines.
pub(crate) fn send(
    address: &str,
    method: &str,
    path: &str,
    headers: &[String],
    body: &[u8],
) -> Answer {
    let mut stream = connect(address);
    request(&mut stream, address, method, path, headers, body);
    let mut reader = BufReader::new(stream);
    let head = read_head(&mut reader);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    if header(&head, "transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        bytes = unchunked(&bytes);
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: bytes }
}

fn request(
    stream: &mut TcpStream,
    address: &str,
    method: &str,
    path: &str,
    headers: &[String],
    body: &[u8],
) {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\nconnection: close\r\n",
        body.len()
    );
    for line in headers {
        head.push_str(line);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
}

fn read_head(reader: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        assert!(
            reader.read_line(&mut line).unwrap() > 0,
            "the connection ended in the head: {head}"
        );
        if line == "\r\n" {
            return head;
        }
        head.push_str(&line);
    }
}

fn unchunked(bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    let mut out = Vec::new();
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return out;
        }
        out.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 2 + length + 2..];
    }
}

/// An event of a stream: its id, its name, its data.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// Server-sent events, as they come.
pub(crate) struct Events {
    reader: BufReader<TcpStream>,
}

impl Events {
    pub(crate) fn open(address: &str, path: &str, headers: &[String]) -> Self {
        let mut stream = connect(address);
        let mut headers = headers.to_vec();
        headers.push("accept: text/event-stream".to_owned());
        request(&mut stream, address, "GET", path, &headers, b"");
        let mut reader = BufReader::new(stream);
        let head = read_head(&mut reader);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(header(&head, "content-type"), Some("text/event-stream"), "{head}");
        Self { reader }
    }

    /// Reads up to the first event of this name, and gives all that came until then.
    pub(crate) fn until(&mut self, name: &str) -> Vec<Event> {
        let mut events = Vec::new();
        let (mut id, mut kind) = (0, String::new());
        loop {
            let mut line = String::new();
            let count = self.reader.read_line(&mut line);
            assert!(count.unwrap() > 0, "the stream ended before `{name}`: {events:?}");
            // Chunk sizes stand on lines of their own and look like no field.
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.trim_end().parse().unwrap();
            } else if let Some(text) = line.strip_prefix("event: ") {
                text.trim_end().clone_into(&mut kind);
            } else if let Some(text) = line.strip_prefix("data: ") {
                let data = serde_json::from_str(text.trim_end()).unwrap();
                events.push(Event { id, name: kind.clone(), data });
                if kind == name {
                    return events;
                }
                // Nothing of a task comes after these by itself: better to fail than to wait.
                assert!(
                    !["task_ended", "human_asked"].contains(&kind.as_str()),
                    "`{kind}` came before `{name}`: {events:?}"
                );
            }
        }
    }
}
