//! A client that says exactly what it is told to, and reads what is there.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reference_gateway::Gateway;
use serde_json::Value;

pub(crate) const MAPPINGS: &str = "/api/v1/model-mappings";

/// A connection to a gateway.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// An answer, as far as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(gateway: &Gateway) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", gateway.port())).expect("the gateway listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("the timeout is not zero");
        Client { stream: BufReader::new(stream) }
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).expect("the connection is open");
    }

    /// Sends a request with this key and body.
    pub(crate) fn request(&mut self, method: &str, target: &str, key: &str, body: &str) {
        let length = body.len();
        let head = format!("{method} {target} HTTP/1.1\r\nHost: gateway\r\nX-API-Key: {key}\r\n");
        self.send(format!("{head}Content-Length: {length}\r\n\r\n{body}"));
    }

    /// Reads an answer.
    pub(crate) fn reply(&mut self) -> Reply {
        self.try_reply().expect("an answer")
    }

    /// Reads an answer, or what becomes of it.
    pub(crate) fn try_reply(&mut self) -> io::Result<Reply> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut reply = Reply {
            status: status.ok_or_else(|| io::Error::other(format!("status line `{status_line}`")))?,
            headers: Vec::new(),
            body: Vec::new(),
        };
        while let Some((name, value)) = self.line()?.split_once(": ") {
            reply.headers.push((name.to_owned(), value.to_owned()));
        }
        if reply.header("Transfer-Encoding").is_some() {
            self.chunks(&mut reply.body)?;
        } else {
            let length = reply.header("Content-Length").and_then(|length| length.parse().ok());
            reply.body = vec![0; length.ok_or_else(|| io::Error::other("no length"))?];
            self.stream.read_exact(&mut reply.body)?;
        }
        Ok(reply)
    }

    /// Reads exactly so many bytes.
    pub(crate) fn read_exact(&mut self, bytes: &mut [u8]) {
        self.stream.read_exact(bytes).expect("as many bytes");
    }

    /// Everything until the connection ends, and the error if it ends with one.
    pub(crate) fn rest(&mut self) -> (String, io::Result<usize>) {
        let mut bytes = Vec::new();
        let end = self.stream.read_to_end(&mut bytes);
        (String::from_utf8_lossy(&bytes).into_owned(), end)
    }

    /// Whether nothing comes for a while, on a connection that is still open.
    pub(crate) fn is_silent(&mut self) -> bool {
        let stream = self.stream.get_ref();
        stream.set_read_timeout(Some(Duration::from_millis(100))).expect("the timeout is not zero");
        let read = self.stream.fill_buf().map(<[u8]>::len);
        let patient = Some(Duration::from_secs(10));
        self.stream.get_ref().set_read_timeout(patient).expect("the timeout is not zero");
        matches!(read, Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let size = usize::from_str_radix(&self.line()?, 16).map_err(io::Error::other)?;
            let mut chunk = vec![0; size];
            self.stream.read_exact(&mut chunk)?;
            body.extend_from_slice(&chunk);
            self.line()?;
            if size == 0 {
                return Ok(());
            }
        }
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The status and the text of an error.
    pub(crate) fn error(&self) -> (u16, String) {
        let json = self.json();
        let text = json["error"].as_str().unwrap_or_else(|| panic!("no error in {json}"));
        (self.status, text.to_owned())
    }
}

/// One request on a connection of its own.
pub(crate) fn call(gateway: &Gateway, user: &str, method: &str, target: &str, body: &str) -> Reply {
    let mut client = Client::connect(gateway);
    client.request(method, target, gateway.key(user), body);
    client.reply()
}

pub(crate) fn get(gateway: &Gateway, user: &str, target: &str) -> Reply {
    call(gateway, user, "GET", target, "")
}

pub(crate) fn list(gateway: &Gateway, user: &str, query: &str) -> Value {
    let reply = get(gateway, user, &format!("{MAPPINGS}{query}"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// Creates a mapping to gpt-4o.
pub(crate) fn create(gateway: &Gateway, user: &str, alias: &str) -> Reply {
    call(gateway, user, "POST", MAPPINGS, &body(alias))
}

/// The body that creates, or updates to, a mapping to gpt-4o.
pub(crate) fn body(alias: &str) -> String {
    serde_json::json!({"alias": alias, "provider_id": "openai", "model_name": "gpt-4o"}).to_string()
}

/// The path of a mapping, for an alias that needs no encoding.
pub(crate) fn path(alias: &str) -> String {
    format!("{MAPPINGS}/{alias}")
}

/// The aliases of a list.
pub(crate) fn aliases(list: &Value) -> Vec<&str> {
    let data = list["data"].as_array().expect("data is an array");
    data.iter().map(|mapping| mapping["alias"].as_str().expect("an alias is a string")).collect()
}

pub(crate) fn owned(status: u16, text: &str) -> (u16, String) {
    (status, text.to_owned())
}
