//! House rules that apply to the text of tracked files.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use super::{
    Violation,
    paths::{lines_of_ident, tokens_of},
};
use crate::command::output_of;

/// A source file longer than this has more than one purpose.
const MAX_LINES: usize = 500;

/// Longer files, each with the reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// Files that may contain `unsafe`, with the reason.
const UNSAFE: [(&str, &str); 6] = [
    ("ipblock-ebpf/", "packet memory and map values"),
    ("ipblock-common/", "aya::Pod for the types of the maps"),
    ("ipblock-ctl/datapath/src/", "bpf(2)"),
    (
        "ipblock-ctl/daemon/src/transport/unix/credentials.rs",
        "SO_PEERGROUPS, which no safe crate wraps",
    ),
    (
        "tests/src/",
        "packet sockets, and ioctls that no safe crate wraps",
    ),
    (
        "tests/examples/alert_cost/bpf.rs",
        "bpf(2), for a program that is measured",
    ),
];

/// Marks of unfinished work, in two parts so that this file does not contain them.
const UNFINISHED: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// Paths of a developer's own machine.
const MACHINE_PLACES: [&str; 4] = [
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/tmp/", "t/"),
    concat!("/tmp/", "bg/"),
];

/// A tracked text file.
pub(crate) struct Source {
    /// From the workspace's directory.
    pub path: String,
    pub text: String,
}

/// Reads every text file that git tracks or would add.
pub(crate) fn tracked(root: &Path) -> Result<Vec<Source>> {
    // CI often checks out as a different user than it runs as, which git refuses by default.
    let list = output_of(
        Command::new("git")
            .current_dir(root)
            .args(["-c", &format!("safe.directory={}", root.display())])
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ]),
    )
    .context("cannot list the tracked files")?;
    list.split_terminator('\0')
        .filter(|path| root.join(path).is_file())
        .filter_map(|path| {
            let read = fs::read(root.join(path)).with_context(|| format!("cannot read {path}"));
            read.map(|bytes| {
                let text = String::from_utf8(bytes).ok()?;
                Some(Source {
                    path: path.to_owned(),
                    text,
                })
            })
            .transpose()
        })
        .collect()
}

/// Checks one file against the rules of this module.
pub(crate) fn check(source: &Source) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    let mut report = |line: usize, what: String, why: &str| {
        found.push(Violation {
            place: format!("{}:{line}", source.path),
            what,
            why: why.to_owned(),
        });
    };

    for (number, line) in (1..).zip(source.text.lines()) {
        for mark in UNFINISHED {
            if has_word(line, mark) {
                report(
                    number,
                    mark.to_owned(),
                    "unfinished work is an issue, not a comment",
                );
            }
        }
        for place in MACHINE_PLACES {
            if line.contains(place) {
                report(number, format!("`{place}`"), "a place of one machine only");
            }
        }
    }
    if !is_rust(&source.path) {
        return Ok(found);
    }

    let lines = source.text.lines().count();
    let listed = LONG_FILES.iter().any(|(path, _)| *path == source.path);
    if lines > MAX_LINES && !listed {
        let why = "split it by purpose, or list it in xtask/src/check/sources.rs with a reason";
        report(lines, format!("more than {MAX_LINES} lines"), why);
    } else if lines <= MAX_LINES && listed {
        report(
            lines,
            "is no long file any more".to_owned(),
            "take it off the list",
        );
    }

    let tokens = tokens_of(&source.text).with_context(|| source.path.clone())?;
    if !UNSAFE
        .iter()
        .any(|(place, _)| source.path.starts_with(place))
    {
        for line in lines_of_ident(&tokens, "unsafe") {
            let why = "unsafe code stands only where xtask/src/check/sources.rs lists it";
            report(line, "`unsafe`".to_owned(), why);
        }
    }
    for name in ["todo", "unimplemented"] {
        for line in lines_of_ident(&tokens, name) {
            let has_call = source
                .text
                .lines()
                .nth(line.saturating_sub(1))
                .is_some_and(|text| text.contains(&format!("{name}!")));
            if has_call {
                report(line, format!("`{name}!`"), "no stubs");
            }
        }
    }
    Ok(found)
}

pub(crate) fn is_rust(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let (before, rest) = line.split_at(start);
        let after = rest.strip_prefix(word).unwrap_or_default();
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(path: &str, text: &str) -> Vec<String> {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let found = check(&source).unwrap();
        found.iter().map(Violation::to_string).collect()
    }

    #[test]
    fn a_file_of_five_hundred_lines_is_long_enough() {
        assert!(violations("a.rs", &"\n".repeat(500)).is_empty());
        let found = violations("a.rs", &"\n".repeat(501));
        assert!(
            found[0].starts_with("a.rs:501: more than 500 lines"),
            "{found:?}"
        );
    }

    #[test]
    fn unsafe_code_is_refused_outside_its_places() {
        let source = "fn f() {\n    unsafe { g() }\n}";
        assert!(violations("ipblock-ctl/datapath/src/bpf.rs", source).is_empty());
        let found = violations("ipblock-ctl/store/src/lib.rs", source);
        assert!(
            found[0].starts_with("ipblock-ctl/store/src/lib.rs:2: `unsafe`"),
            "{found:?}"
        );
    }

    #[test]
    fn marks_of_unfinished_work_are_found_as_words() {
        let mark = UNFINISHED[0];
        assert_eq!(violations("a.md", &format!("{mark}: later")).len(), 1);
        assert!(violations("a.md", &format!("{mark}S")).is_empty());
        assert_eq!(
            violations("a.rs", concat!("fn f() { to", "do!() }")).len(),
            1
        );
    }

    #[test]
    fn places_of_one_machine_are_found_in_any_text() {
        let text = format!("first\nsee {}notes", MACHINE_PLACES[1]);
        let found = violations("docs/a.md", &text);
        assert!(found[0].starts_with("docs/a.md:2:"), "{found:?}");
    }
}
