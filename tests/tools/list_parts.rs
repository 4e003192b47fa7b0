//! `list_models`: long lists, in parts.

use reference_gateway::{Gateway, NewMapping, Provider};
use serde_json::{Value, json};

use super::aliases;
use crate::support::{ERAS, Era, Start};

/// What a result stays under when no limit is asked for.
const SHORT: usize = 40_000;

fn gateway_with(mappings: usize) -> Gateway {
    let gateway = Gateway::start();
    gateway.set_providers(vec![Provider::new("openai", "OpenAI", &["gpt-4o", "gpt-4"])]);
    for number in 0..mappings {
        gateway.insert(NewMapping::owned_by("alice", &format!("m-{number:05}")));
    }
    gateway
}

fn entries(answer: &Value) -> Vec<String> {
    [aliases(answer, "built_in_models"), aliases(answer, "custom_mappings")].concat()
}

#[test]
fn offset_and_limit_cut_a_part_out_of_models_and_mappings_together() {
    for era in ERAS {
        let gateway = gateway_with(3);
        let mut client = Start::on(&gateway, "alice").connect(era);

        for (offset, limit, models, mappings, next) in [
            (0, 1, vec!["gpt-4o"], vec![], Some(1)),
            (1, 2, vec!["gpt-4"], vec!["m-00000"], Some(3)),
            (3, 2, vec![], vec!["m-00001", "m-00002"], None),
            (4, 100, vec![], vec!["m-00002"], None),
            (5, 1, vec![], vec![], None),
            (u32::MAX, 1, vec![], vec![], None),
        ] {
            let answer = client.call("list_models", json!({ "offset": offset, "limit": limit })).answer();
            assert_eq!(aliases(&answer, "built_in_models"), models, "{offset} {limit}");
            assert_eq!(aliases(&answer, "custom_mappings"), mappings, "{offset} {limit}");
            assert_eq!(answer["total"], 5);
            assert_eq!(answer.get("next_offset"), next.map(Value::from).as_ref(), "{offset} {limit}");
            assert_eq!(answer.get("note").is_some(), next.is_some(), "{answer}");
        }
    }
}

#[test]
fn following_next_offset_visits_every_entry_once() {
    let gateway = gateway_with(40);
    let mut client = Start::on(&gateway, "alice").connect(Era::Legacy);

    let (mut visited, mut offset) = (Vec::new(), Some(json!(0)));
    while let Some(from) = offset {
        let answer = client.call("list_models", json!({ "offset": from, "limit": 9 })).answer();
        visited.extend(entries(&answer));
        offset = answer.get("next_offset").cloned();
    }

    let all = client.call("list_models", json!({})).answer();
    assert_eq!(visited, entries(&all));
    assert_eq!(visited.len(), 42);
}

#[test]
fn without_a_limit_a_long_list_stays_short_and_says_how_to_get_the_rest() {
    let gateway = gateway_with(1000);
    let mut client = Start::on(&gateway, "alice").connect(Era::Legacy);

    let called = client.call("list_models", json!({}));

    let answer = called.answer();
    let length = answer.to_string().len();
    assert!((SHORT * 8 / 10..SHORT).contains(&length), "{length} bytes");
    let shown = entries(&answer).len();
    assert_eq!(answer["total"], 1002);
    assert_eq!(answer["next_offset"], shown);
    assert_eq!(
        answer["note"],
        format!(
            "{} of 1002 entries are left out to keep the answer short: call list_models with offset = {shown} for the next \
             part, or with search to narrow it",
            1002 - shown
        )
    );
}

#[test]
fn ten_thousand_mappings_are_all_counted_and_all_to_be_had() {
    let gateway = gateway_with(10_000);
    let mut client = Start::on(&gateway, "alice").connect(Era::Modern);

    let (mut visited, mut offset) = (0, Some(json!(0)));
    while let Some(from) = offset {
        let called = client.call("list_models", json!({ "offset": from, "limit": 10_000 }));
        let answer = called.answer();
        assert_eq!(answer["total"], 10_002);
        assert!(answer.to_string().len() < 1_000_000, "clients refuse more than a megabyte");
        visited += entries(&answer).len();
        offset = answer.get("next_offset").cloned();
    }

    assert_eq!(visited, 10_002);
    let last = client.call("list_models", json!({ "search": "m-09999" })).answer();
    assert_eq!(aliases(&last, "custom_mappings"), ["m-09999"]);
}
