//! What the sandbox itself costs: a call that makes no request, less a ping.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::client::{Call, Client};
use crate::process::processor_time;
use crate::row::{Goal, Row, Unit};
use crate::samples::Samples;
use crate::setup::Setup;

/// Calls before any that counts.
const WARM_UP: usize = 200;

/// An instance, arguments in, a result out, and everything torn down again: the processor's time for such a call, since
/// some of it is done when the answer is already written, less its time for a ping, which is read and answered, too.
pub(crate) fn rows(setup: &Setup) -> Result<Vec<Row>> {
    let connections = setup.gateway.connections();
    let mut client = Client::start(&setup.server)?;
    // The component refuses this alias by itself.
    let arguments = json!({ "alias": "not an alias", "provider_id": "openai", "model_name": "gpt-4o" });
    let call = Call { tool: "create_mapping".to_owned(), arguments };
    client.refused(&call, WARM_UP)?;
    let mut samples = Samples::default();
    for _ in 0..setup.size.rounds {
        let start = processor_time(client.id())?;
        client.refused(&call, setup.size.calls)?;
        let middle = processor_time(client.id())?;
        (0..setup.size.calls).try_for_each(|_| client.ping().map(|_| ()))?;
        let end = processor_time(client.id())?;
        samples.add([(middle - start).saturating_sub(end - middle) / setup.size.calls as u32]);
    }
    client.end()?;
    ensure!(setup.gateway.connections() == connections, "a call that was to be refused made a request");
    let microseconds = |duration: Duration| duration.as_secs_f64() * 1e6;
    let row = Row::new("the sandbox's own cost per call", Unit::Microseconds, microseconds(samples.p50()))
        .p95(microseconds(samples.p95()))
        .goal(Goal::AtMost(60.0));
    Ok(vec![row])
}
