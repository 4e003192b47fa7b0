//! What the operator reads on stderr: a few lines at the start, then warnings. Every line is scrubbed of the
//! configured secrets, and whatever it contains, it is one line.

use std::io::Write;
use std::sync::OnceLock;

use crate::secret::Scrubber;

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

/// The most characters of a line; what a component or a gateway says may be any length.
const MOST_CHARACTERS: usize = 2000;

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

pub(crate) fn debug(text: &str) {
    write(Level::Debug, "debug: ", text);
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

/// Text as one line that no terminal acts on: control characters are escaped, and its length is capped.
pub(crate) fn one_line(text: &str) -> String {
    let text = excerpt(text, MOST_CHARACTERS);
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        let bidi = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || bidi || matches!(character, '\u{2028}' | '\u{2029}') {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// The beginning of a text, if it is longer than so many characters.
pub(crate) fn excerpt(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_whatever_it_contains() {
        assert_eq!(one_line("a\n{\"seq\":1}\r\u{1b}[31m\u{202e}b"), "a\\n{\"seq\":1}\\r\\u{1b}[31m\\u{202e}b");
        assert_eq!(one_line(&"x".repeat(3000)).chars().count(), MOST_CHARACTERS + 1);
    }
}
