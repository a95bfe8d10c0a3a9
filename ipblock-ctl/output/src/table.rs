//! Aligned columns without borders.

use ipblock_api::types::EntryState;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{
    number::grouped,
    view::{Tone, View, state_mark, visible},
};

/// Spaces between two columns.
const GAP: usize = 2;

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    right: bool,
    /// A wider cell shifts the rest of its own row only.
    most: usize,
}

/// Maximum width of a name in a column; names may have 64 characters, but very few do.
pub const MAX_NAME_WIDTH: usize = 24;
/// Minimum width of a name.
const MIN_NAME_WIDTH: usize = 12;

impl Column {
    /// Returns a column of text.
    #[must_use]
    pub const fn left(title: &'static str) -> Self {
        Self {
            title,
            right: false,
            most: usize::MAX,
        }
    }

    /// Returns a column of names. A very long name does not narrow the other columns.
    #[must_use]
    pub const fn name(title: &'static str) -> Self {
        Self {
            title,
            right: false,
            most: MAX_NAME_WIDTH,
        }
    }

    /// Returns a column of numbers.
    #[must_use]
    pub const fn right(title: &'static str) -> Self {
        Self {
            title,
            right: true,
            most: usize::MAX,
        }
    }
}

/// One cell.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Returns text in a tone, with control characters made visible.
    #[must_use]
    pub fn toned(text: &str, tone: Tone) -> Self {
        Self {
            text: visible(text),
            tone,
        }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text.as_ref(), Tone::Plain)
    }
}

/// Rows with titles. The last column is never padded, so it has no limit.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Returns an empty table.
    #[must_use]
    pub fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with a cell for each column.
    pub fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// Returns an empty table for objects that may be staged. A first column has their marks. If
    /// every column is shown, a word after the first column replaces the mark.
    #[must_use]
    pub fn with_state(columns: &[Column], view: &View) -> Self {
        let mut table = Self::new(columns);
        let (place, title) = state_column(view);
        table.columns.insert(place, Column::left(title));
        table
    }

    /// Adds a row to a table [`Self::with_state`], with a cell for each other column.
    pub fn state_row(&mut self, state: EntryState, mut cells: Vec<Cell>, view: &View) {
        let (place, _) = state_column(view);
        let shown = if view.is_whole() {
            state.as_str()
        } else {
            state_mark(state)
        };
        cells.insert(place, shown.into());
        self.row(cells);
    }

    /// Removes the columns with these titles, unless `view` shows every column.
    pub fn drop_columns(&mut self, titles: &[&str], view: &View) {
        if view.is_whole() {
            return;
        }
        let keep: Vec<bool> = self
            .columns
            .iter()
            .map(|column| !titles.contains(&column.title))
            .collect();
        retain(&mut self.columns, &keep);
        for row in &mut self.rows {
            retain(row, &keep);
        }
    }

    /// Fills the last column, one cell per row: its room depends on the others.
    pub fn set_last_column(&mut self, cells: Vec<Cell>) {
        for (row, cell) in self.rows.iter_mut().zip(cells) {
            if let Some(last) = row.last_mut() {
                *last = cell;
            }
        }
    }

    /// Cuts the names in the first column to the room that the other columns leave in `width`;
    /// `--json` has them completely.
    pub fn fit_names(&mut self, width: usize) {
        let others = self.widths().into_iter().skip(1);
        let others: usize = others.map(|other| GAP + other).sum();
        let room = width.saturating_sub(others).max(MIN_NAME_WIDTH);
        for name in self.rows.iter_mut().filter_map(|row| row.first_mut()) {
            name.text = cut(&name.text, room);
        }
        if let Some(names) = self.columns.first_mut() {
            names.most = room;
        }
    }

    /// Returns the width up to and including the gap before the last column.
    #[must_use]
    pub fn width_before_last(&self) -> usize {
        let widths = self.widths();
        let before = widths.len().saturating_sub(1);
        widths.iter().take(before).map(|width| width + GAP).sum()
    }

    /// Renders the table with its titles; each line ends with a line feed.
    #[must_use]
    pub fn render(&self, view: &View) -> String {
        let has_titles = self.columns.iter().any(|column| !column.title.is_empty());
        if view.is_whole() && has_titles {
            return self.with_dashes().render_as_is(view);
        }
        self.render_as_is(view)
    }

    fn render_as_is(&self, view: &View) -> String {
        let widths = self.widths();
        let mut text = String::new();
        if self.columns.iter().any(|column| !column.title.is_empty()) {
            let titles: Vec<Cell> = self
                .columns
                .iter()
                .map(|column| Cell::toned(column.title, Tone::Strong))
                .collect();
            self.line(&mut text, &titles, &widths, view);
        }
        for row in &self.rows {
            self.line(&mut text, row, &widths, view);
        }
        text
    }

    /// Renders the table, with what its marks mean below it if something is `staged`.
    #[must_use]
    pub fn render_with_legend(&self, staged: bool, view: &View) -> String {
        let mut text = self.render(view);
        if staged {
            text.push_str(&view.legend());
        }
        text
    }

    /// Replaces what is empty by `-`, so that words keep their position for scripts.
    fn with_dashes(&self) -> Self {
        let mut table = self.clone();
        let empty = table.rows.iter_mut().flatten();
        for cell in empty.filter(|cell| cell.text.is_empty()) {
            "-".clone_into(&mut cell.text);
        }
        table
    }

    fn line(&self, text: &mut String, cells: &[Cell], widths: &[usize], view: &View) {
        let filled = cells
            .iter()
            .rposition(|cell| !cell.text.is_empty())
            .map_or(0, |last| last + 1);
        let columns = self.columns.iter().zip(widths).zip(cells);
        for (index, ((column, &width), cell)) in columns.take(filled).enumerate() {
            let padding = " ".repeat(width.saturating_sub(cell.text.width()));
            let last = index + 1 == filled;
            if index > 0 {
                text.push_str(&" ".repeat(GAP));
            }
            if column.right {
                text.push_str(&padding);
            }
            text.push_str(&view.paint(cell.tone, &cell.text));
            if !column.right && !last {
                text.push_str(&padding);
            }
        }
        text.push('\n');
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .map(|column| column.title.width())
            .collect();
        for row in &self.rows {
            for ((width, cell), column) in widths.iter_mut().zip(row).zip(&self.columns) {
                *width = (*width).max(cell.text.width().min(column.most));
            }
        }
        widths
    }
}

/// Returns position and title of the column with the staged state.
const fn state_column(view: &View) -> (usize, &'static str) {
    if view.is_whole() {
        (1, "STATE")
    } else {
        (0, "")
    }
}

fn retain<T>(items: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    items.retain(|_| keep.next().copied().unwrap_or(true));
}

/// Returns the `items` that fit in `width` columns, then `+N` for the others. At least one item,
/// cut with `...` if it is too long.
#[must_use]
pub fn fit_list(items: &[String], width: usize) -> String {
    fit_beginning(items, 0, width)
}

/// As [`fit_list`], with `beside` further ones that are not in `items`.
#[must_use]
pub fn fit_beginning(items: &[String], beside: u64, width: usize) -> String {
    let Some(first) = items.first() else {
        return "-".to_owned();
    };
    let more = |left: usize| match beside.saturating_add(left as u64) {
        0 => String::new(),
        left => format!(" +{}", grouped(left)),
    };
    let room = width.saturating_sub(more(items.len() - 1).width());
    let mut shown = cut(first, room);
    for (index, item) in items.iter().enumerate().skip(1) {
        let longer = format!("{shown} {item}");
        if longer.width() + more(items.len() - index - 1).width() > width {
            return shown + &more(items.len() - index);
        }
        shown = longer;
    }
    shown
}

/// Breaks `text` at spaces into lines of at most `width` columns; a wider word is not broken.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else {
            break;
        };
        if line.is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Returns `text` in at most `width` columns, with `...` at the end if it was longer.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(3);
    let mut used = 0;
    let mut short = String::new();
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > room {
            break;
        }
        short.push(character);
    }
    short + "..."
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::view::WHOLE;

    fn view() -> View {
        View::plain(Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn numbers_are_right_aligned_and_no_line_ends_in_spaces() {
        let mut table = Table::new(&[Column::left("A"), Column::right("N"), Column::left("C")]);
        table.row(vec!["long".into(), "1".into(), "".into()]);
        table.row(vec!["x".into(), "1,234".into(), "end".into()]);
        assert_eq!(
            table.render(&view()),
            "A         N  C\nlong      1\nx     1,234  end\n"
        );
    }

    #[test]
    fn colour_does_not_disturb_the_columns() {
        let mut table = Table::new(&[Column::left("A"), Column::left("B")]);
        table.row(vec![Cell::toned("x", Tone::Bad), "1".into()]);
        let mut view = view();
        view.color = true;
        assert_eq!(
            table.render(&view),
            "\x1b[1mA\x1b[0m  \x1b[1mB\x1b[0m\n\x1b[31mx\x1b[0m  1\n"
        );
    }

    #[test]
    fn dropped_columns_leave_no_gap() {
        let mut table = Table::new(&[Column::left("A"), Column::left("B"), Column::left("C")]);
        table.row(vec!["1".into(), "2".into(), "3".into()]);
        table.drop_columns(&["B"], &view());
        assert_eq!(table.render(&view()), "A  C\n1  3\n");
        assert_eq!(table.width_before_last(), 3);
    }

    #[test]
    fn off_a_terminal_a_table_has_the_same_columns_whatever_it_holds() {
        let mut view = view();
        view.width = WHOLE;
        for state in [EntryState::Deployed, EntryState::Removed] {
            let columns = [Column::left("NAME"), Column::left("NOTE")];
            let mut table = Table::with_state(&columns, &view);
            table.state_row(state, vec!["a".into(), "".into()], &view);
            table.drop_columns(&["", "NOTE"], &view);
            let text = table.render(&view);
            assert!(text.starts_with("NAME  STATE"), "{text}");
            assert!(
                text.lines()
                    .all(|line| line.split_whitespace().nth(1).is_some())
            );
        }
    }

    #[test]
    fn wide_characters_count_twice() {
        let mut table = Table::new(&[Column::left("A"), Column::left("B")]);
        table.row(vec!["漢字".into(), "1".into()]);
        table.row(vec!["abcd".into(), "2".into()]);
        assert_eq!(table.render(&view()), "A     B\n漢字  1\nabcd  2\n");
    }

    #[test]
    fn a_very_long_name_disturbs_its_own_row_only() {
        let mut table = Table::new(&[Column::name("NAME"), Column::left("B")]);
        let long = "n".repeat(MAX_NAME_WIDTH + 5);
        table.row(vec![long.as_str().into(), "1".into()]);
        table.row(vec!["short".into(), "2".into()]);
        assert_eq!(table.width_before_last(), MAX_NAME_WIDTH + GAP);
        let room = " ".repeat(MAX_NAME_WIDTH + GAP);
        assert_eq!(
            table.render(&view()),
            format!("NAME{}B\n{long}  1\nshort{}2\n", &room[4..], &room[5..])
        );
    }

    #[test]
    fn names_are_cut_where_there_is_no_room_for_them() {
        let mut table = Table::new(&[Column::name("NAME"), Column::left("B")]);
        let long = "n".repeat(64);
        table.row(vec![long.as_str().into(), "12345678".into()]);
        table.row(vec!["short".into(), "2".into()]);
        let mut roomy = table.clone();
        roomy.fit_names(80);
        assert!(roomy.render(&view()).contains(&format!("{long}  12345678")));
        assert_eq!(roomy.width_before_last(), 64 + GAP);
        table.fit_names(50);
        let cut = format!("{}...", "n".repeat(37));
        assert!(table.render(&view()).contains(&format!("{cut}  12345678")));
        assert_eq!(table.width_before_last(), 40 + GAP);
    }

    #[test]
    fn long_text_is_wrapped_at_spaces() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("one  two", 80), ["one  two"]);
        assert_eq!(
            wrapped("a-word-without-an-end b", 8),
            ["a-word-without-an-end", "b"]
        );
        assert_eq!(wrapped("", 8), [""]);
    }

    #[test]
    fn a_list_shows_what_fits_and_counts_the_rest() {
        let items: Vec<String> = ["192.0.2.0/24", "198.51.100.7/32", "@office"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(fit_list(&items, 80), "192.0.2.0/24 198.51.100.7/32 @office");
        assert_eq!(fit_list(&items, 31), "192.0.2.0/24 198.51.100.7/32 +1");
        assert_eq!(fit_list(&items, 30), "192.0.2.0/24 +2");
        assert_eq!(fit_list(&items, 12), "192.0.... +2");
        assert_eq!(fit_list(&[], 12), "-");
        assert_eq!(
            fit_beginning(&items, 1_000, 35),
            "192.0.2.0/24 198.51.100.7/32 +1,001"
        );
    }
}
