//! What leaves: the one place where a component's request is checked, given its key, sent, and its answer scrubbed.
//!
//! The order is fixed, and the first failing check names itself: parse → origin → method → path → query → headers →
//! body → rate → address → (connection) → key → send → response → scrub. There is no other sender in the binary.
//!
//! A request counts from the moment it is tried, denied or not; that a call has none left is told after its body's size,
//! which is then counted and not kept.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error, WasiBody};

mod address;
mod answer;
mod call;
mod connect;
mod headers;
mod record;

pub(crate) use call::{CallContext, Counters, Placeholder};
pub use connect::{Resolve, SystemResolver};

use crate::audit::Audit;
use crate::grants::{Check, Denial, Grants, Observed, Permit, RequestUrl};
use crate::log;
use crate::queue::Wait;
use connect::{ConnectError, Connection, Connector};
use record::{Answer, Line, Recorded};

/// Denials of one call that the operator is told: the first ones say what is wrong, and a component can ask for
/// thousands a second.
const MOST_DENIALS_TOLD: u64 = 16;

/// The most characters of a denial's reason: it goes into a result, and quotes what a component asked for.
const MOST_REASON: usize = 500;

/// The way out of the sandbox, shared by all calls.
pub struct Egress {
    grants: Arc<Grants>,
    connector: Connector,
    running: Arc<Semaphore>,
    audit: Arc<Audit>,
    requests: AtomicU64,
    /// What was used and needed, where a component is being observed.
    observed: Option<Mutex<Observed>>,
}

/// A request that passed every check that needs no network.
struct Checked<'g> {
    request: Request<Bytes>,
    permit: Permit<'g>,
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

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denial) => denial.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
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
        let running = Arc::new(Semaphore::new(grants.limits.concurrent_requests));
        let connector = Connector::new(grants.clone(), resolver)?;
        let (audit, requests) = (Arc::new(Audit::off()), AtomicU64::new(0));
        Ok(Self { connector, grants, running, audit, requests, observed: None })
    }

    /// Puts every decision on record.
    pub fn with_audit(self, audit: Arc<Audit>) -> Self {
        Self { audit, ..self }
    }

    /// Lets through, without a secret, what no rule allows but one could: for evaluating a component.
    pub fn observing(self) -> Self {
        Self { observed: Some(Mutex::default()), ..self }
    }

    /// What was used and needed so far; nothing if nobody observes.
    pub(crate) fn observed(&self) -> Option<Observed> {
        Some(self.observed.as_ref()?.lock().ok()?.clone())
    }

    pub(crate) fn is_observing(&self) -> bool {
        self.observed.is_some()
    }

    /// Where decisions are recorded.
    pub(crate) fn audit(&self) -> &Arc<Audit> {
        &self.audit
    }

    /// Takes a component's request through all checks, and its answer back through the scrubber.
    pub(crate) async fn send(
        &self,
        call: &CallContext,
        request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Error> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let line = || Line::of(&method, &uri, call);
        let limit = Duration::from_secs(self.grants.limits.request_seconds);
        let wait = Wait::new();
        let answer = tokio::time::timeout(limit, self.check_and_send(call, request, &wait)).await;
        match answer.unwrap_or_else(|_| Err(self.late(&wait).into())) {
            Ok(response) => Ok(response.map(|body| Full::new(body).map_err(Error::from).boxed_unsync())),
            Err(Failure::Denied(denial)) => Err(self.deny(call, &line(), denial)),
            Err(Failure::Failed(error)) => {
                log::debug(|| format!("{}: {}: {error}", call.tool, line()));
                Err(error)
            }
        }
    }

    fn late(&self, wait: &Wait) -> Denial {
        let limits = &self.grants.limits;
        let limit = format!("`request_seconds` = {}", limits.request_seconds);
        if wait.is_for_log() {
            // It was not sent.
            let reason = format!("another process kept the audit log from being written within {limit}");
            return Denial::new(Check::Audit, reason);
        }
        let reason = match wait.took_most_of(Duration::from_secs(limits.request_seconds)) {
            true => {
                format!("`concurrent_requests` = {} were under way for most of {limit}", limits.concurrent_requests)
            }
            false => format!("no answer within {limit}"),
        };
        Denial::new(Check::Deadline, reason)
    }

    async fn check_and_send(
        &self,
        call: &CallContext,
        request: Request<WasiBody>,
        wait: &Wait,
    ) -> Result<Response<Bytes>, Failure> {
        let Checked { request, permit } = self.check(call, request).await?;
        let closed = |_| Failure::Failed(Error::InternalError(None));
        let _running = wait.place(&self.running).await.map_err(closed)?;
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let origin = &self.grants.base_url.origin;
        let announced = Recorded::announce(&self.audit, call, number, &request, origin, &permit);
        let recorded = wait.for_log(announced).await?;
        match self.send_and_receive(call, request).await {
            Ok((received, response)) => {
                log::debug(|| format!("{}: {permit}: {} from {}", call.tool, received.status, received.address));
                recorded.answered(&received);
                call.counters.answered.send_modify(|count| *count += 1);
                Ok(response)
            }
            Err(failure) => {
                // It may quote what came back.
                recorded.failed(&call.scrubber.scrub_text(&failure.to_string()));
                Err(failure)
            }
        }
    }

    async fn send_and_receive(
        &self,
        call: &CallContext,
        request: Request<Bytes>,
    ) -> Result<(Answer, Response<Bytes>), Failure> {
        let (connection, response) = self.exchange(call, request).await?;
        let address = connection.address;
        let (response, body, redactions) = self.receive(call, connection, response).await?;
        Ok((Answer { status: response.status().as_u16(), body, redactions, address }, response))
    }

    async fn check(&self, call: &CallContext, request: Request<WasiBody>) -> Result<Checked<'_>, Failure> {
        let within_rate = call.tried.fetch_add(1, Ordering::Relaxed) < self.grants.limits.requests_per_call;
        let (parts, body) = request.into_parts();
        let uri = &parts.uri;
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        let authority = text(uri.authority().map(|authority| authority.as_str()));
        let target = text(uri.path_and_query().map(|target| target.as_str()));
        let url = RequestUrl::parse(uri.scheme_str().unwrap_or_default(), &authority, &target)?;
        let permit = self.permit(call, &parts.method, &url)?;
        let limits = &self.grants.limits;
        headers::check(&target, &parts.headers, call, limits.header_bytes)?;
        let body = self.collect_request(&parts.method, body, within_rate).await?;
        if !within_rate {
            let reason = format!("the call made its `requests_per_call` = {} requests", limits.requests_per_call);
            return Err(Denial::new(Check::Rate, reason).into());
        }
        let mut request = Request::new(body);
        *request.method_mut() = parts.method;
        // The target as it goes onto the wire: path and query; the host is in its header.
        *request.uri_mut() = target.parse().map_err(|_| Error::HttpRequestUriInvalid)?;
        *request.headers_mut() = headers::outgoing(parts.headers, &self.grants.base_url.origin, request.body().len());
        if permit.granted().is_none() {
            headers::drop_secrets(request.headers_mut(), call);
        }
        self.observe(call, &permit)?;
        Ok(Checked { request, permit })
    }

    fn permit(&self, call: &CallContext, method: &Method, url: &RequestUrl) -> Result<Permit<'_>, Denial> {
        let (tool, method) = (&call.tool, method.as_str());
        if self.is_observing() {
            return self.grants.observe(tool, method, url);
        }
        self.grants.decide(tool, method, url).map(Permit::Granted)
    }

    /// Keeps what a request used or needed, where a component is being observed.
    fn observe(&self, call: &CallContext, permit: &Permit<'_>) -> Result<(), Denial> {
        let Some(observed) = &self.observed else { return Ok(()) };
        let mut observed = observed.lock().unwrap_or_else(PoisonError::into_inner);
        observed.add(&call.tool, permit).map_err(|error| Denial::new(Check::Path, error.to_string()))
    }

    /// Reads the body to its end, or to its limit. One that will be denied anyway is not kept: a call could start any
    /// number of them.
    async fn collect_request(&self, method: &Method, mut body: WasiBody, keep: bool) -> Result<Bytes, Failure> {
        let most = self.grants.limits.request_bytes;
        let (mut kept, mut length) = (BytesMut::new(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Error::HttpRequestBodySize(None))?;
            let Ok(data) = frame.into_data() else {
                return Err(Denial::new(Check::Headers, "trailers are not sent").into());
            };
            length += data.len();
            if length > most {
                return Err(Denial::new(Check::Body, format!("the body is over `request_bytes` = {most}")).into());
            }
            // A server that expects none takes it for the next request on the connection.
            if length > 0 && matches!(*method, Method::GET | Method::HEAD) {
                return Err(Denial::new(Check::Body, format!("a {method} has no body")).into());
            }
            if keep {
                kept.extend_from_slice(&data);
            }
        }
        Ok(kept.freeze())
    }

    /// Sends the request.
    ///
    /// A read takes a connection that was kept, where there is one. The other side may have closed that meanwhile: it is
    /// then sent anew, over a new one, and so are the call's later reads; it changes nothing. A write is sent once, and
    /// over a new connection: whether it was done is never in doubt because an old one ended.
    async fn exchange(
        &self,
        call: &CallContext,
        request: Request<Bytes>,
    ) -> Result<(Connection, Response<Incoming>), Failure> {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let mut connection = match is_read {
            true if !call.distrusts_kept.load(Ordering::Relaxed) => self.connector.connect().await?,
            for_reads => self.connector.connect_anew(for_reads).await?,
        };
        loop {
            let outgoing = headers::with_secrets(&request, call).map(Full::new);
            let failed = match connection.sender.try_send_request(outgoing).await {
                Ok(response) => return Ok((connection, response)),
                Err(failed) => failed,
            };
            // Only a read's can be a connection that was used before.
            if !connection.reused {
                return Err(answer::failure(&failed.into_error(), &self.grants.limits));
            }
            call.distrusts_kept.store(true, Ordering::Relaxed);
            connection = self.connector.connect_anew(is_read).await?;
        }
    }

    async fn receive(
        &self,
        call: &CallContext,
        connection: Connection,
        response: Response<Incoming>,
    ) -> Result<(Response<Bytes>, Bytes, usize), Failure> {
        let (mut parts, body) = response.into_parts();
        answer::check(&parts)?;
        let body = answer::read(body, &self.grants.limits).await?;
        self.connector.keep(connection);
        headers::scrub(&mut parts.headers, &call.scrubber);
        let (scrubbed, redactions) = call.scrubber.scrub(&body);
        let handed_in = if redactions > 0 { Bytes::from(scrubbed.into_owned()) } else { body.clone() };
        Ok((Response::from_parts(parts, handed_in), body, redactions))
    }

    /// Tells the operator, remembers it for the call's result, and gives the component the error that WASI has for it.
    fn deny(&self, call: &CallContext, line: &Line, mut denial: Denial) -> Error {
        // It may quote what came back, at any length.
        denial.reason = log::excerpt(&call.scrubber.scrub_text(&denial.reason), MOST_REASON);
        let before = call.counters.denials.count();
        if call.counters.denials.is_recorded(before) {
            record::denied(&self.audit, call, line, &denial);
        }
        let error = match denial.check {
            Check::Address => Error::DestinationIpProhibited,
            Check::Deadline => Error::HttpResponseTimeout,
            Check::Response => Error::HttpResponseBodySize(None),
            // The request was sent: a component must not take this for one that never left.
            Check::Encoding => Error::HttpResponseContentCoding(None),
            _ => Error::HttpRequestDenied,
        };
        let text = denial.to_string();
        let hint = denial.missing_rule.as_ref().map_or_else(String::new, |rule| {
            format!("; hint: to allow it, add \"{rule}\" to `{}` under [tools] of a grant file", call.tool)
        });
        call.remember(denial);
        match before.cmp(&MOST_DENIALS_TOLD) {
            Less => log::warn(&format!("{}: {line}: {text}{hint}", call.tool)),
            Equal => log::warn(&format!("{}: further denials in this call are not told", call.tool)),
            Greater => {}
        }
        error
    }
}
