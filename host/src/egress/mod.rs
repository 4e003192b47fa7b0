//! What leaves: the one place where a component's request is checked, given its key, sent, and its answer scrubbed.
//!
//! The order is fixed, and the first failing check names itself: parse → origin → method → path → query → headers →
//! body → rate → address → (connection) → key → send → response → scrub. There is no other sender in the binary.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error, WasiBody};

mod address;
mod connect;
mod headers;

pub use connect::{Resolve, SystemResolver};

use crate::grants::{Check, Denial, Grants, RequestUrl};
use crate::log;
use crate::secret::{Scrubber, SecretValue};
use connect::{ConnectError, Connection, Connector};

/// What stands for a secret inside the sandbox.
pub(crate) struct Placeholder {
    /// The text that the component sees.
    pub(crate) text: String,
    /// The environment variable that shows it.
    pub(crate) env: String,
    /// The only header that it is replaced in.
    pub(crate) header: http::HeaderName,
    /// What it stands for in this call; nothing, when no key is configured.
    pub(crate) secret: Option<SecretValue>,
}

/// What the egress knows of the call that a request belongs to.
pub(crate) struct CallContext {
    /// The tool that is running.
    pub(crate) tool: String,
    /// The secrets of this call.
    pub(crate) placeholders: Vec<Placeholder>,
    /// Finds them again in what comes back.
    pub(crate) scrubber: Scrubber,
    /// Requests made so far.
    requests: AtomicUsize,
    /// What was denied so far.
    denials: Mutex<Vec<Denial>>,
}

impl CallContext {
    pub(crate) fn new(tool: &str, placeholders: Vec<Placeholder>) -> Self {
        let scrubber = Scrubber::new(placeholders.iter().filter_map(|placeholder| placeholder.secret.clone()));
        Self { tool: tool.to_owned(), placeholders, scrubber, requests: AtomicUsize::new(0), denials: Mutex::default() }
    }

    /// What was denied in this call.
    pub(crate) fn denials(&self) -> Vec<Denial> {
        self.denials.lock().map(|denials| denials.clone()).unwrap_or_default()
    }
}

/// The way out of the sandbox, shared by all calls.
pub struct Egress {
    grants: Arc<Grants>,
    connector: Connector,
    running: Semaphore,
}

/// A request that passed every check that needs no network.
struct Checked {
    request: Request<Bytes>,
    rule: String,
}

enum Failure {
    Denied(Denial),
    Failed(Error),
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Denied(denial) => Self::Denied(denial),
            ConnectError::Failed(error) => Self::Failed(error),
        }
    }
}

impl Egress {
    /// The way out that these grants describe.
    ///
    /// # Errors
    ///
    /// When the CA file cannot be used.
    pub fn new(grants: Arc<Grants>, resolver: Arc<dyn Resolve>) -> anyhow::Result<Self> {
        let running = Semaphore::new(grants.limits.concurrent_requests);
        Ok(Self { connector: Connector::new(grants.clone(), resolver)?, grants, running })
    }

    /// Takes a component's request through all checks, and its answer back through the scrubber.
    pub(crate) async fn send(
        &self,
        call: &CallContext,
        request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Error> {
        let line = describe(&request);
        let limit = Duration::from_secs(self.grants.limits.request_seconds);
        let answer = tokio::time::timeout(limit, self.check_and_send(call, request)).await;
        let late = || Denial::new(Check::Deadline, format!("no answer within `request_seconds` = {}", limit.as_secs()));
        match answer.unwrap_or_else(|_| Err(late().into())) {
            Ok(response) => Ok(response.map(|body| Full::new(body).map_err(Error::from).boxed_unsync())),
            Err(Failure::Denied(denial)) => Err(self.deny(call, &line, denial)),
            Err(Failure::Failed(error)) => {
                log::debug(&format!("{}: {line}: {error}", call.tool));
                Err(error)
            }
        }
    }

    async fn check_and_send(&self, call: &CallContext, request: Request<WasiBody>) -> Result<Response<Bytes>, Failure> {
        let Checked { request, rule } = self.check(call, request).await?;
        let closed = |_| Failure::Failed(Error::InternalError(None));
        let _running = self.running.acquire().await.map_err(closed)?;
        let (connection, response) = self.exchange(call, request).await?;
        let address = connection.address;
        let response = self.receive(call, connection, response).await?;
        log::debug(&format!("{}: {rule}: {} from {address}", call.tool, response.status().as_u16()));
        Ok(response)
    }

    async fn check(&self, call: &CallContext, request: Request<WasiBody>) -> Result<Checked, Failure> {
        let (parts, body) = request.into_parts();
        let uri = &parts.uri;
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        let authority = text(uri.authority().map(|authority| authority.as_str()));
        let target = text(uri.path_and_query().map(|target| target.as_str()));
        let url = RequestUrl::parse(uri.scheme_str().unwrap_or_default(), &authority, &target)?;
        let rule = self.grants.decide(&call.tool, parts.method.as_str(), &url)?;
        let limits = &self.grants.limits;
        headers::check(&parts.headers, call, limits.header_bytes)?;
        let body = self.collect_request(body).await?;
        if call.requests.fetch_add(1, Ordering::Relaxed) >= limits.requests_per_call {
            let reason = format!("the call made its `requests_per_call` = {} requests", limits.requests_per_call);
            return Err(Denial::new(Check::Rate, reason).into());
        }
        let mut request = Request::new(body);
        *request.method_mut() = parts.method;
        // The target as it goes onto the wire: path and query; the host is in its header.
        *request.uri_mut() = target.parse().map_err(|_| Error::HttpRequestUriInvalid)?;
        *request.headers_mut() = headers::outgoing(parts.headers, &self.grants.base_url.origin, request.body().len());
        Ok(Checked { request, rule: rule.to_string() })
    }

    async fn collect_request(&self, body: WasiBody) -> Result<Bytes, Failure> {
        let most = self.grants.limits.request_bytes;
        match Limited::new(body, most).collect().await {
            Ok(collected) if collected.trailers().is_some() => {
                Err(Denial::new(Check::Headers, "trailers are not sent").into())
            }
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(Denial::new(Check::Body, format!("the body is over `request_bytes` = {most}")).into())
            }
            Err(_) => Err(Error::HttpRequestBodySize(None).into()),
        }
    }

    /// Sends the request over an open connection.
    ///
    /// A connection that was kept may have been closed by the other side meanwhile. A request that never went out is
    /// sent anew, whatever it is; one that may have gone out only if it is a GET, which changes nothing.
    async fn exchange(
        &self,
        call: &CallContext,
        request: Request<Bytes>,
    ) -> Result<(Connection, Response<Incoming>), Failure> {
        let mut connection = self.connector.connect().await?;
        loop {
            let outgoing = headers::with_secrets(&request, call).map(Full::new);
            let failed = match connection.sender.try_send_request(outgoing).await {
                Ok(response) => return Ok((connection, response)),
                Err(failed) => failed,
            };
            let unsent = failed.message().is_some();
            if !connection.reused || !(unsent || request.method() == Method::GET) {
                return Err(wire_error(failed.into_error()).into());
            }
            connection = self.connector.connect_anew().await?;
        }
    }

    async fn receive(
        &self,
        call: &CallContext,
        connection: Connection,
        response: Response<Incoming>,
    ) -> Result<Response<Bytes>, Failure> {
        let (mut parts, body) = response.into_parts();
        if let Some(encoding) = parts.headers.get(http::header::CONTENT_ENCODING) {
            let reason =
                format!("the content encoding `{}` was not asked for", String::from_utf8_lossy(encoding.as_bytes()));
            return Err(Denial::new(Check::Encoding, reason).into());
        }
        let most = self.grants.limits.response_bytes;
        let body =
            Limited::new(body, most).collect().await.map_err(|error| match error.downcast::<hyper::Error>() {
                Ok(_) => Failure::Failed(Error::HttpResponseIncomplete),
                Err(_) => Denial::new(Check::Response, format!("the answer is over `response_bytes` = {most}")).into(),
            })?;
        self.connector.keep(connection);
        headers::scrub(&mut parts.headers, &call.scrubber);
        let body = body.to_bytes();
        let (scrubbed, redactions) = call.scrubber.scrub(&body);
        let body = if redactions > 0 { Bytes::from(scrubbed.into_owned()) } else { body };
        Ok(Response::from_parts(parts, body))
    }

    /// Tells the operator, remembers it for the call's result, and gives the component the error that WASI has for it.
    fn deny(&self, call: &CallContext, line: &str, denial: Denial) -> Error {
        let rule = denial.missing_rule.as_ref();
        let hint = rule.map_or_else(String::new, |rule| {
            format!("; hint: to allow it, add \"{rule}\" to `{}` under [tools] of a grant file", call.tool)
        });
        log::warn(&format!("{}: {line}: {denial}{hint}", call.tool));
        let error = match denial.check {
            Check::Address => Error::DestinationIpProhibited,
            Check::Deadline => Error::HttpResponseTimeout,
            Check::Response => Error::HttpResponseBodySize(None),
            // The request was sent: a component must not take this for one that never left.
            Check::Encoding => Error::HttpResponseContentCoding(None),
            _ => Error::HttpRequestDenied,
        };
        if let Ok(mut denials) = call.denials.lock() {
            denials.push(denial);
        }
        error
    }
}

/// The request as a log shows it: without what may be a secret in it (a user, a query).
fn describe(request: &Request<WasiBody>) -> String {
    let uri = request.uri();
    let host = uri.authority().map_or("", |authority| authority.host());
    let port = uri.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    format!("{} {}://{host}{port}{}", request.method(), uri.scheme_str().unwrap_or_default(), uri.path())
}

fn wire_error(error: hyper::Error) -> Error {
    if error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(None)
    } else if error.is_parse() {
        Error::HttpProtocolError
    } else {
        Error::ConnectionTerminated
    }
}
