//! `bailiwick user …`, `group …`, `token …`, `whoami`.

use anyhow::Result;
use bailiwick_model::identity::{Account, AccountKind, IdentityChange, TokenRecord};
use serde_json::json;

use crate::arguments::{Common, GroupVerb, TokenVerb, UserVerb};
use crate::command::{Done, Session};
use crate::identity::{self, CreateTokenParams, CreateTokenResponse, DirectoryView, WhoAmI};
use crate::terminal;
use crate::terminal::safe;

pub(crate) async fn user(common: &Common, verb: UserVerb) -> Result<Done> {
    let session = Session::open(common).await?;
    let change = match verb {
        UserVerb::List => None,
        UserVerb::Add { name, roles, service } => Some(IdentityChange::AccountAdded {
            account: Account {
                name,
                kind: if service { AccountKind::Service } else { AccountKind::Human },
                roles: roles.into_iter().collect(),
                owner: false,
                disabled: false,
            },
        }),
        UserVerb::Roles { name, roles } => {
            Some(IdentityChange::RolesSet { person: name, roles: roles.into_iter().collect() })
        }
        UserVerb::Disable { name } => Some(IdentityChange::AccountDisabled { person: name }),
        UserVerb::Enable { name } => Some(IdentityChange::AccountEnabled { person: name }),
    };
    let view = changed(&session, change).await?;
    if common.json {
        terminal::out_json(&view);
    } else {
        terminal::out(&accounts(&view));
    }
    Ok(Done::Yes)
}

pub(crate) async fn group(common: &Common, verb: GroupVerb) -> Result<Done> {
    let session = Session::open(common).await?;
    let change = match verb {
        GroupVerb::List => None,
        GroupVerb::Add { group } => Some(IdentityChange::GroupAdded { group }),
        GroupVerb::Remove { group } => Some(IdentityChange::GroupRemoved { group }),
        GroupVerb::Join { group, name } => {
            Some(IdentityChange::MemberAdded { group, person: name })
        }
        GroupVerb::Leave { group, name } => {
            Some(IdentityChange::MemberRemoved { group, person: name })
        }
    };
    let view = changed(&session, change).await?;
    if common.json {
        terminal::out_json(&view);
        return Ok(Done::Yes);
    }
    let mut lines = Vec::new();
    for (group, members) in &view.groups {
        let names: Vec<String> = members.iter().map(ToString::to_string).collect();
        lines.push(format!("{group}: {}", names.join(", ")));
    }
    if lines.is_empty() {
        lines.push("there is no group yet".to_owned());
    }
    terminal::out(&lines.join("\n"));
    Ok(Done::Yes)
}

pub(super) async fn changed(
    session: &Session,
    change: Option<IdentityChange>,
) -> Result<DirectoryView> {
    match (session, change) {
        (Session::Local { platform, .. }, None) => {
            Ok(identity::directory(&platform.engine.parts().store))
        }
        (Session::Local { platform, caller }, Some(change)) => {
            identity::change(&platform.engine, caller, change).await?;
            Ok(identity::directory(&platform.engine.parts().store))
        }
        (Session::Remote(remote), None) => remote.get("/identity").await,
        (Session::Remote(remote), Some(change)) => remote.post("/identity/changes", &change).await,
    }
}

fn accounts(view: &DirectoryView) -> String {
    if view.open {
        return "nobody has an account: whoever holds the data directory is everybody, and `--as` is believed".to_owned();
    }
    let lines = view.accounts.iter().map(|account| {
        let roles: Vec<&str> = account.roles.iter().map(|role| role.name()).collect();
        let kind = match account.kind {
            AccountKind::Human => "",
            AccountKind::Service => " (program)",
        };
        let owner = if account.owner { " (owner of the data directory)" } else { "" };
        let closed = if account.disabled { " closed" } else { "" };
        format!("{}{kind}{owner}{closed}: {}", account.name, roles.join(", "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) async fn token(common: &Common, verb: TokenVerb) -> Result<Done> {
    let session = Session::open(common).await?;
    let tokens: Vec<TokenRecord> = match verb {
        TokenVerb::Create(new) => {
            let params = CreateTokenParams {
                person: new.owner,
                label: new.label,
                scopes: new.scopes,
                days: Some(new.expires),
            };
            let created: CreateTokenResponse = match &session {
                Session::Local { platform, caller } => {
                    identity::create_token(&platform.engine, caller, params).await?
                }
                Session::Remote(remote) => remote.post("/tokens", &params).await?,
            };
            if common.json {
                terminal::out_json(&created);
            } else {
                terminal::say(&format!(
                    "a token of {}, until {}; it is shown this once",
                    created.token.person, created.token.expires_at
                ));
                terminal::out(&created.secret);
            }
            return Ok(Done::Yes);
        }
        TokenVerb::List => match &session {
            Session::Local { platform, caller } => {
                identity::tokens(&platform.engine.parts().store, caller)
            }
            Session::Remote(remote) => remote.get("/tokens").await?,
        },
        TokenVerb::Revoke { token } => match &session {
            Session::Local { platform, caller } => {
                identity::revoke_token(&platform.engine, caller, token).await?;
                identity::tokens(&platform.engine.parts().store, caller)
            }
            Session::Remote(remote) => {
                remote.post(&format!("/tokens/{token}/revoke"), &json!({})).await?
            }
        },
    };
    if common.json {
        terminal::out_json(&tokens);
    } else {
        let lines: Vec<String> = tokens
            .iter()
            .map(|token| {
                let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.name()).collect();
                let label = safe(&token.label);
                format!(
                    "{} {} [{}] until {} {label}",
                    token.id,
                    token.person,
                    scopes.join(", "),
                    token.expires_at
                )
            })
            .collect();
        terminal::out(&lines.join("\n"));
    }
    Ok(Done::Yes)
}

pub(crate) async fn whoami(common: &Common) -> Result<Done> {
    let session = Session::open(common).await?;
    let me: WhoAmI = match &session {
        Session::Local { caller, .. } => WhoAmI::from(caller),
        Session::Remote(remote) => remote.get("/whoami").await?,
    };
    if common.json {
        terminal::out_json(&me);
    } else {
        terminal::out(&format!("{}: {}", me.person, me.roles.join(", ")));
    }
    Ok(Done::Yes)
}
