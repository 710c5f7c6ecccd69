//! `bailiwick serve`: API, git over HTTP, and workers in one process.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bailiwick_engine::Engine;
use bailiwick_model::id::TaskId;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{self, Shared};
use crate::arguments::{Common, ServeArguments};
use crate::command::{Done, Told, configuration, person};
use crate::data_dir::{DataDir, ServerInfo};
use crate::notify::Notifier;
use crate::platform::Platform;
use crate::terminal;
use crate::web::{BrowserSessions, Folds, LiveTraces};

/// How often requests for approval are looked at.
const TEND: Duration = Duration::from_secs(5);

/// How long open requests are waited for at the end.
const LAST_CALL: Duration = Duration::from_secs(10);

pub(crate) async fn run(common: &Common, arguments: &ServeArguments) -> Result<Done> {
    let config = configuration(common)?;
    let person = person(common, &config)?;
    let listen = arguments.listen.clone().unwrap_or_else(|| config.server.listen.clone());
    let dir = DataDir::open(&common.data)?;
    let platform = Platform::open(dir, &config, None).await?;
    let listener = TcpListener::bind(&listen).await.map_err(|error| Told {
        code: "server.cannot_listen".to_owned(),
        message: format!("cannot listen on `{listen}`: {error}"),
        hint: "choose another address with `--listen ADDRESS:PORT`, or end what listens there"
            .to_owned(),
    })?;
    let address = listener.local_addr().context("cannot read the address")?;
    let token = platform.dir.token()?;
    let notifier = Notifier::open(&config, &platform)?;
    let (queue, tasks) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let shared = Shared {
        engine: platform.engine.clone(),
        config: Arc::new(config),
        token: token.clone().into(),
        person,
        queue,
        sessions: Arc::new(BrowserSessions::open(platform.dir.browser_sessions())),
        live: LiveTraces::default(),
        folds: Folds::default(),
        background: TaskTracker::new(),
        csp_reports: Arc::default(),
        ledger_key: platform.ledger_key.to_string().into(),
        data_ledger: platform.dir.ledger().display().to_string().into(),
        stop: stop.clone(),
        policies: Arc::clone(&platform.policies),
    };
    let announced = Announced::write(&platform.dir, address)?;
    let link = shared.sessions.link(
        &shared.person,
        bailiwick_model::identity::Proof::Owner,
        bailiwick_model::Timestamp::now(),
    )?;
    greet(common, address, &token, &link, &platform);
    let background = shared.background.clone();
    let mut parts = JoinSet::new();
    parts.spawn(work(platform.engine.clone(), tasks, stop.clone()));
    let engine_parts = platform.engine.parts();
    parts.spawn(Arc::clone(&platform.policies).watch(
        Arc::clone(&engine_parts.forge),
        Arc::clone(&engine_parts.warden),
        engine_parts.store.clone(),
        stop.clone(),
    ));
    parts.spawn(tend(platform.engine.clone(), stop.clone()));
    parts.spawn(notifier.run(platform.engine.clone(), stop.clone()));
    let ended = stop.clone();
    parts.spawn(async move {
        wait_for_signal().await;
        ended.cancel();
    });
    let serving = axum::serve(listener, api::router(shared))
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    let served = tokio::select! {
        served = serving => served,
        () = last_call(&stop) => Ok(()),
    };
    stop.cancel();
    while parts.join_next().await.is_some() {}
    background.close();
    background.wait().await;
    drop(announced);
    platform.engine.parts().store.checkpoint().await?;
    served.context("the server failed")?;
    Ok(Done::Yes)
}

fn greet(common: &Common, address: SocketAddr, token: &str, link: &str, platform: &Platform) {
    if common.json {
        terminal::out_json(&json!({
            "url": format!("http://{address}"),
            "token": token,
            "sign_in": format!("http://{address}/sign-in?code={link}"),
        }));
        return;
    }
    terminal::out(&format!(
        "bailiwick serves on http://{address}\n\n  web    http://{address}/sign-in?code={link}\n         signs you in once; `bailiwick sign-in` makes another\n  API    curl -H 'Authorization: Bearer {token}' http://{address}/api/v1/tasks\n  git    git clone http://me:{token}@{address}/git/NAME.git\n  data   {}\n\nCtrl-C ends it; everything goes on at the next start.",
        platform.dir.root().display()
    ));
}

/// The file that tells other commands of this server, for as long as it runs.
struct Announced(std::path::PathBuf);

impl Announced {
    fn write(dir: &DataDir, address: SocketAddr) -> Result<Self> {
        let info = ServerInfo { url: format!("http://{address}"), pid: std::process::id() };
        let path = dir.server_file();
        std::fs::write(&path, serde_json::to_vec(&info)?)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(%error, "server.json was not removed");
        }
    }
}

/// The longest that open requests may keep a server that ends.
async fn last_call(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST_CALL).await;
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Takes up every open task, and then those that come in; each is followed until it is over.
async fn work(engine: Engine, mut tasks: mpsc::UnboundedReceiver<TaskId>, stop: CancellationToken) {
    let mut running = JoinSet::new();
    let mut followed = BTreeSet::new();
    let open = engine.parts().store.open_tasks().await.unwrap_or_else(|error| {
        tracing::error!(%error, "the open tasks can't be read");
        Vec::new()
    });
    for id in open {
        followed.insert(id);
        running.spawn(follow(engine.clone(), id));
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            id = tasks.recv() => {
                let Some(id) = id else { break };
                // One that is followed already is woken by what was recorded of it.
                if followed.insert(id) {
                    running.spawn(follow(engine.clone(), id));
                }
            }
            Some(done) = running.join_next() => {
                if let Ok(id) = done {
                    followed.remove(&id);
                }
            }
        }
    }
    // What runs is cut off here as by a crash, and taken up again at the next start.
    running.shutdown().await;
}

/// Lets requests for approval lapse, and asks further people, when it is time.
async fn tend(engine: Engine, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = engine.tend_approvals().await {
            tracing::error!(code = %error.code(), %error, "requests for approval can't be tended");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(TEND) => {}
        }
    }
}

async fn follow(engine: Engine, id: TaskId) -> TaskId {
    if let Err(error) = engine.follow(id).await {
        tracing::error!(task = %id, code = %error.code(), %error, "a task stopped");
    }
    id
}
