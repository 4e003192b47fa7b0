//! The sandbox: a fresh instance for each call, with nothing in it but its arguments, and nothing around it but what
//! was linked.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, watch};
use wasmtime::component::{InstancePre, Val};
use wasmtime::{Engine, Store};

mod clock;
mod imports;
mod pool;
mod pulse;
mod state;
mod stderr;

use crate::audit::{CallRecord, Head};
use crate::component::{Loaded, Returned, Tool};
use crate::config::KeysPerCall;
use crate::egress::{CallContext, Counters, Egress, Placeholder};
use crate::grants::{Check, Denial, Grants, Limits, Observed};
use crate::log;
use crate::queue::Wait;
use crate::secret::SecretValue;
pub(crate) use imports::is_offered;

use clock::EpochClock;
use pool::drop_later;
use pulse::Pulse;
use state::State;

/// Part of the error that ends a call whose component hands over more at once than the store's hostcall fuel allows.
const COPIED_TOO_MUCH: &str = "too much data is being copied between the host and the guest";

/// Parts of the errors of limits that no grant file sets, and what they limit.
const FIXED_LIMITS: [(&str, &str); 3] = [
    ("resource table has no free keys", "resources"),
    ("call stack exhausted", "stack"),
    // Of random bytes: the only length that the WASI interfaces limit.
    ("requested len", "random_bytes"),
];

/// A component, linked to what it may use, and ready for calls.
pub struct Sandbox {
    engine: Engine,
    instance: InstancePre<State>,
    tools: Vec<Tool>,
    grants: Arc<Grants>,
    secrets: HashMap<String, SecretValue>,
    keys_per_call: KeysPerCall,
    egress: Arc<Egress>,
    running: Arc<Semaphore>,
    clock: EpochClock,
    pulse: Pulse,
    component: Value,
}

/// How a call ended.
pub enum Outcome {
    /// With an answer: an object, as compact JSON.
    Answer(String),
    /// With a failure, in words for whoever made the call.
    Failure(String),
}

impl Outcome {
    /// What went wrong, as the audit log says it.
    fn error_type(&self) -> Option<&'static str> {
        match self {
            Self::Answer(..) => None,
            Self::Failure(_) => Some("failure"),
        }
    }
}

/// A call's outcome, and what is recorded of it.
struct Ended {
    outcome: Outcome,
    /// What went wrong, as the audit log says it.
    error_type: Option<&'static str>,
    /// The limit that ended it.
    limit: Option<&'static str>,
}

/// Why a call has no result of its own.
enum Stopped {
    /// It was not started: the arguments are not acceptable.
    Refused(String),
    /// Its result is over this limit, and why that is.
    Over(&'static str, String),
    /// It was ended.
    Ended(anyhow::Error),
}

impl Sandbox {
    /// Loads the embedded component, or another one, and links it.
    ///
    /// # Errors
    ///
    /// When it cannot be loaded, or imports what is not offered.
    pub fn new(
        component: Option<&Path>,
        grants: Arc<Grants>,
        secrets: HashMap<String, SecretValue>,
        keys_per_call: KeysPerCall,
        egress: Arc<Egress>,
    ) -> Result<Self> {
        let engine = pool::engine(&grants.limits, component.is_none())?;
        let loaded = match component {
            Some(file) => Loaded::from_file(&engine, file)?,
            None => Loaded::embedded(&engine)?,
        };
        let linker = imports::link(&engine, &loaded.component)?;
        let instance = linker.instantiate_pre(&loaded.component).map_err(anyhow::Error::from);
        Ok(Self {
            instance: instance.context("the component does not fit what it is offered")?,
            clock: EpochClock::new(&engine),
            engine,
            tools: loaded.tools,
            running: Arc::new(Semaphore::new(grants.limits.concurrent_calls)),
            grants,
            secrets,
            keys_per_call,
            egress,
            pulse: Pulse::default(),
            component: loaded.description,
        })
    }

    /// What is loaded: its digest, imports and exports.
    pub(crate) fn component(&self) -> &Value {
        &self.component
    }

    /// Ends the record of this session.
    pub(crate) fn end(&self) {
        self.egress.audit().end();
    }

    /// The tools that are granted something, in the component's order; all of them while it is being observed.
    pub fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.tools.iter().filter(|tool| self.is_observing() || !self.grants.routes(&tool.name).is_empty())
    }

    /// Whether requests are let through that no rule allows.
    pub(crate) fn is_observing(&self) -> bool {
        self.egress.is_observing()
    }

    /// What was used and needed so far, where the component is being observed.
    pub(crate) fn observed(&self) -> Option<Observed> {
        self.egress.observed()
    }

    /// The tool of this name, if it is offered.
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools().find(|tool| tool.name == name)
    }

    pub(crate) fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Whether a parameter brings a secret.
    pub(crate) fn is_secret(&self, parameter: &str) -> bool {
        self.grants.secrets.iter().any(|secret| secret.parameter.as_deref() == Some(parameter))
    }

    /// Runs a tool in an instance of its own.
    pub async fn call(&self, tool: &Tool, arguments: Map<String, Value>) -> Outcome {
        self.call_on_record(tool, arguments, &watch::Sender::new(0)).await.0
    }

    /// [`Self::call`], and the head of the audit log once the result is on record. Meanwhile the answered requests are
    /// counted.
    pub(crate) async fn call_on_record(
        &self,
        tool: &Tool,
        arguments: Map<String, Value>,
        answered: &watch::Sender<u32>,
    ) -> (Outcome, Option<Head>) {
        let id = self.pulse.count();
        let is_parameter = |name: &str| tool.parameters().any(|(parameter, _)| parameter == name);
        let record = match CallRecord::begin(self.egress.audit(), id, &tool.name, &arguments, is_parameter).await {
            Ok(record) => record,
            Err(error) => {
                let reason = format!("{error}. What is not on record is not done: only the operator can change that");
                log::warn(&format!("{}: refused: {error:#}", tool.name));
                return (Outcome::Failure(format!("Failed to call {}: {reason}.", tool.name)), None);
            }
        };
        let counters = Counters { denials: record.denials(), answered: answered.clone() };
        let Ended { outcome, error_type, limit } = self.call_in_time(id, tool, arguments, counters).await;
        if let (Some(limit), Outcome::Failure(reason)) = (limit, &outcome) {
            record.denied(limit, reason);
        }
        let head = record.end(error_type).await;
        (outcome, head)
    }

    async fn call_in_time(&self, id: u64, tool: &Tool, arguments: Map<String, Value>, counters: Counters) -> Ended {
        let limit = self.grants.limits.call_seconds;
        let (time, wait) = (Duration::from_secs(limit), Wait::new());
        let call = tokio::time::timeout(time, self.call_unlimited(id, tool, arguments, &wait, counters));
        let (reason, error_type, limit) = match call.await {
            Ok(Ok(outcome)) => {
                let error_type = outcome.error_type();
                return Ended { outcome, error_type, limit: None };
            }
            Ok(Err(Stopped::Refused(reason))) => {
                (format!("{reason}. Correct the arguments and call it again"), "refused", None)
            }
            Ok(Err(Stopped::Over(limit, reason))) => (reason, "limit", Some(limit)),
            Ok(Err(Stopped::Ended(error))) => {
                let (limit, reason) = self.ended(tool, &error);
                (reason, if limit.is_some() { "limit" } else { "ended" }, limit)
            }
            Err(_) => {
                let (limit, reason) = self.late(wait.took_most_of(time));
                (reason, "deadline", Some(limit))
            }
        };
        let outcome = Outcome::Failure(format!("Failed to call {}: {reason}.", tool.name));
        Ended { outcome, error_type: Some(error_type), limit }
    }

    /// The limit that was exceeded, and what the caller is told.
    fn late(&self, queued: bool) -> (&'static str, String) {
        let Limits { call_seconds, concurrent_calls, .. } = &self.grants.limits;
        if queued {
            let reason = format!(
                "`concurrent_calls` = {concurrent_calls} were running for most of `call_seconds` = {call_seconds}. Look \
                 before calling it again"
            );
            return ("concurrent_calls", reason);
        }
        let reason = format!(
            "it was stopped after `call_seconds` = {call_seconds}. Whatever it was about to change may or may not have \
             changed: look before calling it again"
        );
        ("call_seconds", reason)
    }

    async fn call_unlimited(
        &self,
        id: u64,
        tool: &Tool,
        mut arguments: Map<String, Value>,
        wait: &Wait,
        counters: Counters,
    ) -> Result<Outcome, Stopped> {
        let placeholders = self.take_secrets(&mut arguments).map_err(Stopped::Refused)?;
        let arguments = tool.arguments(&arguments).map_err(Stopped::Refused)?;
        let place = wait.place(&self.running).await.map_err(|error| Stopped::Ended(anyhow!(error)))?;
        let _ticking = self.clock.tick();
        let call = Arc::new(CallContext::new(id, &tool.name, placeholders, counters));
        let state = State::new(&self.grants, call.clone(), self.egress.clone());
        let _stderr = state.stderr().tell_at_the_end(call.clone());
        let (returned, store) = self.run(tool, arguments, state).await.map_err(Stopped::Ended)?;
        if !store.data().has_requests() {
            drop_later((store, place));
        }
        self.outcome(&call, returned)
    }

    /// What a tool returned, and the store that its instance is in.
    async fn run(&self, tool: &Tool, arguments: Vec<Val>, state: State) -> Result<(Returned, Store<State>)> {
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| state.limits());
        // What the component hands to the host at once: a request's body, or the result.
        store.set_hostcall_fuel(self.grants.limits.result_bytes.max(self.grants.limits.request_bytes) * 4);
        // At each tick the instance gives way to the other calls; the deadline of the call ends an endless loop.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let instance = self.instance.instantiate_async(&mut store).await?;
        let function = instance.get_func(&mut store, tool.export).context("the export is not a function")?;
        let mut results = vec![Val::Bool(false); tool.result_count()];
        function.call_async(&mut store, &arguments, &mut results).await?;
        Ok((tool.returned(results), store))
    }

    fn outcome(&self, call: &CallContext, returned: Returned) -> Result<Outcome, Stopped> {
        let most = self.grants.limits.result_bytes;
        let over = |length: usize| {
            let reason = format!("the result has {length} bytes, over `result_bytes` = {most}. Ask for less");
            Err(Stopped::Over("result_bytes", reason))
        };
        match returned {
            Returned::Failure(text) if text.len() > most => over(text.len()),
            Returned::Failure(text) => {
                let text = call.scrubber.scrub_text(&text);
                Ok(Outcome::Failure(with_denial(&text, &call.tool, call.last_denial())))
            }
            Returned::Answer(answer) => {
                let mut json = answer.json();
                // The component may have decoded what was no key to the eye when it came in. Without an escape, the JSON
                // has every text as it is, and one look finds what is in any of them.
                if json.contains('\\') || call.scrubber.finds_any(&json) {
                    json = answer.json_with(|text| call.scrubber.scrub_str(text));
                }
                if json.len() > most { over(json.len()) } else { Ok(Outcome::Answer(json)) }
            }
        }
    }

    /// Takes the secrets out of the arguments, and puts placeholders in their place.
    fn take_secrets(&self, arguments: &mut Map<String, Value>) -> Result<Vec<Placeholder>, String> {
        let placeholder = |secret: &crate::grants::Secret| {
            let text = format!("placeholder-for-{}", secret.name);
            let parameter = secret.parameter.as_deref().and_then(|name| Some((name, arguments.get_mut(name)?)));
            let value = match parameter {
                Some((name, Value::String(given))) if !given.trim().is_empty() => {
                    let value = self.secret_of_call(name, given)?;
                    given.clone_from(&text);
                    Some(value)
                }
                _ => self.secrets.get(&secret.name).cloned(),
            };
            Ok(Placeholder { text, header: secret.header.clone(), env: secret.env.clone(), secret: value })
        };
        self.grants.secrets.iter().map(placeholder).collect()
    }

    fn secret_of_call(&self, parameter: &str, given: &str) -> Result<SecretValue, String> {
        if self.keys_per_call == KeysPerCall::Refused {
            return Err(format!(
                "`{parameter}` is not sent to `{}`: that address comes from a `.env` file in the working directory. \
                 Ask the operator to set it elsewhere, or to start the server with --env-file .env",
                self.grants.base_url
            ));
        }
        SecretValue::parse(given).map_err(|error| format!("`{parameter}` is not a usable key: {error}"))
    }

    /// Says why a call was ended: to the operator in full, to the caller in words; and the limit, if it was one.
    fn ended(&self, tool: &Tool, error: &anyhow::Error) -> (Option<&'static str>, String) {
        log::warn(&format!("{}: the call was ended: {error:#}", tool.name));
        let Limits { memory_mib, request_bytes, result_bytes, .. } = self.grants.limits;
        let text = format!("{error:#}");
        if text.contains(state::MEMORY_LIMIT) {
            return (Some("memory_mib"), format!("it needed more than `memory_mib` = {memory_mib}. Ask for less"));
        }
        if text.contains(COPIED_TOO_MUCH) {
            let limit = if result_bytes >= request_bytes { "result_bytes" } else { "request_bytes" };
            let reason = format!(
                "it handed over far more at once than `result_bytes` = {result_bytes} or `request_bytes` = \
                 {request_bytes} allow. Ask for less"
            );
            return (Some(limit), reason);
        }
        let fixed = FIXED_LIMITS.into_iter().find(|(part, _)| text.contains(part)).map(|(_, limit)| limit);
        let cause = log::one_line(&error.root_cause().to_string());
        let reason = format!(
            "the component stopped in the middle of the call ({cause}). What it was about to change may or may not have \
             changed: look before calling it again; the server's log says more"
        );
        (fixed, reason)
    }
}

/// A failure's text, with what was denied in the call: the caller learns that asking again does not help.
fn with_denial(text: &str, tool: &str, denial: Option<Denial>) -> String {
    let Some(Denial { check, reason, missing_rule }) = denial else { return text.to_owned() };
    let stop = if text.ends_with('.') { "" } else { "." };
    let missing = missing_rule.map_or_else(String::new, |rule| format!(" `{tool}` would need the grant \"{rule}\"."));
    let told = match check {
        Check::Response | Check::Encoding => format!("The sandbox refused an answer by the check `{check}`: {reason}."),
        Check::Deadline => format!("The sandbox gave a request up by the check `{check}`: {reason}."),
        check => format!(
            "The sandbox denied a request by the check `{check}`: {reason}.{missing} Only the operator can change that."
        ),
    };
    format!("{text}{stop} {told}")
}
