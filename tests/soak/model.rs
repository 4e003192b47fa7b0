//! What the gateway stores, as far as the answers tell: for each alias every state that is possible.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Instant;

use anyhow::{Result, ensure};
use reference_gateway::Mapping;
use serde_json::Value;

/// A mapping, as far as calls change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) model: String,
    pub(crate) description: String,
}

/// What an alias stands for; nothing, if there is no such mapping.
pub(crate) type State = Option<Row>;

/// A write.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Create(Row),
    /// Another model, and what was there before stays.
    Update(String),
    Delete,
}

/// What the answer to a write says.
pub(crate) enum Said {
    /// It is done; the mapping is this one, or was.
    Done(Row),
    /// Whether it is done is unknown; the reason is given, unless nobody waited for the answer.
    Unknown(Option<String>),
    /// The gateway took too long: it may be done later, whatever was seen meanwhile.
    Late(String),
    /// It is not done: there is no such mapping.
    NotFound,
    /// It is not done: there is one already.
    Taken,
    /// It is not done, for the reason given.
    Refused(String),
}

/// How much of a lane's past is kept, for whoever looks into a finding.
const REMEMBERED: usize = 1000;

/// The aliases of one lane.
#[derive(Default)]
pub(crate) struct Model {
    states: BTreeMap<String, Vec<State>>,
    /// What was heard last, and when, of which alias.
    past: VecDeque<(Instant, String, String)>,
}

impl Said {
    /// The same in a word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Unknown(_) => "unknown",
            Self::Late(_) => "late",
            Self::NotFound => "not found",
            Self::Taken => "taken",
            Self::Refused(_) => "refused",
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(row) => write!(f, "done, {row:?}"),
            Self::Unknown(Some(reason)) | Self::Late(reason) | Self::Refused(reason) => f.write_str(reason),
            Self::Unknown(None) | Self::NotFound | Self::Taken => f.write_str(self.word()),
        }
    }
}

impl Write {
    /// What it makes of a state, if it can be done there. A mapping that is there already, exactly as one that is to
    /// be created, counts as created: nobody can tell.
    fn of(&self, before: &State) -> Option<State> {
        match (self, before) {
            (Self::Create(row), None) => Some(Some(row.clone())),
            (Self::Create(row), Some(there)) => (row == there).then(|| before.clone()),
            (Self::Update(model), Some(row)) => Some(Some(Row { model: model.clone(), ..row.clone() })),
            (Self::Delete, Some(_)) => Some(None),
            (Self::Update(_) | Self::Delete, None) => None,
        }
    }
}

impl Row {
    /// A mapping as a tool answers it.
    pub(crate) fn answered(mapping: &Value) -> Self {
        let text = |field: &str| mapping[field].as_str().unwrap_or_default().to_owned();
        Self { model: text("model_name"), description: text("description") }
    }
}

impl Model {
    /// The states that are possible for an alias.
    pub(crate) fn possible(&self, alias: &str) -> Vec<State> {
        self.states.get(alias).cloned().unwrap_or_else(|| vec![None])
    }

    /// Takes in what was said about a write.
    pub(crate) fn learn(&mut self, alias: &str, write: &Write, said: &Said) -> Result<()> {
        let before = self.possible(alias);
        let done = before.iter().filter_map(|state| write.of(state));
        let after: Vec<State> = match (said, write) {
            (Said::Done(row), Write::Delete) => {
                before.iter().filter(|state| state.as_ref() == Some(row)).map(|_| None).collect()
            }
            (Said::Done(row), _) => done.filter(|state| state.as_ref() == Some(row)).collect(),
            (Said::Unknown(_) | Said::Late(_), _) => done.chain(before.iter().cloned()).collect(),
            (Said::NotFound, _) => before.iter().filter(|state| state.is_none()).cloned().collect(),
            (Said::Taken, _) => before.iter().filter(|state| state.is_some()).cloned().collect(),
            (Said::Refused(_), _) => before.clone(),
        };
        self.remember(alias, format!("{write:?}: {said}"));
        ensure!(
            !after.is_empty(),
            "`{alias}`: {write:?} of one of {before:?} cannot be: {said}; before:{}",
            self.past_of(alias)
        );
        self.set(alias, after);
        Ok(())
    }

    /// Takes in that an alias was seen in this state.
    pub(crate) fn see(&mut self, alias: &str, state: State) -> Result<()> {
        let possible = self.possible(alias);
        self.remember(alias, format!("seen as {state:?}"));
        ensure!(
            possible.contains(&state),
            "`{alias}` is {state:?}, and should be one of {possible:?}; before:{}",
            self.past_of(alias)
        );
        self.set(alias, vec![state]);
        Ok(())
    }

    /// Takes in the rows of the gateway itself that belong to the lane.
    pub(crate) fn see_all(&mut self, rows: &[Mapping], prefix: &str) -> Result<()> {
        let of = |alias: &str| {
            let row = rows.iter().find(|row| row.alias == alias)?;
            Some(Row { model: row.model_name.clone(), description: row.description.clone() })
        };
        let mut aliases: Vec<String> = self.states.keys().cloned().collect();
        aliases.extend(rows.iter().map(|row| row.alias.clone()).filter(|alias| alias.starts_with(prefix)));
        aliases.iter().try_for_each(|alias| self.see(alias, of(alias)))
    }

    fn remember(&mut self, alias: &str, what: String) {
        if self.past.len() == REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back((Instant::now(), alias.to_owned(), what));
    }

    fn past_of(&self, alias: &str) -> String {
        let own = self.past.iter().filter(|(_, whose, _)| whose == alias);
        own.map(|(when, _, what)| format!("\n  {} ms ago: {what}", when.elapsed().as_millis())).collect()
    }

    fn set(&mut self, alias: &str, mut states: Vec<State>) {
        states.dedup();
        if states == [None] {
            self.states.remove(alias);
        } else {
            self.states.insert(alias.to_owned(), states);
        }
    }
}
