//! `.env` files.

use std::collections::HashMap;

/// Reads the lines `NAME=value` of a `.env` file.
///
/// Blank lines, comments (`# …`, also behind an unquoted value), a leading `export`, and values in single or double
/// quotes are understood. Nothing is substituted: a file that lies in somebody's repository must not be able to copy
/// other variables into a URL.
///
/// The second value is the number of the first line that is none of these; its text may be a secret.
pub(super) fn parse(text: &str) -> (HashMap<String, String>, Option<usize>) {
    let mut variables = HashMap::new();
    let mut malformed = None;
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match assignment(line) {
            Some((name, value)) => _ = variables.insert(name.to_owned(), value.to_owned()),
            None => malformed = malformed.or(Some(at + 1)),
        }
    }
    (variables, malformed)
}

fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    Some((name, unquote(value.trim())?)).filter(|_| valid)
}

fn unquote(value: &str) -> Option<&str> {
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let (inner, rest) = value[1..].split_once(quote)?;
            let rest = rest.trim_start();
            (rest.is_empty() || rest.starts_with('#')).then_some(inner)
        }
        _ => Some(value.split_once(" #").map_or(value, |(value, _)| value).trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_understood() {
        let text = "\u{feff}# head\n\nA=1\nexport B = \"two words\" # why\nC='x#y'\nD=http://h/#f\nE=v # w\r\nF=\n";
        let (variables, malformed) = parse(text);
        assert_eq!(malformed, None);
        let expected = [("A", "1"), ("B", "two words"), ("C", "x#y"), ("D", "http://h/#f"), ("E", "v"), ("F", "")];
        for (name, value) in expected {
            assert_eq!(variables[name], value, "{name}");
        }
        assert_eq!(variables.len(), expected.len());
    }

    #[test]
    fn nothing_is_substituted() {
        assert_eq!(parse("A=${HOME}/$(id)").0["A"], "${HOME}/$(id)");
    }

    #[test]
    fn a_line_that_is_no_assignment_is_named_by_its_number() {
        for text in ["A=1\nnonsense", "A=1\nB C=2", "A=1\nB=\"open", "A=1\n=2"] {
            assert_eq!(parse(text).1, Some(2), "{text}");
        }
    }
}
