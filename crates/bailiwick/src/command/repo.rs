//! `bailiwick repo …`

use anyhow::{Context as _, Result};
use bailiwick_model::identity::IdentityChange;

use crate::arguments::{AccessArguments, Common, RepoVerb};
use crate::command::people::changed;
use crate::command::{Done, Session, Told};
use crate::operations::{self, ImportParams, RepositoryLine};
use crate::{render, terminal};

pub(crate) async fn run(common: &Common, verb: RepoVerb) -> Result<Done> {
    let session = Session::open(common).await?;
    let lines: Vec<RepositoryLine> = match verb {
        RepoVerb::Access(arguments) => return access(common, &session, &arguments).await,
        RepoVerb::List => match &session {
            Session::Local { platform, .. } => {
                operations::repositories(&platform.engine).await.map_err(Told::from)?
            }
            Session::Remote(remote) => remote.get("/repositories").await?,
        },
        RepoVerb::Import { path, name, branch } => {
            let path = std::fs::canonicalize(&path)
                .with_context(|| format!("cannot open `{}`", path.display()))?;
            let params = ImportParams { path, name, branch };
            vec![match &session {
                Session::Local { platform, caller } => {
                    operations::import(&platform.engine, &caller.person, params)
                        .await
                        .map_err(Told::from)?
                }
                Session::Remote(remote) => remote.post("/repositories", &params).await?,
            }]
        }
    };
    if common.json {
        terminal::out_json(&lines);
    } else {
        terminal::out(&render::repositories(&lines));
    }
    Ok(Done::Yes)
}

/// Sets who may do what in a repository, and shows it.
async fn access(common: &Common, session: &Session, arguments: &AccessArguments) -> Result<Done> {
    let repo = &arguments.repo;
    let change = arguments
        .access()
        .map(|access| IdentityChange::RepoAccessSet { repo: repo.clone(), access });
    let view = changed(session, change).await?;
    let found = view.access.get(repo);
    if common.json {
        terminal::out_json(&found);
        return Ok(Done::Yes);
    }
    let Some(access) = found else {
        terminal::out(&format!("nothing is said of `{repo}`: whoever has an account may write"));
        return Ok(Done::Yes);
    };
    let mut lines = vec![format!("everybody: {}", access.everybody.name())];
    lines.extend(access.people.iter().map(|(who, right)| format!("{who}: {}", right.name())));
    terminal::out(&lines.join("\n"));
    Ok(Done::Yes)
}
