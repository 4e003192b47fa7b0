//! Headers: which ones a component may set, which ones the host sets, and where a secret goes in.

use bytes::Bytes;
use http::Request;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::CallContext;
use crate::grants::{Check, Denial, Origin};
use crate::secret::Scrubber;

/// What a component may set, besides the headers that secrets are granted to. Everything else would change who
/// asks, where the request goes, or how it is framed.
const ALLOWED: [HeaderName; 5] =
    [header::ACCEPT, header::ACCEPT_LANGUAGE, header::CONTENT_TYPE, header::CONTENT_LENGTH, header::USER_AGENT];

/// Checks the headers that the component set (and `host`, which its HTTP layer adds). The target counts as one of
/// them: it is the rest of the head.
pub(super) fn check(target: &str, headers: &HeaderMap, call: &CallContext, most: usize) -> Result<(), Denial> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if target.len() + size > most {
        return Err(Denial::new(
            Check::Headers,
            format!("the target and the headers are over `header_bytes` = {most}"),
        ));
    }
    for name in headers.keys() {
        let times = headers.get_all(name).iter().count();
        if times > 1 {
            return Err(Denial::new(Check::Headers, format!("the header `{name}` comes {times} times")));
        }
        let secret = call.placeholders.iter().find(|placeholder| placeholder.header == *name);
        match secret {
            Some(placeholder) if headers.get(name).is_some_and(|value| value != placeholder.text.as_str()) => {
                return Err(Denial::new(Check::Headers, format!("`{name}` is for the granted secret alone")));
            }
            Some(_) => {}
            None if *name == header::HOST || ALLOWED.contains(name) => {}
            None => return Err(Denial::new(Check::Headers, format!("a component may not set `{name}`"))),
        }
    }
    Ok(())
}

/// The headers that go out: the component's, with the host and the length as they really are.
pub(super) fn outgoing(mut headers: HeaderMap, origin: &Origin, length: usize) -> HeaderMap {
    let host = origin.to_string();
    let host = host.split_once("://").map_or(host.as_str(), |(_, host)| host);
    headers.remove(header::HOST);
    headers.remove(header::CONTENT_LENGTH);
    if let Ok(host) = HeaderValue::from_str(host) {
        headers.insert(header::HOST, host);
    }
    if length > 0 {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    headers
}

/// Drops the headers that secrets would go into.
pub(super) fn drop_secrets(headers: &mut HeaderMap, call: &CallContext) {
    for placeholder in &call.placeholders {
        headers.remove(&placeholder.header);
    }
}

/// A copy of the request with the secrets in the place of their placeholders; a placeholder without a secret goes
/// without its header.
pub(super) fn with_secrets(request: &Request<Bytes>, call: &CallContext) -> Request<Bytes> {
    let mut request = request.clone();
    for placeholder in &call.placeholders {
        let headers = request.headers_mut();
        if headers.remove(&placeholder.header).is_some()
            && let Some(secret) = &placeholder.secret
        {
            headers.insert(placeholder.header.clone(), secret.header_value());
        }
    }
    request
}

/// Replaces secrets in the values of an answer's headers, and drops a header whose name holds one.
pub(super) fn scrub(headers: &mut HeaderMap, scrubber: &Scrubber) {
    let leaks: Vec<HeaderName> = headers.keys().filter(|name| scrubber.is_in_name(name.as_str())).cloned().collect();
    for name in leaks {
        headers.remove(name);
    }
    for value in headers.values_mut() {
        let (scrubbed, redactions) = scrubber.scrub(value.as_bytes());
        if redactions > 0 {
            *value = HeaderValue::from_bytes(&scrubbed).unwrap_or(HeaderValue::from_static("[redacted]"));
        }
    }
}
