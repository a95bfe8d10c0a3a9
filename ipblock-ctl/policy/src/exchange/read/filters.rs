//! Takes only the records that `--where` asks for.

use std::collections::BTreeSet;

use super::{Column, Filter, collect::Collector, keys::snake};
use crate::{address::excerpt, text::counted};

/// Maximum of values and columns that a message lists.
const LISTED: usize = 20;

/// The conditions on the records of a table, by the index of their column.
///
/// Values of the same column are alternatives; different columns must all match.
#[derive(Debug, Default)]
pub(super) struct Filters {
    columns: Vec<Wanted>,
    has_match: bool,
}

#[derive(Debug)]
struct Wanted {
    index: usize,
    name: String,
    /// In lower case.
    values: Vec<String>,
    /// Other values of the column, for the message that nothing matched.
    seen: BTreeSet<String>,
}

impl Filters {
    /// Finds the columns. `names` is empty if the table has no header; `cells` is its first record.
    pub(super) fn new(
        filters: &[Filter],
        names: &[String],
        cells: &[&str],
    ) -> Result<Self, Problem> {
        let mut columns: Vec<Wanted> = Vec::new();
        for filter in filters {
            let index = index_of(&filter.column, names, cells)?;
            let value = filter.value.to_lowercase();
            match columns.iter_mut().find(|wanted| wanted.index == index) {
                Some(wanted) => wanted.values.push(value),
                None => columns.push(Wanted {
                    index,
                    name: filter.column.to_string(),
                    values: vec![value],
                    seen: BTreeSet::new(),
                }),
            }
        }
        Ok(Self {
            columns,
            has_match: false,
        })
    }

    /// Whether a record meets all conditions.
    pub(super) fn take(&mut self, cells: &[&str]) -> bool {
        for wanted in &mut self.columns {
            let cell = cells.get(wanted.index).copied().unwrap_or_default();
            if !wanted.values.iter().any(|value| is_same(value, cell)) {
                if wanted.seen.len() <= LISTED && !cell.is_empty() {
                    wanted.seen.insert(excerpt(cell));
                }
                return false;
            }
        }
        self.has_match = true;
        true
    }

    /// Rejects a file without a record that meets the conditions.
    pub(super) fn finish(&self, out: &mut Collector) {
        // The last column that did not match says most.
        let mut last_first = self.columns.iter().rev();
        let named = last_first.find(|wanted| !wanted.seen.is_empty());
        let named = named.or(self.columns.first());
        let Some(named) = named.filter(|_| !self.has_match) else {
            return;
        };
        let written = |wanted: &Wanted| {
            let values = wanted.values.join(" or ");
            format!("{}={values}", wanted.name)
        };
        let asked: Vec<String> = self.columns.iter().map(written).collect();
        let problem = format!("no record has {}", excerpt(&asked.join(" and ")));
        let seen: Vec<&str> = named.seen.iter().take(LISTED).map(String::as_str).collect();
        let name = excerpt(&named.name);
        let hint = if seen.is_empty() {
            format!("the column `{name}` is empty: name another one")
        } else {
            format!("the column `{name}` has {}", shown(&seen))
        };
        out.spoil(1, "", &problem, &hint);
    }
}

/// Compares a wanted value, in lower case, with a cell.
fn is_same(value: &str, cell: &str) -> bool {
    value.eq_ignore_ascii_case(cell) || !cell.is_ascii() && value == cell.to_lowercase()
}

/// A problem with the options of a table, and its hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) problem: String,
    pub(super) hint: String,
}

/// Returns the index of a column.
pub(super) fn index_of(
    column: &Column,
    names: &[String],
    cells: &[&str],
) -> Result<usize, Problem> {
    match column {
        Column::Number(number) if *number <= cells.len().max(names.len()) => Ok(number - 1),
        Column::Number(number) => Err(Problem {
            problem: format!(
                "there is no column {number}: a record has {}",
                counted(cells.len(), "column", "columns")
            ),
            hint: numbered(cells),
        }),
        Column::Name(name) => {
            let wanted = snake(name);
            let places: Vec<usize> = (0..names.len())
                .filter(|index| names.get(*index) == Some(&wanted))
                .collect();
            match places.as_slice() {
                [index] => Ok(*index),
                [] if names.is_empty() => Err(Problem {
                    problem: format!("there is no header with the column `{}`", excerpt(name)),
                    hint: numbered(cells),
                }),
                [] => Err(Problem {
                    problem: format!("there is no column `{}`", excerpt(name)),
                    hint: format!("the columns are {}", shown(names)),
                }),
                [first, second, ..] => Err(Problem {
                    problem: format!("several columns have the name `{}`", excerpt(name)),
                    hint: format!("write its number: {} or {}", first + 1, second + 1),
                }),
            }
        }
    }
}

/// Describes the columns of a record without a header.
fn numbered(cells: &[&str]) -> String {
    let cells = cells.iter().enumerate().take(LISTED);
    let numbered: Vec<String> = cells
        .map(|(index, cell)| format!("{} is `{}`", index + 1, short(cell)))
        .collect();
    format!("write the number of the column: {}", numbered.join(", "))
}

/// Lists texts for a message.
fn shown(texts: &[impl AsRef<str>]) -> String {
    let listed = texts
        .iter()
        .take(LISTED)
        .map(|text| format!("`{}`", short(text.as_ref())));
    let listed: Vec<String> = listed.collect();
    let more = if texts.len() > LISTED {
        " and more"
    } else {
        ""
    };
    format!("{}{more}", listed.join(", "))
}

fn short(text: &str) -> String {
    excerpt(text).chars().take(30).collect()
}
