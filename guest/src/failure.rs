//! What a failed call says: `Failed to <do what>: <what happened>. <What to do next>`.

use crate::bindings::{Failure, FailureKind};

/// The most characters of a text from elsewhere that a message quotes.
const QUOTE_LENGTH: usize = 200;

/// Why a call fails, before it is said what the call was to do.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// What a program branches on.
    pub(crate) kind: FailureKind,
    /// What happened: a clause, without a capital and without a full stop.
    pub(crate) happened: String,
    /// What to do next: a sentence, without its full stop.
    next: String,
    /// Whether it is that the mapping belongs to another user: then there is one.
    pub(crate) is_anothers: bool,
}

impl Problem {
    pub(crate) fn new(kind: FailureKind, happened: impl Into<String>, next: impl Into<String>) -> Self {
        Self { kind, happened: happened.into(), next: next.into(), is_anothers: false }
    }

    /// An argument that is not acceptable.
    pub(crate) fn argument(happened: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(FailureKind::InvalidArgument, happened, next)
    }

    /// A mapping that the gateway keeps from the key's user because somebody else owns it.
    pub(crate) fn anothers() -> Self {
        let problem = Self::new(
            FailureKind::Forbidden,
            "the mapping belongs to another user",
            "Ask its owner or an administrator, or create a mapping of your own under another alias",
        );
        Self { is_anothers: true, ..problem }
    }

    /// An alias that a mapping has already.
    pub(crate) fn alias_taken() -> Self {
        Self::new(
            FailureKind::AlreadyExists,
            "the alias is already taken (aliases are unique across all users, and upper and lower case are the same)",
            "Choose another alias, or change the mapping with update_mapping if it is yours",
        )
    }

    /// A write that may have taken effect: `doubt` says why that is not known, `unseen` why looking did not tell.
    pub(crate) fn unknown_outcome(doubt: &str, done: &str, unseen: &Problem) -> Self {
        Self::new(
            FailureKind::UnknownOutcome,
            format!("{doubt}, and whether the mapping was {done} is unknown: {}", unseen.happened),
            "Call list_models to see before trying again",
        )
    }

    /// The same problem, with what did or did not come of it.
    pub(crate) fn and(mut self, consequence: &str) -> Self {
        self.happened = format!("{}, and {consequence}", self.happened);
        self
    }

    /// The same problem, saying which part of the answer it prevented.
    pub(crate) fn reading(mut self, part: &str) -> Self {
        self.happened = format!("the {part} could not be read: {}", self.happened);
        self
    }

    /// The failure of a call that was to do `action`.
    pub(crate) fn during(self, action: &str) -> Failure {
        let message = format!("Failed to {action}: {}. {}.", self.happened, self.next);
        Failure { kind: self.kind, message }
    }
}

/// A text from elsewhere, in backticks and on one line, without what could disguise where it ends.
pub(crate) fn quoted(text: &str) -> String {
    let mut quote = String::with_capacity(text.len().min(4 * QUOTE_LENGTH) + 2);
    quote.push('`');
    let mut characters = text.chars().map(printable);
    quote.extend(characters.by_ref().take(QUOTE_LENGTH));
    if characters.next().is_some() {
        quote.push('…');
    }
    quote.push('`');
    quote
}

/// The character itself, or a stand-in where it is a control character, turns the line's direction, or ends a quote.
fn printable(character: char) -> char {
    match character {
        '`' => '\'',
        '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
        _ if character.is_control() => ' ',
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_one_line_and_ends_where_it_seems_to() {
        assert_eq!(quoted("a\nb`c\u{202e}d"), "`a b'c d`");
    }

    #[test]
    fn a_long_quote_is_cut() {
        let quote = quoted(&"ü".repeat(QUOTE_LENGTH + 1));
        assert_eq!(quote.chars().count(), QUOTE_LENGTH + 3);
        assert!(quote.ends_with("…`"));
    }
}
