//! A model server for tests: plain TCP on loopback, one connection after the other, each request
//! kept, each answer exactly the bytes that the test says.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What the server does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Sends these pieces as chunks of a `200` event stream, properly ended.
    Stream(Vec<Vec<u8>>),
    /// As `Stream`, but closes the connection instead of ending it.
    StreamThenClose(Vec<Vec<u8>>),
    /// As `Stream`, but then neither ends it nor closes, until the client does.
    StreamThenHang(Vec<Vec<u8>>),
    /// Sends this piece for ever, until the client closes.
    Flood(Vec<u8>),
    /// Sends a whole answer: status, extra header lines, content type, body.
    Whole(u16, &'static [&'static str], &'static str, String),
    /// Reads the request and closes.
    Close,
    /// Reads the request and says nothing until the client closes.
    Hang,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: serde_json::Value,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server that gives these answers in turn, and the last one again and again.
    pub(crate) fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for (at, stream) in listener.incoming().enumerate() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let answer = answers.get(at).or_else(|| answers.last()).unwrap();
                serve(stream.unwrap(), answer, &kept);
            }
        });
        Self { address, requests, stop, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, kept: &Mutex<Vec<Request>>) {
    let Some(request) = read_request(&mut stream) else { return };
    kept.lock().unwrap().push(request);
    // The client may close early; then there is nobody left to answer.
    if send(&mut stream, answer).is_ok()
        && matches!(answer, Answer::Hang | Answer::StreamThenHang(_))
    {
        let mut rest = [0; 64];
        while stream.read(&mut rest).is_ok_and(|count| count > 0) {}
    }
}

fn send(stream: &mut TcpStream, answer: &Answer) -> std::io::Result<()> {
    match answer {
        Answer::Stream(pieces) => {
            chunks(stream, pieces)?;
            stream.write_all(b"0\r\n\r\n")
        }
        Answer::StreamThenClose(pieces) | Answer::StreamThenHang(pieces) => chunks(stream, pieces),
        Answer::Flood(piece) => {
            chunks(stream, &[])?;
            loop {
                chunk(stream, piece)?;
            }
        }
        Answer::Whole(status, headers, content_type, body) => {
            let mut head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n",
                body.len()
            );
            for header in *headers {
                head.push_str(header);
                head.push_str("\r\n");
            }
            stream.write_all(format!("{head}\r\n{body}").as_bytes())
        }
        Answer::Close | Answer::Hang => Ok(()),
    }
}

fn chunks(stream: &mut TcpStream, pieces: &[Vec<u8>]) -> std::io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
    )?;
    pieces.iter().try_for_each(|piece| chunk(stream, piece))
}

fn chunk(stream: &mut TcpStream, piece: &[u8]) -> std::io::Result<()> {
    let mut bytes = format!("{:x}\r\n", piece.len()).into_bytes();
    bytes.extend_from_slice(piece);
    bytes.extend_from_slice(b"\r\n");
    stream.write_all(&bytes)
}

fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut request = Request { head, body: serde_json::Value::Null };
    let length: usize = request.header("content-length").unwrap_or("0").parse().unwrap();
    while bytes.len() < end + 4 + length {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
    request.body = serde_json::from_slice(&bytes[end + 4..]).unwrap();
    Some(request)
}
