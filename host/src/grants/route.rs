//! One rule of a grant: a method, a path template, and the query keys that may be sent with it.

use std::fmt;
use std::str::FromStr;

/// The methods that a rule can name.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// The most bytes that a `{segment}` may stand for: 100 characters of four bytes each, all of them percent-encoded,
/// are 1,200.
const MAX_SEGMENT: usize = 2048;

/// A rule such as `GET /api/v1/model-mappings/{alias}` or `GET /api/v1/model-mappings?page&limit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    method: String,
    segments: Vec<Segment>,
    query: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// Exactly this text.
    Literal(String),
    /// Exactly one segment, neither empty nor longer than [`MAX_SEGMENT`].
    Any(String),
}

/// What is wrong with a rule, in words that name what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RouteError(String);

impl Route {
    /// The method, in upper case.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Whether the raw (percent-encoded) path, without the base URL's prefix, is one that this rule names.
    pub fn matches_path(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix('/') else { return false };
        let segments: Vec<&str> = if rest.is_empty() { Vec::new() } else { rest.split('/').collect() };
        segments.len() == self.segments.len() && self.segments.iter().zip(segments).all(|(a, b)| a.matches(b))
    }

    /// The narrowest rule that allows this request, if there can be one: what an operator would add. A segment that a
    /// rule cannot spell out becomes a `{segment}`.
    pub fn that_allows(method: &str, path: &str, query: Option<&str>) -> Option<Self> {
        let segment = |text| match parse_segment(text) {
            Ok(Segment::Literal(text)) => text,
            _ => "{segment}".to_owned(),
        };
        let segments: Vec<String> = path.strip_prefix('/')?.split('/').map(segment).collect();
        let keys = query.map_or_else(String::new, |query| format!("?{}", query_keys(query).join("&")));
        let rule: Self = format!("{method} /{}{keys}", segments.join("/")).parse().ok()?;
        let allows = rule.matches_path(path) && query.is_none_or(|query| rule.refused_query_key(query).is_none());
        allows.then_some(rule)
    }

    /// Whether it allows every request that the other one allows.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let covers = |(a, b): (&Segment, &Segment)| matches!(a, Segment::Any(_)) || a == b;
        self.method == other.method
            && self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(covers)
            && other.query.iter().all(|key| self.query.contains(key))
    }

    /// Whether it differs from the other one in nothing but query keys and the names of segments.
    pub(super) fn has_path_of(&self, other: &Self) -> bool {
        let bare = |route: &Self| Self { query: Vec::new(), ..route.clone() };
        bare(self).covers(&bare(other)) && bare(other).covers(&bare(self))
    }

    /// Takes the other one's query keys, too.
    pub(super) fn take_query_of(&mut self, other: &Self) {
        let new: Vec<String> = other.query.iter().filter(|key| !self.query.contains(key)).cloned().collect();
        self.query.extend(new);
    }

    /// The first key of a raw query that this rule does not name, or that comes twice.
    pub fn refused_query_key<'q>(&self, query: &'q str) -> Option<&'q str> {
        let keys = query_keys(query);
        let refused = |(at, key): (usize, &&'q str)| !self.query.iter().any(|q| q == key) || keys[..at].contains(key);
        keys.iter().enumerate().find(|&(at, key)| refused((at, key))).map(|(_, key)| *key)
    }
}

fn query_keys(query: &str) -> Vec<&str> {
    query.split('&').map(|pair| pair.split('=').next().unwrap_or(pair)).collect()
}

impl Segment {
    fn matches(&self, segment: &str) -> bool {
        match self {
            Segment::Literal(text) => text == segment,
            Segment::Any(_) => !segment.is_empty() && segment.len() <= MAX_SEGMENT,
        }
    }
}

impl FromStr for Route {
    type Err = RouteError;

    fn from_str(rule: &str) -> Result<Self, RouteError> {
        let (method, target) = rule.split_once(' ').ok_or_else(|| {
            RouteError(format!("`{rule}` is not a rule; a rule is `METHOD /path/{{segment}}?key`, with one space"))
        })?;
        if !METHODS.contains(&method) {
            return Err(RouteError(format!(
                "`{method}` is not a method; allowed: {} (upper case)",
                METHODS.join(", ")
            )));
        }
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let path =
            path.strip_prefix('/').ok_or_else(|| RouteError(format!("the path `{path}` must begin with `/`")))?;
        Ok(Self {
            method: method.to_owned(),
            segments: match path {
                "" => Vec::new(),
                path => path.split('/').map(parse_segment).collect::<Result<_, _>>()?,
            },
            query: query.map(parse_query).transpose()?.unwrap_or_default(),
        })
    }
}

fn parse_segment(text: &str) -> Result<Segment, RouteError> {
    let name = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let valid = name.unwrap_or(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    if valid.is_empty() || !valid.chars().all(plain) || valid.chars().all(|c| c == '.') {
        return Err(RouteError(format!(
            "`{text}` is not a path segment; allowed: letters, digits, `-`, `_`, `.`, `~`, or `{{name}}` for exactly \
             one segment; there are no wildcards"
        )));
    }
    Ok(name.map_or_else(|| Segment::Literal(text.to_owned()), |name| Segment::Any(name.to_owned())))
}

fn parse_query(text: &str) -> Result<Vec<String>, RouteError> {
    let keys: Vec<String> = text.split('&').map(str::to_owned).collect();
    let plain = |key: &String| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    match keys.iter().find(|key| !plain(key)) {
        None => Ok(keys),
        Some(key) => Err(RouteError(format!(
            "`{key}` is not a query key; after `?` come names of letters, digits, `-`, `_`, `.`, joined by `&`"
        ))),
    }
}

impl serde::Serialize for Route {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, if self.segments.is_empty() { "/" } else { "" })?;
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Any(name) => write!(f, "/{{{name}}}")?,
            }
        }
        let keys = self.query.join("&");
        if keys.is_empty() { Ok(()) } else { write!(f, "?{keys}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_reads_back_as_it_was_written() {
        for rule in ["GET /", "GET /v1/models", "GET /a/{b}/c?page&limit", "DELETE /x.y_z-~/{alias}"] {
            assert_eq!(rule.parse::<Route>().unwrap().to_string(), rule);
        }
    }

    #[test]
    fn what_is_not_a_rule_is_refused_with_what_is_allowed() {
        for (rule, allowed) in [
            ("get /v1", "upper case"),
            ("CONNECT /v1", "allowed: GET"),
            ("GET", "one space"),
            ("GET v1", "begin with `/`"),
            ("GET /v1/*", "no wildcards"),
            ("GET /v1//x", "not a path segment"),
            ("GET /v1/..", "not a path segment"),
            ("GET /v1/{}", "not a path segment"),
            ("GET /v1?", "not a query key"),
            ("GET /v1?a=b", "not a query key"),
        ] {
            let error = rule.parse::<Route>().unwrap_err().to_string();
            assert!(error.contains(allowed), "{rule}: {error}");
        }
    }

    #[test]
    fn a_template_segment_is_exactly_one_segment() {
        let route: Route = "GET /m/{alias}".parse().unwrap();
        assert!(route.matches_path("/m/my-gpt"));
        assert!(route.matches_path("/m/a%20b"));
        let root: Route = "GET /".parse().unwrap();
        assert!(root.matches_path("/") && !root.matches_path("/m") && !route.matches_path("/"));
        for path in ["/m", "/m/", "/m/a/b", "/m/a/", "m/a", "/M/a", &format!("/m/{}", "a".repeat(MAX_SEGMENT + 1))] {
            assert!(!route.matches_path(path), "{path}");
        }
    }

    #[test]
    fn the_rule_that_is_missing_is_one_that_would_do() {
        let missing = |method, path, query| Route::that_allows(method, path, query).map(|rule| rule.to_string());
        for (path, query, rule) in [
            ("/v1/models", None, "GET /v1/models"),
            ("/m/a%20b", None, "GET /m/{segment}"),
            ("/m/{a}", None, "GET /m/{segment}"),
            ("/m", Some("page=1&limit=2"), "GET /m?page&limit"),
        ] {
            assert_eq!(missing("GET", path, query).as_deref(), Some(rule));
        }
        for (method, path, query) in [
            ("TRACE", "/m", None),
            ("get", "/m", None),
            ("GET", "/", None),
            ("GET", "/m", Some("a=1&a=2")),
            ("GET", "/m", Some("")),
        ] {
            assert_eq!(missing(method, path, query), None, "{method} {path}");
        }
    }

    #[test]
    fn only_named_query_keys_pass_and_each_once() {
        let route: Route = "GET /m?page&limit".parse().unwrap();
        assert_eq!(route.refused_query_key("page=1&limit=2"), None);
        assert_eq!(route.refused_query_key("page=1&page=2"), Some("page"));
        assert_eq!(route.refused_query_key("page=1&sort=x"), Some("sort"));
        assert_eq!(route.refused_query_key(""), Some(""));
    }
}
