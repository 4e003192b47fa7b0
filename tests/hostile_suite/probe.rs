//! The probe on a server of its own, between a granted server and an evil one.

use std::io::ErrorKind;
use std::net::TcpListener;

use hostile_components::PROBE;
use reference_gateway::{Gateway, Request};
use serde_json::{Value, json};

use crate::support::{Client, Era, Start};

/// What the probe is granted. `fetch` may read and create, `other` may change and delete.
pub(crate) const GRANTS: &str = r#"
version  = 1
base_url = "${AIGATEWAY_URL}"

[tools]
fetch          = ["GET /v1/models", "GET /api/v1/model-mappings?page&limit", "GET /api/v1/model-mappings/{alias}", "POST /api/v1/model-mappings"]
other          = ["PUT /api/v1/model-mappings/{alias}", "DELETE /api/v1/model-mappings/{alias}"]
fetch_with_key = ["GET /v1/models"]
flood          = ["GET /v1/models"]
at_once        = ["GET /v1/models", "POST /api/v1/model-mappings"]
decode         = ["GET /v1/models"]
environment    = ["GET /v1/models"]
search_memory  = ["GET /v1/models"]
misbehave      = ["GET /v1/models"]
well           = ["GET /v1/models"]

[secrets.api_key]
env       = "AIGATEWAY_API_KEY"
parameter = "api_key"
header    = "X-API-Key"
"#;

/// A server that nobody is granted. It is bound and never accepts by itself: a connection to it would wait.
pub(crate) struct Evil(TcpListener);

impl Evil {
    pub(crate) fn start() -> Self {
        Self::at("127.0.0.1:0")
    }

    pub(crate) fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).expect("loopback has room");
        listener.set_nonblocking(true).expect("a listener can be asked without waiting");
        Self(listener)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().expect("it is bound").port()
    }

    /// The connections that were made to it since it was last asked.
    pub(crate) fn connections(&self) -> usize {
        let accept = || match self.0.accept() {
            Ok(_) => Some(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("the evil server cannot be asked: {error}"),
        };
        std::iter::from_fn(accept).count()
    }
}

/// How to start the probe against a gateway.
pub(crate) fn start(gateway: &Gateway) -> Start {
    start_with(gateway, GRANTS)
}

pub(crate) fn start_with(gateway: &Gateway, grants: &str) -> Start {
    Start::on(gateway, "alice").file("probe.wasm", PROBE).file("probe.toml", grants).args([
        "--component",
        "probe.wasm",
        "--grants",
        "probe.toml",
        "--log-level",
        "debug",
    ])
}

/// A GRANTED server, an EVIL one, and a client of a server that runs the probe.
pub(crate) struct World {
    pub(crate) granted: Gateway,
    pub(crate) evil: Evil,
    pub(crate) client: Client,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::with(GRANTS, |start, _| start)
    }

    /// With other grants and with more arguments or variables.
    pub(crate) fn with(grants: &str, adjust: impl FnOnce(Start, &Evil) -> Start) -> Self {
        let (granted, evil) = (Gateway::start(), Evil::start());
        let client = adjust(start_with(&granted, grants), &evil).connect(Era::Legacy);
        Self { granted, evil, client }
    }

    /// `127.0.0.1:PORT` of the granted server.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.granted.port())
    }

    /// A request that is granted to `fetch`, to be made wrong.
    pub(crate) fn attempt(&self) -> Attempt {
        Attempt(json!({ "method": "GET", "scheme": "http", "authority": self.host(), "path": "/v1/models" }))
    }

    /// Makes one attempt as a tool.
    pub(crate) fn try_as(&mut self, tool: &str, attempt: &Attempt) -> Tried {
        self.try_with(tool, json!({ "attempt": attempt.0 }))
    }

    /// Calls any tool of the probe, and sees what came of it.
    pub(crate) fn try_with(&mut self, tool: &str, arguments: Value) -> Tried {
        self.granted.clear_requests();
        let called = self.client.call(tool, arguments);
        let granted_saw = self.granted.requests();
        let evil_saw = self.evil.connections();
        let failed = called.result["isError"] == true;
        let text = called.result["content"][0]["text"].as_str().expect("a result has a text").to_owned();
        Tried { failed, text, result: called.result, granted_saw, evil_saw }
    }

    /// What is wrong with how the attempts ended, by name: all of it at once.
    pub(crate) fn judge(&mut self, name: &str, rows: Vec<(Attempt, Verdict)>) -> Vec<String> {
        self.judge_as("fetch", name, rows)
    }

    pub(crate) fn judge_as(&mut self, tool: &str, name: &str, rows: Vec<(Attempt, Verdict)>) -> Vec<String> {
        let mut wrong = Vec::new();
        assert!(!rows.is_empty(), "the case {name} tries nothing");
        for (attempt, verdict) in rows {
            let tried = self.try_as(tool, &attempt);
            if let Err(what) = verdict.judge(&tried) {
                wrong.push(format!("{name}: {}: {what}\n  {}", attempt.0, tried.text));
            }
        }
        wrong
    }
}

/// A request, part by part.
#[derive(Clone, Debug)]
pub(crate) struct Attempt(pub(crate) Value);

impl Attempt {
    pub(crate) fn set(mut self, part: &str, value: impl Into<Value>) -> Self {
        self.0[part] = value.into();
        self
    }

    pub(crate) fn scheme(self, scheme: &str) -> Self {
        self.set("scheme", scheme)
    }

    pub(crate) fn authority(self, authority: impl Into<String>) -> Self {
        self.set("authority", authority.into())
    }

    pub(crate) fn method(self, method: &str) -> Self {
        self.set("method", method)
    }

    pub(crate) fn path(self, path: impl Into<String>) -> Self {
        self.set("path", path.into())
    }

    pub(crate) fn headers(self, headers: &[(&str, &str)]) -> Self {
        self.set("headers", fields(headers))
    }

    pub(crate) fn trailers(self, trailers: &[(&str, &str)]) -> Self {
        self.set("trailers", fields(trailers))
    }

    pub(crate) fn body(self, body: impl Into<String>) -> Self {
        self.set("body", body.into())
    }
}

fn fields(fields: &[(&str, &str)]) -> Value {
    fields.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

/// What came of an attempt.
pub(crate) struct Tried {
    pub(crate) failed: bool,
    pub(crate) text: String,
    pub(crate) result: Value,
    pub(crate) granted_saw: Vec<Request>,
    pub(crate) evil_saw: usize,
}

/// What shall come of an attempt. EVIL sees nothing in any case.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict {
    /// It reaches the granted server, which answers with this status.
    Allowed(u16),
    /// It is denied before it leaves, by this check.
    Denied(&'static str),
    /// It leaves, and its answer is denied, by this check.
    AnswerDenied(&'static str),
    /// It leaves, and fails with this error.
    AnswerFails(&'static str),
    /// The WASI interfaces refuse it before the sandbox's own checks see it, in these words.
    RefusedByWasi(&'static str),
}

impl Verdict {
    pub(crate) fn judge(self, tried: &Tried) -> Result<(), String> {
        if tried.evil_saw > 0 {
            return Err(format!("EVIL accepted {} connections", tried.evil_saw));
        }
        let by_check = |check: &str| {
            let named = tried.text.contains(&format!("The sandbox denied a request by the check `{check}`"));
            let operator = tried.text.contains("Only the operator can change that");
            tried.failed && named && operator
        };
        let answer_by_check = |check: &str| {
            let told = ["The sandbox refused an answer", "The sandbox gave a request up"];
            tried.failed && told.iter().any(|told| tried.text.contains(&format!("{told} by the check `{check}`")))
        };
        let denials = tried.text.matches("The sandbox ").count();
        let (as_wanted, leaves) = match self {
            Verdict::Allowed(status) => (!tried.failed && tried.result["structuredContent"]["status"] == status, true),
            Verdict::Denied(check) => (by_check(check), false),
            Verdict::AnswerDenied(check) => (answer_by_check(check), true),
            Verdict::AnswerFails(error) => (tried.failed && denials == 0 && tried.text.contains(error), true),
            Verdict::RefusedByWasi(error) => (tried.failed && denials == 0 && tried.text.contains(error), false),
        };
        if !as_wanted {
            return Err(format!("not {self:?}"));
        }
        match (leaves, tried.granted_saw.len()) {
            (true, 0) => Err("GRANTED saw no request".to_owned()),
            (false, 1..) => Err(format!("GRANTED saw a request: {:?}", tried.granted_saw)),
            _ => Ok(()),
        }
    }
}

/// Fails with everything that is wrong.
pub(crate) fn assert_all_right(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} of the attempts went wrong:\n{}", wrong.len(), wrong.join("\n"));
}
