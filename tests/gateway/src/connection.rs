//! One connection: bytes in and out, and the ways in which it can end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::SockRef;

use crate::http::{Parsed, Request, parse};
use crate::socket::Socket;

/// How often a waiting connection looks whether its client is still there. Short enough that a test which
/// waits for a closed connection does not notice.
const GLANCE: Duration = Duration::from_millis(10);

/// How long a connection that is refused keeps reading, so that its client gets to the answer.
const LINGER: Duration = Duration::from_millis(200);

/// What came next on a connection.
pub(crate) enum Received {
    /// A whole request.
    Request { request: Request, keep_alive: bool },
    /// Something that is no request: the status to end with.
    Malformed(u16),
    /// The end.
    Closed,
}

/// A client's connection.
pub(crate) struct Connection {
    number: usize,
    stream: Stream,
    /// Bytes received, but not yet part of a request.
    received: Vec<u8>,
}

enum Stream {
    Plain(Socket),
    Tls(Box<StreamOwned<ServerConnection, Socket>>),
}

impl Connection {
    pub(crate) fn plain(number: usize, socket: Socket) -> Self {
        Connection { number, stream: Stream::Plain(socket), received: Vec::new() }
    }

    pub(crate) fn tls(number: usize, socket: Socket, config: Arc<ServerConfig>) -> io::Result<Self> {
        let session = ServerConnection::new(config).map_err(io::Error::other)?;
        let stream = Stream::Tls(Box::new(StreamOwned::new(session, socket)));
        Ok(Connection { number, stream, received: Vec::new() })
    }

    /// Waits for the next request.
    pub(crate) fn receive(&mut self) -> Received {
        let mut continued = false;
        loop {
            match parse(&self.received, self.number) {
                Parsed::Complete { request, keep_alive, length } => {
                    self.received.drain(..length);
                    return Received::Request { request, keep_alive };
                }
                Parsed::Malformed(status) => return Received::Malformed(status),
                Parsed::Partial { awaits_continue } if awaits_continue && !continued => {
                    continued = true;
                    if self.send(b"HTTP/1.1 100 Continue\r\n\r\n").is_err() {
                        return Received::Closed;
                    }
                }
                Parsed::Partial { .. } => {
                    if !matches!(self.read_more(), Ok(1..)) {
                        return Received::Closed;
                    }
                }
            }
        }
    }

    /// Sends all bytes, in one write as far as the system takes them.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Waits, or fails as soon as the client has gone away.
    pub(crate) fn wait(&mut self, duration: Duration) -> io::Result<()> {
        let end = Instant::now() + duration;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(GLANCE));
            if self.is_closed()? {
                return Err(ErrorKind::ConnectionAborted.into());
            }
        }
    }

    /// Reads until the client has gone away.
    pub(crate) fn wait_for_close(&mut self) {
        while matches!(self.read_more(), Ok(1..)) {
            self.received.clear();
        }
    }

    /// Waits until the client sends something, or goes away.
    pub(crate) fn wait_for_bytes(&mut self) {
        if self.received.is_empty() {
            let _ = self.read_more();
        }
    }

    /// Ends the connection so that everything sent arrives.
    pub(crate) fn close(mut self) {
        if let Stream::Tls(stream) = &mut self.stream {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        let _ = self.socket().shutdown(Shutdown::Write);
    }

    /// The same for a client that may still be sending: a socket closed with bytes unread is a reset,
    /// which would overtake the answer.
    pub(crate) fn close_unread(mut self) {
        let _ = self.socket().shutdown(Shutdown::Write);
        let _ = self.socket().set_read_timeout(Some(LINGER));
        self.wait_for_close();
    }

    /// Ends the connection without a word, as a process that dies does it: TLS notices, plain HTTP may not.
    pub(crate) fn cut(self) {
        let _ = self.socket().shutdown(Shutdown::Both);
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        let _ = SockRef::from(&**self.socket()).set_linger(Some(Duration::ZERO));
    }

    fn socket(&self) -> &Socket {
        match &self.stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => &stream.sock,
        }
    }

    fn is_closed(&mut self) -> io::Result<bool> {
        self.socket().set_nonblocking(true)?;
        let read = self.read_more();
        self.socket().set_nonblocking(false)?;
        match read {
            Ok(count) => Ok(count == 0),
            Err(error) => Ok(error.kind() != ErrorKind::WouldBlock),
        }
    }

    fn read_more(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 16 * 1024];
        let count = self.stream.read(&mut bytes)?;
        self.received.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(bytes),
            Stream::Tls(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}
