//! A brain that does a plan, work by work, and judges honestly: the verifier runs a check and says
//! what came out.
//!
//! It remembers nothing: which edit is next follows from the file that the implementor reads. So
//! every round, a run that was cut off and one that was taken up again get the right answer.

use serde_json::{Value, json};

use super::model_server::{Conversation, Reply};

/// How an implementor makes an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// With the tool `edit`.
    Edit,
    /// With a command (`sed -i`), so that the hunk is one that a command made.
    Command,
}

/// One line of a file in place of another.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    pub(crate) old: String,
    pub(crate) new: String,
    pub(crate) means: Means,
}

impl Edit {
    pub(crate) fn new(old: &str, new: &str) -> Self {
        Self { old: old.to_owned(), new: new.to_owned(), means: Means::Edit }
    }
}

/// A subtask, and how it is done.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) key: String,
    /// Tells the works apart in a conversation.
    pub(crate) title: String,
    pub(crate) depends_on: Vec<String>,
    pub(crate) scope: Vec<String>,
    /// Name and command of each acceptance check of the plan.
    pub(crate) acceptance: Vec<(String, String)>,
    /// The file that is edited.
    pub(crate) path: String,
    /// The edits, each of what the one before left. A round makes the first that fits.
    pub(crate) chain: Vec<Edit>,
    /// Files that are written in each round.
    pub(crate) writes: Vec<(String, String)>,
    /// What implementor and verifier run; the verifier accepts exactly when it exits with 0.
    pub(crate) check: String,
}

/// A plan with its works.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) summary: String,
    pub(crate) works: Vec<Work>,
}

impl Scenario {
    /// What a model that does this plan says next.
    pub(crate) fn answer(&self, asked: &Conversation) -> Reply {
        match asked.role {
            "coordinator" => self.coordinate(asked),
            "implementor" => implement(self.work(asked), asked),
            "verifier" => verify(self.work(asked), asked),
            _ => Reply::text("Nothing against it.").call(
                "submit_review",
                json!({"summary": "It does what the subtask says.", "findings": []}),
            ),
        }
    }

    pub(crate) fn brain(self) -> impl Fn(&Conversation) -> Reply + Send + Sync + 'static {
        move |asked| self.answer(asked)
    }

    /// The plan as `submit_plan` takes it.
    pub(crate) fn plan(&self) -> Value {
        let subtasks: Vec<Value> = self.works.iter().map(Work::planned).collect();
        json!({"summary": self.summary, "subtasks": subtasks})
    }

    fn coordinate(&self, asked: &Conversation) -> Reply {
        match asked.turns {
            0 => Reply::text("I look around first.").call("list", json!({"path": ".", "depth": 3})),
            _ => Reply::text("Das genügt – one plan ✓").call("submit_plan", self.plan()),
        }
    }

    fn work(&self, asked: &Conversation) -> &Work {
        let found = self.works.iter().find(|work| work.title == asked.title());
        found.unwrap_or_else(|| panic!("no work has the title of: {}", asked.opening))
    }
}

impl Work {
    fn planned(&self) -> Value {
        let checks: Vec<Value> = self
            .acceptance
            .iter()
            .map(|(name, command)| json!({"name": name, "command": command}))
            .collect();
        json!({
            "key": self.key,
            "title": self.title,
            "description": format!("Put {} right, with a test.", self.path),
            "depends_on": self.depends_on,
            "scope": {"paths": self.scope},
            "acceptance": checks,
        })
    }

    /// The edit that fits a file as `read` shows it, with line numbers.
    fn next_edit(&self, shown: &str) -> Option<&Edit> {
        let lines: Vec<&str> =
            shown.lines().filter_map(|line| Some(line.split_once('\t')?.1)).collect();
        self.chain.iter().find(|edit| lines.contains(&edit.old.as_str()))
    }
}

fn implement(work: &Work, asked: &Conversation) -> Reply {
    match asked.turns {
        0 => Reply::text("Zuerst lese ich – „ré“.").call("read", json!({"path": work.path})),
        1 => {
            let mut reply = Reply::text("This is the line.");
            if let Some(edit) = work.next_edit(asked.last_result()) {
                reply = match edit.means {
                    Means::Edit => reply
                        .call("edit", json!({"path": work.path, "old": edit.old, "new": edit.new})),
                    Means::Command => reply.call("run", json!({"command": sed(edit, &work.path)})),
                };
            }
            for (path, content) in &work.writes {
                reply = reply.call("write", json!({"path": path, "content": content}));
            }
            if reply.calls.is_empty() {
                reply.call("read", json!({"path": work.path}))
            } else {
                reply
            }
        }
        2 => Reply::text("Does it hold?").call("run", json!({"command": work.check})),
        _ => Reply::text("Done.")
            .call("finish", json!({"summary": format!("Changed {}.", work.path)})),
    }
}

fn verify(work: &Work, asked: &Conversation) -> Reply {
    match asked.turns {
        0 => Reply::text("I run it.").call("run", json!({"command": work.check})),
        _ if asked.last_result().starts_with("exit code 0") => Reply::text("It holds.").call(
            "submit_verdict",
            json!({"verdict": "accepted", "summary": "The check exits with 0."}),
        ),
        _ => Reply::text("It does not hold.").call(
            "submit_verdict",
            json!({"verdict": "refused", "summary": "The check fails.", "findings": [
                {"level": "error", "message": format!("`{}` fails", work.check), "path": work.path},
            ]}),
        ),
    }
}

/// The edit as a command.
pub(crate) fn sed(edit: &Edit, path: &str) -> String {
    let escaped = |text: &str| -> String {
        assert!(!text.contains('\''), "no quote in a line that is edited by a command");
        text.chars()
            .flat_map(|c| if r"\.*[]^$/&".contains(c) { vec!['\\', c] } else { vec![c] })
            .collect()
    };
    format!("sed -i 's/^{}$/{}/' {path}", escaped(&edit.old), escaped(&edit.new))
}
