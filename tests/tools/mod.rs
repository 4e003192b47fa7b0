//! What each tool does, as a client sees it.

mod bad_gateway;
mod bad_input;
mod create;
mod delete;
mod list;
mod list_parts;
mod look_before_speaking;
mod update;
mod update_limits;

use reference_gateway::{Gateway, NewMapping};
use serde_json::{Value, json};

pub(crate) const MODELS: &str = "/v1/models";
pub(crate) const MAPPINGS: &str = "/api/v1/model-mappings";
/// The start of every route of a single mapping.
pub(crate) const MAPPING: &str = "/api/v1/model-mappings/";

/// The tools, each with arguments that work on a gateway where alice owns `my-gpt`.
pub(crate) fn every_tool() -> [(&'static str, Value); 4] {
    [
        ("list_models", json!({})),
        ("create_mapping", json!({ "alias": "new", "provider_id": "openai", "model_name": "gpt-4o" })),
        ("update_mapping", json!({ "alias": "my-gpt", "model_name": "gpt-4-turbo" })),
        ("delete_mapping", json!({ "alias": "my-gpt" })),
    ]
}

/// A gateway where alice owns `my-gpt`, `gpt-4o` of `openai`.
pub(crate) fn gateway_with_a_mapping() -> Gateway {
    let gateway = Gateway::start();
    gateway.insert(NewMapping::owned_by("alice", "my-gpt"));
    gateway
}

/// The requests that a gateway received, as `METHOD target`.
pub(crate) fn requests(gateway: &Gateway) -> Vec<String> {
    gateway.requests().iter().map(|request| format!("{} {}", request.method, request.target)).collect()
}

/// Those of them that may change something.
pub(crate) fn writes(gateway: &Gateway) -> Vec<String> {
    requests(gateway).into_iter().filter(|request| !request.starts_with("GET ")).collect()
}

/// The aliases of the entries in a field of a list.
pub(crate) fn aliases(list: &Value, field: &str) -> Vec<String> {
    let entries = list[field].as_array().unwrap_or_else(|| panic!("`{field}` is not an array: {list}"));
    entries.iter().map(|entry| entry["alias"].as_str().expect("an alias is a string").to_owned()).collect()
}

/// A mapping's warnings, in one text.
pub(crate) fn warnings(mapping: &Value) -> String {
    let warnings = mapping["warnings"].as_array().unwrap_or_else(|| panic!("no warnings: {mapping}"));
    warnings.iter().map(|warning| warning.as_str().expect("a warning is a string")).collect::<Vec<_>>().join("; ")
}
