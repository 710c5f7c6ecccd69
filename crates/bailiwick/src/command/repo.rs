//! `bailiwick repo …`

use anyhow::{Context as _, Result};

use crate::arguments::{Common, RepoVerb};
use crate::command::{Done, Session, Told};
use crate::operations::{self, ImportParams, RepositoryLine};
use crate::{render, terminal};

pub(crate) async fn run(common: &Common, verb: RepoVerb) -> Result<Done> {
    let session = Session::open(common).await?;
    let lines: Vec<RepositoryLine> = match verb {
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
