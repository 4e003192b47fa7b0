//! Text that others wrote, made fit to be shown.

/// The most characters of a line; what a component or a gateway says may be any length.
const MOST_CHARACTERS: usize = 2000;

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
