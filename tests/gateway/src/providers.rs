//! The built-in models, by provider.

use serde_json::Value;

use crate::json::{Object, write_array, write_text};

/// A provider and its built-in models, as `GET /v1/models` lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// The id that mappings name, such as `openai`. The list is ordered by it.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// The models. `None` is answered as `null`; an element that is no string is answered as `""`.
    pub models: Option<Vec<Value>>,
    /// Whether it is listed at all.
    pub active: bool,
}

impl Provider {
    /// An active provider with these models.
    pub fn new(id: &str, name: &str, models: &[&str]) -> Self {
        Provider {
            id: id.to_owned(),
            name: name.to_owned(),
            models: Some(models.iter().map(|&model| Value::from(model)).collect()),
            active: true,
        }
    }

    fn write(&self, out: &mut String) {
        Object::open(out)
            .text("id", &self.id)
            .text("name", &self.name)
            .with("models", |out| self.write_models(out))
            .close();
    }

    fn write_models(&self, out: &mut String) {
        match &self.models {
            None => out.push_str("null"),
            Some(models) => write_array(out, models, |out, model| write_text(out, model.as_str().unwrap_or(""))),
        }
    }
}

/// The body of `GET /v1/models`.
pub(crate) fn models_json(providers: &[Provider]) -> String {
    let mut active: Vec<&Provider> = providers.iter().filter(|provider| provider.active).collect();
    active.sort_by(|one, other| one.id.cmp(&other.id));
    let mut out = String::new();
    Object::open(&mut out)
        .with("providers", |out| write_array(out, active, |out, provider| provider.write(out)))
        .close();
    out
}

/// The providers that gateways have in practice.
pub(crate) fn default_providers() -> Vec<Provider> {
    vec![
        Provider::new(
            "antigravity",
            "Google Cloud Code",
            &[
                "gemini-2.5-flash",
                "gemini-2.5-flash-lite",
                "gemini-2.5-pro",
                "gemini-3-flash",
                "gemini-3-pro-high",
                "gemini-3-pro-low",
                "gemini-3-pro-image",
                "claude-sonnet-4-5",
                "claude-sonnet-4-5-thinking",
                "claude-opus-4-5",
                "claude-opus-4-5-thinking",
            ],
        ),
        Provider::new("glm", "Zhipu GLM", &["glm-4", "glm-4-flash", "glm-4-plus", "glm-4.5", "glm-4.6"]),
        Provider::new("openai", "OpenAI", &["gpt-4o", "gpt-4o-mini", "gpt-4-turbo", "gpt-4", "gpt-3.5-turbo"]),
    ]
}
