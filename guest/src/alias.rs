//! Aliases: those that may be given to a mapping, and those that reach an existing one by path.

use crate::failure::{Problem, quoted};

/// The most characters of an alias that the gateway stores.
const LONGEST: usize = 100;

/// An alias as the gateway's own dashboard allows it: 1 to 100 letters, digits, `-`, `_` or `.`.
#[derive(Clone, Debug)]
pub(crate) struct NewAlias(String);

impl NewAlias {
    /// Checks the value of the parameter called `parameter`.
    pub(crate) fn parse(alias: String, parameter: &str) -> Result<Self, Problem> {
        let wrong = if let Some(wrong) = unreachable(&alias) {
            wrong
        } else if let Some(character) = alias.chars().find(|&character| !is_plain(character)) {
            format!("contains {}", quoted(character.encode_utf8(&mut [0; 4])))
        } else {
            return Ok(Self(alias));
        };
        Err(Problem::argument(
            format!("`{parameter}` {wrong}"),
            "Choose an alias of 1 to 100 letters, digits, `-`, `_` or `.`",
        ))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}

/// An alias that can be one segment of a path, so that the gateway finds a mapping by it.
#[derive(Clone, Debug)]
pub(crate) struct ExistingAlias(String);

impl ExistingAlias {
    pub(crate) fn parse(alias: &str) -> Result<Self, Problem> {
        match unreachable(alias) {
            None => Ok(Self(alias.to_owned())),
            Some(wrong) => Err(Problem::argument(
                format!("`alias` {wrong}"),
                "Give the alias of an existing mapping; list_models shows them",
            )),
        }
    }

    /// The alias percent-encoded as one segment of a path.
    pub(crate) fn segment(&self) -> String {
        let mut segment = String::with_capacity(self.0.len());
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                segment.push(char::from(byte));
            } else {
                segment.push('%');
                segment.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])));
            }
        }
        segment
    }
}

impl From<&NewAlias> for ExistingAlias {
    fn from(alias: &NewAlias) -> Self {
        Self(alias.0.clone())
    }
}

/// What keeps an alias from being one segment of a path, if anything does.
fn unreachable(alias: &str) -> Option<String> {
    let length = alias.chars().count();
    match alias {
        "" => Some("is empty".into()),
        "." | ".." => Some(format!("is {}, which means a folder in a path", quoted(alias))),
        _ if length > LONGEST => Some(format!("has {length} characters, more than {LONGEST}")),
        _ if alias.contains(['/', '\\']) => {
            Some("contains a slash: the gateway's API cannot reach such a mapping by path".into())
        }
        _ if alias.contains(char::is_control) => Some("contains a control character".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_alias_is_plain() {
        for alias in ["a", "my-gpt", "gpt_4.1", &"x".repeat(100), "..."] {
            assert!(NewAlias::parse(alias.into(), "alias").is_ok(), "{alias}");
        }
        for alias in ["", ".", "..", "a b", "a/b", "é", "🦀", "a\n", &"x".repeat(101)] {
            assert!(NewAlias::parse(alias.into(), "alias").is_err(), "{alias}");
        }
    }

    #[test]
    fn an_existing_alias_is_one_segment() {
        for (alias, segment) in [
            ("my-gpt", "my-gpt"),
            ("a b", "a%20b"),
            ("%2e%2e", "%252e%252e"),
            ("a?b#c+d&e", "a%3Fb%23c%2Bd%26e"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(ExistingAlias::parse(alias).map(|alias| alias.segment()).ok().as_deref(), Some(segment));
        }
    }

    #[test]
    fn an_alias_that_would_leave_its_segment_is_refused() {
        for alias in ["", ".", "..", "../../health", "a\\b", "a\0b", "a\u{85}b", &"é".repeat(101)] {
            assert!(ExistingAlias::parse(alias).is_err(), "{alias}");
        }
    }
}
