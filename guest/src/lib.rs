//! The tools of `aigateway-mcp` as a WebAssembly component: the world in `wit/world.wit`, for one AIGateway.
//!
//! One file per tool. `gateway` is the only module that speaks HTTP, `failure` the only one that words a failure.

mod alias;
mod asked;
mod built_in_models;
mod configuration;
mod create_mapping;
mod delete_mapping;
mod failure;
mod gateway;
mod list_models;
mod mapping;
mod part;
mod update_mapping;

#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::too_many_arguments,
    reason = "generated from the world, whose documentation is in its WIT"
)]
mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "tools",
        // Lists are cut by the size of their entries' JSON.
        additional_derives: [serde::Serialize],
    });

    export!(Tools);
    use super::Tools;
}

use bindings::{Failure, Mapping, ModelList, Provider};
use failure::quoted;

/// The world's exports: each runs its tool and says, should it fail, what it was to do.
struct Tools;

impl bindings::Guest for Tools {
    fn list_models(
        search: Option<String>,
        offset: Option<u32>,
        limit: Option<u32>,
        api_key: Option<String>,
    ) -> Result<ModelList, Failure> {
        list_models::run(search, offset, limit, api_key).map_err(|problem| problem.during("list models"))
    }

    fn create_mapping(
        alias: String,
        provider_id: Provider,
        model_name: String,
        description: Option<String>,
        api_key: Option<String>,
    ) -> Result<Mapping, Failure> {
        let action = action("create", &alias);
        create_mapping::run(alias, provider_id, model_name, description, api_key)
            .map_err(|problem| problem.during(&action))
    }

    fn update_mapping(
        alias: String,
        new_alias: Option<String>,
        provider_id: Option<Provider>,
        model_name: Option<String>,
        description: Option<String>,
        enabled: Option<bool>,
        api_key: Option<String>,
    ) -> Result<Mapping, Failure> {
        let action = action("update", &alias);
        asked::Asked::to_change(new_alias, provider_id, model_name, description, enabled)
            .and_then(|asked| update_mapping::run(alias, asked, api_key))
            .map_err(|problem| problem.during(&action))
    }

    fn delete_mapping(alias: String, api_key: Option<String>) -> Result<Mapping, Failure> {
        let action = action("delete", &alias);
        delete_mapping::run(alias, api_key).map_err(|problem| problem.during(&action))
    }
}

/// What a call was to do, with the alias as it was given.
fn action(verb: &str, alias: &str) -> String {
    match alias {
        "" => format!("{verb} mapping"),
        _ => format!("{verb} mapping {}", quoted(alias)),
    }
}
