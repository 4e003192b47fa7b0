//! The table of mappings: what its database compares, refuses and orders.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::collation::fold;
use crate::mapping::Mapping;

/// The databases a gateway runs on, which name a key differently in an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Database {
    /// `… for key 'idx_model_mappings_alias'`
    #[default]
    MariaDb,
    /// `… for key 'model_mappings.idx_model_mappings_alias'`
    MySql,
}

impl Database {
    fn alias_key(self) -> &'static str {
        match self {
            Database::MariaDb => "idx_model_mappings_alias",
            Database::MySql => "model_mappings.idx_model_mappings_alias",
        }
    }
}

/// Why the database did not store a row. Its text is the driver's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Another row has the alias, in the database's comparison.
    Duplicate { alias: String, key: &'static str },
    /// A value has more characters than its column takes.
    TooLong { column: &'static str },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Duplicate { alias, key } => {
                write!(f, "Error 1062 (23000): Duplicate entry '{alias}' for key '{key}'")
            }
            Refusal::TooLong { column } => {
                write!(f, "Error 1406 (22001): Data too long for column '{column}' at row 1")
            }
        }
    }
}

/// A stored mapping, with what is made of it once rather than on every read.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) mapping: Mapping,
    /// Its JSON, as every answer that shows the stored row has it.
    pub(crate) json: String,
    folded: String,
}

/// A page of a list. A negative limit means all rows, whatever the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) number: i64,
    pub(crate) limit: i64,
}

/// The rows, by alias and in the order of a list. A row is never changed, only replaced, so that an
/// answer can be written from the rows without holding a lock.
#[derive(Debug)]
pub(crate) struct Table {
    database: Database,
    offset_minutes: i32,
    last_id: u64,
    by_alias: HashMap<String, Arc<Row>>,
    /// Priority descending, then alias.
    ordered: Vec<Arc<Row>>,
}

impl Table {
    pub(crate) fn new(database: Database, offset_minutes: i32) -> Self {
        Table { database, offset_minutes, last_id: 0, by_alias: HashMap::new(), ordered: Vec::new() }
    }

    /// The row that any spelling of its alias finds.
    pub(crate) fn find(&self, alias: &str) -> Option<Arc<Row>> {
        self.by_alias.get(&fold(alias)).cloned()
    }

    /// All rows, in the order of a list.
    pub(crate) fn rows(&self) -> &[Arc<Row>] {
        &self.ordered
    }

    /// Stores a new row under the next id.
    pub(crate) fn insert(&mut self, mapping: Mapping) -> Result<Arc<Row>, Refusal> {
        check_lengths(&mapping)?;
        self.insert_unchecked(mapping)
    }

    /// The same, whatever the lengths.
    pub(crate) fn insert_unchecked(&mut self, mut mapping: Mapping) -> Result<Arc<Row>, Refusal> {
        self.check_alias(&mapping)?;
        self.last_id += 1;
        mapping.id = self.last_id;
        Ok(self.add(mapping))
    }

    /// Replaces the row with the mapping's id, which must be `old`.
    pub(crate) fn replace(&mut self, old: &Row, mapping: Mapping) -> Result<Arc<Row>, Refusal> {
        check_lengths(&mapping)?;
        self.check_alias(&mapping)?;
        self.remove(old);
        Ok(self.add(mapping))
    }

    pub(crate) fn remove(&mut self, row: &Row) {
        self.by_alias.remove(&row.folded);
        self.ordered.retain(|other| other.mapping.id != row.mapping.id);
    }

    /// The rows of a page among the visible ones, and the number of all visible ones.
    pub(crate) fn page(&self, page: Page, visible: impl Fn(&Mapping) -> bool) -> (Vec<Arc<Row>>, usize) {
        let (skip, take) = match usize::try_from(page.limit) {
            Ok(limit) => (usize::try_from(page.number - 1).unwrap_or(0).saturating_mul(limit), limit),
            Err(_) => (0, usize::MAX),
        };
        let shown = self.ordered.iter().filter(|row| visible(&row.mapping));
        let total = shown.clone().count();
        (shown.skip(skip).take(take).cloned().collect(), total)
    }

    fn check_alias(&self, mapping: &Mapping) -> Result<(), Refusal> {
        match self.by_alias.get(&fold(&mapping.alias)) {
            Some(other) if other.mapping.id != mapping.id => {
                Err(Refusal::Duplicate { alias: mapping.alias.clone(), key: self.database.alias_key() })
            }
            _ => Ok(()),
        }
    }

    fn add(&mut self, mapping: Mapping) -> Arc<Row> {
        let row = Arc::new(Row { json: mapping.json(self.offset_minutes), folded: fold(&mapping.alias), mapping });
        let at = self.ordered.partition_point(|other| other.place() < row.place());
        self.ordered.insert(at, Arc::clone(&row));
        self.by_alias.insert(row.folded.clone(), Arc::clone(&row));
        row
    }
}

impl Row {
    fn place(&self) -> (std::cmp::Reverse<i64>, &str) {
        (std::cmp::Reverse(self.mapping.priority), &self.folded)
    }
}

/// Lengths count in characters, not in bytes.
fn check_lengths(mapping: &Mapping) -> Result<(), Refusal> {
    let columns = [
        ("alias", &mapping.alias, 100),
        ("provider_id", &mapping.provider_id, 50),
        ("model_name", &mapping.model_name, 100),
        ("description", &mapping.description, 255),
    ];
    match columns.into_iter().find(|(_, value, most)| value.chars().count() > *most) {
        Some((column, ..)) => Err(Refusal::TooLong { column }),
        None => Ok(()),
    }
}
