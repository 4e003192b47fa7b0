//! A gateway that ends before or in the middle of a call: connections are refused from then on.

use reference_gateway::{Fault, Gateway, Mapping, NewMapping, What, When};
use serde_json::json;

use crate::hostile_gateway::{DEADLINE, MORE_THAN_A_PAGE, effect};
use crate::support::{ERAS, Start};
use crate::tools::{MAPPING, MAPPINGS, every_tool, gateway_with_a_mapping};

/// The last request of each tool that is answered, and whether something is done by then.
fn last_answers() -> [(&'static str, When, bool); 6] {
    [
        ("list_models", When::get(MAPPINGS), false),
        ("create_mapping", When::post(MAPPINGS), true),
        ("update_mapping", When::get(MAPPING), false),
        ("update_mapping", When::put(MAPPING), true),
        ("delete_mapping", When::get(MAPPING), false),
        ("delete_mapping", When::delete(MAPPING), true),
    ]
}

#[test]
fn a_gateway_that_ends_in_the_middle_of_a_call_leaves_a_true_answer_and_a_server_that_goes_on() {
    for era in ERAS {
        for (tool, last, is_done) in last_answers() {
            let gateway = gateway_with_a_mapping();
            let port = gateway.port();
            if tool == "list_models" {
                // There is a second page to ask for.
                (1..MORE_THAN_A_PAGE)
                    .for_each(|at| _ = gateway.insert(NewMapping::owned_by("alice", &format!("filler-{at}"))));
            }
            let arguments = every_tool().into_iter().find(|(name, _)| *name == tool).expect("there is such a tool").1;
            let mut client = Start::on(&gateway, "alice").connect(era);
            gateway.fault(Fault::new(last.clone(), What::StopAfterAnswer));
            let start = std::time::Instant::now();

            let called = client.call(tool, arguments);

            let context = format!("{tool}, gone after {last:?}: {called:?}");
            assert!(start.elapsed() < DEADLINE, "{context}");
            assert!(called.failure().contains("cannot be reached (no connection)"), "{context}");
            assert_eq!(called.failure().contains(" is unknown: "), is_done, "{context}");
            let rows = gateway.mappings();
            assert_eq!(tool != "list_models" && effect(tool, &rows).is_some(), is_done, "{context}");
            gateway.stop();
            try_again(port, rows, &mut client, &context);
        }
    }
}

/// Once the gateway is back on its port, with its rows, everything works. Somebody else may have been given the port
/// meanwhile; then there is no gateway to be back.
fn try_again(port: u16, rows: Vec<Mapping>, client: &mut crate::support::Client, context: &str) {
    let Ok(gateway) = Gateway::builder().port(port).start() else { return };
    let total = 21 + rows.len();
    for row in rows {
        gateway.insert(NewMapping { model_name: row.model_name, ..NewMapping::owned_by("alice", &row.alias) });
    }
    assert_eq!(client.call("list_models", json!({})).answer()["total"], total, "after {context}");
}
