//! `bailiwick task …`

use anyhow::Result;
use bailiwick_model::event::Entry;
use bailiwick_model::remark::Message;
use bailiwick_model::workflow::TaskState;
use serde_json::json;

use crate::arguments::{Common, TaskVerb};
use crate::command::{Done, Session, Told};
use crate::operations::{self, RaiseParams, SteerParams, TaskLine};
use crate::progress::line_of;
use crate::{render, terminal};

const PAGE: usize = 1_000;

pub(crate) async fn run(common: &Common, verb: TaskVerb) -> Result<Done> {
    let session = Session::open(common).await?;
    match verb {
        TaskVerb::List { limit } => {
            let lines: Vec<TaskLine> = match &session {
                Session::Local { platform, .. } => {
                    operations::list_tasks(&platform.engine, limit).await.map_err(Told::from)?
                }
                Session::Remote(remote) => remote.get(&format!("/tasks?limit={limit}")).await?,
            };
            if common.json {
                terminal::out_json(&lines);
            } else {
                terminal::out(&render::tasks(&lines));
            }
            Ok(Done::Yes)
        }
        TaskVerb::Show(task) => {
            let state = state(&session, &task.id).await?;
            show(common, &state);
            Ok(Done::Yes)
        }
        TaskVerb::Logs { task, follow } => logs(common, &session, &task.id, follow).await,
        TaskVerb::Cancel { task, reason } => {
            let state: TaskState = match &session {
                Session::Local { platform, caller } => {
                    let engine = &platform.engine;
                    let id = operations::find_task(engine, &task.id).await.map_err(Told::from)?;
                    engine.cancel(id, &caller.person, &reason).await.map_err(Told::from)?;
                    engine.state(id).await.map_err(Told::from)?
                }
                Session::Remote(remote) => {
                    remote
                        .post(&format!("/tasks/{}/cancel", task.id), &json!({"reason": reason}))
                        .await?
                }
            };
            show(common, &state);
            Ok(Done::Yes)
        }
        TaskVerb::Raise { task, budget, tier, reason } => {
            let params = RaiseParams {
                budget_micro_usd: budget.as_deref().map(super::run::parse_budget).transpose()?,
                tier: tier.map(|tier| tier.name().to_owned()),
                reason,
            };
            let state: TaskState = match &session {
                Session::Local { platform, caller } => {
                    let engine = &platform.engine;
                    let id = operations::find_task(engine, &task.id).await.map_err(Told::from)?;
                    operations::raise(engine, &caller.person, id, &params)
                        .await
                        .map_err(Told::from)?
                }
                Session::Remote(remote) => {
                    remote.post(&format!("/tasks/{}/raise", task.id), &params).await?
                }
            };
            show(common, &state);
            Ok(Done::Yes)
        }
        TaskVerb::Retry(task) => go_on(common, &session, &task.id, true).await,
        TaskVerb::Steer { task, message, subtask } => {
            let params = SteerParams { text: message, subtask };
            let said: Message = match &session {
                Session::Local { platform, caller } => {
                    let engine = &platform.engine;
                    let id = operations::find_task(engine, &task.id).await.map_err(Told::from)?;
                    let said = operations::steer(engine, &caller.person, id, params).await;
                    said.map_err(Told::from)?
                }
                Session::Remote(remote) => {
                    remote.post(&format!("/tasks/{}/messages", task.id), &params).await?
                }
            };
            if common.json {
                terminal::out_json(&said);
            } else {
                terminal::out("recorded; the agent hears it before it next asks its model");
            }
            Ok(Done::Yes)
        }
        TaskVerb::Pause { task, reason } => {
            let state: TaskState = match &session {
                Session::Local { platform, caller } => {
                    let engine = &platform.engine;
                    let id = operations::find_task(engine, &task.id).await.map_err(Told::from)?;
                    engine.pause(id, &caller.person, &reason).await.map_err(Told::from)?;
                    engine.state(id).await.map_err(Told::from)?
                }
                Session::Remote(remote) => {
                    let path = format!("/tasks/{}/pause", task.id);
                    remote.post(&path, &json!({"reason": reason})).await?
                }
            };
            show(common, &state);
            Ok(Done::Yes)
        }
        TaskVerb::Resume(task) => go_on(common, &session, &task.id, false).await,
    }
}

async fn state(session: &Session, task: &str) -> Result<TaskState> {
    match session {
        Session::Local { platform, .. } => {
            let id = operations::find_task(&platform.engine, task).await.map_err(Told::from)?;
            Ok(platform.engine.state(id).await.map_err(Told::from)?)
        }
        Session::Remote(remote) => remote.get(&format!("/tasks/{task}")).await,
    }
}

fn show(common: &Common, state: &TaskState) {
    if common.json {
        terminal::out_json(state);
    } else {
        terminal::out(&render::task(state));
    }
}

async fn logs(common: &Common, session: &Session, task: &str, follow: bool) -> Result<Done> {
    let mut after: Option<u64> = None;
    loop {
        let entries: Vec<Entry> = match session {
            Session::Local { platform, .. } => {
                let id = operations::find_task(&platform.engine, task).await.map_err(Told::from)?;
                operations::events(&platform.engine, id, after, PAGE).await.map_err(Told::from)?
            }
            Session::Remote(remote) => {
                let after = after.map_or_else(String::new, |after| format!("&after={after}"));
                remote.get(&format!("/tasks/{task}/events?limit={PAGE}{after}")).await?
            }
        };
        for entry in &entries {
            if common.json {
                terminal::out(&serde_json::to_string(entry)?);
            } else if let Some(line) = line_of(entry) {
                terminal::out(&format!(
                    "{:>6} {} {line}",
                    entry.seq,
                    entry.at.strftime("%H:%M:%S")
                ));
            }
        }
        let full = entries.len() == PAGE;
        after = entries.last().map(|entry| entry.seq).or(after);
        if full {
            continue;
        }
        let over = state(session, task).await?.is_over();
        if !follow || over {
            return Ok(Done::Yes);
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

async fn go_on(common: &Common, session: &Session, task: &str, retry: bool) -> Result<Done> {
    match session {
        Session::Local { platform, caller } => {
            let engine = &platform.engine;
            let id = operations::find_task(engine, task).await.map_err(Told::from)?;
            if retry {
                engine.retry(id, &caller.person).await.map_err(Told::from)?;
            } else if engine.state(id).await.map_err(Told::from)?.paused.is_some() {
                engine.unpause(id, &caller.person).await.map_err(Told::from)?;
            }
            let driven = engine.drive(id).await;
            let error = driven.err().map(Told::from);
            let outcome = super::run::outcome(platform, id, error.map(Into::into)).await?;
            super::finish(common, &outcome)
        }
        Session::Remote(remote) => {
            // A server takes its open tasks up by itself.
            let path = format!("/tasks/{task}/retry");
            let state: TaskState = if retry {
                remote.post(&path, &json!({})).await?
            } else {
                let state = state(session, task).await?;
                if state.paused.is_some() {
                    remote.post(&format!("/tasks/{task}/resume"), &json!({})).await?
                } else {
                    state
                }
            };
            show(common, &state);
            Ok(Done::Yes)
        }
    }
}
