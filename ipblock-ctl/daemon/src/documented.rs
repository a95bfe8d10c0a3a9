//! Limits in docs/api.md, for tests that compare them with the code.

const PAGE: &str = include_str!("../../../docs/api.md");

/// Returns the second column of a row in the table of limits.
pub(super) fn limit(of: &str) -> String {
    let begin = format!("| {of} | ");
    let row = PAGE.lines().find_map(|line| line.strip_prefix(&begin));
    let row = row.unwrap_or_else(|| panic!("docs/api.md has no limit of `{of}`"));
    row.trim_end_matches(" |").to_owned()
}

/// Formats bytes as on the page.
pub(super) fn size(bytes: usize) -> String {
    let (gib, mib, kib) = (1 << 30, 1 << 20, 1 << 10);
    match bytes {
        bytes if bytes % gib == 0 => format!("{} GiB", bytes / gib),
        bytes if bytes % mib == 0 => format!("{} MiB", bytes / mib),
        bytes => format!("{} KiB", bytes / kib),
    }
}
