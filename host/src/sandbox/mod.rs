//! The sandbox: a fresh instance for each call, with nothing in it but its arguments, and nothing around it but what
//! was linked.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use wasmtime::component::{InstancePre, Val};
use wasmtime::{Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

mod clock;
mod imports;
mod state;

use crate::component::{Loaded, Returned, Tool};
use crate::config::KeysPerCall;
use crate::egress::{CallContext, Egress, Placeholder};
use crate::grants::{Denial, Grants, Limits};
use crate::log;
use crate::secret::SecretValue;
pub(crate) use imports::is_offered;

use clock::EpochClock;
use state::State;

/// The most bytes of a call's stderr that are kept for the log.
const STDERR_BYTES: usize = 16 << 10;

/// A component, linked to what it may use, and ready for calls.
pub struct Sandbox {
    engine: Engine,
    instance: InstancePre<State>,
    tools: Vec<Tool>,
    grants: Arc<Grants>,
    secrets: HashMap<String, SecretValue>,
    keys_per_call: KeysPerCall,
    egress: Arc<Egress>,
    running: Semaphore,
    clock: EpochClock,
    component: Value,
}

/// How a call ended.
pub enum Outcome {
    /// With an answer: an object, and the same as compact JSON.
    Answer(Value, String),
    /// With a failure, in words for whoever made the call.
    Failure(String),
}

/// Why a call has no result of its own.
enum Stopped {
    /// It was not started: the arguments are not acceptable.
    Refused(String),
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
        let engine = engine(&grants.limits)?;
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
            running: Semaphore::new(grants.limits.concurrent_calls),
            grants,
            secrets,
            keys_per_call,
            egress,
            component: loaded.description,
        })
    }

    /// What is loaded: its digest, imports and exports.
    pub(crate) fn component(&self) -> &Value {
        &self.component
    }

    /// The tools that are granted something, in the component's order.
    pub fn tools(&self) -> impl Iterator<Item = &Tool> {
        self.tools.iter().filter(|tool| !self.grants.routes(&tool.name).is_empty())
    }

    /// The tool of this name, if it is granted something.
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
        let limit = self.grants.limits.call_seconds;
        let call = tokio::time::timeout(Duration::from_secs(limit), self.call_unlimited(tool, arguments));
        let reason = match call.await {
            Ok(Ok(outcome)) => return outcome,
            Ok(Err(Stopped::Refused(reason))) => format!("{reason}. Correct the arguments and call it again"),
            Ok(Err(Stopped::Ended(error))) => self.ended(tool, &error),
            Err(_) => format!(
                "it was stopped after `call_seconds` = {limit}. Whatever it was about to change may or may not have \
                 changed: look before calling it again"
            ),
        };
        Outcome::Failure(format!("Failed to call {}: {reason}.", tool.name))
    }

    async fn call_unlimited(&self, tool: &Tool, mut arguments: Map<String, Value>) -> Result<Outcome, Stopped> {
        let placeholders = self.take_secrets(&mut arguments).map_err(Stopped::Refused)?;
        let arguments = tool.arguments(&arguments).map_err(Stopped::Refused)?;
        let _running = self.running.acquire().await.map_err(|error| Stopped::Ended(anyhow!(error)))?;
        let _ticking = self.clock.tick();
        let call = Arc::new(CallContext::new(&tool.name, placeholders));
        let state = State::new(&self.grants, call.clone(), self.egress.clone());
        let stderr = state.stderr();
        let returned = self.run(tool, arguments, state).await;
        log_stderr(&call, &stderr.contents());
        Ok(self.outcome(tool, &call, returned.map_err(Stopped::Ended)?))
    }

    async fn run(&self, tool: &Tool, arguments: Vec<Val>, state: State) -> Result<Returned> {
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
        Ok(tool.returned(results))
    }

    fn outcome(&self, tool: &Tool, call: &CallContext, returned: Returned) -> Outcome {
        match returned {
            Returned::Failure(text) => Outcome::Failure(with_denials(&text, &call.tool, &call.denials())),
            Returned::Answer(answer) => {
                let json = answer.to_string();
                let most = self.grants.limits.result_bytes;
                if json.len() > most {
                    let reason = format!("the result has {} bytes, over `result_bytes` = {most}", json.len());
                    return Outcome::Failure(format!("Failed to call {}: {reason}. Ask for less.", tool.name));
                }
                Outcome::Answer(answer, json)
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

    /// Says why a call was ended: to the operator in full, to the caller in words.
    fn ended(&self, tool: &Tool, error: &anyhow::Error) -> String {
        log::warn(&format!("{}: the call was ended: {error:#}", tool.name));
        let limits = &self.grants.limits;
        let text = format!("{error:#}");
        if text.contains(state::MEMORY_LIMIT) {
            format!("it needed more than `memory_mib` = {}. Ask for less", limits.memory_mib)
        } else {
            "the component stopped in the middle of the call. What it was about to change may or may not have changed: \
             look before calling it again; the server's log says more"
                .to_owned()
        }
    }
}

/// The engine: the settings of the compiled code, and room for the calls that run at the same time.
fn engine(limits: &Limits) -> Result<Engine> {
    let calls = u32::try_from(limits.concurrent_calls)?;
    let mut pool = PoolingAllocationConfig::new();
    // A component with its adapters consists of several core instances and tables, and of one memory each.
    pool.total_component_instances(calls)
        .total_core_instances(calls * 8)
        .total_memories(calls * 2)
        .total_tables(calls * 8)
        .total_stacks(calls)
        .max_core_instances_per_component(8)
        .max_memories_per_component(2)
        .max_tables_per_component(8)
        .max_memory_size(limits.memory_mib << 20)
        // What a small call touches stays mapped between calls; giving it back costs more than the call.
        .linear_memory_keep_resident(512 << 10)
        .table_keep_resident(64 << 10)
        .max_unused_warm_slots(calls);
    let mut config = crate::engine::code_settings();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Ok(Engine::new(&config)?)
}

/// A failure's text, with what was denied in the call: the caller learns that asking again does not help.
fn with_denials(text: &str, tool: &str, denials: &[Denial]) -> String {
    let Some(denial) = denials.last() else { return text.to_owned() };
    let stop = if text.ends_with('.') { "" } else { "." };
    let missing = denial.missing_rule.as_ref();
    let missing = missing.map_or_else(String::new, |rule| format!(" `{tool}` would need the grant \"{rule}\"."));
    let Denial { check, reason, .. } = denial;
    format!(
        "{text}{stop} The sandbox denied a request by the check `{check}`: {reason}.{missing} Only the operator can change that."
    )
}

fn log_stderr(call: &CallContext, bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        log::debug(&format!("{}: stderr: {}", call.tool, call.scrubber.scrub_text(line)));
    }
}
