//! docs/benchmarks.md: the table of the last whole run, between two markers.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context as _, Result};

const PAGE: &str = "benchmarks.md";
const PLOT: &str = "benchmarks.svg";
const BEGIN: &str = "<!-- figures -->";
const END: &str = "<!-- end of figures -->";

/// Puts the table into the page, and the plot next to it. Creates a page with only these if there
/// is none.
pub(crate) fn write(directory: &Path, table: &str, plot: &str) -> Result<()> {
    let path = directory.join(PAGE);
    let page = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            format!("# Benchmarks\n\n![Nanoseconds a packet]({PLOT})\n\n{BEGIN}\n{END}\n")
        }
        page => page.with_context(|| path.display().to_string())?,
    };
    let page = with_figures(&page, table)
        .with_context(|| format!("{}: no `{BEGIN}` before `{END}`", path.display()))?;
    fs::write(&path, page).with_context(|| path.display().to_string())?;
    let path = directory.join(PLOT);
    fs::write(&path, plot).with_context(|| path.display().to_string())
}

pub(crate) fn with_figures(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!(
        "{before}{BEGIN}\n```text\n{table}```\n{END}{after}"
    ))
}
