//! `bailiwick sign-in`: a link for the browser, from whoever has the data directory's token.

use anyhow::Result;
use serde_json::{Value, json};

use crate::arguments::Common;
use crate::client::Remote;
use crate::command::{Done, Told};
use crate::data_dir::DataDir;
use crate::terminal;

pub(crate) async fn run(common: &Common) -> Result<Done> {
    let dir = DataDir::existing(&common.data)?;
    let server = dir.server().ok_or_else(|| Told {
        code: "server.not_running".to_owned(),
        message: format!("no server runs on `{}`", common.data.display()),
        hint: "`bailiwick serve` starts one and prints a link of its own".to_owned(),
    })?;
    let answer: Value = Remote::new(&dir, &server)?.post("/sign-in-links", &json!({})).await?;
    let path = answer.get("path").and_then(Value::as_str).unwrap_or_default();
    let url = format!("{}{path}", server.url);
    if common.json {
        terminal::out_json(&json!({"url": url, "seconds": answer.get("seconds")}));
    } else {
        terminal::out(&format!("{url}\n\nIt signs you in once, within fifteen minutes."));
    }
    Ok(Done::Yes)
}
