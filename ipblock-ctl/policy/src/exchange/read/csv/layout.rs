//! The columns of a table: from its header, from the options, or from its first record.

use super::columns::{Columns, Header, KnownBy, could_be_header, header, names};
use crate::{
    address::{Mask, excerpt, is_address},
    exchange::read::{
        Column, Joint, ReadOptions,
        filters::{Filters, Problem, index_of},
    },
};

/// What is known of a table after its first record.
pub(super) struct Layout {
    /// The columns; `None` means that the next records tell.
    pub(super) columns: Option<Columns>,
    /// The names of the columns; empty without a header.
    pub(super) titles: Vec<String>,
    pub(super) filters: Filters,
    /// Whether the first record is a header, not data.
    pub(super) is_header: bool,
}

/// Reads the first record. `comment` are the cells of the comment before it, which may be the
/// header: `# "first_seen","dst_ip"`.
pub(super) fn layout(
    cells: &[&str],
    comment: &[&str],
    options: &ReadOptions,
) -> Result<Layout, Problem> {
    let is_header = could_be_header(cells) && !is_data(cells, options);
    let title_cells = match comment {
        _ if is_header => cells,
        comment if names_a_column(options) && comment.len() == cells.len() => comment,
        _ => &[],
    };
    let titles = names(title_cells);
    let filters = Filters::new(&options.filters, &titles, cells)?;
    let columns = match &options.column {
        Some(_) => Some(chosen(title_cells, &titles, cells, options)?),
        None if is_header => by_header(cells)?,
        None => None,
    };
    Ok(Layout {
        columns,
        titles,
        filters,
        is_header,
    })
}

/// Whether the columns that the options number have an address or a decimal number: then the first
/// record is not a header.
fn is_data(cells: &[&str], options: &ReadOptions) -> bool {
    let Some(columns) = &options.column else {
        return false;
    };
    let index = index_of(&columns.address, &[], cells);
    let cell = index.ok().and_then(|index| cells.get(index));
    cell.is_some_and(|cell| is_address(cell) || is_decimal(cell))
}

/// Whether a cell has only digits.
pub(super) fn is_decimal(cell: &str) -> bool {
    !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit())
}

fn names_a_column(options: &ReadOptions) -> bool {
    let column = options.column.as_ref().map(|columns| &columns.address);
    let all = options.filters.iter().map(|filter| &filter.column);
    all.chain(column)
        .any(|column| matches!(column, Column::Name(_)))
}

/// Returns the columns that the options choose. The header tells the others.
fn chosen(
    title_cells: &[&str],
    titles: &[String],
    cells: &[&str],
    options: &ReadOptions,
) -> Result<Columns, Problem> {
    let Some(wanted) = &options.column else {
        return Ok(Columns::default());
    };
    let address = index_of(&wanted.address, titles, cells)?;
    let mut columns = match header(title_cells, Some(address)) {
        Some(Header::Columns(columns)) => columns,
        _ => Columns::default(),
    };
    columns.address = address;
    columns.known_by = KnownBy::Option;
    if let Some((joint, other)) = &wanted.other {
        let other = index_of(other, titles, cells)?;
        columns.mask = None;
        match joint {
            Joint::Last => (columns.last, columns.are_ranges) = (Some(other), true),
            Joint::Mask => columns.mask = Some((Mask::Net, other)),
            Joint::Count => columns.count = Some(other),
        }
        columns.are_decimal = *joint == Joint::Last;
    }
    Ok(columns)
}

/// Returns the columns of a header; `None` if no name says which column has the addresses.
fn by_header(cells: &[&str]) -> Result<Option<Columns>, Problem> {
    match header(cells, None) {
        Some(Header::Columns(columns)) => Ok(Some(columns)),
        Some(Header::Two(one, other)) => {
            let (one, other) = (excerpt(&one), excerpt(&other));
            Err(Problem {
                problem: format!("two columns of addresses: `{one}` and `{other}`"),
                hint: format!("choose one of them: --column {one}"),
            })
        }
        Some(Header::Half(name)) => {
            let name = excerpt(&name);
            Err(Problem {
                problem: format!("a column `{name}`, and none with the ends of ranges"),
                hint: format!(
                    "for single addresses write --column {name}; for ranges name the column with \
                     the last addresses `end`"
                ),
            })
        }
        Some(Header::Other) | None => Ok(None),
    }
}
