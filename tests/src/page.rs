//! A page of documentation with executable commands: its blocks, and their claims.
//!
//! This module runs nothing. The meaning of blocks:
//!
//! - ```` ```sh ```` is a script. It is to end with 0, and with N in ```` ```sh exit=N ````. The
//!   scripts of a page follow each other in one directory.
//! - ```` ```text ```` is output of the script before it, standard output and standard error as they
//!   come. Each of its lines has to appear, in order; other lines may be between them. `…` stands
//!   for anything within a line, and runs of spaces for each other, so that the width of a column
//!   does not matter.
//! - ```` ```toml ```` is only shown.
//! - In a script, a line `# dropped: A...` or `# passes: A...` claims what becomes of a packet from
//!   each of these addresses (or of `arp`, `nd`, `dhcp`) at that moment; `# soon dropped: A...` and
//!   `# soon passes: A...`, what becomes of one of the next packets. [`Script::with_claims_as`] makes them commands.

use std::fmt::{self, Write as _};

use anyhow::{Context as _, bail, ensure};

/// A wildcard within a line.
const ANYTHING: char = '…';
/// Languages of blocks that are neither run nor compared.
const SHOWN: [&str; 1] = ["toml"];

/// A script with its claims.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    /// The line of its first line on the page, from 1.
    pub line: usize,
    /// What is run.
    pub text: String,
    /// Its exit code.
    pub exit: i32,
    /// Lines of its output.
    pub output: Vec<Expected>,
}

/// A line of output.
#[derive(Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its line of the page, counted from 1.
    pub line: usize,
    /// It, with wildcards.
    pub text: String,
}

/// The fate of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// `dropped`: it does not arrive.
    Dropped,
    /// `passes`: it arrives.
    Passes,
    /// `soon dropped`: one of those that are sent from here on does not arrive.
    SoonDropped,
    /// `soon passes`: one of those that are sent from here on arrives.
    SoonPasses,
}

impl Claim {
    const ALL: [Self; 4] = [
        Self::Dropped,
        Self::Passes,
        Self::SoonDropped,
        Self::SoonPasses,
    ];

    /// Its one word for the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Passes => "passes",
            Self::SoonDropped => "soon-dropped",
            Self::SoonPasses => "soon-passes",
        }
    }

    /// The claim of this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|claim| claim.word() == word)
    }

    /// Whether the packet arrives.
    #[must_use]
    pub const fn arrives(self) -> bool {
        matches!(self, Self::Passes | Self::SoonPasses)
    }

    const fn comment(self) -> &'static str {
        match self {
            Self::Dropped => "# dropped: ",
            Self::Passes => "# passes: ",
            Self::SoonDropped => "# soon dropped: ",
            Self::SoonPasses => "# soon passes: ",
        }
    }
}

/// Parses the blocks of a page.
///
/// # Errors
/// With the line, if a block does not end, is indented, has an unknown language, or is output
/// without a script.
pub fn scripts(page: &str) -> anyhow::Result<Vec<Script>> {
    let mut scripts: Vec<Script> = Vec::new();
    let mut lines = page.lines().zip(1..);
    while let Some((text, line)) = lines.next() {
        let Some(language) = text.strip_prefix("```") else {
            ensure!(
                !text.trim_start().starts_with("```"),
                "line {line}: the fence of a block is not indented"
            );
            continue;
        };
        let body = until_fence(&mut lines)
            .with_context(|| format!("line {line}: the block does not end"))?;
        if language == "text" {
            let script = scripts
                .last_mut()
                .with_context(|| format!("line {line}: output of no script"))?;
            script.output.extend(body);
        } else if let Some(exit) = exit_of(language).with_context(|| format!("line {line}"))? {
            let mut text = String::new();
            for line in body {
                writeln!(text, "{}", line.text)?;
            }
            scripts.push(Script {
                line: line + 1,
                text,
                exit,
                output: Vec::new(),
            });
        } else {
            ensure!(
                SHOWN.contains(&language),
                "line {line}: a block is sh, sh exit=N, text or toml, not {language:?}"
            );
        }
    }
    Ok(scripts)
}

/// The lines of a block; `None` when it does not end.
fn until_fence<'p>(lines: &mut impl Iterator<Item = (&'p str, usize)>) -> Option<Vec<Expected>> {
    let mut body = Vec::new();
    for (text, line) in lines {
        if text == "```" {
            return Some(body);
        }
        let text = text.to_owned();
        body.push(Expected { line, text });
    }
    None
}

/// Returns the exit code for a script of this language; `None` if it is not a script.
fn exit_of(language: &str) -> anyhow::Result<Option<i32>> {
    match language.split_once(' ') {
        None if language == "sh" => Ok(Some(0)),
        Some(("sh", option)) => {
            let code = option.strip_prefix("exit=").map(str::parse);
            match code {
                Some(Ok(code)) => Ok(Some(code)),
                _ => bail!("after sh stands exit=N, not {option:?}"),
            }
        }
        _ => Ok(None),
    }
}

impl Script {
    /// Returns the script with each claim as a call of `command` with the word of the claim and its
    /// subject. Lines keep their numbers.
    #[must_use]
    pub fn with_claims_as(&self, command: &str) -> String {
        let line = |line: &str| {
            let claimed = Claim::ALL
                .into_iter()
                .find_map(|claim| Some((claim, line.strip_prefix(claim.comment())?)));
            match claimed {
                Some((claim, about)) => format!("{command} {} {about}\n", claim.word()),
                None => format!("{line}\n"),
            }
        };
        self.text.lines().map(line).collect()
    }

    /// Returns the first line that is missing in the output.
    #[must_use]
    pub fn missing_in(&self, output: &str) -> Option<&Expected> {
        let mut lines = output.lines();
        self.output
            .iter()
            .find(|expected| !lines.any(|line| is_like(&expected.text, line)))
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text
            .lines()
            .try_for_each(|line| writeln!(f, "$ {line}"))
    }
}

/// Whether a line matches the pattern, with wildcards and runs of spaces.
fn is_like(pattern: &str, line: &str) -> bool {
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (pattern, line) = (squeezed(pattern), squeezed(line));
    let mut parts = pattern.split(ANYTHING);
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_have_the_output_that_follows_them() {
        let page = "# Page\n```sh\na\nb\n```\nsays\n```text\nout\n```\n```toml\nx = 1\n```\n\
                    ```sh exit=3\nc\n```\n";
        let found = scripts(page).unwrap();
        assert_eq!(
            found,
            [
                Script {
                    line: 3,
                    text: "a\nb\n".to_owned(),
                    exit: 0,
                    output: vec![Expected {
                        line: 8,
                        text: "out".to_owned()
                    }],
                },
                Script {
                    line: 14,
                    text: "c\n".to_owned(),
                    exit: 3,
                    output: Vec::new(),
                },
            ]
        );
    }

    #[test]
    fn what_is_wrong_with_a_block_is_said_with_its_line() {
        for (page, problem) in [
            ("text\n```sh\na\n", "line 2: the block does not end"),
            ("```bash\na\n```\n", "line 1: a block is sh, sh exit=N"),
            ("```\na\n```\n", "line 1: a block is sh, sh exit=N"),
            ("```sh exit=x\na\n```\n", "line 1: after sh stands exit=N"),
            ("```sh root\na\n```\n", "line 1: after sh stands exit=N"),
            ("\n```text\na\n```\n", "line 2: output of no script"),
            ("- x\n  ```sh\n", "line 2: the fence of a block"),
        ] {
            let error = format!("{:#}", scripts(page).unwrap_err());
            assert!(error.starts_with(problem), "{page:?}: {error}");
        }
    }

    #[test]
    fn lines_appear_in_order_with_others_between_them() {
        let script = |lines: &[&str]| Script {
            line: 1,
            text: String::new(),
            exit: 0,
            output: (5..)
                .zip(lines)
                .map(|(line, &text)| Expected {
                    line,
                    text: text.to_owned(),
                })
                .collect(),
        };
        let output = "one\ntwo\nthree\n";
        assert_eq!(script(&["one", "three"]).missing_in(output), None);
        let missing = |lines| script(lines).missing_in(output).map(|missing| missing.line);
        assert_eq!(missing(&["three", "one"]), Some(6));
        assert_eq!(missing(&["one", "one"]), Some(6));
        assert_eq!(missing(&["tw"]), Some(5));
    }

    #[test]
    fn an_ellipsis_is_anything_and_spaces_are_spaces() {
        assert!(is_like("abuse … 12s ago", "abuse   block  3  12s ago"));
        assert!(is_like("in …, … left…", "in 2h, 1h left"));
        assert!(is_like("…", ""));
        assert!(is_like("a…b…b", "axbxb"));
        assert!(is_like("  a   b ", "a b"));
        assert!(!is_like("a…b…b", "axb"));
        assert!(!is_like("a…b", "axbc"));
        assert!(!is_like("a", "ab"));
        assert!(!is_like("b…", "ab"));
    }

    #[test]
    fn claims_become_commands_on_the_same_line() {
        let script = Script {
            line: 1,
            text: "a\n# dropped: 192.0.2.7 arp\n# soon passes: 2001:db8::7\n# why\n".to_owned(),
            exit: 0,
            output: Vec::new(),
        };
        assert_eq!(
            script.with_claims_as("packets"),
            "a\npackets dropped 192.0.2.7 arp\npackets soon-passes 2001:db8::7\n# why\n"
        );
        assert_eq!(Claim::of_word("soon-passes"), Some(Claim::SoonPasses));
        assert_eq!(Claim::of_word("gone"), None);
    }
}
