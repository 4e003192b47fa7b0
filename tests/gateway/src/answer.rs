//! An answer, and its bytes.

use std::borrow::Cow;

use crate::time::{http_date, now_ms};

/// An HTTP answer: one that the gateway gives, or one that a fault puts in its place.
///
/// `Content-Length` and `Date` are added when it is sent, unless a header of that name is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    content_type: Cow<'static, str>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    closing: bool,
}

impl Answer {
    /// An answer of any kind. An empty content type leaves the header out.
    pub fn new(status: u16, content_type: impl Into<Cow<'static, str>>, body: impl Into<Vec<u8>>) -> Self {
        Answer { status, content_type: content_type.into(), headers: Vec::new(), body: body.into(), closing: false }
    }

    /// JSON, or what claims to be JSON, with the gateway's content type.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Answer::new(status, "application/json; charset=utf-8", body)
    }

    /// An error page as a proxy in front of the gateway writes it.
    pub fn html(status: u16) -> Self {
        let title = format!("{status} {}", reason(status));
        let page = format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
             <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        );
        Answer::new(status, "text/html", page)
    }

    /// An answer without a body and a content type.
    pub fn empty(status: u16) -> Self {
        Answer::new(status, "", Vec::new())
    }

    /// A redirect to a location, without a body.
    pub fn redirect(status: u16, location: &str) -> Self {
        Answer::empty(status).header("Location", location)
    }

    /// Well-formed JSON of this many megabytes (of 1,000,000 bytes), a list without entries that a reader
    /// would accept if it were not for the size.
    pub fn big(megabytes: usize) -> Self {
        let open = r#"{"providers":[],"data":[],"limit":20,"page":1,"total":0,"padding":""#;
        let close = "\"}";
        let padding = (megabytes * 1_000_000).saturating_sub(open.len() + close.len());
        let mut body = String::with_capacity(megabytes * 1_000_000);
        body.push_str(open);
        body.extend(std::iter::repeat_n('x', padding));
        body.push_str(close);
        Answer::json(200, body)
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// An error of a handler.
    pub(crate) fn error(status: u16, text: &str) -> Self {
        let mut body = String::with_capacity(text.len() + 16);
        crate::json::Object::open(&mut body).text("error", text).close();
        Answer::json(status, body)
    }

    /// Go's redirect: a page for GET, nothing otherwise.
    pub(crate) fn moved(method: &str, location: &str) -> Self {
        if method != "GET" {
            return Answer::redirect(307, location);
        }
        let href = location.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let href = href.replace('"', "&#34;").replace('\'', "&#39;");
        let page = format!("<a href=\"{href}\">Moved Permanently</a>.\n\n");
        Answer::new(301, "text/html; charset=utf-8", page).header("Location", location)
    }

    /// The same answer, after which the connection ends, and says so.
    pub(crate) fn closing(mut self) -> Self {
        self.closing = true;
        self
    }

    /// The same answer as HEAD gets it.
    pub(crate) fn without_body(self) -> Self {
        let length = self.body.len().to_string();
        Answer { body: Vec::new(), ..self }.header("Content-Length", &length)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Head and body, as they go over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head(&format!("Content-Length: {}", self.body.len()));
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The head alone, with this header to say where the body ends, unless the answer has its own.
    pub(crate) fn head(&self, framing: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        if !self.content_type.is_empty() {
            push_header(&mut head, "Content-Type", &self.content_type);
        }
        for (name, value) in &self.headers {
            push_header(&mut head, name, value);
        }
        if !self.has("Date") {
            push_header(&mut head, "Date", &http_date(now_ms()));
        }
        if !self.has("Content-Length") && !self.has("Transfer-Encoding") {
            head.push_str(framing);
            head.push_str("\r\n");
        }
        if self.closing {
            push_header(&mut head, "Connection", "close");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name))
    }
}

fn push_header(head: &mut String, name: &str, value: &str) {
    head.push_str(name);
    head.push_str(": ");
    head.push_str(value);
    head.push_str("\r\n");
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Request Entity Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
