//! The built-in models of the gateway's providers, and what they say about a mapping.

use crate::failure::quoted;
use crate::mapping::Row;
use serde::{Deserialize, Deserializer};

/// The gateway's active providers, in its order.
#[derive(Debug, Deserialize)]
pub(crate) struct Providers {
    #[serde(deserialize_with = "nullable")]
    providers: Vec<Provider>,
}

/// A provider and the models that it brings.
#[derive(Debug, Deserialize)]
pub(crate) struct Provider {
    pub(crate) id: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) name: String,
    #[serde(deserialize_with = "nullable")]
    models: Vec<String>,
}

impl Providers {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.providers.iter()
    }

    /// The name for people of the provider with this id.
    pub(crate) fn name_of(&self, id: &str) -> Option<&str> {
        self.provider(id).map(|provider| provider.name.as_str())
    }

    fn provider(&self, id: &str) -> Option<&Provider> {
        self.iter().find(|provider| provider.id == id)
    }

    /// What deserves a look about a mapping that has just been stored.
    pub(crate) fn warnings(&self, mapping: &Row) -> Vec<String> {
        [self.hidden_model(mapping), self.unknown_model(mapping)].into_iter().flatten().collect()
    }

    fn hidden_model(&self, Row { alias, provider_id, model_name, .. }: &Row) -> Option<String> {
        let hidden = self.iter().find(|provider| provider.models().any(|model| model.eq_ignore_ascii_case(alias)))?;
        Some(format!(
            "the alias {} hides the built-in model of that name of {}: requests for it now go to {} / {}, for every user",
            quoted(alias),
            quoted(&hidden.id),
            quoted(provider_id),
            quoted(model_name),
        ))
    }

    fn unknown_model(&self, Row { provider_id, model_name, .. }: &Row) -> Option<String> {
        let Some(provider) = self.provider(provider_id) else {
            let provider = quoted(provider_id);
            return Some(format!("the gateway lists no provider {provider} at present: the mapping may not work"));
        };
        let known = provider.models().any(|model| model == model_name);
        (!known).then(|| {
            let (provider, model) = (quoted(provider_id), quoted(model_name));
            format!("{provider} lists no model {model}: the mapping may not work (list_models shows those it lists)")
        })
    }
}

impl Provider {
    /// The names of its models; the gateway reports one that is no text as empty.
    pub(crate) fn models(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(String::as_str).filter(|model| !model.is_empty())
    }
}

/// The gateway writes an empty list as `null`.
pub(crate) fn nullable<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
