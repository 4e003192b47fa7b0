//! The grant file: a closed TOML grammar, and messages that name the line and what is allowed there.

use std::collections::BTreeMap;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{BaseUrl, Grants, Limits, Route, Scheme, ToolGrant};

/// A secret that stays outside the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Secret {
    /// Its name in the grant file.
    pub name: String,
    /// The environment variable that it comes from; the component sees a placeholder under the same name.
    pub env: String,
    /// The tool parameter that replaces it for one call, by its MCP name.
    pub parameter: Option<String>,
    /// The only header that it may go into.
    #[serde(serialize_with = "as_text")]
    pub header: http::HeaderName,
}

/// What is wrong with a grant file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct FileError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there, and what is allowed.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<i64>,
    base_url: Spanned<String>,
    #[serde(default)]
    allow_plaintext: bool,
    #[serde(default)]
    tools: toml::Table,
    #[serde(default)]
    secrets: BTreeMap<String, SecretTable>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    tls: TlsTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretTable {
    env: String,
    parameter: Option<String>,
    header: Spanned<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsTable {
    ca_file: Option<String>,
}

/// Tools and limits are read a second time for the lines of their rules and values: [`toml::Table`] does not keep them
/// (it keeps the order instead, which a map of spanned values does not), and neither do numbers.
#[derive(Deserialize)]
struct Lines {
    #[serde(default)]
    tools: BTreeMap<String, Vec<Spanned<String>>>,
    #[serde(default)]
    limits: BTreeMap<String, Spanned<toml::Value>>,
}

/// A grant file that was read, its variable not yet filled in.
#[derive(Clone, Debug)]
pub struct GrantFile {
    base_url: String,
    base_url_line: usize,
    allow_plaintext: bool,
    tools: Vec<ToolGrant>,
    secrets: Vec<Secret>,
    limits: Limits,
    ca_file: Option<String>,
}

impl GrantFile {
    /// Reads a grant file.
    ///
    /// # Errors
    ///
    /// [`FileError`], with the line and what is allowed there.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        let at = |offset: usize, message: String| FileError { line: line_of(text, offset), message };
        let malformed = |error: toml::de::Error| {
            at(error.span().map_or(0, |span| span.start), error.message().trim_end().to_owned())
        };
        let located = |(offset, message): (usize, String)| at(offset, message);
        let file: File = toml::from_str(text).map_err(malformed)?;
        if *file.version.get_ref() != 1 {
            let message = format!("version {} is not known; allowed: 1", file.version.get_ref());
            return Err(at(file.version.span().start, message));
        }
        let lines: Lines = toml::from_str(text).map_err(malformed)?;
        let tool = |tool: &String| Ok(ToolGrant { tool: tool.clone(), routes: parse_rules(tool, &lines.tools[tool])? });
        if let Some((name, message)) = file.limits.invalid() {
            return Err(at(lines.limits.get(name).map_or(0, |value| value.span().start), message));
        }
        Ok(Self {
            base_url_line: line_of(text, file.base_url.span().start),
            base_url: file.base_url.into_inner(),
            allow_plaintext: file.allow_plaintext,
            tools: file.tools.keys().map(tool).collect::<Result<_, _>>().map_err(located)?,
            secrets: parse_secrets(file.secrets).map_err(located)?,
            limits: file.limits,
            ca_file: file.tls.ca_file,
        })
    }

    /// The secrets that the file names.
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// The variable that fills in the base URL, if the file names one.
    pub fn variable(&self) -> Option<&str> {
        let (name, _) = split_template(&self.base_url)?;
        Some(name)
    }

    /// Fills in the base URL with the value of its variable.
    ///
    /// # Errors
    ///
    /// [`FileError`] when the URL is not usable, or there is no value and no default.
    pub fn resolve(self, value: Option<String>) -> Result<Grants, FileError> {
        let variable = self.variable().map(str::to_owned);
        let base_url = fill_in(&self.base_url, value)
            .and_then(|url| parse_base_url(&url, variable.as_deref(), self.allow_plaintext))
            .map_err(|message| FileError { line: self.base_url_line, message })?;
        Ok(Grants {
            base_url,
            base_url_variable: variable,
            allow_plaintext: self.allow_plaintext,
            tools: self.tools,
            secrets: self.secrets,
            limits: self.limits,
            ca_file: self.ca_file,
        })
    }
}

fn as_text<S: serde::Serializer>(header: &http::HeaderName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(header.as_str())
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}

fn parse_rules(tool: &str, rules: &[Spanned<String>]) -> Result<Vec<Route>, (usize, String)> {
    if !tool.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let at = rules.first().map_or(0, |rule| rule.span().start);
        return Err((at, format!("`{tool}` is not a tool's name; write it as MCP shows it, such as `list_models`")));
    }
    let mut routes: Vec<Route> = Vec::with_capacity(rules.len());
    for rule in rules {
        let at = rule.span().start;
        let route: Route = rule.get_ref().parse().map_err(|error: super::RouteError| (at, error.to_string()))?;
        if routes.contains(&route) {
            return Err((at, format!("the rule `{route}` of `{tool}` comes twice")));
        }
        routes.push(route);
    }
    Ok(routes)
}

/// Headers that say where a request goes and where it ends: the host writes them itself.
const RESERVED: [http::HeaderName; 7] = [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE, TE, TRAILER];

fn parse_secrets(tables: BTreeMap<String, SecretTable>) -> Result<Vec<Secret>, (usize, String)> {
    let mut secrets: Vec<Secret> = Vec::with_capacity(tables.len());
    for (name, table) in tables {
        let (at, text) = (table.header.span().start, table.header.into_inner());
        let header = http::HeaderName::try_from(&text).map_err(|_| (at, format!("`{text}` is not a header's name")))?;
        if RESERVED.contains(&header) {
            return Err((
                at,
                format!("`{text}` is written by the host; a secret goes into a header such as `X-API-Key`"),
            ));
        }
        if let Some(other) = secrets.iter().find(|other| other.header == header || other.env == table.env) {
            return Err((at, format!("`{name}` has the header or the variable of `{}`", other.name)));
        }
        secrets.push(Secret { name, env: table.env, parameter: table.parameter, header });
    }
    Ok(secrets)
}

/// Splits `${VARIABLE}` or `${VARIABLE:-default}`, which stands for the whole of a base URL.
fn split_template(text: &str) -> Option<(&str, Option<&str>)> {
    let inner = text.strip_prefix("${")?.strip_suffix('}')?;
    Some(inner.split_once(":-").map_or((inner, None), |(name, default)| (name, Some(default))))
}

fn fill_in(text: &str, value: Option<String>) -> Result<String, String> {
    let Some((name, default)) = split_template(text) else { return Ok(text.to_owned()) };
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!("`{name}` is not a variable's name; allowed: `${{NAME}}` and `${{NAME:-default}}`"));
    }
    let value = value.or_else(|| default.map(str::to_owned));
    value.ok_or_else(|| format!("the variable {name} is not set, and the grant has no default for it"))
}

fn parse_base_url(url: &str, variable: Option<&str>, allow_plaintext: bool) -> Result<BaseUrl, String> {
    let named = |message: String| match variable {
        Some(variable) => format!("{variable} is not a usable URL: {message}"),
        None => format!("`base_url` is not a usable URL: {message}"),
    };
    let base = BaseUrl::parse(url.trim()).map_err(named)?;
    let loopback = base.origin.host == "localhost" || base.origin.address().is_some_and(|ip| ip.is_loopback());
    if base.origin.scheme == Scheme::Http && !loopback && !allow_plaintext {
        return Err(named(format!(
            "`{base}` would send the key in plain text to another machine; use https, or grant it with \
             `allow_plaintext = true` in a grant file of your own"
        )));
    }
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "version = 1\nbase_url = \"http://localhost:8088\"\n";

    fn error(text: &str) -> String {
        Grants::parse(text, |_| None).unwrap_err().to_string()
    }

    #[test]
    fn the_default_grant_is_valid() {
        let grants = Grants::parse(include_str!("../../grants/aigateway.toml"), |_| None).unwrap();
        assert_eq!(grants.base_url.to_string(), "http://localhost:8088");
        assert_eq!(grants.tools.len(), 4);
    }

    #[test]
    fn what_the_grammar_does_not_know_is_refused_with_its_line() {
        for (rest, expected) in [
            ("colour = 1", "line 3: unknown field `colour`"),
            ("[limits]\nspeed = 1", "line 4: unknown field `speed`"),
            ("[limits]\nmemory_mib = 0", "line 4: `memory_mib` is 0; allowed: 1 to 4096"),
            ("[tools]\na = [\"GET /x\",\n \"GET /x\"]", "line 5: the rule `GET /x` of `a` comes twice"),
            ("[tools]\na = [\"get /x\"]", "line 4: `get` is not a method"),
            ("[tools]\na = [\"GET /x/**\"]", "line 4: `**` is not a path segment"),
            ("[tools]\na-b = [\"GET /x\"]", "line 4: `a-b` is not a tool's name"),
            ("[tools]\na = \"GET /x\"", "line 4: invalid type"),
            ("[secrets.k]\nenv = \"K\"\nheader = \"a b\"", "line 5: `a b` is not a header's name"),
            ("[secrets.k]\nenv = \"K\"\nheader = \"Host\"", "line 5: `Host` is written by the host"),
            (
                "[secrets.a]\nenv = \"A\"\nheader = \"X-K\"\n[secrets.b]\nenv = \"B\"\nheader = \"x-k\"",
                "line 8: `b` has the header or the variable of `a`",
            ),
            ("[tls]\nverify = false", "line 4: unknown field `verify`"),
            ("= 1", "line 3: "),
        ] {
            let error = error(&format!("{HEAD}{rest}\n"));
            assert!(error.starts_with(expected), "{rest}: {error}");
        }
        assert!(error("").contains("missing field `version`"));
        assert!(error(&HEAD.replace('1', "2")).starts_with("line 1: version 2 is not known; allowed: 1"));
    }

    #[test]
    fn a_base_url_must_be_one_origin() {
        for (url, expected) in [
            ("http://u:p@localhost", "a user in it"),
            ("http://localhost/?q", "a query"),
            ("ftp://localhost", "never granted"),
            ("http://gateway.example", "in plain text to another machine"),
            ("http://10.0.0.1:8088", "in plain text to another machine"),
            ("${X}", "the variable X is not set"),
            ("${X Y}", "not a variable's name"),
        ] {
            let error = error(&format!("version = 1\nbase_url = \"{url}\"\n"));
            assert!(error.starts_with("line 2: ") && error.contains(expected), "{url}: {error}");
        }
    }

    #[test]
    fn plain_text_leaves_the_machine_only_when_granted_by_name() {
        let text = "version = 1\nbase_url = \"http://10.0.0.1\"\nallow_plaintext = true\n";
        assert_eq!(Grants::parse(text, |_| None).unwrap().base_url.to_string(), "http://10.0.0.1");
    }
}
