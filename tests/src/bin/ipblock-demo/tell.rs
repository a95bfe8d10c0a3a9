//! Output for the person at the terminal.

use std::io::{self, Write as _};

/// A line of data, to standard output.
pub(crate) fn tell(line: &str) {
    // A closed reader must not prevent the cleanup of the demo.
    let _ = writeln!(io::stdout(), "{line}");
}

/// What went wrong, to standard error.
pub(crate) fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "demo: {what}");
}
