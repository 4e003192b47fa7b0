//! What the environment says: where the gateway is, and the key to it.

use crate::bindings::FailureKind;
use crate::failure::Problem;
use std::fmt;

const URL_VARIABLE: &str = "AIGATEWAY_URL";
const KEY_VARIABLE: &str = "AIGATEWAY_API_KEY";
const DEFAULT_URL: &str = "http://localhost:8088";

/// The gateway's base URL: nothing but a scheme, a host with or without a port, and a path that goes before every
/// route. It can be shown: there is no place in it for a password or a key.
#[derive(Debug)]
pub(crate) struct BaseUrl {
    pub(crate) secure: bool,
    pub(crate) authority: String,
    /// Empty, or a path that starts with a slash and does not end with one.
    pub(crate) prefix: String,
}

impl BaseUrl {
    /// The configured URL, or where a gateway runs by default.
    pub(crate) fn configured() -> Result<Self, Problem> {
        let url = variable(URL_VARIABLE)?;
        Self::parse(url.as_deref().unwrap_or(DEFAULT_URL)).map_err(|wrong| {
            Problem::new(
                FailureKind::InvalidConfiguration,
                format!("{URL_VARIABLE} {wrong}"),
                format!("Set {URL_VARIABLE} to the gateway's base URL, such as {DEFAULT_URL}"),
            )
        })
    }

    /// The parts of `url`, or what is wrong with it. What is wrong never repeats the URL: it may hold a password.
    fn parse(url: &str) -> Result<Self, &'static str> {
        let url = url.trim();
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("contains a character that no URL contains");
        }
        let (scheme, rest) = url.split_once("://").ok_or("is not a URL with a scheme")?;
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => false,
            _ if scheme.eq_ignore_ascii_case("https") => true,
            _ => return Err("has a scheme other than http and https"),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        check_authority(authority)?;
        check_path(path)?;
        Ok(Self { secure, authority: authority.to_owned(), prefix: path.trim_end_matches('/').to_owned() })
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}{}", self.scheme(), self.authority, self.prefix)
    }
}

fn check_authority(authority: &str) -> Result<(), &'static str> {
    if authority.contains('@') {
        return Err("contains a user, which is not used");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if !is_host(host) {
        return Err("has no valid host name or address");
    }
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    if !port.is_none_or(is_port) {
        return Err("has a port that is not a number from 1 to 65535");
    }
    Ok(())
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    }
}

fn check_path(path: &str) -> Result<(), &'static str> {
    if path.contains(['?', '#']) {
        return Err("contains a query or a fragment, which a base URL cannot have");
    }
    let odd = |segment: &str| segment.is_empty() || segment == "." || segment == "..";
    if path.trim_end_matches('/').split('/').skip(1).any(odd)
        || path.contains(['\\', '%', '"', '<', '>', '`', '{', '}', '|', '^'])
    {
        return Err("has a path that is not plain");
    }
    Ok(())
}

/// An API key: visible ASCII, so that it can be sent in a header. Its form is left to the gateway, because a runtime
/// may put a placeholder here. It is neither `Debug` nor `Display`, so that no message can contain it.
pub(crate) struct ApiKey(String);

impl ApiKey {
    /// The key given for this call, or else the configured one.
    pub(crate) fn given_or_configured(given: Option<String>) -> Result<Self, Problem> {
        if let Some(key) = given.filter(|key| !is_blank(key)) {
            return Self::parse(key).ok_or_else(|| {
                Problem::argument(
                    "`api_key` contains a character that no API key contains",
                    "Give it as the gateway shows it: `ak_` and 48 hexadecimal digits",
                )
            });
        }
        let Some(key) = variable(KEY_VARIABLE)? else {
            return Err(Problem::new(
                FailureKind::Unauthenticated,
                "no API key is configured",
                format!("Set {KEY_VARIABLE}, or pass api_key"),
            ));
        };
        Self::parse(key).ok_or_else(|| unusable(KEY_VARIABLE))
    }

    fn parse(key: String) -> Option<Self> {
        key.bytes().all(|byte| byte.is_ascii_graphic()).then_some(Self(key))
    }

    /// For the header `X-API-Key`, and for nothing else.
    pub(crate) fn for_header(&self) -> &str {
        &self.0
    }

    /// The text without the key, should it contain it.
    pub(crate) fn removed_from(&self, text: &str) -> String {
        text.replace(&self.0, "[API key]")
    }
}

fn unusable(variable: &str) -> Problem {
    Problem::new(
        FailureKind::InvalidConfiguration,
        format!("{variable} contains a character that it cannot contain"),
        format!("Set {variable} again, without spaces, line breaks and letters that are not ASCII"),
    )
}

/// The value of an environment variable; a blank one is as good as none.
fn variable(name: &str) -> Result<Option<String>, Problem> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !is_blank(value))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(unusable(name)),
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_kept_in_its_parts() {
        for (url, shown) in [
            ("http://localhost:8088", "http://localhost:8088"),
            (" HTTPS://gateway.example/ ", "https://gateway.example"),
            ("http://[::1]:8088/ai/gateway//", "http://[::1]:8088/ai/gateway"),
            ("http://[::1]", "http://[::1]"),
        ] {
            assert_eq!(BaseUrl::parse(url).map(|url| url.to_string()).as_deref(), Ok(shown));
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for url in [
            "localhost:8088",
            "ftp://a",
            "http://",
            "http:///a",
            "http://a:0",
            "http://a:99999",
            "http://a:+80",
            "http://a:",
            "http://user:secret@a",
            "http://a?b",
            "http://a/#b",
            "http://a/../b",
            "http://a//b",
            "http://a/%2e%2e",
            "http://a b",
            "http://[::1",
            "http://::1",
            "http://ä",
        ] {
            let wrong = BaseUrl::parse(url).expect_err(url);
            assert!(!wrong.contains("secret"));
        }
    }

    #[test]
    fn a_key_is_visible_ascii() {
        assert!(ApiKey::parse("ak_0123".into()).is_some());
        for key in ["ak 1", "ak\n1", "ak_1\n", "ak_é"] {
            assert!(ApiKey::parse(key.into()).is_none(), "{key:?}");
        }
    }
}
