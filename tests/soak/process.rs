//! What the system says about the server's process.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long the connections that the gateway closed may stay open: the server notices at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Its resident memory, in KiB.
    pub(crate) memory: u64,
    /// The part of it that is not the program's file.
    pub(crate) anonymous: u64,
    /// Its open descriptors.
    pub(crate) descriptors: usize,
}

impl Held {
    /// What the process holds now.
    pub(crate) fn now(process: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status")).context("the server is gone")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("an unknown kind of status")?;
            anyhow::Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?)
        };
        let descriptors = descriptors(process)?.len();
        Ok(Self { memory: field("VmRSS")?, anonymous: field("RssAnon")?, descriptors })
    }

    /// The one of two with less memory.
    pub(crate) fn or_less(self, other: Self) -> Self {
        if other.memory < self.memory { other } else { self }
    }
}

/// Waits until a process has no more sockets than these: those that it has without connections.
pub(crate) fn wait_for_no_connections(process: u32, sockets_at_rest: usize) -> Result<()> {
    let start = Instant::now();
    while sockets(process)? > sockets_at_rest {
        if start.elapsed() > PATIENCE {
            bail!("connections that the gateway closed stay open");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory, anonymous, descriptors } = self;
        write!(f, "{memory} KiB resident ({anonymous} of them anonymous), {descriptors} descriptors")
    }
}

/// How many sockets a process has: besides its connections those by which it hears of signals.
pub(crate) fn sockets(process: u32) -> Result<usize> {
    Ok(descriptors(process)?.iter().filter(|name| name.starts_with("socket:")).count())
}

fn descriptors(process: u32) -> Result<Vec<String>> {
    let folder = fs::read_dir(format!("/proc/{process}/fd")).context("the server is gone")?;
    let names = folder.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    Ok(names.map(|name| name.display().to_string()).collect())
}
