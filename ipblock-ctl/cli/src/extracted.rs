//! `--extract`: shows what was found in a text and what is covered already, before anything happens.

use std::{collections::HashMap, io};

use clap::Args;
use ipblock_api::types::{Check, CheckRequest};
use ipblock_output::import::{Covered, Found, render_found};
use ipblock_policy::{
    Action, At,
    address::{parse_elements, push_short},
    exchange::Parsed,
    explain::Reason,
};
use ipnet::IpNet;

use super::{
    capped::SHOWN,
    error::CliError,
    line_reader::{Reading, from_input},
    prompt::choose,
    session::{Session, somebody_is_there},
};

/// Maximum of addresses in one question to the daemon.
const ASKED: usize = 1_000;

/// What commands take that find addresses in text.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ExtractArgs {
    /// Find every address in any text, such as a log or a mail. Shows them and what is covered
    /// already, and acts only with --yes or after a question
    #[arg(long, help_heading = EXTRACTING)]
    pub(crate) extract: bool,
    /// Act on what --extract finds without a question
    #[arg(long, requires = "extract", help_heading = EXTRACTING)]
    pub(crate) yes: bool,
}

const EXTRACTING: &str = "Text";

/// As [`ExtractArgs`], for commands that change nothing that would need a question.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct TextArgs {
    /// With -, find every address in any text, such as a log or a mail
    #[arg(long, help_heading = EXTRACTING)]
    extract: bool,
}

impl TextArgs {
    /// Returns how standard input is read.
    pub(crate) const fn reading(self) -> Reading {
        reading(self.extract)
    }

    /// Rejects the flag where addresses are arguments.
    pub(crate) fn check(self, addresses: &[String]) -> Result<(), CliError> {
        check(self.extract, addresses)
    }
}

impl ExtractArgs {
    /// Returns how standard input is read.
    pub(crate) const fn reading(self) -> Reading {
        reading(self.extract)
    }

    /// Rejects the flag where addresses are arguments.
    pub(crate) fn check(self, addresses: &[String]) -> Result<(), CliError> {
        check(self.extract, addresses)
    }
}

const fn reading(is_text: bool) -> Reading {
    if is_text {
        Reading::Text
    } else {
        Reading::Lines
    }
}

fn check(is_text: bool, addresses: &[String]) -> Result<(), CliError> {
    if !is_text || from_input(addresses)? {
        return Ok(());
    }
    Err(CliError::Usage {
        message: "--extract reads standard input".to_owned(),
        hint: "write - in the place of the addresses: ipblock-ctl ban - --extract < FILE"
            .to_owned(),
    })
}

/// Returns what was found, and what the daemon covers already.
pub(crate) async fn found(parsed: &Parsed, session: &Session<'_>) -> Result<Found, CliError> {
    let prefixes = parsed.elements.iter().map(|element| element.prefix);
    let texts: Vec<String> = prefixes
        .clone()
        .map(|prefix| {
            let mut text = String::new();
            push_short(&mut text, prefix);
            text
        })
        .collect();
    let mut covers: HashMap<IpNet, Option<Cover>> = HashMap::new();
    for addresses in texts.chunks(ASKED) {
        let request = CheckRequest {
            addresses: addresses.to_vec(),
            zone: None,
            staged: false,
        };
        let asked = session.client.check(&request);
        for check in session.wait("looking them up", asked).await? {
            let cover = Cover::of(&check);
            for part in parse_elements(&check.address).unwrap_or_default() {
                let At::Prefix(part) = part else { continue };
                note_cover(&mut covers, part, cover);
            }
        }
    }
    let mut covered = Covered::default();
    for prefix in prefixes {
        match covers.get(&prefix).copied().flatten() {
            Some(Cover::Banned) => covered.banned += 1,
            Some(Cover::Blocked) => covered.blocked += 1,
            Some(Cover::Allowed) => covered.allowed += 1,
            Some(Cover::Nothing) | None => {}
        }
    }
    Ok(Found {
        prefixes: texts,
        covered,
    })
}

/// What decides about an address already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cover {
    Banned,
    Blocked,
    Allowed,
    Nothing,
}

impl Cover {
    fn of(check: &Check) -> Self {
        match check.reason {
            Reason::Ban => Self::Banned,
            Reason::Allow => Self::Allowed,
            _ if check.verdict.is_some_and(Action::drops) => Self::Blocked,
            _ => Self::Nothing,
        }
    }
}

/// Notes what covers a part, for each prefix that contains the part. `None` means that parts differ,
/// or zones: then the prefix is not covered as a whole.
fn note_cover(covers: &mut HashMap<IpNet, Option<Cover>>, part: IpNet, cover: Cover) {
    let around = std::iter::successors(Some(part), IpNet::supernet);
    for prefix in around {
        let known = covers.entry(prefix).or_insert(Some(cover));
        if *known != Some(cover) {
            *known = None;
        }
    }
}

/// Shows what was found. Returns whether to go on: with --yes, or after a question on a terminal.
pub(crate) fn confirmed(
    found: &Found,
    all: bool,
    is_sure: bool,
    question: &str,
    session: &mut Session<'_>,
) -> Result<bool, CliError> {
    let most = if all { u64::MAX } else { SHOWN };
    session.note(&render_found(found, most));
    if is_sure || !somebody_is_there() {
        return Ok(is_sure);
    }
    session.output.flush()?;
    let question = format!("{question} [yes/no]");
    let (mut input, mut messages) = (io::stdin().lock(), io::stderr());
    let answer = choose(&mut input, &mut messages, &question, &["yes", "no"])?;
    Ok(answer == Some("yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_covered_once_and_only_as_a_whole() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let mut covers = HashMap::new();
        for part in ["192.0.2.0/25", "192.0.2.128/25", "198.51.100.0/25"] {
            note_cover(&mut covers, net(part), Cover::Banned);
        }
        note_cover(&mut covers, net("198.51.100.128/25"), Cover::Nothing);
        assert_eq!(covers[&net("192.0.2.0/24")], Some(Cover::Banned));
        assert_eq!(covers[&net("198.51.100.0/24")], None);
    }
}
