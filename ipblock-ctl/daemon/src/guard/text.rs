//! Small configuration files of other programs, under a root that tests choose.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use glob::{MatchOptions, Pattern, glob_with};

/// Maximum size: no configuration file for people is longer.
const MAX_BYTES: u64 = 1 << 20;

/// The file system of the daemon, or a directory in its place.
#[derive(Clone, Debug)]
pub(super) struct Root(pub(super) PathBuf);

impl Root {
    /// Returns an absolute path under the root.
    pub(super) fn path(&self, absolute: &str) -> PathBuf {
        self.0.join(absolute.trim_start_matches('/'))
    }

    /// Returns the text of a file, or an empty one if it is missing or unreadable: then its content
    /// is unknown, but the other sources are still used.
    pub(super) fn read(&self, absolute: &str) -> String {
        let mut text = String::new();
        if let Ok(file) = File::open(self.path(absolute)) {
            let mut bytes = Vec::new();
            if file.take(MAX_BYTES).read_to_end(&mut bytes).is_ok() {
                text = String::from_utf8_lossy(&bytes).into_owned();
            }
        }
        text
    }

    /// Returns the files that match a pattern of glob(7), sorted, without hidden ones. Returns a
    /// path without wildcards whether it exists or not.
    pub(super) fn matching(&self, pattern: &str) -> Vec<String> {
        const OPTIONS: MatchOptions = MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        if !pattern.contains(['*', '?', '[']) {
            return vec![pattern.to_owned()];
        }
        let pattern = as_in_glob_3(pattern);
        let root = Pattern::escape(&self.0.to_string_lossy());
        let whole = format!(
            "{}/{}",
            root.trim_end_matches('/'),
            pattern.trim_start_matches('/')
        );
        let Ok(found) = glob_with(&whole, OPTIONS) else {
            // A bracket that is not closed stands for itself, as in glob(3).
            return vec![pattern];
        };
        let absolute = found.filter_map(|path| {
            let below = path.ok()?;
            let below = below.strip_prefix(&self.0).ok()?.to_str()?;
            Some(format!("/{below}"))
        });
        absolute.collect()
    }
}

/// Returns a pattern of glob(3) as the crate takes it: several `*` are one, and `[^` is `[!`.
fn as_in_glob_3(pattern: &str) -> String {
    let mut text = pattern.replace("[^", "[!");
    while text.contains("**") {
        text = text.replace("**", "*");
    }
    text
}

/// Returns the lines of a text with content: trimmed, without comments.
pub(super) fn statements(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}

/// Returns the number in a path below `/proc/PID/`.
pub(super) fn process_id(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_pattern_finds_files_in_order_and_no_hidden_ones() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root(directory.path().to_owned());
        for file in [
            "b.conf",
            "a.conf",
            "1.conf",
            ".hidden.conf",
            "c.txt",
            "d/e.conf",
        ] {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        for (pattern, found) in [
            ("/*.conf", ["/1.conf", "/a.conf", "/b.conf"].as_slice()),
            ("/?.c*f", &["/1.conf", "/a.conf", "/b.conf"]),
            ("/[0-9]*.conf", &["/1.conf"]),
            ("/[!0-9]*.conf", &["/a.conf", "/b.conf"]),
            ("/[^0-9]*.conf", &["/a.conf", "/b.conf"]),
            ("/**.conf", &["/1.conf", "/a.conf", "/b.conf"]),
            ("/*/e.conf", &["/d/e.conf"]),
            ("/x[.conf", &["/x[.conf"]),
        ] {
            assert_eq!(root.matching(pattern), found, "{pattern}");
        }
        assert_eq!(root.matching("/missing"), ["/missing"]);
        assert!(root.matching("/missing/*.conf").is_empty());
        assert_eq!(root.read("/missing"), "");
    }
}
