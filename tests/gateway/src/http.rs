//! Requests, read from bytes.

use std::str::from_utf8;

use httparse::Status;

/// A head that is longer than this is refused, as Go's server does it.
const LONGEST_HEAD: usize = 1 << 20;

/// The most header fields of a request that are taken.
const MOST_HEADERS: usize = 256;

/// A request as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// The raw path and query, still percent-encoded.
    pub target: String,
    /// The header fields in the order and with the names they came with.
    pub headers: Vec<(String, String)>,
    /// The body, without its chunks.
    pub body: Vec<u8>,
    /// The number of the connection it came on, from 1.
    pub connection: usize,
}

impl Request {
    /// The first header field of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text, with U+FFFD for what is no UTF-8.
    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The key that the gateway looks at: `X-API-Key` unless it is empty, then a bearer token.
    pub(crate) fn key(&self) -> Option<&str> {
        let key = self.header("X-API-Key").filter(|key| !key.is_empty());
        key.or_else(|| self.header("Authorization")?.strip_prefix("Bearer "))
    }
}

/// What the bytes of a connection amount to so far.
pub(crate) enum Parsed {
    /// A request, and the number of bytes it took.
    Complete { request: Request, keep_alive: bool, length: usize },
    /// Not yet a request. Its client may wait for a word before it sends the body.
    Partial { awaits_continue: bool },
    /// Never a request: the status to end the connection with.
    Malformed(u16),
}

/// Reads the first request of `bytes`.
pub(crate) fn parse(bytes: &[u8], connection: usize) -> Parsed {
    let mut fields = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut head = httparse::Request::new(&mut fields);
    let length = match head.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if bytes.len() > LONGEST_HEAD => return Parsed::Malformed(431),
        Ok(Status::Partial) => return Parsed::Partial { awaits_continue: false },
        Err(httparse::Error::TooManyHeaders) => return Parsed::Malformed(431),
        Err(_) => return Parsed::Malformed(400),
    };
    let mut request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        target: head.path.unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(owned_header).collect(),
        body: Vec::new(),
        connection,
    };
    match parse_body(&request, &bytes[length..]) {
        Body::Complete { body, length: body_length } => {
            request.body = body;
            let keep_alive = keeps_alive(&request, head.version == Some(1));
            Parsed::Complete { request, keep_alive, length: length + body_length }
        }
        Body::Partial => Parsed::Partial { awaits_continue: awaits_continue(&request) },
        Body::Malformed => Parsed::Malformed(400),
    }
}

fn owned_header(header: &httparse::Header<'_>) -> (String, String) {
    (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned())
}

fn keeps_alive(request: &Request, is_http_1_1: bool) -> bool {
    match request.header("Connection") {
        Some(option) if option.eq_ignore_ascii_case("close") => false,
        Some(option) if option.eq_ignore_ascii_case("keep-alive") => true,
        _ => is_http_1_1,
    }
}

fn awaits_continue(request: &Request) -> bool {
    request.header("Expect").is_some_and(|expected| expected.eq_ignore_ascii_case("100-continue"))
}

enum Body {
    Complete { body: Vec<u8>, length: usize },
    Partial,
    Malformed,
}

fn parse_body(request: &Request, bytes: &[u8]) -> Body {
    let coding = request.header("Transfer-Encoding");
    match (coding, request.header("Content-Length").map(str::parse::<usize>)) {
        (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => parse_chunks(bytes),
        (Some(_), _) | (None, Some(Err(_))) => Body::Malformed,
        (None, Some(Ok(length))) if bytes.len() < length => Body::Partial,
        (None, Some(Ok(length))) => Body::Complete { body: bytes[..length].to_vec(), length },
        (None, None) => Body::Complete { body: Vec::new(), length: 0 },
    }
}

fn parse_chunks(bytes: &[u8]) -> Body {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let (start, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(Status::Complete((start, size))) => (at + start, usize::try_from(size).unwrap_or(usize::MAX)),
            Ok(Status::Partial) => return Body::Partial,
            Err(_) => return Body::Malformed,
        };
        if size == 0 {
            return match end_of_trailers(&bytes[start..]) {
                Some(end) => Body::Complete { body, length: start + end },
                None => Body::Partial,
            };
        }
        let end = start.saturating_add(size);
        match bytes.get(end..end.saturating_add(2)) {
            Some(b"\r\n") => body.extend_from_slice(&bytes[start..end]),
            Some(_) => return Body::Malformed,
            None => return Body::Partial,
        }
        at = end + 2;
    }
}

/// The bytes up to and with the empty line after the last chunk.
fn end_of_trailers(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"\r\n") {
        return Some(2);
    }
    let text = from_utf8(bytes).ok()?;
    text.find("\r\n\r\n").map(|at| at + 4)
}
