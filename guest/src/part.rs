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
        format!(
            "{rest} of {total} entries {why}: call list_models with offset = {end} for the next part, or with search to narrow it"
        )
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
