//! Small configuration files of others, under a root that tests choose.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

/// No configuration file that is meant for people is longer.
const MAX_BYTES: u64 = 1 << 20;

/// The file system as the daemon sees it, or a directory that stands for it.
#[derive(Clone, Debug)]
pub(super) struct Root(pub(super) PathBuf);

impl Root {
    /// An absolute path under the root.
    pub(super) fn path(&self, absolute: &str) -> PathBuf {
        self.0.join(absolute.trim_start_matches('/'))
    }

    /// The text of a file; empty when it is not there or cannot be read: what it may have said is
    /// then not known, and the other sources still are.
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

    /// The files that a pattern stands for, sorted; `*` and `?` in the last part only. Without
    /// them it is the path itself, whether it exists or not.
    pub(super) fn matching(&self, pattern: &str) -> Vec<String> {
        let (directory, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        if !name.contains(['*', '?']) {
            return vec![pattern.to_owned()];
        }
        let entries = fs::read_dir(self.path(directory)).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut found: Vec<_> = names
            .filter(|file| !file.starts_with('.') && is_like(file.as_bytes(), name.as_bytes()))
            .map(|file| format!("{directory}/{file}"))
            .collect();
        found.sort();
        found
    }
}

/// The lines of a text that say something: trimmed, without comments.
pub(super) fn statements(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}

/// Whether a path stands below `/proc/PID/`: the number.
pub(super) fn process_id(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

/// Shell patterns: `*` is any text, `?` any byte.
fn is_like(name: &[u8], pattern: &[u8]) -> bool {
    match (name, pattern) {
        ([], []) => true,
        (_, [b'*', rest @ ..]) => {
            (0..=name.len()).any(|from| is_like(name.get(from..).unwrap_or_default(), rest))
        }
        ([_, name @ ..], [b'?', pattern @ ..]) => is_like(name, pattern),
        ([a, name @ ..], [b, pattern @ ..]) => a == b && is_like(name, pattern),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_a_shell() {
        for (name, pattern) in [
            ("a.conf", "*.conf"),
            ("a.conf", "?.c*f"),
            ("x", "*"),
            ("", "*"),
        ] {
            assert!(is_like(name.as_bytes(), pattern.as_bytes()), "{pattern}");
        }
        for (name, pattern) in [("a.conf~", "*.conf"), ("", "?"), ("ab", "a")] {
            assert!(!is_like(name.as_bytes(), pattern.as_bytes()), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_finds_files_in_order_and_no_hidden_ones() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root(directory.path().to_owned());
        for file in ["b.conf", "a.conf", ".hidden.conf", "c.txt"] {
            fs::write(directory.path().join(file), "").unwrap();
        }
        assert_eq!(root.matching("/*.conf"), ["/a.conf", "/b.conf"]);
        assert_eq!(root.matching("/missing"), ["/missing"]);
        assert!(root.matching("/missing/*.conf").is_empty());
        assert_eq!(root.read("/missing"), "");
    }
}
