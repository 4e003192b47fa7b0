//! `delete-mapping`: reads, deletes once, then looks whether it is gone.

use crate::alias::ExistingAlias;
use crate::bindings::{FailureKind, Mapping};
use crate::failure::Problem;
use crate::gateway::{Gateway, Written};
use crate::mapping::{Changeable, Row};

pub(crate) fn run(alias: String, api_key: Option<String>) -> Result<Mapping, Problem> {
    let alias = ExistingAlias::parse(&alias)?;
    let gateway = Gateway::configured(api_key)?;
    let Changeable { row, alias } = Changeable::read(&gateway, &alias)?;
    let written = gateway.delete(&alias)?;
    check_gone(&row, &written, gateway.mapping(&alias))?;
    let warnings = written.surprise("deleted").map(|surprise| {
        format!("{surprise}; a gateway whose database is down looks the same: call list_models to be sure")
    });
    Ok(row.with_warnings(warnings.into_iter().collect()))
}

fn check_gone(row: &Row, written: &Written, left: Result<Row, Problem>) -> Result<(), Problem> {
    match (written, left) {
        (_, Err(unseen)) if unseen.kind == FailureKind::NotFound => Ok(()),
        // Somebody has taken the alias since.
        (_, Err(unseen)) if unseen.is_anothers => Ok(()),
        (_, Ok(left)) if !left.is_same_as(row) => Ok(()),
        (Written::Accepted(status), Ok(_)) => Err(Problem::new(
            FailureKind::NotStored,
            format!("the gateway answered {status}, but the mapping is still there"),
            "Look into the gateway's log, or ask who runs it",
        )),
        (Written::Doubtful(doubt), Ok(_)) => Err(doubt.clone().and("the mapping was not deleted so far")),
        (written, Err(unseen)) => Err(written.unseen("deleted", &unseen)),
    }
}
