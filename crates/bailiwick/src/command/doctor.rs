//! `bailiwick doctor`: what works on this machine, and how to get what does not.

use std::process::Command;

use anyhow::Result;
use bailiwick_sandbox::{Tier, Tiers};
use serde::Serialize;

use crate::arguments::Common;
use crate::command::{Done, configuration};
use crate::data_dir::DataDir;
use crate::solver::{HOW_TO_GET, Prover};
use crate::terminal;

#[derive(Debug, Serialize)]
struct Finding {
    area: String,
    name: String,
    ok: bool,
    /// Whether nothing works without it.
    needed: bool,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    how_to_get: Option<String>,
}

pub(crate) async fn run(common: &Common) -> Result<Done> {
    let mut findings = vec![git()];
    let chosen = configuration(common).map_or(Tier::Process, |config| config.sandbox.tier);
    for report in Tiers::new(crate::platform::process_tier(None)?).report().await {
        let area = format!("sandbox tier `{}` ({})", report.tier, report.tier.isolation());
        findings.extend(report.probes.into_iter().map(|probe| Finding {
            area: area.clone(),
            // Only the tier that is in use has to work, and the one of what no rule trusts.
            needed: probe.needed && [chosen, chosen.max(Tier::Process)].contains(&report.tier),
            name: probe.name,
            ok: probe.ok,
            detail: probe.detail,
            how_to_get: probe.how_to_get,
        }));
    }
    findings.extend(configured(common).await);
    findings.push(solver(common).await);
    findings.push(data(common));
    let all = findings.iter().all(|finding| finding.ok || !finding.needed);
    if common.json {
        terminal::out_json(&findings);
    } else {
        terminal::out(&shown(&findings, all));
    }
    Ok(if all { Done::Yes } else { Done::No })
}

fn git() -> Finding {
    let output = Command::new("git").arg("--version").output();
    let (ok, detail) = match output {
        Ok(output) if output.status.success() => {
            (true, String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(output) => (false, format!("`git --version` failed: {}", output.status)),
        Err(error) => (false, error.to_string()),
    };
    Finding {
        area: "git".to_owned(),
        name: "git".to_owned(),
        ok,
        needed: true,
        detail,
        how_to_get: (!ok).then(|| "apt-get install git".to_owned()),
    }
}

async fn configured(common: &Common) -> Vec<Finding> {
    let config = match configuration(common) {
        Ok(config) => config,
        Err(error) => {
            return vec![Finding {
                area: "configuration".to_owned(),
                name: "file".to_owned(),
                ok: false,
                needed: true,
                detail: format!("{error:#}"),
                how_to_get: Some("`bailiwick config check`".to_owned()),
            }];
        }
    };
    if config.providers.is_empty() {
        return vec![Finding {
            area: "models".to_owned(),
            name: "provider".to_owned(),
            ok: false,
            needed: false,
            detail: "no provider is configured; the demonstration needs none".to_owned(),
            how_to_get: Some(
                "set ANTHROPIC_API_KEY or OPENAI_API_KEY, or write a `[[provider]]`".to_owned(),
            ),
        }];
    }
    let prices = bailiwick_gateway::PriceTable::built_in();
    let gateway = prices.map_err(|error| error.to_string()).and_then(|prices| {
        bailiwick_gateway::Gateway::new(&config.providers, prices)
            .map_err(|error| error.to_string())
    });
    match gateway {
        Err(detail) => vec![Finding {
            area: "models".to_owned(),
            name: "providers".to_owned(),
            ok: false,
            needed: true,
            detail,
            how_to_get: Some("correct the `[[provider]]` entries".to_owned()),
        }],
        Ok(gateway) => gateway
            .doctor()
            .await
            .into_iter()
            .map(|check| Finding {
                area: "models".to_owned(),
                name: check.provider.clone(),
                ok: check.is_usable(),
                needed: false,
                detail: format!(
                    "{}: key {:?}, connection {:?}",
                    check.kind, check.key, check.connection
                ),
                how_to_get: None,
            })
            .collect(),
    }
}

/// The solver of `policy prove`. Without it proofs are propositional, which proves less.
async fn solver(common: &Common) -> Finding {
    let config = configuration(common).map(|config| config.policy).unwrap_or_default();
    let prover = Prover::start(&config).await;
    let (ok, detail) = match (prover.name(), &prover.trouble) {
        (Some(name), _) => (true, format!("{name} proves claims about policies")),
        (None, Some(trouble)) => {
            (false, format!("{trouble}; claims about policies are proved without one"))
        }
        (None, None) => (true, "switched off (`policy.solver`)".to_owned()),
    };
    Finding {
        area: "policy".to_owned(),
        name: "solver".to_owned(),
        ok,
        needed: false,
        detail,
        how_to_get: (!ok).then(|| HOW_TO_GET.to_owned()),
    }
}

fn data(common: &Common) -> Finding {
    let opened = DataDir::open(&common.data).and_then(|dir| {
        let probe = dir.root().join(".doctor");
        std::fs::write(&probe, b"x")?;
        std::fs::remove_file(&probe)?;
        Ok(dir)
    });
    let (ok, detail) = match opened {
        Ok(dir) => (true, format!("`{}` can be written", dir.root().display())),
        Err(error) => (false, format!("{error:#}")),
    };
    Finding {
        area: "data".to_owned(),
        name: "data directory".to_owned(),
        ok,
        needed: true,
        detail,
        how_to_get: (!ok).then(|| "choose another with `--data DIR`".to_owned()),
    }
}

fn shown(findings: &[Finding], all: bool) -> String {
    let mut text = String::new();
    let mut area = "";
    for finding in findings {
        if finding.area != area {
            area = &finding.area;
            text.push_str(&format!("{area}\n"));
        }
        let mark = match (finding.ok, finding.needed) {
            (true, _) => "ok  ",
            (false, true) => "FAIL",
            (false, false) => "none",
        };
        text.push_str(&format!(
            "  {mark} {:<24} {}\n",
            finding.name,
            terminal::safe(&finding.detail)
        ));
        if let Some(how) = &finding.how_to_get {
            text.push_str(&format!("       {:<24} how to get it: {how}\n", ""));
        }
    }
    text.push_str(if all {
        "everything that is needed works"
    } else {
        "something that is needed does not work"
    });
    text
}
