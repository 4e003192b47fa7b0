//! The part of a long list that one answer holds.

use crate::bindings::{BuiltInModel, CustomMapping, ModelList};
use crate::failure::Problem;
use serde::Serialize;
use std::io;

/// What the JSON of an answer without a limit stays under: longer ones crowd a model's context, and some clients cut
/// them off.
const SHORT: usize = 40_000;
/// What the JSON of any answer stays under: clients refuse more than 1 MB.
const LONG: usize = 900_000;
/// What the JSON of an answer needs beside its entries: the names of its fields, the total and the note.
const FRAME: usize = 600;

/// Takes entries, in order, from an offset on, until it holds as many as it may.
pub(crate) struct Part {
    offset: usize,
    limit: usize,
    /// Bytes of JSON that are left.
    room: usize,
    /// Whether an entry was left out for want of room.
    is_full: bool,
    offered: usize,
    built_in_models: Vec<BuiltInModel>,
    custom_mappings: Vec<CustomMapping>,
}

impl Part {
    pub(crate) fn new(offset: Option<u32>, limit: Option<u32>) -> Result<Self, Problem> {
        if limit == Some(0) {
            return Err(Problem::argument("`limit` is 0", "Give 1 or more, or leave it out"));
        }
        Ok(Self {
            offset: index(offset.unwrap_or(0)),
            limit: limit.map_or(usize::MAX, index),
            room: if limit.is_some() { LONG } else { SHORT } - FRAME,
            is_full: false,
            offered: 0,
            built_in_models: Vec::new(),
            custom_mappings: Vec::new(),
        })
    }

    pub(crate) fn offer_model(&mut self, model: impl FnOnce() -> BuiltInModel) {
        if let Some(model) = self.taken(model) {
            self.built_in_models.push(model);
        }
    }

    pub(crate) fn offer_mapping(&mut self, mapping: impl FnOnce() -> CustomMapping) {
        if let Some(mapping) = self.taken(mapping) {
            self.custom_mappings.push(mapping);
        }
    }

    /// The entry, if it belongs to this part. The first one always does, so that every part has an end.
    fn taken<T: Serialize>(&mut self, entry: impl FnOnce() -> T) -> Option<T> {
        self.offered += 1;
        if self.offered <= self.offset || self.is_full || self.len() == self.limit {
            return None;
        }
        let entry = entry();
        let size = json_size(&entry);
        self.is_full = size > self.room && self.len() > 0;
        self.room = self.room.saturating_sub(size);
        (!self.is_full).then_some(entry)
    }

    fn len(&self) -> usize {
        self.built_in_models.len() + self.custom_mappings.len()
    }

    /// The answer, with what else there is to say about it.
    pub(crate) fn finish(self, remark: Option<String>) -> ModelList {
        let end = self.offset.saturating_add(self.len());
        let rest = self.offered.saturating_sub(end);
        let cut = (rest > 0).then(|| self.note(rest, end));
        let note: Vec<_> = cut.into_iter().chain(remark).collect();
        ModelList {
            total: count(self.offered),
            next_offset: (rest > 0).then(|| count(end)),
            note: (!note.is_empty()).then(|| note.join(". ")),
            built_in_models: self.built_in_models,
            custom_mappings: self.custom_mappings,
        }
    }

    fn note(&self, rest: usize, end: usize) -> String {
        let total = self.offered;
        let why = if self.is_full { "are left out to keep the answer short" } else { "come after these" };
        let next = format!("call list_models with offset = {end} for the next part, or with search to narrow it");
        format!("{rest} of {total} entries {why}: {next}")
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The bytes of a list's entry in JSON, with the comma after it. A field that is absent counts as `null`: a little
/// more than it takes.
fn json_size(entry: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(1);
    serde_json::to_writer(&mut count, entry).expect("strings and booleans are JSON");
    count.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: String) -> BuiltInModel {
        BuiltInModel { alias: name.clone(), provider_id: "p".into(), provider_name: "P".into(), model_name: name }
    }

    fn part_of(count: usize, length: usize, offset: Option<u32>, limit: Option<u32>) -> ModelList {
        let mut part = Part::new(offset, limit).expect("the limit is not 0");
        (0..count).for_each(|_| part.offer_model(|| model("\"".repeat(length))));
        part.finish(None)
    }

    #[test]
    fn a_part_without_a_limit_is_short_and_says_where_to_go_on() {
        let list = part_of(1000, 100, None, None);
        let size = serde_json::to_string(&list).expect("a list is JSON").len();
        assert!((39_000..40_000).contains(&size), "{size}");
        assert_eq!(list.total, 1000);
        assert_eq!(list.next_offset.map(|next| next as usize), Some(list.built_in_models.len()));
        assert!(list.note.expect("entries are left out").contains("left out to keep the answer short"));
    }

    #[test]
    fn a_limit_is_honoured_up_to_what_a_client_bears() {
        assert_eq!(part_of(1000, 100, Some(10), Some(990)).built_in_models.len(), 990);
        assert_eq!(part_of(5, 1, Some(1), Some(3)).next_offset, Some(4));
        let list = part_of(10_000, 100, None, Some(10_000));
        assert!(serde_json::to_string(&list).expect("a list is JSON").len() < 900_000);
        assert!(list.next_offset.is_some());
    }

    #[test]
    fn an_entry_too_long_for_any_part_does_not_stop_the_reading() {
        assert_eq!(part_of(2, 100_000, None, None).next_offset, Some(1));
        assert_eq!(part_of(2, 100_000, Some(1), None).next_offset, None);
    }

    #[test]
    fn an_offset_past_the_end_finds_nothing() {
        let list = part_of(3, 1, Some(u32::MAX), Some(u32::MAX));
        assert_eq!((list.total, list.next_offset, list.note, list.built_in_models.len()), (3, None, None, 0));
    }
}
