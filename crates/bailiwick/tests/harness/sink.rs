//! Servers that take what is told: one for webhooks, one for mail. What they got is kept as it came.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What a webhook sink does with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// Takes it.
    Yes,
    /// Answers this.
    Status(u16),
    /// Never answers.
    Silence,
}

/// A delivery as it came.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Delivery {
    pub(crate) fn header(&self, name: &str) -> String {
        let found = self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        found.unwrap_or_else(|| panic!("no header `{name}`: {}", self.head))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Somebody who is told over HTTP. It ends with the test's process.
pub(crate) struct WebhookSink {
    pub(crate) address: String,
    got: Arc<Mutex<Vec<Delivery>>>,
    takes: Arc<Mutex<Vec<Take>>>,
}

impl WebhookSink {
    /// On a free port.
    pub(crate) fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), &[])
    }

    /// That does this with the first deliveries, and takes all further ones.
    pub(crate) fn on(listener: TcpListener, first: &[Take]) -> Self {
        let address = listener.local_addr().unwrap().to_string();
        let got: Arc<Mutex<Vec<Delivery>>> = Arc::default();
        let takes = Arc::new(Mutex::new(first.iter().rev().copied().collect()));
        let (kept, plan) = (Arc::clone(&got), Arc::clone(&takes));
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let Some(delivery) = read(&stream) else { continue };
                let next: Option<Take> = Mutex::<Vec<Take>>::lock(&plan).unwrap().pop();
                kept.lock().unwrap().push(delivery);
                match next.unwrap_or(Take::Yes) {
                    Take::Yes => answer(stream, 204),
                    Take::Status(status) => answer(stream, status),
                    Take::Silence => silent.push(stream),
                }
            }
        });
        Self { address, got, takes }
    }

    pub(crate) fn got(&self) -> Vec<Delivery> {
        self.got.lock().unwrap().clone()
    }

    /// Waits until this many deliveries came.
    #[track_caller]
    pub(crate) fn wait(&self, count: usize) -> Vec<Delivery> {
        wait(|| self.got(), |got| got.len() >= count)
    }

    /// Waits until a delivery of this kind came, and gives it.
    #[track_caller]
    pub(crate) fn wait_for(&self, kind: &str) -> Delivery {
        let is = |one: &Delivery| one.header("bailiwick-event") == kind;
        let got = wait(|| self.got(), |got| got.iter().any(is));
        got.into_iter().find(is).unwrap()
    }
}

/// Waits until something is as it should be; never for ever.
#[track_caller]
pub(crate) fn wait<T: std::fmt::Debug>(look: impl Fn() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        let found = look();
        if wanted(&found) {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain: {found:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn read(stream: &TcpStream) -> Option<Delivery> {
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Delivery { head, body })
}

fn answer(mut stream: TcpStream, status: u16) {
    let text = format!("HTTP/1.1 {status} said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    drop(stream.write_all(text.as_bytes()));
}

/// Somebody who is told by mail. It offers no encryption.
pub(crate) struct MailSink {
    pub(crate) port: u16,
    lines: Arc<Mutex<Vec<String>>>,
}

impl MailSink {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || drop(speak(&stream, &kept)));
            }
        });
        Self { port, lines }
    }

    /// Everything that clients said, line by line.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

fn speak(mut stream: &TcpStream, kept: &Mutex<Vec<String>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream);
    stream.write_all(b"220 sink ESMTP\r\n")?;
    let mut in_data = false;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        kept.lock().unwrap().push(line.clone());
        if in_data {
            if line == "." {
                in_data = false;
                stream.write_all(b"250 taken\r\n")?;
            }
            continue;
        }
        let verb = line.split(' ').next().unwrap_or_default().to_uppercase();
        let reply: &[u8] = match verb.as_str() {
            "EHLO" => b"250-sink\r\n250 8BITMIME\r\n",
            "DATA" => {
                in_data = true;
                b"354 go on\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        stream.write_all(reply)?;
    }
}
