//! Lines for the person who watches.

use std::io::{self, Write as _};

/// A line of data, to standard output.
pub(crate) fn tell(line: &str) {
    // A reader that went away must not keep the demo from cleaning up.
    let _ = writeln!(io::stdout(), "{line}");
}

/// What went wrong, to standard error.
pub(crate) fn complain(what: &str) {
    let _ = writeln!(io::stderr(), "demo: {what}");
}
