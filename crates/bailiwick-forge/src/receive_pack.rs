//! The first part of a push: which references are to move. Parsed here, before git sees it, so
//! that each can be decided; and the answer to one that is refused, in git's own protocol.

use bailiwick_model::id::{BranchName, Oid};

use crate::pkt_line::{FLUSH, PktLine, PktLineError, put, take};

/// The most references in one push.
const MAX_UPDATES: usize = 64;
/// The longest reference name.
const MAX_NAME: usize = 512;

/// One reference that is to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// Where the client believes it to be; none when it does not exist.
    pub old: Option<Oid>,
    /// Where it is to go; none when it is to be deleted.
    pub new: Option<Oid>,
    /// Its full name, such as `refs/heads/topic`.
    pub name: String,
}

impl RefUpdate {
    /// The branch, when it is one with a name that Bailiwick takes.
    pub fn branch(&self) -> Option<BranchName> {
        self.name.strip_prefix("refs/heads/").and_then(|name| BranchName::parse(name).ok())
    }
}

/// The command list of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivePackRequest {
    /// The references that are to move. None in a probe, which a client sends before a large push.
    pub updates: Vec<RefUpdate>,
    capabilities: Vec<String>,
}

impl ReceivePackRequest {
    /// Parses everything up to and including the flush packet.
    pub fn parse(bytes: &[u8]) -> Result<Self, PktLineError> {
        let mut rest = bytes;
        let mut request = Self { updates: Vec::new(), capabilities: Vec::new() };
        loop {
            match take(&mut rest)? {
                PktLine::Flush if rest.is_empty() => return Ok(request),
                PktLine::Flush => {
                    return Err(PktLineError::new("something follows the command list"));
                }
                PktLine::Delimiter => {
                    return Err(PktLineError::new("a delimiter stands in the command list"));
                }
                PktLine::Data(line) => request.line(line)?,
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), PktLineError> {
        let malformed = || PktLineError::new("a command is not `OLD NEW NAME`");
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut parts = line.splitn(2, |byte| *byte == 0);
        let command =
            parts.next().and_then(|part| std::str::from_utf8(part).ok()).ok_or_else(malformed)?;
        if let Some(capabilities) = parts.next() {
            if !self.updates.is_empty() {
                return Err(PktLineError::new("capabilities stand behind the first command"));
            }
            let text = String::from_utf8_lossy(capabilities);
            self.capabilities = text.split_ascii_whitespace().map(str::to_owned).collect();
        }
        if let Some(oid) = command.strip_prefix("shallow ") {
            // the client says where its history ends; git itself refuses what it cannot take
            return Oid::parse(oid).map(|_| ()).map_err(|_| malformed());
        }
        if command.starts_with("push-cert") {
            return Err(PktLineError::new("signed pushes are not supported"));
        }
        if self.updates.len() == MAX_UPDATES {
            return Err(PktLineError::new("it moves too many references at once"));
        }
        let mut words = command.splitn(3, ' ');
        let mut oid = || -> Option<Option<Oid>> {
            let word = words.next()?;
            let oid = Oid::parse(word).ok()?;
            Some((!word.bytes().all(|byte| byte == b'0')).then_some(oid))
        };
        let (old, new) = (oid().ok_or_else(malformed)?, oid().ok_or_else(malformed)?);
        let name = words.next().ok_or_else(malformed)?;
        let sound =
            name.len() <= MAX_NAME && name.starts_with("refs/") && !name.contains(char::is_control);
        if !sound {
            return Err(PktLineError::new("a reference has no valid name"));
        }
        self.updates.push(RefUpdate { old, new, name: name.to_owned() });
        Ok(())
    }

    fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|other| other == capability)
    }

    /// What is needed to refuse this push later.
    pub fn refusal(&self) -> Refusal {
        Refusal {
            names: self.updates.iter().map(|update| update.name.clone()).collect(),
            side_band: self.has("side-band-64k"),
            report: self.has("report-status") || self.has("report-status-v2"),
        }
    }
}

/// How a push is refused so that the client prints the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    names: Vec<String>,
    side_band: bool,
    report: bool,
}

const REPORT_BAND: u8 = 1;
const MESSAGE_BAND: u8 = 2;

impl Refusal {
    /// The body of the response. The reason stands beside each reference; the hint is printed as
    /// a line from the remote.
    pub fn answer(&self, reason: &str, hint: Option<&str>) -> Vec<u8> {
        let reason = one_line(reason);
        if !self.report {
            let mut out = Vec::new();
            put(&mut out, format!("ERR {reason}\n").as_bytes());
            return out;
        }
        let mut report = Vec::new();
        put(&mut report, b"unpack ok\n");
        for name in &self.names {
            put(&mut report, format!("ng {name} {reason}\n").as_bytes());
        }
        report.extend_from_slice(FLUSH);
        if !self.side_band {
            return report;
        }
        let mut out = Vec::new();
        if let Some(hint) = hint {
            let message = format!("hint: {}\n", one_line(hint));
            put(&mut out, &[&[MESSAGE_BAND], message.as_bytes()].concat());
        }
        for chunk in report.chunks(60_000) {
            put(&mut out, &[&[REPORT_BAND], chunk].concat());
        }
        out.extend_from_slice(FLUSH);
        out
    }
}

/// Text that came from anywhere, fit for a terminal and for one line of the protocol.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect()
}

/// What `git receive-pack` said of the one reference of a push.
pub(crate) fn outcome(answer: &[u8]) -> Result<(), String> {
    let mut report = Vec::new();
    let mut rest = answer;
    // the report stands in band 1 when the client takes side bands, and bare otherwise
    while let Ok(line) = take(&mut rest) {
        match line {
            PktLine::Data(data) => match data.split_first() {
                Some((band, data)) if *band == REPORT_BAND => report.extend_from_slice(data),
                Some((band, _)) if *band <= 3 => {}
                Some(_) | None => {
                    report = answer.to_vec();
                    break;
                }
            },
            PktLine::Flush | PktLine::Delimiter => break,
        }
    }
    let mut rest = report.as_slice();
    let mut taken = Err("no report came".to_owned());
    while let Ok(PktLine::Data(line)) = take(&mut rest) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end();
        if line.starts_with("ok ") {
            taken = Ok(());
        } else if let Some(reason) = line.strip_prefix("ng ") {
            return Err(reason.to_owned());
        } else if let Some(reason) = line.strip_prefix("unpack ").filter(|reason| *reason != "ok") {
            return Err(reason.to_owned());
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: &str = "0000000000000000000000000000000000000000";
    const ONE: &str = "1111111111111111111111111111111111111111";

    fn request(lines: &[String]) -> Vec<u8> {
        let mut out = Vec::new();
        lines.iter().for_each(|line| put(&mut out, line.as_bytes()));
        out.extend_from_slice(FLUSH);
        out
    }

    #[test]
    fn a_push_says_what_it_moves() {
        let bytes = request(&[
            format!("{ZERO} {ONE} refs/heads/topic\0report-status side-band-64k agent=git/2"),
            format!("{ONE} {ZERO} refs/tags/v1\n"),
        ]);
        let request = ReceivePackRequest::parse(&bytes).unwrap();
        assert_eq!(request.updates.len(), 2);
        assert_eq!(request.updates[0].branch(), Some(BranchName::parse("topic").unwrap()));
        assert_eq!(request.updates[0].old, None);
        assert_eq!(request.updates[1].new, None);
        assert_eq!(request.updates[1].branch(), None);
        assert!(ReceivePackRequest::parse(FLUSH).unwrap().updates.is_empty());
    }

    #[test]
    fn what_is_no_command_list_is_refused() {
        let command = |name: &str| format!("{ZERO} {ONE} {name}");
        for lines in [
            vec!["x".to_owned()],
            vec![command("heads/x")],
            vec![command("refs/heads/a\u{7}")],
            vec![command(&format!("refs/heads/{}", "a".repeat(600)))],
            vec![command("refs/heads/a"), format!("{}\0caps", command("refs/heads/b"))],
            vec!["push-cert\0".to_owned()],
            vec![command("refs/heads/a"); 65],
        ] {
            assert!(ReceivePackRequest::parse(&request(&lines)).is_err(), "{lines:?}");
        }
        let mut trailing = request(&[command("refs/heads/a")]);
        trailing.push(b'P');
        assert!(ReceivePackRequest::parse(&trailing).is_err());
    }

    #[test]
    fn a_refusal_is_read_back_as_one() {
        for capabilities in ["report-status", "report-status side-band-64k"] {
            let bytes = request(&[format!("{ZERO} {ONE} refs/heads/main\0{capabilities}")]);
            let answer = ReceivePackRequest::parse(&bytes)
                .unwrap()
                .refusal()
                .answer("it is\nprotected", Some("ask"));
            assert_eq!(outcome(&answer), Err("refs/heads/main it is protected".to_owned()));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(lines in proptest::collection::vec("[0-1]{0,41} [0-1]{0,41} ?(refs/heads/)?[\\x00-\\x7f]{0,9}", 0..4), tail in "[0-9a-f]{0,9}") {
            let mut bytes = request(&lines);
            ReceivePackRequest::parse(&bytes).ok();
            bytes.extend_from_slice(tail.as_bytes());
            ReceivePackRequest::parse(&bytes).ok();
            outcome(&bytes).ok();
        }
    }
}
