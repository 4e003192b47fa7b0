//! JSON as Go's `encoding/json` writes it: no spaces, and `<`, `>`, `&` and the two Unicode line
//! separators escaped inside strings.

use std::fmt::Write;

/// An object being written, field by field, in the order of the calls.
pub(crate) struct Object<'o> {
    out: &'o mut String,
    empty: bool,
}

impl<'o> Object<'o> {
    /// Opens an object at the end of `out`.
    pub(crate) fn open(out: &'o mut String) -> Self {
        out.push('{');
        Object { out, empty: true }
    }

    /// Writes a string.
    pub(crate) fn text(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        write_text(self.out, value);
        self
    }

    /// Writes a number or a boolean: whatever looks the same in JSON as in Rust.
    pub(crate) fn plain(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.name(name);
        write!(self.out, "{value}").expect("a String takes all");
        self
    }

    /// Writes a value with `write`, which gets the text so far.
    pub(crate) fn with(mut self, name: &str, write: impl FnOnce(&mut String)) -> Self {
        self.name(name);
        write(self.out);
        self
    }

    /// Closes the object.
    pub(crate) fn close(self) {
        self.out.push('}');
    }

    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(',');
        }
        write_text(self.out, name);
        self.out.push(':');
    }
}

/// Writes an array whose elements `write` writes.
pub(crate) fn write_array<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

/// Writes a string in quotes, escaped as Go does it.
pub(crate) fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        write_character(out, character);
    }
    out.push('"');
}

fn write_character(out: &mut String, character: char) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
            write!(out, "\\u{:04x}", u32::from(character)).expect("a String takes all");
        }
        _ => out.push(character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_characters_and_line_separators_are_escaped() {
        let mut out = String::new();
        write_text(&mut out, "<a>&\"\\\n\u{1}\u{2028}é");
        assert_eq!(out, r#""\u003ca\u003e\u0026\"\\\n\u0001\u2028é""#);
    }

    #[test]
    fn fields_keep_their_order() {
        let mut out = String::new();
        Object::open(&mut out).text("b", "x").plain("a", 1).close();
        assert_eq!(out, r#"{"b":"x","a":1}"#);
    }
}
