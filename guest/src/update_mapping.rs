//! `update-mapping`: reads, merges, writes all fields once, then reads back and compares.

use crate::alias::ExistingAlias;
use crate::asked::{Asked, Unmet, kept};
use crate::bindings::{FailureKind, Mapping};
use crate::built_in_models::Providers;
use crate::create_mapping::warnings_about;
use crate::failure::Problem;
use crate::gateway::{Gateway, Written};
use crate::mapping::{Changeable, Row};

pub(crate) fn run(alias: String, asked: Asked, api_key: Option<String>) -> Result<Mapping, Problem> {
    let alias = ExistingAlias::parse(&alias)?;
    let gateway = Gateway::configured(api_key)?;
    let before = Changeable::read(&gateway, &alias)?;
    let change = Change { fields: asked.unmet(&before.row), asked, before };
    if change.fields.is_empty() {
        let unchanged = "nothing was changed: the mapping already is as asked".to_owned();
        return Ok(change.before.row.with_warnings(vec![unchanged]));
    }
    let written = gateway.update(&change.before.alias, &change.asked.over(&change.before.row))?;
    let (stored, models) = change.look(&gateway, &written);
    let stored = change.stored(&written, stored)?;
    let mut warnings = models.map(|models| warnings_about(&stored, models)).unwrap_or_default();
    warnings.extend(written.surprise("changed"));
    Ok(stored.with_warnings(warnings))
}

/// A change on its way: what is asked, the mapping before it, and the fields in which they differ.
struct Change {
    asked: Asked,
    before: Changeable,
    fields: Vec<Unmet>,
}

impl Change {
    /// The mapping after the write, and the built-in models where the change may deserve a warning.
    fn look(&self, gateway: &Gateway, written: &Written) -> (Result<Row, Problem>, Option<Result<Providers, Problem>>) {
        let place = self.asked.alias().map_or_else(|| self.before.alias.clone(), ExistingAlias::from);
        let (stored, models) =
            if self.fields.iter().any(|unmet| matches!(unmet.field, "alias" | "provider_id" | "model_name")) {
                let (stored, models) = gateway.mapping_and_models(&place);
                (stored, Some(models))
            } else {
                (gateway.mapping(&place), None)
            };
        // A rename that was not done leaves the mapping where it was, whoever has the new name.
        if matches!(written, Written::Doubtful(_)) && self.asked.alias().is_some() && self.is_elsewhere(&stored) {
            return (gateway.mapping(&self.before.alias), models);
        }
        (stored, models)
    }

    /// Whether what was found under an alias, or not found, says that this mapping is not there.
    fn is_elsewhere(&self, found: &Result<Row, Problem>) -> bool {
        match found {
            Ok(row) => !row.is_same_as(&self.before.row),
            Err(unseen) => unseen.kind == FailureKind::NotFound || unseen.is_anothers,
        }
    }

    /// The row as it was changed, or what became of it.
    fn stored(&self, written: &Written, stored: Result<Row, Problem>) -> Result<Row, Problem> {
        let row = stored.map_err(|unseen| written.unseen("changed", &unseen))?;
        let unmet = self.asked.unmet(&row);
        match written {
            _ if unmet.is_empty() => Ok(row),
            Written::Doubtful(doubt) if unmet.len() == self.fields.len() => {
                Err(doubt.clone().and("the mapping was not changed so far"))
            }
            _ => Err(self.not_stored(&unmet, written.surprise("changed"))),
        }
    }

    fn not_stored(&self, unmet: &[Unmet], surprise: Option<String>) -> Problem {
        let happened = surprise.map_or_else(|| kept(unmet), |surprise| format!("{surprise}, but {}", kept(unmet)));
        let stored: Vec<_> = self
            .fields
            .iter()
            .filter(|changed| unmet.iter().all(|unmet| unmet.field != changed.field))
            .map(|changed| format!("`{}`", changed.field))
            .collect();
        let next = match stored.as_slice() {
            [] if unmet.iter().all(Unmet::is_unexplained) => {
                "Nothing was changed: look into the gateway's log, or ask who runs it".to_owned()
            }
            [] => "Nothing was changed".to_owned(),
            [field] => format!("The change of {field} is stored"),
            fields => format!("The changes of {} are stored", fields.join(", ")),
        };
        Problem::new(FailureKind::NotStored, happened, next)
    }
}
