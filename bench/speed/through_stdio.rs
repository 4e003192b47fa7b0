//! The server beside the twin and the floor, as a client sees them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reference_gateway::{Fault, What, When};

use crate::client::{Client, Program};
use crate::native::Native;
use crate::process;
use crate::row::{Goal, Row, Unit};
use crate::samples::{Samples, milliseconds};
use crate::setup::Setup;

/// How many calls run at the same time, where several do: as many as the server runs by default.
pub(crate) const WIDTH: usize = 16;

/// Calls before any that counts.
const WARM_UP: usize = 50;

/// How long the slow answer of a gateway takes: longer than everything that is measured beside it.
const SLOW: Duration = Duration::from_secs(1);

/// Everything that has the twin or the floor beside it.
pub(crate) fn rows(setup: &Setup) -> Result<Vec<Row>> {
    let mut rows = vec![start(setup)?, ping(setup)?];
    rows.extend(lists(setup)?);
    rows.extend(slow_gateway(setup)?);
    rows.extend(sessions(setup)?);
    Ok(rows)
}

fn start(setup: &Setup) -> Result<Row> {
    let (mut server, mut twin) = (Samples::default(), Samples::default());
    for _ in 0..setup.size.starts {
        for (program, samples) in [(&setup.server, &mut server), (&setup.twin, &mut twin)] {
            let (client, took) = Client::start_timed(program)?;
            samples.add([took]);
            client.end()?;
        }
    }
    Ok(row("start → initialize answered", Unit::Milliseconds, &server)
        .beside("twin", milliseconds(twin.p50()))
        .goal(Goal::TimesAtMost(2.0))
        .goal(Goal::AtMost(6.0)))
}

/// What every call has to go through before and after anything is done.
fn ping(setup: &Setup) -> Result<Row> {
    let (mut ours, mut twins) = (Samples::default(), Samples::default());
    for _ in 0..setup.size.rounds {
        let (mut server, mut twin) = (warm(&setup.server)?, warm(&setup.twin)?);
        for (client, samples) in [(&mut server, &mut ours), (&mut twin, &mut twins)] {
            samples.add((0..setup.size.calls).map(|_| client.ping()).collect::<Result<Vec<_>>>()?);
        }
    }
    Ok(row("ping", Unit::Milliseconds, &ours).beside("twin", milliseconds(twins.p50())))
}

fn row(what: &str, unit: Unit, samples: &Samples) -> Row {
    Row::new(what, unit, milliseconds(samples.p50())).p95(milliseconds(samples.p95()))
}

/// Lists one at a time and several at a time; everybody in turn, and anew in each round: on which processor the system
/// puts a process decides how fast it wakes up.
fn lists(setup: &Setup) -> Result<Vec<Row>> {
    let call = Setup::list_models();
    let (mut ours, mut twins, mut bare) = (Samples::default(), Samples::default(), Samples::default());
    let (mut ours_at_once, mut twins_at_once) = (Samples::default(), Samples::default());
    for _ in 0..setup.size.rounds {
        let (mut server, mut twin, floor) = (warm(&setup.server)?, warm(&setup.twin)?, Floor::new(setup)?);
        floor.lists(WARM_UP)?;
        ours.add(server.one_at_a_time(&call, setup.size.calls)?);
        twins.add(twin.one_at_a_time(&call, setup.size.calls)?);
        bare.add(floor.lists(setup.size.calls)?);
        ours_at_once.add([server.at_once(&call, setup.size.calls_at_once, WIDTH)?]);
        twins_at_once.add([twin.at_once(&call, setup.size.calls_at_once, WIDTH)?]);
    }
    let per_second = |samples: &Samples| setup.size.calls_at_once as f64 / samples.p50().as_secs_f64();
    Ok(vec![
        row("list_models, one at a time", Unit::Milliseconds, &ours)
            .beside("twin", milliseconds(twins.p50()))
            .goal(Goal::TimesAtMost(1.3)),
        row("list_models, one at a time", Unit::Milliseconds, &ours)
            .beside("floor", milliseconds(bare.p50()))
            .goal(Goal::TimesAtMost(2.0)),
        Row::new(format!("list_models, {WIDTH} at a time"), Unit::CallsPerSecond, per_second(&ours_at_once))
            .beside("twin", per_second(&twins_at_once))
            .goal(Goal::TimesAtLeast(0.75)),
    ])
}

fn warm(program: &Program) -> Result<Client> {
    let mut client = Client::start(program)?;
    client.one_at_a_time(&Setup::list_models(), WARM_UP)?;
    Ok(client)
}

/// The bare requests of a list.
pub(crate) struct Floor {
    runtime: tokio::runtime::Runtime,
    native: Native,
}

impl Floor {
    pub(crate) fn new(setup: &Setup) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let native = Native::new(&setup.gateway.url(), setup.gateway.key("alice"))?;
        Ok(Self { runtime, native })
    }

    /// Both requests at the same time, so often, and how long each pair took.
    fn lists(&self, count: usize) -> Result<Vec<Duration>> {
        let page = "/api/v1/model-mappings?page=1&limit=1000";
        let pair = || async {
            let started = Instant::now();
            let (models, mappings) = tokio::join!(self.native.get("/v1/models"), self.native.get(page));
            models.and(mappings)?;
            anyhow::Ok(started.elapsed())
        };
        self.runtime.block_on(async {
            let mut took = Vec::with_capacity(count);
            for _ in 0..count {
                took.push(pair().await?);
            }
            Ok(took)
        })
    }

    /// One request, so often.
    pub(crate) fn round_trips(&self, count: usize) -> Result<Vec<Duration>> {
        self.runtime.block_on(async {
            let mut took = Vec::with_capacity(count);
            for _ in 0..count {
                let started = Instant::now();
                self.native.get("/v1/models").await?;
                took.push(started.elapsed());
            }
            Ok(took)
        })
    }
}

/// Pings and lists while the gateway lets another call wait, beside those of a server that nobody lets wait.
fn slow_gateway(setup: &Setup) -> Result<Vec<Row>> {
    let (call, count) = (Setup::list_models(), setup.size.calls);
    let under_way = || setup.gateway.wait_until("the slow call is under way", |gateway| gateway.faults_to_come() == 0);
    let [mut pings_alone, mut lists_alone, mut pings, mut lists] = [(); 4].map(|()| Samples::default());
    for _ in 0..setup.size.rounds {
        let (mut alone, mut beside) = (warm(&setup.server)?, warm(&setup.server)?);
        lists_alone.add(alone.one_at_a_time(&call, count)?);
        pings_alone.add((0..count).map(|_| alone.ping()).collect::<Result<Vec<_>>>()?);
        setup.gateway.fault(Fault::new(When::get("/v1/models"), What::Delay(SLOW)));
        let (more_pings, more_lists) = beside.beside(&call, count, under_way)?;
        pings.add(more_pings);
        lists.add(more_lists);
    }
    let compared = |what, beside: &Samples, alone: &Samples| {
        row(what, Unit::Milliseconds, beside).beside("alone", milliseconds(alone.p50())).goal(Goal::TimesAtMost(1.25))
    };
    Ok(vec![
        compared("ping, while another call waits for a slow gateway", &pings, &pings_alone),
        compared("list_models, while another call waits for a slow gateway", &lists, &lists_alone),
    ])
}

/// The memory of a session: of a short one, and of a long one.
fn sessions(setup: &Setup) -> Result<Vec<Row>> {
    /// Calls of a short session.
    const FEW: usize = 1000;
    let peak_after = |client: &mut Client, calls| {
        client.at_once(&Setup::list_models(), calls, WIDTH)?;
        process::peak_memory(client.id())
    };
    let mut twin = Client::start(&setup.twin)?;
    let mut server = Client::start(&setup.server)?;
    let twins = peak_after(&mut twin, FEW)?;
    let short = peak_after(&mut server, FEW)?;
    let more = setup.size.session.checked_sub(FEW).context("a long session is longer than a short one")?;
    let long = peak_after(&mut server, more)?;
    Ok(vec![
        Row::new(format!("peak memory after {FEW} calls, {WIDTH} at a time"), Unit::Mebibytes, short)
            .beside("twin", twins)
            .goal(Goal::AtMost(16.0)),
        Row::new(format!("peak memory after {} calls", setup.size.session), Unit::Mebibytes, long)
            .beside("after 1000", short)
            .goal(Goal::MoreAtMost(1.0)),
    ])
}
