//! Minutes of mixed calls against a gateway where things go wrong at random:
//! `cargo run --locked --release --example soak -- [--minutes N] [--seed S] [SERVER]`.
//!
//! It ends with an error unless memory and descriptors of the server stayed what they were after the first thousand
//! calls, every call was answered exactly once, and the gateway stores what the answers said.

#![allow(clippy::print_stdout, reason = "a report is what this program is for")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reference_gateway::{Fault, Gateway, NewMapping, Role, What, When};

use lane::Lane;
use options::Options;
use process::Held;
use random::Random;
use serde_json::json;
use session::Session;

mod faults;
mod lane;
mod model;
mod options;
mod process;
mod random;
mod session;

/// How many callers there are at the same time, and whose keys they use. Carol's is revoked now and then.
const USERS: [&str; 12] =
    ["alice", "bob", "alice", "carol", "alice", "bob", "alice", "carol", "alice", "bob", "alice", "bob"];

/// How many calls the server runs at the same time: `concurrent_calls`, where no grant says otherwise.
const MOST_AT_ONCE: usize = 16;

/// How many calls it takes until everything was used once that a server keeps.
const WARM: u64 = 1000;

/// How much more memory may be resident at the end, in KiB.
const MOST_MEMORY: u64 = 1024;

/// How long it is until everything rests for a moment, so that what the gateway stores can be compared.
const ROUND: Duration = Duration::from_secs(30);

/// How often memory is looked at when everything rests.
const SAMPLES: usize = 10;

/// How often a key may be revoked, and it is looked whether it is enough.
const BEAT: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| soak(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn soak(options: &Options) -> Result<()> {
    println!("{} for {:?}, --seed {}", options.server.display(), options.duration, options.seed);
    let users = ["alice", "bob", "carol"].iter().fold(Gateway::builder(), |users, user| users.user(user, Role::User));
    let gateway = users.without_recording().start()?;
    gateway.insert(NewMapping::global("fast"));
    let folder = tempfile::tempdir()?;
    let session = Session::start(&options.server, &gateway, folder.path())?;
    let lane = |(number, user): (usize, &&str)| {
        let key = (*user != "alice").then(|| gateway.key(user));
        Lane::new(&session, &gateway, options.seed, number, key)
    };
    call_for_nothing(&session)?;
    let sockets = process::sockets(session.id())?;
    fill(&session, &gateway)?;
    let mut lanes: Vec<Lane<'_>> = USERS.iter().enumerate().map(lane).collect();

    run(&mut lanes, &gateway, options.seed, || session.calls().made >= WARM)?;
    let warm = rest(&mut lanes, &gateway, &session, sockets).context("after the first calls")?;
    println!("after {} calls: {warm}", session.calls().made);

    let (start, mut end) = (Instant::now(), warm);
    for seed in options.seed + 1.. {
        let left = options.duration.saturating_sub(start.elapsed());
        if left.is_zero() {
            break;
        }
        let begin = Instant::now();
        run(&mut lanes, &gateway, seed, || begin.elapsed() >= ROUND.min(left))?;
        end = rest(&mut lanes, &gateway, &session, sockets)?;
        println!("after {} calls, {} s: {end}", session.calls().made, start.elapsed().as_secs());
    }

    let calls = session.calls();
    println!(
        "{} calls were cancelled, progress was told {} times; outcomes: {}",
        calls.cancelled(),
        calls.told,
        outcomes(&lanes)
    );
    ensure!(calls.told > 0, "progress is told");
    ensure!(calls.wrong.is_empty(), "{:#?}", calls.wrong);
    ensure!(calls.waiting() == 0, "{} calls are not answered", calls.waiting());
    drop(calls);
    ensure!(end.memory <= warm.memory + MOST_MEMORY, "memory grew by {} KiB", end.memory - warm.memory);
    ensure!(end.descriptors == warm.descriptors, "{} descriptors were {}", end.descriptors, warm.descriptors);
    session.end()?;
    println!("memory flat, descriptors flat, every call answered once, and the gateway stores what was said");
    Ok(())
}

/// A call that sends nothing to the gateway.
fn call_for_nothing(session: &Session) -> Result<()> {
    session.answer(&session.call("list_models", &json!({ "limit": 0 }))?).map(|_| ())
}

/// Has as many calls under way at the same moment as the server allows, each with a long answer: what it keeps for
/// them, such as pages of an instance's memory, is there from then on, and growth after it is growth.
fn fill(session: &Session, gateway: &Gateway) -> Result<()> {
    gateway.fault(Fault::new(When::get("/v1/models").always(), What::Delay(Duration::from_secs(1))));
    gateway.fault(Fault::new(When::any().always(), faults::long_answer()));
    let calls: Vec<_> = (0..MOST_AT_ONCE).map(|_| session.call("list_models", &json!({}))).collect::<Result<_>>()?;
    calls.iter().try_for_each(|call| session.answer(call).map(|_| ()))?;
    gateway.clear_faults();
    Ok(())
}

/// Lets all lanes call until it is enough, or one of them meets what must not be.
fn run(lanes: &mut [Lane<'_>], gateway: &Gateway, seed: u64, mut is_enough: impl FnMut() -> bool) -> Result<()> {
    let (stop, mut random) = (AtomicBool::new(false), Random::new(seed, u64::MAX));
    std::thread::scope(|scope| {
        let stop = &stop;
        let workers: Vec<_> = lanes.iter_mut().map(|lane| scope.spawn(move || work(lane, stop))).collect();
        while !stop.load(Ordering::Relaxed) && !is_enough() {
            std::thread::sleep(BEAT);
            revoke_or_restore(gateway, &mut random);
        }
        stop.store(true, Ordering::Relaxed);
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a lane panicked")))
    })
}

/// One call after the other; who meets what must not be, stops all.
fn work(lane: &mut Lane<'_>, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        lane.step().inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
    }
    Ok(())
}

fn outcomes(lanes: &[Lane<'_>]) -> String {
    let mut sums = BTreeMap::new();
    lanes.iter().flat_map(Lane::outcomes).for_each(|(outcome, count)| *sums.entry(outcome).or_insert(0) += count);
    sums.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect::<Vec<_>>().join(", ")
}

fn revoke_or_restore(gateway: &Gateway, random: &mut Random) {
    match random.below(20) {
        0 => gateway.revoke_key_at_once("carol"),
        1..4 => gateway.restore_key("carol"),
        _ => {}
    }
}

/// When nothing is under way: whether the gateway stores what is known, and what the server holds.
fn rest(lanes: &mut [Lane<'_>], gateway: &Gateway, session: &Session, sockets: usize) -> Result<Held> {
    gateway.clear_faults();
    gateway.close_connections();
    process::wait_for_no_connections(session.id(), sockets)?;
    // Memory that is free goes back to the system some time later, and only when something happens: the least counts.
    let mut held = Held::now(session.id())?;
    for _ in 0..SAMPLES {
        std::thread::sleep(BEAT);
        call_for_nothing(session)?;
        held = held.or_less(Held::now(session.id())?);
    }
    let rows = gateway.mappings();
    lanes.iter_mut().try_for_each(|lane| lane.compare(&rows))?;
    Ok(held)
}
