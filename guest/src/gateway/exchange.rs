//! One request and its answer: with waki where there is one at a time, on WASI's own bindings where several are in
//! flight at once.

use super::answer::{About, Answer};
use super::trouble::Trouble;
use crate::configuration::{ApiKey, BaseUrl};
use std::time::{Duration, Instant};
use wasi::http::outgoing_handler;
use wasi::http::types::{Fields, FutureIncomingResponse, IncomingResponse, OutgoingRequest, RequestOptions, Scheme};
use wasi::io::streams::{InputStream, StreamError};

/// The only header that the key goes into.
const KEY_HEADER: &str = "x-api-key";

/// For runtimes that leave it to the component; a gateway that is there accepts a connection at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A broken GET is sent again only if it broke this soon, as it does on a connection that was closed while idle:
/// after a read, a write and a look back there must be time left before the runtime ends the call.
const BREAKS_SOON: Duration = Duration::from_secs(5);

/// What is read of a body at a time.
const CHUNK: u64 = 1 << 20;

/// What a request asks for.
pub(super) struct Target<'a> {
    pub(super) base: &'a BaseUrl,
    /// Path and query behind the base URL, percent-encoded.
    pub(super) route: String,
    pub(super) about: About,
    /// Absent where the route is public.
    pub(super) key: Option<&'a ApiKey>,
    /// The most bytes of a body that are read.
    pub(super) at_most: usize,
}

impl<'a> Target<'a> {
    fn path(&self) -> String {
        format!("{}{}", self.base.prefix, self.route)
    }

    /// Sends the request once and waits for its answer. A `body` is JSON.
    pub(super) fn send(&self, method: waki::Method, body: Option<Vec<u8>>) -> Result<Answer, Trouble> {
        let url = format!("{}://{}{}", self.base.scheme(), self.base.authority, self.path());
        let mut request = waki::Client::new().request(method, &url).connect_timeout(CONNECT_TIMEOUT);
        if let Some(key) = self.key {
            request = request.header(KEY_HEADER, key.for_header());
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        // An error that is no error code comes from writing the body, so that the request may have arrived.
        let response =
            request.send().map_err(|error| error.downcast().map_or(Trouble::Broken, waki::ErrorCode::into))?;
        let body = read_body(self.at_most, || response.chunk(CHUNK).map_err(|_| Trouble::Cut))?;
        Ok(Answer::new(self.about, response.status_code(), body))
    }

    /// Sends a GET, and once more if the connection breaks at once.
    pub(super) fn get(&self) -> Result<Answer, Trouble> {
        let sent = Instant::now();
        match self.send(waki::Method::Get, None) {
            Err(trouble) if trouble.is_of_the_connection() && sent.elapsed() < BREAKS_SOON => {
                self.send(waki::Method::Get, None)
            }
            result => result,
        }
    }

    /// Sends a GET without waiting for its answer.
    pub(super) fn start(self) -> Pending<'a> {
        Pending { sent: Instant::now(), response: self.begin(), target: self }
    }

    fn begin(&self) -> Result<FutureIncomingResponse, Trouble> {
        let headers = Fields::new();
        if let Some(key) = self.key {
            headers.append(KEY_HEADER, key.for_header().as_bytes()).map_err(|_| Trouble::Malformed)?;
        }
        let request = OutgoingRequest::new(headers);
        let scheme = if self.base.secure { Scheme::Https } else { Scheme::Http };
        request
            .set_scheme(Some(&scheme))
            .and_then(|()| request.set_authority(Some(&self.base.authority)))
            .and_then(|()| request.set_path_with_query(Some(&self.path())))
            .map_err(|()| Trouble::Malformed)?;
        let options = RequestOptions::new();
        let nanoseconds = u64::try_from(CONNECT_TIMEOUT.as_nanos()).ok();
        // A runtime without such an option has its own.
        options.set_connect_timeout(nanoseconds).ok();
        outgoing_handler::handle(request, Some(options)).map_err(Trouble::from)
    }

    fn complete(&self, response: FutureIncomingResponse) -> Result<Answer, Trouble> {
        let response = wait(&response)?;
        let status = response.status();
        let body = response.consume().map_err(|()| Trouble::Malformed)?;
        let stream = body.stream().map_err(|()| Trouble::Malformed)?;
        let body = read_body(self.at_most, || read_chunk(&stream))?;
        Ok(Answer::new(self.about, status, body))
    }
}

/// A GET that is on its way.
pub(crate) struct Pending<'a> {
    target: Target<'a>,
    sent: Instant,
    response: Result<FutureIncomingResponse, Trouble>,
}

impl Pending<'_> {
    /// Waits for the answer, and asks once more if the connection breaks at once.
    pub(super) fn finish(self) -> Result<Answer, Trouble> {
        let Self { target, sent, response } = self;
        match response.and_then(|response| target.complete(response)) {
            Err(trouble) if trouble.is_of_the_connection() && sent.elapsed() < BREAKS_SOON => {
                target.begin().and_then(|response| target.complete(response))
            }
            result => result,
        }
    }
}

fn wait(response: &FutureIncomingResponse) -> Result<IncomingResponse, Trouble> {
    loop {
        match response.get() {
            Some(Ok(result)) => return result.map_err(Trouble::from),
            Some(Err(())) => return Err(Trouble::Malformed),
            None => response.subscribe().block(),
        }
    }
}

fn read_chunk(stream: &InputStream) -> Result<Option<Vec<u8>>, Trouble> {
    match stream.blocking_read(CHUNK) {
        Ok(chunk) => Ok(Some(chunk)),
        Err(StreamError::Closed) => Ok(None),
        // The error's code is not asked for: waki has none here either, and not every runtime has one.
        Err(StreamError::LastOperationFailed(_)) => Err(Trouble::Cut),
    }
}

/// Joins chunks until there is none left, or too many bytes.
fn read_body(at_most: usize, mut next: impl FnMut() -> Result<Option<Vec<u8>>, Trouble>) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = next()? {
        if body.len() + chunk.len() > at_most {
            return Err(Trouble::TooLarge);
        }
        if body.is_empty() {
            body = chunk;
        } else {
            body.extend_from_slice(&chunk);
        }
    }
    Ok(body)
}
