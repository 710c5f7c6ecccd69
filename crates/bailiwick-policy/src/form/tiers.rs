//! `[[sandbox]]`: the weakest sandbox tier for what matches.

use bailiwick_model::subject::Taint;
use bailiwick_model::tier::Tier;
use toml::Spanned;

use super::compile::{Compiler, commands, set};
use super::pattern::quote;
use super::{Generated, SandboxTier};
use crate::error::place;
use crate::schema::ROLES;

impl Compiler<'_> {
    pub(super) fn tier(&mut self, at: usize, section: &SandboxTier) {
        let start = section.tier.span().start;
        let Ok(least) = section.tier.get_ref().parse::<Tier>() else {
            self.fault(
                start,
                format!("`{}` is no tier that a rule can ask for", section.tier.get_ref()),
                "a tier that is not known would never be taken",
                format!("write one of: {}", Tier::ALL.map(Tier::name).join(", ")),
            );
            return;
        };
        let weaker: Vec<&str> =
            Tier::ALL.into_iter().filter(|tier| *tier < least).map(Tier::name).collect();
        // The tier without isolation is no minimum: the rule says where it will do.
        let unguarded = least == Tier::Worktree;
        let mut conditions = vec![match unguarded {
            true => "context.tier == \"worktree\"".to_owned(),
            false => format!("{}.contains(context.tier)", set(&weaker)),
        }];
        if let Some(list) = &section.repositories {
            let names = self.some(list);
            let uids = uids("Repository", &names);
            conditions.push(format!("[{uids}].contains(context.repository)"));
        }
        if let Some(list) = &section.classes {
            let names = self.some(list);
            conditions.push(format!("context.facts.classes.containsAny({})", set(&names)));
        }
        let roles = ROLES.map(|role| role.name());
        let taints = Taint::ALL.map(Taint::name);
        for (list, known, kind, before, after) in [
            (&section.roles, roles.as_slice(), "Role", "principal in [", "]"),
            (&section.taint, &taints, "Taint", "context.taint.containsAny([", "])"),
        ] {
            let Some(list) = list else { continue };
            let names = self.some(list);
            for one in list.get_ref() {
                if !known.contains(&one.get_ref().as_str()) {
                    self.fault(
                        one.span().start,
                        format!("`{}` is not known", one.get_ref().escape_debug()),
                        "a rule about it would never apply",
                        format!("use some of: {}", known.join(", ")),
                    );
                }
            }
            conditions.push(format!("{before}{}{after}", uids(kind, &names)));
        }
        // Only a command has one; without it an agent's own program is meant as well.
        let mut action = "action in [Action::\"command\", Action::\"agent_start\"]";
        if unguarded {
            action = "action == Action::\"command\"";
        }
        if let Some(list) = &section.commands {
            let names = self.some(list);
            action = "action == Action::\"command\"";
            conditions.push(format!("({})", commands(&names)));
        }
        for list in [&section.repositories, &section.classes, &section.commands] {
            for one in list.iter().flat_map(Spanned::get_ref) {
                if one.get_ref().contains('*') {
                    self.fault(
                        one.span().start,
                        format!("`{}` is a pattern", one.get_ref().escape_debug()),
                        "it is compared name by name and would never match",
                        "write every name out".to_owned(),
                    );
                }
            }
        }
        let id = section.id.clone().unwrap_or_else(|| format!("sandbox-{}", at + 1));
        let otherwise = match unguarded {
            true => "it is trusted to run without isolation".to_owned(),
            false => format!("it needs at least the sandbox tier {least}"),
        };
        let hint = format!(
            "The platform takes the tier {least} by itself where the machine has it: `bailiwick doctor`."
        );
        let hint = quote(section.hint.as_deref().unwrap_or(&hint));
        let (effect, hint) = match unguarded {
            true => ("permit", String::new()),
            false => ("forbid", format!("@hint({hint})\n")),
        };
        let text = format!(
            "@id({})\n@tier({})\n@reason({})\n{hint}{effect} (principal, {action}, resource)\nwhen {{ {} }};\n",
            quote(&format!("{}.{id}", self.prefix)),
            quote(least.name()),
            quote(section.reason.as_deref().unwrap_or(&otherwise)),
            conditions.join(" && "),
        );
        let (line, column) = place(&self.source.text, start);
        self.rules.push(Generated { text, line, column });
    }
}

fn uids(kind: &str, names: &[&str]) -> String {
    let uids: Vec<String> = names.iter().map(|name| format!("{kind}::{}", quote(name))).collect();
    uids.join(", ")
}
