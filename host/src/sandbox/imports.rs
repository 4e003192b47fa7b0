//! What a component may import, and nothing else is linked: outgoing HTTP through the egress, clocks, randomness, its
//! environment, and streams that lead nowhere.

use anyhow::{Result, bail};
use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, HasData, Linker, ResourceTable};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::{cli, clocks, random};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi_http::WasiHttp;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::{LinkOptions, http};
use wasmtime_wasi_io::bindings::wasi::io;

use super::state::State;

type Link = fn(&mut Linker<State>) -> wasmtime::Result<()>;

/// The interfaces that are offered, without their versions, and how each is linked.
const OFFERED: &[(&str, Link)] = &[
    ("wasi:http/types", |l| http::types::add_to_linker::<_, WasiHttp>(l, &LinkOptions::default().into(), State::http)),
    ("wasi:http/outgoing-handler", |l| http::outgoing_handler::add_to_linker::<_, WasiHttp>(l, State::http)),
    ("wasi:io/error", |l| io::error::add_to_linker::<_, Table>(l, |t| t.ctx().table)),
    ("wasi:io/poll", |l| io::poll::add_to_linker::<_, Table>(l, |t| t.ctx().table)),
    ("wasi:io/streams", |l| io::streams::add_to_linker::<_, Table>(l, |t| t.ctx().table)),
    ("wasi:clocks/monotonic-clock", |l| clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(l, State::clocks)),
    ("wasi:clocks/wall-clock", |l| clocks::wall_clock::add_to_linker::<_, WasiClocks>(l, State::clocks)),
    ("wasi:random/random", |l| random::random::add_to_linker::<_, WasiRandom>(l, |t| t.ctx().ctx.random())),
    ("wasi:random/insecure", |l| random::insecure::add_to_linker::<_, WasiRandom>(l, |t| t.ctx().ctx.random())),
    ("wasi:random/insecure-seed", |l| {
        random::insecure_seed::add_to_linker::<_, WasiRandom>(l, |t| t.ctx().ctx.random())
    }),
    ("wasi:cli/environment", |l| cli::environment::add_to_linker::<_, WasiCli>(l, State::cli)),
    ("wasi:cli/exit", |l| cli::exit::add_to_linker::<_, WasiCli>(l, State::cli)),
    ("wasi:cli/stdin", |l| cli::stdin::add_to_linker::<_, WasiCli>(l, State::cli)),
    ("wasi:cli/stdout", |l| cli::stdout::add_to_linker::<_, WasiCli>(l, State::cli)),
    ("wasi:cli/stderr", |l| cli::stderr::add_to_linker::<_, WasiCli>(l, State::cli)),
    ("wasi:cli/terminal-input", |l| cli::terminal_input::add_to_linker::<_, WasiCli>(l, State::cli)),
    ("wasi:cli/terminal-output", |l| cli::terminal_output::add_to_linker::<_, WasiCli>(l, State::cli)),
    ("wasi:cli/terminal-stdin", |l| cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, State::cli)),
    ("wasi:cli/terminal-stdout", |l| cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, State::cli)),
    ("wasi:cli/terminal-stderr", |l| cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, State::cli)),
];

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

/// A linker with what the component imports, and no more.
///
/// # Errors
///
/// Names the first import that is not offered.
pub(super) fn link(engine: &Engine, component: &Component) -> Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    for (name, item) in component.component_type().imports(engine) {
        if !is_behaviour(engine, &item.ty) {
            continue;
        }
        match offer(name) {
            Some(link) => link(&mut linker)?,
            None => bail!(
                "the component imports `{name}`, which is not offered to any component: there are no files, no \
                 sockets and no other processes in this sandbox; only outgoing HTTP to the granted origin, clocks, \
                 randomness and its environment, as WASI 0.2 has them"
            ),
        }
    }
    Ok(linker)
}

/// Whether an import of this name is offered to every component.
pub(crate) fn is_offered(import: &str) -> bool {
    offer(import).is_some()
}

/// How an interface is linked, if it is offered: by its name, in any version that what is linked (0.2.12) stands for.
fn offer(import: &str) -> Option<Link> {
    let (interface, version) = import.split_once('@')?;
    let patch = version.strip_prefix("0.2.")?;
    let (_, link) = OFFERED.iter().find(|(offered, _)| *offered == interface)?;
    patch.bytes().all(|byte| byte.is_ascii_digit()).then_some(*link)
}

/// Whether an import is something that can be called, and not only a type.
fn is_behaviour(engine: &Engine, item: &ComponentItem) -> bool {
    let calls = |instance: &ComponentInstance| {
        instance.exports(engine).any(|(_, item)| !matches!(item.ty, ComponentItem::Type(_)))
    };
    match item {
        ComponentItem::Type(_) => false,
        ComponentItem::ComponentInstance(instance) => calls(instance),
        _ => true,
    }
}
