//! `bailiwick approval …`, `freeze …`, `thaw`, `break-glass …`.

use anyhow::Result;
use bailiwick_engine::{EngineError, NewEmergency};
use bailiwick_model::Timestamp;
use bailiwick_model::approval::{ApprovalStatus, ApprovalUse, ApprovalVerdict, Delegation};
use bailiwick_model::emergency::EmergencyState;
use bailiwick_model::freeze::{Freeze, Frozen, Thaw};
use bailiwick_model::id::{ApprovalId, FreezeId};
use bailiwick_model::payload::Digest;
use serde_json::json;
use uuid::Uuid;

use crate::approvals::{
    self, AnswerParams, ApprovalView, DeclareParams, DelegateParams, FreezeParams,
};
use crate::arguments::{ApprovalVerb, BreakGlassVerb, Common, FreezeVerb, ThawArguments, Word};
use crate::command::{Done, Session, Told, configuration, person};
use crate::data_dir::DataDir;
use crate::terminal;
use crate::terminal::safe;

pub(crate) async fn approval(common: &Common, verb: ApprovalVerb) -> Result<Done> {
    let session = Session::open(common).await?;
    match verb {
        ApprovalVerb::List { all } => {
            let views: Vec<ApprovalView> = match &session {
                Session::Local { platform, .. } => approvals::list(&platform.engine, all),
                Session::Remote(remote) => remote.get(&format!("/approvals?all={all}")).await?,
            };
            if common.json {
                terminal::out_json(&views);
            } else {
                terminal::out(&listed(&views));
            }
        }
        ApprovalVerb::Show { approval } => show(common, &view(&session, approval).await?),
        ApprovalVerb::Grant { word, repeated } => {
            let usage = if repeated { ApprovalUse::Repeated } else { ApprovalUse::Once };
            answer(common, &session, word, ApprovalVerdict::Grant, usage).await?;
        }
        ApprovalVerb::Deny(word) => {
            answer(common, &session, word, ApprovalVerdict::Deny, ApprovalUse::Once).await?;
        }
        ApprovalVerb::Delegate { to, days } => {
            let params = DelegateParams { to, days };
            let delegation: Delegation = match &session {
                Session::Local { platform, caller } => {
                    let done = approvals::delegate(&platform.engine, caller, params).await;
                    done.map_err(Told::from)?
                }
                Session::Remote(remote) => remote.post("/delegations", &params).await?,
            };
            if common.json {
                terminal::out_json(&delegation);
            } else {
                terminal::out(&format!(
                    "{} answers for {} until {}",
                    delegation.to, delegation.from, delegation.until
                ));
            }
        }
    }
    Ok(Done::Yes)
}

async fn view(session: &Session, id: ApprovalId) -> Result<ApprovalView> {
    match session {
        Session::Local { platform, .. } => {
            Ok(approvals::show(&platform.engine, id).await.map_err(Told::from)?)
        }
        Session::Remote(remote) => remote.get(&format!("/approvals/{id}")).await,
    }
}

async fn answer(
    common: &Common,
    session: &Session,
    word: Word,
    verdict: ApprovalVerdict,
    usage: ApprovalUse,
) -> Result<()> {
    let shown = view(session, word.approval).await?;
    let digest: Digest = match &word.digest {
        // A prefix is enough, as for commits.
        Some(text) if text.len() >= 8 && shown.digest.to_string().starts_with(text.as_str()) => {
            shown.digest
        }
        Some(text) => text.parse().map_err(EngineError::from).map_err(Told::from)?,
        None => shown.digest,
    };
    let params = AnswerParams { verdict, usage, digest, note: word.message };
    let view: ApprovalView = match session {
        Session::Local { platform, caller } => {
            let engine = &platform.engine;
            let view = approvals::answer(engine, caller, word.approval, params).await;
            let view = view.map_err(Told::from)?;
            // Nobody else has this data directory: what waited goes on here.
            if let (Some(task), false) = (view.task, view.status == ApprovalStatus::Open) {
                engine.drive(task).await.map_err(Told::from)?;
            }
            approvals::show(engine, word.approval).await.map_err(Told::from)?
        }
        Session::Remote(remote) => {
            remote.post(&format!("/approvals/{}/answer", word.approval), &params).await?
        }
    };
    show(common, &view);
    Ok(())
}

fn show(common: &Common, view: &ApprovalView) {
    if common.json {
        terminal::out_json(view);
    } else {
        terminal::out(&safe(&shown(view)));
    }
}

fn listed(views: &[ApprovalView]) -> String {
    if views.is_empty() {
        return "nothing waits for an answer".to_owned();
    }
    let lines = views.iter().map(|view| {
        safe(&format!(
            "{} {} {}: {} (for {}, asks {})",
            view.id,
            view.status.name(),
            view.kind,
            view.summary,
            view.requester,
            asked(view)
        ))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn asked(view: &ApprovalView) -> String {
    let needs = view.needs.iter().map(|need| format!("{} of {}", need.quorum, need.group));
    needs.collect::<Vec<_>>().join(" and ")
}

fn shown(view: &ApprovalView) -> String {
    let mut lines = vec![
        format!("approval {}: {}", view.id, view.status.name()),
        format!("  what      {} {}", view.kind, view.summary),
        format!("  who       the {} of a task, for {}", view.role, view.requester),
        format!("  where     {}", view.repo),
        format!("  why       {} (rules: {})", view.reason, view.rules.join(", ")),
        format!("  asks      {}", asked(view)),
        format!("  until     {}", view.expires_at),
        format!("  digest    {}", view.digest),
    ];
    if let Some(tree) = &view.tree {
        lines.push(format!("  tree      {tree}"));
    }
    lines.push(format!("  whole     {}", view.action));
    for (name, text) in &view.texts {
        lines.push(format!("  {name}:"));
        lines.extend(text.lines().map(|line| format!("    | {line}")));
    }
    for answer in &view.answers {
        let verdict = match answer.verdict {
            ApprovalVerdict::Grant => "granted",
            ApprovalVerdict::Deny => "denied",
        };
        let stands_in = answer
            .for_person
            .as_ref()
            .map_or_else(String::new, |person| format!(" in place of {person}"));
        lines.push(format!("  answer    {}{stands_in} {verdict}: {}", answer.by, answer.note));
    }
    if view.status == ApprovalStatus::Open {
        lines.push(format!(
            "  bailiwick approval grant {}             {}",
            view.id, view.once_means
        ));
        lines.push(format!(
            "  bailiwick approval grant {} --repeated  {}",
            view.id, view.repeated_means
        ));
        lines.push(format!("  bailiwick approval deny {}", view.id));
    }
    lines.join("\n")
}

pub(crate) async fn freeze(common: &Common, verb: FreezeVerb) -> Result<Done> {
    let Some((frozen, reason)) = verb.order() else {
        let freezes: Vec<Freeze> = match &Session::open(common).await? {
            Session::Local { platform, .. } => {
                platform.engine.freezes().await.map_err(Told::from)?
            }
            Session::Remote(remote) => remote.get("/freezes").await?,
        };
        if common.json {
            terminal::out_json(&freezes);
        } else if freezes.is_empty() {
            terminal::out("nothing is frozen");
        } else {
            let lines: Vec<String> = freezes.iter().map(|freeze| safe(&line(freeze))).collect();
            terminal::out(&lines.join("\n"));
        }
        return Ok(Done::Yes);
    };
    let freeze: Freeze = match Session::open(common).await {
        Ok(Session::Local { platform, caller }) => {
            platform.engine.freeze(&caller, frozen, &reason).await.map_err(Told::from)?
        }
        Ok(Session::Remote(remote)) => {
            remote.post("/freezes", &FreezeParams { frozen, reason }).await?
        }
        // Another process works on the data directory and serves nobody: it is told by a file.
        Err(error) if is_in_use(&error) => order(common, frozen, &reason)?,
        Err(error) => return Err(error),
    };
    if common.json {
        terminal::out_json(&freeze);
    } else {
        terminal::out(&safe(&line(&freeze)));
    }
    Ok(Done::Yes)
}

fn is_in_use(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<bailiwick_store::StoreError>()
        .is_some_and(|error| error.code() == "store.in_use")
}

fn order(common: &Common, frozen: Frozen, reason: &str) -> Result<Freeze> {
    if reason.trim().is_empty() {
        return Err(Told {
            code: "reason.missing".to_owned(),
            message: "a reason is needed: it is recorded".to_owned(),
            hint: "give it with `--reason \"…\"`".to_owned(),
        }
        .into());
    }
    let config = configuration(common)?;
    let freeze = Freeze {
        id: FreezeId::new(Uuid::now_v7()),
        frozen,
        reason: reason.trim().to_owned(),
        by: person(common, &config)?,
        at: Timestamp::now(),
    };
    let dir = DataDir::existing(&common.data)?;
    bailiwick_store::order_freeze(&dir.store(), &freeze)?;
    terminal::say("ordered: it holds from the next action on, and is recorded with it");
    Ok(freeze)
}

fn line(freeze: &Freeze) -> String {
    format!(
        "{} {} since {} by {}: {}",
        freeze.id, freeze.frozen, freeze.at, freeze.by, freeze.reason
    )
}

pub(crate) async fn thaw(common: &Common, arguments: &ThawArguments) -> Result<Done> {
    let config = configuration(common)?;
    let thaw: Thaw = match &Session::open(common).await? {
        Session::Local { platform, caller } => {
            let single_user = config.platform.single_user;
            let done = platform.engine.thaw(caller, arguments.freeze, single_user).await;
            done.map_err(Told::from)?
        }
        Session::Remote(remote) => {
            remote.post(&format!("/freezes/{}/thaw", arguments.freeze), &json!({})).await?
        }
    };
    if common.json {
        terminal::out_json(&thaw);
    } else {
        let note = if thaw.single_user { " (single-user mode: the same person)" } else { "" };
        terminal::out(&format!("{} is thawed by {}{note}", thaw.freeze, thaw.by));
    }
    Ok(Done::Yes)
}

pub(crate) async fn break_glass(common: &Common, verb: BreakGlassVerb) -> Result<Done> {
    let config = configuration(common)?;
    let session = Session::open(common).await?;
    let states: Vec<EmergencyState> = match (&session, verb) {
        (Session::Local { platform, .. }, BreakGlassVerb::List) => platform.engine.emergencies(),
        (Session::Remote(remote), BreakGlassVerb::List) => remote.get("/emergencies").await?,
        (
            Session::Local { platform, caller },
            BreakGlassVerb::Declare { name, repo, minutes, why },
        ) => {
            let new = NewEmergency {
                name,
                repo,
                reason: why.reason,
                minutes,
                single_user: config.platform.single_user,
            };
            let state = platform.engine.declare_emergency(caller, new).await;
            vec![state.map_err(Told::from)?]
        }
        (Session::Remote(remote), BreakGlassVerb::Declare { name, repo, minutes, why }) => {
            let params = DeclareParams { name, repo, reason: why.reason, minutes };
            vec![remote.post("/emergencies", &params).await?]
        }
        (Session::Local { platform, caller }, BreakGlassVerb::Confirm { emergency }) => {
            let state = platform.engine.confirm_emergency(caller, emergency).await;
            vec![state.map_err(Told::from)?]
        }
        (Session::Remote(remote), BreakGlassVerb::Confirm { emergency }) => {
            vec![remote.post(&format!("/emergencies/{emergency}/confirm"), &json!({})).await?]
        }
        (Session::Local { platform, caller }, BreakGlassVerb::End { emergency }) => {
            let state = platform.engine.end_emergency(caller, emergency).await;
            vec![state.map_err(Told::from)?]
        }
        (Session::Remote(remote), BreakGlassVerb::End { emergency }) => {
            vec![remote.post(&format!("/emergencies/{emergency}/end"), &json!({})).await?]
        }
    };
    if common.json {
        terminal::out_json(&states);
        return Ok(Done::Yes);
    }
    let now = Timestamp::now();
    let lines: Vec<String> = states
        .iter()
        .map(|state| {
            let standing = match (state.until(now), &state.confirmed) {
                (Some(until), _) => format!("in force until {until}"),
                (None, None) if state.ended.is_none() => "waits for a second person".to_owned(),
                (None, _) => "over".to_owned(),
            };
            let emergency = &state.emergency;
            safe(&format!(
                "{} `{}` for {} in {}: {standing}, used {} times: {}",
                emergency.id,
                emergency.name,
                emergency.by,
                emergency.repo,
                state.used_by.len(),
                emergency.reason
            ))
        })
        .collect();
    terminal::out(&lines.join("\n"));
    Ok(Done::Yes)
}
