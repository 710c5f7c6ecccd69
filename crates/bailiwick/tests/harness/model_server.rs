//! A model server on loopback: Anthropic Messages and OpenAI chat completions, streaming, with
//! what a brain says in pieces that are cut wherever it hurts.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use super::Seed;

/// Which protocol a server speaks. It answers the other one's address with 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Anthropic,
    Openai,
}

impl Protocol {
    /// As `--protocol` wants it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Openai => "openai",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Anthropic => "/v1/messages",
            Self::Openai => "/v1/chat/completions",
        }
    }
}

/// A request, in the terms of neither protocol.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    /// `coordinator`, `implementor`, `verifier` or `reviewer`, by the tools that are offered.
    pub(crate) role: &'static str,
    pub(crate) model: String,
    pub(crate) system: String,
    /// The first message.
    pub(crate) opening: String,
    /// How often the model has answered already.
    pub(crate) turns: usize,
    /// What the tools answered, in order.
    pub(crate) results: Vec<String>,
    /// What was said to the model beside that, after the first message.
    pub(crate) said: Vec<String>,
    pub(crate) tools: Vec<String>,
}

impl Conversation {
    /// The title of the subtask that it is about.
    pub(crate) fn title(&self) -> &str {
        let line = self.opening.lines().find_map(|line| line.strip_prefix("Title: "));
        line.unwrap_or_default()
    }

    /// What the last tool answered.
    pub(crate) fn last_result(&self) -> &str {
        self.results.last().map_or("", String::as_str)
    }

    /// Whether the implementor is to mend an earlier round.
    pub(crate) fn is_repair(&self) -> bool {
        self.opening.contains("findings of the earlier round")
    }
}

/// What the model says: text, and calls of tools.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) text: String,
    pub(crate) calls: Vec<(String, Value)>,
}

impl Reply {
    pub(crate) fn text(text: &str) -> Self {
        Self { text: text.to_owned(), calls: Vec::new() }
    }

    #[must_use]
    pub(crate) fn call(mut self, tool: &str, input: Value) -> Self {
        self.calls.push((tool.to_owned(), input));
        self
    }
}

type Brain = dyn Fn(&Conversation) -> Reply + Send + Sync;

/// A running server. It ends when it is dropped.
pub(crate) struct ModelServer {
    address: SocketAddr,
    protocol: Protocol,
    log: Arc<Mutex<Vec<Conversation>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ModelServer {
    /// Starts a server whose answers come from `brain`. It is asked from several threads.
    pub(crate) fn start(
        protocol: Protocol,
        brain: impl Fn(&Conversation) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, stopped) = (Arc::clone(&log), Arc::clone(&stop));
        let brain: Arc<Brain> = Arc::new(brain);
        let thread = std::thread::spawn(move || {
            for (at, stream) in (0u64..).zip(listener.incoming()) {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (kept, brain) = (Arc::clone(&kept), Arc::clone(&brain));
                std::thread::spawn(move || serve(stream.unwrap(), protocol, at, &*brain, &kept));
            }
        });
        Self { address, protocol, log, stop, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// `--model-url … --protocol … --model NAME`.
    pub(crate) fn arguments(&self, model: &str) -> Vec<String> {
        ["--model-url", &self.url(), "--protocol", self.protocol.name(), "--model", model]
            .map(str::to_owned)
            .to_vec()
    }

    /// Every request so far, in the order of arrival.
    pub(crate) fn calls(&self) -> Vec<Conversation> {
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

fn serve(
    mut stream: TcpStream,
    protocol: Protocol,
    at: u64,
    brain: &Brain,
    log: &Mutex<Vec<Conversation>>,
) {
    let Some((path, body)) = read_request(&mut stream) else { return };
    // A client that was killed reads no answer; that is its own affair.
    if path != protocol.path() {
        let text = format!("no such address: {path}");
        drop(write!(
            stream,
            "HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
            text.len()
        ));
        return;
    }
    let conversation = match protocol {
        Protocol::Anthropic => from_anthropic(&body),
        Protocol::Openai => from_openai(&body),
    };
    log.lock().unwrap().push(conversation.clone());
    let reply = brain(&conversation);
    let mut seed = Seed::of(at);
    let text = match protocol {
        Protocol::Anthropic => as_anthropic(&reply, &conversation, at, &mut seed),
        Protocol::Openai => as_openai(&reply, &conversation, at, &mut seed),
    };
    drop(send(&mut stream, text.as_bytes(), &mut seed));
}

fn read_request(stream: &mut TcpStream) -> Option<(String, Value)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 16 * 1024];
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
    let length: usize = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
        })
        .unwrap();
    while bytes.len() < end + 4 + length {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
    let path = head.split(' ').nth(1).unwrap().to_owned();
    Some((path, serde_json::from_slice(&bytes[end + 4..]).unwrap()))
}

/// Sends a body as chunks of 1 to 40 bytes: in the middle of lines, of escapes, of characters.
fn send(stream: &mut TcpStream, body: &[u8], seed: &mut Seed) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
    )?;
    let mut rest = body;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((1 + seed.below(40)).min(rest.len()));
        rest = after;
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        stream.write_all(&chunk)?;
    }
    stream.write_all(b"0\r\n\r\n")
}

fn role_of(tools: &[String]) -> &'static str {
    let roles = [
        ("submit_plan", "coordinator"),
        ("finish", "implementor"),
        ("submit_verdict", "verifier"),
        ("submit_review", "reviewer"),
        // The programs of others, by a tool that each of them has.
        ("Bash", "implementor"),
        ("exec_command", "implementor"),
        ("shell", "implementor"),
        ("bash", "implementor"),
        ("run_shell_command", "implementor"),
    ];
    let role = roles.into_iter().find(|(tool, _)| tools.iter().any(|offered| offered == tool));
    role.unwrap_or_else(|| panic!("no role has these tools: {tools:?}")).1
}

fn texts(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<&str> =
                blocks.iter().filter_map(|block| block["text"].as_str()).collect();
            texts.join("\n\n")
        }
        _ => String::new(),
    }
}

fn from_anthropic(body: &Value) -> Conversation {
    assert_eq!(body["stream"], true);
    let tools: Vec<String> = names(&body["tools"], |tool| tool["name"].as_str());
    let messages = body["messages"].as_array().unwrap();
    let blocks = messages.iter().filter_map(|message| message["content"].as_array()).flatten();
    let later = messages.iter().skip(1).filter(|message| message["role"] == "user");
    let later = later.filter_map(|message| message["content"].as_array()).flatten();
    Conversation {
        said: later.filter_map(|block| block["text"].as_str()).map(str::to_owned).collect(),
        role: role_of(&tools),
        model: body["model"].as_str().unwrap().to_owned(),
        system: texts(&body["system"]),
        opening: texts(&messages[0]["content"]),
        turns: messages.iter().filter(|message| message["role"] == "assistant").count(),
        results: blocks
            .filter(|block| block["type"] == "tool_result")
            .map(|block| texts(&block["content"]))
            .collect(),
        tools,
    }
}

fn from_openai(body: &Value) -> Conversation {
    assert_eq!(body["stream"], true);
    let tools: Vec<String> = names(&body["tools"], |tool| tool["function"]["name"].as_str());
    let messages = body["messages"].as_array().unwrap();
    let of = |role: &'static str| messages.iter().filter(move |message| message["role"] == role);
    Conversation {
        role: role_of(&tools),
        model: body["model"].as_str().unwrap().to_owned(),
        system: of("system").map(|message| texts(&message["content"])).collect(),
        opening: of("user").next().map(|message| texts(&message["content"])).unwrap(),
        turns: of("assistant").count(),
        said: of("user").skip(1).map(|message| texts(&message["content"])).collect(),
        results: of("tool").map(|message| texts(&message["content"])).collect(),
        tools,
    }
}

fn names<'a>(tools: &'a Value, name: impl Fn(&'a Value) -> Option<&'a str>) -> Vec<String> {
    tools.as_array().into_iter().flatten().filter_map(name).map(str::to_owned).collect()
}

/// Cuts a text into pieces at character boundaries, at least one.
fn pieces(text: &str, seed: &mut Seed) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for c in text.chars() {
        if seed.below(7) == 0 {
            pieces.push(String::new());
        }
        pieces.last_mut().unwrap().push(c);
    }
    pieces
}

fn as_anthropic(reply: &Reply, asked: &Conversation, at: u64, seed: &mut Seed) -> String {
    let mut out = String::new();
    let mut event = |value: Value| {
        out.push_str(&format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap()));
    };
    event(json!({"type": "message_start", "message": {
        "id": format!("msg_{at}"), "type": "message", "role": "assistant", "content": [],
        "model": asked.model, "stop_reason": null, "usage": {"input_tokens": 100, "output_tokens": 1},
    }}));
    event(json!({"type": "ping"}));
    event(
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    );
    for piece in pieces(&reply.text, seed) {
        event(
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}),
        );
    }
    event(json!({"type": "content_block_stop", "index": 0}));
    for (index, (tool, input)) in (1..).zip(&reply.calls) {
        let block = json!({"type": "tool_use", "id": format!("toolu_{at}_{index}"), "name": tool, "input": {}});
        event(json!({"type": "content_block_start", "index": index, "content_block": block}));
        for piece in pieces(&input.to_string(), seed) {
            let delta = json!({"type": "input_json_delta", "partial_json": piece});
            event(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        event(json!({"type": "content_block_stop", "index": index}));
    }
    let reason = if reply.calls.is_empty() { "end_turn" } else { "tool_use" };
    event(
        json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 20}}),
    );
    event(json!({"type": "message_stop"}));
    out
}

fn as_openai(reply: &Reply, asked: &Conversation, at: u64, seed: &mut Seed) -> String {
    let mut out = String::from(": thinking\r\n\r\n");
    let mut chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        let value = json!({"id": format!("chatcmpl-{at}"), "object": "chat.completion.chunk", "model": asked.model, "choices": [choice]});
        out.push_str(&format!("data: {value}\r\n\r\n"));
    };
    chunk(json!({"role": "assistant", "content": ""}), Value::Null);
    for piece in pieces(&reply.text, seed) {
        chunk(json!({"content": piece}), Value::Null);
    }
    for (index, (tool, input)) in reply.calls.iter().enumerate() {
        let first = json!({"index": index, "id": format!("call_{at}_{index}"), "type": "function", "function": {"name": tool, "arguments": ""}});
        chunk(json!({"tool_calls": [first]}), Value::Null);
        for piece in pieces(&input.to_string(), seed) {
            chunk(
                json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}),
                Value::Null,
            );
        }
    }
    chunk(json!({}), json!(if reply.calls.is_empty() { "stop" } else { "tool_calls" }));
    let usage = json!({"id": "u", "object": "chat.completion.chunk", "model": asked.model, "choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}});
    out.push_str(&format!("data: {usage}\r\n\r\ndata: [DONE]\r\n\r\n"));
    out
}
