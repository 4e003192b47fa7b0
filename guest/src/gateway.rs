//! The gateway: its routes, and the only place that speaks HTTP.

mod answer;
mod exchange;
mod trouble;
mod written;

pub(crate) use exchange::Pending;
pub(crate) use written::Written;

use crate::alias::ExistingAlias;
use crate::built_in_models::Providers;
use crate::configuration::{ApiKey, BaseUrl};
use crate::failure::Problem;
use crate::mapping::Row;
use answer::About;
use exchange::Target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use waki::Method;

/// Public: it is asked without the key.
const MODELS: &str = "/v1/models";
const MAPPINGS: &str = "/api/v1/model-mappings";

// The most bytes that are read of an answer. They keep whatever a gateway answers within the component's memory.
/// Thousands of built-in models.
const MODELS_SIZE: usize = 1 << 20;
/// A mapping is 4 kB at the very most.
const MAPPING_SIZE: usize = 64 << 10;
/// A page of a thousand such mappings.
const PAGE_SIZE: usize = 4 << 20;

/// One AIGateway and the key to it.
pub(crate) struct Gateway {
    base: BaseUrl,
    key: ApiKey,
}

impl Gateway {
    /// The gateway of the environment, with the key given for this call or else the configured one.
    pub(crate) fn configured(api_key: Option<String>) -> Result<Self, Problem> {
        Ok(Self { base: BaseUrl::configured()?, key: ApiKey::given_or_configured(api_key)? })
    }

    /// Asks for the built-in models.
    pub(crate) fn ask_models(&self) -> Pending<'_> {
        let route = MODELS.to_owned();
        Target { base: &self.base, route, about: About::Models, key: None, at_most: MODELS_SIZE }.start()
    }

    /// Asks for a page of the mappings that the key's user sees.
    pub(crate) fn ask_mappings(&self, page: usize, limit: usize) -> Pending<'_> {
        self.target(format!("{MAPPINGS}?page={page}&limit={limit}"), About::Mappings, PAGE_SIZE).start()
    }

    /// Asks for one mapping.
    pub(crate) fn ask_mapping(&self, alias: &ExistingAlias) -> Pending<'_> {
        self.one(alias).start()
    }

    /// The value that was asked for, and the size of the answer in bytes.
    pub(crate) fn answer<T: DeserializeOwned>(&self, asked: Pending<'_>) -> Result<(T, usize), Problem> {
        let answer = asked.finish().map_err(|trouble| trouble.problem(self))?;
        Ok((self.value(&answer)?, answer.size()))
    }

    pub(crate) fn mapping(&self, alias: &ExistingAlias) -> Result<Row, Problem> {
        self.one(alias).get().map_err(|trouble| trouble.problem(self)).and_then(|answer| self.value(&answer))
    }

    /// One mapping and the built-in models, asked for at the same time.
    pub(crate) fn mapping_and_models(
        &self,
        alias: &ExistingAlias,
    ) -> (Result<Row, Problem>, Result<Providers, Problem>) {
        let (mapping, models) = (self.ask_mapping(alias), self.ask_models());
        (self.answer(mapping).map(|(row, _)| row), self.answer(models).map(|(providers, _)| providers))
    }

    /// Sends a new mapping, once.
    pub(crate) fn create(&self, mapping: &impl Serialize) -> Result<Written, Problem> {
        let target = self.target(MAPPINGS.to_owned(), About::Mappings, MAPPING_SIZE);
        self.written(target.send(Method::Post, Some(json(mapping))))
    }

    /// Sends all fields of a mapping, once.
    pub(crate) fn update(&self, alias: &ExistingAlias, mapping: &impl Serialize) -> Result<Written, Problem> {
        self.written(self.one(alias).send(Method::Put, Some(json(mapping))))
    }

    /// Sends the deletion of a mapping, once.
    pub(crate) fn delete(&self, alias: &ExistingAlias) -> Result<Written, Problem> {
        self.written(self.one(alias).send(Method::Delete, None))
    }

    fn one(&self, alias: &ExistingAlias) -> Target<'_> {
        self.target(format!("{MAPPINGS}/{}", alias.segment()), About::Mapping, MAPPING_SIZE)
    }

    fn target(&self, route: String, about: About, at_most: usize) -> Target<'_> {
        Target { base: &self.base, route, about, key: Some(&self.key), at_most }
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings, numbers and booleans are JSON")
}
