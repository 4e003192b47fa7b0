//! One of several callers at the same time: its aliases are its own, so that it knows what they stand for.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reference_gateway::{Gateway, Mapping};
use serde_json::{Value, json};

use crate::faults;
use crate::model::{Model, Row, Said, State, Write};
use crate::random::Random;
use crate::session::Session;

/// How many aliases a lane uses at a time.
const ALIASES: usize = 6;

/// After how many further calls a write that nobody waits for any more is over, whether it was done or not.
const SETTLED: usize = 50;

const MODELS: [&str; 4] = ["gpt-4o", "gpt-4o-mini", "gpt-4-turbo", "made-up"];

/// A caller.
pub(crate) struct Lane<'s> {
    session: &'s Session,
    gateway: &'s Gateway,
    random: Random,
    /// What every alias of it begins with.
    prefix: String,
    /// A key for each call, where it is not the configured one.
    key: Option<&'s str>,
    model: Model,
    aliases: Vec<String>,
    /// How many aliases it has had.
    named: usize,
    steps: usize,
    /// How often which outcome was met.
    outcomes: BTreeMap<&'static str, usize>,
    /// Aliases of writes that nobody waits for any more, with the step from which on they can be deleted.
    retired: VecDeque<(usize, String)>,
}

impl<'s> Lane<'s> {
    pub(crate) fn new(
        session: &'s Session,
        gateway: &'s Gateway,
        seed: u64,
        number: usize,
        key: Option<&'s str>,
    ) -> Self {
        let random = Random::new(seed, number as u64);
        let (model, retired) = (Model::default(), VecDeque::new());
        let prefix = format!("lane{number}-");
        let mut lane = Self {
            session,
            gateway,
            random,
            prefix,
            key,
            model,
            aliases: Vec::new(),
            named: 0,
            steps: 0,
            outcomes: BTreeMap::new(),
            retired,
        };
        lane.aliases = (0..ALIASES).map(|_| lane.new_alias()).collect();
        lane
    }

    fn new_alias(&mut self) -> String {
        self.named += 1;
        format!("{}{}", self.prefix, self.named)
    }

    /// Makes one call, and takes in its answer.
    pub(crate) fn step(&mut self) -> Result<()> {
        self.steps += 1;
        let outcome = self.call()?;
        *self.outcomes.entry(outcome).or_default() += 1;
        Ok(())
    }

    /// How often which outcome was met.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.outcomes.iter().map(|(outcome, count)| (*outcome, *count))
    }

    fn call(&mut self) -> Result<&'static str> {
        if self.random.percent(15) {
            faults::add(self.gateway, &mut self.random);
        }
        if self.retired.front().is_some_and(|(from, _)| *from <= self.steps) {
            return self.sweep();
        }
        match self.random.below(10) {
            0..3 => self.list(),
            3..9 => self.write(),
            _ => self.call_badly(),
        }
    }

    fn list(&mut self) -> Result<&'static str> {
        let arguments = self.with_key(json!({ "search": self.prefix }));
        let call = self.session.call("list_models", &arguments)?;
        if self.random.percent(10) {
            // Nothing comes of it.
            return self.session.cancel(&call, self.moment()).map(|_| "list cancelled");
        }
        let answer = self.session.answer(&call)?;
        match outcome(&answer)? {
            Ok(list) => self.see(list).map(|()| "listed"),
            Err(failure) => check_form(failure).map(|()| "list failed"),
        }
    }

    /// Compares a list with what is known of the aliases in use.
    fn see(&mut self, list: &Value) -> Result<()> {
        let listed = list["custom_mappings"].as_array().context("a list has mappings")?;
        let of = |alias: &String| listed.iter().find(|row| row["alias"] == *alias).map(Row::answered);
        self.aliases.iter().try_for_each(|alias| self.model.see(alias, of(alias)))?;
        let own = listed.iter().filter_map(|row| row["alias"].as_str()).filter(|alias| alias.starts_with(&self.prefix));
        let known = |alias: &&str| {
            self.aliases.iter().chain(self.retired.iter().map(|(_, alias)| alias)).any(|known| known == alias)
        };
        let unknown: Vec<&str> = own.filter(|alias| !known(alias)).collect();
        ensure!(unknown.is_empty(), "{unknown:?} should not be there");
        Ok(())
    }

    fn write(&mut self) -> Result<&'static str> {
        let slot = self.random.below(ALIASES);
        let alias = self.aliases[slot].clone();
        let exists = self.model.possible(&alias).iter().any(State::is_some);
        let write = self.choose(exists);
        let call = self.session.call(tool(&write), &self.with_key(arguments(&alias, &write)))?;
        let answer = if self.random.percent(5) {
            self.session.cancel(&call, self.moment())?
        } else {
            Some(self.session.answer(&call)?)
        };
        match answer {
            Some(answer) => {
                let said = said(&answer)?;
                self.model.learn(&alias, &write, &said)?;
                if matches!(said, Said::Late(_)) {
                    self.retire(slot);
                }
                Ok(said.word())
            }
            None => {
                self.model.learn(&alias, &write, &Said::Unknown(None))?;
                self.retire(slot);
                Ok("write cancelled")
            }
        }
    }

    /// Uses another alias, and deletes the old one when whatever is still to come of its last write has come.
    fn retire(&mut self, slot: usize) {
        let alias = self.new_alias();
        let retired = std::mem::replace(&mut self.aliases[slot], alias);
        self.retired.push_back((self.steps + SETTLED, retired));
    }

    /// A write that makes sense, nine times of ten.
    fn choose(&mut self, exists: bool) -> Write {
        let model = (*self.random.one(&MODELS)).to_owned();
        let sensible = self.random.percent(90);
        match self.random.below(2) {
            _ if exists != sensible => {
                let description = if self.random.percent(50) { String::new() } else { format!("step {}", self.steps) };
                Write::Create(Row { model, description })
            }
            0 => Write::Update(model),
            _ => Write::Delete,
        }
    }

    /// Deletes an alias whose last write nobody waited for.
    fn sweep(&mut self) -> Result<&'static str> {
        let Some((_, alias)) = self.retired.pop_front() else { return Ok("nothing to sweep") };
        let call = self.session.call("delete_mapping", &self.with_key(json!({ "alias": alias })))?;
        let said = said(&self.session.answer(&call)?)?;
        self.model.learn(&alias, &Write::Delete, &said)?;
        if self.model.possible(&alias) != [None] {
            self.retired.push_back((self.steps + SETTLED, alias));
        }
        Ok("swept")
    }

    /// A call that cannot go well, whatever the gateway does.
    fn call_badly(&mut self) -> Result<&'static str> {
        let alias = self.aliases[0].clone();
        let (tool, arguments) = match self.random.below(8) {
            0 => ("list_models", json!({ "limit": 0 })),
            1 => ("list_models", json!({ "offset": -1 })),
            2 => ("create_mapping", json!({ "alias": "a/b", "provider_id": "openai", "model_name": "gpt-4o" })),
            3 => ("create_mapping", json!({ "alias": alias, "provider_id": "nobody", "model_name": "gpt-4o" })),
            4 => ("update_mapping", json!({ "alias": alias })),
            5 => (
                "delete_mapping",
                json!({ "alias": "..", "api_key": "ak_000000000000000000000000000000000000000000000000" }),
            ),
            6 => ("list_models", json!({ "api_key": "ak_000000000000000000000000000000000000000000000000" })),
            _ => ("no_such_tool", json!({})),
        };
        let call = self.session.call(tool, &arguments)?;
        let answer = self.session.answer(&call)?;
        let refused = answer.get("error").is_some() || answer["result"]["isError"] == true;
        ensure!(refused, "{tool} {arguments}: {answer}");
        Ok("called badly")
    }

    /// Compares what the gateway stores with what is known; nothing may be under way.
    pub(crate) fn compare(&mut self, rows: &[Mapping]) -> Result<()> {
        self.model.see_all(rows, &self.prefix)
    }

    fn with_key(&self, mut arguments: Value) -> Value {
        if let Some(key) = self.key {
            arguments["api_key"] = key.into();
        }
        arguments
    }

    /// How long a call is left alone before it is cancelled: somewhere within its usual time.
    fn moment(&mut self) -> Duration {
        Duration::from_micros(100 * self.random.below(40) as u64)
    }
}

fn tool(write: &Write) -> &'static str {
    match write {
        Write::Create(_) => "create_mapping",
        Write::Update(_) => "update_mapping",
        Write::Delete => "delete_mapping",
    }
}

fn arguments(alias: &str, write: &Write) -> Value {
    match write {
        Write::Create(Row { model, description }) => {
            json!({ "alias": alias, "provider_id": "openai", "model_name": model, "description": description })
        }
        Write::Update(model) => json!({ "alias": alias, "model_name": model }),
        Write::Delete => json!({ "alias": alias }),
    }
}

/// The answer of a call, or its failure.
fn outcome(answer: &Value) -> Result<Result<&Value, &str>> {
    let result = answer.get("result").with_context(|| format!("no result: {answer}"))?;
    if result["isError"] != true {
        return Ok(Ok(&result["structuredContent"]));
    }
    Ok(Err(result["content"][0]["text"].as_str().context("a failure has a text")?))
}

fn said(answer: &Value) -> Result<Said> {
    let failure = match outcome(answer)? {
        Ok(mapping) => return Ok(Said::Done(Row::answered(mapping))),
        Err(failure) => failure,
    };
    check_form(failure)?;
    Ok(match failure {
        _ if failure.contains("did not answer in time") => Said::Late(failure.to_owned()),
        _ if failure.contains(" is unknown: ") || failure.contains("but then that there is no such mapping") => {
            Said::Unknown(Some(failure.to_owned()))
        }
        _ if failure.contains(": there is no such mapping.") => Said::NotFound,
        _ if failure.contains("the alias is already taken") => Said::Taken,
        _ => Said::Refused(failure.to_owned()),
    })
}

/// A failure is the tool's own: nothing but the tool knows what was done.
fn check_form(failure: &str) -> Result<()> {
    ensure!(failure.starts_with("Error: Failed to ") && !failure.contains("Failed to call "), "{failure}");
    Ok(())
}
