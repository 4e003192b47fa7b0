//! What becomes of a list when the gateway is far away, and when it has many mappings.

use std::time::Duration;

use anyhow::{Context, Result};
use reference_gateway::{Fault, What, When};

use crate::client::Client;
use crate::process;
use crate::row::{Goal, Row, Unit};
use crate::samples::{Samples, milliseconds};
use crate::setup::{FEW_MAPPINGS, Setup};
use crate::through_stdio::Floor;

/// How long a far gateway takes for each answer.
const FAR: Duration = Duration::from_millis(50);

/// How many mappings are many: each number twice the one before, and the largest that the goals name.
const MANY: [usize; 4] = [1_250, 2_500, 5_000, 10_000];

/// Rows without a twin: here it is the shape that counts.
pub(crate) fn rows(setup: &Setup) -> Result<Vec<Row>> {
    let mut rows = far(setup)?;
    rows.extend(many(setup)?);
    setup.have_mappings(FEW_MAPPINGS);
    Ok(rows)
}

/// A list in round trips: one for models and mappings together, and one more when there are further pages.
fn far(setup: &Setup) -> Result<Vec<Row>> {
    let most = MANY[MANY.len() - 1];
    setup.gateway.fault(Fault::new(When::any().always(), What::Delay(FAR)));
    let floor = Floor::new(setup)?;
    floor.round_trips(1)?;
    let mut rows = Vec::new();
    for (mappings, trips) in [(FEW_MAPPINGS, 1.0), (most, 2.0)] {
        setup.have_mappings(mappings);
        let mut client = Client::start(&setup.server)?;
        client.call(&Setup::list_models())?;
        let lists: Samples = client.one_at_a_time(&Setup::list_models(), setup.size.far_calls)?.into_iter().collect();
        let trip: Samples = floor.round_trips(setup.size.far_calls)?.into_iter().collect();
        let what = format!("list_models of {mappings} mappings, the gateway {} ms away", FAR.as_millis());
        let beside = if trips > 1.0 { "two round trips" } else { "one round trip" };
        let row = Row::new(what, Unit::Milliseconds, milliseconds(lists.p50()))
            .p95(milliseconds(lists.p95()))
            .beside(beside, milliseconds(trip.p50()) * trips);
        // A page can be asked for only when it is known how many there are; reading 10,000 rows takes its time, too.
        rows.push(if trips > 1.0 { row } else { row.goal(Goal::TimesAtMost(1.2)) });
    }
    setup.gateway.clear_faults();
    Ok(rows)
}

/// Time and memory of lists of more and more mappings.
fn many(setup: &Setup) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    let mut memories = Vec::new();
    for mappings in MANY {
        setup.have_mappings(mappings);
        let mut client = Client::start(&setup.server)?;
        client.call(&Setup::list_models())?;
        let lists: Samples = client.one_at_a_time(&Setup::list_models(), setup.size.long_lists)?.into_iter().collect();
        memories.push(process::peak_memory(client.id())?);
        let mut row =
            Row::new(format!("list_models of {mappings} mappings"), Unit::Milliseconds, milliseconds(lists.p50()))
                .p95(milliseconds(lists.p95()));
        if let Some(half) = rows.last() {
            // Twice as many take twice as long, and the noise of a shared machine.
            row = row.beside("half as many", half.figure).goal(Goal::TimesAtMost(2.5));
        }
        rows.push(row);
    }
    let most = *memories.last().context("there are some")?;
    let half = memories[memories.len() - 2];
    let what = format!("peak memory, one list of {} mappings at a time", MANY[MANY.len() - 1]);
    rows.push(
        Row::new(what, Unit::Mebibytes, most)
            .beside("half as many", half)
            .goal(Goal::AtMost(64.0))
            .goal(Goal::TimesAtMost(2.0)),
    );
    Ok(rows)
}
