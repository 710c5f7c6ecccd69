//! A model server on loopback: answers in the chat completions format, streaming, from what it is
//! asked alone, and keeps a log of every request that reached it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// What a request is about, as far as the one who is asked can see it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    /// The role, by the tool that ends its run.
    pub(crate) role: &'static str,
    /// The subtask, by the mark in its description.
    pub(crate) subtask: Option<String>,
    /// The step, by the replies that were given before.
    pub(crate) step: usize,
    /// Everything that is said in the request.
    pub(crate) text: String,
}

/// The tool calls that a model answers with.
pub(crate) type Answers = fn(&Asked) -> Vec<(&'static str, Value)>;

pub(crate) struct ModelServer {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ModelServer {
    pub(crate) fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (its_log, its_stop) = (Arc::clone(&log), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if its_stop.load(Ordering::SeqCst) {
                    break;
                }
                let log = Arc::clone(&its_log);
                // A client that is killed in the middle of it is no concern of the server.
                std::thread::spawn(move || stream.and_then(|stream| serve(stream, answers, &log)));
            }
        });
        Self { address, log, stop, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn log(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(stream: TcpStream, answers: Answers, log: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let asked = asked(&serde_json::from_slice(&body).unwrap());
    log.lock().unwrap().push(asked.clone());
    let body = reply(&asked, answers(&asked));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n";
    write!(reader.get_mut(), "{head}content-length: {}\r\n\r\n{body}", body.len())
}

fn asked(request: &Value) -> Asked {
    let offered = |name: &str| {
        request["tools"].as_array().unwrap().iter().any(|tool| tool["function"]["name"] == name)
    };
    let role = [
        ("submit_plan", "coordinator"),
        ("finish", "implementor"),
        ("submit_verdict", "verifier"),
        ("submit_review", "reviewer"),
    ];
    let role = role.iter().find(|(tool, _)| offered(tool)).unwrap().1;
    let messages = request["messages"].as_array().unwrap();
    let replies = messages.iter().filter(|message| message["role"] == "assistant").count();
    let said: Vec<&str> =
        messages.iter().filter_map(|message| message["content"].as_str()).collect();
    let text = said.join("\n");
    let subtask = text.split_once("mark-of-").and_then(|(_, rest)| {
        rest.split(|c: char| !c.is_ascii_alphanumeric()).next().map(str::to_owned)
    });
    Asked { role, subtask: subtask.filter(|_| role != "coordinator"), step: replies + 1, text }
}

fn reply(asked: &Asked, calls: Vec<(&'static str, Value)>) -> String {
    let calls: Vec<Value> = calls
        .into_iter()
        .enumerate()
        .map(|(index, (name, input))| {
            let id = format!("call_{}_{index}", asked.step);
            let function = json!({"name": name, "arguments": input.to_string()});
            json!({"index": index, "id": id, "type": "function", "function": function})
        })
        .collect();
    let chunk = |delta: Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        json!({"id": "c", "object": "chat.completion.chunk", "model": "tiny", "choices": [choice]})
    };
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120});
    let last = json!({"id": "c", "object": "chat.completion.chunk", "model": "tiny", "choices": [], "usage": usage});
    let chunks = [
        chunk(json!({"role": "assistant", "content": "So be it."}), None),
        chunk(json!({"tool_calls": calls}), None),
        chunk(json!({}), Some("tool_calls")),
        last,
    ];
    let mut body: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    body.push_str("data: [DONE]\n\n");
    body
}
