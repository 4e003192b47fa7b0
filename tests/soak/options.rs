//! What the soak is asked to do.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

const USAGE: &str = "usage: soak [--minutes N] [--seed S] [SERVER]";

/// How long it takes when nothing else is said.
const DEFAULT: Duration = Duration::from_secs(600);

/// The command line.
pub(crate) struct Options {
    /// How long to go on.
    pub(crate) duration: Duration,
    /// What every choice follows from.
    pub(crate) seed: u64,
    /// The program to try.
    pub(crate) server: PathBuf,
}

impl Options {
    /// Reads the command line. Without a server it is the one that was built beside this program, without a seed it
    /// is another one each time.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut options = Self { duration: DEFAULT, seed, server: beside_this()? };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("`{argument}` needs a value\n{USAGE}"));
            match argument.as_str() {
                "--minutes" => options.duration = minutes(&value()?)?,
                "--seed" => options.seed = value()?.parse().context("`--seed` is a number")?,
                flag if flag.starts_with('-') => bail!("unexpected argument `{flag}`\n{USAGE}"),
                server => options.server = server.into(),
            }
        }
        options.server = options.server.canonicalize().with_context(|| format!("no `{}`", options.server.display()))?;
        Ok(options)
    }
}

fn minutes(text: &str) -> Result<Duration> {
    let minutes: f64 = text.parse().context("`--minutes` is a number")?;
    Duration::try_from_secs_f64(minutes * 60.0).context("`--minutes` is a positive number")
}

fn beside_this() -> Result<PathBuf> {
    let examples = std::env::current_exe()?;
    let folder = examples.parent().and_then(|folder| folder.parent()).context("this program is in a folder")?;
    Ok(folder.join(format!("aigateway-mcp{}", std::env::consts::EXE_SUFFIX)))
}
