//! Keys that come from a file or from a command.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{Stop, read_text};
use crate::cli::Options;
use crate::secret::SecretValue;

/// How long a key command may take: a password manager may ask for a finger first, and a client waits for the server
/// meanwhile.
const COMMAND_SECONDS: u64 = 10;

/// How often it is looked whether anybody still wants the key.
const LOOK: Duration = Duration::from_millis(20);

/// The most that a key command may print.
const MOST_OUTPUT: u64 = 4096;

/// The key that a flag names, if one does.
pub(super) fn by_flag(options: &Options, stop: &Stop) -> Result<Option<SecretValue>> {
    match (&options.api_key_file, &options.api_key_command) {
        (Some(file), _) => from_file(file).context("--api-key-file").map(Some),
        (None, Some(command)) => from_command(command, stop).context("--api-key-command").map(Some),
        (None, None) => Ok(None),
    }
}

fn from_file(file: &Path) -> Result<SecretValue> {
    let text = read_text(file)?;
    ensure_private(file)?;
    SecretValue::parse(&text).with_context(|| format!("`{}` holds no usable key", file.display()))
}

/// Refuses a file that others than its owner can read or write.
#[cfg(unix)]
fn ensure_private(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file)?.permissions().mode() & 0o777;
    let name = file.display();
    ensure!(mode & 0o077 == 0, "`{name}` has the mode {mode:o}: others can reach the key; run `chmod 600 {name}`");
    Ok(())
}

#[cfg(not(unix))]
fn ensure_private(_file: &Path) -> Result<()> {
    Ok(())
}

/// Runs a command without a shell, and takes the one line that it prints.
fn from_command(command: &str, stop: &Stop) -> Result<SecretValue> {
    let words = shlex::split(command).filter(|words| !words.is_empty());
    let words = words.with_context(|| format!("`{command}` is not a command: a quote is open, or it is empty"))?;
    let name = &words[0];
    let mut child = Command::new(name)
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{name}`"))?;
    let output = wait(&mut child, stop).with_context(|| format!("`{name}`"));
    _ = child.kill();
    _ = child.wait();
    SecretValue::parse(&output?).with_context(|| format!("what `{name}` printed is not a usable key"))
}

/// Waits for what it prints and for its end.
fn wait(child: &mut Child, stop: &Stop) -> Result<String> {
    let deadline = Instant::now() + Duration::from_secs(COMMAND_SECONDS);
    let stdout = child.stdout.take().context("it has no output")?;
    let (sender, output) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.take(MOST_OUTPUT + 1).read_to_string(&mut text);
        _ = sender.send(read.map(|_| text));
    });
    let output = in_time(stop, deadline, || output.recv_timeout(LOOK).ok())?.context("its output is not text")?;
    ensure!(output.len() as u64 <= MOST_OUTPUT, "it printed more than {MOST_OUTPUT} bytes, which is no key");
    // Its output has ended, so it is about to.
    let ended = in_time(stop, deadline, || match child.try_wait() {
        Ok(None) => {
            std::thread::sleep(Duration::from_millis(5));
            None
        }
        ended => ended.transpose(),
    })?;
    match ended? {
        status if status.success() => Ok(output),
        status => bail!("it failed ({status})"),
    }
}

/// Looks until there is something, while there is time, and somebody wants the key.
fn in_time<T>(stop: &Stop, deadline: Instant, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        ensure!(!stop.load(Ordering::Relaxed), "nobody waits for it any more");
        ensure!(Instant::now() < deadline, "it did not end within {COMMAND_SECONDS} seconds");
    }
}
