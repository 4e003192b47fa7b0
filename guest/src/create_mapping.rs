//! `create-mapping`: writes once, then looks at what is stored.

use crate::alias::{ExistingAlias, NewAlias};
use crate::asked::{Asked, Unmet, kept};
use crate::bindings::{FailureKind, Mapping, Provider};
use crate::built_in_models::Providers;
use crate::failure::Problem;
use crate::gateway::{Gateway, Written};
use crate::mapping::Row;

pub(crate) fn run(
    alias: String,
    provider_id: Provider,
    model_name: String,
    description: Option<String>,
    api_key: Option<String>,
) -> Result<Mapping, Problem> {
    let alias = NewAlias::parse(alias, "alias")?;
    let place = ExistingAlias::from(&alias);
    let asked = Asked::to_create(alias, provider_id, model_name, description)?;
    let gateway = Gateway::configured(api_key)?;
    let written = gateway.create(&asked.anew())?;
    let (stored, models) = gateway.mapping_and_models(&place);
    let stored = created(&asked, &written, stored)?;
    let mut warnings = warnings_about(&stored, models);
    warnings.extend(
        written
            .surprise("created")
            .map(|surprise| format!("{surprise}; a mapping that was there before, exactly as asked, looks the same")),
    );
    Ok(stored.with_warnings(warnings))
}

/// The row that was created, or what became of it.
fn created(asked: &Asked, written: &Written, stored: Result<Row, Problem>) -> Result<Row, Problem> {
    let unmet = stored.as_ref().map(|row| asked.unmet(row)).unwrap_or_default();
    match (written, stored) {
        (_, Ok(row)) if unmet.is_empty() => Ok(row),
        (Written::Accepted(status), Ok(_)) => Err(differs(*status, &unmet)),
        // Where a row of the call's own is out of the question, somebody's was there before.
        (Written::Doubtful(_), Ok(_)) => Err(Problem::alias_taken()),
        (Written::Doubtful(_), Err(unseen)) if unseen.is_anothers => Err(Problem::alias_taken()),
        (Written::Doubtful(doubt), Err(unseen)) if unseen.kind == FailureKind::NotFound => {
            Err(doubt.clone().and("the mapping was not created so far"))
        }
        (written, Err(unseen)) => Err(written.unseen("created", &unseen)),
    }
}

fn differs(status: u16, unmet: &[Unmet]) -> Problem {
    Problem::new(
        FailureKind::NotStored,
        format!("the gateway answered {status}, but the mapping that it stores is not as asked: {}", kept(unmet)),
        "Correct it with update_mapping, or delete it with delete_mapping",
    )
}

/// What deserves a look about a stored mapping, or that this could not be found out.
pub(crate) fn warnings_about(stored: &Row, models: Result<Providers, Problem>) -> Vec<String> {
    match models {
        Ok(providers) => providers.warnings(stored),
        Err(problem) => {
            let unchecked = "whether the alias hides a built-in model and whether the provider lists the model";
            vec![format!("{unchecked} could not be checked: {}", problem.happened)]
        }
    }
}
