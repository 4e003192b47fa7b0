//! What the answer to a write says about what was done.

use super::Gateway;
use super::answer::Answer;
use super::trouble::Trouble;
use crate::bindings::FailureKind;
use crate::failure::{Problem, quoted};

/// What is known of a write that was not refused, before looking.
pub(crate) enum Written {
    /// The gateway says that it is done, with this status.
    Accepted(u16),
    /// It may be done: the problem says why that is not known.
    Doubtful(Problem),
}

impl Written {
    /// What to report when looking did not tell what was done either.
    pub(crate) fn unseen(&self, done: &str, unseen: &Problem) -> Problem {
        match self {
            Self::Accepted(status) if unseen.kind == FailureKind::NotFound => Problem::new(
                FailureKind::UnknownOutcome,
                format!("the gateway answered {status}, but then that there is no such mapping"),
                "Call list_models to see before trying again",
            ),
            Self::Accepted(status) => Problem::unknown_outcome(&format!("the gateway answered {status}"), done, unseen),
            Self::Doubtful(doubt) => Problem::unknown_outcome(&doubt.happened, done, unseen),
        }
    }

    /// What to say of a write that looking showed to be done: nothing if the gateway said the same.
    pub(crate) fn surprise(&self, done: &str) -> Option<String> {
        match self {
            Self::Accepted(_) => None,
            Self::Doubtful(doubt) => Some(format!("it was {done} although {}", doubt.happened)),
        }
    }
}

impl Gateway {
    /// Tells what was done, or that nothing was and why.
    pub(super) fn written(&self, result: Result<Answer, Trouble>) -> Result<Written, Problem> {
        let answer = match result {
            Ok(answer) => answer,
            Err(trouble) if trouble.leaves_doubt() => return Ok(Written::Doubtful(trouble.problem(self))),
            Err(trouble) => return Err(trouble.problem(self)),
        };
        match answer.status() {
            status @ 200..300 => Ok(Written::Accepted(status)),
            408 | ..400 | 500.. => match answer.error().and_then(|error| refused_by_database(&error)) {
                Some(problem) => Err(problem),
                None => Ok(Written::Doubtful(self.refusal(&answer))),
            },
            409 => Err(Problem::alias_taken()),
            _ => Err(self.refusal(&answer)),
        }
    }
}

/// The database's reasons not to store a row, which the gateway answers as they are behind a 500.
fn refused_by_database(error: &str) -> Option<Problem> {
    if error.contains("Error 1062") || error.contains("Duplicate entry") {
        return Some(Problem::alias_taken());
    }
    if error.contains("Error 1406") || error.contains("Data too long") {
        let column =
            error.split_once("for column '").and_then(|(_, rest)| rest.split('\'').next()).unwrap_or("one field");
        return Some(Problem::argument(
            format!("{} is too long for the gateway to store", quoted(column)),
            "Choose a shorter value for it",
        ));
    }
    None
}
