//! Any answers of a gateway to each tool: no panic, at most one write, a failure in its form, and what is claimed to
//! be stored is what was asked for.

#![no_main]

use bindings::{Failure, FailureKind, Mapping, ModelList, Provider};
use gateway::{Told, tell};
use libfuzzer_sys::fuzz_target;

macro_rules! guest {
    ($($file:literal $module:ident)*) => {$(
        #[allow(dead_code, unused_imports, reason = "the guest's own")]
        #[path = $file]
        mod $module;
    )*};
}

guest! {
    "../../guest/src/alias.rs" alias
    "../../guest/src/asked.rs" asked
    "../../guest/src/built_in_models.rs" built_in_models
    "../../guest/src/configuration.rs" configuration
    "../../guest/src/create_mapping.rs" create_mapping
    "../../guest/src/delete_mapping.rs" delete_mapping
    "../../guest/src/failure.rs" failure
    "../../guest/src/list_models.rs" list_models
    "../../guest/src/mapping.rs" mapping
    "../../guest/src/part.rs" part
    "../../guest/src/update_mapping.rs" update_mapping
}
#[allow(dead_code, unused_imports, reason = "the guest's own, but for what sends")]
#[path = "gateway_answer/gateway.rs"]
mod gateway;

#[allow(missing_docs, unused, clippy::all, reason = "generated from the world")]
mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "tools",
        additional_derives: [serde::Serialize],
    });
}

/// The most bytes of JSON that a client bears, and characters of a message that a person reads.
const MOST_ANSWER: usize = 1_000_000;
const MOST_MESSAGE: usize = 2_000;

/// How many requests a runtime may allow a call.
const MOST_REQUESTS: usize = 64;

const KEY: &str = "ak_a_key_that_is_never_shown";
const ALIAS: &str = "my-gpt";
const MODEL: &str = "gpt-4o";

// The first line is a tool, each of the others the answer to a request, in their order: a status and a body, or the
// name of a trouble.
fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let tool = lines.next().and_then(|tool| tool.first());
    tell(lines.map(<[u8]>::to_vec));
    match tool {
        Some(b'c') => create(),
        Some(b'd') => delete(),
        Some(b'u') => update(None),
        Some(b'r') => update(Some("renamed".to_owned())),
        _ => list(),
    }
    let Told { requests, writes } = gateway::told();
    assert!(requests <= MOST_REQUESTS, "{requests} requests");
    assert!(writes <= 1, "{writes} writes");
});

fn key() -> Option<String> {
    Some(KEY.to_owned())
}

fn list() {
    match list_models::run(None, None, None, key()) {
        Ok(list) => check_list(&list),
        Err(problem) => {
            let failure = problem.during("list models");
            assert!(!failure.message.contains(KEY), "{}", failure.message);
            check_failure(&failure);
        }
    }
    assert_eq!(gateway::told().writes, 0);
}

fn check_list(list: &ModelList) {
    let size = serde_json::to_string(list).expect("a list is JSON").len();
    assert!(size < MOST_ANSWER, "{size} bytes");
    let shown = list.built_in_models.len() + list.custom_mappings.len();
    assert!(list.total as usize >= shown);
    assert_eq!(list.next_offset.map_or(list.total, |next| next) as usize, shown);
}

fn create() {
    let created = create_mapping::run(ALIAS.to_owned(), Provider::Openai, MODEL.to_owned(), None, key());
    judge("create", created.map_err(|problem| problem.during("create mapping `my-gpt`")), |mapping| {
        assert_eq!([&mapping.alias, &mapping.provider_id, &mapping.model_name], [ALIAS, "openai", MODEL]);
        assert_eq!(mapping.description, None);
    });
}

fn update(new_alias: Option<String>) {
    let asked = asked::Asked::to_change(new_alias.clone(), None, Some(MODEL.to_owned()), None, Some(true));
    let updated = asked.and_then(|asked| update_mapping::run(ALIAS.to_owned(), asked, key()));
    judge("update", updated.map_err(|problem| problem.during("update mapping `my-gpt`")), |mapping| {
        assert_eq!(mapping.model_name, MODEL);
        assert!(mapping.enabled);
        assert!(new_alias.is_none_or(|alias| mapping.alias == alias));
    });
}

fn delete() {
    let deleted = delete_mapping::run(ALIAS.to_owned(), key());
    judge("delete", deleted.map_err(|problem| problem.during("delete mapping `my-gpt`")), |mapping| {
        assert!(mapping.owner_id.is_some(), "a global mapping");
    });
}

fn judge(verb: &str, outcome: Result<Mapping, Failure>, check: impl FnOnce(&Mapping)) {
    let writes = gateway::told().writes;
    match outcome {
        Ok(mapping) => {
            let is_as_it_was = verb == "update" && format!("{:?}", mapping.warnings).contains("nothing was changed");
            assert_eq!(writes, usize::from(!is_as_it_was), "{mapping:?}");
            check(&mapping);
        }
        Err(failure) => {
            check_failure(&failure);
            let needs_write = matches!(failure.kind, FailureKind::UnknownOutcome | FailureKind::NotStored);
            assert!(writes == 1 || !needs_write, "{}", failure.message);
        }
    }
}

fn check_failure(Failure { message, .. }: &Failure) {
    assert!(message.starts_with("Failed to ") && message.ends_with('.'), "{message}");
    assert!(!message.chars().any(char::is_control), "{message:?}");
    assert!(message.chars().count() <= MOST_MESSAGE, "{message}");
}
