//! What every failure must look like, whatever caused it.

/// The most characters that a failure may have: a person reads it in a client's window.
const LONGEST: usize = 900;

/// The most characters of a key that may be shown.
const KEY_PREVIEW: usize = 12;

/// What betrays the sandbox, or a value that was printed for a programmer.
const FOREIGN: [&str; 13] =
    ["Some(", "None", "Ok(", "Err(", "Error {", " { ", "Code::", "\\u{", "\\n", "\\\"", "os error", "wasm", "panicked"];

/// `Failed to <do what>: <what happened>. <What to do next>.`, on one line, in plain words and without a key.
pub(crate) fn assert_form(failure: &str) {
    let rest = failure.strip_prefix("Failed to ").unwrap_or_else(|| panic!("does not say what failed: {failure}"));
    let (action, rest) = rest.split_once(": ").unwrap_or_else(|| panic!("does not say what happened: {failure}"));
    assert!(action.starts_with(|first: char| first.is_lowercase()), "what was to be done is not a verb: {failure}");
    let (happened, next) = rest.split_once(". ").unwrap_or_else(|| panic!("does not say what to do next: {failure}"));
    assert!(!happened.is_empty() && !happened.ends_with('.'), "does not say what happened: {failure}");
    assert!(next.starts_with(char::is_uppercase), "what to do next is no sentence: {failure}");
    assert!(next.ends_with('.') && !next.ends_with(".."), "does not end like a sentence: {failure}");
    assert!(!failure.contains(char::is_control), "is not one line: {failure:?}");
    assert!(failure.chars().count() <= LONGEST, "is too long to read: {failure}");
    for foreign in FOREIGN {
        assert!(!failure.contains(foreign), "`{foreign}` is not plain words: {failure}");
    }
    let mut tags = failure.match_indices('<').map(|(at, _)| failure[at + 1..].chars().next());
    assert!(!tags.any(|next| next.is_some_and(|c| c.is_alphabetic() || "/!".contains(c))), "is a page: {failure}");
    assert_no_key(failure);
}

/// Nothing in it is more of a key than its beginning.
pub(crate) fn assert_no_key(text: &str) {
    for (at, _) in text.match_indices("ak_") {
        let shown = text[at + 3..].chars().take_while(char::is_ascii_hexdigit).count() + 3;
        assert!(shown <= KEY_PREVIEW, "shows a key: {text}");
    }
}

#[test]
fn the_form_is_checked() {
    assert_form("Failed to list models: the gateway is away. Start it.");
    for wrong in [
        "Error: Failed to list models: the gateway is away. Start it.",
        "Failed to list models. Start it.",
        "Failed to list models: the gateway is away.",
        "Failed to list models: the gateway is away. Start it",
        "Failed to list models: the gateway is away. start it.",
        "Failed to list models: the gateway\nis away. Start it.",
        "Failed to list models: it said <html><h1>502</h1>. Start it.",
        "Failed to list models: ErrorCode::ConnectionRefused. Start it.",
        "Failed to list models: ak_0123456789abcdef is bad. Change it.",
    ] {
        assert!(std::panic::catch_unwind(|| assert_form(wrong)).is_err(), "{wrong}");
    }
}
