//! What a component may reach: the specification of grants, and their evaluation. Pure: no I/O, no runtime.
//!
//! Nothing is granted by default. A grant file names one base URL and, per tool, the only requests it may make:
//!
//! ```toml
//! version  = 1
//! base_url = "${AIGATEWAY_URL:-http://localhost:8088}"
//!
//! [tools]
//! list_models = ["GET /v1/models", "GET /api/v1/model-mappings?page&limit"]
//! ```
//!
//! | part | form | meaning |
//! | --- | --- | --- |
//! | `base_url` | `scheme://host[:port][/prefix]`, or `${VARIABLE:-default}` for the whole of it | the one destination; the prefix stays in front of every rule |
//! | rule | `METHOD /path/{segment}?key&key` | exactly this method; exactly these segments, `{name}` being any one; no query key but these, each once |
//! | `[secrets.NAME]` | `env`, `parameter`, `header` | the component sees a placeholder, the wire sees the secret, in this header only |
//! | `[limits]` | see [`Limits`] | all have defaults |
//! | `[tls]` | `ca_file` | more roots than the system's |
//! | `allow_plaintext` | `true` | `http` to other addresses than loopback |
//!
//! A request passes when its origin is equal to the base URL's as (scheme, host, port), and one rule of the tool
//! that is running names its method, its path and its query keys:
//!
//! ```
//! use aigateway_mcp::grants::{Check, Grants, RequestUrl};
//!
//! let file = r#"
//!     version  = 1
//!     base_url = "https://gateway.example/ai"
//!     [tools]
//!     show = ["GET /models/{name}?page"]
//! "#;
//! let grants = Grants::parse(file, |_| None)?;
//! let verdict = |method, host, path| {
//!     let url = RequestUrl::parse("https", host, path)?;
//!     grants.decide("show", method, &url).map(|rule| rule.to_string())
//! };
//!
//! assert_eq!(verdict("GET", "gateway.example", "/ai/models/a%20b?page=2").unwrap(), "GET /models/{name}?page");
//! assert_eq!(verdict("GET", "GATEWAY.example:443", "/ai/models/x").unwrap(), "GET /models/{name}?page");
//!
//! let check = |method, host, path| verdict(method, host, path).unwrap_err().check;
//! assert_eq!(check("GET", "gateway.example:8443", "/ai/models/x"), Check::Origin);
//! assert_eq!(check("GET", "evil.example", "/ai/models/x"), Check::Origin);
//! assert_eq!(check("GET", "u:p@gateway.example", "/ai/models/x"), Check::UserInfo);
//! assert_eq!(check("POST", "gateway.example", "/ai/models/x"), Check::Method);
//! assert_eq!(check("GET", "gateway.example", "/models/x"), Check::Path);
//! assert_eq!(check("GET", "gateway.example", "/ai/models/x/y"), Check::Path);
//! assert_eq!(check("GET", "gateway.example", "/ai/models/%2e%2e"), Check::Path);
//! assert_eq!(check("GET", "gateway.example", "/ai/models/x?sort=1"), Check::Query);
//! # Ok::<(), aigateway_mcp::grants::FileError>(())
//! ```
//!
//! Rejected when the file is read, with its line: an unknown key, a version other than 1, a rule that comes twice, a
//! wildcard, a method in lower case, a user, query or fragment in the base URL, a scheme other than `http` and
//! `https`, and `http` to a host that is not loopback without `allow_plaintext`.

use std::fmt;

use serde::Serialize;

mod file;
mod limits;
mod observed;
mod origin;
mod report;
mod route;

pub use file::{FileError, GrantFile, Secret};
pub use limits::Limits;
pub use observed::{Observed, TooManyRules};
pub use origin::{BaseUrl, Origin, RequestUrl, Scheme};
pub use route::{Route, RouteError};

/// The effective grants: a grant file whose variables are filled in.
#[derive(Clone, Debug)]
pub struct Grants {
    /// The one destination.
    pub base_url: BaseUrl,
    /// The variable that filled in the base URL, if the file names one.
    pub base_url_variable: Option<String>,
    /// Whether `http` may leave this machine.
    pub allow_plaintext: bool,
    /// What each tool may request, in the order of the file.
    pub tools: Vec<ToolGrant>,
    /// What stays outside the sandbox.
    pub secrets: Vec<Secret>,
    /// What a call and the process may use.
    pub limits: Limits,
    /// More roots to trust for TLS, if the file names some.
    pub ca_file: Option<String>,
}

/// The requests that one tool may make.
#[derive(Clone, Debug, Serialize)]
pub struct ToolGrant {
    /// The tool, by its MCP name.
    pub tool: String,
    /// Its rules.
    pub routes: Vec<Route>,
}

/// The checks that a request passes, in their order. A denial names the first that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// The URL can be read, and in one way only.
    Parse,
    /// No user is in it.
    UserInfo,
    /// Scheme, host and port are the granted ones.
    Origin,
    /// A rule of this tool names the method.
    Method,
    /// A rule with this method names the path.
    Path,
    /// That rule names every query key.
    Query,
    /// Every header is one that a component may set.
    Headers,
    /// The body is within its limit.
    Body,
    /// The call has requests left.
    Rate,
    /// Its intent is on record.
    Audit,
    /// The name resolves to an address that may be dialled.
    Address,
    /// The answer comes in time.
    Deadline,
    /// The answer is encoded as it was asked for: not at all.
    Encoding,
    /// The answer is within its limit.
    Response,
}

/// Why a request does not leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("denied by the check `{check}`: {reason}")]
pub struct Denial {
    /// The first check that failed.
    pub check: Check,
    /// What it found; never a key, a body or a query value.
    pub reason: String,
    /// The rule that would have allowed it, where one could.
    pub missing_rule: Option<Route>,
}

/// Why a request may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permit<'g> {
    /// This rule of the tool allows it.
    Granted(&'g Route),
    /// No rule does: its component is being observed. This rule would allow it.
    Observed(Route),
}

impl Permit<'_> {
    /// The rule that allows it, or would.
    pub fn rule(&self) -> &Route {
        match self {
            Permit::Granted(rule) => rule,
            Permit::Observed(rule) => rule,
        }
    }

    /// The rule that allows it, if one does.
    pub fn granted(&self) -> Option<&Route> {
        match self {
            Permit::Granted(rule) => Some(rule),
            Permit::Observed(_) => None,
        }
    }
}

impl fmt::Display for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Permit::Granted(rule) => rule.fmt(f),
            Permit::Observed(rule) => write!(f, "{rule} (observed: no rule allows it)"),
        }
    }
}

impl Denial {
    /// A denial by `check`.
    pub fn new(check: Check, reason: impl Into<String>) -> Self {
        Self { check, reason: reason.into(), missing_rule: None }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Check::Parse => "parse",
            Check::UserInfo => "userinfo",
            Check::Origin => "origin",
            Check::Method => "method",
            Check::Path => "path",
            Check::Query => "query",
            Check::Headers => "headers",
            Check::Body => "body",
            Check::Rate => "rate",
            Check::Audit => "audit",
            Check::Address => "address",
            Check::Deadline => "deadline",
            Check::Encoding => "encoding",
            Check::Response => "response",
        })
    }
}

impl Grants {
    /// Reads a grant file and fills in its variables.
    ///
    /// # Errors
    ///
    /// [`FileError`], with the line and what is allowed there.
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, FileError> {
        let file = GrantFile::parse(text)?;
        let value = file.variable().and_then(variable);
        file.resolve(value)
    }

    /// The rules of a tool; none if it is not granted anything.
    pub fn routes(&self, tool: &str) -> &[Route] {
        self.tools.iter().find(|grant| grant.tool == tool).map_or(&[], |grant| &grant.routes)
    }

    /// Takes every rule from the tools that have one for another method than GET and HEAD: such a tool cannot do its
    /// work with half of them, and is not offered then.
    pub fn read_only(mut self) -> Self {
        for grant in &mut self.tools {
            if !grant.routes.iter().all(|route| matches!(route.method(), "GET" | "HEAD")) {
                grant.routes.clear();
            }
        }
        self
    }

    /// Whether `tool` may make this request: the rule that allows it, or the first check that fails.
    ///
    /// # Errors
    ///
    /// [`Check::Origin`], [`Check::Method`], [`Check::Path`] or [`Check::Query`].
    pub fn decide(&self, tool: &str, method: &str, url: &RequestUrl) -> Result<&Route, Denial> {
        if url.origin != self.base_url.origin {
            let reason = format!("`{}` is not the granted origin `{}`", url.origin, self.base_url.origin);
            return Err(Denial::new(Check::Origin, reason));
        }
        let Some(path) = url.path.strip_prefix(&self.base_url.prefix) else {
            return Err(Denial::new(Check::Path, format!("the path is not below `{}`", self.base_url.prefix)));
        };
        let routes = self.routes(tool);
        let query = url.query.as_deref();
        let missing = |check, reason: String| Denial {
            missing_rule: Route::that_allows(method, path, query),
            ..Denial::new(check, reason)
        };
        if !routes.iter().any(|route| route.method() == method) {
            return Err(missing(Check::Method, format!("no rule of `{tool}` names the method `{method}`")));
        }
        let matching = routes.iter().filter(|route| route.method() == method && route.matches_path(path));
        let Some(query) = query else {
            return first_or(matching, || missing(Check::Path, format!("no rule of `{tool}` is `{method} {path}`")));
        };
        let mut refused = None;
        for route in matching {
            match route.refused_query_key(query) {
                None => return Ok(route),
                Some(key) => {
                    refused = Some(missing(
                        Check::Query,
                        format!("`{route}` does not take the query key `{key}`, or not twice"),
                    ));
                }
            }
        }
        Err(refused.unwrap_or_else(|| missing(Check::Path, format!("no rule of `{tool}` is `{method} {path}`"))))
    }

    /// [`Self::decide`] for a component under evaluation: what no rule allows is let through as far as a rule could
    /// allow it. It must go without a secret.
    ///
    /// # Errors
    ///
    /// [`Check::Origin`], and what no rule can allow.
    pub fn observe(&self, tool: &str, method: &str, url: &RequestUrl) -> Result<Permit<'_>, Denial> {
        match self.decide(tool, method, url) {
            Ok(rule) => Ok(Permit::Granted(rule)),
            Err(Denial { missing_rule: Some(rule), .. }) => Ok(Permit::Observed(rule)),
            Err(denial) => Err(denial),
        }
    }
}

fn first_or<T, E>(mut items: impl Iterator<Item = T>, error: impl FnOnce() -> E) -> Result<T, E> {
    items.next().ok_or_else(error)
}
