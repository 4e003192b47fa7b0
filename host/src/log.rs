//! What the operator reads on stderr: a few lines at the start, then warnings. Every line is scrubbed of the
//! configured secrets, and whatever it contains, it is one line.

use std::io::Write;
use std::sync::OnceLock;

use crate::secret::Scrubber;
pub(crate) use crate::text::{excerpt, one_line};

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Level {
    /// Only why it ended.
    Error,
    /// And what was denied or looks wrong.
    Warn,
    /// And how it started.
    #[default]
    Info,
    /// And every call, every request, and what the component writes to its stderr.
    Debug,
}

static LOG: OnceLock<(Level, Scrubber)> = OnceLock::new();

/// Sets the level and what every line is scrubbed of. Before that, and for whoever embeds the library without it,
/// the level is [`Level::Warn`].
pub(crate) fn init(level: Level, scrubber: Scrubber) {
    _ = LOG.set((level, scrubber));
}

pub(crate) fn error(text: &str) {
    write(Level::Error, "error: ", text);
}

pub(crate) fn warn(text: &str) {
    write(Level::Warn, "warning: ", text);
}

/// A warning that no level silences.
pub(crate) fn insist(text: &str) {
    write(Level::Error, "warning: ", text);
}

/// Lines that a person copies: as they are, but scrubbed, and at any level.
pub(crate) fn copyable(text: &str) {
    let scrubbed = LOG.get().map_or_else(|| text.to_owned(), |(_, scrubber)| scrubber.scrub_text(text));
    let lines: String = scrubbed.lines().map(|line| one_line(line) + "\n").collect();
    _ = std::io::stderr().lock().write_all(lines.as_bytes());
}

pub(crate) fn info(text: &str) {
    write(Level::Info, "", text);
}

/// What is only put into words where somebody wants to read it.
pub(crate) fn debug(text: impl FnOnce() -> String) {
    if LOG.get().is_some_and(|(wanted, _)| *wanted >= Level::Debug) {
        write(Level::Debug, "debug: ", &text());
    }
}

fn write(level: Level, prefix: &str, text: &str) {
    let (wanted, scrubbed) = match LOG.get() {
        Some((wanted, scrubber)) if level <= *wanted => (*wanted, scrubber.scrub_text(text)),
        Some((wanted, _)) => (*wanted, String::new()),
        None => (Level::Warn, text.to_owned()),
    };
    if level <= wanted {
        let line = format!("aigateway-mcp: {prefix}{}\n", one_line(&scrubbed));
        // Whoever closed stderr does not want to know.
        _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}
