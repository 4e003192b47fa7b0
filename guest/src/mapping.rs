//! A mapping as the gateway stores it, and the one that a caller may change.

use crate::alias::ExistingAlias;
use crate::bindings::{FailureKind, Mapping, Scope};
use crate::failure::Problem;
use crate::gateway::Gateway;
use serde::Deserialize;

/// A mapping as the gateway answers it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Row {
    id: u64,
    pub(crate) alias: String,
    pub(crate) provider_id: String,
    pub(crate) model_name: String,
    description: Option<String>,
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) priority: i64,
    owner_id: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

impl Row {
    /// Empty when there is none.
    pub(crate) fn description(&self) -> &str {
        self.description.as_deref().unwrap_or_default()
    }

    /// The call's result, with what deserves a look.
    pub(crate) fn with_warnings(self, warnings: Vec<String>) -> Mapping {
        Mapping {
            id: self.id,
            alias: self.alias,
            provider_id: self.provider_id,
            model_name: self.model_name,
            description: filled(self.description),
            enabled: self.enabled,
            priority: self.priority,
            scope: scope(self.owner_id.as_deref()),
            owner_id: filled(self.owner_id),
            created_at: filled(self.created_at),
            updated_at: filled(self.updated_at),
            warnings: Some(warnings).filter(|warnings| !warnings.is_empty()),
        }
    }

    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// A mapping that somebody owns, so that it may be changed, under the alias by which the gateway knows it.
pub(crate) struct Changeable {
    pub(crate) row: Row,
    pub(crate) alias: ExistingAlias,
}

impl Changeable {
    pub(crate) fn read(gateway: &Gateway, alias: &ExistingAlias) -> Result<Self, Problem> {
        let row = gateway.mapping(alias)?;
        if scope(row.owner_id.as_deref()) == Scope::Global {
            return Err(Problem::new(
                FailureKind::Forbidden,
                "the mapping is global: nobody owns it, and these tools never change it",
                "An administrator can change it in the gateway's dashboard; or create a mapping of your own under another alias",
            ));
        }
        match ExistingAlias::parse(&row.alias) {
            Ok(alias) => Ok(Self { row, alias }),
            Err(_) => Err(Problem::new(
                FailureKind::GatewayError,
                "the gateway answered with a mapping whose alias cannot be part of a path",
                "Look into the gateway's database, or ask who runs it",
            )),
        }
    }
}

pub(crate) fn scope(owner_id: Option<&str>) -> Scope {
    match owner_id {
        None | Some("") => Scope::Global,
        Some(_) => Scope::Yours,
    }
}

/// An empty text is as good as none.
pub(crate) fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
