//! What the system says of a process.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// The most memory that a process had so far, in MiB.
pub(crate) fn peak_memory(process: u32) -> Result<f64> {
    let status = read(&format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the field is missing")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes / 1024.0)
}

/// How long the threads that a process has now were on a processor so far, in it and in the kernel.
pub(crate) fn processor_time(process: u32) -> Result<Duration> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).context("cannot read the threads")?;
    threads
        .map(|thread| {
            let schedule = read(&thread?.path().join("schedstat").to_string_lossy())?;
            let nanoseconds = schedule.split(' ').next().context("the field is missing")?;
            Ok(Duration::from_nanos(nanoseconds.parse()?))
        })
        .sum()
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{path}`"))
}
