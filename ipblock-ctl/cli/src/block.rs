//! A block of text that is printed again and again: in place on a terminal, elsewhere one after the
//! other.

use std::io;

use ipblock_output::{Output, number::counted, stream::terminal_size};

/// Prints a block. On a terminal it replaces the previous one of `rows_above` rows. `all` is the
/// command that shows what does not fit. Returns the number of rows.
pub(crate) fn print_block(
    block: &str,
    all: &str,
    rows_above: Option<usize>,
    output: &mut Output,
) -> io::Result<usize> {
    let Some((_, height)) = terminal_size() else {
        let gap = if rows_above.is_some() { "\n" } else { "" };
        output.raw(format!("{gap}{block}").as_bytes())?;
        output.flush()?;
        return Ok(0);
    };
    let (block, rows) = fitting(block, all, height);
    let block = in_place(&block, rows_above.unwrap_or_default());
    output.raw(block.as_bytes())?;
    output.flush()?;
    Ok(rows)
}

/// Returns the rows of `block` that fit above the cursor of a terminal with this height, and their
/// number.
fn fitting(block: &str, all: &str, height: usize) -> (String, usize) {
    let rows = block.lines().count();
    let room = height.saturating_sub(1).max(1);
    if rows <= room {
        return (block.to_owned(), rows);
    }
    let left_out = rows - (room - 1);
    let shown = block.lines().take(room - 1).map(|line| format!("{line}\n"));
    let more = counted(left_out, "more line", "more lines");
    let more = format!("({more}: `{all}` shows all)\n");
    (shown.chain([more]).collect(), room)
}

/// Returns the output for a terminal: moves back over the rows of the last block and replaces them.
/// Line wrap is off meanwhile, so that each line takes one row.
fn in_place(block: &str, rows_above: usize) -> String {
    let back = match rows_above {
        0 => String::new(),
        rows => format!("\x1b[{rows}A"),
    };
    format!("\r{back}\x1b[J\x1b[?7l{block}\x1b[?7h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_is_too_high_is_cut_and_says_so() {
        let fitting = |block, height| fitting(block, "ipblock-ctl counters", height);
        assert_eq!(fitting("a\nb\n", 3), ("a\nb\n".to_owned(), 2));
        let (shown, rows) = fitting("a\nb\nc\nd\n", 4);
        assert_eq!(
            shown,
            "a\nb\n(2 more lines: `ipblock-ctl counters` shows all)\n"
        );
        assert_eq!(rows, 3);
        assert_eq!(fitting("a\nb\n", 0).1, 1);
    }
}
