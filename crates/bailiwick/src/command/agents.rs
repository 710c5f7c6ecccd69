//! `bailiwick agents`: the kinds of agents, and how to get those that are not here.

use std::sync::Arc;

use anyhow::Result;
use bailiwick_agent::{AgentInfo, program_kinds};
use serde::Serialize;

use crate::arguments::Common;
use crate::command::{Done, configuration};
use crate::{platform, terminal};

/// A kind that this release knows and the configuration does not name.
#[derive(Debug, Serialize)]
struct Available {
    kind: &'static str,
    tested_version: &'static str,
    how_to_get: String,
}

#[derive(Debug, Serialize)]
struct Listed {
    agents: Vec<AgentInfo>,
    available: Vec<Available>,
}

pub(crate) fn run(common: &Common) -> Result<Done> {
    let config = configuration(common)?;
    let gateway = Arc::new(platform::gateway(&config, None)?);
    let agents = platform::agents(&config, &gateway)?;
    let agents: Vec<AgentInfo> = agents.all().map(|agent| agent.info()).collect();
    let available = program_kinds()
        .into_iter()
        .filter(|(kind, _, _)| agents.iter().all(|agent| agent.kind != *kind))
        .map(|(kind, tested_version, how_to_get)| Available { kind, tested_version, how_to_get })
        .collect();
    let listed = Listed { agents, available };
    if common.json {
        terminal::out_json(&listed);
    } else {
        terminal::out(&shown(&listed));
    }
    Ok(Done::Yes)
}

fn shown(listed: &Listed) -> String {
    let mut lines = Vec::new();
    for agent in &listed.agents {
        lines.push(format!("{} {} ({})", agent.kind, agent.version, agent.title));
        if agent.version != agent.tested_version {
            lines.push(format!("  tested with {}", agent.tested_version));
        }
        lines.push(format!(
            "  runs in the {}, speaks {}; {}",
            agent.runs_in,
            agent.protocol,
            agent.roles.join(", ")
        ));
        lines.extend(agent.can.iter().map(|can| format!("  + {can}")));
        lines.extend(agent.cannot.iter().map(|cannot| format!("  - {cannot}")));
    }
    for kind in &listed.available {
        lines.push(format!("{} is not installed", kind.kind));
        lines.push(format!("  {}", kind.how_to_get));
    }
    lines.join("\n")
}
