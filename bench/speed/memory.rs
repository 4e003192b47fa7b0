//! What the system says of a process's memory.

use anyhow::{Context, Result};

/// The most memory that a process had so far, in MiB.
pub(crate) fn peak(process: u32) -> Result<f64> {
    field(process, "VmHWM:")
}

fn field(process: u32, name: &str) -> Result<f64> {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("the field is missing")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1024.0)
}
