//! A command runs in the tier that its decision asks for: a stronger one than the workspace was
//! opened in, never a weaker one, and an error where it is missing.

use std::sync::Arc;

use bailiwick_model::outcome::EffectError as _;
use bailiwick_model::tier::TierChoice;
use bailiwick_sandbox::{
    CageConfig, CommandOutcome, ProcessTier, Sandbox, SandboxError, Tier, Tiers,
};

use super::contract::skip;
use super::office::{asking, command, perform_with, place};

async fn run(
    sandbox: &dyn Sandbox,
    asked: &str,
    known: Option<Tier>,
    script: &str,
) -> Result<CommandOutcome, SandboxError> {
    let choice = known.map(|tier| TierChoice::usual(tier, "a test"));
    perform_with(&asking(asked), choice, sandbox, command(script)).await
}

fn runtime(outcome: &CommandOutcome) -> Option<&str> {
    outcome.applied.iter().find_map(|line| line.strip_prefix("runtime: "))
}

async fn raised(tier: Tier, runtime_name: &str) {
    let tiers = Tiers::new(ProcessTier::new().unwrap());
    if let Err(missing) = tiers.check(tier).await {
        return skip("rising", tier, &missing.reason);
    }
    let (_directory, workspace) = place();
    let sandbox = tiers.open_rising(Tier::Process, CageConfig::new(&workspace)).await.unwrap();
    let known = Some(Tier::Process);
    // The control: what no rule is about stays where the workspace was opened.
    let before = run(sandbox.as_ref(), tier.name(), known, "echo one > file").await.unwrap();
    assert_eq!(runtime(&before), None, "{before:?}");
    // The rule is about commands that say so; the files are the same in both tiers.
    let script = "cat file && echo two > file # rises";
    let risen = run(sandbox.as_ref(), tier.name(), known, script).await.unwrap();
    assert_eq!(runtime(&risen), Some(runtime_name), "{risen:?}");
    assert_eq!(risen.stdout_text(), "one\n");
    let after = run(sandbox.as_ref(), tier.name(), known, "cat file").await.unwrap();
    assert_eq!((runtime(&after), after.stdout_text().as_str()), (None, "two\n"));
}

#[tokio::test]
async fn from_process_to_container() {
    raised(Tier::Container, "runc").await;
}

#[tokio::test]
async fn from_process_to_gvisor() {
    raised(Tier::Gvisor, "runsc").await;
}

#[tokio::test]
async fn a_tier_that_is_missing_is_an_error_and_nothing_runs() {
    let process: Arc<ProcessTier> = Arc::new(ProcessTier::new().unwrap());
    let tiers = Tiers::of(vec![process]);
    let (_directory, workspace) = place();
    let sandbox = tiers.open_rising(Tier::Process, CageConfig::new(&workspace)).await.unwrap();
    for asked in ["container", "gvisor", "microvm"] {
        let error = run(sandbox.as_ref(), asked, None, "touch ran # rises").await.unwrap_err();
        assert_eq!(error.code(), "sandbox.tier_missing");
        assert!(error.hint().is_some_and(|hint| hint.contains("doctor")), "{error}");
        assert!(!error.possibly_done());
    }
    assert!(!workspace.join("ran").exists());
    // The control: the same command, when nothing asks for more than there is.
    run(sandbox.as_ref(), "process", None, "touch ran # rises").await.unwrap();
    assert!(workspace.join("ran").exists());
}

#[tokio::test]
async fn a_sandbox_refuses_what_was_decided_to_need_a_stronger_one() {
    let tiers = Tiers::new(ProcessTier::new().unwrap());
    for (tier, asked) in [
        (Tier::Process, "container"),
        (Tier::Process, "microvm"),
        (Tier::Container, "gvisor"),
        (Tier::Gvisor, "microvm"),
    ] {
        if let Err(missing) = tiers.check(tier).await {
            skip("refusing", tier, &missing.reason);
            continue;
        }
        let (_directory, workspace) = place();
        let sandbox = tiers.open(tier, CageConfig::new(&workspace)).await.unwrap();
        let error =
            run(sandbox.as_ref(), asked, Some(tier), "touch ran # rises").await.unwrap_err();
        assert_eq!(error.code(), "sandbox.tier_too_weak", "{tier}: {error}");
        assert!(!workspace.join("ran").exists(), "{tier}");
        let same = run(sandbox.as_ref(), tier.name(), Some(tier), "touch ran # rises").await;
        assert!(same.unwrap().succeeded() && workspace.join("ran").exists(), "{tier}");
    }
}
