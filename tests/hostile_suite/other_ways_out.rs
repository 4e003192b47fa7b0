//! Other ways out: imports that nobody offers, files that are no components, and everything that hurts the host.

use std::time::{Duration, Instant};

use serde_json::json;

use super::cases;
use super::probe::{GRANTS, World, assert_all_right};
use crate::support::Start;

cases!(
    /// What a component may import, or be instead of a component.
    Loaded {
        Sockets,
        NameLookup,
        Filesystem,
        Preopens,
        AnInterfaceThatNobodyKnows,
        AFunctionOfItsOwn,
        TheNextWasi,
        HttpServer,
        AResourceOfFiles,
        ACoreModule,
        Garbage,
        AnEmptyFile,
        AFolder,
        AMissingFile,
        NoTool,
        MoreMemoryThanThereIs,
    }
);

/// A component with one import and one tool.
fn importing(import: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            {import}
            (core module $module (func (export "well")))
            (core instance $instance (instantiate $module))
            (func (export "well") (canon lift (core func $instance "well"))))"#
    );
    wat::parse_str(text).expect("the component is well-formed")
}

fn interface(name: &str, content: &str) -> Vec<u8> {
    importing(&format!(r#"(import "{name}" (instance {content}))"#))
}

/// The file, and what the refusal says.
fn loaded(case: Loaded) -> (Option<Vec<u8>>, &'static str) {
    let function = |name| Some(interface(name, r#"(export "go" (func))"#));
    match case {
        Loaded::Sockets => {
            (function("wasi:sockets/tcp-create-socket@0.2.6"), "imports `wasi:sockets/tcp-create-socket@0.2.6`")
        }
        Loaded::NameLookup => {
            (function("wasi:sockets/ip-name-lookup@0.2.0"), "imports `wasi:sockets/ip-name-lookup@0.2.0`")
        }
        Loaded::Filesystem => (function("wasi:filesystem/types@0.2.6"), "imports `wasi:filesystem/types@0.2.6`"),
        Loaded::Preopens => (function("wasi:filesystem/preopens@0.2.6"), "imports `wasi:filesystem/preopens@0.2.6`"),
        Loaded::AnInterfaceThatNobodyKnows => (function("evil:exec/run@1.0.0"), "imports `evil:exec/run@1.0.0`"),
        Loaded::AFunctionOfItsOwn => {
            (Some(importing(r#"(import "exec" (func (param "command" string)))"#)), "imports `exec`")
        }
        Loaded::TheNextWasi => (function("wasi:cli/environment@0.9.0"), "imports `wasi:cli/environment@0.9.0`"),
        Loaded::HttpServer => {
            (function("wasi:http/incoming-handler@0.2.6"), "imports `wasi:http/incoming-handler@0.2.6`")
        }
        Loaded::AResourceOfFiles => (
            Some(interface(
                "wasi:filesystem/types@0.2.6",
                r#"(export "descriptor" (type (sub resource))) (export "go" (func))"#,
            )),
            "imports `wasi:filesystem/types@0.2.6`",
        ),
        Loaded::ACoreModule => (Some(wat::parse_str("(module)").expect("a module")), "not a component"),
        Loaded::Garbage => (Some(b"\0asm, or is it?".to_vec()), "not a component"),
        Loaded::AnEmptyFile => (Some(Vec::new()), "not a component"),
        Loaded::AFolder => (None, "is not a file"),
        Loaded::AMissingFile => (None, "cannot read"),
        Loaded::NoTool => (Some(wat::parse_str("(component)").expect("a component")), "has no tools"),
        Loaded::MoreMemoryThanThereIs => {
            let text = r#"(component
                (core module $module (memory 2000) (func (export "well")))
                (core instance $instance (instantiate $module))
                (func (export "well") (canon lift (core func $instance "well"))))"#;
            (Some(wat::parse_str(text).expect("a component")), "memory")
        }
    }
}

const ONE_TOOL: &str = "version = 1\nbase_url = \"http://127.0.0.1:1\"\n[tools]\nwell = [\"GET /x\"]\n";

fn run(case: Loaded) -> Result<(), String> {
    let (file, refusal) = loaded(case);
    let start = Start::bare().file("grants.toml", ONE_TOOL);
    let start = match (case, file) {
        (_, Some(bytes)) => start.file("it.wasm", bytes),
        (Loaded::AFolder, None) => {
            std::fs::create_dir(start.path("it.wasm")).map_err(|error| error.to_string())?;
            start
        }
        (_, None) => start,
    };
    let start = start.args(["--component", "it.wasm", "--grants", "grants.toml"]);
    let began = Instant::now();
    let ran = start.run();
    let refused = ran.status.code() == Some(1) && ran.stdout.is_empty() && ran.stderr.contains(refusal);
    let quickly = began.elapsed() < Duration::from_secs(20);
    if refused && quickly { Ok(()) } else { Err(format!("{case:?}: not refused with `{refusal}`: {ran:?}")) }
}

#[test]
fn what_imports_more_than_is_offered_or_is_no_component_is_refused_before_any_tool_is_offered() {
    let wrong: Vec<_> = Loaded::ALL.iter().filter_map(|case| run(*case).err()).collect();
    assert_all_right(&wrong);
}

#[test]
fn a_component_that_imports_nothing_is_taken() {
    let start = Start::bare().file("grants.toml", ONE_TOOL).file("it.wasm", importing(""));
    let ran = start.args(["--component", "it.wasm", "--grants", "grants.toml", "call", "well"]).run();
    assert_eq!((ran.status.code(), ran.stdout.as_str()), (Some(0), "{}\n"), "{ran:?}");
}

cases!(
    /// What a component may do to the machine that it runs on.
    Misdeed {
        LoopForever,
        LoopBeforeTheCall,
        RecurseForever,
        RecurseWithoutMemory,
        AllocateForever,
        HoardResources,
        AskForHugeRandomness,
        PrintToStdout,
        PrintToStderr,
        PrintALotToStderr,
        ReturnALot,
        FailWithALot,
        Exit,
        Panic,
    }
);

/// The misdeed's name for the probe, and what the result says.
fn misdeed(case: Misdeed) -> (&'static str, Result<&'static str, &'static str>) {
    let stopped = "the component stopped in the middle of the call";
    match case {
        Misdeed::LoopForever => ("loop-forever", Err("it was stopped after `call_seconds` = 2")),
        // Components of their own: Rust cannot say this.
        Misdeed::LoopBeforeTheCall => ("", Err("it was stopped after `call_seconds` = 1")),
        Misdeed::RecurseWithoutMemory => ("", Err("call stack exhausted")),
        // Rust keeps a stack of its own in memory, which is exhausted first.
        Misdeed::RecurseForever => ("recurse-forever", Err("out of bounds memory access")),
        Misdeed::AllocateForever => ("allocate-forever", Err("it needed more than `memory_mib` = 32")),
        Misdeed::HoardResources => ("hoard-resources", Err("resource table has no free keys")),
        Misdeed::AskForHugeRandomness => ("ask-for-huge-randomness", Err(stopped)),
        Misdeed::PrintToStdout => ("print-to-stdout", Ok("printed")),
        Misdeed::PrintToStderr => ("print-to-stderr", Ok("printed")),
        Misdeed::PrintALotToStderr => ("print-a-lot-to-stderr", Ok("printed")),
        Misdeed::ReturnALot => ("return-a-lot", Err("`result_bytes` = 4194304")),
        Misdeed::FailWithALot => ("fail-with-a-lot", Err("over `result_bytes` = 4194304")),
        Misdeed::Exit => ("exit", Err(stopped)),
        Misdeed::Panic => ("panic", Err("unreachable")),
    }
}

/// Time that a misdeed may take: its limit, and as much again for a slow machine.
const LONGEST: Duration = Duration::from_secs(15);

fn commit(case: Misdeed, world: &mut World) -> Result<(), String> {
    let (name, expected) = misdeed(case);
    match case {
        Misdeed::LoopBeforeTheCall => {
            return commit_alone(
                "(func $forever (loop $again (br $again))) (start $forever) (func (export \"well\"))",
                expected,
            );
        }
        Misdeed::RecurseWithoutMemory => {
            return commit_alone("(func $deeper (export \"well\") (call $deeper))", expected);
        }
        _ => {}
    }
    let began = Instant::now();
    // `try_with` takes the next line as the answer: a line of the component's own would not be one.
    let tried = world.try_with("misbehave", json!({ "misdeed": name }));
    let took = began.elapsed();
    let well = world.try_with("well", json!({}));
    let text = &tried.text;
    let as_expected = match expected {
        Ok(answer) => !tried.failed && tried.result["structuredContent"]["result"] == answer,
        Err(reason) => tried.failed && text.contains("Failed to call misbehave") && text.contains(reason),
    };
    if !as_expected || text.len() > 1000 {
        return Err(format!("{case:?}: {}", text.chars().take(1000).collect::<String>()));
    }
    if took > LONGEST || tried.evil_saw > 0 {
        return Err(format!("{case:?}: took {took:?}, EVIL saw {}", tried.evil_saw));
    }
    if well.failed { Err(format!("{case:?}: the next call fails: {}", well.text)) } else { Ok(()) }
}

/// The same for a component that consists of this code.
fn commit_alone(code: &str, expected: Result<&str, &str>) -> Result<(), String> {
    let reason = expected.expect_err("it fails");
    let text = format!(
        r#"(component
            (core module $module {code})
            (core instance $instance (instantiate $module))
            (func (export "well") (canon lift (core func $instance "well"))))"#
    );
    let grants = format!("{ONE_TOOL}[limits]\ncall_seconds = 1\n");
    let start = Start::bare().file("grants.toml", grants).file("it.wasm", wat::parse_str(text).expect("a component"));
    let ran = start.args(["--component", "it.wasm", "--grants", "grants.toml", "call", "well"]).run();
    if ran.status.code() == Some(1) && ran.stderr.contains(reason) { Ok(()) } else { Err(format!("{ran:?}")) }
}

#[test]
fn a_misdeed_fails_within_its_limit_and_the_next_call_works() {
    let mut world = World::with(&format!("{GRANTS}[limits]\ncall_seconds = 2\nmemory_mib = 32\n"), |start, _| start);
    let wrong: Vec<_> = Misdeed::ALL.iter().filter_map(|case| commit(*case, &mut world).err()).collect();
    assert_all_right(&wrong);
}

#[test]
fn others_are_answered_while_a_component_loops() {
    let mut world = World::with(&format!("{GRANTS}[limits]\ncall_seconds = 3\n"), |start, _| start);
    let arguments = json!({ "name": "misbehave", "arguments": { "misdeed": "loop-forever" } });
    let looping = world.client.request("tools/call", arguments);
    world.client.server.send(&looping);
    for _ in 0..3 {
        let ping = world.client.ask("ping", json!({}));
        assert!(ping.get("result").is_some(), "{ping}");
        let well = world.client.call("well", json!({}));
        assert_eq!(well.answer()["result"], true);
    }
    let answer = world.client.server.receive();
    assert_eq!(answer["id"], looping["id"]);
    assert_eq!(answer["result"]["isError"], true);
}

#[test]
fn what_a_component_prints_on_stderr_is_one_escaped_line_each() {
    let mut world = World::start();
    world.try_with("misbehave", json!({ "misdeed": "print-to-stderr" }));
    let said = world.client.server.wait_for_stderr("stderr: tail");
    assert!(!said.contains('\u{1b}') && !said.contains('\r'), "{said:?}");
    for line in [
        r"aigateway-mcp: debug: misbehave: stderr: \u{1b}[31mred\u{1b}[0m",
        r#"aigateway-mcp: debug: misbehave: stderr: {"seq":1,"type":"egress"}"#,
        "aigateway-mcp: debug: misbehave: stderr: tail",
    ] {
        assert!(said.lines().any(|said| said == line), "`{line}` is not in {said}");
    }
}

#[test]
fn a_component_that_is_stopped_is_still_heard() {
    let mut world = World::start();
    world.try_with("misbehave", json!({ "misdeed": "panic" }));
    world.client.server.wait_for_stderr("stderr: a component's own panic");
}
