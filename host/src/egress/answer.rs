//! Answers: which ones may be handed in, and how much of them.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::response::Parts;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use wasmtime_wasi_http::Error;

use super::Failure;
use crate::grants::{Check, Denial, Limits};

/// Refuses an answer that somebody else on the way could read differently: one that switches to another protocol, is
/// encoded in a way that nobody asked for, or states its length twice.
pub(super) fn check(parts: &Parts) -> Result<(), Denial> {
    let refused = |reason: String| Err(Denial::new(Check::Encoding, reason));
    if parts.status.is_informational() {
        return refused(format!("the status {} was not asked for", parts.status.as_u16()));
    }
    if let Some(encoding) = parts.headers.get(CONTENT_ENCODING) {
        let encoding = String::from_utf8_lossy(encoding.as_bytes());
        return refused(format!("the content encoding `{encoding}` was not asked for"));
    }
    if !is_framed_once(&parts.headers) {
        return refused("its length can be read in two ways".to_owned());
    }
    Ok(())
}

/// Whether the length follows from one header: `Transfer-Encoding: chunked`, or `Content-Length`, or from neither.
fn is_framed_once(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, _) => headers.get_all(CONTENT_LENGTH).iter().count() <= 1,
        (Some(encoding), None) => {
            encoding.as_bytes().eq_ignore_ascii_case(b"chunked") && !headers.contains_key(CONTENT_LENGTH)
        }
        (Some(_), Some(_)) => false,
    }
}

/// Reads a body to its end, or to its limit.
pub(super) async fn read(body: Incoming, limits: &Limits) -> Result<Bytes, Failure> {
    let most = limits.response_bytes;
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<hyper::Error>() => Err(Error::HttpResponseIncomplete.into()),
        Err(_) => Err(Denial::new(Check::Response, format!("the answer is over `response_bytes` = {most}")).into()),
    }
}

/// Why there is no answer.
pub(super) fn failure(error: &hyper::Error, limits: &Limits) -> Failure {
    if error.is_parse_too_large() {
        let most = limits.header_bytes;
        let reason = format!("the answer's headers are over `header_bytes` = {most}, or more than {MOST_HEADERS}");
        Denial::new(Check::Response, reason).into()
    } else if error.is_parse() {
        Error::HttpProtocolError.into()
    } else {
        Error::ConnectionTerminated.into()
    }
}

/// The most header fields of an answer: as many as the HTTP client takes by default.
pub(super) const MOST_HEADERS: usize = 100;
