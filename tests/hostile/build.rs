//! Builds the probe for wasm32-wasip2.

use std::env;
use std::path::PathBuf;

use anyhow::Result;

#[path = "../../host/guest_build.rs"]
mod guest_build;

fn main() -> Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..");
    for input in ["tests/hostile/probe", "host/guest_build.rs", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let component = guest_build::build(&root, "hostile-probe", &out.join("probe"))?;
    println!("cargo::rustc-env=HOSTILE_PROBE={}", component.display());
    Ok(())
}
