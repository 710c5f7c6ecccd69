//! The script that sends probes inside of the cage, and what it prints. Bash and the system's core
//! programs are all that it needs.

use super::settings::{Program, Settings};
use crate::checkout::quoted;
use std::collections::BTreeMap;

/// Where the probes lie in a checkout.
pub(super) const FOLDER: &str = ".bailiwick-abuse";
/// How much of an answer is kept, in bytes.
const ANSWER_BYTES: u32 = 2048;

/// What came of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It answered, or ended, with this code and these first bytes.
    Said {
        /// HTTP's status, or the exit code of a program.
        code: u32,
        /// The beginning of the answer.
        text: String,
        /// Whether the program was there afterwards.
        alive: bool,
    },
    /// Nothing came in time, and nothing was closed.
    Silent,
    /// The connection was closed, or was not to be had, without a word that makes sense.
    Closed {
        /// Whether the program was there afterwards.
        alive: bool,
    },
}

/// Functions of the script that are the same for every project.
const FUNCTIONS: &str = r#"
keep() { head -c "$ANSWER_BYTES" | base64 -w0; }
start() {
  setsid /bin/sh -c "$START" </dev/null >"$work/program.log" 2>&1 &
  pid=$!
  tries=0
  while [ "$tries" -lt "$READY_TRIES" ]; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then return 0; fi
    kill -0 "$pid" 2>/dev/null || return 1
    sleep 0.1
    tries=$((tries + 1))
  done
  return 1
}
stop() {
  kill -9 -- "-$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
}
send() {
  if ! exec 3<>"/dev/tcp/127.0.0.1/$PORT"; then
    echo closed >"$work/how"
    return
  fi 2>/dev/null
  cat -- "$1" >&3 2>/dev/null &
  sender=$!
  timeout "$ANSWER_SECONDS" head -c "$ANSWER_BYTES" <&3 >"$work/answer" 2>/dev/null
  code=$?
  exec 3>&-
  kill "$sender" 2>/dev/null
  wait "$sender" 2>/dev/null
  if [ -s "$work/answer" ]; then echo said; elif [ "$code" = 124 ]; then echo silent; else echo closed; fi >"$work/how"
}
ask() {
  : >"$work/answer"
  if [ -n "$2" ]; then send "$2"; fi
  : >"$work/answer"
  send "$3"
  sleep 0.01
  alive=alive
  kill -0 "$pid" 2>/dev/null || alive=dead
  printf '@@ %s %s %s %s\n' "$1" "$(cat "$work/how")" "$alive" "$(keep <"$work/answer")"
  if [ "$alive" = dead ] || [ "$(cat "$work/how")" = silent ]; then
    stop
    start || { printf '@@ again\n'; exit 0; }
  fi
}
give() {
  timeout -k 1 "$ANSWER_SECONDS" /bin/sh -c "$3" <"$2" >"$work/out" 2>"$work/err"
  code=$?
  printf '@@ %s exit %s %s\n' "$1" "$code" "$(cat "$work/err" "$work/out" | keep)"
}
"#;

/// The script: each probe is a file `N` in the folder, and what is sent before it `N.before`.
pub(super) fn script(
    settings: &Settings,
    requests: &[(usize, bool)],
    inputs: &[(usize, &Program)],
) -> String {
    let mut text =
        String::from("#!/bin/bash\n# Sends the probes beside it; made by the gate `abuse`.\n");
    text.push_str("work=$(mktemp -d) || exit 126\n");
    text.push_str(&format!("here=$PWD/{FOLDER}\n"));
    text.push_str(&format!(
        "ANSWER_BYTES={ANSWER_BYTES}\nANSWER_SECONDS={}\n",
        settings.answer_seconds
    ));
    text.push_str(&format!("cd -- {} || exit 126\n", quoted(settings.directory.as_str())));
    if let Some(build) = &settings.build {
        text.push_str(&format!(
            "if ! ( {build}\n) >\"$work/build.log\" 2>&1; then tail -c 2000 \"$work/build.log\"; echo '@@ unbuilt'; exit 0; fi\n"
        ));
    }
    text.push_str(FUNCTIONS);
    for (number, program) in inputs {
        text.push_str(&format!("give {number} \"$here/{number}\" {}\n", quoted(&program.run)));
    }
    if let (false, Some(start), Some(port)) = (requests.is_empty(), &settings.start, settings.port)
    {
        text.push_str(&format!(
            "START={}\nPORT={port}\nREADY_TRIES={}\n",
            quoted(&format!("exec {start}")),
            settings.ready_seconds.saturating_mul(10)
        ));
        text.push_str(
            "start || { tail -c 2000 \"$work/program.log\"; stop; echo '@@ unstarted'; exit 0; }\n",
        );
        for (number, twice) in requests {
            let before =
                if *twice { format!("\"$here/{number}.before\"") } else { "''".to_owned() };
            text.push_str(&format!("ask {number} {before} \"$here/{number}\"\n"));
        }
        text.push_str("stop\n");
    }
    text.push_str("printf '@@ end\\n'\n");
    text
}

/// What a run of the script printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answers {
    /// By the probes' numbers.
    pub(super) answers: BTreeMap<usize, Answer>,
    /// Why there are not more, in a sentence.
    pub(super) broke_off: Option<String>,
}

/// Reads it. What the program under test prints goes elsewhere, and what it answers is encoded.
pub(super) fn read(output: &str) -> Answers {
    let mut answers = BTreeMap::new();
    let mut broke_off = Some("the script did not come to its end".to_owned());
    let mut said = String::new();
    for line in output.lines() {
        let Some(rest) = line.strip_prefix("@@ ") else {
            said = line.chars().filter(|c| !c.is_control()).take(200).collect();
            continue;
        };
        let words: Vec<&str> = rest.split(' ').collect();
        match words.as_slice() {
            ["end"] => broke_off = None,
            ["unbuilt"] => broke_off = Some(format!("it does not build: {said}")),
            ["unstarted"] => broke_off = Some(format!("it does not start: {said}")),
            ["again"] => broke_off = Some("it does not start again after it ended".to_owned()),
            [number, "exit", code, text @ ..] => {
                if let (Ok(number), Ok(code)) = (number.parse(), code.parse()) {
                    let text = decoded(text.first().copied().unwrap_or_default());
                    answers.insert(number, Answer::Said { code, text, alive: true });
                }
            }
            [number, how, alive, text @ ..] => {
                let Ok(number) = number.parse() else { continue };
                let alive = *alive == "alive";
                let text = decoded(text.first().copied().unwrap_or_default());
                let answer = match *how {
                    "silent" => Answer::Silent,
                    "said" => match status(&text) {
                        Some(code) => Answer::Said { code, text, alive },
                        None => Answer::Closed { alive },
                    },
                    _ => Answer::Closed { alive },
                };
                answers.insert(number, answer);
            }
            _ => {}
        }
    }
    Answers { answers, broke_off }
}

fn status(text: &str) -> Option<u32> {
    let line = text.lines().next()?;
    let mut words = line.strip_prefix("HTTP/1.")?.split_whitespace();
    words.next()?;
    words.next()?.parse().ok().filter(|code| (100..600).contains(code))
}

/// Base64 (RFC 4648), lossily as text; nothing where it is none.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return String::new(),
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap_or(0));
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_script_prints_is_read() {
        // `HTTP/1.1 404 Not Found` and `hello`
        let output = "noise\n@@ 0 said alive SFRUUC8xLjEgNDA0IE5vdCBGb3VuZA==\n@@ 1 silent alive \n@@ 2 closed dead \n@@ 3 said alive aGVsbG8=\n@@ 4 exit 139 aGVsbG8=\n@@ end\n";
        let read = read(output);
        assert_eq!(read.broke_off, None);
        assert_eq!(
            read.answers,
            BTreeMap::from([
                (
                    0,
                    Answer::Said {
                        code: 404,
                        text: "HTTP/1.1 404 Not Found".to_owned(),
                        alive: true
                    }
                ),
                (1, Answer::Silent),
                (2, Answer::Closed { alive: false }),
                (3, Answer::Closed { alive: true }),
                (4, Answer::Said { code: 139, text: "hello".to_owned(), alive: true }),
            ])
        );
    }

    #[test]
    fn a_script_that_breaks_off_says_why() {
        for (output, wanted) in [
            ("", "did not come to its end"),
            ("error[E0425]\n@@ unbuilt\n", "does not build: error[E0425]"),
            ("no such port\n@@ unstarted\n", "does not start: no such port"),
            ("@@ 1 closed dead \n@@ again\n", "does not start again"),
        ] {
            assert!(read(output).broke_off.unwrap().contains(wanted), "{output}");
        }
    }

    proptest! {
        #[test]
        fn any_output_is_taken(text in "(@@ |[0-9]|exit|said|alive| |\n|QUJD|=|\\PC){0,60}") {
            drop(read(&text));
        }
    }
}
