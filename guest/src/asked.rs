//! What a caller asks a mapping to be, checked before anything is sent, and what of it the gateway did not store.

use crate::alias::NewAlias;
use crate::bindings::Provider;
use crate::failure::{Problem, quoted};
use crate::mapping::Row;
use serde::Serialize;

/// The most characters of a model's name that the gateway stores.
const LONGEST_MODEL_NAME: usize = 100;
/// The most characters of a description that the gateway stores.
const LONGEST_DESCRIPTION: usize = 255;

/// What a mapping is asked to be: the fields that are given, each acceptable.
#[derive(Debug)]
pub(crate) struct Asked {
    alias: Option<NewAlias>,
    provider_id: Option<&'static str>,
    model_name: Option<String>,
    description: Option<String>,
    enabled: Option<bool>,
}

/// A mapping as it is sent to the gateway, with every field that a write has.
#[derive(Serialize)]
pub(crate) struct Wanted<'a> {
    alias: &'a str,
    provider_id: &'a str,
    model_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i64>,
}

/// A field that is not as it was asked to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unmet {
    pub(crate) field: &'static str,
    kept: String,
    /// Why the gateway's API can never store this, if it cannot.
    limit: Option<&'static str>,
}

impl Asked {
    /// Some fields of a mapping that exists.
    pub(crate) fn to_change(
        new_alias: Option<String>,
        provider_id: Option<Provider>,
        model_name: Option<String>,
        description: Option<String>,
        enabled: Option<bool>,
    ) -> Result<Self, Problem> {
        let asked = Self {
            alias: new_alias.map(|alias| NewAlias::parse(alias, "new_alias")).transpose()?,
            provider_id: provider_id.map(id),
            model_name: model_name.map(checked_model_name).transpose()?,
            description: description.map(checked_description).transpose()?,
            enabled,
        };
        if asked.is_nothing() {
            return Err(Problem::argument(
                "nothing to change was given",
                "Give at least one of new_alias, provider_id, model_name, description and enabled",
            ));
        }
        Ok(asked)
    }

    /// All fields of a mapping that does not exist yet.
    pub(crate) fn to_create(
        alias: NewAlias,
        provider_id: Provider,
        model_name: String,
        description: Option<String>,
    ) -> Result<Self, Problem> {
        Ok(Self {
            alias: Some(alias),
            provider_id: Some(id(provider_id)),
            model_name: Some(checked_model_name(model_name)?),
            description: Some(checked_description(description.unwrap_or_default())?),
            enabled: None,
        })
    }

    pub(crate) fn alias(&self) -> Option<&NewAlias> {
        self.alias.as_ref()
    }

    fn is_nothing(&self) -> bool {
        self.alias.is_none()
            && self.provider_id.is_none()
            && self.model_name.is_none()
            && self.description.is_none()
            && self.enabled.is_none()
    }

    /// The fields of a new mapping.
    pub(crate) fn anew(&self) -> Wanted<'_> {
        Wanted {
            alias: self.alias.as_ref().map_or("", NewAlias::as_str),
            provider_id: self.provider_id.unwrap_or_default(),
            model_name: self.model_name.as_deref().unwrap_or_default(),
            description: self.description.as_deref().filter(|description| !description.is_empty()),
            enabled: None,
            priority: None,
        }
    }

    /// The fields that are asked for, and those of `row` for the rest.
    pub(crate) fn over<'a>(&'a self, row: &'a Row) -> Wanted<'a> {
        Wanted {
            alias: self.alias.as_ref().map_or(&row.alias, NewAlias::as_str),
            provider_id: self.provider_id.unwrap_or(&row.provider_id),
            model_name: self.model_name.as_deref().unwrap_or(&row.model_name),
            description: Some(self.description.as_deref().unwrap_or(row.description())),
            enabled: Some(self.enabled.unwrap_or(row.enabled)),
            priority: Some(row.priority),
        }
    }

    /// The fields of `row` that are not as asked.
    pub(crate) fn unmet(&self, row: &Row) -> Vec<Unmet> {
        [
            unmet("alias", self.alias.as_ref().map(NewAlias::as_str), &row.alias),
            unmet("provider_id", self.provider_id, &row.provider_id),
            unmet("model_name", self.model_name.as_deref(), &row.model_name),
            unmet("description", self.description.as_deref(), row.description()),
            self.unmet_enabled(row),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn unmet_enabled(&self, row: &Row) -> Option<Unmet> {
        let asked = self.enabled.filter(|&asked| asked != row.enabled)?;
        let limit = (!asked).then_some("its API cannot disable a mapping; delete it instead");
        Some(Unmet { field: "enabled", kept: row.enabled.to_string(), limit })
    }
}

fn unmet(field: &'static str, asked: Option<&str>, kept: &str) -> Option<Unmet> {
    let asked = asked.filter(|&asked| asked != kept)?;
    let clears = field == "description" && asked.is_empty();
    let limit =
        clears.then_some("its API cannot clear a description; delete the mapping and create it again without one");
    Some(Unmet { field, kept: quoted(kept), limit })
}

impl Unmet {
    /// Whether the gateway could have stored it.
    pub(crate) fn is_unexplained(&self) -> bool {
        self.limit.is_none()
    }
}

/// What the gateway kept instead, in one clause.
pub(crate) fn kept(unmet: &[Unmet]) -> String {
    unmet.iter().map(Unmet::to_string).collect::<Vec<_>>().join(", and ")
}

impl std::fmt::Display for Unmet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "the gateway kept `{}` = {}", self.field, self.kept)?;
        self.limit.map_or(Ok(()), |limit| write!(formatter, ": {limit}"))
    }
}

/// The provider's id as the gateway knows it.
fn id(provider: Provider) -> &'static str {
    match provider {
        Provider::Antigravity => "antigravity",
        Provider::Openai => "openai",
        Provider::Glm => "glm",
    }
}

fn checked_model_name(name: String) -> Result<String, Problem> {
    let length = name.chars().count();
    let wrong = if name.trim().is_empty() {
        "is empty".to_owned()
    } else if length > LONGEST_MODEL_NAME {
        format!("has {length} characters, more than {LONGEST_MODEL_NAME}")
    } else if name.contains(char::is_control) {
        "contains a control character".to_owned()
    } else {
        return Ok(name);
    };
    Err(Problem::argument(
        format!("`model_name` {wrong}"),
        "Call list_models to see the names that each provider knows",
    ))
}

fn checked_description(description: String) -> Result<String, Problem> {
    let length = description.chars().count();
    let wrong = if length > LONGEST_DESCRIPTION {
        format!("has {length} characters, more than {LONGEST_DESCRIPTION}")
    } else if description.contains(|character: char| character.is_control() && !matches!(character, '\n' | '\t')) {
        "contains a control character".to_owned()
    } else {
        return Ok(description);
    };
    Err(Problem::argument(format!("`description` {wrong}"), "Give a shorter or plainer one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let fields =
            r#""alias":"a","provider_id":"glm","model_name":"m","description":"d","enabled":true,"priority":3"#;
        serde_json::from_str(&format!(r#"{{"id":1,{fields}}}"#)).expect("a row")
    }

    fn asked(description: Option<&str>, enabled: Option<bool>) -> Asked {
        Asked::to_change(None, Some(Provider::Glm), None, description.map(Into::into), enabled).expect("acceptable")
    }

    #[test]
    fn only_what_differs_is_unmet() {
        assert_eq!(asked(Some("d"), Some(true)).unmet(&row()), []);
        let unmet = asked(Some("e"), None).unmet(&row());
        assert_eq!(kept(&unmet), "the gateway kept `description` = `d`");
    }

    #[test]
    fn what_the_api_cannot_store_is_said_so() {
        let unmet = kept(&asked(Some(""), Some(false)).unmet(&row()));
        assert!(
            unmet.contains("kept `enabled` = true: its API cannot disable a mapping; delete it instead"),
            "{unmet}"
        );
        assert!(unmet.contains("cannot clear a description"), "{unmet}");
    }

    #[test]
    fn a_write_carries_every_field() {
        let wanted = serde_json::to_string(&asked(None, None).over(&row())).expect("JSON");
        let expected =
            r#"{"alias":"a","provider_id":"glm","model_name":"m","description":"d","enabled":true,"priority":3}"#;
        assert_eq!(wanted, expected);
    }

    #[test]
    fn lengths_count_characters() {
        assert!(checked_model_name("ü".repeat(100)).is_ok());
        assert!(checked_model_name("ü".repeat(101)).is_err());
        assert!(checked_model_name(" ".into()).is_err());
        assert!(checked_description("ü\n".repeat(127)).is_ok());
        assert!(checked_description("ü".repeat(256)).is_err());
        assert!(checked_description("\u{7}".into()).is_err());
    }
}
