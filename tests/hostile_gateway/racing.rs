//! Two writers on one alias at the same time, each in a server of its own: what both are told is true together.

use std::time::Duration;

use reference_gateway::{Fault, Gateway, NewMapping, What, When};
use serde_json::{Value, json};

use crate::support::{Called, Client, Era, Start};
use crate::tools::writes;

/// How often each pair meets, each time with another of its requests held up a little.
const ROUNDS: usize = 12;

/// How long a request is held up: long enough for the other writer to get in between.
const HELD_UP: Duration = Duration::from_millis(8);

/// What two writers want with one alias, and whether it is there before.
#[derive(Debug)]
struct Race {
    tools: [&'static str; 2],
    exists: bool,
}

const RACES: [Race; 6] = [
    Race { tools: ["create_mapping", "create_mapping"], exists: false },
    Race { tools: ["update_mapping", "update_mapping"], exists: true },
    Race { tools: ["delete_mapping", "delete_mapping"], exists: true },
    Race { tools: ["update_mapping", "delete_mapping"], exists: true },
    Race { tools: ["create_mapping", "delete_mapping"], exists: false },
    Race { tools: ["create_mapping", "update_mapping"], exists: false },
];

/// The model that each writer asks for.
const MODELS: [&str; 2] = ["gpt-4o", "gpt-4-turbo"];

fn arguments(tool: &str, model: &str) -> Value {
    match tool {
        "create_mapping" => json!({ "alias": "race", "provider_id": "openai", "model_name": model }),
        "update_mapping" => json!({ "alias": "race", "model_name": model }),
        _ => json!({ "alias": "race" }),
    }
}

#[test]
fn two_writers_racing_on_one_alias_are_told_what_became_of_it() {
    let gateway = Gateway::start();
    let mut clients = [Era::Legacy, Era::Modern].map(|era| Start::on(&gateway, "alice").connect(era));
    for race in RACES {
        for round in 0..ROUNDS {
            let called = run(&race, round, &gateway, &mut clients);

            let row = gateway.mappings().pop();
            let context = format!("{race:?}, round {round}: {called:?}, and then {row:?}");
            assert!(writes(&gateway).len() <= 2, "{context}");
            let models = called.each_ref().map(done);
            judge(&race, models, row.map(|row| row.model_name), &context);
        }
    }
}

fn run(race: &Race, round: usize, gateway: &Gateway, clients: &mut [Client; 2]) -> [Called; 2] {
    gateway.clear_faults();
    gateway.clear_mappings();
    if race.exists {
        gateway.insert(NewMapping { model_name: "gpt-4".into(), ..NewMapping::owned_by("alice", "race") });
    }
    gateway.clear_requests();
    gateway.fault(Fault::new(When::any().nth(1 + round), What::Delay(HELD_UP)));
    let mut number = 0;
    let requests = clients.each_mut().map(|client| {
        let (tool, model) = (race.tools[number], MODELS[number]);
        number += 1;
        client.request("tools/call", json!({ "name": tool, "arguments": arguments(tool, model) }))
    });
    clients.iter().zip(&requests).for_each(|(client, request)| client.server.send(request));
    clients.each_ref().map(|client| Called { result: client.server.receive()["result"].clone() })
}

/// The model that a writer was told to be stored, or deleted; none if it was told a failure.
fn done(called: &Called) -> Option<String> {
    if called.result["isError"] == true {
        called.failure();
        return None;
    }
    Some(called.answer()["model_name"].as_str().expect("a model is a string").to_owned())
}

/// Whether what both were told can be true together with what is there afterwards.
fn judge(race: &Race, [first, second]: [Option<String>; 2], row: Option<String>, context: &str) {
    match race.tools {
        ["create_mapping", "create_mapping"] => {
            assert!(first.is_some() != second.is_some(), "one of them created it: {context}");
            assert_eq!(first.or(second), row, "{context}");
        }
        ["update_mapping", "update_mapping"] => {
            // Who wrote last reads back what it wrote.
            let last = if row.as_deref() == Some(MODELS[0]) { &first } else { &second };
            assert_eq!(*last, row, "{context}");
            assert!(row.is_some(), "{context}");
        }
        ["delete_mapping", "delete_mapping"] => {
            assert!(first.is_some() || second.is_some(), "one of them deleted it: {context}");
            assert_eq!(row, None, "{context}");
        }
        ["update_mapping", "delete_mapping"] => {
            assert!(second.is_some(), "it was there to be deleted: {context}");
            assert_eq!(row, None, "{context}");
        }
        ["create_mapping", "delete_mapping"] => {
            assert_eq!(row.is_none(), second.is_some(), "it is gone exactly if it was deleted: {context}");
            assert!(row.is_none() || first == row, "{context}");
        }
        _ => {
            let changed = second.is_some();
            assert_eq!(row.as_deref(), Some(MODELS[usize::from(changed)]), "{context}");
            assert!(changed || first == row, "{context}");
        }
    }
}
