//! What is recorded of a request: its intent before the connection is made, its outcome, or its denial.

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use http::{Method, Request, Uri};
use serde_json::{Value, json};

use super::CallContext;
use crate::audit::Audit;
use crate::digest::sha256;
use crate::grants::{Check, Denial, Origin, Permit};
use crate::log;

/// A request on record. Whatever becomes of it, an outcome follows.
pub(super) struct Recorded<'a> {
    audit: &'a Audit,
    call: &'a CallContext,
    number: u64,
    started: Instant,
    finished: bool,
}

/// A request as the log shows it: nothing of its query's values, headers or body.
pub(super) struct Line {
    pub(super) method: String,
    pub(super) scheme: String,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) path: String,
}

/// What was read of an answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
    pub(super) redactions: usize,
    pub(super) address: SocketAddr,
}

impl Line {
    pub(super) fn of(method: &Method, uri: &Uri, call: &CallContext) -> Self {
        Self {
            method: method.to_string(),
            scheme: uri.scheme_str().unwrap_or_default().to_owned(),
            host: uri.authority().map_or_else(String::new, |authority| authority.host().to_owned()),
            port: uri.port_u16(),
            // A caller may have taken a key for an alias.
            path: call.scrubber.scrub_text(uri.path()),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, scheme, host, port, path } = self;
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        write!(f, "{method} {scheme}://{host}{port}{path}")
    }
}

impl<'a> Recorded<'a> {
    /// Records that a request is about to leave.
    ///
    /// # Errors
    ///
    /// A denial when that cannot be written: what is not on record does not leave.
    pub(super) async fn announce(
        audit: &'a Audit,
        call: &'a CallContext,
        number: u64,
        request: &Request<Bytes>,
        origin: &Origin,
        permit: &Permit<'_>,
    ) -> Result<Self, Denial> {
        let recorded = || Self { audit, call, number, started: Instant::now(), finished: false };
        if !audit.is_on() {
            return Ok(recorded());
        }
        let body = request.body();
        let key = call.placeholders.iter().any(|p| p.secret.is_some() && request.headers().contains_key(&p.header));
        let (granted, rule) = (permit.granted().is_some(), permit.rule().to_string());
        let (rule, missing) = if granted { (Some(rule), None) } else { (None, Some(rule)) };
        let fields = json!({
            "call": call.id, "egress": number, "gen_ai.tool.name": call.tool,
            "rule": rule, "observed": missing.is_some().then_some(true), "missing_rule": missing,
            "http.request.method": request.method().as_str(), "url.scheme": origin.scheme.as_str(),
            "server.address": origin.host, "server.port": origin.port, "url.path": call.scrubber.scrub_text(request.uri().path()),
            "http.request.body.size": body.len(), "body.sha256": (!body.is_empty()).then(|| sha256(body)),
            "key": key,
        });
        match audit.record("egress.intent", fields).await {
            Ok(_) => Ok(recorded()),
            Err(error) => {
                log::warn(&format!("{}: {error:#}", call.tool));
                Err(Denial::new(Check::Audit, error.to_string()))
            }
        }
    }

    /// Records the answer.
    pub(super) fn answered(mut self, answer: &Answer) {
        self.finish(|| {
            json!({
                "http.response.status_code": answer.status, "network.peer.address": answer.address.ip().to_string(),
                "network.peer.port": answer.address.port(), "http.response.body.size": answer.body.len(),
                "body.sha256": sha256(&answer.body), "redactions": answer.redactions,
            })
        });
    }

    /// Records that there is none.
    pub(super) fn failed(mut self, error: &str) {
        self.finish(|| json!({ "error.type": error }));
    }

    fn finish(&mut self, fields: impl FnOnce() -> Value) {
        self.finished = true;
        if !self.audit.is_on() {
            return;
        }
        let mut fields = fields();
        fields["call"] = self.call.id.into();
        fields["egress"] = self.number.into();
        fields["gen_ai.tool.name"] = self.call.tool.as_str().into();
        fields["duration_ms"] = (self.started.elapsed().as_micros() as f64 / 1000.0).into();
        self.audit.record_at_once("egress.outcome", fields);
    }
}

impl Drop for Recorded<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.finish(|| json!({ "error.type": "abandoned" }));
        }
    }
}

/// Records a denial.
pub(super) fn denied(audit: &Audit, call: &CallContext, line: &Line, denial: &Denial) {
    let fields = json!({
        "call": call.id, "gen_ai.tool.name": call.tool, "check": denial.check.to_string(),
        "reason": denial.reason, "http.request.method": line.method, "url.scheme": line.scheme,
        "server.address": line.host, "server.port": line.port, "url.path": line.path,
    });
    audit.record_at_once("denied", fields);
}
