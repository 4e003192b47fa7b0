//! What the tools do, as a client sees it.

use reference_gateway::Gateway;
use serde_json::json;

use crate::support::{ERAS, Start};

#[test]
fn a_created_mapping_is_answered_as_it_is_stored() {
    for era in ERAS {
        let gateway = Gateway::start();
        let mut client = Start::on(&gateway, "alice").connect(era);

        let created = client.call(
            "create_mapping",
            json!({ "alias": "my-gpt", "provider_id": "openai", "model_name": "gpt-4-turbo", "description": "mine" }),
        );

        let answer = created.answer();
        let stored = &gateway.mappings()[0];
        assert_eq!(answer["alias"], "my-gpt");
        assert_eq!(answer["provider_id"], "openai");
        assert_eq!(answer["model_name"], "gpt-4-turbo");
        assert_eq!(answer["description"], "mine");
        assert_eq!(answer["id"], stored.id);
        assert_eq!(answer["scope"], "yours");
        assert!(answer.get("warnings").is_none(), "{answer}");
    }
}
