//! Where requests may go: the base URL of a grant, and the canonical form of a request's URL.
//!
//! Two parsers read each request's URL, the one that the HTTP client uses (`http`) and the one of the URL standard
//! (`url`). Where they could disagree about the destination, the request is denied.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::{Check, Denial};

/// The most bytes of a host and a port: names have at most 253.
const MOST_AUTHORITY: usize = 253 + ":65535".len();

/// The schemes that have a meaning here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain text.
    Http,
    /// TLS, authenticated by the granted name.
    Https,
}

/// A destination: what has to be equal for a request to pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The scheme.
    pub scheme: Scheme,
    /// The host in lower case; an IPv6 address in brackets.
    pub host: String,
    /// The port, written out or the scheme's own.
    pub port: u16,
}

/// The base URL of a grant: an origin, and a path prefix that stays in front of every rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// Where requests go.
    pub origin: Origin,
    /// The prefix: empty, or a path that begins with `/` and does not end with one.
    pub prefix: String,
}

/// A request's URL after both parsers agreed on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestUrl {
    /// Where it goes.
    pub origin: Origin,
    /// The raw path: percent-encoded, with nothing in it that another reader could resolve differently.
    pub path: String,
    /// The raw query, if there is one.
    pub query: Option<String>,
}

impl Scheme {
    /// The scheme as it is written in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Scheme::Http, Scheme::Https].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme.as_str()))
    }
}

impl Origin {
    /// The address, when the host is one and not a name.
    pub fn address(&self) -> Option<IpAddr> {
        match self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(host) => host.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => self.host.parse().ok().map(IpAddr::V4),
        }
    }

    /// Reads a scheme and an authority with both parsers. Nothing is corrected: what either would have to repair is
    /// refused.
    fn parse(scheme: &str, authority: &str) -> Result<Self, Denial> {
        let scheme = Scheme::parse(scheme)
            .ok_or_else(|| Denial::new(Check::Origin, format!("the scheme `{scheme}` is never granted")))?;
        // What stands before the `@` may be a password: it is not repeated.
        if authority.contains('@') {
            return Err(Denial::new(Check::UserInfo, "a URL with a user in it"));
        }
        if authority.len() > MOST_AUTHORITY {
            return Err(Denial::new(Check::Parse, "a host that is longer than any name"));
        }
        let refused = |what: &str| Denial::new(Check::Parse, format!("{what} in the authority `{authority}`"));
        if !authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b)) {
            return Err(refused("a character that has no place"));
        }
        let (host, port) = split_authority(authority).ok_or_else(|| refused("a malformed host or port"))?;
        let origin = Self { scheme, host: host.to_ascii_lowercase(), port: port.unwrap_or(scheme.default_port()) };
        origin.agrees_with_parsers(authority, port)
    }

    fn agrees_with_parsers(self, authority: &str, port: Option<u16>) -> Result<Self, Denial> {
        let disagree = || Denial::new(Check::Origin, format!("the host `{authority}` can be read in two ways"));
        let first: http::uri::Authority = authority.parse().map_err(|_| disagree())?;
        let url = format!("{}://{authority}/", self.scheme.as_str());
        let second = url::Url::parse(&url).map_err(|_| disagree())?;
        let hosts = [first.host().to_ascii_lowercase(), second.host_str().unwrap_or_default().to_owned()];
        let ports = [first.port_u16(), port];
        let agreed = hosts.iter().all(|host| *host == self.host)
            && ports[0] == ports[1]
            && second.port_or_known_default() == Some(self.port);
        if agreed { Ok(self) } else { Err(disagree()) }
    }
}

/// Splits `host[:port]`. The port is one to five digits without a leading zero, and not 0.
fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = if authority.starts_with('[') { authority.find(']')? + 1 } else { 0 };
    let (host, port) = match authority[end..].find(':') {
        None => (authority, None),
        Some(colon) => (&authority[..end + colon], Some(&authority[end + colon + 1..])),
    };
    let port = match port {
        None => None,
        Some(digits) if digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) => return None,
        Some(digits) => Some(digits.parse().ok()?),
    };
    let bracketed = host.starts_with('[');
    let valid = !host.is_empty()
        && !host.ends_with('.')
        && !host.starts_with('.')
        && bracketed == host.ends_with(']')
        && host.matches(['[', ']']).count() == if bracketed { 2 } else { 0 };
    valid.then_some((host, port))
}

impl BaseUrl {
    /// Reads a base URL such as `https://gateway.example/ai`.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it and what it should look like. A URL with a user in it is not repeated.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str = "it should look like `http://localhost:8088` or `https://gateway.example/prefix`";
        // Where there is no scheme, what stands before an `@` may be a password all the same.
        let shown = if text.contains('@') { "it".to_owned() } else { format!("`{text}`") };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("{shown} is not a URL; {FORM}"))?;
        let (authority, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
        let origin = Origin::parse(scheme, authority).map_err(|denial| match denial.check {
            Check::UserInfo => format!("it has a user in it, which is not allowed; {FORM}"),
            _ => format!("{}; {FORM}", denial.reason),
        })?;
        if path.contains(['?', '#']) {
            return Err(format!("it has a query or a fragment, which is not allowed; {FORM}"));
        }
        let prefix = path.trim_end_matches('/').to_owned();
        canonical_path(&format!("{prefix}/x")).map_err(|reason| format!("{reason}; {FORM}"))?;
        Ok(Self { origin, prefix })
    }
}

impl RequestUrl {
    /// Reads a whole URL, as a person writes it. Nothing is corrected.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn split(url: &str) -> Result<Self, Denial> {
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| Denial::new(Check::Parse, "not of the form `scheme://host/path`"))?;
        let (authority, target) = rest.find(['/', '?', '#']).map_or((rest, "/"), |at| rest.split_at(at));
        if target.contains('#') {
            return Err(Denial::new(Check::Parse, "a fragment is never sent"));
        }
        Self::parse(scheme, authority, target)
    }

    /// Reads a request's URL in the parts that an HTTP client has of it.
    ///
    /// # Errors
    ///
    /// The check that failed: [`Check::Parse`], [`Check::UserInfo`], [`Check::Origin`], [`Check::Path`] or
    /// [`Check::Query`].
    pub fn parse(scheme: &str, authority: &str, path_and_query: &str) -> Result<Self, Denial> {
        let origin = Origin::parse(scheme, authority)?;
        let (path, query) = path_and_query.split_once('?').map_or((path_and_query, None), |(p, q)| (p, Some(q)));
        let path = if path.is_empty() { "/" } else { path };
        canonical_path(path).map_err(|reason| Denial::new(Check::Path, reason))?;
        let query = query.map(str::to_owned);
        // Some servers separate pairs at `;` as well: behind it, a key would pass that no rule names.
        // And one of the two parsers does not take quotes and angles as they are.
        let allowed = |b: u8| b.is_ascii_graphic() && !b"#;\"<>".contains(&b);
        if query.as_ref().is_some_and(|query| !query.bytes().all(allowed)) {
            return Err(Denial::new(Check::Query, "a character that has no place in the query"));
        }
        Ok(Self { origin, path: path.to_owned(), query })
    }
}

/// Refuses a path that two readers could resolve differently: dot segments (also in front of a `;`, behind which some
/// servers look for parameters), empty segments, encoded separators, malformed escapes, and characters that should
/// have been encoded, or that no name has.
fn canonical_path(path: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&b);
    let malformed = |what: &str| Err(format!("{what} in the path"));
    if !path.starts_with('/') || !path.bytes().all(allowed) {
        return malformed("a character that has no place");
    }
    let Some(decoded) = percent_decode(path) else { return malformed("a malformed percent escape") };
    let separators = |bytes: &[u8]| bytes.iter().filter(|b| b"/\\\0".contains(b)).count();
    if separators(&decoded) != path.matches('/').count() {
        return malformed("an encoded separator");
    }
    let Ok(decoded) = String::from_utf8(decoded) else { return malformed("an escape that is no UTF-8") };
    if decoded.contains(char::is_control) {
        return malformed("a control character");
    }
    // An encoded `;` is part of the name, and hides nothing.
    let dots = |segment: &str| {
        let name = segment.split(';').next().and_then(percent_decode);
        matches!(name.as_deref(), Some(b"." | b".."))
    };
    let empty = |segment: &str| segment.is_empty() && path != "/";
    if path.split('/').skip(1).any(|segment| dots(segment) || empty(segment)) {
        return malformed("an empty or a dot segment");
    }
    Ok(())
}

fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        let digits = std::str::from_utf8(&digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        decoded.push(u8::from_str_radix(digits, 16).ok()?);
    }
    Some(decoded)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.host)?;
        if self.port == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scheme: &str, authority: &str, path: &str) -> Result<Origin, Check> {
        RequestUrl::parse(scheme, authority, path).map(|url| url.origin).map_err(|denial| denial.check)
    }

    #[test]
    fn an_origin_has_one_canonical_form() {
        let granted = BaseUrl::parse("https://Gateway.example").unwrap().origin;
        for authority in ["gateway.example", "GATEWAY.example", "gateway.example:443"] {
            assert_eq!(check("https", authority, "/"), Ok(granted.clone()), "{authority}");
        }
    }

    #[test]
    fn an_authority_that_needs_repair_is_denied() {
        for authority in [
            "",
            ":",
            "good:",
            "good:0",
            "good:0443",
            "good:+443",
            "good:99999",
            "good.",
            "good evil",
            "good\\evil",
            "good\0",
            "good\t",
            "good%00",
            "[fe80::1%25eth0]",
            "[::1",
            "::1",
            "[::1]]",
            "gööd",
            "１２７.0.0.1",
        ] {
            let denied = check("https", authority, "/");
            assert!(matches!(denied, Err(Check::Parse | Check::Origin)), "{authority:?}: {denied:?}");
        }
    }

    #[test]
    fn a_user_in_the_url_is_denied_and_not_repeated() {
        let denial = RequestUrl::parse("https", "user:secret@good", "/").unwrap_err();
        assert_eq!(denial.check, Check::UserInfo);
        assert!(!denial.reason.contains("secret"));
        assert_eq!(check("https", "good:443@evil:80", "/"), Err(Check::UserInfo));
    }

    #[test]
    fn numeric_spellings_of_an_address_are_no_origin() {
        for authority in ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"] {
            assert_eq!(check("http", authority, "/"), Err(Check::Origin), "{authority}");
        }
    }

    #[test]
    fn only_http_and_https_are_schemes() {
        for scheme in ["ftp", "file", "ws", "missing", ""] {
            assert_eq!(check(scheme, "good", "/"), Err(Check::Origin), "{scheme}");
        }
    }

    #[test]
    fn a_path_that_can_be_resolved_differently_is_denied() {
        for path in [
            "/v1/../x",
            "/v1/./x",
            "/v1/%2e%2e/x",
            "/v1/%2E",
            "//",
            "/v1//x",
            "/v1/",
            "/a%2Fb",
            "/a%5cb",
            "/a%00",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a b",
            "/a\\b",
            "/a/..;/b",
            "/a/%2e%2e;x=1/b",
            "/a%c0%af",
            "/a%0d%0ab",
            "/a%7f",
            "/é",
            "x",
        ] {
            assert_eq!(check("http", "good", path), Err(Check::Path), "{path}");
        }
        for path in ["/", "/v1/models", "/m/a%20b%3F%25", "/m/a.b", "/m/...", "/m/a;b", "/m/..%3B", "/m/%C3%A9"] {
            assert!(check("http", "good", path).is_ok(), "{path}");
        }
        for query in ["page=1;sort=2", "page=\"", "page=<>"] {
            assert_eq!(check("http", "good", &format!("/m?{query}")), Err(Check::Query));
        }
    }

    #[test]
    fn a_base_url_keeps_its_prefix_and_refuses_the_rest() {
        let base = BaseUrl::parse("http://localhost:8088/ai/gateway/").unwrap();
        assert_eq!(
            (base.prefix.as_str(), base.to_string().as_str()),
            ("/ai/gateway", "http://localhost:8088/ai/gateway")
        );
        for (text, reason) in [
            ("localhost:8088", "not a URL"),
            ("http://user:pw@host", "a user in it"),
            ("http://host?x=1", "query or a fragment"),
            ("http://host/#x", "query or a fragment"),
            ("ftp://host", "never granted"),
            ("http://", "malformed host"),
            ("http://host/a/../b", "dot segment"),
            ("http://ho st", "no place"),
        ] {
            let error = BaseUrl::parse(text).unwrap_err();
            assert!(error.contains(reason) && error.contains("should look like"), "{text}: {error}");
            assert!(!error.contains("pw"), "{error}");
        }
    }

    #[test]
    fn an_address_is_told_from_a_name() {
        let address = |url| BaseUrl::parse(url).unwrap().origin.address();
        assert_eq!(address("http://127.0.0.1:1"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(address("http://[::1]:1"), Some("::1".parse().unwrap()));
        assert_eq!(address("http://localhost:1"), None);
    }
}
