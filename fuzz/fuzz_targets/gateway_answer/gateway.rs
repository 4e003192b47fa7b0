//! The guest's gateway, with answers that were told beforehand in the place of HTTP.

#[path = "../../../guest/src/gateway/answer.rs"]
mod answer;
#[path = "../../../guest/src/gateway/trouble.rs"]
mod trouble;
#[path = "../../../guest/src/gateway/written.rs"]
mod written;

pub(crate) use written::Written;

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::alias::ExistingAlias;
use crate::built_in_models::Providers;
use crate::configuration::{ApiKey, BaseUrl};
use crate::failure::Problem;
use crate::mapping::Row;
use answer::{About, Answer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use trouble::Trouble;

const TROUBLES: [Trouble; 10] = [
    Trouble::Denied,
    Trouble::Unresolved,
    Trouble::Unreachable,
    Trouble::Insecure,
    Trouble::Silent,
    Trouble::Broken,
    Trouble::Garbled,
    Trouble::Cut,
    Trouble::TooLarge,
    Trouble::Malformed,
];

/// What was asked of the gateway.
#[derive(Clone, Copy, Default)]
pub(crate) struct Told {
    pub(crate) requests: usize,
    pub(crate) writes: usize,
}

thread_local! {
    static LINES: RefCell<VecDeque<Vec<u8>>> = const { RefCell::new(VecDeque::new()) };
    static TOLD: RefCell<Told> = RefCell::default();
}

/// Begins a call, with the answers to its requests.
pub(crate) fn tell(lines: impl Iterator<Item = Vec<u8>>) {
    LINES.set(lines.collect());
    TOLD.take();
}

pub(crate) fn told() -> Told {
    TOLD.with_borrow(|told| *told)
}

type Answered = Result<Answer, Trouble>;

/// The next answer: three digits and the body, or a trouble. When all are told, the gateway is silent.
fn next(about: About) -> Answered {
    TOLD.with_borrow_mut(|told| told.requests += 1);
    let line = LINES.with_borrow_mut(VecDeque::pop_front).ok_or(Trouble::Silent)?;
    let (status, body) = line.split_at(line.len().min(3));
    match std::str::from_utf8(status).ok().and_then(|status| status.parse().ok()) {
        Some(status @ 100..=999) => Ok(Answer::new(about, status, body.trim_ascii_start().to_vec())),
        _ => Err(TROUBLES[usize::from(line.first().copied().unwrap_or_default()) % TROUBLES.len()]),
    }
}

pub(crate) struct Gateway {
    base: BaseUrl,
    key: ApiKey,
}

pub(crate) struct Pending<'a>(Answered, std::marker::PhantomData<&'a Gateway>);

impl Gateway {
    pub(crate) fn configured(api_key: Option<String>) -> Result<Self, Problem> {
        Ok(Self { base: BaseUrl::configured()?, key: ApiKey::given_or_configured(api_key)? })
    }

    pub(crate) fn ask_models(&self) -> Pending<'_> {
        self.ask(About::Models)
    }

    pub(crate) fn ask_mappings(&self, _page: usize, _limit: usize) -> Pending<'_> {
        self.ask(About::Mappings)
    }

    fn ask(&self, about: About) -> Pending<'_> {
        Pending(next(about), std::marker::PhantomData)
    }

    pub(crate) fn answer<T: DeserializeOwned>(&self, Pending(answer, _): Pending<'_>) -> Result<(T, usize), Problem> {
        let answer = answer.map_err(|trouble| trouble.problem(self))?;
        Ok((self.value(&answer)?, answer.size()))
    }

    pub(crate) fn mapping(&self, _alias: &ExistingAlias) -> Result<Row, Problem> {
        self.answer(self.ask(About::Mapping)).map(|(row, _)| row)
    }

    pub(crate) fn mapping_and_models(
        &self,
        alias: &ExistingAlias,
    ) -> (Result<Row, Problem>, Result<Providers, Problem>) {
        let mapping = self.mapping(alias);
        (mapping, self.answer(self.ask_models()).map(|(providers, _)| providers))
    }

    pub(crate) fn create(&self, mapping: &impl Serialize) -> Result<Written, Problem> {
        serde_json::to_vec(mapping).expect("strings, numbers and booleans are JSON");
        self.write(About::Mappings)
    }

    pub(crate) fn update(&self, _alias: &ExistingAlias, mapping: &impl Serialize) -> Result<Written, Problem> {
        serde_json::to_vec(mapping).expect("strings, numbers and booleans are JSON");
        self.write(About::Mapping)
    }

    pub(crate) fn delete(&self, _alias: &ExistingAlias) -> Result<Written, Problem> {
        self.write(About::Mapping)
    }

    fn write(&self, about: About) -> Result<Written, Problem> {
        TOLD.with_borrow_mut(|told| told.writes += 1);
        self.written(next(about))
    }
}
