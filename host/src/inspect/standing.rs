//! What a component asks for, held against what it is granted and offered.

use super::anatomy::Anatomy;
use crate::grants::{Grants, Route, ToolGrant};
use crate::sandbox::is_offered;

/// Where a component stands.
pub(super) struct Standing {
    /// Tools with rules.
    pub(super) granted: Vec<String>,
    /// Rules for tools that it does not export.
    pub(super) unused: Vec<ToolGrant>,
    /// Tools without rules: they are not offered to anybody.
    pub(super) missing_tools: Vec<String>,
    /// Imports that no component is offered.
    pub(super) missing_imports: Vec<String>,
    /// Functions with types that JSON cannot tell: they cannot be tools.
    pub(super) unfit: Vec<String>,
}

impl Standing {
    /// Holds a component against grants; without grants it is granted nothing.
    pub(super) fn of(anatomy: &Anatomy, grants: Option<&Grants>) -> Self {
        let names = |keep: &dyn Fn(&str) -> bool| {
            anatomy.tools.iter().map(|tool| tool.name.clone()).filter(|name| keep(name)).collect()
        };
        let exported = |tool: &str| anatomy.tools.iter().any(|export| export.name == tool);
        let grants_of = grants.map(|grants| grants.tools.as_slice()).unwrap_or_default();
        Self {
            granted: names(&|tool| !routes(grants, tool).is_empty()),
            unused: grants_of.iter().filter(|grant| !exported(&grant.tool)).cloned().collect(),
            missing_tools: names(&|tool| routes(grants, tool).is_empty()),
            missing_imports: anatomy.imports.iter().filter(|import| !is_offered(import)).cloned().collect(),
            unfit: names(&|tool| anatomy.tools.iter().any(|export| export.name == tool && !export.function.is_fit())),
        }
    }

    /// Whether it asks for nothing more than it gets.
    pub(super) fn is_content(&self) -> bool {
        self.missing_tools.is_empty() && self.can_be_served()
    }

    /// Whether nothing that it asks for keeps it from being served.
    pub(super) fn can_be_served(&self) -> bool {
        self.missing_imports.is_empty() && self.unfit.is_empty()
    }
}

/// The rules of a tool; none without grants.
pub(super) fn routes<'g>(grants: Option<&'g Grants>, tool: &str) -> &'g [Route] {
    grants.map(|grants| grants.routes(tool)).unwrap_or_default()
}
