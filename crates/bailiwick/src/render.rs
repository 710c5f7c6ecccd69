//! How results look to a person. Everything an agent, a repository or a user wrote is made safe
//! for a terminal first.

use bailiwick_engine::{ChangeView, FileView, SinceView};
use bailiwick_ledger::Report;
use bailiwick_model::calibration::{Calibration, Share};
use bailiwick_model::event::Stage;
use bailiwick_model::workflow::TaskState;

use crate::command::Outcome;
use crate::operations::{ChangeLine, RepositoryLine, TaskLine, standing};
use crate::terminal::safe;

/// What came of a run.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    let mut lines = vec![String::new()];
    if outcome.model == "scripted" {
        lines.push("scripted model: it answered from a file; everything else was real".to_owned());
    }
    if outcome.simulated_approver {
        lines.push("simulated approver: no person was asked".to_owned());
    }
    if outcome.single_user {
        lines.push("single-user mode: requester and approver may be one person".to_owned());
    }
    lines.extend(outcome.lines().iter().map(|line| safe(line)));
    lines.push(format!("cost {}, {} tokens", outcome.cost_micro_usd, outcome.tokens));
    lines.push(format!(
        "ledger: {} entries, root {}, {}\n  bailiwick ledger verify {} --key '{}'",
        outcome.ledger.entries,
        outcome.ledger.root,
        if outcome.ledger.verified { "verified" } else { "DOES NOT VERIFY" },
        outcome.ledger.dir.display(),
        outcome.ledger.key
    ));
    if let Some(error) = outcome.error_text() {
        lines.push(safe(&error));
    } else if outcome.standing != "merged" {
        lines.push(format!("task {}: {}", outcome.task, outcome.standing));
        if let Some(number) = outcome.open_pull() {
            lines.push(format!("next: bailiwick pr show {number}; bailiwick pr approve {number}; bailiwick pr merge {number}"));
        }
    }
    lines.join("\n")
}

pub(crate) fn tasks(lines: &[TaskLine]) -> String {
    if lines.is_empty() {
        return "no task yet: `bailiwick run \"TASK\" --repo PATH` starts one".to_owned();
    }
    let rows = lines.iter().map(|line| {
        let scripted = if line.scripted { " (scripted)" } else { "" };
        format!(
            "{}  {:<16} {:>8}  {:<16} {}{scripted}",
            line.id,
            line.standing,
            line.cost.to_string(),
            line.repo.as_str(),
            safe(&line.title)
        )
    });
    rows.collect::<Vec<_>>().join("\n")
}

pub(crate) fn task(state: &TaskState) -> String {
    let task = &state.task;
    let mut lines = vec![
        format!("task {}: {}", task.id, standing(state)),
        safe(&task.title),
        format!(
            "repository {} ({}), asked for by {}, model {}/{}{}",
            task.repo,
            task.base_branch,
            task.requester,
            task.provider,
            safe(&task.model),
            if task.scripted { " (scripted)" } else { "" }
        ),
        format!(
            "cost {} of {}, {} tokens, {} actions, {} refused",
            state.cost,
            task.budget,
            state.usage.total_tokens(),
            state.actions,
            state.refusals.len()
        ),
    ];
    for stage in Stage::ALL {
        if let Some(progress) = state.stages.get(&stage) {
            lines.push(format!(
                "  {:<14} {:<8} {} ms",
                stage.name(),
                format!("{:?}", progress.state).to_lowercase(),
                progress.ms
            ));
        }
    }
    for (key, subtask) in &state.subtasks {
        let change = subtask
            .change
            .as_ref()
            .map_or_else(String::new, |change| format!(", pull request #{}", change.number));
        let next = state.next(key).map_or_else(String::new, |next| format!("{next:?}"));
        let next: String = next.chars().take_while(|c| c.is_alphanumeric()).collect();
        lines.push(format!(
            "subtask {key}: {}{change}; next: {next}; {} repair rounds",
            safe(&subtask.subtask.title),
            subtask.repairs_total
        ));
        for (tier, used) in &subtask.tiers {
            lines.push(format!(
                "  sandbox tier {tier} ({}): {}",
                tier.isolation(),
                safe(&used.describe())
            ));
        }
        for report in &subtask.gates {
            lines.push(format!(
                "  gate {}: {:?}: {}",
                report.gate,
                report.state,
                safe(&report.summary)
            ));
        }
        if let Some(question) = &subtask.question {
            lines.push(format!(
                "  a person is needed: {} [{}]\n  hint: {}",
                safe(&question.reason),
                question.code,
                safe(&question.hint)
            ));
        }
    }
    for refused in &state.refusals {
        lines.push(format!(
            "refused (entry {}): {} {} [{}]",
            refused.entry,
            refused.kind,
            safe(&refused.summary),
            refused.code
        ));
    }
    if let Some(ending) = &state.ending {
        lines.push(format!("ended: {:?}: {}", ending.end, safe(&ending.reason)));
        if let Some(hint) = &ending.hint {
            lines.push(format!(" hint: {}", safe(hint)));
        }
    }
    lines.join("\n")
}

pub(crate) fn repositories(lines: &[RepositoryLine]) -> String {
    if lines.is_empty() {
        return "no repository yet: `bailiwick repo import PATH`".to_owned();
    }
    let rows = lines.iter().map(|line| {
        format!("{:<24} {:<12} {}", line.name.as_str(), line.branch.as_str(), line.head)
    });
    rows.collect::<Vec<_>>().join("\n")
}

pub(crate) fn changes(lines: &[ChangeLine]) -> String {
    if lines.is_empty() {
        return "no pull request".to_owned();
    }
    let rows = lines.iter().map(|line| {
        let head: String = line.head.as_str().chars().take(12).collect();
        format!(
            "{} #{:<4} {:<7} {head}  into {:<12} {}",
            line.repo,
            line.number,
            line.state,
            line.base.as_str(),
            safe(&line.title)
        )
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// A pull request: description, then the diff with the steps beside each hunk.
pub(crate) fn change(view: &ChangeView) -> String {
    let mut lines = vec![
        format!(
            "{} #{} {} ({}, {} into {})",
            view.repo,
            view.number,
            safe(&view.title),
            view.state,
            view.branch,
            view.base
        ),
        format!("commit {}, task {}, asked for by {}", view.head, view.task, view.requester),
    ];
    if let Some(merged) = &view.merged {
        lines.push(format!("merged as {merged}"));
    }
    lines.push(String::new());
    lines.push(safe(&view.body));
    if !view.steps.is_empty() {
        lines.push("Steps (round.step, ledger entry, tools):".to_owned());
        for step in &view.steps {
            lines.push(format!(
                "  {:<6} entry {:<6} {}",
                step.name,
                step.entry,
                step.tools.join(", ")
            ));
        }
        lines.push(String::new());
    }
    files(&view.files, &mut lines);
    for thread in &view.threads {
        lines.push(format!(
            "remark {} on {}:{} ({} side, {})",
            thread.id,
            safe(&thread.path),
            thread.line,
            thread.side.name(),
            thread.state.name()
        ));
        for note in &thread.comments {
            lines.push(format!("   {}: {}", note.by, safe(&note.text)));
        }
    }
    for approval in &view.approvals {
        let note = if approval.simulated { " (simulated approver)" } else { "" };
        lines.push(format!("approved by {}{note} at {}", approval.reviewer, approval.head));
    }
    lines.join("\n")
}

fn files(files: &[FileView], lines: &mut Vec<String>) {
    for file in files {
        lines.push(format!("── {}  [{}]", safe(&file.path), file.steps.join(", ")));
        if file.binary {
            lines.push("   (no text to show)".to_owned());
        }
        for hunk in &file.hunks {
            lines.push(format!(
                "{}  ⟵ {}",
                safe(&hunk.header),
                if hunk.steps.is_empty() { "no step".to_owned() } else { hunk.steps.join(", ") }
            ));
            for line in &hunk.lines {
                let step = line.step.as_deref().unwrap_or("");
                lines.push(format!("{step:>6} {}{}", line.sign, safe(&line.text)));
            }
        }
    }
}

/// What changed since somebody's last review.
pub(crate) fn since(view: &SinceView) -> String {
    let mut lines = vec![format!(
        "{} #{} {}: from {}, which you reviewed, to {}",
        view.repo,
        view.number,
        safe(&view.title),
        view.from,
        view.to
    )];
    if view.base_then != view.base_now {
        lines.push("its base moved meanwhile; what came with it is shown too".to_owned());
    }
    if view.files.is_empty() {
        lines.push("nothing changed since".to_owned());
    }
    files(&view.files, &mut lines);
    lines.join("\n")
}

/// What a verification found.
pub(crate) fn verification(report: &Report) -> String {
    let mut lines = Vec::new();
    for problem in &report.problems {
        let entry = problem.entry.map_or_else(String::new, |entry| format!(", entry {entry}"));
        lines.push(format!("{}{entry}: {}", problem.file, safe(&problem.what)));
    }
    let root = report.root;
    lines.push(if report.ok() {
        format!("verified: {} entries, root {root}\n{}", report.entries, report.trusted)
    } else {
        format!("NOT VERIFIED: {} problems in {} entries", report.problems.len(), report.entries)
    });
    lines.join("\n")
}

/// What the merges so far say about the risk score.
pub(crate) fn calibration(found: &Calibration) -> String {
    let line = |name: &str, share: &Share| {
        let rate = share.per_mille().map_or_else(String::new, |(rate, low, high)| {
            let percent = |mille: u32| format!("{}.{}", mille / 10, mille % 10);
            format!("  {} % ({} to {} %)", percent(rate), percent(low), percent(high))
        });
        format!("{name:<24} {:>6} merged {:>6} taken back{rate}", share.merged, share.reverted)
    };
    let mut lines = vec![match found.since {
        Some(since) => format!("since {since}; in brackets the interval of 95 % (Wilson)"),
        None => "nothing was merged yet".to_owned(),
    }];
    lines.push(line("all", &found.all));
    lines.extend(
        found.bands.iter().map(|(band, share)| {
            line(&format!("risk {}", format!("{band:?}").to_lowercase()), share)
        }),
    );
    lines.extend(found.signals.iter().map(|(signal, share)| line(signal, share)));
    lines.join("\n")
}
