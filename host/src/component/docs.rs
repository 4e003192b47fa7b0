//! The docs that a component carries: the `package-docs` custom section.

use std::collections::HashMap;

use serde_json::Value;
use wasmparser::{Parser, Payload};

/// What a function's docs say: about the function, and about its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FunctionDocs {
    /// The text without the parameters' items, one paragraph a line.
    pub(crate) description: String,
    /// The text of each item of the form `` - `name`: text ``.
    pub(crate) parameters: HashMap<String, String>,
}

/// The docs of the component's functions, by their WIT names. A component without docs has none: that is no error.
pub(crate) fn function_docs(component: &[u8]) -> HashMap<String, FunctionDocs> {
    let section = Parser::new(0).parse_all(component).find_map(|payload| match payload {
        Ok(Payload::CustomSection(section)) if section.name() == "package-docs" => Some(section.data()),
        _ => None,
    });
    section.and_then(|data| data.strip_prefix(b"\0")).map(section_docs).unwrap_or_default()
}

/// The docs that the section's JSON has.
pub(crate) fn section_docs(json: &[u8]) -> HashMap<String, FunctionDocs> {
    let docs: Value = serde_json::from_slice(json).unwrap_or_default();
    let functions = docs["worlds"]["root"]["func_exports"].as_object();
    let text = |docs: &Value| docs["docs"].as_str().map(parse);
    functions.into_iter().flatten().filter_map(|(name, docs)| Some((name.clone(), text(docs)?))).collect()
}

/// Splits a function's docs into its description and its parameters' texts, and joins broken lines.
fn parse(text: &str) -> FunctionDocs {
    let mut docs = FunctionDocs::default();
    let mut paragraphs: Vec<String> = Vec::new();
    let mut target: Option<String> = None;
    let mut joined = false;
    // They come with the component, and go to models and terminals: nothing in them is to be acted on.
    let text: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    for line in text.lines().map(str::trim) {
        if let Some((name, text)) = parameter(line) {
            docs.parameters.insert(name.to_owned(), text.to_owned());
            target = Some(name.to_owned());
        } else if line.is_empty() {
            (target, joined) = (None, false);
        } else if let Some(item) = target.as_ref().and_then(|name| docs.parameters.get_mut(name)) {
            *item = format!("{item} {line}");
        } else if let Some(paragraph) = paragraphs.last_mut().filter(|_| joined) {
            *paragraph = format!("{paragraph} {line}");
        } else {
            paragraphs.push(line.to_owned());
            joined = true;
        }
    }
    docs.description = paragraphs.join("\n");
    docs
}

/// Reads an item of the form `` - `name`: text ``.
fn parameter(line: &str) -> Option<(&str, &str)> {
    let (name, text) = line.strip_prefix("- `")?.split_once("`:")?;
    Some((name, text.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_told_from_the_description() {
        let docs = parse("Show it,\nall of it.\n\nSecond.\n\n- `a-b`: The first\n  of two.\n- `c`: Last.\n");
        assert_eq!(docs.description, "Show it, all of it.\nSecond.");
        assert_eq!(docs.parameters["a-b"], "The first of two.");
        assert_eq!(docs.parameters["c"], "Last.");
    }

    #[test]
    fn what_a_terminal_would_act_on_is_left_out() {
        assert_eq!(parse("a\u{1b}[31m\rb\u{9b}c").description, "a[31mbc");
    }

    #[test]
    fn what_is_no_component_has_no_docs() {
        assert!(function_docs(b"garbage").is_empty());
    }
}
