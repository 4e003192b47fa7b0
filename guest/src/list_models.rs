//! `list-models`: all built-in models and all mappings, in parts.

use crate::bindings::{BuiltInModel, CustomMapping, ModelList};
use crate::built_in_models::{Provider, Providers, nullable};
use crate::failure::Problem;
use crate::gateway::{Gateway, Pending};
use crate::mapping::{filled, scope};
use crate::part::Part;
use serde::Deserialize;
use std::collections::{BTreeSet, VecDeque};

/// How many mappings a page has: the first page is all there is at nearly every gateway.
const PAGE: usize = 1000;
/// How many further pages are asked for at the same time: all of them, up to thirteen thousand mappings.
const AT_ONCE: usize = 12;
/// How many pages are read at most: fewer than the requests that a runtime may allow a call (64, where it is this
/// project's), so that a list without an end, or in tiny pages, is told as what it is.
const MOST_PAGES: usize = 56;
/// How many rows are read at most: with the next one, what keeps any answers within the component's memory.
const MOST_ROWS: usize = 100_000;
/// How many bytes of pages are read at most: some 75,000 mappings, and within the component's memory.
const MOST_BYTES: usize = 24 << 20;

pub(crate) fn run(
    search: Option<String>,
    offset: Option<u32>,
    limit: Option<u32>,
    api_key: Option<String>,
) -> Result<ModelList, Problem> {
    let mut part = Part::new(offset, limit)?;
    let gateway = Gateway::configured(api_key)?;
    let (providers, mappings) = read(&gateway)?;
    let search = Search::new(search);
    for provider in providers.iter() {
        for model in provider.models().filter(|model| search.finds_model(provider, model)) {
            part.offer_model(|| built_in_model(provider, model));
        }
    }
    let remark = mappings.remark();
    for mapping in mappings.rows {
        if search.finds_mapping(&mapping, providers.name_of(&mapping.provider_id)) {
            part.offer_mapping(|| mapping.into());
        }
    }
    Ok(part.finish(remark))
}

/// Asks for both halves of the list at the same time.
fn read(gateway: &Gateway) -> Result<(Providers, Mappings), Problem> {
    let models = gateway.ask_models();
    let first_page = gateway.ask_mappings(1, PAGE);
    let providers = gateway.answer(models).map(|(providers, _)| providers);
    match (providers, Mappings::read(gateway, first_page)) {
        (Ok(providers), Ok(mappings)) => Ok((providers, mappings)),
        (Err(problem), Ok(_)) => Err(problem.reading("built-in models")),
        (Ok(_), Err(problem)) => Err(problem.reading("mappings")),
        (Err(_), Err(problem)) => Err(problem),
    }
}

/// A page of mappings, as far as a list shows them.
#[derive(Deserialize)]
struct Page {
    #[serde(deserialize_with = "nullable")]
    data: Vec<Listed>,
    total: u64,
}

#[derive(Deserialize)]
struct Listed {
    id: u64,
    alias: String,
    provider_id: String,
    model_name: String,
    description: Option<String>,
    enabled: bool,
    owner_id: Option<String>,
}

/// All mappings that were read, and how many the gateway says there are.
struct Mappings {
    rows: Vec<Listed>,
    announced: u64,
}

impl Mappings {
    fn read(gateway: &Gateway, first_page: Pending<'_>) -> Result<Self, Problem> {
        let (Page { data: rows, total: announced }, bytes) = gateway.answer::<Page>(first_page)?;
        let mut mappings = Self { rows, announced };
        let pages = mappings.page_count();
        if pages > 1 {
            mappings.read_on(gateway, pages, bytes)?;
        }
        Ok(mappings)
    }

    /// Reads the pages after the first, for as long as they bring something new.
    fn read_on(&mut self, gateway: &Gateway, pages: usize, mut bytes: usize) -> Result<(), Problem> {
        let page_length = self.rows.len();
        let mut known: BTreeSet<_> = self.rows.iter().map(|row| row.id).collect();
        let mut to_ask = (2..=pages).map(|page| gateway.ask_mappings(page, PAGE));
        let mut asked: VecDeque<_> = to_ask.by_ref().take(AT_ONCE).collect();
        while let Some(next) = asked.pop_front() {
            let (page, size) = gateway.answer::<Page>(next)?;
            bytes += size;
            let is_short = page.data.len() < page_length;
            let known_before = known.len();
            self.rows.extend(page.data.into_iter().filter(|row| known.insert(row.id)));
            let is_enough = self.rows.len() > MOST_ROWS || bytes > MOST_BYTES;
            if is_short || is_enough || known.len() == known_before {
                break;
            }
            asked.extend(to_ask.next());
        }
        Ok(())
    }

    /// How many pages there are to read, if they are all as long as the first one: a gateway may allow fewer to a page.
    fn page_count(&self) -> usize {
        let announced = usize::try_from(self.announced).unwrap_or(usize::MAX);
        match self.rows.len() {
            0 => 1,
            page_length => announced.div_ceil(page_length).min(MOST_PAGES),
        }
    }

    /// What to say when the gateway has not delivered what it announced.
    fn remark(&self) -> Option<String> {
        let (read, announced) = (self.rows.len(), self.announced);
        let is_less = u64::try_from(read).is_ok_and(|read| read < announced);
        is_less.then(|| format!("The gateway says that there are {announced} mappings; {read} of them could be read"))
    }
}

impl From<Listed> for CustomMapping {
    fn from(row: Listed) -> Self {
        Self {
            alias: row.alias,
            provider_id: row.provider_id,
            model_name: row.model_name,
            description: filled(row.description),
            enabled: row.enabled,
            scope: scope(row.owner_id.as_deref()),
            owner_id: filled(row.owner_id),
        }
    }
}

fn built_in_model(provider: &Provider, model: &str) -> BuiltInModel {
    BuiltInModel {
        alias: model.to_owned(),
        provider_id: provider.id.clone(),
        provider_name: provider.name.clone(),
        model_name: model.to_owned(),
    }
}

/// A text to look for, in lower case; an empty one finds everything.
struct Search(String);

impl Search {
    fn new(text: Option<String>) -> Self {
        Self(text.unwrap_or_default().to_lowercase())
    }

    fn finds_model(&self, provider: &Provider, model: &str) -> bool {
        [model, &provider.id, &provider.name].into_iter().any(|text| self.is_in(text))
    }

    fn finds_mapping(&self, mapping: &Listed, provider_name: Option<&str>) -> bool {
        let texts = [&mapping.alias, &mapping.model_name, &mapping.provider_id];
        texts.into_iter().map(String::as_str).chain(provider_name).any(|text| self.is_in(text))
    }

    fn is_in(&self, text: &str) -> bool {
        let needle = self.0.as_bytes();
        if needle.is_empty() {
            return true;
        }
        if text.is_ascii() {
            // Spares the lower-case copy of nearly every text.
            return text.as_bytes().windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle));
        }
        text.to_lowercase().contains(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_ignores_case_in_any_script() {
        for (text, search, found) in [
            ("GPT-4o", "gpt", true),
            ("gpt", "gpt-4", false),
            ("Größe", "GRÖSSE", false),
            ("GRÖẞE", "größe", true),
            ("\u{212a}elvin", "kelvin", true),
            ("anything", "", true),
            ("", "x", false),
        ] {
            assert_eq!(Search::new(Some(search.into())).is_in(text), found, "{search} in {text}");
        }
    }
}
