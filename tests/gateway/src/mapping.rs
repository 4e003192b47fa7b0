//! A model mapping: the row, and how it is written.

use crate::json::Object;
use crate::time::rfc3339;

/// A mapping as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The row's number, given in the order of creation.
    pub id: u64,
    /// The name that clients of the gateway use.
    pub alias: String,
    /// The provider it leads to, unchecked.
    pub provider_id: String,
    /// The model it leads to, unchecked.
    pub model_name: String,
    /// Free text; empty means none.
    pub description: String,
    /// Whether the gateway uses it.
    pub enabled: bool,
    /// Higher ones are listed first.
    pub priority: i64,
    /// The owner's UUID; `None` for a global mapping.
    pub owner_id: Option<String>,
    /// When it was created, in milliseconds since 1970.
    pub created_at_ms: i64,
    /// When it was last written, in milliseconds since 1970.
    pub updated_at_ms: i64,
}

impl Mapping {
    /// The mapping's JSON, with its times in the given UTC offset.
    pub(crate) fn json(&self, offset_minutes: i32) -> String {
        let created_at = rfc3339(self.created_at_ms, offset_minutes);
        let updated_at = rfc3339(self.updated_at_ms, offset_minutes);
        self.json_with_times(&created_at, &updated_at)
    }

    /// The mapping's JSON with other times than its own, for the answer to an update.
    pub(crate) fn json_with_times(&self, created_at: &str, updated_at: &str) -> String {
        let mut out = String::with_capacity(320);
        let mut object = Object::open(&mut out)
            .plain("id", self.id)
            .text("alias", &self.alias)
            .text("provider_id", &self.provider_id)
            .text("model_name", &self.model_name);
        if !self.description.is_empty() {
            object = object.text("description", &self.description);
        }
        object = object.plain("enabled", self.enabled).plain("priority", self.priority);
        if let Some(owner_id) = &self.owner_id {
            object = object.text("owner_id", owner_id);
        }
        object.text("created_at", created_at).text("updated_at", updated_at).close();
        out
    }
}

/// A row to put in directly, with what the API would not let through: any owner, any length, disabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMapping {
    /// The name that clients of the gateway use.
    pub alias: String,
    /// The provider it leads to.
    pub provider_id: String,
    /// The model it leads to.
    pub model_name: String,
    /// Free text; empty means none.
    pub description: String,
    /// Whether the gateway uses it.
    pub enabled: bool,
    /// Higher ones are listed first.
    pub priority: i64,
    /// The name of the user who owns it, such as `alice` (who need not exist); `None` makes it global.
    pub owner: Option<String>,
}

impl Default for NewMapping {
    /// An enabled, global mapping `my-gpt` to `gpt-4o` of `openai`.
    fn default() -> Self {
        NewMapping {
            alias: "my-gpt".to_owned(),
            provider_id: "openai".to_owned(),
            model_name: "gpt-4o".to_owned(),
            description: String::new(),
            enabled: true,
            priority: 0,
            owner: None,
        }
    }
}

impl NewMapping {
    /// The default mapping under this alias, global.
    pub fn global(alias: &str) -> Self {
        NewMapping { alias: alias.to_owned(), ..NewMapping::default() }
    }

    /// The default mapping under this alias, owned by this user.
    pub fn owned_by(owner: &str, alias: &str) -> Self {
        NewMapping { owner: Some(owner.to_owned()), ..NewMapping::global(alias) }
    }
}
