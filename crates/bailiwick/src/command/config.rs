//! `bailiwick config …`

use anyhow::Result;
use serde_json::json;

use crate::arguments::{Common, ConfigVerb};
use crate::command::{Done, configuration};
use crate::config::Config;
use crate::terminal;

pub(crate) async fn run(common: &Common, verb: &ConfigVerb) -> Result<Done> {
    match verb {
        ConfigVerb::Schema => terminal::out_json(&Config::schema()),
        ConfigVerb::Check => {
            let config = configuration(common)?;
            crate::policies::check(&config.policy).await?;
            crate::notify::check(&config.webhook, &config.mail)?;
            let providers: Vec<&str> = config.providers.iter().map(|p| p.name.as_str()).collect();
            if common.json {
                terminal::out_json(&json!({"valid": true, "providers": providers}));
            } else {
                let listed =
                    if providers.is_empty() { "none".to_owned() } else { providers.join(", ") };
                terminal::out(&format!("the configuration is valid; providers: {listed}"));
            }
        }
    }
    Ok(Done::Yes)
}
