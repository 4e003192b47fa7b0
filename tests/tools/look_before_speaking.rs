//! Writes whose answer does not say what was done: the tools look before they speak, and write once.

use std::time::Duration;

use reference_gateway::{Answer, Fault, Gateway, NewMapping, What, When};
use serde_json::{Value, json};

use super::{MAPPING, MAPPINGS, MODELS, gateway_with_a_mapping, requests, warnings, writes};
use crate::support::grants::IMPATIENT;
use crate::support::{Called, ERAS, Era, Start};

/// The tools that write: the call, the fault's place, and the verb of the answer.
fn every_write() -> [(&'static str, Value, When, &'static str); 3] {
    [
        (
            "create_mapping",
            json!({ "alias": "new", "provider_id": "openai", "model_name": "gpt-4o" }),
            When::post(MAPPINGS),
            "created",
        ),
        (
            "update_mapping",
            json!({ "alias": "my-gpt", "new_alias": "new", "description": "d" }),
            When::put(MAPPING),
            "changed",
        ),
        ("delete_mapping", json!({ "alias": "my-gpt" }), When::delete(MAPPING), "deleted"),
    ]
}

fn call(gateway: &Gateway, era: Era, tool: &str, arguments: Value) -> Called {
    Start::on(gateway, "alice").limits(IMPATIENT).connect(era).call(tool, arguments)
}

#[test]
fn a_write_that_was_done_in_spite_of_its_answer_is_a_success_with_a_warning() {
    for era in ERAS {
        for (what, because) in [
            (What::AnswerAfterPerforming(Answer::html(502)), "the gateway answered 502 (an HTML page)"),
            (What::AnswerAfterPerforming(Answer::empty(408)), "the gateway answered 408"),
            (What::AnswerAfterPerforming(Answer::redirect(307, "/x")), "the gateway at URL answered 307, a redirect,"),
            (What::CloseAfterPerforming, "the connection to the gateway at URL broke before its answer was complete"),
            (What::ResetAfterPerforming, "the connection to the gateway at URL broke before its answer was complete"),
            (What::SilenceAfterPerforming, "the gateway at URL did not answer in time"),
            (What::EndlessBody, "the gateway at URL answered with more than the sandbox lets through"),
        ] {
            for (tool, arguments, when, done) in every_write() {
                let gateway = gateway_with_a_mapping();
                gateway.fault(Fault::new(when, what.clone()));

                let answer = call(&gateway, era, tool, arguments).answer();

                let said = warnings(&answer).replace(&gateway.url(), "URL");
                assert!(said.contains(&format!("it was {done} although {because}")), "{said}");
                assert_eq!(writes(&gateway).len(), 1, "{tool}");
                let aliases: Vec<_> = gateway.mappings().into_iter().map(|mapping| mapping.alias).collect();
                let expected: &[&str] = match tool {
                    "create_mapping" => &["my-gpt", "new"],
                    "update_mapping" => &["new"],
                    _ => &[],
                };
                assert_eq!(aliases, expected, "{tool}");
            }
        }
    }
}

#[test]
fn a_write_that_was_not_done_is_a_failure_that_says_so() {
    for era in ERAS {
        for (what, because) in [
            (What::Answer(Answer::html(502)), "the gateway answered 502 (an HTML page)"),
            (What::Answer(Answer::json(500, r#"{"error":"oops"}"#)), "the gateway answered 500 (`oops`)"),
            (What::Close, "the connection to the gateway at URL broke before its answer was complete"),
            (What::Reset, "the connection to the gateway at URL broke before its answer was complete"),
            (What::Silence, "the gateway at URL did not answer in time"),
            (What::Bytes(b"\x16\x03\x01".to_vec()), "the gateway at URL answered with something that is not HTTP"),
        ] {
            for (tool, arguments, when, done) in every_write() {
                let gateway = gateway_with_a_mapping();
                let before = gateway.mappings();
                gateway.fault(Fault::new(when, what.clone()));

                let called = call(&gateway, era, tool, arguments);

                let failure = called.failure().replace(&gateway.url(), "URL");
                let said = format!(": {because}, and the mapping was not {done} so far. ");
                assert!(failure.contains(&said), "{failure}");
                assert_eq!(writes(&gateway).len(), 1, "{tool}");
                assert_eq!(gateway.mappings(), before);
            }
        }
    }
}

#[test]
fn when_looking_does_not_help_either_the_outcome_is_unknown() {
    for era in ERAS {
        for (tool, arguments, when, done) in every_write() {
            for look in [What::Answer(Answer::html(502)), What::Answer(Answer::html(403)), What::Close] {
                let gateway = gateway_with_a_mapping();
                let first_look = if tool == "create_mapping" { 1 } else { 2 };
                gateway.fault(Fault::new(When::get(MAPPING).nth(first_look).always(), look));
                gateway.fault(Fault::new(when.clone(), What::Answer(Answer::empty(504))));

                let called = call(&gateway, era, tool, arguments.clone());

                let failure = called.failure();
                let unknown = format!(": the gateway answered 504, and whether the mapping was {done} is unknown: ");
                assert!(failure.contains(&unknown), "{failure}");
                assert!(failure.ends_with(". Call list_models to see before trying again."), "{failure}");
                assert_eq!(writes(&gateway).len(), 1, "{tool}");
            }
        }
    }
}

#[test]
fn a_gateway_whose_redis_is_down_writes_and_says_that_it_does_not() {
    for (tool, arguments, _, done) in every_write() {
        let gateway = gateway_with_a_mapping();
        gateway.set_redis_down(true);

        let answer = call(&gateway, Era::Modern, tool, arguments).answer();

        let said = format!("it was {done} although the gateway answered 500 (`dial tcp 127.0.0.1:6379: connect: ");
        assert!(warnings(&answer).contains(&said), "{answer}");
        assert_eq!(writes(&gateway).len(), 1);
    }
}

#[test]
fn a_write_that_takes_effect_after_the_call_was_only_not_done_so_far() {
    let gateway = gateway_with_a_mapping();
    gateway.fault(Fault::new(When::delete(MAPPING), What::PerformLate(Duration::from_secs(4))));

    let called = call(&gateway, Era::Modern, "delete_mapping", json!({ "alias": "my-gpt" }));

    assert!(called.failure().contains("and the mapping was not deleted so far"), "{called:?}");
    gateway.wait_until("the mapping is gone", |gateway| gateway.mappings().is_empty());
}

#[test]
fn an_identical_mapping_from_before_is_not_passed_off_as_created() {
    let gateway = gateway_with_a_mapping();
    gateway.fault(Fault::new(When::post(MAPPINGS), What::Answer(Answer::empty(502))));

    let arguments = json!({ "alias": "my-gpt", "provider_id": "openai", "model_name": "gpt-4o" });
    let answer = call(&gateway, Era::Modern, "create_mapping", arguments).answer();

    assert_eq!(
        warnings(&answer),
        "it was created although the gateway answered 502; a mapping that was there before, exactly as asked, looks the \
         same"
    );
}

#[test]
fn somebody_elses_mapping_under_the_alias_is_a_taken_alias() {
    for taken_by in [NewMapping::owned_by("bob", "new"), NewMapping::global("new")] {
        let gateway = gateway_with_a_mapping();
        gateway.insert(NewMapping { model_name: "other".into(), ..taken_by });
        gateway.fault(Fault::new(When::post(MAPPINGS), What::Answer(Answer::empty(502))));

        let (tool, arguments, ..) = &every_write()[0];
        let called = call(&gateway, Era::Modern, tool, arguments.clone());

        assert!(called.failure().contains("the alias is already taken"), "{called:?}");
    }
}

#[test]
fn another_mapping_under_the_new_name_is_not_taken_for_the_renamed_one() {
    for other in [NewMapping::owned_by("alice", "new"), NewMapping::owned_by("bob", "new"), NewMapping::global("new")] {
        let gateway = gateway_with_a_mapping();
        gateway.insert(NewMapping { description: "d".into(), ..other });
        let before = gateway.mappings();
        gateway.fault(Fault::new(When::put(MAPPING), What::Answer(Answer::empty(502))));

        let (tool, arguments, ..) = &every_write()[1];
        let called = call(&gateway, Era::Modern, tool, arguments.clone());

        let said = ": the gateway answered 502, and the mapping was not changed so far. ";
        assert!(called.failure().contains(said), "{called:?}");
        assert_eq!(gateway.mappings(), before);
    }
}

#[test]
fn half_of_a_doubtful_change_is_told_as_what_it_is() {
    let gateway = gateway_with_a_mapping();
    gateway.fault(Fault::new(When::put(MAPPING), What::AnswerAfterPerforming(Answer::empty(502))));

    let arguments = json!({ "alias": "my-gpt", "description": "d", "enabled": false });
    let called = call(&gateway, Era::Modern, "update_mapping", arguments);

    assert_eq!(
        called.failure(),
        "Failed to update mapping `my-gpt`: it was changed although the gateway answered 502, but the gateway kept \
         `enabled` = true: its API cannot disable a mapping; delete it instead. The change of `description` is stored."
    );
}

#[test]
fn models_that_cannot_be_read_cost_the_warning_about_them_and_nothing_else() {
    let gateway = gateway_with_a_mapping();
    gateway.fault(Fault::new(When::get(MODELS), What::Answer(Answer::html(502))));

    let (tool, arguments, ..) = &every_write()[0];
    let answer = call(&gateway, Era::Modern, tool, arguments.clone()).answer();

    assert_eq!(
        warnings(&answer),
        "whether the alias hides a built-in model and whether the provider lists the model could not be checked: the \
         gateway answered 502 (an HTML page)"
    );
}

#[test]
fn a_deletion_after_which_the_database_is_down_is_not_certain() {
    let gateway = gateway_with_a_mapping();
    let missing = Answer::json(404, r#"{"error":"mapping not found"}"#);
    gateway.fault(Fault::new(When::get(MAPPING).nth(2), What::Answer(missing)));
    gateway.fault(Fault::new(When::delete(MAPPING), What::Answer(Answer::empty(503))));

    let answer = call(&gateway, Era::Modern, "delete_mapping", json!({ "alias": "my-gpt" })).answer();

    assert_eq!(
        warnings(&answer),
        "it was deleted although the gateway answered 503; a gateway whose database is down looks the same: call \
         list_models to be sure"
    );
}

#[test]
fn a_read_on_a_connection_that_breaks_is_asked_again_and_a_write_is_not() {
    let gateway = gateway_with_a_mapping();
    for when in [When::get(MAPPING), When::put(MAPPING)] {
        gateway.fault(Fault::new(when, What::Close));
    }

    let called = call(&gateway, Era::Modern, "update_mapping", json!({ "alias": "my-gpt", "description": "d" }));

    assert!(called.failure().contains("and the mapping was not changed so far"), "{called:?}");
    let (get, put) = (format!("GET {MAPPING}my-gpt"), format!("PUT {MAPPING}my-gpt"));
    assert_eq!(requests(&gateway), [get.clone(), get.clone(), put, get]);
}
