//! From a request's method and target to what it asks for, as a Go server and its router do it.

use crate::table::Page;

const MAPPINGS: &str = "/api/v1/model-mappings";

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `GET /health`
    Health,
    /// `GET /v1/models`
    Models,
    /// Anything about mappings: the routes that need a key.
    Mappings(Action),
    /// The path is another one's misspelling: this one's.
    Redirect(String),
    /// Nothing is there, or not for this method.
    NotFound,
    /// The path has a percent sign that starts no escape.
    Malformed,
}

/// What to do with mappings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    List(Page),
    Create,
    Read(String),
    Update(String),
    Delete(String),
}

/// Finds the route. Dot segments and doubled slashes are judged in the raw path, everything else in the
/// decoded one: that is why an encoded `/` in an alias is a slash, but an encoded `..` is an alias.
pub(crate) fn route(method: &str, target: &str) -> Route {
    let (raw_path, query) = target.split_once('?').unwrap_or((target, ""));
    let Some(path) = percent_decode(raw_path).filter(|path| path.starts_with('/')) else {
        return Route::Malformed;
    };
    if let Some(clean) = cleaned(raw_path) {
        return Route::Redirect(with_query(&clean, query));
    }
    match exact(method, &path, query) {
        Some(route) => route,
        None => without_trailing_slash(method, &path, query),
    }
}

fn exact(method: &str, path: &str, query: &str) -> Option<Route> {
    let action = match (method, path) {
        ("GET", "/health") => return Some(Route::Health),
        ("GET", "/v1/models") => return Some(Route::Models),
        ("GET", MAPPINGS) => Action::List(page(query)),
        ("POST", MAPPINGS) => Action::Create,
        _ => on_one_mapping(method, path)?,
    };
    Some(Route::Mappings(action))
}

fn on_one_mapping(method: &str, path: &str) -> Option<Action> {
    let alias = path.strip_prefix(MAPPINGS)?.strip_prefix('/')?;
    if alias.is_empty() || alias.contains('/') {
        return None;
    }
    match method {
        "GET" => Some(Action::Read(alias.to_owned())),
        "PUT" => Some(Action::Update(alias.to_owned())),
        "DELETE" => Some(Action::Delete(alias.to_owned())),
        _ => None,
    }
}

/// A path with one slash too many leads to the one without, if that is a route: so an empty alias leads
/// to the list, and an alias that ends in a slash to the mapping without it.
fn without_trailing_slash(method: &str, path: &str, query: &str) -> Route {
    let Some(shorter) = path.strip_suffix('/') else {
        return Route::NotFound;
    };
    let is_list = shorter.trim_end_matches('/') == MAPPINGS && ["GET", "POST", "PUT", "DELETE"].contains(&method);
    if is_list || exact(method, shorter, query).is_some() {
        return Route::Redirect(with_query(&percent_encode(shorter), query));
    }
    Route::NotFound
}

fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// The path without `.`, `..` and empty segments, if it has any. A trailing slash stays.
fn cleaned(raw_path: &str) -> Option<String> {
    let inner = raw_path.strip_prefix('/')?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() || !inner.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return (raw_path == "//").then(|| "/".to_owned());
    }
    let mut kept = Vec::new();
    for segment in inner.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    let slash = if raw_path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    Some(format!("/{}{slash}", kept.join("/")))
}

/// The page that a query asks for. A number that is none counts as zero, as Go's conversion has it.
fn page(query: &str) -> Page {
    let number = parameter(query, "page").map_or(1, |text| integer(&text));
    let limit = parameter(query, "limit").map_or(20, |text| integer(&text));
    Page { number: number.max(1), limit }
}

fn integer(text: &str) -> i64 {
    text.parse().unwrap_or(0)
}

/// The first value of a query parameter. What cannot be decoded is passed over.
fn parameter(query: &str, wanted: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| percent_decode(&text.replace('+', " "));
        (decode(name)? == wanted).then(|| decode(value))?
    })
}

/// Decodes every escape, or nothing if one is malformed.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (decoded, after) = match byte {
            b'%' => (hexadecimal(after)?, &after[2..]),
            plain => (plain, after),
        };
        bytes.push(decoded);
        rest = after;
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let value = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(value(0)? * 16 + value(1)?).ok()
}

/// Encodes a path as Go does it when it writes a location.
fn percent_encode(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'~' | b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_segments_and_doubled_slashes_are_cleaned() {
        assert_eq!(cleaned("/a/../b"), Some("/b".to_owned()));
        assert_eq!(cleaned("/a/./b/"), Some("/a/b/".to_owned()));
        assert_eq!(cleaned("//a"), Some("/a".to_owned()));
        assert_eq!(cleaned("/../.."), Some("/".to_owned()));
        assert_eq!(cleaned("//"), Some("/".to_owned()));
    }

    #[test]
    fn a_clean_path_is_left_alone() {
        for path in ["/", "/a", "/a/", "/a/..b", "/a/%2E%2E"] {
            assert_eq!(cleaned(path), None, "{path}");
        }
    }

    #[test]
    fn an_escape_needs_two_hexadecimal_digits() {
        assert_eq!(percent_decode("/a%20b%C3%A9+").as_deref(), Some("/a bé+"));
        for text in ["%", "%2", "%zz", "a%+1"] {
            assert_eq!(percent_decode(text), None, "{text}");
        }
    }
}
