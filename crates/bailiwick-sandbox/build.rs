//! Builds the first process of containers as a static program, which is then
//! embedded. Where the C library has no static form the program is empty, and the tiers that need
//! it say so.

use std::path::PathBuf;
use std::process::Command;

const SOURCE: &str = "inside/main.rs";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let out = PathBuf::from(variable("OUT_DIR")).join("bailiwick-inside");
    let status = Command::new(variable("RUSTC"))
        .args(["--edition", "2024", "--crate-name", "bailiwick_inside", "--crate-type", "bin"])
        .args(["--target", &variable("TARGET")])
        .args(["-C", "opt-level=s", "-C", "panic=abort", "-C", "strip=symbols"])
        .args(["-C", "target-feature=+crt-static", "-o"])
        .arg(&out)
        .arg(SOURCE)
        .status();
    if !status.is_ok_and(|status| status.success()) {
        println!(
            "cargo::warning=no static program could be built: container tiers will be missing"
        );
        if let Err(error) = std::fs::write(&out, b"") {
            println!("cargo::error=cannot write `{}`: {error}", out.display());
        }
    }
}
